//! `flow_ipv4` and `flow_ipv6`: the flow entries, one table for each IP version (R1.2–R1.5).
//!
//! An entry carries the versions that it was made from and the slots of the registers that hold
//! the current ones. Both tables have the same actions.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flownic_pipeline::entity::{self, FieldMatch, TableEntry};
use flownic_versions::Versions;
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;

use super::entry::{ActionRef, Field, TableRef, Unreadable, Value};
use super::names::{Match, Mismatch, Names};

/// Which way a flow goes, as this NIC sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a VF.
    Outbound,
    /// From a tunnel.
    Inbound,
}

/// Exact key of a flow on one NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Virtual network, 24 bits.
    pub vni: u32,
    /// Which way.
    pub direction: Direction,
    /// Outbound: VF port. Inbound: tunnel source, an IPv4 address.
    pub attach: u32,
    /// Addresses, protocol and ports.
    pub tuple: FlowTuple,
}

/// Tunnel formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

/// MACs that a routed packet leaves with; its TTL is decremented as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// New Ethernet source.
    pub src_mac: MacAddr,
    /// New Ethernet destination.
    pub dst_mac: MacAddr,
}

/// What becomes of the flow's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Through a tunnel to another NIC.
    ToTunnel {
        /// Format.
        tunnel: Tunnel,
        /// The other tunnel end.
        remote_vtep: Ipv4Addr,
        /// Set when it changes subnet.
        routed: Option<Routed>,
    },
    /// To a VF of this NIC.
    ToVf {
        /// VF port.
        port: u16,
        /// VLAN tag to add, 0: none.
        vlan: u16,
        /// Set when it changes subnet.
        routed: Option<Routed>,
    },
    /// Dropped, counted under a drop reason's number.
    Deny(u8),
}

/// A slot of a version register, and the versions in it that an entry was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// 0–4095.
    pub slot: u16,
    /// Versions of its parts.
    pub versions: Versions,
}

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// The virtual network.
    pub vn: Scope,
    /// The VNIC.
    pub vnic: Scope,
    /// What to do.
    pub verdict: Verdict,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (vni, tuple) = (self.vni, &self.tuple);
        match self.direction {
            Direction::Outbound => write!(f, "vni {vni} from port {}: {tuple}", self.attach),
            Direction::Inbound => {
                write!(f, "vni {vni} from {}: {tuple}", Ipv4Addr::from(self.attach))
            }
        }
    }
}

/// Both tables.
#[derive(Debug)]
pub struct Flows {
    v4: FlowTable,
    v6: FlowTable,
    tunnels: Tunnels,
}

#[derive(Debug)]
struct FlowTable {
    table: TableRef,
    vni: Field,
    direction: Field,
    attach: Field,
    src: Field,
    dst: Field,
    protocol: Field,
    src_port: Field,
    dst_port: Field,
    to_tunnel: ActionRef,
    to_vf: ActionRef,
    deny: ActionRef,
}

/// Numbers of TunnelKind.
#[derive(Debug, Clone, Copy)]
struct Tunnels {
    vxlan: u8,
    geneve: u8,
}

/// Parameters that every action begins with, in the order of [`scope_params`].
const SCOPES: [(&str, u32); 12] = [
    ("vn_slot", 12),
    ("vn_security", 32),
    ("vn_mapping", 32),
    ("vn_route", 32),
    ("vn_policy", 32),
    ("vn_lb", 32),
    ("vnic_slot", 12),
    ("vnic_security", 32),
    ("vnic_mapping", 32),
    ("vnic_route", 32),
    ("vnic_policy", 32),
    ("vnic_lb", 32),
];

/// First parameter of an action's own.
const OWN: usize = SCOPES.len();

const ROUTED: [(&str, u32); 3] = [("routed", 1), ("src_mac", 48), ("dst_mac", 48)];

fn scope_params(scope: &Scope) -> impl Iterator<Item = Vec<u8>> {
    let versions = scope.versions.0.map(Value::into_bytes);
    std::iter::once(scope.slot.into_bytes()).chain(versions)
}

fn routed_params(routed: Option<Routed>) -> [Vec<u8>; 3] {
    let none = Routed {
        src_mac: MacAddr::default(),
        dst_mac: MacAddr::default(),
    };
    let macs = routed.unwrap_or(none);
    [
        u8::from(routed.is_some()).into_bytes(),
        macs.src_mac.into_bytes(),
        macs.dst_mac.into_bytes(),
    ]
}

