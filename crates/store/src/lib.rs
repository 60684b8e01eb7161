//! Revisioned key-value store with transactions and watch.
//!
//! One number, the *revision*, counts the transactions that changed something. Every key knows the
//! revision that made it and the one that changed it last, so that a reader can say "write this
//! only if nobody wrote since" and a watcher can say "tell me everything after what I have seen".
//! The terms are etcd's, so that a cluster's etcd can stand behind the same trait.
//!
//! Two back ends pass one suite (`tests/conformance.rs`): [`Memory`], and [`Embedded`], a single
//! file that is consistent after a crash at any write.

mod embedded;
mod memory;
mod watch;

use std::path::PathBuf;

use thiserror::Error;

pub use crate::embedded::Embedded;
pub use crate::memory::Memory;
pub use crate::watch::Watch;

/// A key with its value as of some revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Never empty. Slashes separate parts by convention only.
    pub key: String,
    /// Any bytes.
    pub value: Vec<u8>,
    /// Revision that created the key (again, after a deletion). At least 1.
    pub created: u64,
    /// Revision that wrote the value. At least `created`.
    pub modified: u64,
}

/// Condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key was last written by this revision; 0: the key does not exist.
    Modified {
        /// The key.
        key: String,
        /// Expected [`KeyValue::modified`].
        revision: u64,
    },
    /// The key exists and has this value.
    Value {
        /// The key.
        key: String,
        /// Expected value.
        value: Vec<u8>,
    },
}

impl Compare {
    fn key(&self) -> &str {
        match self {
            Compare::Modified { key, .. } | Compare::Value { key, .. } => key,
        }
    }

    fn holds(&self, found: Option<&KeyValue>) -> bool {
        match self {
            Compare::Modified { revision, .. } => found.map_or(0, |kv| kv.modified) == *revision,
            Compare::Value { value, .. } => found.is_some_and(|kv| kv.value == *value),
        }
    }
}

/// Change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates or replaces.
    Put {
        /// The key, not empty.
        key: String,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Removes; an absent key is no error and no change.
    Delete {
        /// The key.
        key: String,
    },
}

impl Op {
    fn key(&self) -> &str {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

/// All of `ops` if all of `compares` hold, else nothing. A key may be changed once only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// Conditions, judged against one state.
    pub compares: Vec<Compare>,
    /// Changes, made together under one revision.
    pub ops: Vec<Op>,
}

impl Txn {
    /// A transaction without conditions and changes.
    pub fn new() -> Txn {
        Txn::default()
    }

    /// Adds the condition that `key` was last written by `revision` (0: does not exist).
    #[must_use]
    pub fn when(mut self, key: &str, revision: u64) -> Txn {
        self.compares.push(Compare::Modified {
            key: key.to_owned(),
            revision,
        });
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn put(mut self, key: &str, value: impl Into<Vec<u8>>) -> Txn {
        self.ops.push(Op::Put {
            key: key.to_owned(),
            value: value.into(),
        });
        self
    }

    /// Adds a removal.
    #[must_use]
    pub fn delete(mut self, key: &str) -> Txn {
        self.ops.push(Op::Delete {
            key: key.to_owned(),
        });
        self
    }

    /// Refuses what no back end may accept, before anything is changed.
    fn check(&self) -> Result<(), StoreError> {
        let mut keys: Vec<&str> = self.ops.iter().map(Op::key).collect();
        keys.sort_unstable();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StoreError::DuplicateKey(pair[0].to_owned()));
        }
        if keys.first().is_some_and(|key| key.is_empty()) {
            return Err(StoreError::EmptyKey);
        }
        Ok(())
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnResult {
    /// All conditions held, and the changes are durable.
    pub succeeded: bool,
    /// Revision of the store afterwards. It has grown by one if anything was changed.
    pub revision: u64,
}

/// One key's part in a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: String,
    /// The new value; `None`: the key was deleted.
    pub value: Option<Vec<u8>>,
}

/// Everything that one transaction changed, in the order of its operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transaction's revision.
    pub revision: u64,
    /// Never empty.
    pub events: Vec<Event>,
}

/// Part of the history, see [`Store::changes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Ascending by revision; only events whose key has the prefix.
    pub changes: Vec<Change>,
    /// Everything up to and with this revision has been looked at.
    pub through: u64,
}

/// A revisioned key-value store. Calls are short but may wait for a disk: asynchronous callers
/// use a blocking thread for [`Store::txn`].
pub trait Store: Send + Sync {
    /// Number of transactions that changed something; 0: never written.
    fn revision(&self) -> Result<u64, StoreError>;

    /// The key, if it exists.
    fn get(&self, key: &str) -> Result<Option<KeyValue>, StoreError>;

    /// All keys that begin with `prefix`, in byte order, and the revision that they are from.
    fn range(&self, prefix: &str) -> Result<(Vec<KeyValue>, u64), StoreError>;

    /// Runs a transaction. When it returns, the changes survive a crash.
    fn txn(&self, txn: &Txn) -> Result<TxnResult, StoreError>;

    /// Changes under `prefix` from revision `from` on, looking at no more than `limit` revisions.
    fn changes(&self, prefix: &str, from: u64, limit: usize) -> Result<History, StoreError>;

    /// Forgets the history up to and with `revision`. Keys and values stay.
    fn compact(&self, revision: u64) -> Result<(), StoreError>;

    /// The newest revision, for waiting until there is a newer one.
    fn subscribe(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// What can go wrong with a store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// History that a reader asked for is gone; it must read the range again.
    #[error("history from revision {requested} was compacted, the oldest is {oldest}")]
    Compacted {
        /// First revision that was asked for.
        requested: u64,
        /// First revision that is there.
        oldest: u64,
    },
    /// Compaction up to a revision that does not exist yet.
    #[error("revision {requested} is in the future, the store is at {revision}")]
    Future {
        /// Revision that was asked for.
        requested: u64,
        /// Newest revision.
        revision: u64,
    },
    /// A key without a character.
    #[error("a key must not be empty")]
    EmptyKey,
    /// One transaction changes one key twice.
    #[error("key {0:?} is changed twice in one transaction")]
    DuplicateKey(String),
    /// Another process holds the file.
    #[error("{}: another process has this store open; stop it or give another --data", .0.display())]
    InUse(PathBuf),
    /// Written by another version of this program.
    #[error("{}: store has format {found}, this program reads {expected}", .path.display())]
    Format {
        /// The store's file.
        path: PathBuf,
        /// What it says.
        found: u64,
        /// What it should say.
        expected: u64,
    },
    /// The file cannot be opened or is no store.
    #[error("{}: cannot open the store", .path.display())]
    Open {
        /// The store's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reading or writing failed; the state before the call is intact.
    #[error("the store's storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}
