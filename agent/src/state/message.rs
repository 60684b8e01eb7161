//! Flow entries and packets between protobuf messages and the agent's types. What comes from the
//! service is checked here: shape and range of every field.

use std::net::{IpAddr, Ipv4Addr};

use flownic_api::v1;
use flownic_api::v1::flow_entry::Action as Wanted;
use flownic_versions::Versions;
use flownic_wire::flow::FlowTuple;

use super::config::{address, check_vni, mac, versions};
use crate::tables::flow::{Action, Direction, Key, Routed, Tunnel, Verdict};
use crate::tables::packet_io::{PuntHeader, PuntReason};
use crate::tables::reasons::Reasons;

/// A flow entry as the service wants it; slots are not chosen yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFlow {
    /// Its key.
    pub key: Key,
    /// What becomes of its packets.
    pub verdict: Verdict,
    /// Name of the VNIC that it belongs to, "" for none.
    pub vnic: String,
    /// Versions of the virtual network that it was made from.
    pub vn_versions: Versions,
    /// Versions of the VNIC that it was made from.
    pub vnic_versions: Versions,
    /// Allowed because the other direction was.
    pub reply: bool,
}

/// A 16-bit number that protobuf carries in 32.
fn narrow(name: &str, value: u32) -> Result<u16, String> {
    u16::try_from(value).map_err(|_| format!("{name} {value} has more than 16 bits"))
}

/// Checks a flow entry; the error is a sentence without the entry's name.
pub fn flow(entry: &v1::FlowEntry, drops: &Reasons) -> Result<NewFlow, String> {
    let key = key(entry.key.as_ref().ok_or("it has no key")?)?;
    let verdict = match entry.action.as_ref().ok_or("it has no action")? {
        Wanted::ToTunnel(to) => Verdict::ToTunnel {
            tunnel: tunnel(to.tunnel)?.ok_or("it goes to a tunnel of no kind")?,
            remote_vtep: Ipv4Addr::from(to.remote_vtep),
            routed: routed(to.routed.as_ref())?,
        },
        Wanted::ToVf(to) => Verdict::ToVf {
            port: narrow("port", to.port)?,
            vlan: narrow("vlan", to.vlan)?,
            routed: routed(to.routed.as_ref())?,
        },
        Wanted::Deny(deny) => Verdict::Deny(
            (drops.find(&deny.reason))
                .ok_or_else(|| format!("\"{}\" is no drop reason of the pipeline", deny.reason))?,
        ),
    };
    Ok(NewFlow {
        key,
        verdict,
        vnic: entry.vnic.clone(),
        vn_versions: versions(entry.vn_versions.as_ref()),
        vnic_versions: versions(entry.vnic_versions.as_ref()),
        reply: entry.reply,
    })
}

fn key(key: &v1::FlowKey) -> Result<Key, String> {
    check_vni(key.vni)?;
    let (src, dst) = (address(&key.src)?, address(&key.dst)?);
    if src.is_ipv4() != dst.is_ipv4() {
        return Err("its addresses are of two IP versions".into());
    }
    Ok(Key {
        vni: key.vni,
        direction: match v1::Direction::try_from(key.direction) {
            Ok(v1::Direction::Outbound) => Direction::Outbound,
            Ok(v1::Direction::Inbound) => Direction::Inbound,
            Err(_) => return Err(format!("direction {} is unknown", key.direction)),
        },
        attach: key.attach,
        tuple: FlowTuple {
            src,
            dst,
            protocol: u8::try_from(key.protocol)
                .map_err(|_| format!("protocol {} has more than 8 bits", key.protocol))?,
            src_port: narrow("src_port", key.src_port)?,
            dst_port: narrow("dst_port", key.dst_port)?,
        },
    })
}

fn tunnel(kind: i32) -> Result<Option<Tunnel>, String> {
    match v1::Tunnel::try_from(kind) {
        Ok(v1::Tunnel::None) => Ok(None),
        Ok(v1::Tunnel::Vxlan) => Ok(Some(Tunnel::Vxlan)),
        Ok(v1::Tunnel::Geneve) => Ok(Some(Tunnel::Geneve)),
        Err(_) => Err(format!("tunnel kind {kind} is unknown")),
    }
}

