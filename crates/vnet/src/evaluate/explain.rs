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
#[allow(missing_docs)] // each field is what its name says, each variant is spelt out in Display
pub enum Step {
    NoVnic {
        port: u16,
        vlan: u16,
    },
    NoNetwork(u32),
    Sender {
        vnic: Arc<str>,
    },
    SpoofedMac(MacAddr),
    SpoofedAddress(IpAddr),
    SpoofedTunnel {
        source: Ipv4Addr,
        address: IpAddr,
    },
    Route {
        subnet: Arc<str>,
        prefix: Prefix,
        routed: bool,
    },
    NoRoute(IpAddr),
    Mapping {
        address: IpAddr,
        vnic: Arc<str>,
        host: Arc<str>,
        vtep: Ipv4Addr,
        vf: u16,
    },
    NoMapping(IpAddr),
    NotHere(IpAddr),
    OwnAddress(IpAddr),
    GatewayAddress(IpAddr),
    GatewayAnswers,
    WrongMac {
        found: MacAddr,
        expected: MacAddr,
    },
    Rule {
        side: Side,
        vnic: Arc<str>,
        rule: Option<Arc<RuleLabel>>,
    },
    Established {
        side: Side,
        vnic: Arc<str>,
        rule: Arc<RuleLabel>,
    },
    TtlExpired,
    Versions {
        network: Arc<str>,
        vn: Versions,
        vnic: Arc<str>,
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
