use std::net::Ipv6Addr;

use flownic_wire::{icmp, protocol};

use super::*;
use crate::testing;

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);
const GATEWAY: MacAddr = MacAddr([2, 0, 0x5e, 0, 0, 1]);

fn arp(operation: u16, target: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet::emit(&mut frame, MacAddr::BROADCAST, A, ethernet::ARP);
    let request = arp::Repr {
        operation,
        sender_mac: A,
        sender_ip: "10.0.0.10".parse().unwrap(),
        target_mac: MacAddr::default(),
        target_ip: target.parse().unwrap(),
    };
    request.emit(&mut frame);
    frame
}

fn nd(src: &str, target: &str) -> Vec<u8> {
    let (src, target): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), target.parse().unwrap());
    let solicitation = nd::Solicitation {
        src,
        dst: nd::solicited_node(target),
        target,
        source_mac: (!src.is_unspecified()).then_some(A),
    };
    ipv6_frame(src, solicitation.dst, solicitation.emit())
}

fn ipv6_frame(src: Ipv6Addr, dst: Ipv6Addr, message: Vec<u8>) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet::emit(
        &mut frame,
        MacAddr::of_ipv6_multicast(dst),
        A,
        ethernet::IPV6,
    );
    let repr = ipv6::Repr {
        src,
        dst,
        next_header: protocol::ICMPV6,
        hop_limit: 255,
        payload_len: message.len() as u16,
    };
    ipv6::emit(&mut frame, &repr);
    frame.extend_from_slice(&message);
    frame
}

fn ask(frame: &[u8]) -> Answer {
    resolve(&testing::fabric(), "host-a", 16, 0, frame)
}

/// The MAC in an ARP reply, or why there is none.
fn arp_answer(target: &str) -> Result<MacAddr, String> {
    match ask(&arp(arp::REQUEST, target)) {
        Answer::Reply { frame, .. } => {
            assert_eq!(frame[..6], A.0);
            let reply = arp::Repr::parse(&frame[14..]).unwrap();
            assert_eq!(reply.operation, arp::REPLY);
            assert_eq!(reply.sender_ip.to_string(), target);
            assert_eq!(frame[6..12], reply.sender_mac.0);
            Ok(reply.sender_mac)
        }
        Answer::Absorbed { explanation } => Err(explanation),
    }
}

fn nd_answer(src: &str, target: &str) -> Result<nd::Advertisement, String> {
    match ask(&nd(src, target)) {
        Answer::Reply { frame, .. } => {
            let packet = ipv6::Packet::new_checked(&frame[14..]).unwrap();
            Ok(nd::Advertisement::parse(&packet).unwrap())
        }
        Answer::Absorbed { explanation } => Err(explanation),
    }
}

/// R1.9: ARP for VNICs and the gateway of the subnet, and for nobody else.
#[test]
fn r1_9_arp() {
    assert_eq!(arp_answer("10.0.0.20"), Ok(B));
    assert_eq!(arp_answer("10.0.0.1"), Ok(GATEWAY));
    let refused = |target: &str| arp_answer(target).unwrap_err();
    assert_eq!(refused("10.0.0.10"), "10.0.0.10 is the asker's own");
    assert_eq!(refused("10.0.0.77"), "nobody has 10.0.0.77");
    assert_eq!(refused("10.0.1.30"), "10.0.1.30 is in another subnet");
    assert_eq!(
        refused("10.0.1.1"),
        "10.0.1.1 is the gateway of another subnet"
    );
    let reply = ask(&arp(arp::REPLY, "10.0.0.20"));
    assert!(matches!(reply, Answer::Absorbed { .. }));
}

/// R1.9: neighbour discovery likewise; who checks an address that is taken hears of it.
#[test]
fn r1_9_neighbour_discovery() {
    let from = "fd00:0:0:1::a";
    let b = nd_answer(from, "fd00:0:0:1::b").unwrap();
    assert_eq!(
        (b.target_mac, b.router, b.solicited),
        (Some(B), false, true)
    );
    assert_eq!(b.dst.to_string(), from);
    let gateway = nd_answer(from, "fd00:0:0:1::1").unwrap();
    assert_eq!((gateway.target_mac, gateway.router), (Some(GATEWAY), true));
    let taken = nd_answer("::", "fd00:0:0:1::b").unwrap();
    assert!(!taken.solicited);
    assert!(nd_answer("::", from).is_err(), "its own is free");
    assert!(nd_answer(from, "fd00:0:0:2::1e").is_err(), "another subnet");
    assert!(nd_answer(from, "fe80::1").is_err(), "nobody");
}

/// R1.9: what asks for no address is absorbed, with a reason.
#[test]
fn r1_9_other_packets_are_absorbed() {
    let absorbed = |frame: &[u8]| match ask(frame) {
        Answer::Absorbed { explanation } => explanation,
        reply => panic!("{reply:?}"),
    };
    let (src, routers): (Ipv6Addr, Ipv6Addr) =
        ("fd00:0:0:1::a".parse().unwrap(), "ff02::2".parse().unwrap());
    let solicitation = icmp::message(src.into(), routers.into(), 133, 0, 0, &[]);
    assert_eq!(
        absorbed(&ipv6_frame(src, routers, solicitation)),
        "ICMPv6 type 133 asks for no address"
    );
    let good = arp(arp::REQUEST, "10.0.0.20");
    for length in 0..good.len() {
        absorbed(&good[..length]);
    }
    let good = nd("fd00:0:0:1::a", "fd00:0:0:1::b");
    for length in 0..good.len() {
        absorbed(&good[..length]);
    }
    let elsewhere = resolve(&testing::fabric(), "host-a", 99, 0, &arp(1, "10.0.0.20"));
    assert!(matches!(elsewhere, Answer::Absorbed { .. }));
}

/// R1.9: the second network's VNICs with the same addresses answer for themselves.
#[test]
fn r1_9_networks_are_apart() {
    let gone = testing::TOML.replace(
        "name = \"b\"\n  host = \"host-b\"\n  vf = 8\n  mac = \"02:00:00:00:00:0b\"",
        "name = \"b\"\n  host = \"host-b\"\n  vf = 8\n  mac = \"02:00:00:00:00:bb\"",
    );
    let fabric = testing::compile(&testing::parse(&gone));
    let mac = |port: u16| match resolve(&fabric, "host-a", port, 0, &arp(1, "10.0.0.20")) {
        Answer::Reply { frame, .. } => frame[11],
        Answer::Absorbed { explanation } => panic!("{explanation}"),
    };
    assert_eq!((mac(16), mac(24)), (0x0b, 0xbb));
}