fn routed(routed: Option<&v1::Routed>) -> Result<Option<Routed>, String> {
    routed
        .map(|routed| {
            Ok(Routed {
                src_mac: mac(&routed.src_mac)?,
                dst_mac: mac(&routed.dst_mac)?,
            })
        })
        .transpose()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn tunnel_message(tunnel: Option<Tunnel>) -> i32 {
    let kind = match tunnel {
        None => v1::Tunnel::None,
        Some(Tunnel::Vxlan) => v1::Tunnel::Vxlan,
        Some(Tunnel::Geneve) => v1::Tunnel::Geneve,
    };
    kind as i32
}

fn direction_message(direction: Direction) -> i32 {
    let direction = match direction {
        Direction::Outbound => v1::Direction::Outbound,
        Direction::Inbound => v1::Direction::Inbound,
    };
    direction as i32
}

fn versions_message(versions: Versions) -> v1::Versions {
    let [security, mapping, route, policy, lb] = versions.0;
    v1::Versions {
        security,
        mapping,
        route,
        policy,
        lb,
    }
}

fn routed_message(routed: Routed) -> v1::Routed {
    v1::Routed {
        src_mac: routed.src_mac.0.to_vec(),
        dst_mac: routed.dst_mac.0.to_vec(),
    }
}

/// An installed flow as a message. `vnic` is "" when it is not known (after a restart, before
/// the first configuration).
pub fn flow_message(
    key: &Key,
    action: &Action,
    vnic: &str,
    reply: bool,
    drops: &Reasons,
) -> v1::FlowEntry {
    let wanted = match action.verdict {
        Verdict::ToTunnel {
            tunnel,
            remote_vtep,
            routed,
        } => Wanted::ToTunnel(v1::ToTunnel {
            tunnel: tunnel_message(Some(tunnel)),
            remote_vtep: remote_vtep.into(),
            routed: routed.map(routed_message),
        }),
        Verdict::ToVf { port, vlan, routed } => Wanted::ToVf(v1::ToVf {
            port: port.into(),
            vlan: vlan.into(),
            routed: routed.map(routed_message),
        }),
        Verdict::Deny(reason) => Wanted::Deny(v1::Deny {
            reason: drops.name(reason).unwrap_or_default().to_owned(),
        }),
    };
    v1::FlowEntry {
        key: Some(v1::FlowKey {
            vni: key.vni,
            direction: direction_message(key.direction),
            attach: key.attach,
            src: octets(key.tuple.src),
            dst: octets(key.tuple.dst),
            protocol: key.tuple.protocol.into(),
            src_port: key.tuple.src_port.into(),
            dst_port: key.tuple.dst_port.into(),
        }),
        action: Some(wanted),
        vnic: vnic.to_owned(),
        vn_versions: Some(versions_message(action.vn.versions)),
        vnic_versions: Some(versions_message(action.vnic.versions)),
        reply,
    }
}

/// Where a punted packet came in, in the terms of a flow key.
pub fn origin(header: &PuntHeader) -> (Direction, u32) {
    match header.tunnel {
        None => (Direction::Outbound, header.ingress_port.into()),
        Some(_) => (Direction::Inbound, header.tunnel_src.into()),
    }
}

/// A punted packet as a message; `None` for reasons that the agent answers by itself.
pub fn punted_message(header: &PuntHeader, frame: Vec<u8>) -> Option<v1::PuntedPacket> {
    let reason = match header.reason {
        PuntReason::Miss => v1::PuntReason::Miss,
        PuntReason::Stale => v1::PuntReason::Stale,
        PuntReason::Arp => v1::PuntReason::Arp,
        PuntReason::Nd => v1::PuntReason::Nd,
        PuntReason::Fragment => v1::PuntReason::Fragment,
        PuntReason::TooBig | PuntReason::TtlExpired => return None,
    };
    let (direction, attach) = origin(header);
    Some(v1::PuntedPacket {
        reason: reason as i32,
        direction: direction_message(direction),
        attach,
        vni: header.vni,
        vlan: header.vlan.into(),
        tunnel: tunnel_message(header.tunnel),
        frame,
    })
}

/// A frame with an IEEE 802.1Q tag behind its addresses; unchanged for VLAN 0 and for what is no
/// frame.
pub fn tagged(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    const BEHIND_ADDRESSES: usize = 12;
    if vlan != 0 && frame.len() > BEHIND_ADDRESSES {
        let [high, low] = vlan.to_be_bytes();
        frame.splice(BEHIND_ADDRESSES..BEHIND_ADDRESSES, [0x81, 0x00, high, low]);
    }
    frame
}
