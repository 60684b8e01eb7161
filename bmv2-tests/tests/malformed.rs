//! Malformed packets through the whole pipeline: right verdict, right counter, never a crash
//! (R6.6). The expected verdicts are derived here from the packets, not from the program.

mod nic;

use nic::Nic;
use nic::frames::{
    VXLAN, arp, ethernet, fix_checksum, geneve, icmp, ipv4, ipv4_between, ipv6, tagged, tcp,
    tunnel, udp,
};

const VF0: u16 = 16;
const UPLINK: u16 = 0;
const PAYLOAD: [u8; 24] = [0x55; 24];

/// A packet, the bytes the parser must see of it, and what becomes of it when it is whole.
struct Kind {
    name: &'static str,
    port: u16,
    frame: Vec<u8>,
    headers: usize,
    fate: &'static str,
}

/// The inner packet of tunnels.
fn inner() -> Vec<u8> {
    ethernet(
        0x0800,
        &ipv4_between(
            [10, 0, 0, 20],
            [10, 0, 0, 10],
            17,
            &[],
            &udp(1, 2, &PAYLOAD),
        ),
    )
}

fn kinds() -> Vec<Kind> {
    let udp = udp(1, 2, &PAYLOAD);
    let tcp = tcp(1, 2, &PAYLOAD);
    let echo = icmp(8, &PAYLOAD);
    let v4 = |protocol, payload: &[u8]| ethernet(0x0800, &ipv4(protocol, &[], payload));
    let v6 = |next, payload: &[u8]| ethernet(0x86dd, &ipv6(next, payload));
    let mut fragment = ipv4(17, &[], &udp);
    fragment[6] = 0x20;
    fix_checksum(&mut fragment);
    let v6_fragment = [&[17, 0, 0, 1, 0, 0, 0, 7][..], &udp].concat();
    let solicitation = [&icmp(135, &[])[..], &[0xfd; 16]].concat();
    let vf = |name, frame, headers, fate| Kind {
        name,
        port: VF0,
        frame,
        headers,
        fate,
    };
    let up = |name, frame, headers, fate| Kind {
        name,
        port: UPLINK,
        frame,
        headers,
        fate,
    };
    let v4_udp = 14 + 20 + 8;
    let inner_v6 = v6(17, &udp);
    vec![
        vf("IPv4 UDP", v4(17, &udp), v4_udp, "/MISS/510"),
        vf("IPv4 TCP", v4(6, &tcp), 14 + 20 + 20, "/MISS/510"),
        vf("IPv4 ICMP", v4(1, &echo), v4_udp, "/MISS/510"),
        vf("IPv4 GRE", v4(47, &PAYLOAD), 14 + 20, "/MISS/510"),
        vf(
            "IPv4 options",
            ethernet(0x0800, &ipv4(17, &[1; 40], &udp)),
            v4_udp + 40,
            "/MISS/510",
        ),
        vf(
            "IPv4 fragment",
            ethernet(0x0800, &fragment),
            14 + 20,
            "/FRAGMENT/510",
        ),
        vf("IPv6 UDP", v6(17, &udp), 14 + 40 + 8, "/MISS/510"),
        vf("IPv6 TCP", v6(6, &tcp), 14 + 40 + 20, "/MISS/510"),
        vf(
            "IPv6 echo",
            v6(58, &icmp(128, &PAYLOAD)),
            14 + 40 + 8,
            "/MISS/510",
        ),
        vf("IPv6 ND", v6(58, &solicitation), 14 + 40 + 8, "/ND/510"),
        vf(
            "IPv6 fragment",
            v6(44, &v6_fragment),
            14 + 40 + 8,
            "/FRAGMENT/510",
        ),
        vf("IPv6 none", v6(59, &[]), 14 + 40, "/MISS/510"),
        vf("ARP", ethernet(0x0806, &arp()), 14 + 28, "/ARP/510"),
        vf(
            "VLAN UDP",
            tagged(0x8100, 7, &v4(17, &udp)),
            v4_udp + 4,
            "/MISS/510",
        ),
        up(
            "VXLAN",
            tunnel(4789, &VXLAN, &inner()),
            50 + v4_udp,
            "/MISS/510",
        ),
        up(
            "Geneve",
            tunnel(6081, &geneve(0), &inner()),
            50 + v4_udp,
            "/MISS/510",
        ),
        up(
            "Geneve options",
            tunnel(6081, &geneve(60), &inner()),
            110 + v4_udp,
            "/MISS/510",
        ),
        up(
            "Geneve IPv6",
            tunnel(6081, &geneve(0), &inner_v6),
            50 + 14 + 40 + 8,
            "/MISS/510",
        ),
    ]
}

