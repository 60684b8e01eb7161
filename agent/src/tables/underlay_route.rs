//! `underlay_route`: which uplink leads to a remote tunnel end, with which addresses.

use std::net::Ipv4Addr;

use flownic_pipeline::entity::TableEntry;
use flownic_wire::MacAddr;

use super::entry::{ActionRef, Field, TableRef, Unreadable, Value};
use super::names::{Match, Mismatch, Names};

/// Prefix of remote tunnel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Underlay address.
    pub vtep: Ipv4Addr,
    /// Bits of `vtep` that count, 0–32.
    pub prefix_len: u32,
}

/// The only action, `to_uplink`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Uplink port.
    pub port: u16,
    /// Ethernet source on the underlay.
    pub src_mac: MacAddr,
    /// Ethernet destination on the underlay.
    pub next_hop_mac: MacAddr,
    /// Own tunnel end, the outer source.
    pub src_vtep: Ipv4Addr,
    /// Largest IP packet of the uplink, bytes.
    pub mtu: u16,
}

/// The table's ids.
#[derive(Debug)]
pub struct UnderlayRoute {
    table: TableRef,
    vtep: Field,
    to_uplink: ActionRef,
}

impl super::Table for UnderlayRoute {
    type Key = Key;
    type Action = Action;

    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let table = names.table("underlay_route")?;
        let params = [
            ("port", 16),
            ("src_mac", 48),
            ("next_hop_mac", 48),
            ("src_vtep", 32),
            ("mtu", 16),
        ];
        Ok(UnderlayRoute {
            vtep: table.field("hdr.underlay_ipv4.dst", 32, Match::Lpm)?,
            to_uplink: table.action("to_uplink", &params)?,
            table: table.reference(),
        })
    }

    fn id(&self) -> u32 {
        self.table.id
    }

    fn encode(&self, key: &Key, action: &Action) -> TableEntry {
        let matches = self
            .vtep
            .lpm(key.vtep, key.prefix_len)
            .into_iter()
            .collect();
        let params = vec![
            action.port.into_bytes(),
            action.src_mac.into_bytes(),
            action.next_hop_mac.into_bytes(),
            action.src_vtep.into_bytes(),
            action.mtu.into_bytes(),
        ];
        self.table.entry(matches, self.to_uplink.with(params))
    }

    fn read_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        let (vtep, prefix_len) = self.table.lpm(entry, &self.vtep)?;
        Ok(Key { vtep, prefix_len })
    }

    fn read_action(&self, entry: &TableEntry) -> Result<Action, Unreadable> {
        let action = self.table.action(entry)?;
        if action.id != self.to_uplink.id {
            return Err(self.table.unknown_action(action));
        }
        let of = &self.to_uplink;
        Ok(Action {
            port: self.table.param(action, of, 0)?,
            src_mac: self.table.param(action, of, 1)?,
            next_hop_mac: self.table.param(action, of, 2)?,
            src_vtep: self.table.param(action, of, 3)?,
            mtu: self.table.param(action, of, 4)?,
        })
    }
}
