//! `tunnel_termination`: this NIC's own tunnel ends. An entry permits.

use std::net::Ipv4Addr;

use flownic_pipeline::entity::TableEntry;

use super::entry::{ActionRef, Field, TableRef, Unreadable};
use super::names::{Match, Mismatch, Names};

/// Address of a tunnel end of this NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Underlay address.
    pub vtep: Ipv4Addr,
}

/// The table's ids.
#[derive(Debug)]
pub struct TunnelTermination {
    table: TableRef,
    vtep: Field,
    permit: ActionRef,
}

impl super::Table for TunnelTermination {
    type Key = Key;
    type Action = ();

    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let table = names.table("tunnel_termination")?;
        Ok(TunnelTermination {
            vtep: table.field("hdr.underlay_ipv4.dst", 32, Match::Exact)?,
            permit: table.action("NoAction", &[])?,
            table: table.reference(),
        })
    }

    fn id(&self) -> u32 {
        self.table.id
    }

    fn encode(&self, key: &Key, (): &()) -> TableEntry {
        self.table.entry(
            vec![self.vtep.exact(key.vtep)],
            self.permit.with(Vec::new()),
        )
    }

    fn read_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        let vtep = self.table.exact(entry, &self.vtep)?;
        Ok(Key { vtep })
    }
    fn read_action(&self, entry: &TableEntry) -> Result<(), Unreadable> {
        self.table.action(entry).map(drop)
    }
}
