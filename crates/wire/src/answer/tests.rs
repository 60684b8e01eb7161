use super::*;
use crate::samples;

const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const ROUTER: MacAddr = MacAddr([2, 0, 0x5e, 0, 0, 1]);

fn gateway() -> Gateway {
    Gateway {
        mac: ROUTER,
        ipv4: Some(Ipv4Addr::new(10, 0, 0, 1)),
        ipv6: Some("fd00:0:0:1::1".parse().unwrap()),
    }
}

/// Addresses, header and body of an answer, after checking everything around them.
fn open(frame: &[u8]) -> (IpAddr, IpAddr, icmp::Packet<Vec<u8>>) {
    let flow = FlowTuple::from_frame(frame).unwrap();
    assert_eq!(flow.ip_offset + flow.ip_length, frame.len());
    assert_eq!(flow.ttl, 64);
    let header = if flow.tuple.src.is_ipv4() { 20 } else { 40 };
    let message = icmp::Packet::new_checked(frame[14 + header..].to_vec()).unwrap();
    assert!(message.checksum_is_right(flow.tuple.src, flow.tuple.dst));
    (flow.tuple.src, flow.tuple.dst, message)
}

/// R1.9: the answer to an ARP request, byte by byte.
#[test]
fn r1_9_arp_reply() {
    let request = arp::Repr::parse(&samples::ARP_REQUEST[14..]).unwrap();
    let frame = arp_reply(&request, MacAddr([2, 0, 0, 0, 0, 0x0b]));
    let expected = [
        0x02, 0, 0, 0, 0, 0x0a, 0x02, 0, 0, 0, 0, 0x0b, 0x08, 0x06, // Ethernet
        0, 1, 8, 0, 6, 4, 0, 2, // reply
        0x02, 0, 0, 0, 0, 0x0b, 10, 0, 0, 20, // sender
        0x02, 0, 0, 0, 0, 0x0a, 10, 0, 0, 10, // target
    ];
    assert_eq!(frame, expected);
}

/// R1.9: an advertisement to who asked; to all nodes when who asked has no address yet.
#[test]
fn r1_9_neighbour_advertisement() {
    let packet = ipv6::Packet::new_checked(&samples::ND_SOLICITATION[14..]).unwrap();
    let solicitation = nd::Solicitation::parse(&packet).unwrap();
    let parse = |frame: &[u8]| {
        let packet = ipv6::Packet::new_checked(frame[14..].to_vec()).unwrap();
        nd::Advertisement::parse(&packet).unwrap()
    };
    let frame = neighbour_advertisement(&solicitation, HOST, ROUTER, true);
    assert_eq!(frame[..6], HOST.0);
    let advertisement = parse(&frame);
    assert_eq!(
        advertisement,
        nd::Advertisement {
            src: solicitation.target,
            dst: solicitation.src,
            target: solicitation.target,
            target_mac: Some(ROUTER),
            router: true,
            solicited: true,
            overrides: true,
        }
    );

    let probe = nd::Solicitation {
        src: Ipv6Addr::UNSPECIFIED,
        source_mac: None,
        ..solicitation
    };
    let frame = neighbour_advertisement(&probe, HOST, ROUTER, false);
    assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
    let advertisement = parse(&frame);
    assert_eq!(advertisement.dst.to_string(), "ff02::1");
    assert!(!advertisement.solicited && !advertisement.router);
}

