//! A NIC and its agent, as far as the service can tell: flow table, version registers, punts.

use std::collections::{BTreeMap, BTreeSet};

use flownic_api::v1::{self, flow_entry::Action};
use flownic_wire::flow::FlowTuple;
use prost::Message as _;

/// Where a frame goes from a NIC.
#[derive(Debug)]
pub enum Way {
    ToVf(u32, Vec<u8>),
    ToHost(std::net::Ipv4Addr, u32, Vec<u8>),
    Punt(v1::PuntedPacket),
    Drop,
}

#[derive(Debug, Default)]
pub struct Nic {
    /// Entries by their encoded key.
    flows: BTreeMap<Vec<u8>, v1::FlowEntry>,
    vn_versions: BTreeMap<u32, v1::Versions>,
    vnic_versions: BTreeMap<String, v1::Versions>,
    vnic_at: BTreeMap<u32, v1::Vnic>,
    /// The configuration that it was told last, as the world numbers them.
    pub variant: usize,
    /// The agent's stream, while it has one.
    pub session: Option<u64>,
    last_punt: u64,
    unanswered: BTreeSet<u64>,
}

impl Nic {
    pub fn entries(&self) -> Vec<v1::FlowEntry> {
        self.flows.values().cloned().collect()
    }

    /// A new stream: what was under way on the old one gets no answer.
    pub fn attach(&mut self, session: u64) {
        self.session = Some(session);
        self.last_punt = 0;
        self.unanswered.clear();
    }

    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    pub fn configure(&mut self, configure: v1::Configure) {
        self.vn_versions = configure
            .vns
            .iter()
            .map(|vn| (vn.vni, vn.versions.unwrap()))
            .collect();
        let versions = |vnic: &v1::Vnic| (vnic.name.clone(), vnic.versions.unwrap());
        self.vnic_versions = configure.vnics.iter().map(versions).collect();
        self.vnic_at = configure
            .vnics
            .into_iter()
            .map(|vnic| (16 + vnic.vf, vnic))
            .collect();
        for versions in self.vn_versions.values().chain(self.vnic_versions.values()) {
            let v1::Versions {
                security,
                mapping,
                route,
                policy,
                lb,
            } = *versions;
            assert!(
                [security, mapping, route, policy, lb]
                    .iter()
                    .all(|&v| v != 0),
                "version 0"
            );
        }
    }

    pub fn install(&mut self, entries: Vec<v1::FlowEntry>) {
        for entry in entries {
            self.flows
                .insert(entry.key.as_ref().unwrap().encode_to_vec(), entry);
        }
    }

    /// Takes the answer to a punt; each may have one only.
    pub fn answered(&mut self, reply: &v1::PuntReply) {
        assert!(
            self.unanswered.remove(&reply.id),
            "a second answer, or to no punt: {reply:?}"
        );
    }

    /// The number of the next punt on this stream.
    pub fn punt(&mut self) -> u64 {
        self.last_punt += 1;
        self.unanswered.insert(self.last_punt);
        self.last_punt
    }

    /// A frame from a VM.
    pub fn take_from_vf(&self, port: u32, frame: Vec<u8>) -> Way {
        let Some(vnic) = self.vnic_at.get(&port) else {
            return Way::Drop;
        };
        self.forward(vnic.vni, v1::Direction::Outbound, port, frame)
    }

    /// A frame from the underlay.
    pub fn take_from_tunnel(&self, source: std::net::Ipv4Addr, vni: u32, frame: Vec<u8>) -> Way {
        self.forward(vni, v1::Direction::Inbound, source.to_bits(), frame)
    }

    fn forward(&self, vni: u32, direction: v1::Direction, attach: u32, mut frame: Vec<u8>) -> Way {
        let tuple = FlowTuple::from_frame(&frame).unwrap().tuple;
        let octets = |address| match address {
            std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
            std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let key = v1::FlowKey {
            vni,
            direction: direction.into(),
            attach,
            src: octets(tuple.src),
            dst: octets(tuple.dst),
            protocol: tuple.protocol.into(),
            src_port: tuple.src_port.into(),
            dst_port: tuple.dst_port.into(),
        };
        let reason = match self.flows.get(&key.encode_to_vec()) {
            None => v1::PuntReason::Miss,
            Some(entry) if !self.is_current(entry) => v1::PuntReason::Stale,
            Some(entry) => return apply(entry, &mut frame),
        };
        Way::Punt(v1::PuntedPacket {
            reason: reason.into(),
            direction: direction.into(),
            attach,
            vni,
            frame,
            ..Default::default()
        })
    }

    fn is_current(&self, entry: &v1::FlowEntry) -> bool {
        let vni = entry.key.as_ref().unwrap().vni;
        entry.vn_versions.is_some()
            && self.vn_versions.get(&vni) == entry.vn_versions.as_ref()
            && self.vnic_versions.get(&entry.vnic) == entry.vnic_versions.as_ref()
    }
}

fn apply(entry: &v1::FlowEntry, frame: &mut Vec<u8>) -> Way {
    let vni = entry.key.as_ref().unwrap().vni;
    match entry.action.as_ref().unwrap() {
        Action::Deny(_) => Way::Drop,
        Action::ToVf(to) => {
            route(frame, to.routed.as_ref());
            Way::ToVf(to.port, std::mem::take(frame))
        }
        Action::ToTunnel(to) => {
            route(frame, to.routed.as_ref());
            Way::ToHost(to.remote_vtep.into(), vni, std::mem::take(frame))
        }
    }
}

fn route(frame: &mut [u8], routed: Option<&v1::Routed>) {
    if let Some(routed) = routed {
        frame[..6].copy_from_slice(&routed.dst_mac);
        frame[6..12].copy_from_slice(&routed.src_mac);
        flownic_wire::ipv4::Packet::new_header(&mut frame[14..])
            .unwrap()
            .decrement_ttl();
    }
}
