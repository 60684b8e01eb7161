//! The configuration in use, how a new one follows it, and how it is kept in the store.
//!
//! Text and versions are one value under one key, written if nobody else wrote since: they cannot
//! contradict each other after a crash. A version is a revision of the store, so that it only
//! grows, across restarts too.

use flownic_store::{Store, Txn};
use flownic_vnet::config::ConfigErrors;
use flownic_vnet::{Changes, Config, Fabric, VersionTable, diff};
use serde::{Deserialize, Serialize};

use super::error::ConfigurationError;

/// Where the store has it.
const KEY: &str = "nis/configuration";

/// A configuration with its versions, compiled. Immutable.
#[derive(Debug, Default)]
pub struct Configuration {
    /// Name of the file that it came from, for messages.
    pub source_name: String,
    /// The text as a person wrote it.
    pub toml: String,
    /// Revision of the store that it was written with; 0: there is none yet.
    pub revision: u64,
    /// What the text says.
    pub config: Config,
    /// Versions of all its parts.
    pub versions: VersionTable,
    /// The same, for look-ups.
    pub fabric: Fabric,
}

/// A checked configuration that may follow another one.
#[derive(Debug)]
pub struct Plan {
    source_name: String,
    toml: String,
    config: Config,
    changes: Changes,
}

impl Plan {
    /// Checks a text and compares it with the configuration in use.
    ///
    /// # Errors
    /// Every error in the text, with its place.
    pub fn new(
        current: &Configuration,
        source_name: &str,
        toml: &str,
    ) -> Result<Plan, ConfigErrors> {
        let config = Config::parse(source_name, toml)?;
        let changes = diff(&current.config, &config);
        Ok(Plan {
            source_name: source_name.to_owned(),
            toml: toml.to_owned(),
            config,
            changes,
        })
    }

    /// One line for each thing that changes.
    pub fn lines(&self) -> &[String] {
        &self.changes.lines
    }

    /// The configuration that follows `current`, with new versions `version` for what changes.
    pub fn follow(self, current: &Configuration, version: u32) -> Configuration {
        let mut versions = current.versions.clone();
        versions.advance(&self.changes, version);
        let fabric = Fabric::compile(&self.config, &versions);
        Configuration {
            source_name: self.source_name,
            toml: self.toml,
            revision: u64::from(version),
            config: self.config,
            versions,
            fabric,
        }
    }
}

/// What the store holds.
#[derive(Serialize, Deserialize)]
struct Stored {
    source_name: String,
    toml: String,
    versions: VersionTable,
}

/// Reads the configuration; an empty one if the store has none.
///
/// # Errors
/// The store fails, or holds what this program does not accept.
pub fn load(store: &dyn Store) -> Result<Configuration, ConfigurationError> {
    let Some(found) = store.get(KEY)? else {
        return Ok(Configuration::default());
    };
    let stored: Stored = serde_json::from_slice(&found.value)
        .map_err(|source| ConfigurationError::Unreadable { key: KEY, source })?;
    let config = Config::parse(&stored.source_name, &stored.toml).map_err(|errors| {
        ConfigurationError::StoredInvalid {
            revision: found.modified,
            errors,
        }
    })?;
    let fabric = Fabric::compile(&config, &stored.versions);
    Ok(Configuration {
        source_name: stored.source_name,
        toml: stored.toml,
        revision: found.modified,
        config,
        versions: stored.versions,
        fabric,
    })
}

/// Writes the configuration that follows `current`. When it returns, a restart comes up with it.
///
/// # Errors
/// The store fails, or no longer holds `current`.
pub fn commit(
    store: &dyn Store,
    current: &Configuration,
    plan: Plan,
) -> Result<Configuration, ConfigurationError> {
    // Not older than what this transaction gets, and newer than every version so far: those are
    // at most the revision that wrote `current`, which the transaction compares with.
    let next = store.revision()? + 1;
    let version = u32::try_from(next).map_err(|_| ConfigurationError::Exhausted(next))?;
    let mut new = plan.follow(current, version);
    let stored = Stored {
        source_name: new.source_name.clone(),
        toml: new.toml.clone(),
        versions: new.versions.clone(),
    };
    let value = serde_json::to_vec(&stored)
        .map_err(|source| ConfigurationError::Unreadable { key: KEY, source })?;
    let result = store.txn(&Txn::new().when(KEY, current.revision).put(KEY, value))?;
    if !result.succeeded {
        return Err(ConfigurationError::Conflict);
    }
    new.revision = result.revision;
    Ok(new)
}
