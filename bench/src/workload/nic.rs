//! flownic.p4's hit path: VF to Geneve tunnel, and back.
//!
//! ```text
//!  VF 0 … n−1, one VNIC each          remote NICs, 250 tunnel ends
//!  10.0.0.10 + VF   ──────── flow ────────  10.64.0.0 + …
//! ```

use flownic_pipeline::entity::Update;
use flownic_pipeline::p4info::P4Info;

use super::frame::{self, Segment, Tunnel};
use super::{INNER_BYTES, Workload};
use crate::columns::{Columns, exact, member, prefix, register};
use crate::error::BenchError;

const UPLINK: u16 = 0;
const FIRST_VF: u16 = 16;
const VNI: u32 = 100;
const OWN_VTEP: u32 = 0xc000_0201;
const OWN_UPLINK_MAC: u64 = 0x0200_0000_0100;
const NEXT_HOP_MAC: u64 = 0x0200_0000_0101;
const FIRST_REMOTE_VTEP: u32 = 0xc000_0202;
const REMOTE_VTEPS: u64 = 250;
const FIRST_LOCAL_ADDRESS: u32 = 0x0a00_000a;
const FIRST_REMOTE_ADDRESS: u32 = 0x0a40_0000;
const LOCAL_MAC: u64 = 0x0200_000a_0000;
const REMOTE_MAC: u64 = 0x0200_0b00_0000;
/// Flows between the same two addresses differ in the local port.
const PORTS: u64 = 16;
const FIRST_LOCAL_PORT: u64 = 40_000;
const REMOTE_PORT: u16 = 443;
const TCP: u64 = 6;
/// Slot of the network in the version registers; VNICs have slots 2 + VF.
const VN_SLOT: u32 = 1;
/// Versions of the five parts of the network, and of each VNIC.
const VN_VERSIONS: [u64; 5] = [11, 12, 13, 14, 15];
const VNIC_VERSIONS: [u64; 5] = [21, 22, 23, 24, 25];

static CRC16: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_ARC);

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From a VF into a tunnel.
    Transmit,
    /// From a tunnel to a VF.
    Receive,
}

/// The traffic of one direction.
#[derive(Debug)]
pub(crate) struct Nic {
    direction: Direction,
    vfs: u64,
    setup: Vec<Update>,
    entries: Columns,
    geneve: u64,
}

/// What a flow's number means.
struct Flow {
    vf: u64,
    local: u32,
    local_mac: u64,
    local_port: u16,
    remote: u32,
    remote_mac: u64,
    vtep: u32,
}

impl Nic {
    pub(crate) fn new(p4info: &P4Info, direction: Direction, vfs: u16) -> Result<Nic, BenchError> {
        let key = [
            "vni",
            "direction",
            "attach",
            "src",
            "dst",
            "protocol",
            "src_port",
            "dst_port",
        ];
        let mut params = vec![
            "vn_slot",
            "vn_security",
            "vn_mapping",
            "vn_route",
            "vn_policy",
            "vn_lb",
            "vnic_slot",
            "vnic_security",
            "vnic_mapping",
            "vnic_route",
            "vnic_policy",
            "vnic_lb",
        ];
        let action = match direction {
            Direction::Transmit => {
                params.extend(["tunnel", "remote_vtep", "routed", "src_mac", "dst_mac"]);
                "to_tunnel"
            }
            Direction::Receive => {
                params.extend(["port", "vlan", "routed", "src_mac", "dst_mac"]);
                "to_vf"
            }
        };
        Ok(Nic {
            direction,
            vfs: u64::from(vfs),
            setup: setup(p4info, u64::from(vfs))?,
            entries: Columns::find(p4info, ("flow_ipv4", &key), (action, &params))?,
            geneve: member(p4info, "TunnelKind", "GENEVE")?,
        })
    }

