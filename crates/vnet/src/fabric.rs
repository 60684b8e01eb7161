//! The configuration compiled for look-ups: what evaluation asks, answered by hash or by binary
//! search, never by going through all VNICs or subnets.
//!
//! ```text
//! (host, port, vlan) ─► VNIC          who sent this
//! (vni, address)     ─► VNIC, gateway who is meant
//! (vni, address)     ─► subnet        how to get there
//! VTEP               ─► host          who tunnelled this
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flownic_versions::Versions;
use flownic_wire::MacAddr;
use flownic_wire::answer::Gateway;

use crate::config::{self, Config, Tunnel};
use crate::prefix::number;
use crate::rules::{GroupId, RuleSet};
use crate::{Prefix, VersionTable};

/// A compiled configuration with its current versions. Immutable; a change makes a new one.
#[derive(Debug, Default)]
pub struct Fabric {
    hosts: Vec<Host>,
    host_by_name: HashMap<Arc<str>, usize>,
    host_by_vtep: HashMap<Ipv4Addr, usize>,
    networks: HashMap<u32, Network>,
    vnics: Vec<Vnic>,
    vnic_by_name: HashMap<Arc<str>, usize>,
    vnic_by_attachment: HashMap<Attachment, usize>,
}

/// Host, port and VLAN that a VNIC's packets come in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Attachment {
    host: usize,
    port: u16,
    vlan: u16,
}

/// A physical host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Arc<str>,
    /// Tunnel end address.
    pub vtep: Ipv4Addr,
    /// MAC of the uplink.
    pub mac: MacAddr,
    /// Largest underlay IP packet, bytes.
    pub mtu: u16,
    /// Indexes of its VNICs in the fabric.
    vnics: Vec<usize>,
}

/// A virtual network.
#[derive(Debug)]
pub struct Network {
    /// Who it belongs to.
    pub tenant: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its number, 24 bits.
    pub vni: u32,
    /// Tunnel format.
    pub tunnel: Tunnel,
    /// Largest IP packet of a VM, bytes.
    pub mtu: u16,
    /// Current versions.
    pub versions: Versions,
    subnets: Vec<Subnet>,
    prefixes: PrefixMap,
    owners: HashMap<IpAddr, Owner>,
}

/// A subnet of a network.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Its name.
    pub name: Arc<str>,
    /// MAC and addresses of its gateway.
    pub gateway: Gateway,
}

/// A VM's attachment.
#[derive(Clone, Debug)]
pub struct Vnic {
    /// `network/vnic`.
    pub name: Arc<str>,
    /// Number of its network.
    pub vni: u32,
    /// Name of its host.
    pub host: Arc<str>,
    /// Tunnel end of its host.
    pub vtep: Ipv4Addr,
    /// VF, 0–255.
    pub vf: u16,
    /// Port of the VF in the pipeline, 16 + VF.
    pub port: u16,
    /// VLAN tag of its packets, 0: untagged.
    pub vlan: u16,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its addresses, all of one subnet.
    pub addresses: Vec<IpAddr>,
    /// Largest IP packet, bytes.
    pub mtu: u16,
    /// Current versions.
    pub versions: Versions,
    /// Subnet of its addresses, index in the network.
    pub(crate) subnet: usize,
    pub(crate) groups: Vec<GroupId>,
    pub(crate) rules: Arc<RuleSet>,
}

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The gateway of the subnet with this index.
    Gateway(usize),
    /// The VNIC with this index in the fabric.
    Vnic(usize),
}

impl Fabric {
    /// Compiles a checked configuration. `versions` must have been advanced by its changes.
    pub fn compile(config: &Config, versions: &VersionTable) -> Fabric {
        let mut fabric = Fabric::default();
        for host in &config.hosts {
            let index = fabric.hosts.len();
            let name: Arc<str> = host.name.as_str().into();
            fabric.host_by_name.insert(name.clone(), index);
            fabric.host_by_vtep.insert(host.vtep, index);
            fabric.hosts.push(Host {
                name,
                vtep: host.vtep,
                mac: host.mac,
                mtu: host.mtu,
                vnics: Vec::new(),
            });
        }
        for network in &config.networks {
            fabric.add_network(network, versions);
        }
        fabric
    }

    fn add_network(&mut self, source: &config::Network, versions: &VersionTable) {
        let mut network = Network {
            tenant: source.tenant.as_str().into(),
            name: source.name.as_str().into(),
            vni: source.vni,
            tunnel: source.tunnel,
            mtu: source.mtu,
            versions: versions.vn(source.vni),
            subnets: Vec::new(),
            prefixes: PrefixMap::default(),
            owners: HashMap::new(),
        };
        for subnet in &source.subnets {
            network.add_subnet(subnet);
        }
        network.prefixes.sort();

        let mut rule_sets: HashMap<Vec<GroupId>, Arc<RuleSet>> = HashMap::new();
        for vnic in &source.vnics {
            let groups = crate::rules::group_ids(source, &vnic.groups);
            let rules = rule_sets
                .entry(groups.clone())
                .or_insert_with(|| Arc::new(RuleSet::compile(source, &groups)))
                .clone();
            self.add_vnic(&mut network, vnic, groups, rules, versions);
        }
        self.networks.insert(network.vni, network);
    }

