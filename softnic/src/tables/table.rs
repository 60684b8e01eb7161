//! A table with its entries.

use flownic_pipeline::entity::{Code, CounterData, UpdateError};

use super::index::{Index, Slot};
use super::schema::TableSchema;

/// A checked entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Values of all fields, each padded to whole bytes; low bounds for ranges.
    pub(crate) key: Box<[u8]>,
    /// In tables with priorities: masks, high bounds for ranges. Otherwise empty.
    pub(crate) second: Box<[u8]>,
    /// Length of the prefix in a table with a longest-prefix field and no priorities.
    pub(crate) prefix: u32,
    pub(crate) priority: i32,
    /// Index in the table's list of actions.
    pub(crate) action: u16,
    /// Parameters.
    pub(crate) data: Box<[u8]>,
    pub(crate) counter: CounterData,
}

/// All entries of a table, by slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    slots: Vec<Option<Entry>>,
    free: Vec<Slot>,
}

impl Entries {
    /// The entry of a slot that is in use.
    pub(crate) fn get(&self, slot: Slot) -> &Entry {
        match &self.slots[slot as usize] {
            Some(entry) => entry,
            None => unreachable!("the index holds slots in use only"),
        }
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn add(&mut self, entry: Entry) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(entry);
            slot
        } else {
            self.slots.push(Some(entry));
            (self.slots.len() - 1) as Slot
        }
    }

    fn take(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(entry)
    }
}

/// The action that runs when nothing matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefaultEntry {
    /// Index in the table's list of actions; `None`: nothing is done.
    pub(crate) action: Option<u16>,
    pub(crate) data: Box<[u8]>,
    pub(crate) counter: CounterData,
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) schema: TableSchema,
    entries: Entries,
    index: Index,
    pub(crate) default: DefaultEntry,
    /// What a reset of the default entry goes back to.
    initial_default: DefaultEntry,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(schema: TableSchema, default: DefaultEntry) -> Table {
        Table {
            index: Index::new(&schema),
            entries: Entries::default(),
            initial_default: default.clone(),
            default,
            schema,
        }
    }

    /// The entry that a packet's key matches. Overwrites the key.
    pub(crate) fn find(&self, key: &mut [u8]) -> Option<Slot> {
        if self.entries.len() == 0 || key.is_empty() {
            return None;
        }
        self.index.find(&self.schema, &self.entries, key)
    }

    /// The entry of a slot that `find` gave.
    pub(crate) fn entry(&self, slot: Slot) -> &Entry {
        self.entries.get(slot)
    }

    /// Counts a packet on an entry, or on the default entry.
    pub(crate) fn count(&mut self, slot: Option<Slot>, bytes: u64) {
        let counter = match slot {
            Some(slot) => self.entries.get_mut(slot).map(|entry| &mut entry.counter),
            None => Some(&mut self.default.counter),
        };
        if let Some(counter) = counter {
            counter.packets = counter.packets.wrapping_add(1);
            counter.bytes = counter.bytes.wrapping_add(bytes);
        }
    }

    /// Number of entries.
    pub(crate) fn used(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Entries from slot `cursor` on, with their slots.
    pub(crate) fn entries_from(&self, cursor: usize) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries
            .slots
            .iter()
            .enumerate()
            .skip(cursor)
            .filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    /// Adds an entry.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<(), UpdateError> {
        if self.index.same(&self.entries, &entry).is_some() {
            return Err(self.error(Code::AlreadyExists, "the entry is there already"));
        }
        let used = self.used();
        if used >= self.schema.size {
            let size = self.schema.size;
            let what = format!("full: {used} of {size} entries are used");
            return Err(self.error(Code::ResourceExhausted, what));
        }
        let slot = self.entries.add(entry);
        self.index.insert(&self.entries, slot);
        Ok(())
    }

    /// Replaces action and data (and the counter, if given) of an entry; gives what it was.
    pub(crate) fn modify(
        &mut self,
        entry: Entry,
        counter: Option<CounterData>,
    ) -> Result<Entry, UpdateError> {
        let old = self
            .index
            .same(&self.entries, &entry)
            .and_then(|slot| self.entries.get_mut(slot));
        let Some(old) = old else {
            return Err(self.error(Code::NotFound, "no such entry"));
        };
        let before = old.clone();
        old.action = entry.action;
        old.data = entry.data;
        if let Some(counter) = counter {
            old.counter = counter;
        }
        Ok(before)
    }

    /// Takes an entry out.
    pub(crate) fn delete(&mut self, entry: &Entry) -> Result<Entry, UpdateError> {
        let Some(slot) = self.index.same(&self.entries, entry) else {
            return Err(self.error(Code::NotFound, "no such entry"));
        };
        self.index.remove(&self.entries, slot);
        match self.entries.take(slot) {
            Some(entry) => Ok(entry),
            None => Err(self.error(Code::Internal, "index and entries disagree")),
        }
    }

    /// Writes the default entry; `None` resets it. Gives what it was.
    pub(crate) fn set_default(&mut self, entry: Option<DefaultEntry>) -> DefaultEntry {
        let entry = entry.unwrap_or_else(|| self.initial_default.clone());
        std::mem::replace(&mut self.default, entry)
    }

    /// An error about this table.
    pub(crate) fn error(&self, code: Code, what: impl std::fmt::Display) -> UpdateError {
        UpdateError {
            code,
            message: format!("table {}: {what}", self.schema.name),
        }
    }
}
