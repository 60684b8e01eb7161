//! What becomes of one punted packet: evaluation, and its result as messages.

use std::sync::Arc;
use std::time::Duration;

use flownic_api::v1::{self, PuntReason};
use flownic_vnet::entry::FlowEntry;
use flownic_vnet::{
    ConnTrack, Connection, DropReason, Fabric, Fragments, Origin, Packet, Path, Verdict, Vnic,
    evaluate, resolve,
};
use flownic_wire::answer;
use flownic_wire::flow::{FlowError, FlowTuple, FrameFlow};

use super::configuration::Configuration;
use super::messages::{self, From, Installed, Punt};

/// What evaluation rests on.
#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) configuration: Arc<Configuration>,
    pub(super) connections: ConnTrack,
    pub(super) fragments: Fragments,
}

/// The answer to a punt.
#[derive(Debug)]
pub(super) enum Answer {
    /// Everything happens at the NIC that punted.
    Now {
        /// The answer.
        reply: v1::PuntReply,
        /// The punted packet itself goes to its receiver.
        forwarded: bool,
    },
    /// The packet goes to another NIC first.
    After {
        /// Host of that NIC.
        host: Arc<str>,
        /// Its entries and the packet.
        deliver: v1::Deliver,
        /// The answer, once that has happened.
        reply: v1::PuntReply,
    },
}

impl Knowledge {
    /// Decides about a packet that the NIC of `host` punted.
    pub(super) fn answer(&mut self, now: Duration, host: &str, punt: &Punt) -> Answer {
        match (punt.reason, punt.from) {
            (PuntReason::Arp | PuntReason::Nd, From::Vf { port, vlan }) => {
                self.neighbour(host, punt, port, vlan)
            }
            (PuntReason::Arp | PuntReason::Nd, From::Tunnel { .. }) => {
                let text = "neither ARP nor neighbour discovery belongs into a tunnel";
                dropped(punt.id, DropReason::UnexpectedInTunnel, text)
            }
            _ => match FlowTuple::from_frame(&punt.frame) {
                Ok(frame) => self.packet(now, host, punt, frame),
                Err(error) => dropped(punt.id, flow_error(&error), &error.to_string()),
            },
        }
    }

    /// ARP and neighbour discovery: the network answers by itself.
    fn neighbour(&self, host: &str, punt: &Punt, port: u16, vlan: u16) -> Answer {
        let fabric = &self.configuration.fabric;
        match resolve(fabric, host, port, vlan, &punt.frame) {
            flownic_vnet::Answer::Reply { frame, explanation } => {
                let packets = vec![packet_out(port, vlan, frame)];
                local(v1::PuntReply {
                    id: punt.id,
                    packets,
                    explanation,
                    ..Default::default()
                })
            }
            flownic_vnet::Answer::Absorbed { explanation } => {
                dropped(punt.id, DropReason::Absorbed, &explanation)
            }
        }
    }

    fn packet(&mut self, now: Duration, host: &str, punt: &Punt, mut frame: FrameFlow) -> Answer {
        let (vni, origin) = self.origin(host, punt);
        if frame.fragment.is_some() {
            match self.fragments.resolve(vni, &frame, now) {
                Ok(tuple) => frame.tuple = tuple,
                Err(orphan) => {
                    return dropped(punt.id, DropReason::FragmentOrphan, &orphan.to_string());
                }
            }
        }
        if let Some(answer) = self.too_big(host, punt, &frame) {
            return answer;
        }
        let connection = self
            .connections
            .classify(vni, &frame.tuple, frame.quoted.as_ref(), now);
        let packet = Packet::new(&frame, connection);
        let mut evaluation = evaluate(&self.configuration.fabric, &origin, &packet);
        let explanation = evaluation.explanation();
        if frame.fragment.is_some() {
            // The pipeline never looks them up: it punts every fragment.
            evaluation.sender.clear();
            evaluation.receiver.clear();
        }
        if let Some(established) = evaluation.established {
            self.connections.insert(vni, established, now);
        }
        match evaluation.verdict {
            Verdict::Allow(path) => self.forward(
                punt,
                &path,
                evaluation.sender,
                evaluation.receiver,
                explanation,
            ),
            Verdict::GatewayEcho => self.gateway_echo(host, punt, explanation),
            Verdict::Deny(reason) => {
                let entries = evaluation.sender.iter().chain(&evaluation.receiver);
                local(v1::PuntReply {
                    id: punt.id,
                    entries: entries.map(messages::flow_entry).collect(),
                    packets: self.complaint(host, punt, reason),
                    drop_reason: reason.name().to_owned(),
                    explanation,
                })
            }
        }
    }

