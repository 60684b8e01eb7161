//! Protobuf messages, checked, to and from the types of the model.
//!
//! A generated struct promises nothing; what comes out of here does. Every error names the field.

use std::net::{IpAddr, Ipv4Addr};

use flownic_api::v1;
use flownic_versions::{Part, Versions};
use flownic_vnet::config::{FIRST_VF_PORT, MAX_VFS, Tunnel};
use flownic_vnet::entry::{Action, Direction, FlowEntry, FlowKey, Routed};
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;

use super::configuration::Configuration;
use super::error::Malformed;

/// Longest frame that a NIC punts, bytes: 9216 of payload and an Ethernet header.
pub(super) const MAX_FRAME: usize = 9216 + 14;

/// Shortest: an Ethernet header.
const MIN_FRAME: usize = 14;

const MAX_VNI: u32 = 0xff_ffff;

/// A punted packet.
#[derive(Debug)]
pub(super) struct Punt {
    pub(super) id: u64,
    pub(super) reason: v1::PuntReason,
    pub(super) from: From,
    pub(super) vni: u32,
    pub(super) frame: Vec<u8>,
}

/// Where a punted packet came into the NIC.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Vf { port: u16, vlan: u16 },
    Tunnel { source: Ipv4Addr },
}

/// An established flow, as an agent that attaches tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installed {
    pub(super) key: FlowKey,
    pub(super) reply: bool,
    pub(super) allowed: bool,
}

pub(super) fn punt(message: v1::Punt) -> Result<Punt, Malformed> {
    let id = message.id;
    let packet = message
        .packet
        .ok_or_else(|| Malformed::new("packet", "missing"));
    packet
        .and_then(|packet| punted_packet(id, packet))
        .map_err(|error| Malformed {
            at: format!("punt {id}: {}", error.at),
            what: error.what,
        })
}

fn punted_packet(id: u64, packet: v1::PuntedPacket) -> Result<Punt, Malformed> {
    let reason = match packet.reason() {
        v1::PuntReason::None => {
            let what = format!("{} is no reason to punt", packet.reason);
            return Err(Malformed::new("packet.reason", what));
        }
        reason => reason,
    };
    let direction = direction("packet.direction", packet.direction)?;
    let length = packet.frame.len();
    if !(MIN_FRAME..=MAX_FRAME).contains(&length) {
        let what = format!("{length} bytes, must be {MIN_FRAME} to {MAX_FRAME}");
        return Err(Malformed::new("packet.frame", what));
    }
    let from = match direction {
        Direction::Outbound => From::Vf {
            port: vf_port("packet.attach", packet.attach)?,
            vlan: at_most("packet.vlan", packet.vlan, 4094)? as u16,
        },
        Direction::Inbound => From::Tunnel {
            source: packet.attach.into(),
        },
    };
    let vni = at_most("packet.vni", packet.vni, MAX_VNI)?;
    Ok(Punt {
        id,
        reason,
        from,
        vni,
        frame: packet.frame,
    })
}

pub(super) fn installed(entry: &v1::FlowEntry) -> Result<Installed, Malformed> {
    let key = entry
        .key
        .as_ref()
        .ok_or_else(|| Malformed::new("key", "missing"))?;
    let key = flow_key(key).map_err(|error| error.within("key"))?;
    let allowed = match &entry.action {
        None => return Err(Malformed::new("action", "missing")),
        Some(v1::flow_entry::Action::Deny(_)) => false,
        Some(_) => true,
    };
    Ok(Installed {
        key,
        reply: entry.reply,
        allowed,
    })
}

fn flow_key(key: &v1::FlowKey) -> Result<FlowKey, Malformed> {
    let direction = direction("direction", key.direction)?;
    let attach = match direction {
        Direction::Outbound => vf_port("attach", key.attach)?.into(),
        Direction::Inbound => key.attach,
    };
    let tuple = FlowTuple {
        src: address("src", &key.src)?,
        dst: address("dst", &key.dst)?,
        protocol: at_most("protocol", key.protocol, 0xff)? as u8,
        src_port: at_most("src_port", key.src_port, 0xffff)? as u16,
        dst_port: at_most("dst_port", key.dst_port, 0xffff)? as u16,
    };
    if tuple.src.is_ipv4() != tuple.dst.is_ipv4() {
        let what = format!(
            "{} and src {} are of different IP versions",
            tuple.dst, tuple.src
        );
        return Err(Malformed::new("dst", what));
    }
    Ok(FlowKey {
        vni: at_most("vni", key.vni, MAX_VNI)?,
        direction,
        attach,
        tuple,
    })
}

fn direction(at: &str, value: i32) -> Result<Direction, Malformed> {
    match v1::Direction::try_from(value) {
        Ok(v1::Direction::Outbound) => Ok(Direction::Outbound),
        Ok(v1::Direction::Inbound) => Ok(Direction::Inbound),
        Err(_) => Err(Malformed::new(at, format!("{value} is no direction"))),
    }
}

fn address(at: &str, bytes: &[u8]) -> Result<IpAddr, Malformed> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(v4.into());
    }
    match <[u8; 16]>::try_from(bytes) {
        Ok(v6) => Ok(v6.into()),
        Err(_) => Err(Malformed::new(
            at,
            format!("{} bytes, must be 4 or 16", bytes.len()),
        )),
    }
}

