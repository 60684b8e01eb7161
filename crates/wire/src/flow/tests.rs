use super::*;
use crate::samples;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tuple(frame: &[u8]) -> FlowTuple {
    FlowTuple::from_frame(frame).unwrap().tuple
}

fn flow(src: &str, dst: &str, protocol: u8, src_port: u16, dst_port: u16) -> FlowTuple {
    FlowTuple {
        src: ip(src),
        dst: ip(dst),
        protocol,
        src_port,
        dst_port,
    }
}

/// R1.2: what the pipeline's parser makes of each kind of packet.
#[test]
fn r1_2_tuples_are_the_pipelines() {
    let (a, b) = ("10.0.0.10", "10.0.0.20");
    let (a6, b6) = ("fd00:0:0:1::a", "fd00:0:0:1::b");
    assert_eq!(tuple(&samples::TCP_SYN), flow(a, b, 6, 45678, 80));
    assert_eq!(tuple(&samples::DNS_QUERY), flow(a, b, 17, 40000, 53));
    assert_eq!(tuple(&samples::ICMP_ECHO), flow(a, b, 1, 8 << 8, 0x4d2));
    assert_eq!(
        tuple(&samples::ICMPV6_ECHO),
        flow(a6, b6, 58, 128 << 8, 0x77)
    );
    assert_eq!(tuple(&samples::ICMP_UNREACHABLE), flow(b, a, 1, 0x0303, 0));
}

#[test]
fn the_rest_of_a_frame() {
    let frame = FlowTuple::from_frame(&samples::TCP_SYN).unwrap();
    assert_eq!(frame.dst_mac, MacAddr([2, 0, 0, 0, 0, 0x0b]));
    assert_eq!(frame.src_mac, MacAddr([2, 0, 0, 0, 0, 0x0a]));
    assert_eq!(
        (frame.vlan, frame.fragment, frame.quoted),
        (None, None, None)
    );
    assert_eq!((frame.ttl, frame.ip_offset, frame.ip_length), (64, 14, 40));
}

#[test]
fn one_tag_is_read_two_are_refused() {
    let tagged = vlan::push(&samples::TCP_SYN, 7);
    let frame = FlowTuple::from_frame(&tagged).unwrap();
    assert_eq!((frame.vlan, frame.ip_offset), (Some(7), 18));
    assert_eq!(frame.tuple, tuple(&samples::TCP_SYN));
    let stacked = vlan::push(&tagged, 8);
    assert_eq!(FlowTuple::from_frame(&stacked), Err(FlowError::StackedVlan));
}

#[test]
fn padding_belongs_to_nothing() {
    let mut padded = samples::TCP_SYN.to_vec();
    padded.extend_from_slice(&[0; 6]);
    let frame = FlowTuple::from_frame(&padded).unwrap();
    assert_eq!(frame.ip_length, 40);
    assert_eq!(frame.tuple, tuple(&samples::TCP_SYN));
}

/// R1.2: fragments have no ports for the pipeline; those of a first one are aside.
#[test]
fn r1_2_fragments() {
    let part = |frame: &[u8]| {
        let frame = FlowTuple::from_frame(frame).unwrap();
        assert_eq!((frame.tuple.src_port, frame.tuple.dst_port), (0, 0));
        assert_eq!(frame.tuple.protocol, protocol::UDP);
        frame.fragment.unwrap()
    };
    let first = Fragment {
        identification: 0xbeef,
        offset: 0,
        more: true,
        ports: Some((40001, 2049)),
    };
    assert_eq!(part(&samples::IPV4_FIRST_FRAGMENT), first);
    let last = Fragment {
        offset: 3,
        more: false,
        ports: None,
        ..first
    };
    assert_eq!(part(&samples::IPV4_LAST_FRAGMENT), last);
    let first6 = Fragment {
        identification: 0xcafe,
        ports: Some((40002, 2049)),
        ..first
    };
    assert_eq!(part(&samples::IPV6_FIRST_FRAGMENT), first6);
    let last6 = Fragment {
        identification: 0xcafe,
        ..last
    };
    assert_eq!(part(&samples::IPV6_LAST_FRAGMENT), last6);
}