    fn forward(
        &self,
        punt: &Punt,
        path: &Path,
        sender: Vec<FlowEntry>,
        receiver: Vec<FlowEntry>,
        explanation: String,
    ) -> Answer {
        let packets = vec![packet_out(path.port, path.vlan, path.apply(&punt.frame))];
        let at_sender = sender.iter().map(messages::flow_entry);
        let at_receiver = receiver.iter().map(messages::flow_entry);
        if path.local {
            let entries = at_sender.chain(at_receiver).collect();
            let drop_reason = String::new();
            let reply = v1::PuntReply {
                id: punt.id,
                entries,
                packets,
                drop_reason,
                explanation,
            };
            return Answer::Now {
                reply,
                forwarded: true,
            };
        }
        Answer::After {
            host: Arc::clone(&path.host),
            deliver: v1::Deliver {
                id: 0,
                entries: at_receiver.collect(),
                packets,
            },
            reply: v1::PuntReply {
                id: punt.id,
                entries: at_sender.collect(),
                explanation,
                ..Default::default()
            },
        }
    }

    fn gateway_echo(&self, host: &str, punt: &Punt, explanation: String) -> Answer {
        let echo = self.sender(host, punt).and_then(|(vnic, _)| {
            let frame = answer::echo_reply(&punt.frame)?;
            Some(packet_out(vnic.port, vnic.vlan, frame))
        });
        match echo {
            Some(packet) => {
                let packets = vec![packet];
                local(v1::PuntReply {
                    id: punt.id,
                    packets,
                    explanation,
                    ..Default::default()
                })
            }
            None => dropped(punt.id, DropReason::Absorbed, &explanation),
        }
    }

    /// The ICMP error that a sender is told of a drop by, where there is one.
    fn complaint(&self, host: &str, punt: &Punt, reason: DropReason) -> Vec<v1::PacketOut> {
        let error = self.sender(host, punt).and_then(|(vnic, gateway)| {
            let frame = match reason {
                DropReason::TtlExpired => answer::ttl_expired(&punt.frame, gateway)?,
                DropReason::TooBig => answer::too_big(&punt.frame, gateway, vnic.mtu)?,
                _ => return None,
            };
            Some(packet_out(vnic.port, vnic.vlan, frame))
        });
        error.into_iter().collect()
    }

    /// The pipeline stops these before; an agent that did not apply a new MTU yet does not.
    fn too_big(&self, host: &str, punt: &Punt, frame: &FrameFlow) -> Option<Answer> {
        let (vnic, _) = self.sender(host, punt)?;
        if frame.ip_length <= usize::from(vnic.mtu) {
            return None;
        }
        let packets = self.complaint(host, punt, DropReason::TooBig);
        let explanation = format!("{} bytes, the network takes {}", frame.ip_length, vnic.mtu);
        let drop_reason = DropReason::TooBig.name().to_owned();
        Some(local(v1::PuntReply {
            id: punt.id,
            packets,
            drop_reason,
            explanation,
            ..Default::default()
        }))
    }

    /// The VNIC that sent a packet from a VF, and its gateway.
    fn sender(&self, host: &str, punt: &Punt) -> Option<(&Vnic, &answer::Gateway)> {
        let From::Vf { port, vlan } = punt.from else {
            return None;
        };
        let fabric = &self.configuration.fabric;
        let vnic = fabric.vnic_at(host, port, vlan)?;
        Some((vnic, &fabric.subnet_of(vnic)?.gateway))
    }

