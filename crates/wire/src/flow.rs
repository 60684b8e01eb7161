//! Which flow a frame belongs to, in exactly the sense of the P4 program (`p4/parser.p4`).
//!
//! ```text
//! protocol       src_port             dst_port
//! TCP, UDP       source port          destination port
//! ICMP, ICMPv6   type × 256 + code    identifier of echo messages, else 0
//! others         0                    0
//! fragments      0                    0            (ports of a first one: Fragment::ports)
//! ```
//!
//! The parser of the pipeline reads as far as the frame goes, whatever the length fields say, and
//! compares lengths afterwards; so does this one.

use std::fmt;
use std::net::IpAddr;

use crate::{MacAddr, ethernet, icmp, ipv4, ipv6, protocol, tcp, u16_at, udp, vlan};

/// What packets of one direction of a flow have in common within a virtual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowTuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same IP version.
    pub dst: IpAddr,
    /// IP protocol of the payload.
    pub protocol: u8,
    /// Source port; ICMP: type × 256 + code.
    pub src_port: u16,
    /// Destination port; ICMP: identifier of echo messages.
    pub dst_port: u16,
}

/// A part of a fragmented packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// The same in all fragments of a packet.
    pub identification: u32,
    /// Where it belongs, in units of 8 bytes.
    pub offset: u16,
    /// More follow.
    pub more: bool,
    /// Ports in the sense of [`FlowTuple`], when this is the first fragment and they are in it.
    pub ports: Option<(u16, u16)>,
}

/// A frame as the flow cache sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFlow {
    /// Destination of the frame.
    pub dst_mac: MacAddr,
    /// Source of the frame.
    pub src_mac: MacAddr,
    /// VLAN identifier of the tag, when there is one.
    pub vlan: Option<u16>,
    /// The flow; ports are 0 in a fragment.
    pub tuple: FlowTuple,
    /// Set when the packet is a fragment.
    pub fragment: Option<Fragment>,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Where the IP header starts in the frame, bytes.
    pub ip_offset: usize,
    /// Length of the IP packet as its header says, bytes.
    pub ip_length: usize,
    /// For an ICMP error: the flow of the packet that it is about.
    pub quoted: Option<FlowTuple>,
}

/// Why a frame has no flow. Names are those of the pipeline's drop reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// MALFORMED: the frame ended in a header, or a header is impossible.
    #[error("malformed: {0}")]
    Malformed(#[from] crate::Error),
    /// BAD_CHECKSUM: IPv4 header checksum.
    #[error("wrong IPv4 header checksum")]
    BadChecksum,
    /// STACKED_VLAN: a VLAN tag behind a VLAN tag.
    #[error("stacked VLAN tags")]
    StackedVlan,
    /// BAD_LENGTH: a length field says more than the frame holds, or less than the header.
    #[error("IP length {ip} does not fit into {available} bytes")]
    BadLength {
        /// Bytes of the IP packet as its header says.
        ip: usize,
        /// Bytes behind the Ethernet header.
        available: usize,
    },
    /// Neither IPv4 nor IPv6: ARP, or UNKNOWN_ETHERTYPE.
    #[error("EtherType {0:#06x} is not IP")]
    NotIp(u16),
}

impl FlowTuple {
    /// Finds the flow of a frame as a VM sends it or as a tunnel carries it, with at most one
    /// VLAN tag.
    pub fn from_frame(frame: &[u8]) -> Result<FrameFlow, FlowError> {
        let ethernet = ethernet::Frame::new_checked(frame)?;
        let mut ether_type = ethernet.ether_type();
        let mut ip_offset = ethernet::HEADER_LEN;
        let mut tag = None;
        if matches!(ether_type, ethernet::VLAN | ethernet::QINQ) {
            let vlan = vlan::Packet::new_checked(ethernet.payload())?;
            tag = Some(vlan.vid());
            ether_type = vlan.ether_type();
            ip_offset += vlan::HEADER_LEN;
        }
        let ip = match ether_type {
            ethernet::IPV4 => parse_ipv4(&frame[ip_offset..])?,
            ethernet::IPV6 => parse_ipv6(&frame[ip_offset..])?,
            ethernet::VLAN | ethernet::QINQ => return Err(FlowError::StackedVlan),
            other => return Err(FlowError::NotIp(other)),
        };
        let available = frame.len() - ip_offset;
        if ip.length > available || ip.length < ip.header_len {
            return Err(FlowError::BadLength {
                ip: ip.length,
                available,
            });
        }
        let packet = &frame[ip_offset..ip_offset + ip.length];
        Ok(FrameFlow {
            dst_mac: ethernet.dst(),
            src_mac: ethernet.src(),
            vlan: tag,
            tuple: ip.tuple,
            fragment: ip.fragment,
            ttl: ip.ttl,
            ip_offset,
            ip_length: ip.length,
            quoted: quoted_flow(&ip, packet),
        })
    }

