//! A store that forgets when the process ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::{Receiver, Sender};

use crate::{Change, Event, History, KeyValue, Op, Store, StoreError, Txn, TxnResult};

/// A store in memory, for tests and for services that need no restart.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
    newest: Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    revision: u64,
    compacted: u64,
    current: BTreeMap<String, KeyValue>,
    log: BTreeMap<u64, Vec<Event>>,
}

impl Memory {
    /// An empty store at revision 0.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics between two changes of the state, so it is whole even if poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, op: &Op, revision: u64) -> Option<Event> {
        match op {
            Op::Put { key, value } => {
                let created = self.current.get(key).map_or(revision, |old| old.created);
                let new = KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    created,
                    modified: revision,
                };
                self.current.insert(key.clone(), new);
                Some(Event {
                    key: key.clone(),
                    value: Some(value.clone()),
                })
            }
            Op::Delete { key } => {
                self.current.remove(key)?;
                Some(Event {
                    key: key.clone(),
                    value: None,
                })
            }
        }
    }
}

impl Store for Memory {
    fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.state().revision)
    }

    fn get(&self, key: &str) -> Result<Option<KeyValue>, StoreError> {
        Ok(self.state().current.get(key).cloned())
    }

    fn range(&self, prefix: &str) -> Result<(Vec<KeyValue>, u64), StoreError> {
        let state = self.state();
        let found = state
            .current
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, kv)| kv.clone())
            .collect();
        Ok((found, state.revision))
    }

    fn txn(&self, txn: &Txn) -> Result<TxnResult, StoreError> {
        txn.check()?;
        let mut state = self.state();
        if !txn
            .compares
            .iter()
            .all(|compare| compare.holds(state.current.get(compare.key())))
        {
            return Ok(TxnResult {
                succeeded: false,
                revision: state.revision,
            });
        }
        let revision = state.revision + 1;
        let events: Vec<Event> = txn
            .ops
            .iter()
            .filter_map(|op| state.apply(op, revision))
            .collect();
        if !events.is_empty() {
            state.revision = revision;
            state.log.insert(revision, events);
            self.newest.send_replace(revision);
        }
        Ok(TxnResult {
            succeeded: true,
            revision: state.revision,
        })
    }

    fn changes(&self, prefix: &str, from: u64, limit: usize) -> Result<History, StoreError> {
        let state = self.state();
        if from <= state.compacted {
            return Err(StoreError::Compacted {
                requested: from,
                oldest: state.compacted + 1,
            });
        }
        let mut history = History {
            changes: Vec::new(),
            through: state.revision,
        };
        for (looked_at, (&revision, events)) in state.log.range(from..).enumerate() {
            if looked_at == limit {
                history.through = revision - 1;
                break;
            }
            let events: Vec<Event> = events
                .iter()
                .filter(|event| event.key.starts_with(prefix))
                .cloned()
                .collect();
            if !events.is_empty() {
                history.changes.push(Change { revision, events });
            }
        }
        Ok(history)
    }

    fn compact(&self, revision: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        if revision > state.revision {
            return Err(StoreError::Future {
                requested: revision,
                revision: state.revision,
            });
        }
        state.compacted = state.compacted.max(revision);
        state.log = state.log.split_off(&(revision + 1));
        Ok(())
    }

    fn subscribe(&self) -> Receiver<u64> {
        self.newest.subscribe()
    }
}