    /// Network and origin of a packet. The network of a VF is what the configuration says now: the
    /// NIC may have said it before it heard of a change.
    fn origin<'a>(&self, host: &'a str, punt: &Punt) -> (u32, Origin<'a>) {
        match punt.from {
            From::Vf { port, vlan } => {
                let vnic = self.configuration.fabric.vnic_at(host, port, vlan);
                (
                    vnic.map_or(punt.vni, |vnic| vnic.vni),
                    Origin::Vf { host, port, vlan },
                )
            }
            From::Tunnel { source } => (
                punt.vni,
                Origin::Tunnel {
                    host,
                    source,
                    vni: punt.vni,
                },
            ),
        }
    }

    /// Takes over a flow that a NIC holds from before this service started.
    ///
    /// What the agent says is a claim. It counts only if the flow that started the connection
    /// may start today, so that nothing comes back that was forbidden meanwhile.
    pub(super) fn restore(&mut self, now: Duration, host: &str, flow: &Installed) {
        if !flow.allowed {
            return;
        }
        let started = if flow.reply {
            flow.key.tuple.reverse()
        } else {
            Some(flow.key.tuple)
        };
        let Some(started) = started else {
            return;
        };
        let fabric = &self.configuration.fabric;
        let vni = flow.key.vni;
        let is_here = [started.src, started.dst].iter().any(|&address| {
            fabric
                .vnic_by_address(vni, address)
                .is_some_and(|vnic| &*vnic.host == host)
        });
        if is_here && let Some(established) = may_start(fabric, vni, started) {
            self.connections.insert(vni, established, now);
        }
    }
}

/// The flow itself, if it may start and its reverse is allowed by it.
fn may_start(fabric: &Fabric, vni: u32, tuple: FlowTuple) -> Option<FlowTuple> {
    let (origin, packet) = first_packet(fabric, vni, tuple)?;
    let evaluation = evaluate(fabric, &origin, &packet);
    match evaluation.verdict {
        Verdict::Allow(_) => evaluation.established,
        Verdict::Deny(_) | Verdict::GatewayEcho => None,
    }
}

/// The packet that starts a flow, as its VM would send it. `None`: no VNIC has its source.
fn first_packet(fabric: &Fabric, vni: u32, tuple: FlowTuple) -> Option<(Origin<'_>, Packet)> {
    packet_of(fabric, fabric.vnic_by_address(vni, tuple.src)?, tuple)
}

/// A packet as the VM at `sender` would send it, of a connection that nothing is known of.
pub(super) fn packet_of<'a>(
    fabric: &'a Fabric,
    sender: &'a Vnic,
    tuple: FlowTuple,
) -> Option<(Origin<'a>, Packet)> {
    let neighbour = fabric
        .vnic_by_address(sender.vni, tuple.dst)
        .filter(|receiver| same_subnet(fabric, sender, receiver));
    let dst_mac = match neighbour {
        Some(receiver) => receiver.mac,
        None => fabric.subnet_of(sender)?.gateway.mac,
    };
    let origin = Origin::Vf {
        host: &sender.host,
        port: sender.port,
        vlan: sender.vlan,
    };
    let connection = Connection::New;
    Some((
        origin,
        Packet {
            tuple,
            src_mac: sender.mac,
            dst_mac,
            ttl: 64,
            connection,
        },
    ))
}

fn same_subnet(fabric: &Fabric, one: &Vnic, other: &Vnic) -> bool {
    match (fabric.subnet_of(one), fabric.subnet_of(other)) {
        (Some(one), Some(other)) => std::ptr::eq(one, other),
        _ => false,
    }
}

/// An answer that says that the packet was dropped, without an entry: the next one is asked again.
pub(super) fn dropped_reply(id: u64, reason: DropReason, explanation: &str) -> v1::PuntReply {
    v1::PuntReply {
        id,
        drop_reason: reason.name().to_owned(),
        explanation: explanation.to_owned(),
        ..Default::default()
    }
}

fn dropped(id: u64, reason: DropReason, explanation: &str) -> Answer {
    local(dropped_reply(id, reason, explanation))
}

fn local(reply: v1::PuntReply) -> Answer {
    Answer::Now {
        reply,
        forwarded: false,
    }
}

fn packet_out(port: u16, vlan: u16, frame: Vec<u8>) -> v1::PacketOut {
    v1::PacketOut {
        port: port.into(),
        vlan: vlan.into(),
        frame,
    }
}

fn flow_error(error: &FlowError) -> DropReason {
    match error {
        FlowError::Malformed(_) => DropReason::Malformed,
        FlowError::BadChecksum => DropReason::BadChecksum,
        FlowError::StackedVlan => DropReason::StackedVlan,
        FlowError::BadLength { .. } => DropReason::BadLength,
        FlowError::NotIp(_) => DropReason::UnknownEthertype,
    }
}