impl FlowTable {
    fn resolve(names: &Names<'_>, name: &'static str, width: u32) -> Result<Self, Mismatch> {
        let table = names.table(name)?;
        let exact = |field, width| table.field(field, width, Match::Exact);
        let action = |name, own: &[(&'static str, u32)]| {
            table.action(name, &[SCOPES.as_slice(), own].concat())
        };
        let tunnel = [&[("tunnel", 8), ("remote_vtep", 32)], ROUTED.as_slice()].concat();
        let vf = [&[("port", 16), ("vlan", 16)], ROUTED.as_slice()].concat();
        Ok(FlowTable {
            vni: exact("vni", 24)?,
            direction: exact("direction", 1)?,
            attach: exact("attach", 32)?,
            src: exact("src", width)?,
            dst: exact("dst", width)?,
            protocol: exact("protocol", 8)?,
            src_port: exact("src_port", 16)?,
            dst_port: exact("dst_port", 16)?,
            to_tunnel: action("to_tunnel", &tunnel)?,
            to_vf: action("to_vf", &vf)?,
            deny: action("deny", &[("reason", 8)])?,
            table: table.reference(),
        })
    }

    fn matches(&self, key: &Key) -> Vec<FieldMatch> {
        let address = |field: &Field, address| match address {
            IpAddr::V4(address) => field.exact(address),
            IpAddr::V6(address) => field.exact(address),
        };
        vec![
            self.vni.exact(key.vni),
            self.direction
                .exact(u8::from(key.direction == Direction::Inbound)),
            self.attach.exact(key.attach),
            address(&self.src, key.tuple.src),
            address(&self.dst, key.tuple.dst),
            self.protocol.exact(key.tuple.protocol),
            self.src_port.exact(key.tuple.src_port),
            self.dst_port.exact(key.tuple.dst_port),
        ]
    }

    fn action(&self, action: &Action, tunnels: Tunnels) -> entity::Action {
        let mut params: Vec<_> = scope_params(&action.vn)
            .chain(scope_params(&action.vnic))
            .collect();
        match action.verdict {
            Verdict::ToTunnel {
                tunnel,
                remote_vtep,
                routed,
            } => {
                params.extend([
                    tunnels.number(tunnel).into_bytes(),
                    remote_vtep.into_bytes(),
                ]);
                params.extend(routed_params(routed));
                self.to_tunnel.with(params)
            }
            Verdict::ToVf { port, vlan, routed } => {
                params.extend([port.into_bytes(), vlan.into_bytes()]);
                params.extend(routed_params(routed));
                self.to_vf.with(params)
            }
            Verdict::Deny(reason) => {
                params.push(reason.into_bytes());
                self.deny.with(params)
            }
        }
    }

    fn read_key<A>(&self, entry: &TableEntry) -> Result<Key, Unreadable>
    where
        A: Value + Into<IpAddr>,
    {
        let table = &self.table;
        let direction = match table.exact::<u8>(entry, &self.direction)? {
            0 => Direction::Outbound,
            _ => Direction::Inbound,
        };
        Ok(Key {
            vni: table.exact(entry, &self.vni)?,
            direction,
            attach: table.exact(entry, &self.attach)?,
            tuple: FlowTuple {
                src: table.exact::<A>(entry, &self.src)?.into(),
                dst: table.exact::<A>(entry, &self.dst)?.into(),
                protocol: table.exact(entry, &self.protocol)?,
                src_port: table.exact(entry, &self.src_port)?,
                dst_port: table.exact(entry, &self.dst_port)?,
            },
        })
    }

    fn read_action(&self, entry: &TableEntry, tunnels: Tunnels) -> Result<Action, Unreadable> {
        let action = self.table.action(entry)?;
        let (of, verdict) = if action.id == self.to_tunnel.id {
            let number = self.table.param(action, &self.to_tunnel, OWN)?;
            let verdict = Verdict::ToTunnel {
                tunnel: tunnels
                    .kind(number)
                    .ok_or_else(|| self.table.unreadable(format!("tunnel kind {number}")))?,
                remote_vtep: self.table.param(action, &self.to_tunnel, OWN + 1)?,
                routed: self.read_routed(action, &self.to_tunnel)?,
            };
            (&self.to_tunnel, verdict)
        } else if action.id == self.to_vf.id {
            let verdict = Verdict::ToVf {
                port: self.table.param(action, &self.to_vf, OWN)?,
                vlan: self.table.param(action, &self.to_vf, OWN + 1)?,
                routed: self.read_routed(action, &self.to_vf)?,
            };
            (&self.to_vf, verdict)
        } else if action.id == self.deny.id {
            let reason = self.table.param(action, &self.deny, OWN)?;
            (&self.deny, Verdict::Deny(reason))
        } else {
            return Err(self.table.unknown_action(action));
        };
        Ok(Action {
            vn: self.read_scope(action, of, 0)?,
            vnic: self.read_scope(action, of, OWN / 2)?,
            verdict,
        })
    }

    fn read_routed(
        &self,
        action: &entity::Action,
        of: &ActionRef,
    ) -> Result<Option<Routed>, Unreadable> {
        if self.table.param::<u8>(action, of, OWN + 2)? == 0 {
            return Ok(None);
        }
        Ok(Some(Routed {
            src_mac: self.table.param(action, of, OWN + 3)?,
            dst_mac: self.table.param(action, of, OWN + 4)?,
        }))
    }

    fn read_scope(
        &self,
        action: &entity::Action,
        of: &ActionRef,
        first: usize,
    ) -> Result<Scope, Unreadable> {
        let mut versions = Versions::default();
        for (n, version) in versions.0.iter_mut().enumerate() {
            *version = self.table.param(action, of, first + 1 + n)?;
        }
        Ok(Scope {
            slot: self.table.param(action, of, first)?,
            versions,
        })
    }
}

impl Tunnels {
    fn number(self, tunnel: Tunnel) -> u8 {
        match tunnel {
            Tunnel::Vxlan => self.vxlan,
            Tunnel::Geneve => self.geneve,
        }
    }

