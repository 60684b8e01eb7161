//! A store in one file.
//!
//! ```text
//!   current   key                 → created, modified, value
//!   log       (revision, number)  → key, value or deleted
//!   meta      name                → number: format, revision, compacted
//! ```
//!
//! A transaction changes the three tables in one redb commit, which is durable when it returns
//! and which a crash undoes as a whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable, StorageBackend,
    TableDefinition, WriteTransaction,
};
use tokio::sync::watch::{Receiver, Sender};

use crate::{Change, Event, History, KeyValue, Op, Store, StoreError, Txn, TxnResult};

/// Key and value of one event, `None`: deleted.
type Logged = (&'static str, Option<&'static [u8]>);
type LogDefinition = TableDefinition<'static, (u64, u32), Logged>;

const CURRENT: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("current");
const LOG: LogDefinition = TableDefinition::new("log");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Format of the tables above.
const FORMAT: u64 = 1;

/// A store in one file, crash-safe at every write. One process at a time.
#[derive(Debug)]
pub struct Embedded {
    database: Database,
    newest: Sender<u64>,
}

impl Embedded {
    /// Opens the file, or creates it in a directory that exists.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Format`], or [`StoreError::Open`] when the file cannot
    /// be read or is no store.
    pub fn open(path: &Path) -> Result<Embedded, StoreError> {
        let fresh = !path.exists();
        let database = Database::create(path).map_err(|error| open_error(path, error))?;
        let store = Embedded::prepare(database, path)?;
        if fresh {
            sync_directory(path).map_err(|error| StoreError::Open {
                path: path.to_owned(),
                source: error.into(),
            })?;
        }
        Ok(store)
    }

    /// Opens a store that lies on something else than a file.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_backend(backend: impl StorageBackend) -> Result<Embedded, StoreError> {
        let path = PathBuf::from("backend");
        let database = Database::builder()
            .create_with_backend(backend)
            .map_err(|error| open_error(&path, error))?;
        Embedded::prepare(database, &path)
    }

    fn prepare(database: Database, path: &Path) -> Result<Embedded, StoreError> {
        let write = database.begin_write().map_err(storage)?;
        let (format, revision) = {
            write.open_table(CURRENT).map_err(storage)?;
            write.open_table(LOG).map_err(storage)?;
            let mut meta = write.open_table(META).map_err(storage)?;
            let format = meta
                .get("format")
                .map_err(storage)?
                .map(|found| found.value());
            if format.is_none() {
                meta.insert("format", FORMAT).map_err(storage)?;
            }
            (format.unwrap_or(FORMAT), number(&meta, "revision")?)
        };
        if format != FORMAT {
            write.abort().map_err(storage)?;
            return Err(StoreError::Format {
                path: path.to_owned(),
                found: format,
                expected: FORMAT,
            });
        }
        write.commit().map_err(storage)?;
        Ok(Embedded {
            database,
            newest: Sender::new(revision),
        })
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.database.begin_read().map_err(storage)
    }
}

impl Store for Embedded {
    fn revision(&self) -> Result<u64, StoreError> {
        number(&self.read()?.open_table(META).map_err(storage)?, "revision")
    }

    fn get(&self, key: &str) -> Result<Option<KeyValue>, StoreError> {
        find(&self.read()?.open_table(CURRENT).map_err(storage)?, key)
    }

    fn range(&self, prefix: &str) -> Result<(Vec<KeyValue>, u64), StoreError> {
        let read = self.read()?;
        let revision = number(&read.open_table(META).map_err(storage)?, "revision")?;
        let current = read.open_table(CURRENT).map_err(storage)?;
        let mut found = Vec::new();
        for entry in current.range(prefix..).map_err(storage)? {
            let (key, value) = entry.map_err(storage)?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push(key_value(key.value(), value.value()));
        }
        Ok((found, revision))
    }

    fn txn(&self, txn: &Txn) -> Result<TxnResult, StoreError> {
        txn.check()?;
        let write = self.database.begin_write().map_err(storage)?;
        let before = number(&write.open_table(META).map_err(storage)?, "revision")?;
        if !all_hold(&write, txn)? {
            write.abort().map_err(storage)?;
            return Ok(TxnResult {
                succeeded: false,
                revision: before,
            });
        }
        let revision = before + 1;
        if !apply(&write, txn, revision)? {
            write.abort().map_err(storage)?;
            return Ok(TxnResult {
                succeeded: true,
                revision: before,
            });
        }
        write.commit().map_err(storage)?;
        // Two writers may come here in the wrong order; the number only grows.
        self.newest.send_if_modified(|newest| {
            let newer = revision > *newest;
            *newest = revision.max(*newest);
            newer
        });
        Ok(TxnResult {
            succeeded: true,
            revision,
        })
    }