    fn flow(&self, number: u64) -> Flow {
        let vf = number % self.vfs;
        let pair = number / self.vfs;
        let remote = pair / PORTS;
        Flow {
            vf,
            local: FIRST_LOCAL_ADDRESS + vf as u32,
            local_mac: LOCAL_MAC + vf,
            local_port: (FIRST_LOCAL_PORT + pair % PORTS) as u16,
            remote: FIRST_REMOTE_ADDRESS + remote as u32,
            remote_mac: REMOTE_MAC + remote,
            vtep: FIRST_REMOTE_VTEP + (remote % REMOTE_VTEPS) as u32,
        }
    }
}

impl Flow {
    fn port(&self) -> u16 {
        FIRST_VF + self.vf as u16
    }

    fn segment(&self, direction: Direction) -> Segment {
        match direction {
            Direction::Transmit => Segment {
                dst_mac: self.remote_mac,
                src_mac: self.local_mac,
                src: self.local,
                dst: self.remote,
                src_port: self.local_port,
                dst_port: REMOTE_PORT,
                ttl: 64,
            },
            Direction::Receive => Segment {
                dst_mac: self.local_mac,
                src_mac: self.remote_mac,
                src: self.remote,
                dst: self.local,
                src_port: REMOTE_PORT,
                dst_port: self.local_port,
                ttl: 64,
            },
        }
    }

    fn inner(&self, direction: Direction, packet: &mut Vec<u8>) {
        frame::tcp(&self.segment(direction), INNER_BYTES, packet);
    }

    fn outer(&self, direction: Direction, packet: &mut Vec<u8>) {
        let src_port = entropy(&self.segment(direction));
        let tunnel = match direction {
            Direction::Transmit => Tunnel {
                dst_mac: NEXT_HOP_MAC,
                src_mac: OWN_UPLINK_MAC,
                src: OWN_VTEP,
                dst: self.vtep,
                src_port,
                vni: VNI,
            },
            Direction::Receive => Tunnel {
                dst_mac: OWN_UPLINK_MAC,
                src_mac: NEXT_HOP_MAC,
                src: self.vtep,
                dst: OWN_VTEP,
                src_port,
                vni: VNI,
            },
        };
        frame::geneve(&tunnel, INNER_BYTES, packet);
        self.inner(direction, packet);
    }
}

/// The tunnel's source port: 49152 and up, by the flow.
fn entropy(segment: &Segment) -> u16 {
    let mut digest = CRC16.digest();
    digest.update(&segment.src.to_be_bytes());
    digest.update(&segment.dst.to_be_bytes());
    digest.update(&[TCP as u8]);
    digest.update(&segment.src_port.to_be_bytes());
    digest.update(&segment.dst_port.to_be_bytes());
    49152 + digest.finalize() % 16384
}

impl Workload for Nic {
    fn name(&self) -> &'static str {
        match self.direction {
            Direction::Transmit => "VF to Geneve",
            Direction::Receive => "Geneve to VF",
        }
    }

    fn setup(&self) -> &[Update] {
        &self.setup
    }

    fn entry(&self, flow: u64) -> Update {
        let flow = self.flow(flow);
        let segment = flow.segment(self.direction);
        let (direction, attach) = match self.direction {
            Direction::Transmit => (0, u64::from(flow.port())),
            Direction::Receive => (1, u64::from(flow.vtep)),
        };
        let key = [
            u64::from(VNI),
            direction,
            attach,
            u64::from(segment.src),
            u64::from(segment.dst),
            TCP,
            u64::from(segment.src_port),
            u64::from(segment.dst_port),
        ];
        let [a, b, c, d, e] = VN_VERSIONS;
        let [f, g, h, i, j] = VNIC_VERSIONS;
        let (first, second) = match self.direction {
            Direction::Transmit => (self.geneve, u64::from(flow.vtep)),
            Direction::Receive => (u64::from(flow.port()), 0),
        };
        let slot = 2 + flow.vf;
        let params = [
            u64::from(VN_SLOT),
            a,
            b,
            c,
            d,
            e,
            slot,
            f,
            g,
            h,
            i,
            j,
            first,
            second,
            0,
            0,
            0,
        ];
        self.entries
            .insert(key.into_iter().map(exact).collect(), &params)
    }

    fn packet(&self, flow: u64, packet: &mut Vec<u8>) -> u16 {
        let flow = self.flow(flow);
        match self.direction {
            Direction::Transmit => {
                flow.inner(self.direction, packet);
                flow.port()
            }
            Direction::Receive => {
                flow.outer(self.direction, packet);
                UPLINK
            }
        }
    }

    fn expected(&self, flow: u64, packet: &mut Vec<u8>) -> u16 {
        let flow = self.flow(flow);
        match self.direction {
            Direction::Transmit => {
                flow.outer(self.direction, packet);
                UPLINK
            }
            Direction::Receive => {
                flow.inner(self.direction, packet);
                flow.port()
            }
        }
    }
}

