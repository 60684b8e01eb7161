//! The configuration that a person writes, as checked values.
//!
//! [`Config::parse`] reads TOML and either returns a configuration in which everything refers to
//! something that exists and nothing contradicts, or every error that it found, each with its
//! place in the text.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use flownic_wire::MacAddr;

use crate::Prefix;

mod check;
mod parse;
mod read;
mod report;
mod table;

#[cfg(test)]
mod tests;

pub use report::{ConfigError, ConfigErrors, Place};

/// Bytes that a tunnel adds to an inner IP packet: inner Ethernet 14, VXLAN or Geneve 8, UDP 8,
/// IPv4 20.
pub const TUNNEL_OVERHEAD: u16 = 50;

/// Number of VF 0's port in the pipeline.
pub const FIRST_VF_PORT: u16 = 16;

/// VFs that a NIC may have.
pub const MAX_VFS: u16 = 256;

/// Everything that the network interface service knows: hosts and virtual networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Physical hosts, in the order of the file.
    pub hosts: Vec<Host>,
    /// Virtual networks, in the order of the file.
    pub networks: Vec<Network>,
}

/// A physical host with one NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Unique name.
    pub name: String,
    /// Tunnel end address, unique.
    pub vtep: Ipv4Addr,
    /// MAC of the uplink.
    pub mac: MacAddr,
    /// Largest underlay IP packet, bytes.
    pub mtu: u16,
}

/// Tunnel format of a virtual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tunnel {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Who it belongs to.
    pub tenant: String,
    /// Unique name.
    pub name: String,
    /// Unique 24-bit number, not 0.
    pub vni: u32,
    /// How its packets travel between NICs.
    pub tunnel: Tunnel,
    /// Largest IP packet of a VM, bytes.
    pub mtu: u16,
    /// Subnets; their prefixes do not overlap.
    pub subnets: Vec<Subnet>,
    /// Attachments of VMs.
    pub vnics: Vec<Vnic>,
    /// Security groups.
    pub groups: Vec<Group>,
}

/// A subnet: one link, seen from the VMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Unique in its network.
    pub name: String,
    /// IPv4 prefix.
    pub ipv4: Option<Prefix>,
    /// IPv6 prefix.
    pub ipv6: Option<Prefix>,
    /// Addresses of the gateway, in the prefixes; at most one of each IP version.
    pub gateways: Vec<IpAddr>,
    /// MAC of the gateway.
    pub gateway_mac: MacAddr,
}

/// A VM's attachment to a virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vnic {
    /// Unique in its network.
    pub name: String,
    /// Name of the host that it is on.
    pub host: String,
    /// VF that it is on, 0–255.
    pub vf: u16,
    /// VLAN that the VM tags its packets with, 1–4094; 0: untagged.
    pub vlan: u16,
    /// MAC, unique in its network.
    pub mac: MacAddr,
    /// Addresses, unique in the network, each in a subnet.
    pub addresses: Vec<IpAddr>,
    /// Names of its security groups.
    pub groups: Vec<String>,
}

/// A security group: rules for the VNICs that are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Unique in its network.
    pub name: String,
    /// In the order of the file.
    pub rules: Vec<Rule>,
}

/// A security rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which packets of the VNIC it is about.
    pub side: Side,
    /// True: allow; false: deny.
    pub allow: bool,
    /// IP protocol; `None`: any.
    pub protocol: Option<u8>,
    /// Destination ports of TCP or UDP; empty: any.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The other end.
    pub remote: Remote,
    /// Lets the reverse direction of what it allows through.
    pub stateful: bool,
    /// Lower comes first; among equals the order in the file.
    pub priority: u32,
}

/// Which packets of a VNIC a rule is about, seen from the VNIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Packets that it sends.
    Egress,
    /// Packets to it.
    Ingress,
}

/// The other end of a packet, as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// Any address.
    Any,
    /// An address in this prefix.
    Prefix(Prefix),
    /// An address of a VNIC in the group with this name.
    Group(String),
}

impl Vnic {
    /// Number of its port in the pipeline.
    pub fn port(&self) -> u16 {
        FIRST_VF_PORT + self.vf
    }
}

impl Subnet {
    /// Its prefixes, IPv4 first.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.ipv4.into_iter().chain(self.ipv6)
    }

    /// True when `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefixes().any(|prefix| prefix.contains(address))
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tunnel::Vxlan => "vxlan",
            Tunnel::Geneve => "geneve",
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Egress => "egress",
            Side::Ingress => "ingress",
        })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Any => f.write_str("any"),
            Remote::Prefix(prefix) => prefix.fmt(f),
            Remote::Group(name) => write!(f, "group:{name}"),
        }
    }
}

/// `allow ingress tcp ports 80,8000-8080 remote 10.0.0.0/24 stateful priority 100`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = if self.allow { "allow" } else { "deny" };
        write!(f, "{action} {} ", self.side)?;
        match self.protocol {
            None => f.write_str("any")?,
            Some(flownic_wire::protocol::ICMP) => f.write_str("icmp")?,
            Some(flownic_wire::protocol::TCP) => f.write_str("tcp")?,
            Some(flownic_wire::protocol::UDP) => f.write_str("udp")?,
            Some(flownic_wire::protocol::ICMPV6) => f.write_str("icmpv6")?,
            Some(other) => write!(f, "protocol {other}")?,
        }
        for (index, range) in self.ports.iter().enumerate() {
            f.write_str(if index == 0 { " ports " } else { "," })?;
            if range.start() == range.end() {
                write!(f, "{}", range.start())?;
            } else {
                write!(f, "{}-{}", range.start(), range.end())?;
            }
        }
        let state = if self.stateful {
            "stateful"
        } else {
            "stateless"
        };
        write!(
            f,
            " remote {} {state} priority {}",
            self.remote, self.priority
        )
    }
}
