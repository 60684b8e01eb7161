//! Random configurations and packets. The world is small, so that packets meet the interesting
//! cases often: few hosts, subnets, groups and ports.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use flownic_vnet::config::{
    Config, Group, Host, Network, Remote, Rule, Side, Subnet, Tunnel, Vnic,
};
use flownic_vnet::{Connection, Packet};
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const HOSTS: [&str; 3] = ["host-a", "host-b", "host-c"];
const GROUPS: [&str; 3] = ["one", "two", "three"];
const PORTS: [u16; 4] = [1, 53, 80, 40000];

pub fn config() -> impl Strategy<Value = Config> {
    (network(0), network(1)).prop_map(|(first, second)| Config {
        hosts: (1..)
            .zip(HOSTS)
            .map(|(number, name)| Host {
                name: name.to_owned(),
                vtep: [192, 0, 2, number].into(),
                mac: MacAddr([2, 0, 0, 0, number, 0]),
                mtu: 1600,
            })
            .collect(),
        networks: vec![first, second],
    })
}

/// Networks use the same addresses and MACs.
fn network(index: u8) -> impl Strategy<Value = Network> {
    let tunnel = select(vec![Tunnel::Vxlan, Tunnel::Geneve]);
    let vnics = vec(vnic(), 1..6);
    let groups = (vec(rule(), 0..6), vec(rule(), 0..6), vec(rule(), 0..3));
    (tunnel, vnics, groups).prop_map(move |(tunnel, vnics, groups)| {
        let subnets: Vec<Subnet> = (0..3).map(subnet).collect();
        let vnics = (0u8..)
            .zip(vnics)
            .map(|(number, chosen)| chosen.into_vnic(index, number))
            .collect();
        let rules = [groups.0, groups.1, groups.2];
        Network {
            tenant: format!("tenant{index}"),
            name: format!("network{index}"),
            vni: 100 + u32::from(index),
            tunnel,
            mtu: 1450,
            subnets,
            vnics,
            groups: GROUPS
                .iter()
                .zip(rules)
                .map(|(name, rules)| Group {
                    name: (*name).to_owned(),
                    rules,
                })
                .collect(),
        }
    })
}

/// The last one has IPv4 only.
fn subnet(number: u8) -> Subnet {
    let v6 = number < 2;
    let mut gateways: Vec<IpAddr> = vec![[10, 0, number, 1].into()];
    if v6 {
        gateways.push(format!("fd00:0:0:{number}::1").parse().unwrap());
    }
    Subnet {
        name: format!("subnet{number}"),
        ipv4: Some(format!("10.0.{number}.0/24").parse().unwrap()),
        ipv6: v6.then(|| format!("fd00:0:0:{number}::/64").parse().unwrap()),
        gateways,
        gateway_mac: gateway_mac(number),
    }
}

fn gateway_mac(subnet: u8) -> MacAddr {
    MacAddr([2, 0, 0x5e, 0, 0, subnet])
}

fn vnic_mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

#[derive(Clone, Debug)]
struct ChosenVnic {
    host: &'static str,
    subnet: u8,
    vlan: u16,
    groups: Vec<&'static str>,
}

fn vnic() -> impl Strategy<Value = ChosenVnic> {
    let groups = subsequence(GROUPS.to_vec(), 0..=3);
    (select(&HOSTS[..]), 0u8..3, select(vec![0, 0, 7]), groups).prop_map(
        |(host, subnet, vlan, groups)| ChosenVnic {
            host,
            subnet,
            vlan,
            groups,
        },
    )
}