/// Everything but the flows: ports, VNICs with their guard, tunnel end, underlay, versions.
fn setup(p4info: &P4Info, vfs: u64) -> Result<Vec<Update>, BenchError> {
    let columns = |table, action| Columns::find(p4info, table, action);
    let uplink = columns(("port_map", &["ingress_port"]), ("uplink", &[]))?;
    let vf = columns(("port_map", &["ingress_port"]), ("vf", &[]))?;
    let attach_key: (&str, &[&str]) = ("vf_attach", &["ingress_port", "vlan"]);
    let attach = columns(attach_key, ("attach", &["vni", "mtu"]))?;
    let mac_key: (&str, &[&str]) = ("vf_mac", &["ingress_port", "vlan", "ethernet.src"]);
    let mac = columns(mac_key, ("NoAction", &[]))?;
    let ipv4_key: (&str, &[&str]) = ("vf_ipv4", &["ingress_port", "vlan", "ipv4.src"]);
    let ipv4 = columns(ipv4_key, ("NoAction", &[]))?;
    let end = columns(
        ("tunnel_termination", &["underlay_ipv4.dst"]),
        ("NoAction", &[]),
    )?;
    let route = columns(
        ("underlay_route", &["underlay_ipv4.dst"]),
        (
            "to_uplink",
            &["port", "src_mac", "next_hop_mac", "src_vtep", "mtu"],
        ),
    )?;
    let own = u64::from(OWN_VTEP);
    let to_uplink = [u64::from(UPLINK), OWN_UPLINK_MAC, NEXT_HOP_MAC, own, 1600];
    let mut updates = vec![
        uplink.insert(vec![exact(u64::from(UPLINK))], &[]),
        end.insert(vec![exact(own)], &[]),
        route.insert(vec![prefix(own & !0xff, 24)], &to_uplink),
    ];
    for number in 0..vfs {
        let port = u64::from(FIRST_VF) + number;
        let address = u64::from(FIRST_LOCAL_ADDRESS) + number;
        let at = || vec![exact(port), exact(0)];
        let with = |value| {
            let mut key = at();
            key.push(value);
            key
        };
        updates.push(vf.insert(vec![exact(port)], &[]));
        updates.push(attach.insert(at(), &[u64::from(VNI), 1450]));
        updates.push(mac.insert(with(exact(LOCAL_MAC + number)), &[]));
        updates.push(ipv4.insert(with(prefix(address, 32)), &[]));
        versions(
            p4info,
            "vnic_versions",
            2 + number as u32,
            VNIC_VERSIONS,
            &mut updates,
        )?;
    }
    versions(p4info, "vn_versions", VN_SLOT, VN_VERSIONS, &mut updates)?;
    Ok(updates)
}

/// The cells of a slot: slot × 8 + part.
fn versions(
    p4info: &P4Info,
    name: &str,
    slot: u32,
    versions: [u64; 5],
    updates: &mut Vec<Update>,
) -> Result<(), BenchError> {
    for (part, version) in (0..).zip(versions) {
        updates.push(register(p4info, name, slot * 8 + part, version)?);
    }
    Ok(())
}
