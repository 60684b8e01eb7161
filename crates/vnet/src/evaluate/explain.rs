//! Steps of an evaluation, for people.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flownic_versions::Versions;
use flownic_wire::MacAddr;

use crate::Prefix;
use crate::config::Side;
use crate::fabric::{Network, Vnic};
use crate::rules::{Rule, RuleLabel};

/// One step of an evaluation: a look-up and what it gave. `Display` says it in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody is attached where the packet came from.
    NoVnic {
        /// Port number, 16 + VF.
        port: u16,
        /// VLAN tag, 0: none.
        vlan: u16,
    },
    /// No network has this VNI.
    NoNetwork(u32),
    /// The VNIC that sent it.
    Sender {
        /// `network/vnic`.
        vnic: Arc<str>,
    },
    /// The source MAC is not the sender's.
    SpoofedMac(MacAddr),
    /// The source address is not the sender's.
    SpoofedAddress(IpAddr),
    /// Somebody tunnelled for a VNIC that is not on their host.
    SpoofedTunnel {
        /// Tunnel source.
        source: Ipv4Addr,
        /// Source address of the packet.
        address: IpAddr,
    },
    /// The subnet of the destination.
    Route {
        /// Its name.
        subnet: Arc<str>,
        /// The prefix that the destination is in.
        prefix: Prefix,
        /// It is another one than the sender's.
        routed: bool,
    },
    /// The destination is in no subnet.
    NoRoute(IpAddr),
    /// Who has the destination address, and where.
    Mapping {
        /// The destination.
        address: IpAddr,
        /// `network/vnic`.
        vnic: Arc<str>,
        /// Its host.
        host: Arc<str>,
        /// The host's tunnel end.
        vtep: Ipv4Addr,
        /// Its VF.
        vf: u16,
    },
    /// Nobody has the destination address.
    NoMapping(IpAddr),
    /// Nobody on the host that the tunnel ended at has the destination address.
    NotHere(IpAddr),
    /// The destination is the sender itself.
    OwnAddress(IpAddr),
    /// The destination is a gateway.
    GatewayAddress(IpAddr),
    /// The gateway answers the packet.
    GatewayAnswers,
    /// The frame is addressed to or from somebody else.
    WrongMac {
        /// What the frame says.
        found: MacAddr,
        /// What the configuration says.
        expected: MacAddr,
    },
    /// The rule that decided at one end; `None`: default deny.
    Rule {
        /// Which rules were asked.
        side: Side,
        /// Whose: `network/vnic`.
        vnic: Arc<str>,
        /// The first that matched.
        rule: Option<Arc<RuleLabel>>,
    },
    /// One end lets the packet through because of the connection that it belongs to.
    Established {
        /// Which rules were not needed.
        side: Side,
        /// Whose: `network/vnic`.
        vnic: Arc<str>,
        /// The stateful rule that let the connection start, and still would.
        rule: Arc<RuleLabel>,
    },
    /// The gateway on the way may not forward it any more.
    TtlExpired,
    /// Versions that the verdict was made from.
    Versions {
        /// Name of the network.
        network: Arc<str>,
        /// Its versions.
        vn: Versions,
        /// `network/vnic` that an entry would belong to.
        vnic: Arc<str>,
        /// Its versions.
        own: Versions,
    },
}

impl Step {
    pub(super) fn mapping(address: IpAddr, vnic: &Vnic) -> Step {
        Step::Mapping {
            address,
            vnic: vnic.name.clone(),
            host: vnic.host.clone(),
            vtep: vnic.vtep,
            vf: vnic.vf,
        }
    }

    pub(super) fn rule(side: Side, vnic: &Vnic, rule: Option<&Rule>) -> Step {
        Step::Rule {
            side,
            vnic: vnic.name.clone(),
            rule: rule.map(Rule::label),
        }
    }

    pub(super) fn versions(network: &Network, vnic: &Vnic) -> Step {
        Step::Versions {
            network: network.name.clone(),
            vn: network.versions,
            vnic: vnic.name.clone(),
            own: vnic.versions,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::NoVnic { port, vlan } => write!(f, "no VNIC at port {port}, VLAN {vlan}"),
            Step::NoNetwork(vni) => write!(f, "no network has VNI {vni}"),
            Step::Sender { vnic } => write!(f, "from {vnic}"),
            Step::SpoofedMac(mac) => write!(f, "source MAC {mac} is not the VNIC's"),
            Step::SpoofedAddress(address) => {
                write!(f, "source address {address} is not the VNIC's")
            }
            Step::SpoofedTunnel { source, address } => {
                write!(f, "tunnel source {source} is not the host of {address}")
            }
            Step::Route {
                subnet,
                prefix,
                routed,
            } => {
                let how = if *routed { "routed" } else { "bridged" };
                write!(f, "route: subnet {subnet} ({prefix}), {how}")
            }
            Step::NoRoute(address) => write!(f, "route: no subnet holds {address}"),
            Step::Mapping {
                address,
                vnic,
                host,
                vtep,
                vf,
            } => write!(
                f,
                "mapping: {address} is {vnic} on {host} ({vtep}), VF {vf}"
            ),
            Step::NoMapping(address) => write!(f, "mapping: no VNIC has {address}"),
            Step::NotHere(address) => write!(f, "mapping: no VNIC of this host has {address}"),
            Step::OwnAddress(address) => write!(f, "mapping: {address} is the sender itself"),
            Step::GatewayAddress(address) => write!(f, "mapping: {address} is a gateway"),
            Step::GatewayAnswers => f.write_str("the gateway answers"),
            Step::WrongMac { found, expected } => {
                write!(f, "MAC {found} where {expected} belongs")
            }
            Step::Rule {
                side,
                vnic,
                rule: Some(rule),
            } => write!(f, "{side} of {vnic}: {rule}"),
            Step::Rule {
                side,
                vnic,
                rule: None,
            } => write!(f, "{side} of {vnic}: no rule matches, denied by default"),
            Step::Established { side, vnic, rule } => {
                write!(f, "{side} of {vnic}: connection established by {rule}")
            }
            Step::TtlExpired => f.write_str("the TTL ran out at the gateway"),
            Step::Versions {
                network,
                vn,
                vnic,
                own,
            } => write!(f, "versions: {network} {vn}; {vnic} {own}"),
        }
    }
}