fn vf_port(at: &str, value: u32) -> Result<u16, Malformed> {
    let ports = FIRST_VF_PORT..FIRST_VF_PORT + MAX_VFS;
    match u16::try_from(value) {
        Ok(port) if ports.contains(&port) => Ok(port),
        _ => {
            let (first, last) = (ports.start, ports.end - 1);
            Err(Malformed::new(
                at,
                format!("{value} is no VF port, must be {first} to {last}"),
            ))
        }
    }
}

fn at_most(at: &str, value: u32, bound: u32) -> Result<u32, Malformed> {
    if value > bound {
        return Err(Malformed::new(
            at,
            format!("{value}, must be at most {bound}"),
        ));
    }
    Ok(value)
}

/// What the host's NIC must hold, with id 0; `None`: the configuration does not know the host.
pub(super) fn configure(configuration: &Configuration, host: &str) -> Option<v1::Configure> {
    let fabric = &configuration.fabric;
    let own = fabric.host(host)?;
    let vnics: Vec<v1::Vnic> = fabric
        .vnics_of_host(host)
        .map(|vnic| {
            let gateway = fabric.subnet_of(vnic).map(|subnet| subnet.gateway);
            let addresses = gateway.iter().flat_map(|gateway| {
                let v4 = gateway.ipv4.map(IpAddr::from);
                v4.into_iter().chain(gateway.ipv6.map(IpAddr::from))
            });
            v1::Vnic {
                name: vnic.name.to_string(),
                vni: vnic.vni,
                vf: vnic.vf.into(),
                vlan: vnic.vlan.into(),
                mac: vnic.mac.0.to_vec(),
                addresses: vnic.addresses.iter().copied().map(octets).collect(),
                mtu: vnic.mtu.into(),
                versions: Some(versions(&vnic.versions)),
                gateway_mac: gateway.map_or_else(Vec::new, |gateway| gateway.mac.0.to_vec()),
                gateways: addresses.map(octets).collect(),
            }
        })
        .collect();
    let mut vnis: Vec<u32> = vnics.iter().map(|vnic| vnic.vni).collect();
    vnis.sort_unstable();
    vnis.dedup();
    let vns = vnis
        .into_iter()
        .filter_map(|vni| fabric.network(vni))
        .map(|network| v1::VnVersions {
            vni: network.vni,
            versions: Some(versions(&network.versions)),
        });
    Some(v1::Configure {
        id: 0,
        self_: Some(host_message(own)),
        peers: fabric
            .hosts()
            .iter()
            .filter(|peer| peer.name != own.name)
            .map(host_message)
            .collect(),
        vns: vns.collect(),
        vnics,
    })
}

fn host_message(host: &flownic_vnet::Host) -> v1::Host {
    v1::Host {
        name: host.name.to_string(),
        vtep: host.vtep.to_bits(),
        mac: host.mac.0.to_vec(),
        mtu: host.mtu.into(),
    }
}

pub(super) fn versions(versions: &Versions) -> v1::Versions {
    v1::Versions {
        security: versions.get(Part::Security),
        mapping: versions.get(Part::Mapping),
        route: versions.get(Part::Route),
        policy: versions.get(Part::Policy),
        lb: versions.get(Part::Lb),
    }
}

pub(super) fn flow_entry(entry: &FlowEntry) -> v1::FlowEntry {
    let key = &entry.key;
    v1::FlowEntry {
        key: Some(v1::FlowKey {
            vni: key.vni,
            direction: match key.direction {
                Direction::Outbound => v1::Direction::Outbound.into(),
                Direction::Inbound => v1::Direction::Inbound.into(),
            },
            attach: key.attach,
            src: octets(key.tuple.src),
            dst: octets(key.tuple.dst),
            protocol: key.tuple.protocol.into(),
            src_port: key.tuple.src_port.into(),
            dst_port: key.tuple.dst_port.into(),
        }),
        action: Some(action(&entry.action)),
        vnic: entry.vnic.to_string(),
        vn_versions: Some(versions(&entry.vn_versions)),
        vnic_versions: Some(versions(&entry.vnic_versions)),
        reply: entry.reply,
    }
}

fn action(action: &Action) -> v1::flow_entry::Action {
    match *action {
        Action::ToTunnel {
            tunnel,
            remote_vtep,
            routed: rewrites,
        } => v1::flow_entry::Action::ToTunnel(v1::ToTunnel {
            tunnel: match tunnel {
                Tunnel::Vxlan => v1::Tunnel::Vxlan.into(),
                Tunnel::Geneve => v1::Tunnel::Geneve.into(),
            },
            remote_vtep: remote_vtep.to_bits(),
            routed: rewrites.map(routed),
        }),
        Action::ToVf {
            port,
            vlan,
            routed: rewrites,
        } => v1::flow_entry::Action::ToVf(v1::ToVf {
            port: port.into(),
            vlan: vlan.into(),
            routed: rewrites.map(routed),
        }),
        Action::Deny { reason } => v1::flow_entry::Action::Deny(v1::Deny {
            reason: reason.name().to_owned(),
        }),
    }
}

fn routed(routed: Routed) -> v1::Routed {
    let bytes = |mac: MacAddr| mac.0.to_vec();
    v1::Routed {
        src_mac: bytes(routed.src_mac),
        dst_mac: bytes(routed.dst_mac),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
