//! `vf_ipv4`: IPv4 sources that a VF may send from (R2.6). An entry permits.

use std::net::Ipv4Addr;

use flownic_pipeline::entity::TableEntry;

use super::entry::{ActionRef, Field, TableRef, Unreadable};
use super::names::{Match, Mismatch, Names};

/// A permitted source prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// VF port.
    pub port: u16,
    /// VLAN identifier, 0: untagged.
    pub vlan: u16,
    /// Address.
    pub ip: Ipv4Addr,
    /// Bits of `ip` that count, 0–32.
    pub prefix_len: u32,
}

/// The table's ids.
#[derive(Debug)]
pub struct VfIpv4 {
    table: TableRef,
    port: Field,
    vlan: Field,
    ip: Field,
    permit: ActionRef,
}

impl super::Table for VfIpv4 {
    type Key = Key;
    type Action = ();

    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let table = names.table("vf_ipv4")?;
        Ok(VfIpv4 {
            port: table.field("meta.ingress_port", 16, Match::Exact)?,
            vlan: table.field("meta.vlan", 16, Match::Exact)?,
            ip: table.field("hdr.ipv4.src", 32, Match::Lpm)?,
            permit: table.action("NoAction", &[])?,
            table: table.reference(),
        })
    }

    fn id(&self) -> u32 {
        self.table.id
    }

    fn encode(&self, key: &Key, (): &()) -> TableEntry {
        let mut matches = vec![self.port.exact(key.port), self.vlan.exact(key.vlan)];
        matches.extend(self.ip.lpm(key.ip, key.prefix_len));
        self.table.entry(matches, self.permit.with(Vec::new()))
    }

    fn read_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        let (ip, prefix_len) = self.table.lpm(entry, &self.ip)?;
        Ok(Key {
            port: self.table.exact(entry, &self.port)?,
            vlan: self.table.exact(entry, &self.vlan)?,
            ip,
            prefix_len,
        })
    }
    fn read_action(&self, entry: &TableEntry) -> Result<(), Unreadable> {
        self.table.action(entry).map(drop)
    }
}