    fn kind(self, number: u8) -> Option<Tunnel> {
        match number {
            number if number == self.vxlan => Some(Tunnel::Vxlan),
            number if number == self.geneve => Some(Tunnel::Geneve),
            _ => None,
        }
    }
}

impl Flows {
    /// Looks both tables up.
    pub fn resolve(names: &Names<'_>) -> Result<Self, Mismatch> {
        let kinds = names.numbers("TunnelKind")?;
        Ok(Flows {
            v4: FlowTable::resolve(names, "flow_ipv4", 32)?,
            v6: FlowTable::resolve(names, "flow_ipv6", 128)?,
            tunnels: Tunnels {
                vxlan: kinds.number("VXLAN")?,
                geneve: kinds.number("GENEVE")?,
            },
        })
    }

    /// P4Info ids of both.
    pub fn ids(&self) -> [u32; 2] {
        [self.v4.table.id, self.v6.table.id]
    }

    /// Entries that both hold at most.
    pub fn size(&self) -> u64 {
        self.v4.table.size + self.v6.table.size
    }

    fn of(&self, key: &Key) -> &FlowTable {
        match key.tuple.src {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }

    /// Name of the table that a key belongs in.
    pub fn name_of(&self, key: &Key) -> &'static str {
        self.of(key).table.name
    }

    /// The entry in P4Runtime's terms. Addresses of the key are of one IP version.
    pub fn encode(&self, key: &Key, action: &Action) -> TableEntry {
        let table = self.of(key);
        table
            .table
            .entry(table.matches(key), table.action(action, self.tunnels))
    }

    /// What a delete needs: the key alone.
    pub fn encode_key(&self, key: &Key) -> TableEntry {
        let table = self.of(key);
        TableEntry {
            table: table.table.id,
            matches: table.matches(key),
            ..TableEntry::default()
        }
    }

    /// The key of an entry of either table.
    pub fn decode_key(&self, entry: &TableEntry) -> Result<Key, Unreadable> {
        if entry.table == self.v6.table.id {
            self.v6.read_key::<Ipv6Addr>(entry)
        } else {
            self.v4.read_key::<Ipv4Addr>(entry)
        }
    }

    /// The typed entry, of either table.
    pub fn decode(&self, entry: &TableEntry) -> Result<(Key, Action), Unreadable> {
        let table = if entry.table == self.v6.table.id {
            &self.v6
        } else {
            &self.v4
        };
        let action = table.read_action(entry, self.tunnels)?;
        Ok((self.decode_key(entry)?, action))
    }
}
