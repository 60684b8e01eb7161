//! The configuration as a function of a few numbers, and an independent word on what it allows.

use std::fmt::Write as _;

/// Physical hosts.
pub const HOSTS: usize = 3;
/// Virtual networks, with the same addresses and MACs.
pub const NETWORKS: usize = 2;
/// VNICs of each network; the first half is in one subnet, the others are in another.
pub const VNICS: usize = 4;
/// UDP ports that rules are about.
pub const SERVICES: usize = 4;

/// One state of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// By network and service: may it be reached?
    pub allowed: [[bool; SERVICES]; NETWORKS],
    /// By network and VNIC: the host that it is on.
    pub place: [[usize; VNICS]; NETWORKS],
}

/// One direction of a conversation over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    pub network: usize,
    pub src: usize,
    pub dst: usize,
    pub src_port: u16,
    pub dst_port: u16,
}

impl Flow {
    pub fn reverse(self) -> Flow {
        Flow {
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
            ..self
        }
    }
}

impl Variant {
    pub fn host_name(host: usize) -> String {
        format!("host-{host}")
    }

    /// True when a rule lets the flow start.
    pub fn allows(&self, flow: &Flow) -> bool {
        (0..SERVICES).any(|service| {
            service_port(service) == flow.dst_port && self.allowed[flow.network][service]
        })
    }

    pub fn toml(&self) -> String {
        let mut text = String::new();
        for host in 0..HOSTS {
            let name = Variant::host_name(host);
            writeln!(
                text,
                "[[host]]\nname = \"{name}\"\nvtep = \"{}\"\nmac = \"02:00:00:00:{host:02x}:00\"\nmtu = 1600",
                vtep(host)
            )
            .unwrap();
        }
        for network in 0..NETWORKS {
            self.network(&mut text, network);
        }
        text
    }

    fn network(&self, text: &mut String, network: usize) {
        let tunnel = ["geneve", "vxlan"][network % 2];
        writeln!(
            text,
            "[[network]]\ntenant = \"t{network}\"\nname = \"n{network}\"\nvni = {}\ntunnel = \"{tunnel}\"\nmtu = 1450",
            vni(network)
        )
        .unwrap();
        for subnet in 0..2 {
            writeln!(
                text,
                "[[network.subnet]]\nname = \"s{subnet}\"\nipv4 = \"10.0.{subnet}.0/24\"\n\
                 gateway = [\"10.0.{subnet}.1\"]\ngateway_mac = \"{}\"",
                gateway_mac(subnet)
            )
            .unwrap();
        }
        for vnic in 0..VNICS {
            writeln!(
                text,
                "[[network.vnic]]\nname = \"v{vnic}\"\nhost = \"{}\"\nvf = {}\nmac = \"{}\"\n\
                 addresses = [\"{}\"]\ngroups = [\"all\"]",
                Variant::host_name(self.place[network][vnic]),
                port(network, vnic) - 16,
                mac(vnic),
                address(vnic),
            )
            .unwrap();
        }
        let rule = "[[network.group.rule]]\naction = \"allow\"\nremote = \"any\"\n";
        writeln!(text, "[[network.group]]\nname = \"all\"").unwrap();
        writeln!(text, "{rule}direction = \"egress\"\nprotocol = \"any\"").unwrap();
        for service in 0..SERVICES {
            if self.allowed[network][service] {
                let port = service_port(service);
                writeln!(
                    text,
                    "{rule}direction = \"ingress\"\nprotocol = \"udp\"\nports = \"{port}\""
                )
                .unwrap();
            }
        }
    }
}

pub fn vni(network: usize) -> u32 {
    100 + network as u32
}

pub fn vtep(host: usize) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(192, 0, 2, 1 + host as u8)
}

/// Port of a VNIC, the same on every host.
pub fn port(network: usize, vnic: usize) -> u32 {
    (16 + network * 8 + vnic) as u32
}

pub fn service_port(service: usize) -> u16 {
    80 + service as u16
}

pub fn subnet(vnic: usize) -> usize {
    vnic / (VNICS / 2)
}

pub fn address(vnic: usize) -> std::net::Ipv4Addr {
    std::net::Ipv4Addr::new(10, 0, subnet(vnic) as u8, 10 + vnic as u8)
}

pub fn mac(vnic: usize) -> flownic_wire::MacAddr {
    flownic_wire::MacAddr([2, 0, 0, 0, 0, 10 + vnic as u8])
}

pub fn gateway_mac(subnet: usize) -> flownic_wire::MacAddr {
    flownic_wire::MacAddr([2, 0, 0x5e, 0, 0, subnet as u8])
}

/// A frame as the VM sends it: IPv4 and UDP, with the packet's number as payload.
pub fn frame(flow: &Flow, number: u64) -> Vec<u8> {
    use flownic_wire::{ethernet, ipv4, protocol};
    let dst_mac = if subnet(flow.src) == subnet(flow.dst) {
        mac(flow.dst)
    } else {
        gateway_mac(subnet(flow.src))
    };
    let mut frame = Vec::new();
    ethernet::emit(&mut frame, dst_mac, mac(flow.src), ethernet::IPV4);
    let repr = ipv4::Repr {
        src: address(flow.src),
        dst: address(flow.dst),
        protocol: protocol::UDP,
        ttl: 64,
        tos: 0,
        payload_len: 16,
    };
    ipv4::emit(&mut frame, &repr);
    for field in [flow.src_port, flow.dst_port, 16, 0] {
        frame.extend(field.to_be_bytes());
    }
    frame.extend(number.to_be_bytes());
    frame
}

/// The number of the packet in a frame.
pub fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[frame.len() - 8..].try_into().unwrap())
}
