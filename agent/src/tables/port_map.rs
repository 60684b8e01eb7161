//! `port_map`: what each port of the NIC is. A port without an entry carries nothing.

use flownic_pipeline::entity::TableEntry;

use super::entry::{ActionRef, Field, TableRef, Unreadable};
use super::names::{Match, Mismatch, Names};

/// Port number of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// 0–15 uplinks, 16–271 VFs.
    pub port: u16,
}

/// Role of the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A wire to the underlay.
    Uplink,
    /// A virtual function.
    Vf,
}

/// The table's ids.
#[derive(Debug)]
pub struct PortMap {
    table: TableRef,
    port: Field,
    uplink: ActionRef,
    vf: ActionRef,
}

impl super::Table for PortMap {
    type Key = Key;
    type Action = Action;

    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let table = names.table("port_map")?;
        Ok(PortMap {
            port: table.field("meta.ingress_port", 16, Match::Exact)?,
            uplink: table.action("uplink", &[])?,
            vf: table.action("vf", &[])?,
            table: table.reference(),
        })
    }

    fn id(&self) -> u32 {
        self.table.id
    }

    fn encode(&self, key: &Key, action: &Action) -> TableEntry {
        let action = match action {
            Action::Uplink => &self.uplink,
            Action::Vf => &self.vf,
        };
        self.table
            .entry(vec![self.port.exact(key.port)], action.with(Vec::new()))
    }

    fn read_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        let port = self.table.exact(entry, &self.port)?;
        Ok(Key { port })
    }

    fn read_action(&self, entry: &TableEntry) -> Result<Action, Unreadable> {
        match self.table.action(entry)? {
            action if action.id == self.uplink.id => Ok(Action::Uplink),
            action if action.id == self.vf.id => Ok(Action::Vf),
            other => Err(self.table.unknown_action(other)),
        }
    }
}
