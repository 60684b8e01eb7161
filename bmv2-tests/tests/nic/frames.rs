//! Packets for tests, byte by byte. Deliberately not the builders of the product: what is tested
//! here must not be made by the same code.

pub const VF0_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
pub const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];

/// Ethernet header in front of a payload.
pub fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(OTHER_MAC);
    frame.extend(VF0_MAC);
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// 802.1Q tag in front of what follows the MACs.
pub fn tagged(tag_type: u16, vid: u16, frame: &[u8]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend(tag_type.to_be_bytes());
    tagged.extend(vid.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

fn sum(header: &[u8]) -> u16 {
    let words = header
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Writes the right checksum into an IPv4 header (the whole packet may follow).
pub fn fix_checksum(ip: &mut [u8]) {
    let length = (usize::from(ip[0] & 15) * 4).min(ip.len());
    ip[10] = 0;
    ip[11] = 0;
    let sum = sum(&ip[..length]).to_be_bytes();
    ip[10] = sum[0];
    ip[11] = sum[1];
}

/// IPv4 packet from VF 0.
pub fn ipv4(protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4_between([10, 0, 0, 10], [10, 0, 0, 20], protocol, options, payload)
}

pub fn ipv4_between(
    src: [u8; 4],
    dst: [u8; 4],
    protocol: u8,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let total = (20 + options.len() + payload.len()) as u16;
    let mut ip = vec![0x45 + (options.len() / 4) as u8, 0];
    ip.extend(total.to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    ip.extend(src);
    ip.extend(dst);
    ip.extend(options);
    fix_checksum(&mut ip);
    ip.extend(payload);
    ip
}

/// IPv6 packet from VF 0.
pub fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0];
    ip.extend((payload.len() as u16).to_be_bytes());
    ip.extend([next_header, 64]);
    for last in [0x0a, 0x0b] {
        ip.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    ip.extend(payload);
    ip
}

pub fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(src.to_be_bytes());
    udp.extend(dst.to_be_bytes());
    udp.extend((8 + payload.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    udp
}

pub fn tcp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(src.to_be_bytes());
    tcp.extend(dst.to_be_bytes());
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 4, 0, 0, 0, 0, 0]);
    tcp.extend(payload);
    tcp
}

pub fn icmp(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind, 0, 0, 0, 0, 7, 0, 1];
    icmp.extend(payload);
    icmp
}

/// ARP request of VF 0.
pub fn arp() -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(VF0_MAC);
    arp.extend([10, 0, 0, 10]);
    arp.extend([0; 6]);
    arp.extend([10, 0, 0, 1]);
    arp
}

/// Outer headers of a tunnel packet to us; `tunnel` is the tunnel header with its options.
pub fn tunnel(port: u16, tunnel: &[u8], inner: &[u8]) -> Vec<u8> {
    let udp = udp(0xc000, port, &[tunnel, inner].concat());
    ethernet(
        0x0800,
        &ipv4_between([192, 0, 2, 2], [192, 0, 2, 1], 17, &[], &udp),
    )
}

pub const VXLAN: [u8; 8] = [8, 0, 0, 0, 0, 0, 100, 0];

/// Geneve header with so many bytes of options that nobody must understand.
pub fn geneve(options: usize) -> Vec<u8> {
    let mut header = vec![(options / 4) as u8, 0, 0x65, 0x58, 0, 0, 100, 0];
    header.resize(8 + options, 0);
    header
}
