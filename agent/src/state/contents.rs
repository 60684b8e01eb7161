//! What the NIC holds, as far as the agent knows it: a mirror, changed only by what the NIC
//! confirmed. And the same for what a configuration wants it to hold.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use flownic_pipeline::entity::{Entity, TableEntry, Update, UpdateKind};
use flownic_versions::Versions;

use super::config::{Config, Vnic};
use crate::tables::versions::VersionRegister;
use crate::tables::{Table, Tables, Unreadable, flow, port_map, tunnel_termination};
use crate::tables::{underlay_route, vf_arp, vf_attach, vf_ipv4, vf_ipv6, vf_mac};

/// Entries of one table.
pub type Entries<T> = BTreeMap<<T as Table>::Key, <T as Table>::Action>;

/// Tables that hold configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What each port is.
    pub port_map: Entries<port_map::PortMap>,
    /// VFs' virtual networks.
    pub vf_attach: Entries<vf_attach::VfAttach>,
    /// Permitted MACs.
    pub vf_mac: Entries<vf_mac::VfMac>,
    /// Permitted ARP senders.
    pub vf_arp: Entries<vf_arp::VfArp>,
    /// Permitted IPv4 sources.
    pub vf_ipv4: Entries<vf_ipv4::VfIpv4>,
    /// Permitted IPv6 sources.
    pub vf_ipv6: Entries<vf_ipv6::VfIpv6>,
    /// Own tunnel ends.
    pub tunnel_termination: Entries<tunnel_termination::TunnelTermination>,
    /// Ways to remote tunnel ends.
    pub underlay_route: Entries<underlay_route::UnderlayRoute>,
}

/// IPv6 link-local addresses, RFC 4291 §2.5.6.
const LINK_LOCAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

impl Configuration {
    /// What `config` wants, with `uplinks` as the ports of the underlay.
    pub fn wanted(config: &Config, uplinks: &[u16]) -> Configuration {
        let mut wanted = Configuration::default();
        for &port in uplinks {
            (wanted.port_map).insert(port_map::Key { port }, port_map::Action::Uplink);
        }
        let vtep = config.own.vtep;
        (wanted.tunnel_termination).insert(tunnel_termination::Key { vtep }, ());
        if let Some(&uplink) = uplinks.first() {
            wanted.add_routes(config, uplink);
        }
        for vnic in config.vnics.values() {
            wanted.add_guard(vnic);
            wanted.add_attachment(vnic);
        }
        wanted
    }

    fn add_routes(&mut self, config: &Config, uplink: u16) {
        for peer in config.peers.values() {
            let key = underlay_route::Key {
                vtep: peer.vtep,
                prefix_len: 32,
            };
            let action = underlay_route::Action {
                port: uplink,
                src_mac: config.own.mac,
                next_hop_mac: peer.mac,
                src_vtep: config.own.vtep,
                mtu: config.own.mtu.min(peer.mtu),
            };
            self.underlay_route.insert(key, action);
        }
    }

    /// What the VF may send from (R2.6).
    fn add_guard(&mut self, vnic: &Vnic) {
        let (port, vlan, mac) = (vnic.port(), vnic.vlan, vnic.mac);
        self.vf_mac.insert(vf_mac::Key { port, vlan, mac }, ());
        let mut permit_arp = |ip| {
            let key = vf_arp::Key {
                port,
                vlan,
                mac,
                ip,
                prefix_len: 32,
            };
            self.vf_arp.insert(key, ());
        };
        let v4: Vec<Ipv4Addr> = (vnic.addresses.iter())
            .filter_map(|address| match address {
                std::net::IpAddr::V4(ip) => Some(*ip),
                std::net::IpAddr::V6(_) => None,
            })
            .collect();
        for &ip in &v4 {
            permit_arp(ip);
            let key = vf_ipv4::Key {
                port,
                vlan,
                ip,
                prefix_len: 32,
            };
            self.vf_ipv4.insert(key, ());
        }
        if !v4.is_empty() {
            // A probe before the address is used, RFC 5227 §2.1.1.
            permit_arp(Ipv4Addr::UNSPECIFIED);
        }
        self.add_ipv6_guard(vnic);
    }

    fn add_ipv6_guard(&mut self, vnic: &Vnic) {
        let mut permit = |ip, prefix_len| {
            let key = vf_ipv6::Key {
                port: vnic.port(),
                vlan: vnic.vlan,
                ip,
                prefix_len,
            };
            self.vf_ipv6.insert(key, ());
        };
        let mut any = false;
        for address in &vnic.addresses {
            if let std::net::IpAddr::V6(ip) = address {
                permit(*ip, 128);
                any = true;
            }
        }
        if any {
            permit(LINK_LOCAL.0, LINK_LOCAL.1);
            // Duplicate address detection, RFC 4862 §5.4.2.
            permit(Ipv6Addr::UNSPECIFIED, 128);
        }
    }

    fn add_attachment(&mut self, vnic: &Vnic) {
        let (port, vlan) = (vnic.port(), vnic.vlan);
        (self.port_map).insert(port_map::Key { port }, port_map::Action::Vf);
        let action = vf_attach::Action {
            vni: vnic.vni,
            mtu: vnic.mtu,
        };
        (self.vf_attach).insert(vf_attach::Key { port, vlan }, action);
    }
}

