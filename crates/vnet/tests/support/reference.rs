//! The slow, obvious evaluator: goes through the whole configuration for everything it wants to
//! know. It shares no code with the fast one beyond the plain data types.

use std::net::IpAddr;

use flownic_vnet::config::{Config, Network, Remote, Rule, Side, Subnet, Vnic};
use flownic_vnet::{Connection, DropReason, Origin, Packet};
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// To this VNIC, maybe with new MACs (source, destination).
    Allow {
        receiver: String,
        rewrite: Option<(MacAddr, MacAddr)>,
    },
    Deny(DropReason),
    GatewayEcho,
}

pub fn evaluate(config: &Config, origin: &Origin<'_>, packet: &Packet) -> Outcome {
    match *origin {
        Origin::Vf { host, port, vlan } => outbound(config, host, port, vlan, packet),
        Origin::Tunnel { host, source, vni } => {
            inbound(config, host, IpAddr::V4(source), vni, packet)
        }
    }
}

fn outbound(config: &Config, host: &str, port: u16, vlan: u16, packet: &Packet) -> Outcome {
    for network in &config.networks {
        for sender in &network.vnics {
            if sender.host == host && sender.vf + 16 == port && sender.vlan == vlan {
                return from_vnic(network, sender, packet);
            }
        }
    }
    Outcome::Deny(DropReason::VlanNotAllowed)
}

fn from_vnic(network: &Network, sender: &Vnic, packet: &Packet) -> Outcome {
    let FlowTuple { src, dst, .. } = packet.tuple;
    if packet.src_mac != sender.mac {
        return Outcome::Deny(DropReason::SpoofedMac);
    }
    if !sender.addresses.contains(&src) {
        return Outcome::Deny(DropReason::SpoofedIp);
    }
    if packet.dst_mac.0[0] % 2 == 1 || dst.is_multicast() || dst.to_string() == "255.255.255.255" {
        return Outcome::Deny(DropReason::Multicast);
    }
    let home = subnet_of(network, src).expect("a sender is in a subnet");
    let Some(destination) = subnet_of(network, dst) else {
        return Outcome::Deny(DropReason::NoRoute);
    };
    if network
        .subnets
        .iter()
        .any(|subnet| subnet.gateways.contains(&dst))
    {
        return to_gateway(network, home, sender, packet);
    }
    let Some(receiver) = owner(network, dst).filter(|vnic| vnic.name != sender.name) else {
        return Outcome::Deny(DropReason::NoMapping);
    };
    let routed = home.name != destination.name;
    let expected = if routed {
        home.gateway_mac
    } else {
        receiver.mac
    };
    if packet.dst_mac != expected {
        return Outcome::Deny(DropReason::NoMapping);
    }
    if let Some(reason) = forbidden(network, sender, receiver, packet) {
        return Outcome::Deny(reason);
    }
    if routed && packet.ttl < 2 {
        return Outcome::Deny(DropReason::TtlExpired);
    }
    Outcome::Allow {
        receiver: format!("{}/{}", network.name, receiver.name),
        rewrite: routed.then_some((destination.gateway_mac, receiver.mac)),
    }
}

fn to_gateway(network: &Network, home: &Subnet, sender: &Vnic, packet: &Packet) -> Outcome {
    if packet.dst_mac != home.gateway_mac {
        return Outcome::Deny(DropReason::NoMapping);
    }
    let tuple = &packet.tuple;
    let rule = decide(network, sender, Side::Egress, tuple, tuple.dst, &[]);
    let is_request = match tuple.protocol {
        1 => tuple.src_port / 256 == 8,
        58 => tuple.src_port / 256 == 128,
        _ => false,
    };
    if !rule.is_some_and(|rule| rule.allow) {
        Outcome::Deny(DropReason::SecurityEgress)
    } else if is_request {
        Outcome::GatewayEcho
    } else {
        Outcome::Deny(DropReason::NoMapping)
    }
}

fn inbound(config: &Config, host: &str, source: IpAddr, vni: u32, packet: &Packet) -> Outcome {
    let Some(network) = config.networks.iter().find(|network| network.vni == vni) else {
        return Outcome::Deny(DropReason::NoNetwork);
    };
    let receiver = owner(network, packet.tuple.dst).filter(|vnic| vnic.host == host);
    let sender = owner(network, packet.tuple.src).filter(|vnic| {
        let its_host = config.hosts.iter().find(|h| h.name == vnic.host);
        its_host.is_some_and(|h| IpAddr::V4(h.vtep) == source) && vnic.host != host
    });
    let (Some(sender), Some(receiver)) = (sender, receiver) else {
        return Outcome::Deny(DropReason::NoMapping);
    };
    let from = subnet_of(network, packet.tuple.src).expect("a sender is in a subnet");
    let to = subnet_of(network, packet.tuple.dst).expect("a receiver is in a subnet");
    let src_mac = if from.name == to.name {
        sender.mac
    } else {
        to.gateway_mac
    };
    if packet.src_mac != src_mac || packet.dst_mac != receiver.mac {
        return Outcome::Deny(DropReason::NoMapping);
    }
    match forbidden(network, sender, receiver, packet) {
        Some(reason) => Outcome::Deny(reason),
        None => Outcome::Allow {
            receiver: format!("{}/{}", network.name, receiver.name),
            rewrite: None,
        },
    }
}

