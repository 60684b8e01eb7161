//! One pipeline: program, tables and extern state.

use std::time::Duration;

use flownic_pipeline::entity::{Atomicity, Code, CounterData, TableEntry, Update, UpdateError};
use flownic_pipeline::p4info::P4Info;

use crate::exec::externs::Externs;
use crate::exec::packet::{Room, Run};
use crate::exec::replication::Replication;
use crate::load::{self, LoadError};
use crate::program::Program;
use crate::tables::write::{Directory, Target, register_value};
use crate::tables::{Table, validate};

/// Choices that are not in the program.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Sizes of tables in place of the program's: full name and number of entries.
    pub table_sizes: Vec<(String, u64)>,
}

/// What became of packets, beside what the program itself counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Packets given to `process`.
    pub packets_in: u64,
    /// Packets that left.
    pub packets_out: u64,
    /// Dropped by the program at the end of ingress.
    pub dropped_ingress: u64,
    /// Dropped by the program at the end of egress.
    pub dropped_egress: u64,
    /// An `assert` or `assume` did not hold.
    pub dropped_assert: u64,
    /// The parser did not end, or a packet was recirculated for ever.
    pub dropped_loop: u64,
    /// To a multicast group without members.
    pub dropped_group: u64,
    /// Digests that nobody could subscribe to.
    pub digests_unread: u64,
}

/// A loaded pipeline. Not shared between threads: whoever owns it runs packets and writes tables.
pub struct Engine {
    program: Program,
    p4info: P4Info,
    directory: Directory,
    tables: Vec<Table>,
    externs: Externs,
    replication: Replication,
    statistics: Statistics,
    room: Room,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("tables", &self.tables.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads bmv2 JSON, from our compiler or the reference one, with the P4Info of the same
    /// program.
    ///
    /// # Errors
    /// When the JSON is not consistent in itself or with the P4Info, or needs what this target
    /// does not have: what, and where in the JSON.
    pub fn load(json: &[u8], p4info: P4Info, options: &Options) -> Result<Engine, LoadError> {
        let load::Loaded {
            program,
            tables,
            directory,
        } = load::load(json, &p4info, options)?;
        let externs = Externs::new(&program.registers, &program.counters);
        let room = Room::new(&program);
        Ok(Engine {
            program,
            p4info,
            directory,
            tables,
            externs,
            replication: Replication::default(),
            statistics: Statistics::default(),
            room,
        })
    }

    /// Runs one packet, and all copies that come of it, to completion; `out` is called with port
    /// and bytes of each packet that leaves. `now` is the time since the start.
    pub fn process(
        &mut self,
        port: u16,
        packet: &[u8],
        now: Duration,
        out: &mut impl FnMut(u16, &[u8]),
    ) {
        self.statistics.packets_in += 1;
        Run {
            program: &self.program,
            tables: &mut self.tables,
            externs: &mut self.externs,
            replication: &self.replication,
            statistics: &mut self.statistics,
            room: &mut self.room,
            now,
        }
        .packet(port, packet, out);
    }

    /// The P4Info that the pipeline was loaded with.
    pub fn p4info(&self) -> &P4Info {
        &self.p4info
    }

    /// Does all updates in order; one result for each. In the two atomic classes a failure leaves
    /// nothing changed, and the other updates are `Code::Aborted`.
    pub fn write(
        &mut self,
        updates: &[Update],
        atomicity: Atomicity,
    ) -> Vec<Result<(), UpdateError>> {
        Target {
            directory: &self.directory,
            tables: &mut self.tables,
            externs: &mut self.externs,
        }
        .write(updates, atomicity)
    }

    /// Entries of a table from `cursor` on (0 at first), at most `limit`; and the next cursor,
    /// `None` after the last entry. Complete as long as the table is not written meanwhile. The
    /// default entry is not among them.
    ///
    /// # Errors
    /// `NotFound`: there is no such table.
    pub fn read_table(
        &self,
        table: u32,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<TableEntry>, Option<u64>), UpdateError> {
        let table = self.table(table)?;
        let mut rest = table.entries_from(usize::try_from(cursor).unwrap_or(usize::MAX));
        let entries = rest
            .by_ref()
            .take(limit)
            .map(|(_, entry)| validate::to_runtime(&table.schema, entry))
            .collect();
        Ok((entries, rest.next().map(|(slot, _)| slot as u64)))
    }

    /// The default entry of a table.
    ///
    /// # Errors
    /// `NotFound`: there is no such table.
    pub fn read_default_entry(&self, table: u32) -> Result<TableEntry, UpdateError> {
        let table = self.table(table)?;
        Ok(validate::default_to_runtime(&table.schema, &table.default))
    }

    /// Values of `count` cells from `first` on; fewer at the end of the register.
    ///
    /// # Errors
    /// `NotFound`: there is no such register.
    pub fn read_registers(
        &self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, UpdateError> {
        let index = Directory::find(&self.directory.registers, register)
            .ok_or_else(|| not_found("register", register))?;
        let end = first
            .saturating_add(count)
            .min(self.externs.register_size(index));
        Ok((first..end)
            .map(|cell| register_value(&self.externs, index, cell))
            .collect())
    }

    /// Values of `count` cells from `first` on; fewer at the end of the counter.
    ///
    /// # Errors
    /// `NotFound`: there is no such counter.
    pub fn read_counters(
        &self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, UpdateError> {
        let index = Directory::find(&self.directory.counters, counter)
            .ok_or_else(|| not_found("counter", counter))?;
        let cells = self.externs.counter(index).iter();
        Ok(cells
            .skip(first as usize)
            .take(count as usize)
            .copied()
            .collect())
    }

    /// P4Info id, number of entries and size of every table that the control plane can see.
    pub fn table_use(&self) -> Vec<(u32, u64, u64)> {
        let visible = self.tables.iter().filter(|table| table.schema.id != 0);
        visible
            .map(|table| (table.schema.id, table.used(), table.schema.size))
            .collect()
    }

    /// What became of packets.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Multicast groups and clone sessions; empty at first.
    pub fn replication_mut(&mut self) -> &mut Replication {
        &mut self.replication
    }

    fn table(&self, id: u32) -> Result<&Table, UpdateError> {
        let index = Directory::find(&self.directory.tables, id);
        index
            .map(|index| &self.tables[usize::from(index)])
            .ok_or_else(|| not_found("table", id))
    }
}

fn not_found(kind: &str, id: u32) -> UpdateError {
    UpdateError {
        code: Code::NotFound,
        message: format!("there is no {kind} {id:#x}"),
    }
}
