//! Evaluation: one packet against the whole configuration.
//!
//! ```text
//! who sent it ─► spoofed? ─► which subnet ─► which VNIC ─► MACs ─► egress rules ─► ingress rules ─► TTL
//!                               NO_ROUTE      NO_MAPPING            of the sender   of the receiver
//! ```
//!
//! A pure function: the same fabric and packet give the same verdict. It says what becomes of
//! the packet, which entries make the NICs treat the rest of the flow alike, and why.
//!
//! Entries are made only for verdicts that follow from the flow key: the key has no MACs, so a
//! packet to the wrong MAC is dropped without an entry.

use std::net::{IpAddr, Ipv4Addr};

use flownic_wire::MacAddr;
use flownic_wire::flow::{FlowTuple, FrameFlow};

use crate::DropReason;
use crate::entry::{Action, Direction, FlowEntry, FlowKey};
use crate::fabric::{Fabric, Network, Owner, Vnic};

mod entries;
mod explain;
mod path;
mod security;

pub use explain::Step;
pub use path::{Path, Verdict};

use security::Security;

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A VM sent it.
    Vf {
        /// Host of the NIC.
        host: &'a str,
        /// Port number, 16 + VF.
        port: u16,
        /// VLAN tag that it had, 0: none.
        vlan: u16,
    },
    /// It came out of a tunnel, as the sender's NIC sent it.
    Tunnel {
        /// Host of the NIC that received it.
        host: &'a str,
        /// Tunnel source.
        source: Ipv4Addr,
        /// Network that the tunnel header named.
        vni: u32,
    },
}

/// What is known of the connection that a packet belongs to; see
/// [`ConnTrack::classify`](crate::ConnTrack::classify).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing, or that it goes the way of the connection's first packet.
    New,
    /// The reverse flow was allowed before. It is allowed without a rule if the rules that let
    /// the reverse flow start still do and are stateful.
    Reply,
    /// An ICMP error about a packet of the connection that this flow started. Allowed under the
    /// same condition.
    Related(FlowTuple),
}

/// What evaluation needs of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its flow; for fragments with the ports of the first one.
    pub tuple: FlowTuple,
    /// Source of the frame.
    pub src_mac: MacAddr,
    /// Destination of the frame.
    pub dst_mac: MacAddr,
    /// TTL or hop limit as it came.
    pub ttl: u8,
    /// What is known of its connection.
    pub connection: Connection,
}

impl Packet {
    /// A packet from its parsed frame.
    pub fn new(frame: &FrameFlow, connection: Connection) -> Packet {
        Packet {
            tuple: frame.tuple,
            src_mac: frame.src_mac,
            dst_mac: frame.dst_mac,
            ttl: frame.ttl,
            connection,
        }
    }
}

/// Result of [`evaluate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// What becomes of the packet.
    pub verdict: Verdict,
    /// Entries for the sender's NIC: the flow's first, its reverse second where there is one.
    /// When both VNICs are on one NIC they are all here. Empty for packets from a tunnel. A
    /// packet whose TTL ran out is denied, but its flow may have entries that allow it.
    pub sender: Vec<FlowEntry>,
    /// Entries for the receiver's NIC, likewise. Empty when both are on one NIC, and when a packet
    /// from a VF is denied: then it does not get there.
    pub receiver: Vec<FlowEntry>,
    /// The flow that started the connection, when its reverse is allowed by it: the one to tell
    /// [`ConnTrack`](crate::ConnTrack).
    pub established: Option<FlowTuple>,
    /// Name of the sending VNIC, as far as one was found.
    pub from: Option<std::sync::Arc<str>>,
    /// Why, step by step.
    pub steps: Vec<Step>,
}

impl Evaluation {
    /// The steps in one line.
    pub fn explanation(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(Step::to_string).collect();
        steps.join("; ")
    }
}

/// Evaluates a packet.
pub fn evaluate(fabric: &Fabric, origin: &Origin<'_>, packet: &Packet) -> Evaluation {
    let run = Run {
        fabric,
        packet,
        steps: Vec::with_capacity(8),
        sender: None,
    };
    match *origin {
        Origin::Vf { host, port, vlan } => run.outbound(host, port, vlan),
        Origin::Tunnel { host, source, vni } => run.inbound(host, source, vni),
    }
}

/// One evaluation under way.
struct Run<'a> {
    fabric: &'a Fabric,
    packet: &'a Packet,
    steps: Vec<Step>,
    sender: Option<&'a Vnic>,
}

/// A denial's entry: whose it is and which packets it is for.
struct Cache<'a> {
    network: &'a Network,
    vnic: &'a Vnic,
    direction: Direction,
    attach: u32,
}

