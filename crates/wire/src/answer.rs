//! Packets that the network sends by itself, whole Ethernet frames without a VLAN tag.
//!
//! ICMP errors are sent by the gateway of the sender's subnet and keep to the rules of when to
//! be silent: RFC 1122 §3.2.2 and RFC 1812 §4.3.2.7 for ICMP, RFC 4443 §2.4 for ICMPv6. How many
//! of them may be sent in a second is the caller's to limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::flow::{FlowTuple, FrameFlow};
use crate::icmp::{self, v4, v6};
use crate::{MacAddr, arp, ethernet, ipv4, ipv6, nd, protocol};

/// Largest IPv4 packet with an ICMP error in it, RFC 1812 §4.3.2.3.
const MAX_ERROR_V4: usize = 576;
/// Largest IPv6 packet with an ICMPv6 error in it, RFC 4443 §2.4 (c).
const MAX_ERROR_V6: usize = 1280;
/// TTL of what gateways send.
const TTL: u8 = 64;

/// The gateway of a subnet: who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Gateway {
    /// Its MAC.
    pub mac: MacAddr,
    /// Its IPv4 address, if the subnet has IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address, if the subnet has IPv6.
    pub ipv6: Option<Ipv6Addr>,
}

/// Why a packet could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody has the address.
    Host,
    /// A rule forbids it.
    Prohibited,
}

/// Answer to an ARP request: the target is at `mac`.
pub fn arp_reply(request: &arp::Repr, mac: MacAddr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ethernet::HEADER_LEN + arp::LEN);
    ethernet::emit(&mut frame, request.sender_mac, mac, ethernet::ARP);
    let reply = arp::Repr {
        operation: arp::REPLY,
        sender_mac: mac,
        sender_ip: request.target_ip,
        target_mac: request.sender_mac,
        target_ip: request.sender_ip,
    };
    reply.emit(&mut frame);
    frame
}

/// Answer to a neighbour solicitation from `asker`: the target is at `mac`. Somebody who checks
/// whether an address is free gets it by way of all nodes, RFC 4861 §7.2.4.
pub fn neighbour_advertisement(
    solicitation: &nd::Solicitation,
    asker: MacAddr,
    mac: MacAddr,
    router: bool,
) -> Vec<u8> {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let solicited = !solicitation.src.is_unspecified();
    let (dst, dst_mac) = if solicited {
        (solicitation.src, asker)
    } else {
        (ALL_NODES, MacAddr::of_ipv6_multicast(ALL_NODES))
    };
    let advertisement = nd::Advertisement {
        src: solicitation.target,
        dst,
        target: solicitation.target,
        target_mac: Some(mac),
        router,
        solicited,
        overrides: true,
    };
    let message = advertisement.emit();
    let mut frame = Vec::with_capacity(ethernet::HEADER_LEN + ipv6::HEADER_LEN + message.len());
    ethernet::emit(&mut frame, dst_mac, mac, ethernet::IPV6);
    let repr = ipv6::Repr {
        src: advertisement.src,
        dst,
        next_header: protocol::ICMPV6,
        hop_limit: nd::HOP_LIMIT,
        payload_len: message.len() as u16,
    };
    ipv6::emit(&mut frame, &repr);
    frame.extend_from_slice(&message);
    frame
}

/// Answer to an echo request, from its destination. `None` for anything else, for fragments and
/// for a wrong checksum.
pub fn echo_reply(frame: &[u8]) -> Option<Vec<u8>> {
    let flow = FlowTuple::from_frame(frame).ok()?;
    if !flow.tuple.is_echo_request() || flow.fragment.is_some() {
        return None;
    }
    let packet = packet_of(frame, &flow)?;
    let (payload, kind) = match flow.tuple.src {
        IpAddr::V4(_) => {
            let header_len = ipv4::Packet::new_checked(packet).ok()?.header_len();
            (&packet[header_len..], v4::ECHO_REPLY)
        }
        IpAddr::V6(_) => (&packet[ipv6::HEADER_LEN..], v6::ECHO_REPLY),
    };
    let request = icmp::Packet::new_checked(payload).ok()?;
    if !request.checksum_is_right(flow.tuple.src, flow.tuple.dst) {
        return None;
    }
    let message = Message {
        src: flow.tuple.dst,
        dst: flow.tuple.src,
        kind,
        code: request.code(),
        rest: request.rest(),
        body: request.body(),
    };
    message.into_frame(flow.src_mac, flow.dst_mac)
}

/// "Fragmentation needed" (RFC 1191 §4) or "packet too big" (RFC 4443 §3.2) about `frame`; `mtu`
/// is the largest IP packet that would pass. Sent for packets without DF too: nothing on the way
/// fragments, and silence would be a black hole.
pub fn too_big(frame: &[u8], gateway: &Gateway, mtu: u16) -> Option<Vec<u8>> {
    let flow = FlowTuple::from_frame(frame).ok()?;
    match flow.tuple.src {
        IpAddr::V4(_) => {
            let (kind, code) = (v4::UNREACHABLE, v4::CODE_FRAGMENTATION_NEEDED);
            error(frame, &flow, gateway, kind, code, u32::from(mtu))
        }
        IpAddr::V6(_) => error(frame, &flow, gateway, v6::PACKET_TOO_BIG, 0, u32::from(mtu)),
    }
}

