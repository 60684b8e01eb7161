//! Frames, byte by byte.

use flownic_wire::checksum;

/// What tells one TCP segment from another here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) dst_mac: u64,
    pub(crate) src_mac: u64,
    pub(crate) src: u32,
    pub(crate) dst: u32,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) ttl: u8,
}

/// The outside of an encapsulated frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tunnel {
    pub(crate) dst_mac: u64,
    pub(crate) src_mac: u64,
    pub(crate) src: u32,
    pub(crate) dst: u32,
    pub(crate) src_port: u16,
    pub(crate) vni: u32,
}

const UDP_PORT_GENEVE: u16 = 6081;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_TEB: u16 = 0x6558;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Appends a frame of `bytes` bytes with a TCP acknowledgement and zeros as payload.
pub(crate) fn tcp(segment: &Segment, bytes: usize, frame: &mut Vec<u8>) {
    let start = frame.len();
    ethernet(segment.dst_mac, segment.src_mac, frame);
    let ip_bytes = bytes - 14;
    let addresses = (segment.src, segment.dst);
    ipv4(ip_bytes as u16, segment.ttl, TCP, addresses, frame);
    frame.extend(segment.src_port.to_be_bytes());
    frame.extend(segment.dst_port.to_be_bytes());
    frame.extend([0; 8]);
    frame.extend([5 << 4, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame.resize(start + bytes, 0);
    let segment_bytes = &frame[start + 34..];
    let sum = checksum::transport(
        std::net::Ipv4Addr::from(segment.src).into(),
        std::net::Ipv4Addr::from(segment.dst).into(),
        TCP,
        segment_bytes,
    );
    frame[start + 50..start + 52].copy_from_slice(&sum.to_be_bytes());
}

/// Appends the headers of a Geneve tunnel (RFC 8926) for a frame of `inner` bytes.
pub(crate) fn geneve(tunnel: &Tunnel, inner: usize, frame: &mut Vec<u8>) {
    ethernet(tunnel.dst_mac, tunnel.src_mac, frame);
    let addresses = (tunnel.src, tunnel.dst);
    ipv4((inner + 36) as u16, 64, UDP, addresses, frame);
    frame.extend(tunnel.src_port.to_be_bytes());
    frame.extend(UDP_PORT_GENEVE.to_be_bytes());
    frame.extend(((inner + 16) as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend([0, 0]);
    frame.extend(ETHERTYPE_TEB.to_be_bytes());
    frame.extend((tunnel.vni << 8).to_be_bytes());
}

fn ethernet(dst: u64, src: u64, frame: &mut Vec<u8>) {
    frame.extend(&dst.to_be_bytes()[2..]);
    frame.extend(&src.to_be_bytes()[2..]);
    frame.extend(ETHERTYPE_IPV4.to_be_bytes());
}

fn ipv4(length: u16, ttl: u8, protocol: u8, (src, dst): (u32, u32), frame: &mut Vec<u8>) {
    let start = frame.len();
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    // Identification 0, don't fragment.
    frame.extend([0, 0, 0x40, 0, ttl, protocol, 0, 0]);
    frame.extend(src.to_be_bytes());
    frame.extend(dst.to_be_bytes());
    let sum = checksum::of(&frame[start..]);
    frame[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
}