impl<'a> Run<'a> {
    fn outbound(mut self, host: &str, port: u16, vlan: u16) -> Evaluation {
        let Some(sender) = self.fabric.vnic_at(host, port, vlan) else {
            self.steps.push(Step::NoVnic { port, vlan });
            return self.refuse(DropReason::VlanNotAllowed);
        };
        self.sender = Some(sender);
        self.steps.push(Step::Sender {
            vnic: sender.name.clone(),
        });
        let Some(network) = self.fabric.network(sender.vni) else {
            return self.refuse(DropReason::NoNetwork);
        };
        let packet = self.packet;
        if packet.src_mac != sender.mac {
            self.steps.push(Step::SpoofedMac(packet.src_mac));
            return self.refuse(DropReason::SpoofedMac);
        }
        if !sender.addresses.contains(&packet.tuple.src) {
            self.steps.push(Step::SpoofedAddress(packet.tuple.src));
            return self.refuse(DropReason::SpoofedIp);
        }
        if packet.dst_mac.is_multicast() || is_group(packet.tuple.dst) {
            return self.refuse(DropReason::Multicast);
        }
        let cache = Cache {
            network,
            vnic: sender,
            direction: Direction::Outbound,
            attach: u32::from(sender.port),
        };
        match self.find_receiver(network, sender) {
            Ok(Target::Vnic(receiver)) => self.bridge_or_route(&cache, sender, receiver),
            Ok(Target::Gateway) => self.ask_gateway(&cache, sender),
            Err(reason) => self.deny(reason, &cache),
        }
    }