/// R6.6: every kind of packet cut off after every byte.
#[test]
fn packets_cut_off_at_every_byte() {
    let mut nic = Nic::new();
    for kind in kinds() {
        for length in 0..=kind.frame.len() {
            let fate = match length {
                _ if length == kind.frame.len() => kind.fate,
                _ if length < kind.headers => "MALFORMED//",
                _ => "BAD_LENGTH//",
            };
            let what = format!("{} of {length} bytes", kind.name);
            nic.check(kind.port, &kind.frame[..length], fate, &what);
        }
    }
}

/// R6.6: the same from ports without a role, and from the host.
#[test]
fn packets_where_no_packets_belong() {
    let mut nic = Nic::new();
    for kind in kinds() {
        for length in 0..=kind.frame.len() {
            nic.check(5, &kind.frame[..length], "UNKNOWN_PORT//", kind.name);
        }
    }
    for length in 0..2 {
        nic.check(
            510,
            &[0xff; 2][..length],
            "UNKNOWN_PORT//",
            "no room for a port",
        );
    }
    nic.check(510, &[0xff; 2], "//", "to no port");
    nic.check(510, &[0, 17], "//17", "an empty packet");
}

/// R6.6: every single bit error in an IPv4 header.
#[test]
fn bit_errors_in_ipv4_headers() {
    let mut nic = Nic::new();
    let frame = ethernet(0x0800, &ipv4(17, &[], &udp(1, 2, &PAYLOAD)));
    for bit in 0..20 * 8 {
        let mut bad = frame.clone();
        bad[14 + bit / 8] ^= 0x80 >> (bit % 8);
        let header_length = usize::from(bad[14] & 15) * 4;
        let fate = match bad[14] >> 4 {
            version if version != 4 => "MALFORMED//",
            _ if header_length < 20 => "MALFORMED//",
            _ if 14 + header_length + 8 > frame.len() => "MALFORMED//",
            _ => "BAD_CHECKSUM//",
        };
        nic.check(VF0, &bad, fate, &format!("bit {bit}"));
        let tunnel = tunnel(6081, &geneve(0), &bad);
        nic.check(UPLINK, &tunnel, fate, &format!("bit {bit} in a tunnel"));
    }
}

/// R6.6: every value of IPv4 total length and IPv6 payload length.
#[test]
fn every_ip_length() {
    let mut nic = Nic::new();
    let mut v4 = ethernet(0x0800, &ipv4(17, &[], &udp(1, 2, &PAYLOAD)));
    let mut v6 = ethernet(0x86dd, &ipv6(17, &udp(1, 2, &PAYLOAD)));
    for length in 0..=u16::MAX {
        v4[16..18].copy_from_slice(&length.to_be_bytes());
        fix_checksum(&mut v4[14..]);
        let fits = (20..=v4.len() - 14).contains(&usize::from(length));
        let fate = if fits { "/MISS/510" } else { "BAD_LENGTH//" };
        nic.check(VF0, &v4, fate, &format!("IPv4 total length {length}"));

        v6[18..20].copy_from_slice(&length.to_be_bytes());
        let fits = usize::from(length) <= v6.len() - 14 - 40;
        let fate = if fits { "/MISS/510" } else { "BAD_LENGTH//" };
        nic.check(VF0, &v6, fate, &format!("IPv6 payload length {length}"));
    }
}

/// R6.6: every value of the outer IP length, with the UDP length that belongs to it and others.
#[test]
fn every_tunnel_length() {
    let mut nic = Nic::new();
    let whole = tunnel(6081, &geneve(4), &inner());
    for length in 0..=u16::MAX {
        let mut frame = whole.clone();
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[38..40].copy_from_slice(&length.wrapping_sub(20).to_be_bytes());
        fix_checksum(&mut frame[14..]);
        // Outer IP, UDP, tunnel with options, and the inner frame, whose own length is right.
        let needed = 20 + 8 + 12 + inner().len();
        let fits = (needed..=frame.len() - 14).contains(&usize::from(length));
        let fate = if fits { "/MISS/510" } else { "BAD_LENGTH//" };
        nic.check(UPLINK, &frame, fate, &format!("outer length {length}"));

        let mut frame = whole.clone();
        frame[38..40].copy_from_slice(&length.to_be_bytes());
        let right = usize::from(length) == whole.len() - 34;
        let fate = if right { "/MISS/510" } else { "BAD_LENGTH//" };
        nic.check(UPLINK, &frame, fate, &format!("UDP length {length}"));
    }
}

