//! `vf_mac`: Ethernet addresses that a VF may send from (R2.6). An entry permits.

use flownic_pipeline::entity::TableEntry;
use flownic_wire::MacAddr;

use super::entry::{ActionRef, Field, TableRef, Unreadable};
use super::names::{Match, Mismatch, Names};

/// A permitted sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// VF port.
    pub port: u16,
    /// VLAN identifier, 0: untagged.
    pub vlan: u16,
    /// Ethernet source.
    pub mac: MacAddr,
}

/// The table's ids.
#[derive(Debug)]
pub struct VfMac {
    table: TableRef,
    port: Field,
    vlan: Field,
    mac: Field,
    permit: ActionRef,
}

impl super::Table for VfMac {
    type Key = Key;
    type Action = ();

    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let table = names.table("vf_mac")?;
        Ok(VfMac {
            port: table.field("meta.ingress_port", 16, Match::Exact)?,
            vlan: table.field("meta.vlan", 16, Match::Exact)?,
            mac: table.field("hdr.ethernet.src", 48, Match::Exact)?,
            permit: table.action("NoAction", &[])?,
            table: table.reference(),
        })
    }

    fn id(&self) -> u32 {
        self.table.id
    }

    fn encode(&self, key: &Key, (): &()) -> TableEntry {
        let matches = vec![
            self.port.exact(key.port),
            self.vlan.exact(key.vlan),
            self.mac.exact(key.mac),
        ];
        self.table.entry(matches, self.permit.with(Vec::new()))
    }

    fn read_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        Ok(Key {
            port: self.table.exact(entry, &self.port)?,
            vlan: self.table.exact(entry, &self.vlan)?,
            mac: self.table.exact(entry, &self.mac)?,
        })
    }
    fn read_action(&self, entry: &TableEntry) -> Result<(), Unreadable> {
        self.table.action(entry).map(drop)
    }
}
