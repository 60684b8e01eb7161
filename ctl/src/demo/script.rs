//! From a recording to a script: who sends what in which order, and what must come of each packet.
//!
//! A forwarded packet was recorded twice, where it was sent and where it arrived. The script pairs
//! the two records: the second is what the replay must see, byte by byte. Packets that the network
//! itself answers (ARP, neighbour discovery, a hop limit that ends) expect that answer.

use std::collections::HashMap;
use std::net::IpAddr;

use flownic_wire::flow::{FlowTuple, FrameFlow};
use flownic_wire::{MacAddr, ethernet, protocol};

use super::capture::{Direction, Record};

/// Smallest ICMPv6 type of neighbour discovery, router solicitation (RFC 4861 §4).
const ND_FIRST: u16 = 133;
/// Largest, redirect.
const ND_LAST: u16 = 137;
const NEIGHBOUR_SOLICITATION: u16 = 135;

/// One of the three recorded VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Vm {
    /// 10.0.0.10
    A,
    /// 10.0.0.20, same subnet
    B,
    /// 10.0.1.30, behind the router
    C,
}

impl Vm {
    /// All of them.
    pub(crate) const ALL: [Vm; 3] = [Vm::A, Vm::B, Vm::C];

    /// As in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Vm::A => "a",
            Vm::B => "b",
            Vm::C => "c",
        }
    }

    fn of_interface(name: &str) -> Option<Vm> {
        Vm::ALL
            .into_iter()
            .find(|vm| name.strip_prefix("vm-") == Some(vm.name()))
    }
}

/// What must come of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Exactly this frame arrives at that VM.
    Arrives {
        /// The receiver.
        at: Vm,
        /// The frame as it was recorded there.
        frame: Vec<u8>,
    },
    /// The network answers the sender.
    Answer(Answer),
    /// Nothing: the network takes it in (ARP replies, neighbour advertisements).
    Absorbed,
    /// Nothing arrives, and it is counted under this reason at the sender's port.
    Refused(&'static str),
}

/// A packet that the network makes. Its content is checked, not each byte: nobody recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// ARP reply: this address has that MAC.
    Arp {
        /// Who was asked for.
        address: [u8; 4],
        /// Its MAC.
        mac: MacAddr,
    },
    /// Neighbour advertisement with a target link-layer address.
    Neighbour {
        /// Who was asked for.
        address: [u8; 16],
        /// Its MAC.
        mac: MacAddr,
    },
    /// ICMP time exceeded from the gateway, quoting the packet's IP header.
    TimeExceeded {
        /// The gateway.
        gateway: IpAddr,
        /// The first bytes of the IP packet that it is about.
        quote: Vec<u8>,
    },
}

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The sender.
    pub(crate) from: Vm,
    /// What it sends.
    pub(crate) frame: Vec<u8>,
    /// Its flow; `None` for ARP.
    pub(crate) flow: Option<FlowTuple>,
    /// What must come of it.
    pub(crate) expect: Expect,
}

/// What holds packets together whose order matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// ARP of one VM.
    Arp(Vm),
    /// Neighbour discovery of one VM.
    Nd(Vm),
    /// Both directions of a flow, and ICMP errors about it.
    Flow(FlowTuple),
    /// Fragments between two addresses.
    Fragments {
        /// The first sender.
        src: IpAddr,
        /// The other.
        dst: IpAddr,
        /// Protocol of the payload.
        protocol: u8,
    },
}

/// Packets that are sent one after the other, each after the one before has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// What it is about; a flow in the direction of its first packet.
    pub(crate) topic: Topic,
    /// The packets in order.
    pub(crate) steps: Vec<Step>,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    /// An interface is none of the VMs.
    #[error("the recording has an interface \"{0}\"; vm-a, vm-b and vm-c are known")]
    Interface(String),
    /// A packet was sent that arrived nowhere and that the network does not answer.
    #[error("packet {number} of {vm:?} ({what}) was sent and never arrived in the recording")]
    Lost {
        /// Counted among the packets that VMs sent, from 1.
        number: usize,
        /// The sender.
        vm: Vm,
        /// Its flow.
        what: String,
    },
    /// A packet is not one of IP or ARP.
    #[error("packet {number} of {vm:?} is not replayable: {why}")]
    Packet {
        /// Counted among the packets that VMs sent, from 1.
        number: usize,
        /// The sender.
        vm: Vm,
        /// What is wrong with it.
        why: String,
    },
}