/// R1.9: echo replies repeat identifier, sequence and data.
#[test]
fn r1_9_echo_reply() {
    for (request, kind) in [
        (&samples::ICMP_ECHO[..], v4::ECHO_REPLY),
        (&samples::ICMPV6_ECHO[..], v6::ECHO_REPLY),
    ] {
        let asked = FlowTuple::from_frame(request).unwrap();
        let frame = echo_reply(request).unwrap();
        let (src, dst, message) = open(&frame);
        assert_eq!((src, dst), (asked.tuple.dst, asked.tuple.src));
        assert_eq!(frame[..6], asked.src_mac.0);
        assert_eq!(frame[6..12], asked.dst_mac.0);
        assert_eq!(message.kind(), kind);
        assert_eq!(message.body(), b"flownic!");
        let answered = FlowTuple::from_frame(&frame).unwrap().tuple;
        assert_eq!(Some(answered), asked.tuple.reverse());
        assert_eq!(echo_reply(&frame), None, "a reply is not answered");
        let mut wrong = request.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(echo_reply(&wrong), None, "wrong checksum");
    }
    assert_eq!(echo_reply(&samples::TCP_SYN), None);
}

/// A UDP packet of `length` bytes in an Ethernet frame.
fn large(src: IpAddr, dst: IpAddr, length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            ethernet::emit(&mut frame, ROUTER, HOST, ethernet::IPV4);
            let repr = ipv4::Repr {
                src,
                dst,
                protocol: protocol::UDP,
                ttl: 1,
                tos: 0,
                payload_len: (length - 20) as u16,
            };
            ipv4::emit(&mut frame, &repr);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            ethernet::emit(&mut frame, ROUTER, HOST, ethernet::IPV6);
            let repr = ipv6::Repr {
                src,
                dst,
                next_header: protocol::UDP,
                hop_limit: 1,
                payload_len: (length - 40) as u16,
            };
            ipv6::emit(&mut frame, &repr);
        }
        _ => panic!("mixed addresses"),
    }
    frame.resize(14 + length, 0xab);
    frame
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// R3.2: "fragmentation needed" carries the MTU and quotes the packet, 576 bytes in all.
#[test]
fn r3_2_fragmentation_needed() {
    let frame = large(ip("10.0.0.10"), ip("10.0.1.30"), 1500);
    let answer = too_big(&frame, &gateway(), 1450).unwrap();
    let (src, dst, message) = open(&answer);
    assert_eq!((src, dst), (ip("10.0.0.1"), ip("10.0.0.10")));
    assert_eq!((message.kind(), message.code()), (3, 4));
    assert_eq!(message.rest(), 1450);
    assert_eq!(answer.len(), 14 + 576);
    assert_eq!(message.body(), &frame[14..14 + 576 - 28]);
    assert_eq!(answer[..12], [HOST.0, ROUTER.0].concat());
}

/// R3.2: "packet too big" likewise, 1280 bytes in all.
#[test]
fn r3_2_packet_too_big() {
    let frame = large(ip("fd00:0:0:1::a"), ip("fd00:0:0:2::1e"), 1500);
    let answer = too_big(&frame, &gateway(), 1450).unwrap();
    let (src, dst, message) = open(&answer);
    assert_eq!((src, dst), (ip("fd00:0:0:1::1"), ip("fd00:0:0:1::a")));
    assert_eq!((message.kind(), message.code()), (2, 0));
    assert_eq!(message.rest(), 1450);
    assert_eq!(answer.len(), 14 + 1280);
    assert_eq!(message.body(), &frame[14..14 + 1280 - 48]);
}

/// R1.9: "time exceeded" and "unreachable" quote short packets whole.
#[test]
fn r1_9_time_exceeded_and_unreachable() {
    let answer = ttl_expired(&samples::DNS_QUERY, &gateway()).unwrap();
    let (_, _, message) = open(&answer);
    assert_eq!((message.kind(), message.code(), message.rest()), (11, 0, 0));
    assert_eq!(message.body(), &samples::DNS_QUERY[14..]);
    let quoted = FlowTuple::from_frame(&answer).unwrap().quoted;
    let query = FlowTuple::from_frame(&samples::DNS_QUERY).unwrap().tuple;
    assert_eq!(quoted, Some(query));

    let answer = ttl_expired(&samples::ICMPV6_ECHO, &gateway()).unwrap();
    let (_, _, message) = open(&answer);
    assert_eq!((message.kind(), message.code()), (3, 0));

    for (frame, why, expected) in [
        (&samples::TCP_SYN[..], Unreachable::Host, (3, 1)),
        (&samples::TCP_SYN[..], Unreachable::Prohibited, (3, 13)),
        (&samples::ICMPV6_ECHO[..], Unreachable::Host, (1, 3)),
        (&samples::ICMPV6_ECHO[..], Unreachable::Prohibited, (1, 1)),
    ] {
        let answer = unreachable(frame, &gateway(), why).unwrap();
        let (_, _, message) = open(&answer);
        assert_eq!((message.kind(), message.code()), expected);
    }
}

