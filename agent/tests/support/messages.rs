//! Messages of the service, short to write.

use flownic_agent::tables::packet_io::{PuntHeader, PuntReason};
use flownic_api::v1;
use flownic_api::v1::flow_entry::Action;
use flownic_api::v1::nis_message::Message;
use flownic_versions::Parts;

pub const BLUE: u32 = 100;
pub const RED: u32 = 200;
pub const HOST: &str = "host-a";

pub fn versions(all: u32) -> v1::Versions {
    v1::Versions {
        security: all,
        mapping: all,
        route: all,
        policy: all,
        lb: all,
    }
}

/// A VNIC with the addresses 10.0.0.`n` and fd00::`n`.
pub fn vnic(name: &str, vni: u32, vf: u32, n: u8) -> v1::Vnic {
    let mut v6 = [0; 16];
    (v6[0], v6[15]) = (0xfd, n);
    let mut gateway_v6 = v6;
    gateway_v6[15] = 1;
    v1::Vnic {
        name: name.into(),
        vni,
        vf,
        vlan: 0,
        mac: vec![2, 0, 0, 0, vni as u8, n],
        addresses: vec![vec![10, 0, 0, n], v6.to_vec()],
        mtu: 1450,
        versions: Some(versions(1)),
        gateway_mac: vec![2, 0, 0x5e, 0, 0, 1],
        gateways: vec![vec![10, 0, 0, 1], gateway_v6.to_vec()],
    }
}

fn host(name: &str, n: u8) -> v1::Host {
    v1::Host {
        name: name.into(),
        vtep: u32::from_be_bytes([192, 0, 2, n]),
        mac: vec![2, 0, 0, 0, 1, n],
        mtu: 1600,
    }
}

/// A configuration of host-a with these VNICs; all networks have version 1.
pub fn configure(id: u64, vnics: Vec<v1::Vnic>) -> v1::Configure {
    let mut vnis: Vec<u32> = vnics.iter().map(|vnic| vnic.vni).collect();
    vnis.sort_unstable();
    vnis.dedup();
    v1::Configure {
        id,
        self_: Some(host(HOST, 1)),
        peers: vec![host("host-b", 2), host("host-c", 3)],
        vnics,
        vns: (vnis.into_iter())
            .map(|vni| v1::VnVersions {
                vni,
                versions: Some(versions(1)),
            })
            .collect(),
    }
}

/// blue/a on VF 0 and blue/b on VF 1, red/a on VF 8 with the address of blue/a.
pub fn two_tenants(id: u64) -> v1::Configure {
    configure(
        id,
        vec![
            vnic("blue/a", BLUE, 0, 10),
            vnic("blue/b", BLUE, 1, 20),
            vnic("red/a", RED, 8, 10),
        ],
    )
}

pub fn message(message: Message) -> Box<v1::NisMessage> {
    Box::new(v1::NisMessage {
        message: Some(message),
    })
}

/// A UDP flow from 10.0.0.`src` at VF `vf` to 10.0.0.`dst`.
pub fn outbound_key(vni: u32, vf: u32, (src, dst): (u8, u8), src_port: u16) -> v1::FlowKey {
    v1::FlowKey {
        vni,
        direction: v1::Direction::Outbound as i32,
        attach: 16 + vf,
        src: vec![10, 0, 0, src],
        dst: vec![10, 0, 0, dst],
        protocol: 17,
        src_port: src_port.into(),
        dst_port: 53,
    }
}

/// An entry that sends the flow to host-b.
pub fn to_tunnel(key: v1::FlowKey, vnic: &str, version: u32) -> v1::FlowEntry {
    v1::FlowEntry {
        key: Some(key),
        action: Some(Action::ToTunnel(v1::ToTunnel {
            tunnel: v1::Tunnel::Geneve as i32,
            remote_vtep: u32::from_be_bytes([192, 0, 2, 2]),
            routed: None,
        })),
        vnic: vnic.into(),
        vn_versions: Some(versions(version)),
        vnic_versions: Some(versions(version)),
        reply: false,
    }
}

/// An entry that brings a flow from host-b to a VF.
pub fn to_vf(vni: u32, vf: u32, (src, dst): (u8, u8), port: u16, vnic: &str) -> v1::FlowEntry {
    v1::FlowEntry {
        key: Some(v1::FlowKey {
            direction: v1::Direction::Inbound as i32,
            attach: u32::from_be_bytes([192, 0, 2, 2]),
            ..outbound_key(vni, vf, (src, dst), port)
        }),
        action: Some(Action::ToVf(v1::ToVf {
            port: 16 + vf,
            vlan: 0,
            routed: None,
        })),
        reply: true,
        ..to_tunnel(outbound_key(vni, vf, (src, dst), port), vnic, 1)
    }
}

pub fn deny(key: v1::FlowKey, vnic: &str, reason: &str) -> v1::FlowEntry {
    v1::FlowEntry {
        action: Some(Action::Deny(v1::Deny {
            reason: reason.into(),
        })),
        ..to_tunnel(key, vnic, 1)
    }
}

pub fn packet_out(vf: u32, frame: Vec<u8>) -> v1::PacketOut {
    v1::PacketOut {
        port: 16 + vf,
        vlan: 0,
        frame,
    }
}

pub fn punt_header(reason: PuntReason, vni: u32, vf: u16) -> PuntHeader {
    PuntHeader {
        reason,
        tunnel: None,
        ingress_port: 16 + vf,
        vni,
        stale_vn: Parts::NONE,
        stale_vnic: Parts::NONE,
        vlan: 0,
        tunnel_src: std::net::Ipv4Addr::UNSPECIFIED,
    }
}

/// A UDP/IPv4 frame of `length` bytes of payload behind the UDP header, with right checksums.
pub fn udp_frame((src, dst): (u8, u8), src_port: u16, ttl: u8, length: usize) -> Vec<u8> {
    let total = (28 + length) as u16;
    let mut ip = vec![
        0x45, 0, 0, 0, 0, 1, 0x40, 0, ttl, 17, 0, 0, 10, 0, 0, src, 10, 0, 0, dst,
    ];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    let sum: u32 = ip
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, dst, 2, 0, 0, 0, BLUE as u8, src, 8, 0];
    frame.extend(ip);
    frame.extend(src_port.to_be_bytes());
    frame.extend(53u16.to_be_bytes());
    frame.extend((8 + length as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.resize(14 + usize::from(total), 0xa5);
    frame
}