    /// The flow of the opposite direction: addresses and ports change places; an ICMP echo
    /// request and its reply are opposite. `None` when nothing is: ICMP other than echo.
    pub fn reverse(&self) -> Option<FlowTuple> {
        let (src_port, dst_port) = match self.protocol {
            protocol::ICMP => (reverse_echo(self.src_port, 8, 0)?, self.dst_port),
            protocol::ICMPV6 => (reverse_echo(self.src_port, 128, 129)?, self.dst_port),
            _ => (self.dst_port, self.src_port),
        };
        Some(FlowTuple {
            src: self.dst,
            dst: self.src,
            protocol: self.protocol,
            src_port,
            dst_port,
        })
    }

    /// True when a packet of this flow may ask for answers: all but ICMP messages that are
    /// answers or errors themselves. Only then may a stateful rule let the reverse through.
    pub fn may_start(&self) -> bool {
        match self.protocol {
            protocol::ICMP | protocol::ICMPV6 => self.is_echo_request(),
            _ => true,
        }
    }

    /// True for echo requests, ICMP and ICMPv6.
    pub fn is_echo_request(&self) -> bool {
        let kind = self.src_port >> 8;
        (self.protocol == protocol::ICMP && kind == 8)
            || (self.protocol == protocol::ICMPV6 && kind == 128)
    }

    /// True for ICMP messages that report an error about another packet.
    pub fn is_icmp_error(&self) -> bool {
        let kind = (self.src_port >> 8) as u8;
        match self.protocol {
            protocol::ICMP => icmp::is_v4_error(kind),
            protocol::ICMPV6 => icmp::is_v6_error(kind),
            _ => false,
        }
    }

    /// This flow with other ports, as a fragment's when its first fragment is known.
    #[must_use]
    pub fn with_ports(self, (src_port, dst_port): (u16, u16)) -> FlowTuple {
        FlowTuple {
            src_port,
            dst_port,
            ..self
        }
    }
}

impl fmt::Display for FlowTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = (self.src, self.dst);
        let (src_port, dst_port) = (self.src_port, self.dst_port);
        let with_port = |address: IpAddr, port: u16| std::net::SocketAddr::new(address, port);
        let (kind, code) = (src_port >> 8, src_port & 0xff);
        match self.protocol {
            protocol::TCP => {
                let (src, dst) = (with_port(src, src_port), with_port(dst, dst_port));
                write!(f, "tcp {src} -> {dst}")
            }
            protocol::UDP => {
                let (src, dst) = (with_port(src, src_port), with_port(dst, dst_port));
                write!(f, "udp {src} -> {dst}")
            }
            protocol::ICMP => write!(f, "icmp {kind}/{code} {src} -> {dst} id {dst_port}"),
            protocol::ICMPV6 => write!(f, "icmpv6 {kind}/{code} {src} -> {dst} id {dst_port}"),
            other => write!(f, "protocol {other} {src} -> {dst}"),
        }
    }
}

/// Type of the opposite echo message, in the high byte; the code stays.
fn reverse_echo(type_and_code: u16, request: u16, reply: u16) -> Option<u16> {
    let code = type_and_code & 0xff;
    match type_and_code >> 8 {
        kind if kind == request => Some(reply << 8 | code),
        kind if kind == reply => Some(request << 8 | code),
        _ => None,
    }
}

/// What the two IP versions have in common.
struct Ip {
    tuple: FlowTuple,
    fragment: Option<Fragment>,
    ttl: u8,
    /// Bytes of the IP packet, as its header says.
    length: usize,
    /// Bytes in front of the transport header.
    header_len: usize,
}

fn parse_ipv4(bytes: &[u8]) -> Result<Ip, FlowError> {
    // The pipeline tells a bad length from an impossible header, so the length is not checked
    // by the view here but by the caller.
    let header = ipv4::Packet::new_unchecked_length(bytes)?;
    let header_len = header.header_len();
    let transport = &bytes[header_len..];
    let protocol = header.protocol();
    let mut fragment = None;
    let mut ports = (0, 0);
    if header.is_fragment() {
        let first = header.fragment_offset() == 0;
        fragment = Some(Fragment {
            identification: u32::from(header.identification()),
            offset: header.fragment_offset(),
            more: header.more_fragments(),
            ports: first
                .then(|| quoted_ports(protocol::ICMP, protocol, transport))
                .flatten(),
        });
    } else {
        ports = match protocol {
            protocol::TCP | protocol::UDP | protocol::ICMP => parse_ports(protocol, transport)?,
            _ => ports,
        };
    }
    if !header.checksum_is_right() {
        return Err(FlowError::BadChecksum);
    }
    Ok(Ip {
        tuple: FlowTuple {
            src: header.src().into(),
            dst: header.dst().into(),
            protocol,
            src_port: ports.0,
            dst_port: ports.1,
        },
        fragment,
        ttl: header.ttl(),
        length: usize::from(header.total_length()),
        header_len,
    })
}

