//! The tables and registers of a NIC in memory, as strict as a NIC: inserts of what is there,
//! changes of what is not there and entries beyond a table's size are refused.

use std::collections::BTreeMap;

use flownic_agent::state::NicContents;
use flownic_pipeline::entity::{
    Code, Entity, FieldMatch, TableEntry, Update, UpdateError, UpdateKind, canonical,
};
use flownic_pipeline::p4info::P4Info;

type Key = (u32, String);

/// Content of a NIC.
#[derive(Debug, Clone)]
pub struct Store {
    p4info: P4Info,
    entries: BTreeMap<Key, TableEntry>,
    registers: BTreeMap<(u32, u32), Vec<u8>>,
    sizes: BTreeMap<u32, u64>,
    /// Updates carried out.
    pub updates: u64,
}

fn key(entry: &TableEntry) -> Key {
    let mut matches: Vec<&FieldMatch> = entry.matches.iter().collect();
    matches.sort_by_key(|field| field.field);
    (entry.table, format!("{matches:?}"))
}

fn refused(code: Code, message: impl Into<String>) -> UpdateError {
    UpdateError {
        code,
        message: message.into(),
    }
}

impl Store {
    pub fn new(p4info: P4Info) -> Self {
        let sizes = p4info.tables.iter().map(|t| (t.preamble.id, t.size as u64));
        Store {
            sizes: sizes.collect(),
            entries: BTreeMap::new(),
            registers: BTreeMap::new(),
            updates: 0,
            p4info,
        }
    }

    /// Makes a table smaller.
    pub fn resize(&mut self, table: &str, size: u64) {
        let id = self.table_id(table);
        self.sizes.insert(id, size);
    }

    pub fn table_id(&self, table: &str) -> u32 {
        self.p4info
            .table(table)
            .expect("the table is there")
            .preamble
            .id
    }

    pub fn apply(&mut self, update: &Update) -> Result<(), UpdateError> {
        match &update.entity {
            Entity::TableEntry(entry) => self.apply_entry(update.kind, entry)?,
            Entity::Register {
                register,
                index,
                value,
            } => {
                let spec = self
                    .p4info
                    .register_by_id(*register)
                    .expect("known register");
                assert!(*index < spec.size, "cell {index} is out of range");
                assert_eq!(update.kind, UpdateKind::Modify);
                match canonical(value) {
                    [0] => self.registers.remove(&(*register, *index)),
                    value => self.registers.insert((*register, *index), value.to_vec()),
                };
            }
            Entity::Counter { .. } => panic!("the agent writes no counters"),
        }
        self.updates += 1;
        Ok(())
    }

    fn apply_entry(&mut self, kind: UpdateKind, entry: &TableEntry) -> Result<(), UpdateError> {
        let table = self.p4info.table_by_id(entry.table);
        let Some(table) = table else {
            return Err(refused(Code::NotFound, format!("no table {}", entry.table)));
        };
        let name = table.preamble.alias.clone();
        if let Some(action) = &entry.action {
            let action_spec = self.p4info.action_by_id(action.id).expect("known action");
            assert!(
                table.action_refs.iter().any(|r| r.id == action.id),
                "{entry:?}"
            );
            assert_eq!(action.params.len(), action_spec.params.len(), "{entry:?}");
        }
        let there = self.entries.contains_key(&key(entry));
        match kind {
            UpdateKind::Insert if there => {
                return Err(refused(Code::AlreadyExists, format!("{name}: is there")));
            }
            UpdateKind::Modify | UpdateKind::Delete if !there => {
                return Err(refused(Code::NotFound, format!("{name}: is not there")));
            }
            UpdateKind::Insert => {
                let used = self.in_table(entry.table).count() as u64;
                if used >= self.sizes[&entry.table] {
                    return Err(refused(Code::ResourceExhausted, format!("{name}: full")));
                }
                self.entries.insert(key(entry), entry.clone());
            }
            UpdateKind::Modify => {
                self.entries.insert(key(entry), entry.clone());
            }
            UpdateKind::Delete => {
                self.entries.remove(&key(entry));
            }
        }
        Ok(())
    }

    pub fn in_table(&self, table: u32) -> impl Iterator<Item = &TableEntry> {
        let entries = self
            .entries
            .range((table, String::new())..(table + 1, String::new()));
        entries.map(|(_, entry)| entry)
    }

    pub fn table(&self, name: &str) -> Vec<TableEntry> {
        self.in_table(self.table_id(name)).cloned().collect()
    }

    /// Entries of all tables, in a fixed order.
    pub fn entries(&self) -> Vec<TableEntry> {
        self.entries.values().cloned().collect()
    }

    pub fn registers(&self) -> &BTreeMap<(u32, u32), Vec<u8>> {
        &self.registers
    }

    /// What an agent reads back.
    pub fn contents(&self) -> NicContents {
        let registers = self.registers.iter();
        NicContents {
            entries: self.entries(),
            registers: registers.map(|(&(r, i), v)| (r, i, v.clone())).collect(),
        }
    }

    /// Empty, as after a power cycle.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.registers.clear();
    }
}
