//! The demo's recording of real programs, packet by packet, against another parser.

use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, NetSlice, SlicedPacket, TransportSlice};
use flownic_wire::flow::{FlowError, FlowTuple, FrameFlow};
use flownic_wire::{arp, checksum, ethernet, icmp, ipv4, ipv6, nd, protocol};
use pcap_file::pcapng::{Block, PcapNgReader};

/// Frames of `ctl/demo/traffic.pcapng`.
fn frames() -> Vec<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ctl/demo/traffic.pcapng");
    let file = std::fs::File::open(path).unwrap();
    let mut reader = PcapNgReader::new(file).unwrap();
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            frames.push(packet.data.into_owned());
        }
    }
    assert!(frames.len() > 100, "{} frames", frames.len());
    frames
}

/// Addresses, protocol and ports as etherparse finds them.
fn other_parser(frame: &[u8]) -> (IpAddr, IpAddr, Option<(u16, u16)>, bool) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let (src, dst, fragment) = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            ip.is_payload_fragmented(),
        ),
        NetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
            ip.is_payload_fragmented(),
        ),
        NetSlice::Arp(_) => panic!("ARP has no flow"),
    };
    let echo = |bytes: [u8; 2]| u16::from_be_bytes(bytes);
    let ports = sliced.transport.map(|transport| match transport {
        TransportSlice::Igmp(_) => (0, 0),
        TransportSlice::Tcp(tcp) => (tcp.source_port(), tcp.destination_port()),
        TransportSlice::Udp(udp) => (udp.source_port(), udp.destination_port()),
        TransportSlice::Icmpv4(message) => {
            let kind = u16::from_be_bytes([message.type_u8(), message.code_u8()]);
            let bytes = message.bytes5to8();
            let is_echo = matches!(message.type_u8(), 0 | 8);
            (
                kind,
                if is_echo {
                    echo([bytes[0], bytes[1]])
                } else {
                    0
                },
            )
        }
        TransportSlice::Icmpv6(message) => {
            let kind = u16::from_be_bytes([message.type_u8(), message.code_u8()]);
            let bytes = message.bytes5to8();
            let is_echo = matches!(message.type_u8(), 128 | 129);
            (
                kind,
                if is_echo {
                    echo([bytes[0], bytes[1]])
                } else {
                    0
                },
            )
        }
    });
    (src, dst, ports, fragment)
}

/// R1.2: flows of real packets, IPv4 and IPv6, fragments and ICMP errors among them.
#[test]
fn r1_2_flows_of_real_packets() {
    let (mut fragments, mut quoted, mut checked) = (0, 0, 0);
    for frame in frames() {
        let flow = match FlowTuple::from_frame(&frame) {
            Ok(flow) => flow,
            Err(FlowError::NotIp(ethernet::ARP)) => {
                check_arp(&frame);
                continue;
            }
            Err(error) => panic!("{error}: {frame:02x?}"),
        };
        let (src, dst, ports, fragment) = other_parser(&frame);
        assert_eq!((flow.tuple.src, flow.tuple.dst), (src, dst));
        assert_eq!(flow.fragment.is_some(), fragment);
        if fragment {
            fragments += 1;
            assert_eq!((flow.tuple.src_port, flow.tuple.dst_port), (0, 0));
            continue;
        }
        let ours = (flow.tuple.src_port, flow.tuple.dst_port);
        assert_eq!(ours, ports.unwrap_or_default());
        checked += check_payload(&frame, &flow);
        if flow.tuple.is_icmp_error() {
            quoted += 1;
            check_quoted(&frame, &flow);
        }
    }
    println!("{checked} checksums, {fragments} fragments, {quoted} ICMP errors");
    assert!(checked > 100 && fragments > 0 && quoted > 0);
}

/// The recording was made without checksum offload, so every checksum is that of a wire.
fn check_payload(frame: &[u8], flow: &FrameFlow) -> usize {
    let packet = &frame[flow.ip_offset..flow.ip_offset + flow.ip_length];
    let payload = match flow.tuple.src {
        IpAddr::V4(_) => {
            let ip = ipv4::Packet::new_checked(packet).unwrap();
            assert!(ip.checksum_is_right());
            &packet[ip.header_len()..]
        }
        IpAddr::V6(_) => &packet[ipv6::HEADER_LEN..],
    };
    let (src, dst) = (flow.tuple.src, flow.tuple.dst);
    match flow.tuple.protocol {
        kind @ (protocol::TCP | protocol::UDP) => {
            assert_eq!(
                checksum::transport(src, dst, kind, payload),
                0,
                "{}",
                flow.tuple
            );
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let message = icmp::Packet::new_checked(payload).unwrap();
            assert!(message.checksum_is_right(src, dst), "{}", flow.tuple);
            check_nd(packet, message.kind(), flow);
        }
        _ => return 0,
    }
    1
}

/// Solicitations and advertisements of a real kernel are read, and written back alike.
fn check_nd(packet: &[u8], kind: u8, flow: &FrameFlow) {
    if flow.tuple.protocol != protocol::ICMPV6 {
        return;
    }
    let packet = ipv6::Packet::new_checked(packet).unwrap();
    let written = match kind {
        icmp::v6::NEIGHBOUR_SOLICITATION => nd::Solicitation::parse(&packet).unwrap().emit(),
        icmp::v6::NEIGHBOUR_ADVERTISEMENT => nd::Advertisement::parse(&packet).unwrap().emit(),
        _ => return,
    };
    assert_eq!(written, packet.payload());
}

fn check_arp(frame: &[u8]) {
    let message = arp::Repr::parse(&frame[14..]).unwrap();
    let mut written = Vec::new();
    message.emit(&mut written);
    assert_eq!(written, frame[14..14 + arp::LEN]);
}

fn check_quoted(frame: &[u8], flow: &FrameFlow) {
    let quoted = flow.quoted.expect("real errors quote the packet");
    let header = if flow.tuple.src.is_ipv4() { 20 } else { 40 };
    let bytes = &frame[flow.ip_offset + header + icmp::HEADER_LEN..];
    let sliced = LaxSlicedPacket::from_ip(bytes).unwrap();
    let (src, dst): (IpAddr, IpAddr) = match sliced.net.unwrap() {
        LaxNetSlice::Ipv4(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Ipv6(ip) => (
            ip.header().source_addr().into(),
            ip.header().destination_addr().into(),
        ),
        LaxNetSlice::Arp(_) => panic!("ARP in an ICMP error"),
    };
    assert_eq!((quoted.src, quoted.dst), (src, dst));
    assert_eq!(
        quoted.src, flow.tuple.dst,
        "an error goes to who sent the packet"
    );
    assert_ne!((quoted.src_port, quoted.dst_port), (0, 0));
}