/// R1.9: the packet that an ICMP error is about.
#[test]
fn r1_9_quoted_flows() {
    let quoted = |frame: &[u8]| FlowTuple::from_frame(frame).unwrap().quoted;
    assert_eq!(
        quoted(&samples::ICMP_UNREACHABLE),
        Some(tuple(&samples::DNS_QUERY))
    );
    assert_eq!(
        quoted(&samples::ICMPV6_TIME_EXCEEDED),
        Some(tuple(&samples::ICMPV6_ECHO))
    );
    assert_eq!(quoted(&samples::ICMP_ECHO), None);
}

#[test]
fn reverse_twice_is_the_same() {
    for frame in [
        &samples::TCP_SYN[..],
        &samples::DNS_QUERY,
        &samples::ICMP_ECHO,
        &samples::ICMPV6_ECHO,
    ] {
        let tuple = tuple(frame);
        let reverse = tuple.reverse().unwrap();
        assert_eq!((reverse.src, reverse.dst), (tuple.dst, tuple.src));
        assert_eq!(reverse.reverse(), Some(tuple));
    }
    let echo = tuple(&samples::ICMP_ECHO);
    let reply = echo.reverse().unwrap();
    assert_eq!((reply.src_port, reply.dst_port), (0, 0x4d2));
    let echo6 = tuple(&samples::ICMPV6_ECHO);
    assert_eq!(echo6.reverse().unwrap().src_port, 129 << 8);
    assert!(echo.may_start() && echo6.may_start());
    assert!(!reply.may_start());
    let error = tuple(&samples::ICMP_UNREACHABLE);
    assert_eq!(error.reverse(), None);
    assert!(error.is_icmp_error() && !error.may_start());
}

#[test]
fn display() {
    assert_eq!(
        tuple(&samples::TCP_SYN).to_string(),
        "tcp 10.0.0.10:45678 -> 10.0.0.20:80"
    );
    assert_eq!(
        tuple(&samples::ICMPV6_ECHO).to_string(),
        "icmpv6 128/0 fd00:0:0:1::a -> fd00:0:0:1::b id 119"
    );
    assert_eq!(
        flow("10.0.0.1", "10.0.0.2", 99, 0, 0).to_string(),
        "protocol 99 10.0.0.1 -> 10.0.0.2"
    );
}

fn changed(frame: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for &(at, value) in changes {
        frame[at] = value;
    }
    frame
}