/// R6.6: every EtherType that is none of ours, from a VF, behind a tag, and in a tunnel.
#[test]
fn every_unknown_ethertype() {
    let mut nic = Nic::new();
    for ether_type in 0..=u16::MAX {
        if [0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8].contains(&ether_type) {
            continue;
        }
        let frame = ethernet(ether_type, &[0; 46]);
        nic.check(
            VF0,
            &frame,
            "UNKNOWN_ETHERTYPE//",
            &format!("{ether_type:#06x}"),
        );
        if ether_type % 16 == 0 {
            let tagged = tagged(0x8100, 7, &frame);
            nic.check(
                VF0,
                &tagged,
                "UNKNOWN_ETHERTYPE//",
                &format!("tagged {ether_type:#06x}"),
            );
            let tunnel = tunnel(4789, &VXLAN, &frame);
            nic.check(
                UPLINK,
                &tunnel,
                "UNKNOWN_ETHERTYPE//",
                &format!("inner {ether_type:#06x}"),
            );
        }
    }
}

/// R6.6: stacked VLAN tags of every order, whole and cut off.
#[test]
fn stacked_vlans() {
    let mut nic = Nic::new();
    let frame = ethernet(0x0800, &ipv4(17, &[], &udp(1, 2, &PAYLOAD)));
    for outer in [0x8100, 0x88a8] {
        for inner in [0x8100, 0x88a8] {
            let stacked = tagged(outer, 7, &tagged(inner, 7, &frame));
            for length in 0..=stacked.len() {
                let fate = if length < 18 {
                    "MALFORMED//"
                } else {
                    "STACKED_VLAN//"
                };
                let what = format!("{outer:#x} {inner:#x}, {length} bytes");
                nic.check(VF0, &stacked[..length], fate, &what);
            }
        }
    }
}

/// R6.6: fragments of every offset and flag go to the host; the first with all of its ports too.
#[test]
fn fragments() {
    let mut nic = Nic::new();
    for flags in 0..=u16::MAX {
        if flags % 7 != 0 && flags & 0x3fff > 64 {
            continue;
        }
        let mut ip = ipv4(17, &[], &udp(1, 2, &PAYLOAD));
        ip[6..8].copy_from_slice(&flags.to_be_bytes());
        fix_checksum(&mut ip);
        // Neither more-fragments nor an offset: not a fragment.
        let fate = if flags & 0x3fff == 0 {
            "/MISS/510"
        } else {
            "/FRAGMENT/510"
        };
        nic.check(
            VF0,
            &ethernet(0x0800, &ip),
            fate,
            &format!("flags and offset {flags:#06x}"),
        );
    }
}

/// R6.6: packets with many random errors: one verdict each, and no crash.
#[test]
fn random_errors() {
    let mut nic = Nic::new();
    let mut random = Random(0x5eed);
    let kinds = kinds();
    for round in 0..30_000 {
        let kind = &kinds[random.below(kinds.len())];
        let mut frame = kind.frame.clone();
        for _ in 0..1 + random.below(6) {
            match random.below(4) {
                0 => frame.truncate(random.below(frame.len() + 1)),
                1 => frame.extend(std::iter::repeat_n(
                    random.below(256) as u8,
                    random.below(80),
                )),
                _ if frame.is_empty() => {}
                _ => {
                    let at = random.below(frame.len());
                    frame[at] = random.below(256) as u8;
                }
            }
        }
        let port = [VF0, VF0, UPLINK, 17, 510, 3][random.below(6)];
        let fate = nic.packet(port, &frame);
        let what = format!("round {round}, {} at {port}: {fate:?}", kind.name);
        assert!(fate.outputs.len() <= 1, "{what}");
        assert!(fate.dropped.len() <= 1 && fate.punted.len() <= 1, "{what}");
        let host = fate.outputs.iter().any(|output| output.port == 510);
        if port == 510 {
            continue;
        }
        assert_eq!(host, fate.punted.len() == 1, "{what}");
        // Forwarded, punted or dropped; only what the sender is told of is punted and dropped.
        let forwarded = fate.outputs.len() == 1 && !host;
        assert_ne!(forwarded, host || !fate.dropped.is_empty(), "{what}");
        if host && !fate.dropped.is_empty() {
            assert!(
                ["TTL_EXPIRED", "TOO_BIG"].contains(&fate.dropped[0].as_str()),
                "{what}"
            );
            assert_eq!(fate.dropped, fate.punted, "{what}");
        }
    }
}

/// xorshift64: the same packets in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
