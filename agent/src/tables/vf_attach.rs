//! `vf_attach`: which virtual network the packets of a VF and VLAN belong to.

use flownic_pipeline::entity::TableEntry;

use super::entry::{ActionRef, Field, TableRef, Unreadable, Value};
use super::names::{Match, Mismatch, Names};

/// A VF port and a VLAN on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// VF port.
    pub port: u16,
    /// VLAN identifier, 0: untagged.
    pub vlan: u16,
}

/// The only action, `attach`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Virtual network, 24 bits.
    pub vni: u32,
    /// Largest IP packet that the VNIC may send, bytes.
    pub mtu: u16,
}

/// The table's ids.
#[derive(Debug)]
pub struct VfAttach {
    table: TableRef,
    port: Field,
    vlan: Field,
    attach: ActionRef,
}

impl super::Table for VfAttach {
    type Key = Key;
    type Action = Action;

    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let table = names.table("vf_attach")?;
        Ok(VfAttach {
            port: table.field("meta.ingress_port", 16, Match::Exact)?,
            vlan: table.field("meta.vlan", 16, Match::Exact)?,
            attach: table.action("attach", &[("vni", 24), ("mtu", 16)])?,
            table: table.reference(),
        })
    }

    fn id(&self) -> u32 {
        self.table.id
    }

    fn encode(&self, key: &Key, action: &Action) -> TableEntry {
        self.table.entry(
            vec![self.port.exact(key.port), self.vlan.exact(key.vlan)],
            self.attach
                .with(vec![action.vni.into_bytes(), action.mtu.into_bytes()]),
        )
    }

    fn read_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        Ok(Key {
            port: self.table.exact(entry, &self.port)?,
            vlan: self.table.exact(entry, &self.vlan)?,
        })
    }

    fn read_action(&self, entry: &TableEntry) -> Result<Action, Unreadable> {
        let action = self.table.action(entry)?;
        if action.id != self.attach.id {
            return Err(self.table.unknown_action(action));
        }
        Ok(Action {
            vni: self.table.param(action, &self.attach, 0)?,
            mtu: self.table.param(action, &self.attach, 1)?,
        })
    }
}