/// Why the rules of the two ends forbid a packet.
fn forbidden(
    network: &Network,
    sender: &Vnic,
    receiver: &Vnic,
    packet: &Packet,
) -> Option<DropReason> {
    let tuple = packet.tuple;
    // Whether this VNIC lets the packet through because of the connection it belongs to.
    let by_connection = |vnic: &Vnic| match packet.connection {
        Connection::New => false,
        Connection::Reply => match turned_round(&tuple) {
            Some(first) => vouches(network, sender, receiver, vnic, &first),
            None => false,
        },
        Connection::Related(first) => {
            let ends = |a: &FlowTuple| [a.src.min(a.dst), a.src.max(a.dst)];
            ends(&first) == ends(&tuple) && vouches(network, sender, receiver, vnic, &first)
        }
    };
    let out = decide(
        network,
        sender,
        Side::Egress,
        &tuple,
        tuple.dst,
        &receiver.groups,
    );
    if !by_connection(sender) && !out.is_some_and(|rule| rule.allow) {
        return Some(DropReason::SecurityEgress);
    }
    let into = decide(
        network,
        receiver,
        Side::Ingress,
        &tuple,
        tuple.src,
        &sender.groups,
    );
    if !by_connection(receiver) && !into.is_some_and(|rule| rule.allow) {
        return Some(DropReason::SecurityIngress);
    }
    None
}

/// Whether the flow `first` may start today between the two, and does so at `vnic` by a stateful
/// rule.
fn vouches(network: &Network, one: &Vnic, other: &Vnic, vnic: &Vnic, first: &FlowTuple) -> bool {
    let starts = match first.protocol {
        1 => first.src_port / 256 == 8,
        58 => first.src_port / 256 == 128,
        _ => true,
    };
    let (from, to) = if one.addresses.contains(&first.src) {
        (one, other)
    } else {
        (other, one)
    };
    let out = decide(network, from, Side::Egress, first, first.dst, &to.groups);
    let into = decide(network, to, Side::Ingress, first, first.src, &from.groups);
    let allowed = |rule: &Option<&Rule>| rule.is_some_and(|rule| rule.allow);
    let mine = if vnic.name == from.name { out } else { into };
    starts && allowed(&out) && allowed(&into) && mine.is_some_and(|rule| rule.stateful)
}

/// The opposite direction of a flow that can have one.
fn turned_round(tuple: &FlowTuple) -> Option<FlowTuple> {
    let (src_port, dst_port) = match (tuple.protocol, tuple.src_port / 256) {
        (1, 0) => (tuple.src_port + 8 * 256, tuple.dst_port),
        (1, 8) => (tuple.src_port - 8 * 256, tuple.dst_port),
        (58, 128) => (tuple.src_port + 256, tuple.dst_port),
        (58, 129) => (tuple.src_port - 256, tuple.dst_port),
        (1 | 58, _) => return None,
        _ => (tuple.dst_port, tuple.src_port),
    };
    Some(FlowTuple {
        src: tuple.dst,
        dst: tuple.src,
        protocol: tuple.protocol,
        src_port,
        dst_port,
    })
}

/// The rule of `vnic` that decides: of all that match, the one with the lowest priority number
/// that comes first in the file.
fn decide<'n>(
    network: &'n Network,
    vnic: &Vnic,
    side: Side,
    tuple: &FlowTuple,
    remote: IpAddr,
    remote_groups: &[String],
) -> Option<&'n Rule> {
    let mut best: Option<&Rule> = None;
    for group in &network.groups {
        if !vnic.groups.contains(&group.name) {
            continue;
        }
        for rule in &group.rules {
            let protocol = rule.protocol.unwrap_or(tuple.protocol) == tuple.protocol;
            let mut port = rule.ports.is_empty();
            for range in &rule.ports {
                port |= *range.start() <= tuple.dst_port && tuple.dst_port <= *range.end();
            }
            let other = match &rule.remote {
                Remote::Any => true,
                Remote::Prefix(prefix) => within(remote, prefix.first(), prefix.length()),
                Remote::Group(name) => remote_groups.contains(name),
            };
            let better = best.is_none_or(|best| rule.priority < best.priority);
            if rule.side == side && protocol && port && other && better {
                best = Some(rule);
            }
        }
    }
    best
}

/// Whether the first `length` bits of two addresses are the same.
fn within(address: IpAddr, prefix: IpAddr, length: u8) -> bool {
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(v4) => format!("{:032b}", v4.to_bits()),
            IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
        }
    };
    let (a, p) = (bits(address), bits(prefix));
    let length = usize::from(length);
    a.len() == p.len() && a[..length] == p[..length]
}

fn subnet_of(network: &Network, address: IpAddr) -> Option<&Subnet> {
    network.subnets.iter().find(|subnet| {
        let prefixes = [subnet.ipv4, subnet.ipv6];
        let mut prefixes = prefixes.iter().flatten();
        prefixes.any(|prefix| within(address, prefix.first(), prefix.length()))
    })
}

fn owner(network: &Network, address: IpAddr) -> Option<&Vnic> {
    network
        .vnics
        .iter()
        .find(|vnic| vnic.addresses.contains(&address))
}
