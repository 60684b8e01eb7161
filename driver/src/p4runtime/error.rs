//! What can go wrong between this driver and a P4Runtime target.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};

/// A P4Runtime target cannot be used, or did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum P4RuntimeError {
    /// The address is malformed.
    #[error("`{address}` is no address of a P4Runtime target: {reason}")]
    Address {
        /// As given.
        address: String,
        /// Which part, and why.
        reason: String,
    },
    /// There was no connection yet, and there is none now.
    #[error("no P4Runtime target answers at {authority}: {reason}")]
    Unreachable {
        /// `HOST:PORT`.
        authority: String,
        /// What the network said.
        reason: String,
    },
    /// The session has ended: the target or the network is gone. Open the target again.
    #[error("the session with the target has ended: {reason}")]
    Gone {
        /// What was seen of the end.
        reason: String,
    },
    /// No answer in time. A write may have been done or not: read back.
    #[error("no answer to {what} within {after:?}")]
    Timeout {
        /// The request.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// Another controller may write, this one may not.
    #[error(
        "another controller is the primary one ({primary}); stop it, or use a larger election-id"
    )]
    NotPrimary {
        /// Its election id, as far as the target told.
        primary: String,
    },
    /// Another controller speaks to the target with the same election id.
    #[error("the target does not accept our election-id {election_id}: {message}")]
    ElectionId {
        /// Ours.
        election_id: u128,
        /// What the target said.
        message: String,
    },
    /// The target has no program.
    #[error("the target has no pipeline: open it with one")]
    NoPipeline,
    /// The target cannot do this at all.
    #[error("the target does not support {what}: {message}")]
    Unsupported {
        /// The request.
        what: &'static str,
        /// What the target said.
        message: String,
    },
    /// The target refused.
    #[error("{what} was refused ({code}): {message}")]
    Refused {
        /// The request.
        what: &'static str,
        /// Name of the gRPC code.
        code: String,
        /// What the target said.
        message: String,
    },
    /// The target's answer breaks the protocol.
    #[error("malformed answer to {what}: {reason}")]
    Malformed {
        /// The request.
        what: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl P4RuntimeError {
    /// What the status of a failed request means.
    pub(super) fn from_status(what: &'static str, after: Duration, status: &Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            _ if is_transport(status) => P4RuntimeError::Gone {
                reason: with_sources(status),
            },
            Code::DeadlineExceeded => P4RuntimeError::Timeout { what, after },
            Code::Unimplemented => P4RuntimeError::Unsupported { what, message },
            Code::PermissionDenied => P4RuntimeError::NotPrimary { primary: message },
            Code::FailedPrecondition if message.to_lowercase().contains("pipeline") => {
                P4RuntimeError::NoPipeline
            }
            code => P4RuntimeError::Refused {
                what,
                code: format!("{code:?}"),
                message,
            },
        }
    }
}

/// Whether the status was made here, because the connection failed.
fn is_transport(status: &Status) -> bool {
    let local = status.source().is_some_and(|source| {
        source.is::<tonic::transport::Error>() || source.to_string().contains("h2 protocol")
    });
    local || status.code() == Code::Unavailable
}

/// The status with everything that caused it: the outermost message alone says little.
pub(super) fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = match error.downcast_ref::<Status>() {
        Some(status) => format!("{:?}: {}", status.code(), status.message()),
        None => error.to_string(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