/// "Time exceeded in transit" about `frame`.
pub fn ttl_expired(frame: &[u8], gateway: &Gateway) -> Option<Vec<u8>> {
    let flow = FlowTuple::from_frame(frame).ok()?;
    let kind = match flow.tuple.src {
        IpAddr::V4(_) => v4::TIME_EXCEEDED,
        IpAddr::V6(_) => v6::TIME_EXCEEDED,
    };
    error(frame, &flow, gateway, kind, 0, 0)
}

/// "Destination unreachable" about `frame`.
pub fn unreachable(frame: &[u8], gateway: &Gateway, why: Unreachable) -> Option<Vec<u8>> {
    let flow = FlowTuple::from_frame(frame).ok()?;
    let (kind, code) = match (flow.tuple.src, why) {
        (IpAddr::V4(_), Unreachable::Host) => (v4::UNREACHABLE, v4::CODE_HOST),
        (IpAddr::V4(_), Unreachable::Prohibited) => (v4::UNREACHABLE, v4::CODE_PROHIBITED),
        (IpAddr::V6(_), Unreachable::Host) => (v6::UNREACHABLE, v6::CODE_ADDRESS),
        (IpAddr::V6(_), Unreachable::Prohibited) => (v6::UNREACHABLE, v6::CODE_PROHIBITED),
    };
    error(frame, &flow, gateway, kind, code, 0)
}

/// An ICMP error about `frame` to its sender, when one may be sent.
fn error(
    frame: &[u8],
    flow: &FrameFlow,
    gateway: &Gateway,
    kind: u8,
    code: u8,
    rest: u32,
) -> Option<Vec<u8>> {
    if !may_answer(flow, kind) {
        return None;
    }
    let packet = packet_of(frame, flow)?;
    let (src, largest) = match flow.tuple.src {
        IpAddr::V4(_) => (
            IpAddr::V4(gateway.ipv4?),
            MAX_ERROR_V4 - ipv4::HEADER_LEN - icmp::HEADER_LEN,
        ),
        IpAddr::V6(_) => (
            IpAddr::V6(gateway.ipv6?),
            MAX_ERROR_V6 - ipv6::HEADER_LEN - icmp::HEADER_LEN,
        ),
    };
    let message = Message {
        src,
        dst: flow.tuple.src,
        kind,
        code,
        rest,
        // As much of the packet as fits; no extension follows, so RFC 4884 asks for no padding.
        body: &packet[..packet.len().min(largest)],
    };
    message.into_frame(flow.src_mac, gateway.mac)
}

/// False when a packet must not cause an error message.
fn may_answer(flow: &FrameFlow, kind: u8) -> bool {
    let tuple = &flow.tuple;
    if tuple.is_icmp_error() || flow.fragment.is_some_and(|part| part.offset != 0) {
        return false;
    }
    // A first fragment has its ports aside.
    if let Some(ports) = flow.fragment.and_then(|part| part.ports)
        && tuple.with_ports(ports).is_icmp_error()
    {
        return false;
    }
    let to_group = flow.dst_mac.is_multicast();
    match (tuple.src, tuple.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            !to_group && !dst.is_multicast() && !dst.is_broadcast() && is_host_v4(src)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            // Path MTU discovery works for multicast too, RFC 4443 §2.4 (e.3).
            let group_ok = kind == v6::PACKET_TOO_BIG;
            let redirect = tuple.protocol == protocol::ICMPV6
                && tuple.src_port >> 8 == u16::from(v6::REDIRECT);
            (group_ok || (!to_group && !dst.is_multicast()))
                && !src.is_unspecified()
                && !src.is_multicast()
                && !redirect
        }
        _ => false,
    }
}

/// True for addresses that stand for one host, RFC 1122 §3.2.1.3.
fn is_host_v4(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}

/// The IP packet in a frame, without padding.
fn packet_of<'a>(frame: &'a [u8], flow: &FrameFlow) -> Option<&'a [u8]> {
    frame.get(flow.ip_offset..flow.ip_offset + flow.ip_length)
}

/// An ICMP message on its way into a frame.
struct Message<'a> {
    src: IpAddr,
    dst: IpAddr,
    kind: u8,
    code: u8,
    rest: u32,
    body: &'a [u8],
}

impl Message<'_> {
    fn into_frame(self, dst_mac: MacAddr, src_mac: MacAddr) -> Option<Vec<u8>> {
        let message = icmp::message(
            self.src, self.dst, self.kind, self.code, self.rest, self.body,
        );
        let payload_len = u16::try_from(message.len()).ok()?;
        let mut frame = Vec::with_capacity(ethernet::HEADER_LEN + ipv6::HEADER_LEN + message.len());
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                ethernet::emit(&mut frame, dst_mac, src_mac, ethernet::IPV4);
                let repr = ipv4::Repr {
                    src,
                    dst,
                    protocol: protocol::ICMP,
                    ttl: TTL,
                    tos: 0,
                    payload_len,
                };
                ipv4::emit(&mut frame, &repr);
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                ethernet::emit(&mut frame, dst_mac, src_mac, ethernet::IPV6);
                let repr = ipv6::Repr {
                    src,
                    dst,
                    next_header: protocol::ICMPV6,
                    hop_limit: TTL,
                    payload_len,
                };
                ipv6::emit(&mut frame, &repr);
            }
            _ => return None,
        }
        frame.extend_from_slice(&message);
        Some(frame)
    }
}

#[cfg(test)]
mod tests;
