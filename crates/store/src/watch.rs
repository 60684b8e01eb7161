//! Watching a prefix: first the history, then what comes.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch::Receiver;

use crate::{Change, Store, StoreError};

/// Revisions that are read from the history at once.
const PAGE: usize = 256;

/// Changes under a prefix, in order, none twice, none left out.
///
/// The history itself is the queue: a slow watcher holds a number, not a buffer, and costs the
/// store nothing. When the history is compacted below that number, it is told so.
pub struct Watch {
    store: Arc<dyn Store>,
    prefix: String,
    next: u64,
    pending: VecDeque<Change>,
    newest: Receiver<u64>,
}

impl Watch {
    /// Watches keys that begin with `prefix` from revision `from` on. A revision that is not there
    /// yet is waited for.
    pub fn new(store: Arc<dyn Store>, prefix: &str, from: u64) -> Watch {
        let newest = store.subscribe();
        Watch {
            store,
            prefix: prefix.to_owned(),
            next: from,
            pending: VecDeque::new(),
            newest,
        }
    }

    /// The next change. Waits for one; cancel-safe.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the next change is no longer known, or a storage failure.
    pub async fn next(&mut self) -> Result<Change, StoreError> {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Ok(change);
            }
            // Seen before the history is read: what is written in between wakes us again.
            let newest = *self.newest.borrow_and_update();
            let history = self.store.changes(&self.prefix, self.next, PAGE)?;
            self.next = self.next.max(history.through + 1);
            self.pending.extend(history.changes);
            if self.pending.is_empty() && self.next > newest {
                // The sender lives in `self.store`, so it cannot be gone.
                let _ = self.newest.changed().await;
            }
        }
    }
}