    fn add_vnic(
        &mut self,
        network: &mut Network,
        source: &config::Vnic,
        groups: Vec<GroupId>,
        rules: Arc<RuleSet>,
        versions: &VersionTable,
    ) {
        let name: Arc<str> = format!("{}/{}", network.name, source.name).into();
        // A checked configuration names only hosts and subnets that exist.
        let Some(&host) = self.host_by_name.get(source.host.as_str()) else {
            return;
        };
        let subnet = source
            .addresses
            .first()
            .and_then(|&address| network.prefixes.find(address));
        let Some(subnet) = subnet else {
            return;
        };
        let index = self.vnics.len();
        let attachment = Attachment {
            host,
            port: source.port(),
            vlan: source.vlan,
        };
        for &address in &source.addresses {
            network.owners.insert(address, Owner::Vnic(index));
        }
        self.hosts[host].vnics.push(index);
        self.vnic_by_name.insert(name.clone(), index);
        self.vnic_by_attachment.insert(attachment, index);
        self.vnics.push(Vnic {
            versions: versions.vnic(&name),
            name,
            vni: network.vni,
            host: self.hosts[host].name.clone(),
            vtep: self.hosts[host].vtep,
            vf: source.vf,
            port: source.port(),
            vlan: source.vlan,
            mac: source.mac,
            addresses: source.addresses.clone(),
            mtu: network.mtu,
            subnet,
            groups,
            rules,
        });
    }

    /// All hosts, in the order of the configuration.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host with this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.host_by_name.get(name).map(|&index| &self.hosts[index])
    }

    /// The host with this tunnel end.
    pub fn host_by_vtep(&self, vtep: Ipv4Addr) -> Option<&Host> {
        self.host_by_vtep
            .get(&vtep)
            .map(|&index| &self.hosts[index])
    }

    /// All networks, in no order.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.values()
    }

    /// The network with this VNI.
    pub fn network(&self, vni: u32) -> Option<&Network> {
        self.networks.get(&vni)
    }

    /// All VNICs, in the order of the configuration.
    pub fn vnics(&self) -> &[Vnic] {
        &self.vnics
    }

    /// VNICs on the host with this name.
    pub fn vnics_of_host(&self, host: &str) -> impl Iterator<Item = &Vnic> {
        let indexes = self.host(host).map_or(&[][..], |host| &host.vnics);
        indexes.iter().map(|&index| &self.vnics[index])
    }

    /// The VNIC that packets from this port and VLAN of this host belong to.
    pub fn vnic_at(&self, host: &str, port: u16, vlan: u16) -> Option<&Vnic> {
        let host = *self.host_by_name.get(host)?;
        let attachment = Attachment { host, port, vlan };
        let index = *self.vnic_by_attachment.get(&attachment)?;
        Some(&self.vnics[index])
    }

    /// The VNIC with this name, `network/vnic`.
    pub fn vnic_by_name(&self, name: &str) -> Option<&Vnic> {
        self.vnic_by_name.get(name).map(|&index| &self.vnics[index])
    }

    /// The VNIC that has `address` in the network `vni`.
    pub fn vnic_by_address(&self, vni: u32, address: IpAddr) -> Option<&Vnic> {
        match self.networks.get(&vni)?.owners.get(&address)? {
            Owner::Vnic(index) => Some(&self.vnics[*index]),
            Owner::Gateway(_) => None,
        }
    }

    /// The subnet that a VNIC is in.
    pub fn subnet_of(&self, vnic: &Vnic) -> Option<&Subnet> {
        self.networks.get(&vnic.vni)?.subnets.get(vnic.subnet)
    }

    pub(crate) fn vnic(&self, index: usize) -> &Vnic {
        &self.vnics[index]
    }
}

impl Network {
    fn add_subnet(&mut self, source: &config::Subnet) {
        let index = self.subnets.len();
        let mut gateway = Gateway {
            mac: source.gateway_mac,
            ipv4: None,
            ipv6: None,
        };
        for &address in &source.gateways {
            self.owners.insert(address, Owner::Gateway(index));
            match address {
                IpAddr::V4(v4) => gateway.ipv4 = Some(v4),
                IpAddr::V6(v6) => gateway.ipv6 = Some(v6),
            }
        }
        for prefix in source.prefixes() {
            self.prefixes.add(prefix, index);
        }
        self.subnets.push(Subnet {
            name: source.name.as_str().into(),
            gateway,
        });
    }

    /// Its subnets.
    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets
    }

    /// The subnet that `address` is in: its index and prefix.
    pub(crate) fn route(&self, address: IpAddr) -> Option<(usize, Prefix)> {
        self.prefixes.find_entry(address)
    }

    pub(crate) fn owner(&self, address: IpAddr) -> Option<Owner> {
        self.owners.get(&address).copied()
    }
}

/// Prefixes that do not overlap, sorted: the one that holds an address is the last that starts
/// at or before it.
#[derive(Debug, Default)]
struct PrefixMap {
    v4: Vec<(u128, Prefix, usize)>,
    v6: Vec<(u128, Prefix, usize)>,
}

impl PrefixMap {
    fn add(&mut self, prefix: Prefix, value: usize) {
        let entry = (number(prefix.first()), prefix, value);
        if prefix.first().is_ipv4() {
            self.v4.push(entry);
        } else {
            self.v6.push(entry);
        }
    }

    fn sort(&mut self) {
        self.v4.sort_unstable_by_key(|entry| entry.0);
        self.v6.sort_unstable_by_key(|entry| entry.0);
    }

    fn find_entry(&self, address: IpAddr) -> Option<(usize, Prefix)> {
        let entries = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        let key = number(address);
        let after = entries.partition_point(|entry| entry.0 <= key);
        let (_, prefix, value) = entries.get(after.checked_sub(1)?)?;
        prefix.contains(address).then_some((*value, *prefix))
    }

    fn find(&self, address: IpAddr) -> Option<usize> {
        self.find_entry(address).map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests;