impl ChosenVnic {
    fn into_vnic(self, network: u8, number: u8) -> Vnic {
        Vnic {
            name: format!("vm{number}"),
            host: self.host.to_owned(),
            vf: u16::from(16 * network + number),
            vlan: self.vlan,
            mac: vnic_mac(number),
            addresses: vnic_addresses(self.subnet, number),
            groups: self.groups.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

pub fn vnic_addresses(subnet: u8, number: u8) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = vec![[10, 0, subnet, 10 + number].into()];
    if subnet < 2 {
        addresses.push(
            format!("fd00:0:0:{subnet}::{}", 10 + number)
                .parse()
                .unwrap(),
        );
    }
    addresses
}

pub fn rule() -> impl Strategy<Value = Rule> {
    let protocol = select(vec![
        None,
        None,
        Some(6),
        Some(17),
        Some(1),
        Some(58),
        Some(99),
    ]);
    let port = || select(&PORTS[..]);
    let ports = vec((port(), port()), 0..3);
    let prefixes = [
        "10.0.0.0/24",
        "10.0.0.0/15",
        "10.0.1.10/31",
        "fd00::/16",
        "0.0.0.0/0",
    ];
    let remote = prop_oneof![
        2 => Just(Remote::Any),
        2 => select(prefixes.to_vec()).prop_map(|text| Remote::Prefix(text.parse().unwrap())),
        2 => select(&GROUPS[..]).prop_map(|name| Remote::Group(name.to_owned())),
    ];
    let sides = select(vec![Side::Egress, Side::Ingress]);
    let allow = prop::bool::weighted(0.8);
    let stateful = prop::bool::weighted(0.7);
    (sides, allow, protocol, ports, remote, stateful, 0u32..4).prop_map(
        |(side, allow, protocol, ports, remote, stateful, priority)| {
            let has_ports = matches!(protocol, Some(6 | 17));
            let range = |(a, b): (u16, u16)| -> RangeInclusive<u16> { a.min(b)..=a.max(b) };
            Rule {
                side,
                allow,
                protocol,
                ports: if has_ports {
                    ports.into_iter().map(range).collect()
                } else {
                    Vec::new()
                },
                remote,
                stateful,
                priority,
            }
        },
    )
}

/// What a packet is made of, before there is a configuration to fit it into.
#[derive(Clone, Debug)]
pub struct Shape {
    pub network: usize,
    pub sender: usize,
    pub receiver: usize,
    v6: bool,
    target: Target,
    right_mac: bool,
    right_source: bool,
    other_mac: MacAddr,
    ttl: u8,
    kind: (u8, u16, u16),
    quoted: (u8, u16, u16),
    connection: u8,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Vnic,
    Gateway(u8),
    Nobody(u8),
    Outside,
    Group,
}

pub fn shape() -> impl Strategy<Value = Shape> {
    let target = prop_oneof![
        12 => Just(Target::Vnic),
        1 => (0u8..2).prop_map(Target::Gateway),
        1 => (0u8..2).prop_map(Target::Nobody),
        1 => Just(Target::Outside),
        1 => Just(Target::Group),
    ];
    let who = (
        0usize..2,
        0usize..5,
        0usize..5,
        prop::bool::weighted(0.3),
        target,
    );
    let mac = prop_oneof![
        (0u8..6).prop_map(vnic_mac),
        (0u8..3).prop_map(gateway_mac),
        Just(MacAddr::BROADCAST),
    ];
    let right = (prop::bool::weighted(0.9), prop::bool::weighted(0.95));
    let ttl = select(vec![0, 1, 2, 64, 64, 64, 64]);
    (who, right, mac, ttl, kind(), kind(), 0u8..4).prop_map(
        |(who, right, other_mac, ttl, kind, quoted, connection)| Shape {
            network: who.0,
            sender: who.1,
            receiver: who.2,
            v6: who.3,
            target: who.4,
            right_mac: right.0,
            right_source: right.1,
            other_mac,
            ttl,
            kind,
            quoted,
            connection,
        },
    )
}

/// Protocol and ports; the protocol numbers of ICMP are put right for the IP version later.
fn kind() -> impl Strategy<Value = (u8, u16, u16)> {
    let port = || select(&PORTS[..]);
    prop_oneof![
        4 => (Just(6), port(), port()),
        4 => (Just(17), port(), port()),
        3 => (Just(1), select(vec![0u16, 8 << 8, 3 << 8 | 3, 11 << 8, 13 << 8]), Just(5)),
        1 => (Just(99), Just(0), Just(0)),
    ]
}

fn tuple(src: IpAddr, dst: IpAddr, kind: (u8, u16, u16)) -> FlowTuple {
    let (mut protocol, mut src_port, dst_port) = kind;
    if protocol == 1 && src.is_ipv6() {
        protocol = 58;
        src_port = match src_port >> 8 {
            0 => 129 << 8,
            8 => 128 << 8,
            _ => src_port,
        };
    }
    FlowTuple {
        src,
        dst,
        protocol,
        src_port,
        dst_port,
    }
}

/// A packet that a VNIC of the configuration sends.
#[derive(Debug)]
pub struct Sent<'c> {
    pub network: &'c Network,
    pub sender: &'c Vnic,
    pub packet: Packet,
}

impl Shape {
    /// The packet in this configuration.
    pub fn place<'c>(&self, config: &'c Config) -> Sent<'c> {
        let network = &config.networks[self.network];
        let sender = &network.vnics[self.sender % network.vnics.len()];
        let receiver = &network.vnics[self.receiver % network.vnics.len()];
        let src = self.address(sender);
        let dst = self.destination(receiver, src);
        let flow = tuple(src, dst, self.kind);
        let quoted = tuple(src, dst, self.quoted);
        let connection = match self.connection {
            0 => Connection::Reply,
            1 if flow.is_icmp_error() => Connection::Related(quoted),
            2 if flow.is_icmp_error() => quoted
                .reverse()
                .map_or(Connection::New, Connection::Related),
            _ => Connection::New,
        };
        Sent {
            network,
            sender,
            packet: Packet {
                tuple: flow,
                src_mac: if self.right_source {
                    sender.mac
                } else {
                    self.other_mac
                },
                dst_mac: if self.right_mac {
                    next_hop_mac(network, sender, dst)
                } else {
                    self.other_mac
                },
                ttl: self.ttl,
                connection,
            },
        }
    }

    fn address(&self, vnic: &Vnic) -> IpAddr {
        let wanted = vnic.addresses.iter().find(|a| a.is_ipv6() == self.v6);
        *wanted.unwrap_or(&vnic.addresses[0])
    }

    fn destination(&self, receiver: &Vnic, src: IpAddr) -> IpAddr {
        let v6 = src.is_ipv6();
        let text = match self.target {
            Target::Vnic => {
                let same = receiver.addresses.iter().find(|a| a.is_ipv6() == v6);
                return *same.unwrap_or(&src);
            }
            Target::Gateway(subnet) if v6 => format!("fd00:0:0:{subnet}::1"),
            Target::Gateway(subnet) => format!("10.0.{subnet}.1"),
            Target::Nobody(subnet) if v6 => format!("fd00:0:0:{subnet}::77"),
            Target::Nobody(subnet) => format!("10.0.{subnet}.77"),
            Target::Outside if v6 => "2001:db8::1".to_owned(),
            Target::Outside => "203.0.113.1".to_owned(),
            Target::Group if v6 => "ff02::1".to_owned(),
            Target::Group => "224.0.0.1".to_owned(),
        };
        text.parse().unwrap()
    }
}

