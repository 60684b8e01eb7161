//! Batches of writes (P4Runtime specification 1.4, section 12.2). One thread runs packets and
//! writes, so that a packet sees a batch wholly or not at all, whatever its class is.

use flownic_pipeline::entity::{
    Atomicity, Code, CounterData, Entity, Update, UpdateError, UpdateKind,
};

use super::table::{DefaultEntry, Entry, Table};
use super::validate::{self, Purpose};
use crate::exec::externs::Externs;

/// P4Info ids of the objects that can be written, sorted by id: id and index in the program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) tables: Vec<(u32, u16)>,
    pub(crate) registers: Vec<(u32, u16)>,
    pub(crate) counters: Vec<(u32, u16)>,
}

impl Directory {
    /// Index of the object of an id.
    pub(crate) fn find(list: &[(u32, u16)], id: u32) -> Option<u16> {
        let at = list.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        Some(list[at].1)
    }

    /// Puts the lists in order.
    pub(crate) fn sort(&mut self) {
        for list in [&mut self.tables, &mut self.registers, &mut self.counters] {
            list.sort_unstable();
        }
    }
}

/// How to take back one update.
enum Undo {
    Remove(u16, Entry),
    Add(u16, Box<Entry>),
    Restore(u16, Box<Entry>),
    Default(u16, Box<DefaultEntry>),
    Register(u16, u32, Vec<u8>),
    Counter(u16, u32, CounterData),
}

/// What a batch writes to.
pub(crate) struct Target<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) tables: &'a mut [Table],
    pub(crate) externs: &'a mut Externs,
}

impl Target<'_> {
    /// Does all updates in order; one result for each.
    pub(crate) fn write(
        &mut self,
        updates: &[Update],
        atomicity: Atomicity,
    ) -> Vec<Result<(), UpdateError>> {
        let mut results = Vec::with_capacity(updates.len());
        let mut log = Vec::new();
        for update in updates {
            match self.update(update) {
                Ok(undo) => {
                    log.push(undo);
                    results.push(Ok(()));
                }
                Err(error) if atomicity == Atomicity::ContinueOnError => results.push(Err(error)),
                Err(error) => {
                    self.roll_back(log);
                    return aborted(updates.len(), results.len(), error);
                }
            }
        }
        results
    }

    fn roll_back(&mut self, log: Vec<Undo>) {
        for undo in log.into_iter().rev() {
            // Undoing restores what was there before: there is room and a place for it.
            match undo {
                Undo::Remove(table, entry) => drop(self.tables[usize::from(table)].delete(&entry)),
                Undo::Add(table, entry) => drop(self.tables[usize::from(table)].insert(*entry)),
                Undo::Restore(table, entry) => {
                    let counter = entry.counter;
                    drop(self.tables[usize::from(table)].modify(*entry, Some(counter)));
                }
                Undo::Default(table, entry) => {
                    self.tables[usize::from(table)].set_default(Some(*entry));
                }
                Undo::Register(register, index, bytes) => {
                    if let Some((cell, _)) = self.externs.register_cell(register, index) {
                        cell.copy_from_slice(&bytes);
                    }
                }
                Undo::Counter(counter, index, data) => {
                    if let Some(cell) = self.externs.counter_cell(counter, index) {
                        *cell = data;
                    }
                }
            }
        }
    }

    fn update(&mut self, update: &Update) -> Result<Undo, UpdateError> {
        match &update.entity {
            Entity::TableEntry(entry) => {
                let id = entry.table;
                let table = Directory::find(&self.directory.tables, id)
                    .ok_or_else(|| error(Code::NotFound, format!("there is no table {id:#x}")))?;
                self.table_entry(table, update.kind, entry)
            }
            Entity::Register {
                register: id,
                index,
                value,
            } => {
                let register =
                    Directory::find(&self.directory.registers, *id).ok_or_else(|| {
                        error(Code::NotFound, format!("there is no register {id:#x}"))
                    })?;
                modify_only(update.kind, "registers")?;
                self.register(register, *index, value)
            }
            Entity::Counter {
                counter: id,
                index,
                data,
            } => {
                let counter = Directory::find(&self.directory.counters, *id)
                    .ok_or_else(|| error(Code::NotFound, format!("there is no counter {id:#x}")))?;
                modify_only(update.kind, "counters")?;
                let size = self.externs.counter(counter).len();
                let Some(cell) = self.externs.counter_cell(counter, *index) else {
                    let what =
                        format!("counter {id:#x} has {size} cells, there is no cell {index}");
                    return Err(error(Code::InvalidArgument, what));
                };
                Ok(Undo::Counter(
                    counter,
                    *index,
                    std::mem::replace(cell, *data),
                ))
            }
        }
    }

    fn table_entry(
        &mut self,
        id: u16,
        kind: UpdateKind,
        entry: &flownic_pipeline::entity::TableEntry,
    ) -> Result<Undo, UpdateError> {
        let table = &mut self.tables[usize::from(id)];
        if entry.is_default {
            if kind != UpdateKind::Modify {
                let what = "a default entry is always there: it can be modified only";
                return Err(table.error(Code::InvalidArgument, what));
            }
            let new = validate::default_entry(&table.schema, entry)?;
            return Ok(Undo::Default(id, Box::new(table.set_default(new))));
        }
        match kind {
            UpdateKind::Insert => {
                let checked = validate::entry(&table.schema, entry, Purpose::Write)?;
                table.insert(checked.clone())?;
                Ok(Undo::Remove(id, checked))
            }
            UpdateKind::Modify => {
                let checked = validate::entry(&table.schema, entry, Purpose::Write)?;
                let old = table.modify(checked, entry.counter)?;
                Ok(Undo::Restore(id, Box::new(old)))
            }
            UpdateKind::Delete => {
                let checked = validate::entry(&table.schema, entry, Purpose::Delete)?;
                Ok(Undo::Add(id, Box::new(table.delete(&checked)?)))
            }
        }
    }

    fn register(&mut self, register: u16, index: u32, value: &[u8]) -> Result<Undo, UpdateError> {
        let size = self.externs.register_size(register);
        let Some((cell, bits)) = self.externs.register_cell(register, index) else {
            let what = format!("the register has {size} cells, there is no cell {index}");
            return Err(error(Code::InvalidArgument, what));
        };
        let value = validate::value(value, bits.width).map_err(|problem| {
            error(
                Code::InvalidArgument,
                format!("register cell {index}: value {problem}"),
            )
        })?;
        let old = cell.to_vec();
        cell.copy_from_slice(&value);
        Ok(Undo::Register(register, index, old))
    }
}

/// Bytes of a register cell as a canonical value.
pub(crate) fn register_value(externs: &Externs, register: u16, index: u32) -> Vec<u8> {
    let (bytes, _) = externs.register_bytes(register, index);
    flownic_pipeline::entity::canonical(bytes).to_vec()
}

fn error(code: Code, message: String) -> UpdateError {
    UpdateError { code, message }
}

fn modify_only(kind: UpdateKind, what: &str) -> Result<(), UpdateError> {
    match kind {
        UpdateKind::Modify => Ok(()),
        _ => Err(error(
            Code::InvalidArgument,
            format!("{what} can be modified only"),
        )),
    }
}

/// Results of a batch that failed at one update and was taken back.
fn aborted(count: usize, failed: usize, error: UpdateError) -> Vec<Result<(), UpdateError>> {
    let message = format!("not done because update {failed} of the batch failed");
    let other = UpdateError {
        code: Code::Aborted,
        message,
    };
    let mut results = vec![Err(other); count];
    results[failed] = Err(error);
    results
}