    fn changes(&self, prefix: &str, from: u64, limit: usize) -> Result<History, StoreError> {
        let read = self.read()?;
        let meta = read.open_table(META).map_err(storage)?;
        let compacted = number(&meta, "compacted")?;
        if from <= compacted {
            return Err(StoreError::Compacted {
                requested: from,
                oldest: compacted + 1,
            });
        }
        let log = read.open_table(LOG).map_err(storage)?;
        let newest = number(&meta, "revision")?;
        // Revisions have no gaps, so a page's end is known without looking.
        let through = from
            .saturating_add(limit as u64)
            .saturating_sub(1)
            .min(newest);
        let mut history = History {
            changes: Vec::new(),
            through,
        };
        for entry in log.range((from, 0)..).map_err(storage)? {
            let (position, entry) = entry.map_err(storage)?;
            let (revision, (key, value)) = (position.value().0, entry.value());
            if revision > through {
                break;
            }
            if !key.starts_with(prefix) {
                continue;
            }
            let event = Event {
                key: key.to_owned(),
                value: value.map(<[u8]>::to_vec),
            };
            match history.changes.last_mut() {
                Some(change) if change.revision == revision => change.events.push(event),
                _ => history.changes.push(Change {
                    revision,
                    events: vec![event],
                }),
            }
        }
        Ok(history)
    }

    fn compact(&self, revision: u64) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(storage)?;
        {
            let mut meta = write.open_table(META).map_err(storage)?;
            let newest = number(&meta, "revision")?;
            if revision > newest {
                return Err(StoreError::Future {
                    requested: revision,
                    revision: newest,
                });
            }
            let compacted = number(&meta, "compacted")?.max(revision);
            meta.insert("compacted", compacted).map_err(storage)?;
            let mut log = write.open_table(LOG).map_err(storage)?;
            log.retain_in(..(compacted + 1, 0), |_, _| false)
                .map_err(storage)?;
        }
        write.commit().map_err(storage)
    }

    fn subscribe(&self) -> Receiver<u64> {
        self.newest.subscribe()
    }
}

fn all_hold(write: &WriteTransaction, txn: &Txn) -> Result<bool, StoreError> {
    let current = write.open_table(CURRENT).map_err(storage)?;
    for compare in &txn.compares {
        if !compare.holds(find(&current, compare.key())?.as_ref()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether anything was changed.
fn apply(write: &WriteTransaction, txn: &Txn, revision: u64) -> Result<bool, StoreError> {
    let mut current = write.open_table(CURRENT).map_err(storage)?;
    let mut log = write.open_table(LOG).map_err(storage)?;
    let mut logged = 0;
    for op in &txn.ops {
        let value = match op {
            Op::Put { key, value } => {
                let created = find(&current, key)?.map_or(revision, |old| old.created);
                let new = (created, revision, &value[..]);
                current.insert(key.as_str(), new).map_err(storage)?;
                Some(&value[..])
            }
            Op::Delete { key } => {
                if current.remove(key.as_str()).map_err(storage)?.is_none() {
                    continue;
                }
                None
            }
        };
        log.insert((revision, logged), (op.key(), value))
            .map_err(storage)?;
        logged += 1;
    }
    if logged > 0 {
        let mut meta = write.open_table(META).map_err(storage)?;
        meta.insert("revision", revision).map_err(storage)?;
    }
    Ok(logged > 0)
}

fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, StoreError> {
    Ok(meta
        .get(name)
        .map_err(storage)?
        .map_or(0, |found| found.value()))
}

fn find(
    current: &impl ReadableTable<&'static str, (u64, u64, &'static [u8])>,
    key: &str,
) -> Result<Option<KeyValue>, StoreError> {
    let found = current.get(key).map_err(storage)?;
    Ok(found.map(|found| key_value(key, found.value())))
}

fn key_value(key: &str, (created, modified, value): (u64, u64, &[u8])) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: value.to_vec(),
        created,
        modified,
    }
}

fn storage(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Storage(error.into())
}

fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        other => StoreError::Open {
            path: path.to_owned(),
            source: other.into(),
        },
    }
}

/// A new file's name is durable only when its directory is.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