    /// Route and mapping of the destination.
    fn find_receiver(
        &mut self,
        network: &'a Network,
        sender: &Vnic,
    ) -> Result<Target<'a>, DropReason> {
        let destination = self.packet.tuple.dst;
        let Some((subnet, prefix)) = network.route(destination) else {
            self.steps.push(Step::NoRoute(destination));
            return Err(DropReason::NoRoute);
        };
        self.steps.push(Step::Route {
            subnet: network.subnets()[subnet].name.clone(),
            prefix,
            routed: subnet != sender.subnet,
        });
        match network.owner(destination) {
            Some(Owner::Gateway(_)) => {
                self.steps.push(Step::GatewayAddress(destination));
                Ok(Target::Gateway)
            }
            Some(Owner::Vnic(index)) if !std::ptr::eq(self.fabric.vnic(index), sender) => {
                let receiver = self.fabric.vnic(index);
                self.steps.push(Step::mapping(destination, receiver));
                Ok(Target::Vnic(receiver))
            }
            Some(Owner::Vnic(_)) => {
                self.steps.push(Step::OwnAddress(destination));
                Err(DropReason::NoMapping)
            }
            None => {
                self.steps.push(Step::NoMapping(destination));
                Err(DropReason::NoMapping)
            }
        }
    }

    fn bridge_or_route(mut self, cache: &Cache<'_>, sender: &Vnic, receiver: &Vnic) -> Evaluation {
        let routed = sender.subnet != receiver.subnet;
        let expected = if routed {
            self.gateway_mac(sender)
        } else {
            receiver.mac
        };
        if self.packet.dst_mac != expected {
            self.steps.push(Step::WrongMac {
                found: self.packet.dst_mac,
                expected,
            });
            return self.refuse(DropReason::NoMapping);
        }
        let security = Security::new(self.packet, sender, receiver);
        let permission = match security.check(&mut self.steps) {
            Ok(permission) => permission,
            // An ICMP error may be about a connection next time: the flow key does not tell.
            Err(reason) if self.packet.tuple.is_icmp_error() => return self.refuse(reason),
            Err(reason) => return self.deny(reason, cache),
        };
        let between = entries::Between {
            fabric: self.fabric,
            network: cache.network,
            sender,
            receiver,
        };
        let (at_sender, at_receiver) = between.entries(&self.packet.tuple, &permission);
        let established = permission.established;
        if routed && self.packet.ttl <= 1 {
            self.steps.push(Step::TtlExpired);
            // The flow may pass, this packet may not; the pipeline tells them apart by itself.
            let verdict = Verdict::Deny(DropReason::TtlExpired);
            return self.finish(verdict, at_sender, Vec::new(), established);
        }
        self.steps.push(Step::versions(cache.network, sender));
        let path = path::Path::outbound(sender, receiver, between.rewrite_to(receiver, sender));
        self.finish(Verdict::Allow(path), at_sender, at_receiver, established)
    }

    /// Gateways answer echo requests and nothing else.
    fn ask_gateway(mut self, cache: &Cache<'_>, sender: &Vnic) -> Evaluation {
        let expected = self.gateway_mac(sender);
        if self.packet.dst_mac != expected {
            self.steps.push(Step::WrongMac {
                found: self.packet.dst_mac,
                expected,
            });
            return self.refuse(DropReason::NoMapping);
        }
        if !security::gateway_egress(&self.packet.tuple, sender, &mut self.steps) {
            return self.deny(DropReason::SecurityEgress, cache);
        }
        if self.packet.tuple.is_echo_request() {
            self.steps.push(Step::GatewayAnswers);
            self.finish(Verdict::GatewayEcho, Vec::new(), Vec::new(), None)
        } else {
            self.deny(DropReason::NoMapping, cache)
        }
    }

    fn inbound(mut self, host: &str, source: Ipv4Addr, vni: u32) -> Evaluation {
        let Some(network) = self.fabric.network(vni) else {
            self.steps.push(Step::NoNetwork(vni));
            return self.refuse(DropReason::NoNetwork);
        };
        let tuple = &self.packet.tuple;
        let receiver = match self.fabric.vnic_by_address(vni, tuple.dst) {
            Some(vnic) if &*vnic.host == host => vnic,
            _ => {
                self.steps.push(Step::NotHere(tuple.dst));
                return self.refuse(DropReason::NoMapping);
            }
        };
        self.steps.push(Step::mapping(tuple.dst, receiver));
        let cache = Cache {
            network,
            vnic: receiver,
            direction: Direction::Inbound,
            attach: source.to_bits(),
        };
        let sender = match self.fabric.vnic_by_address(vni, tuple.src) {
            Some(vnic) if vnic.vtep == source && vnic.host != receiver.host => vnic,
            _ => {
                self.steps.push(Step::SpoofedTunnel {
                    source,
                    address: tuple.src,
                });
                return self.deny(DropReason::NoMapping, &cache);
            }
        };
        self.sender = Some(sender);
        self.steps.push(Step::Sender {
            vnic: sender.name.clone(),
        });
        self.deliver(&cache, sender, receiver)
    }

    fn deliver(mut self, cache: &Cache<'_>, sender: &Vnic, receiver: &Vnic) -> Evaluation {
        let expected_src = if sender.subnet == receiver.subnet {
            sender.mac
        } else {
            self.gateway_mac(receiver)
        };
        for (found, expected) in [
            (self.packet.dst_mac, receiver.mac),
            (self.packet.src_mac, expected_src),
        ] {
            if found != expected {
                self.steps.push(Step::WrongMac { found, expected });
                return self.refuse(DropReason::NoMapping);
            }
        }
        let security = Security::new(self.packet, sender, receiver);
        let permission = match security.check(&mut self.steps) {
            Ok(permission) => permission,
            Err(reason) if self.packet.tuple.is_icmp_error() => return self.refuse(reason),
            Err(reason) => return self.deny(reason, cache),
        };
        let between = entries::Between {
            fabric: self.fabric,
            network: cache.network,
            sender,
            receiver,
        };
        self.steps.push(Step::versions(cache.network, receiver));
        let (_, at_receiver) = between.entries(&self.packet.tuple, &permission);
        let path = path::Path::inbound(receiver);
        self.finish(
            Verdict::Allow(path),
            Vec::new(),
            at_receiver,
            permission.established,
        )
    }

    fn gateway_mac(&self, vnic: &Vnic) -> MacAddr {
        self.fabric
            .subnet_of(vnic)
            .map(|subnet| subnet.gateway.mac)
            .unwrap_or_default()
    }

    /// Denies this packet alone.
    fn refuse(self, reason: DropReason) -> Evaluation {
        self.finish(Verdict::Deny(reason), Vec::new(), Vec::new(), None)
    }

    /// Denies the flow.
    fn deny(mut self, reason: DropReason, cache: &Cache<'_>) -> Evaluation {
        self.steps.push(Step::versions(cache.network, cache.vnic));
        let entry = FlowEntry {
            key: FlowKey {
                vni: cache.network.vni,
                direction: cache.direction,
                attach: cache.attach,
                tuple: self.packet.tuple,
            },
            action: Action::Deny { reason },
            vnic: cache.vnic.name.clone(),
            vn_versions: cache.network.versions,
            vnic_versions: cache.vnic.versions,
            reply: false,
        };
        let verdict = Verdict::Deny(reason);
        match cache.direction {
            Direction::Outbound => self.finish(verdict, vec![entry], Vec::new(), None),
            Direction::Inbound => self.finish(verdict, Vec::new(), vec![entry], None),
        }
    }

    fn finish(
        self,
        verdict: Verdict,
        sender: Vec<FlowEntry>,
        receiver: Vec<FlowEntry>,
        established: Option<FlowTuple>,
    ) -> Evaluation {
        Evaluation {
            verdict,
            sender,
            receiver,
            established,
            from: self.sender.map(|vnic| vnic.name.clone()),
            steps: self.steps,
        }
    }
}

/// Who a packet is for.
enum Target<'a> {
    Vnic(&'a Vnic),
    Gateway,
}

/// Addresses that stand for no single receiver.
fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests;