/// RFC 1122 §3.2.2, RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e): what is never answered.
#[test]
fn silence_where_an_answer_is_forbidden() {
    let silent = |frame: &[u8]| {
        ttl_expired(frame, &gateway()).is_none()
            && unreachable(frame, &gateway(), Unreachable::Host).is_none()
    };
    let frame = |src: &str, dst: &str| large(ip(src), ip(dst), 100);
    assert!(!silent(&frame("10.0.0.10", "10.0.1.30")));
    assert!(!silent(&samples::ICMP_ECHO), "questions are answered");
    assert!(!silent(&samples::IPV4_FIRST_FRAGMENT));

    assert!(silent(&samples::ICMP_UNREACHABLE), "an error");
    assert!(silent(&samples::ICMPV6_TIME_EXCEEDED), "an error");
    assert!(
        silent(&samples::IPV4_LAST_FRAGMENT),
        "not the first fragment"
    );
    assert!(
        silent(&samples::IPV6_LAST_FRAGMENT),
        "not the first fragment"
    );
    for dst in ["224.0.0.1", "255.255.255.255"] {
        assert!(silent(&frame("10.0.0.10", dst)), "{dst}");
    }
    for src in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
    ] {
        assert!(silent(&frame(src, "10.0.1.30")), "{src}");
    }
    for src in ["::", "ff02::1"] {
        assert!(silent(&frame(src, "fd00::1")), "{src}");
    }
    assert!(silent(&frame("fd00::1", "ff02::1")));
    let mut broadcast = frame("10.0.0.10", "10.0.1.30");
    broadcast[..6].fill(0xff);
    assert!(silent(&broadcast), "link broadcast");
    let no_address = Gateway {
        ipv4: None,
        ..gateway()
    };
    assert!(ttl_expired(&frame("10.0.0.10", "10.0.1.30"), &no_address).is_none());

    // Path MTU discovery alone works for IPv6 groups.
    assert!(too_big(&frame("fd00::1", "ff02::1"), &gateway(), 1280).is_some());
    assert!(too_big(&frame("10.0.0.10", "224.0.0.1"), &gateway(), 1280).is_none());
}

/// A first fragment of an ICMP error is an error too.
#[test]
fn a_fragmented_error_is_not_answered() {
    let mut frame = samples::ICMP_UNREACHABLE.to_vec();
    frame[20] = 0x20;
    frame[24..26].fill(0);
    let sum = crate::checksum::of(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    assert!(FlowTuple::from_frame(&frame).unwrap().fragment.is_some());
    assert_eq!(ttl_expired(&frame, &gateway()), None);
}

/// A redirect is below 128 in ICMP only; ICMPv6 numbers it among the questions.
#[test]
fn redirects_are_not_answered() {
    let src = ip("fd00:0:0:1::a");
    let dst = ip("fd00:0:0:1::b");
    let message = icmp::message(src, dst, v6::REDIRECT, 0, 0, &[0; 32]);
    let mut frame = large(src, dst, 40 + message.len());
    frame[20] = protocol::ICMPV6;
    frame[54..].copy_from_slice(&message);
    assert_eq!(ttl_expired(&frame, &gateway()), None);
}
