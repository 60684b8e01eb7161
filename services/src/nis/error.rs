//! Everything that can go wrong with the service.

use std::time::Duration;

use flownic_store::StoreError;
use flownic_vnet::config::ConfigErrors;
use thiserror::Error;
use tonic::Code;

/// A message that is not what its definition says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{at}: {what}")]
pub struct Malformed {
    /// The field, as a path: `punt 7: packet.frame`.
    pub at: String,
    /// What is wrong with it.
    pub what: String,
}

impl Malformed {
    pub(crate) fn new(at: impl Into<String>, what: impl Into<String>) -> Malformed {
        Malformed {
            at: at.into(),
            what: what.into(),
        }
    }

    /// The same, seen from further up.
    pub(crate) fn within(self, outer: &str) -> Malformed {
        Malformed {
            at: format!("{outer}.{}", self.at),
            what: self.what,
        }
    }
}

/// Why the service ends an agent's stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A field has a value that it must not have.
    #[error("malformed message: {0}")]
    Malformed(#[from] Malformed),
    /// The bytes of a message are no message, or too many; or the connection broke.
    #[error("unreadable message: {0}")]
    Unreadable(String),
    /// Something came before the stream said who it is.
    #[error("the first message of a stream must be Hello, this one is {0}")]
    NotGreeted(&'static str),
    /// The stream said a second time who it is.
    #[error("a second Hello on one stream, the first was of host {0:?}")]
    SecondHello(String),
    /// Nobody told the service of this host.
    #[error("host {host:?} is not in the configuration; its hosts are: {known}")]
    UnknownHost {
        /// Name that the agent gave.
        host: String,
        /// Names of the configuration.
        known: String,
    },
    /// The configuration no longer has this host.
    #[error("host {0:?} was taken out of the configuration")]
    HostRemoved(String),
    /// A newer stream of the same host takes over.
    #[error("a newer stream of host {0:?} takes over")]
    Replaced(String),
    /// The stream did not say who it is.
    #[error("no complete Hello within {0:?}")]
    Silent(Duration),
    /// The agent reads too slowly, so that answers pile up.
    #[error("{0} messages wait to be read; the agent is too slow")]
    Slow(usize),
    /// The service is shut down.
    #[error("the service stops")]
    Stopping,
}

impl Refusal {
    /// Status that the stream ends with.
    pub fn code(&self) -> Code {
        match self {
            Refusal::Malformed(_) | Refusal::Unreadable(_) => Code::InvalidArgument,
            Refusal::NotGreeted(_) | Refusal::SecondHello(_) => Code::FailedPrecondition,
            Refusal::UnknownHost { .. } | Refusal::HostRemoved(_) => Code::NotFound,
            Refusal::Replaced(_) => Code::Aborted,
            Refusal::Silent(_) => Code::DeadlineExceeded,
            Refusal::Slow(_) => Code::ResourceExhausted,
            Refusal::Stopping => Code::Unavailable,
        }
    }
}

/// Why a configuration was not applied or not loaded. What was there before stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The text has errors.
    #[error("{0}")]
    Invalid(ConfigErrors),
    /// The text that the store holds is not valid for this program.
    #[error("the stored configuration of revision {revision} is not valid any more: {errors}")]
    StoredInvalid {
        /// Revision that it was written with.
        revision: u64,
        /// What is wrong with it.
        errors: ConfigErrors,
    },
    /// What the store holds is no configuration at all.
    #[error("the store's key {key:?} cannot be read")]
    Unreadable {
        /// The key.
        key: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Somebody else wrote the configuration meanwhile.
    #[error("the stored configuration was changed by somebody else, try again")]
    Conflict,
    /// More revisions than a version register can count.
    #[error("revision {0} does not fit into a 32-bit version")]
    Exhausted(u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