/// An installed flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRecord {
    /// What its entry says.
    pub action: flow::Action,
    /// Allowed because the other direction was. Not in the NIC: false after a restart.
    pub reply: bool,
    /// Packets of it that went to the host, as far as the answers told.
    pub punted: u64,
    /// When the entry was made, or read back. Time since the agent's start.
    pub installed: Duration,
    /// From the punt to the completed installation; zero: not started by a punt here.
    pub install_time: Duration,
}

/// Registers of one kind, by slot. A slot that is not there holds zeros.
pub type Registers = BTreeMap<u16, Versions>;

/// Everything in the NIC.
#[derive(Debug, Default)]
pub struct Mirror {
    /// Tables that hold configuration.
    pub configuration: Configuration,
    /// Flow entries.
    pub flows: HashMap<flow::Key, FlowRecord>,
    /// Versions of virtual networks.
    pub vn_versions: Registers,
    /// Versions of VNICs.
    pub vnic_versions: Registers,
}

impl Mirror {
    /// Takes over an update that the NIC carried out. Entities that the agent does not use are
    /// left out.
    pub fn apply(
        &mut self,
        tables: &Tables,
        update: &Update,
        now: Duration,
    ) -> Result<(), Unreadable> {
        match &update.entity {
            Entity::TableEntry(entry) if entry.is_default => Ok(()),
            Entity::TableEntry(entry) if update.kind == UpdateKind::Delete => {
                self.remove(tables, entry)
            }
            Entity::TableEntry(entry) => self.put(tables, entry, now),
            Entity::Register {
                register,
                index,
                value,
            } => {
                self.put_register(tables, *register, *index, value);
                Ok(())
            }
            Entity::Counter { .. } => Ok(()),
        }
    }

    /// Takes over an entry that is in the NIC.
    pub fn put(
        &mut self,
        tables: &Tables,
        entry: &TableEntry,
        now: Duration,
    ) -> Result<(), Unreadable> {
        if tables.flows.ids().contains(&entry.table) {
            let (key, action) = tables.flows.decode(entry)?;
            let fresh = FlowRecord {
                action,
                reply: false,
                punted: 0,
                installed: now,
                install_time: Duration::ZERO,
            };
            let record = self.flows.entry(key).or_insert(fresh);
            record.action = action;
            return Ok(());
        }
        let to = &mut self.configuration;
        insert(&tables.port_map, entry, &mut to.port_map)?;
        insert(&tables.vf_attach, entry, &mut to.vf_attach)?;
        insert(&tables.vf_mac, entry, &mut to.vf_mac)?;
        insert(&tables.vf_arp, entry, &mut to.vf_arp)?;
        insert(&tables.vf_ipv4, entry, &mut to.vf_ipv4)?;
        insert(&tables.vf_ipv6, entry, &mut to.vf_ipv6)?;
        insert(
            &tables.tunnel_termination,
            entry,
            &mut to.tunnel_termination,
        )?;
        insert(&tables.underlay_route, entry, &mut to.underlay_route)
    }

    /// Forgets an entry that is not in the NIC any more. The entry need not have an action.
    fn remove(&mut self, tables: &Tables, entry: &TableEntry) -> Result<(), Unreadable> {
        if tables.flows.ids().contains(&entry.table) {
            self.flows.remove(&tables.flows.decode_key(entry)?);
            return Ok(());
        }
        let from = &mut self.configuration;
        remove(&tables.port_map, entry, &mut from.port_map)?;
        remove(&tables.vf_attach, entry, &mut from.vf_attach)?;
        remove(&tables.vf_mac, entry, &mut from.vf_mac)?;
        remove(&tables.vf_arp, entry, &mut from.vf_arp)?;
        remove(&tables.vf_ipv4, entry, &mut from.vf_ipv4)?;
        remove(&tables.vf_ipv6, entry, &mut from.vf_ipv6)?;
        remove(
            &tables.tunnel_termination,
            entry,
            &mut from.tunnel_termination,
        )?;
        remove(&tables.underlay_route, entry, &mut from.underlay_route)
    }

    /// Takes over the value of a register cell.
    pub fn put_register(&mut self, tables: &Tables, register: u32, index: u32, value: &[u8]) {
        let registers = match register {
            id if id == tables.vn_versions.id() => &mut self.vn_versions,
            id if id == tables.vnic_versions.id() => &mut self.vnic_versions,
            _ => return,
        };
        let value = crate::tables::entry::Value::from_bytes(value);
        if let (Some((slot, part)), Some(version)) = (VersionRegister::part_of(index), value) {
            let versions = registers.entry(slot).or_default();
            versions.set(part, version);
            if *versions == Versions::default() {
                registers.remove(&slot);
            }
        }
    }
}

fn insert<T: Table>(table: &T, entry: &TableEntry, to: &mut Entries<T>) -> Result<(), Unreadable> {
    if entry.table == table.id() {
        to.insert(table.read_key(entry)?, table.read_action(entry)?);
    }
    Ok(())
}

fn remove<T: Table>(
    table: &T,
    entry: &TableEntry,
    from: &mut Entries<T>,
) -> Result<(), Unreadable> {
    if entry.table == table.id() {
        from.remove(&table.read_key(entry)?);
    }
    Ok(())
}