/// As above, with the IPv4 header checksum made right again.
fn changed_v4(frame: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = changed(frame, changes);
    frame[24..26].fill(0);
    let header_len = usize::from(frame[14] & 0xf) * 4;
    let sum = crate::checksum::of(&frame[14..14 + header_len]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// R1.2: malformed packets of each kind are refused for the reason that the pipeline counts.
#[test]
fn r1_2_malformed_frames() {
    let syn = &samples::TCP_SYN;
    let error = |frame: &[u8]| FlowTuple::from_frame(frame).unwrap_err();
    let malformed = |frame: &[u8]| matches!(error(frame), FlowError::Malformed(_));
    assert!(malformed(&changed_v4(syn, &[(14, 0x65)])), "version 6");
    assert!(malformed(&changed(syn, &[(14, 0x44)])), "ihl 4");
    assert!(malformed(&changed(syn, &[(46, 0x40)])), "TCP offset 4");
    assert_eq!(error(&changed(syn, &[(24, 0)])), FlowError::BadChecksum);
    let long = changed_v4(syn, &[(17, 41)]);
    let bad_length = FlowError::BadLength {
        ip: 41,
        available: 40,
    };
    assert_eq!(error(&long), bad_length);
    let short = changed_v4(syn, &[(17, 19)]);
    assert!(matches!(error(&short), FlowError::BadLength { ip: 19, .. }));
    let v6 = &samples::ICMPV6_ECHO;
    assert!(malformed(&changed(v6, &[(14, 0x40)])), "version 4");
    assert!(matches!(
        error(&changed(v6, &[(19, 17)])),
        FlowError::BadLength { ip: 57, .. }
    ));
    assert_eq!(
        error(&samples::ARP_REQUEST),
        FlowError::NotIp(ethernet::ARP)
    );
    assert_eq!(
        error(&changed(syn, &[(12, 0x12)])),
        FlowError::NotIp(0x1200)
    );
}

/// The pipeline compares the sum with the field: the other zero of one's complement is wrong.
#[test]
fn all_ones_is_no_checksum() {
    // Find an identification that makes the right checksum zero.
    let frame = (0..=u16::MAX)
        .map(|id| changed_v4(&samples::TCP_SYN, &[(18, (id >> 8) as u8), (19, id as u8)]))
        .find(|frame| frame[24..26] == [0, 0])
        .unwrap();
    assert!(FlowTuple::from_frame(&frame).is_ok());
    let wrong = changed(&frame, &[(24, 0xff), (25, 0xff)]);
    assert_eq!(FlowTuple::from_frame(&wrong), Err(FlowError::BadChecksum));
}

/// Options stand between header and ports.
#[test]
fn ipv4_options() {
    let mut frame = samples::TCP_SYN.to_vec();
    frame.splice(34..34, [1, 1, 1, 0]);
    let frame = changed_v4(&frame, &[(14, 0x46), (17, 44)]);
    assert_eq!(tuple(&frame), tuple(&samples::TCP_SYN));
    assert!(FlowTuple::from_frame(&frame[..36]).is_err());
    let wrong = changed(&frame, &[(35, 9)]);
    assert_eq!(FlowTuple::from_frame(&wrong), Err(FlowError::BadChecksum));
}

/// R1.2: frames cut at every byte and with every byte changed never cause a panic, in any view.
#[test]
fn r1_2_truncated_and_corrupted_frames() {
    for sample in samples::FRAMES {
        for length in 0..sample.len() {
            let cut = &sample[..length];
            // Everything of these frames is needed: their lengths say so.
            assert!(
                FlowTuple::from_frame(cut).is_err(),
                "{length} of {sample:02x?}"
            );
            parse_everything(cut);
        }
        for at in 0..sample.len() {
            for bit in 0..8 {
                let broken = changed(sample, &[(at, sample[at] ^ (1 << bit))]);
                let _ = FlowTuple::from_frame(&broken);
                parse_everything(&broken);
            }
        }
    }
}

/// Puts bytes through every parser and builder, at every header's place.
fn parse_everything(frame: &[u8]) {
    let gateway = crate::answer::Gateway {
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        ipv4: Some("10.0.0.1".parse().unwrap()),
        ipv6: Some("fd00::1".parse().unwrap()),
    };
    let _ = crate::answer::too_big(frame, &gateway, 1400);
    let _ = crate::answer::ttl_expired(frame, &gateway);
    let _ = crate::answer::echo_reply(frame);
    let _ = vlan::push(frame, 1);
    for offset in [0, 14, 18, 34, 42, 54] {
        let Some(bytes) = frame.get(offset..) else {
            continue;
        };
        let _ = crate::arp::Repr::parse(bytes);
        let _ = tcp::Packet::new_checked(bytes).map(|p| p.payload().len());
        let _ = udp::Packet::new_checked(bytes).map(|p| p.payload().len());
        let _ = icmp::Packet::new_checked(bytes).map(|p| p.body().len());
        let _ = crate::vxlan::Packet::new_checked(bytes).map(|p| p.payload().len());
        let _ = crate::geneve::Packet::new_checked(bytes).map(|p| p.options().count());
        let _ = ipv6::Fragment::parse(bytes);
        let _ = ipv4::Packet::new_checked(bytes).map(|p| p.payload().len());
        if let Ok(packet) = ipv4::Packet::new_header(bytes) {
            let _ = (packet.payload(), packet.checksum_is_right());
        }
        if let Ok(packet) = ipv6::Packet::new_header(bytes) {
            let _ = packet.payload();
            let _ = crate::nd::Solicitation::parse(&packet);
            let _ = crate::nd::Advertisement::parse(&packet);
        }
    }
}