fn parse_ipv6(bytes: &[u8]) -> Result<Ip, FlowError> {
    let header = ipv6::Packet::new_header(bytes)?;
    let transport = &bytes[ipv6::HEADER_LEN..];
    let mut protocol = header.next_header();
    let mut fragment = None;
    let mut ports = (0, 0);
    match protocol {
        protocol::IPV6_FRAGMENT => {
            let part = ipv6::Fragment::parse(transport)?;
            protocol = part.next_header;
            let transport = &transport[ipv6::FRAGMENT_LEN..];
            fragment = Some(Fragment {
                identification: part.identification,
                offset: part.offset,
                more: part.more,
                ports: (part.offset == 0)
                    .then(|| quoted_ports(protocol::ICMPV6, protocol, transport))
                    .flatten(),
            });
        }
        protocol::TCP | protocol::UDP | protocol::ICMPV6 => {
            ports = parse_ports(protocol, transport)?;
        }
        _ => {}
    }
    Ok(Ip {
        tuple: FlowTuple {
            src: header.src().into(),
            dst: header.dst().into(),
            protocol,
            src_port: ports.0,
            dst_port: ports.1,
        },
        fragment,
        ttl: header.hop_limit(),
        length: ipv6::HEADER_LEN + usize::from(header.payload_length()),
        header_len: ipv6::HEADER_LEN,
    })
}

/// Ports of a whole transport header, which the pipeline requires to be there.
fn parse_ports(protocol: u8, bytes: &[u8]) -> Result<(u16, u16), crate::Error> {
    let (name, header_len) = match protocol {
        protocol::TCP => ("TCP", tcp::HEADER_LEN),
        protocol::UDP => ("UDP", udp::HEADER_LEN),
        _ => ("ICMP", icmp::HEADER_LEN),
    };
    crate::need(name, bytes, header_len)?;
    if protocol == protocol::TCP && bytes[12] >> 4 < 5 {
        return Err(crate::Error::Malformed {
            protocol: "TCP",
            what: "data offset is less than 5",
        });
    }
    Ok(quoted_ports(protocol, protocol, bytes).unwrap_or((0, 0)))
}

/// Ports of a transport header of which only the first bytes may be there: in a first fragment,
/// and in the 8 bytes that an ICMP error quotes at least. `icmp_protocol` is the one of the IP
/// version.
fn quoted_ports(icmp_protocol: u8, protocol: u8, bytes: &[u8]) -> Option<(u16, u16)> {
    match protocol {
        protocol::TCP | protocol::UDP if bytes.len() >= 4 => {
            Some((u16_at(bytes, 0), u16_at(bytes, 2)))
        }
        _ if protocol == icmp_protocol && bytes.len() >= icmp::HEADER_LEN => {
            let echo = matches!(bytes[0], 0 | 8 | 128 | 129);
            Some((u16_at(bytes, 0), if echo { u16_at(bytes, 4) } else { 0 }))
        }
        protocol::TCP | protocol::UDP => None,
        _ if protocol == icmp_protocol => None,
        _ => Some((0, 0)),
    }
}

/// The flow of the packet that an ICMP error quotes (RFC 792, RFC 4443 §3).
fn quoted_flow(ip: &Ip, packet: &[u8]) -> Option<FlowTuple> {
    if ip.fragment.is_some() || !ip.tuple.is_icmp_error() {
        return None;
    }
    let quoted = packet.get(ip.header_len + icmp::HEADER_LEN..)?;
    if ip.tuple.protocol == protocol::ICMP {
        let header = ipv4::Packet::new_header(quoted).ok()?;
        if header.fragment_offset() != 0 {
            return None;
        }
        let ports = quoted_ports(protocol::ICMP, header.protocol(), header.payload())?;
        Some(
            FlowTuple {
                src: header.src().into(),
                dst: header.dst().into(),
                protocol: header.protocol(),
                src_port: 0,
                dst_port: 0,
            }
            .with_ports(ports),
        )
    } else {
        let header = ipv6::Packet::new_header(quoted).ok()?;
        let (protocol, transport) = match header.next_header() {
            protocol::IPV6_FRAGMENT => {
                let part = ipv6::Fragment::parse(header.payload()).ok()?;
                if part.offset != 0 {
                    return None;
                }
                (part.next_header, &header.payload()[ipv6::FRAGMENT_LEN..])
            }
            other => (other, header.payload()),
        };
        let ports = quoted_ports(protocol::ICMPV6, protocol, transport)?;
        Some(
            FlowTuple {
                src: header.src().into(),
                dst: header.dst().into(),
                protocol,
                src_port: 0,
                dst_port: 0,
            }
            .with_ports(ports),
        )
    }
}

#[cfg(test)]
mod tests;