/// Where a VM sends a packet: to the receiver in its own subnet, else to its gateway.
pub fn next_hop_mac(network: &Network, sender: &Vnic, dst: IpAddr) -> MacAddr {
    let home = network
        .subnets
        .iter()
        .find(|subnet| subnet.contains(sender.addresses[0]))
        .unwrap();
    let receiver = network.vnics.iter().find(|v| v.addresses.contains(&dst));
    match receiver.filter(|_| home.contains(dst)) {
        Some(receiver) => receiver.mac,
        None => home.gateway_mac,
    }
}

/// A change that a person might make to a network.
#[derive(Clone, Debug)]
pub enum Mutation {
    Groups(usize, Vec<&'static str>),
    AddRule(usize, Rule),
    RemoveRule(usize, usize),
    SwapGroups(usize, usize),
    Host(usize, &'static str),
    Vf(usize, u16),
    Vlan(usize, u16),
    Mac(usize),
    Subnet(usize, u8),
    SwapAddresses(usize, usize),
    RemoveVnic(usize),
    GatewayMac(usize),
    Tunnel,
    Vtep(usize),
    Mtu,
}

pub fn mutation() -> impl Strategy<Value = Mutation> {
    let vnic = || 0usize..5;
    let group = || 0usize..3;
    prop_oneof![
        (vnic(), subsequence(GROUPS.to_vec(), 0..=3)).prop_map(|(v, g)| Mutation::Groups(v, g)),
        (group(), rule()).prop_map(|(g, r)| Mutation::AddRule(g, r)),
        (group(), 0usize..6).prop_map(|(g, r)| Mutation::RemoveRule(g, r)),
        (group(), group()).prop_map(|(a, b)| Mutation::SwapGroups(a, b)),
        (vnic(), select(&HOSTS[..])).prop_map(|(v, h)| Mutation::Host(v, h)),
        (vnic(), 64u16..70).prop_map(|(v, f)| Mutation::Vf(v, f)),
        (vnic(), 1u16..4).prop_map(|(v, vlan)| Mutation::Vlan(v, vlan)),
        vnic().prop_map(Mutation::Mac),
        (vnic(), 0u8..3).prop_map(|(v, s)| Mutation::Subnet(v, s)),
        (vnic(), vnic()).prop_map(|(a, b)| Mutation::SwapAddresses(a, b)),
        vnic().prop_map(Mutation::RemoveVnic),
        (0usize..3).prop_map(Mutation::GatewayMac),
        Just(Mutation::Tunnel),
        (0usize..3).prop_map(Mutation::Vtep),
        Just(Mutation::Mtu),
    ]
}

impl Mutation {
    /// Changes the network with this index. The result may be wrong (a VF used twice): the
    /// caller checks.
    pub fn apply(&self, config: &mut Config, network: usize) {
        if let Mutation::Vtep(host) = self {
            config.hosts[*host].vtep = [192, 0, 2, 77].into();
            return;
        }
        let network = &mut config.networks[network];
        let count = network.vnics.len();
        match self {
            Mutation::Groups(vnic, groups) => {
                let groups = groups.iter().map(|name| (*name).to_owned());
                network.vnics[vnic % count].groups = groups.collect();
            }
            Mutation::AddRule(group, rule) => network.groups[*group].rules.insert(0, rule.clone()),
            Mutation::RemoveRule(group, rule) => {
                let rules = &mut network.groups[*group].rules;
                if *rule < rules.len() {
                    rules.remove(*rule);
                }
            }
            Mutation::SwapGroups(a, b) => network.groups.swap(*a, *b),
            Mutation::Host(vnic, host) => network.vnics[vnic % count].host = (*host).to_owned(),
            Mutation::Vf(vnic, vf) => network.vnics[vnic % count].vf = *vf,
            Mutation::Vlan(vnic, vlan) => network.vnics[vnic % count].vlan = *vlan,
            Mutation::Mac(vnic) => network.vnics[vnic % count].mac.0[1] = 0x77,
            Mutation::Subnet(vnic, subnet) => {
                let number = vnic % count;
                network.vnics[number].addresses = vnic_addresses(*subnet, number as u8);
            }
            Mutation::SwapAddresses(a, b) => {
                let (a, b) = (a % count, b % count);
                let first = network.vnics[a].addresses.clone();
                network.vnics[a].addresses = network.vnics[b].addresses.clone();
                network.vnics[b].addresses = first;
            }
            Mutation::RemoveVnic(vnic) => {
                network.vnics.remove(vnic % count);
            }
            Mutation::GatewayMac(subnet) => network.subnets[*subnet].gateway_mac.0[1] = 0x66,
            Mutation::Tunnel => {
                network.tunnel = match network.tunnel {
                    Tunnel::Vxlan => Tunnel::Geneve,
                    Tunnel::Geneve => Tunnel::Vxlan,
                }
            }
            Mutation::Vtep(_) => {}
            Mutation::Mtu => network.mtu = 1400,
        }
    }
}