/// Makes the script of the first `limit` packets that VMs sent. Conversations are in the order of
/// their first packets.
pub(crate) fn script(records: &[Record], limit: usize) -> Result<Vec<Conversation>, ScriptError> {
    let mut arrivals = Arrivals::collect(records)?;
    let mut conversations = Conversations::default();
    let sent = records
        .iter()
        .filter(|record| record.direction == Direction::Out);
    for (index, record) in sent.take(limit).enumerate() {
        let number = index + 1;
        let vm = Vm::of_interface(&record.interface)
            .ok_or_else(|| ScriptError::Interface(record.interface.clone()))?;
        let (topic, step) = match FlowTuple::from_frame(&record.frame) {
            Ok(flow) => (
                topic_of(vm, &flow),
                ip_step(&mut arrivals, number, vm, record, &flow)?,
            ),
            Err(_) if is_arp(&record.frame) => {
                (Topic::Arp(vm), arp_step(&arrivals, vm, &record.frame))
            }
            Err(error) => {
                return Err(ScriptError::Packet {
                    number,
                    vm,
                    why: error.to_string(),
                });
            }
        };
        conversations.add(topic, step);
    }
    Ok(conversations.list)
}

#[derive(Default)]
struct Conversations {
    list: Vec<Conversation>,
    index: HashMap<Topic, usize>,
}

impl Conversations {
    fn add(&mut self, topic: Topic, step: Step) {
        let reverse = match &topic {
            Topic::Flow(flow) => flow.reverse().map(Topic::Flow),
            Topic::Fragments { src, dst, protocol } => Some(Topic::Fragments {
                src: *dst,
                dst: *src,
                protocol: *protocol,
            }),
            _ => None,
        };
        let known = self
            .index
            .get(&topic)
            .or_else(|| self.index.get(reverse.as_ref()?));
        match known {
            Some(&at) => self.list[at].steps.push(step),
            None => {
                self.index.insert(topic.clone(), self.list.len());
                self.list.push(Conversation {
                    topic,
                    steps: vec![step],
                });
            }
        }
    }
}

fn topic_of(vm: Vm, flow: &FrameFlow) -> Topic {
    match flow.quoted {
        Some(quoted) => Topic::Flow(quoted),
        None if is_nd(&flow.tuple) => Topic::Nd(vm),
        None if flow.fragment.is_some() => Topic::Fragments {
            src: flow.tuple.src,
            dst: flow.tuple.dst,
            protocol: flow.tuple.protocol,
        },
        None => Topic::Flow(flow.tuple),
    }
}

fn ip_step(
    arrivals: &mut Arrivals,
    number: usize,
    vm: Vm,
    record: &Record,
    flow: &FrameFlow,
) -> Result<Step, ScriptError> {
    let step = |expect| Step {
        from: vm,
        frame: record.frame.clone(),
        flow: Some(flow.tuple),
        expect,
    };
    if is_nd(&flow.tuple) {
        return Ok(step(nd_answer(arrivals, &record.frame, flow)));
    }
    if let Some((at, frame)) = arrivals.take(&record.frame, flow) {
        return Ok(step(Expect::Arrives { at, frame }));
    }
    match arrivals.gateway(vm, flow) {
        Some(gateway) if flow.ttl == 1 => {
            // The IP header and 8 bytes: what every router quotes at least (RFC 792, RFC 4443).
            let length = if flow.tuple.src.is_ipv4() { 28 } else { 48 };
            let quoted = &record.frame[flow.ip_offset..flow.ip_offset + flow.ip_length];
            Ok(step(Expect::Answer(Answer::TimeExceeded {
                gateway,
                quote: quoted[..quoted.len().min(length)].to_vec(),
            })))
        }
        _ => Err(ScriptError::Lost {
            number,
            vm,
            what: flow.tuple.to_string(),
        }),
    }
}

fn is_arp(frame: &[u8]) -> bool {
    frame.len() >= 42 && frame[12..14] == ethernet::ARP.to_be_bytes()
}

