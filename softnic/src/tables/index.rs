//! Look-up structures. They hold slots (positions in the table's list of entries), never keys.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::schema::{FieldSchema, MatchKind, TableSchema};
use super::table::{Entries, Entry};

/// Position in a table's list of entries.
pub(crate) type Slot = u32;

/// Finds the entry that a packet's key matches.
#[derive(Debug, Clone)]
pub(crate) enum Index {
    /// Exact, or exact and one longest-prefix field.
    Prefixes(Prefixes),
    /// Anything with priorities.
    Ordered(Ordered),
}

impl Index {
    /// An empty index for a table.
    pub(crate) fn new(schema: &TableSchema) -> Index {
        if schema.needs_priority() {
            Index::Ordered(Ordered::default())
        } else {
            let lpm = schema.lpm_field();
            Index::Prefixes(Prefixes {
                lpm: lpm.map(|field| (field.at, field.width)),
                groups: Vec::new(),
                hasher: DefaultHashBuilder::default(),
            })
        }
    }

    /// The entry that matches a key. Overwrites the key.
    pub(crate) fn find(
        &self,
        schema: &TableSchema,
        entries: &Entries,
        key: &mut [u8],
    ) -> Option<Slot> {
        match self {
            Index::Prefixes(index) => index.find(entries, key),
            Index::Ordered(index) => index.find(&schema.fields, entries, key),
        }
    }

    /// The entry with the same restrictions (and priority), for writes.
    pub(crate) fn same(&self, entries: &Entries, entry: &Entry) -> Option<Slot> {
        match self {
            Index::Prefixes(index) => index.same(entries, entry),
            Index::Ordered(index) => index.same(entries, entry),
        }
    }

    /// Adds an entry that is not there yet.
    pub(crate) fn insert(&mut self, entries: &Entries, slot: Slot) {
        match self {
            Index::Prefixes(index) => index.insert(entries, slot),
            Index::Ordered(index) => index.insert(entries, slot),
        }
    }

    /// Takes an entry out; it is still in `entries`.
    pub(crate) fn remove(&mut self, entries: &Entries, slot: Slot) {
        match self {
            Index::Prefixes(index) => index.remove(entries, slot),
            Index::Ordered(index) => index.remove(entries, slot),
        }
    }
}

/// One hash table for each prefix length, longest first; a single one without a prefix field.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes {
    /// First byte and width of the prefix field.
    lpm: Option<(usize, u32)>,
    groups: Vec<(u32, HashTable<Slot>)>,
    hasher: DefaultHashBuilder,
}

impl Prefixes {
    fn find(&self, entries: &Entries, key: &mut [u8]) -> Option<Slot> {
        for (prefix, group) in &self.groups {
            if let Some((at, width)) = self.lpm {
                mask_prefix(&mut key[at..], width, *prefix);
            }
            let hash = self.hasher.hash_one(&*key);
            if let Some(&slot) = group.find(hash, |&slot| *entries.get(slot).key == *key) {
                return Some(slot);
            }
        }
        None
    }

    fn same(&self, entries: &Entries, entry: &Entry) -> Option<Slot> {
        let group = self.groups.iter().find(|group| group.0 == entry.prefix)?;
        let hash = self.hasher.hash_one(&*entry.key);
        group
            .1
            .find(hash, |&slot| entries.get(slot).key == entry.key)
            .copied()
    }

    fn insert(&mut self, entries: &Entries, slot: Slot) {
        let prefix = entries.get(slot).prefix;
        let at = match self.groups.binary_search_by(|group| prefix.cmp(&group.0)) {
            Ok(at) => at,
            Err(at) => {
                self.groups.insert(at, (prefix, HashTable::new()));
                at
            }
        };
        let hash = self.hasher.hash_one(&*entries.get(slot).key);
        let hasher = &self.hasher;
        self.groups[at]
            .1
            .insert_unique(hash, slot, |&slot| hasher.hash_one(&*entries.get(slot).key));
    }

    fn remove(&mut self, entries: &Entries, slot: Slot) {
        let entry = entries.get(slot);
        let Some(at) = self.groups.iter().position(|group| group.0 == entry.prefix) else {
            return;
        };
        let hash = self.hasher.hash_one(&*entry.key);
        if let Ok(found) = self.groups[at].1.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        if self.groups[at].1.is_empty() && self.lpm.is_some() {
            self.groups.remove(at);
        }
    }
}

/// A list, highest priority first; the oldest first among equals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ordered {
    order: Vec<Slot>,
    /// By restrictions and priority, for writes.
    exact: HashTable<Slot>,
    hasher: DefaultHashBuilder,
}

impl Ordered {
    fn find(&self, fields: &[FieldSchema], entries: &Entries, key: &[u8]) -> Option<Slot> {
        self.order
            .iter()
            .copied()
            .find(|&slot| matches(fields, entries.get(slot), key))
    }

    fn hash(&self, entry: &Entry) -> u64 {
        self.hasher
            .hash_one((&*entry.key, &*entry.second, entry.priority))
    }

    fn same(&self, entries: &Entries, entry: &Entry) -> Option<Slot> {
        let same = |&slot: &Slot| {
            let other = entries.get(slot);
            other.key == entry.key
                && other.second == entry.second
                && other.priority == entry.priority
        };
        self.exact.find(self.hash(entry), same).copied()
    }

    fn insert(&mut self, entries: &Entries, slot: Slot) {
        let entry = entries.get(slot);
        let at = self
            .order
            .partition_point(|&other| entries.get(other).priority >= entry.priority);
        self.order.insert(at, slot);
        let hasher = &self.hasher;
        let hash = |entry: &Entry| hasher.hash_one((&*entry.key, &*entry.second, entry.priority));
        self.exact
            .insert_unique(hash(entry), slot, |&slot| hash(entries.get(slot)));
    }

    fn remove(&mut self, entries: &Entries, slot: Slot) {
        self.order.retain(|&other| other != slot);
        let hash = self.hash(entries.get(slot));
        if let Ok(found) = self.exact.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
    }
}

/// Whether a key satisfies every field of an entry with priority.
fn matches(fields: &[FieldSchema], entry: &Entry, key: &[u8]) -> bool {
    fields.iter().all(|field| {
        let range = field.at..field.at + field.bytes();
        let (value, second) = (&entry.key[range.clone()], &entry.second[range.clone()]);
        let key = &key[range];
        match field.kind {
            MatchKind::Range => value <= key && key <= second,
            _ => key
                .iter()
                .zip(second)
                .zip(value)
                .all(|((key, mask), value)| key & mask == *value),
        }
    })
}

/// Clears what follows a prefix in a right-aligned value of `width` bits.
pub(crate) fn mask_prefix(value: &mut [u8], width: u32, prefix: u32) {
    let bytes = width.div_ceil(8) as usize;
    // Bits above the value count as part of the prefix.
    let keep = (bytes as u32 * 8 - width + prefix) as usize;
    for (at, byte) in value[..bytes].iter_mut().enumerate() {
        let first = at * 8;
        if first >= keep {
            *byte = 0;
        } else if keep - first < 8 {
            *byte &= !(0xff >> (keep - first));
        }
    }
}