/// Neighbour discovery messages, which have no flow.
fn is_nd(flow: &FlowTuple) -> bool {
    flow.protocol == protocol::ICMPV6 && (ND_FIRST..=ND_LAST).contains(&(flow.src_port >> 8))
}

fn arp_step(arrivals: &Arrivals, vm: Vm, frame: &[u8]) -> Step {
    let request = frame[20..22] == [0, 1];
    let mut address = [0; 4];
    address.copy_from_slice(&frame[38..42]);
    let expect = match arrivals.macs.get(&IpAddr::from(address)) {
        Some(&mac) if request => Expect::Answer(Answer::Arp { address, mac }),
        _ => Expect::Absorbed,
    };
    Step {
        from: vm,
        frame: frame.to_vec(),
        flow: None,
        expect,
    }
}

fn nd_answer(arrivals: &Arrivals, frame: &[u8], flow: &FrameFlow) -> Expect {
    let message = &frame[flow.ip_offset + 40..];
    let solicits = flow.tuple.src_port >> 8 == NEIGHBOUR_SOLICITATION && message.len() >= 24;
    let mut address = [0; 16];
    if solicits {
        address.copy_from_slice(&message[8..24]);
    }
    match arrivals.macs.get(&IpAddr::from(address)) {
        Some(&mac) if solicits => Expect::Answer(Answer::Neighbour { address, mac }),
        _ => Expect::Absorbed,
    }
}

/// Received packets that no sender has claimed yet, and what they tell about the network.
struct Arrivals {
    /// By content without what a router changes, in the order of arrival; last one first.
    waiting: HashMap<Vec<u8>, Vec<(Vm, Vec<u8>)>>,
    /// MAC of each address that answered ARP or neighbour discovery.
    macs: HashMap<IpAddr, MacAddr>,
    /// Senders of time-exceeded messages, by the flow that they quote.
    routers: HashMap<(Vm, FlowTuple), IpAddr>,
}

impl Arrivals {
    fn collect(records: &[Record]) -> Result<Arrivals, ScriptError> {
        let mut arrivals = Arrivals {
            waiting: HashMap::new(),
            macs: HashMap::new(),
            routers: HashMap::new(),
        };
        for record in records
            .iter()
            .rev()
            .filter(|record| record.direction == Direction::In)
        {
            let vm = Vm::of_interface(&record.interface)
                .ok_or_else(|| ScriptError::Interface(record.interface.clone()))?;
            arrivals.learn(vm, &record.frame);
        }
        Ok(arrivals)
    }

    fn learn(&mut self, vm: Vm, frame: &[u8]) {
        let src_mac = frame
            .get(6..12)
            .and_then(|mac| <[u8; 6]>::try_from(mac).ok());
        let Ok(flow) = FlowTuple::from_frame(frame) else {
            if let (true, Some(mac)) = (is_arp(frame), src_mac) {
                self.macs.insert(
                    IpAddr::from([frame[28], frame[29], frame[30], frame[31]]),
                    MacAddr(mac),
                );
            }
            return;
        };
        if is_nd(&flow.tuple) {
            if let Some(mac) = src_mac {
                self.macs.insert(flow.tuple.src, MacAddr(mac));
            }
            return;
        }
        if let Some(quoted) = flow.quoted {
            self.routers.insert((vm, quoted), flow.tuple.src);
        }
        self.waiting
            .entry(essence(frame, &flow))
            .or_default()
            .push((vm, frame.to_vec()));
    }

    fn take(&mut self, frame: &[u8], flow: &FrameFlow) -> Option<(Vm, Vec<u8>)> {
        self.waiting.get_mut(&essence(frame, flow))?.pop()
    }

    fn gateway(&self, vm: Vm, flow: &FrameFlow) -> Option<IpAddr> {
        self.routers.get(&(vm, flow.tuple)).copied()
    }
}

/// An IP packet without what a router changes: TTL and IPv4 header checksum.
fn essence(frame: &[u8], flow: &FrameFlow) -> Vec<u8> {
    let mut packet = frame[flow.ip_offset..].to_vec();
    match flow.tuple.src {
        IpAddr::V4(_) => {
            packet[8] = 0;
            packet[10..12].fill(0);
        }
        IpAddr::V6(_) => packet[7] = 0,
    }
    packet
}
