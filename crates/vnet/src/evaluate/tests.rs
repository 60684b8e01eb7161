use std::net::IpAddr;

use flownic_versions::Versions;
use flownic_wire::{MacAddr, protocol};

use super::*;
use crate::config::{Config, Tunnel};
use crate::entry::Routed;
use crate::testing;

const A: Origin<'_> = vf("host-a", 16, 0);
const A2: Origin<'_> = vf("host-a", 17, 7);
const B: Origin<'_> = vf("host-b", 16, 0);
const RED_A: Origin<'_> = vf("host-a", 24, 0);
const RED_B: Origin<'_> = vf("host-b", 24, 0);

const MAC_A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const MAC_A2: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0c]);
const MAC_B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0b]);
const MAC_C: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x1e]);
const MAC_C2: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x1f]);
const GATEWAY_FRONT: MacAddr = MacAddr([2, 0, 0x5e, 0, 0, 1]);
const GATEWAY_BACK: MacAddr = MacAddr([2, 0, 0x5e, 0, 0, 2]);

const fn vf(host: &str, port: u16, vlan: u16) -> Origin<'_> {
    Origin::Vf { host, port, vlan }
}

fn tunnel(host: &str, source: &str, vni: u32) -> Origin<'static> {
    Origin::Tunnel {
        host: if host == "host-a" { "host-a" } else { "host-b" },
        source: source.parse().unwrap(),
        vni,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
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

fn tcp(src: &str, src_port: u16, dst: &str, dst_port: u16) -> FlowTuple {
    flow(src, dst, protocol::TCP, src_port, dst_port)
}

fn packet(tuple: FlowTuple, src_mac: MacAddr, dst_mac: MacAddr) -> Packet {
    Packet {
        tuple,
        src_mac,
        dst_mac,
        ttl: 64,
        connection: Connection::New,
    }
}

fn run(origin: &Origin<'_>, packet: &Packet) -> Evaluation {
    evaluate(&testing::fabric(), origin, packet)
}

fn denied(evaluation: &Evaluation) -> DropReason {
    match &evaluation.verdict {
        Verdict::Deny(reason) => *reason,
        other => panic!("{other:?}: {}", evaluation.explanation()),
    }
}

fn path(evaluation: &Evaluation) -> Path {
    match &evaluation.verdict {
        Verdict::Allow(path) => path.clone(),
        other => panic!("{other:?}: {}", evaluation.explanation()),
    }
}

/// R1.2, R1.4: a bridged flow between two hosts gives each NIC its outbound and inbound entry.
#[test]
fn r1_4_bridged_flow_fills_both_nics() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let evaluation = run(&A, &packet(tuple, MAC_A, MAC_B));
    let path = path(&evaluation);
    assert_eq!((&*path.receiver, &*path.host), ("blue/b", "host-b"));
    assert_eq!((path.port, path.vlan, path.local), (16, 0, false));
    assert_eq!(path.routed, None);
    assert_eq!(evaluation.established, Some(tuple));

    let reverse = tcp("10.0.0.20", 80, "10.0.0.10", 40000);
    let key = |direction, attach, tuple| FlowKey {
        vni: 100,
        direction,
        attach,
        tuple,
    };
    let to_tunnel = |vtep: &str| Action::ToTunnel {
        tunnel: Tunnel::Geneve,
        remote_vtep: vtep.parse().unwrap(),
        routed: None,
    };
    let to_vf = Action::ToVf {
        port: 16,
        vlan: 0,
        routed: None,
    };
    let entry = |key, action, vnic: &str, reply| FlowEntry {
        key,
        action,
        vnic: vnic.into(),
        vn_versions: Versions::all(1),
        vnic_versions: Versions::all(1),
        reply,
    };
    let (vtep_a, vtep_b) = (0xc000_0201, 0xc000_0202);
    assert_eq!(
        evaluation.sender,
        [
            entry(
                key(Direction::Outbound, 16, tuple),
                to_tunnel("192.0.2.2"),
                "blue/a",
                false
            ),
            entry(
                key(Direction::Inbound, vtep_b, reverse),
                to_vf,
                "blue/a",
                true
            ),
        ]
    );
    assert_eq!(
        evaluation.receiver,
        [
            entry(
                key(Direction::Inbound, vtep_a, tuple),
                to_vf,
                "blue/b",
                false
            ),
            entry(
                key(Direction::Outbound, 16, reverse),
                to_tunnel("192.0.2.1"),
                "blue/b",
                true
            ),
        ]
    );
}

/// R1.9: a packet to another subnet is rewritten where it enters, in either direction.
#[test]
fn r1_9_other_subnet_is_routed() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.1.30", 80);
    let evaluation = run(&A, &packet(tuple, MAC_A, GATEWAY_FRONT));
    let there = Some(Routed {
        src_mac: GATEWAY_BACK,
        dst_mac: MAC_C,
    });
    let back = Some(Routed {
        src_mac: GATEWAY_FRONT,
        dst_mac: MAC_A,
    });
    assert_eq!(path(&evaluation).routed, there);
    let routed = |entry: &FlowEntry| match entry.action {
        Action::ToTunnel { routed, .. } | Action::ToVf { routed, .. } => routed,
        Action::Deny { reason } => panic!("{reason}"),
    };
    assert_eq!(routed(&evaluation.sender[0]), there);
    assert_eq!(routed(&evaluation.sender[1]), None);
    assert_eq!(routed(&evaluation.receiver[0]), None);
    assert_eq!(routed(&evaluation.receiver[1]), back);
}

/// R1.9: both VNICs on one NIC: one entry a direction, straight to the VF, with its VLAN.
#[test]
fn r1_9_same_host_goes_straight_to_the_vf() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.11", 80);
    let evaluation = run(&A, &packet(tuple, MAC_A, MAC_A2));
    let path = path(&evaluation);
    assert!(path.local);
    assert_eq!((path.port, path.vlan), (17, 7));
    assert!(evaluation.receiver.is_empty());
    let [there, back] = &evaluation.sender[..] else {
        panic!("{:?}", evaluation.sender)
    };
    let to_vf = |port, vlan| Action::ToVf {
        port,
        vlan,
        routed: None,
    };
    assert_eq!((there.action, &*there.vnic), (to_vf(17, 7), "blue/a"));
    assert_eq!((back.action, &*back.vnic), (to_vf(16, 0), "blue/a2"));
    assert_eq!(back.key.attach, 17);

    let tuple = tcp("10.0.0.11", 40000, "10.0.1.31", 80);
    let evaluation = run(&A2, &packet(tuple, MAC_A2, GATEWAY_FRONT));
    let routed = Some(Routed {
        src_mac: GATEWAY_BACK,
        dst_mac: MAC_C2,
    });
    assert_eq!(super::tests::path(&evaluation).routed, routed);
}

/// R1.9: the final frame has new MACs, one hop less and a right checksum; bridged frames stay.
#[test]
fn r1_9_apply_rewrites_routed_frames_only() {
    use flownic_wire::{ethernet, ipv4, ipv6};
    let mut frame = Vec::new();
    ethernet::emit(&mut frame, GATEWAY_FRONT, MAC_A, ethernet::IPV4);
    let repr = ipv4::Repr {
        src: "10.0.0.10".parse().unwrap(),
        dst: "10.0.1.30".parse().unwrap(),
        protocol: 99,
        ttl: 9,
        tos: 0,
        payload_len: 3,
    };
    ipv4::emit(&mut frame, &repr);
    frame.extend_from_slice(b"abc");
    let tuple = flow("10.0.0.10", "10.0.1.30", 99, 0, 0);
    let fabric = testing::compile(&testing::parse(
        &testing::TOML.replace("protocol = \"icmp\"\n", "protocol = 99\n"),
    ));
    let evaluation = evaluate(&fabric, &A, &packet(tuple, MAC_A, GATEWAY_FRONT));
    let path = path(&evaluation);
    let out = path.apply(&frame);
    let ethernet = ethernet::Frame::new_checked(&out).unwrap();
    assert_eq!((ethernet.dst(), ethernet.src()), (MAC_C, GATEWAY_BACK));
    let ip = ipv4::Packet::new_checked(ethernet.payload()).unwrap();
    assert_eq!(ip.ttl(), 8);
    assert!(ip.checksum_is_right());
    assert_eq!(ip.payload(), b"abc");

    let mut frame6 = Vec::new();
    ethernet::emit(&mut frame6, GATEWAY_FRONT, MAC_A, ethernet::IPV6);
    let repr = ipv6::Repr {
        src: "fd00::1".parse().unwrap(),
        dst: "fd00::2".parse().unwrap(),
        next_header: 59,
        hop_limit: 2,
        payload_len: 0,
    };
    ipv6::emit(&mut frame6, &repr);
    let out = path.apply(&frame6);
    assert_eq!(
        ipv6::Packet::new_checked(&out[14..]).unwrap().hop_limit(),
        1
    );

    let bridged = Path {
        routed: None,
        ..path
    };
    assert_eq!(bridged.apply(&frame), frame);
    for length in 0..frame.len() {
        let routed = Path {
            routed: Some(Routed {
                src_mac: MAC_A,
                dst_mac: MAC_B,
            }),
            ..bridged.clone()
        };
        assert_eq!(routed.apply(&frame[..length]).len(), length);
    }
}

/// R1.9: default deny, at either end, is cached at the sender with the reason.
#[test]
fn r1_9_denied_by_rules() {
    // b's group has no egress rule.
    let tuple = tcp("10.0.0.20", 40000, "10.0.0.10", 80);
    let evaluation = run(&B, &packet(tuple, MAC_B, MAC_A));
    assert_eq!(denied(&evaluation), DropReason::SecurityEgress);
    assert_eq!(
        evaluation.sender[0].action,
        Action::Deny {
            reason: DropReason::SecurityEgress
        }
    );
    assert_eq!(evaluation.sender[0].key.attach, 16);
    assert!(evaluation.receiver.is_empty());

    // b takes port 80 only.
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 81);
    let evaluation = run(&A, &packet(tuple, MAC_A, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::SecurityIngress);
    assert_eq!(&*evaluation.sender[0].vnic, "blue/a");

    // A VNIC in no group neither sends nor receives.
    let lonely = tcp("10.0.0.10", 1, "10.0.0.99", 80);
    let evaluation = run(&A, &packet(lonely, MAC_A, MacAddr([2, 0, 0, 0, 0, 0x20])));
    assert_eq!(denied(&evaluation), DropReason::SecurityIngress);
    let evaluation = run(
        &RED_A,
        &packet(tcp("10.0.0.10", 1, "10.0.0.20", 80), MAC_A, MAC_B),
    );
    assert_eq!(denied(&evaluation), DropReason::SecurityEgress);
}

/// R1.9: the lower priority number decides, whatever the order in the file.
#[test]
fn r1_9_first_match_by_priority() {
    let mail = tcp("10.0.0.10", 40000, "10.0.0.20", 25);
    let evaluation = run(&A, &packet(mail, MAC_A, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::SecurityEgress);
    let rule = "egress of blue/a: rule 1 of group clients: deny egress tcp ports 25";
    assert!(
        evaluation.explanation().contains(rule),
        "{}",
        evaluation.explanation()
    );
}

/// R1.9: a rule about a group matches its members only.
#[test]
fn r1_9_remote_group() {
    let open_egress = testing::TOML.replacen(
        "name = \"servers\"\n",
        "name = \"servers\"\n[[network.group.rule]]\ndirection = \"egress\"\naction = \"allow\"\n",
        1,
    );
    let fabric = testing::compile(&testing::parse(&open_egress));
    let from_server = tcp("10.0.0.20", 40000, "10.0.0.11", 80);
    let evaluation = evaluate(&fabric, &B, &packet(from_server, MAC_B, MAC_A2));
    assert_eq!(denied(&evaluation), DropReason::SecurityIngress);
    let from_client = tcp("10.0.0.10", 40000, "10.0.0.11", 80);
    path(&evaluate(&fabric, &A, &packet(from_client, MAC_A, MAC_A2)));
}

/// R1.9: two networks with the same addresses know nothing of each other.
#[test]
fn r1_9_networks_with_the_same_addresses_are_apart() {
    let tuple = tcp("10.0.0.20", 40000, "10.0.0.10", 80);
    let evaluation = run(&RED_B, &packet(tuple, MAC_B, MAC_A));
    // red/a is in no group; that blue/a is in one does not help.
    assert_eq!(denied(&evaluation), DropReason::SecurityIngress);
    assert_eq!(evaluation.sender[0].key.vni, 200);
    assert_eq!(&*evaluation.sender[0].vnic, "red/b");
}

/// R1.9: destinations that nobody has.
#[test]
fn r1_9_no_mapping_and_no_route() {
    let nobody = tcp("10.0.0.10", 1, "10.0.0.77", 80);
    let evaluation = run(&A, &packet(nobody, MAC_A, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
    assert_eq!(evaluation.sender.len(), 1);

    let nowhere = tcp("10.0.0.10", 1, "203.0.113.1", 80);
    let evaluation = run(&A, &packet(nowhere, MAC_A, GATEWAY_FRONT));
    assert_eq!(denied(&evaluation), DropReason::NoRoute);
    assert_eq!(evaluation.sender.len(), 1);

    let itself = tcp("10.0.0.10", 1, "10.0.0.10", 80);
    let evaluation = run(&A, &packet(itself, MAC_A, MAC_A));
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
}

/// R1.9: the flow key has no MACs, so a wrong MAC must not deny the flow.
#[test]
fn r1_9_wrong_mac_is_dropped_without_an_entry() {
    let bridged = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let routed = tcp("10.0.0.10", 40000, "10.0.1.30", 80);
    for (tuple, dst_mac) in [
        (bridged, GATEWAY_FRONT),
        (bridged, MAC_C),
        (routed, MAC_C),
        (routed, GATEWAY_BACK),
    ] {
        let evaluation = run(&A, &packet(tuple, MAC_A, dst_mac));
        assert_eq!(denied(&evaluation), DropReason::NoMapping);
        assert!(evaluation.sender.is_empty() && evaluation.receiver.is_empty());
    }
}

/// R2.6: the service does not rely on the NIC's guard alone.
#[test]
fn r2_6_spoofed_packets_are_denied() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let evaluation = run(&A, &packet(tuple, MAC_B, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::SpoofedMac);
    let spoofed = tcp("10.0.0.11", 40000, "10.0.0.20", 80);
    let evaluation = run(&A, &packet(spoofed, MAC_A, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::SpoofedIp);
    assert!(evaluation.sender.is_empty());
    let evaluation = run(&vf("host-a", 17, 0), &packet(tuple, MAC_A, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::VlanNotAllowed);
    let evaluation = run(&vf("host-x", 16, 0), &packet(tuple, MAC_A, MAC_B));
    assert_eq!(denied(&evaluation), DropReason::VlanNotAllowed);
}

/// R1.9: multicast is not carried.
#[test]
fn r1_9_multicast_is_denied() {
    for (dst, mac) in [
        ("224.0.0.251", MacAddr([1, 0, 0x5e, 0, 0, 0xfb])),
        ("224.0.0.251", MAC_B),
        ("255.255.255.255", MAC_B),
        ("10.0.0.20", MacAddr::BROADCAST),
    ] {
        let tuple = flow("10.0.0.10", dst, protocol::UDP, 5353, 5353);
        let evaluation = run(&A, &packet(tuple, MAC_A, mac));
        assert_eq!(denied(&evaluation), DropReason::Multicast, "{dst} {mac}");
    }
}

/// R1.9: routing takes a hop; a packet that has none left goes no further, its flow may.
#[test]
fn r1_9_ttl_runs_out_at_the_gateway() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.1.30", 80);
    for ttl in [0, 1] {
        let last_hop = Packet {
            ttl,
            ..packet(tuple, MAC_A, GATEWAY_FRONT)
        };
        let evaluation = run(&A, &last_hop);
        assert_eq!(denied(&evaluation), DropReason::TtlExpired);
        let allowed = run(&A, &packet(tuple, MAC_A, GATEWAY_FRONT));
        assert_eq!(evaluation.sender, allowed.sender);
        assert_eq!(evaluation.established, Some(tuple));
        assert!(evaluation.receiver.is_empty());
    }
    let bridged = Packet {
        ttl: 1,
        ..packet(tcp("10.0.0.10", 40000, "10.0.0.20", 80), MAC_A, MAC_B)
    };
    path(&run(&A, &bridged));
}

/// R1.9: gateways answer echo requests from VNICs that may send them, and nothing else.
#[test]
fn r1_9_gateway_answers_echo() {
    let echo = flow("10.0.0.10", "10.0.0.1", protocol::ICMP, 8 << 8, 7);
    let evaluation = run(&A, &packet(echo, MAC_A, GATEWAY_FRONT));
    assert_eq!(evaluation.verdict, Verdict::GatewayEcho);
    assert!(evaluation.sender.is_empty());
    let other_subnet = flow("10.0.0.10", "10.0.1.1", protocol::ICMP, 8 << 8, 7);
    let evaluation = run(&A, &packet(other_subnet, MAC_A, GATEWAY_FRONT));
    assert_eq!(evaluation.verdict, Verdict::GatewayEcho);
    let wrong_mac = run(&A, &packet(echo, MAC_A, MAC_B));
    assert_eq!(denied(&wrong_mac), DropReason::NoMapping);
    let tcp = tcp("10.0.0.10", 1, "10.0.0.1", 80);
    let evaluation = run(&A, &packet(tcp, MAC_A, GATEWAY_FRONT));
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
    let forbidden = flow("10.0.0.20", "10.0.0.1", protocol::ICMP, 8 << 8, 7);
    let evaluation = run(&B, &packet(forbidden, MAC_B, GATEWAY_FRONT));
    assert_eq!(denied(&evaluation), DropReason::SecurityEgress);
}

/// R1.3: what comes from a tunnel gets the receiver's entries and goes to its VF.
#[test]
fn r1_3_inbound_miss() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let from_a = tunnel("host-b", "192.0.2.1", 100);
    let evaluation = run(&from_a, &packet(tuple, MAC_A, MAC_B));
    let path = path(&evaluation);
    assert!(path.local);
    assert_eq!((path.port, path.routed), (16, None));
    assert!(evaluation.sender.is_empty());
    let outbound = run(&A, &packet(tuple, MAC_A, MAC_B));
    assert_eq!(evaluation.receiver, outbound.receiver);

    // Routed packets come with the MACs of the receiver's gateway.
    let routed = tcp("10.0.0.10", 40000, "10.0.1.30", 80);
    let evaluation = run(&from_a, &packet(routed, GATEWAY_BACK, MAC_C));
    assert_eq!(super::tests::path(&evaluation).routed, None);
    let evaluation = run(&from_a, &packet(routed, MAC_A, MAC_C));
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
}

/// R1.3: only the host that a sender is on may tunnel for it.
#[test]
fn r1_3_spoofed_tunnels_are_denied() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let good = packet(tuple, MAC_A, MAC_B);
    let evaluation = run(&tunnel("host-b", "192.0.2.66", 100), &good);
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
    assert_eq!(evaluation.receiver[0].key.attach, 0xc000_0242);
    assert_eq!(&*evaluation.receiver[0].vnic, "blue/b");
    // Its own address as source, a sender that is nobody, a receiver that is elsewhere.
    let own = tcp("10.0.0.20", 1, "10.0.1.30", 80);
    let evaluation = run(
        &tunnel("host-b", "192.0.2.2", 100),
        &packet(own, GATEWAY_BACK, MAC_C),
    );
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
    let nobody = tcp("10.0.0.77", 40000, "10.0.0.20", 80);
    let evaluation = run(
        &tunnel("host-b", "192.0.2.1", 100),
        &packet(nobody, MAC_A, MAC_B),
    );
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
    let evaluation = run(&tunnel("host-a", "192.0.2.1", 100), &good);
    assert_eq!(denied(&evaluation), DropReason::NoMapping);
    assert!(evaluation.receiver.is_empty(), "no VNIC of this host");
    let evaluation = run(&tunnel("host-b", "192.0.2.1", 300), &good);
    assert_eq!(denied(&evaluation), DropReason::NoNetwork);
}

/// R1.3, R1.9: rules hold for what comes from a tunnel too; the denial is the receiver's entry.
#[test]
fn r1_3_inbound_is_checked_by_rules() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 81);
    let evaluation = run(
        &tunnel("host-b", "192.0.2.1", 100),
        &packet(tuple, MAC_A, MAC_B),
    );
    assert_eq!(denied(&evaluation), DropReason::SecurityIngress);
    let [entry] = &evaluation.receiver[..] else {
        panic!("{:?}", evaluation.receiver)
    };
    assert_eq!(entry.key.direction, Direction::Inbound);
    assert_eq!(&*entry.vnic, "blue/b");
}

/// R1.9: the reverse of a stateful flow needs no rule, and its entries say so.
#[test]
fn r1_9_reply_to_a_stateful_flow() {
    let reply = tcp("10.0.0.20", 80, "10.0.0.10", 40000);
    let alone = run(&B, &packet(reply, MAC_B, MAC_A));
    assert_eq!(denied(&alone), DropReason::SecurityEgress);

    let established = Packet {
        connection: Connection::Reply,
        ..packet(reply, MAC_B, MAC_A)
    };
    let evaluation = run(&B, &established);
    path(&evaluation);
    assert_eq!(evaluation.established, reply.reverse());
    let replies: Vec<bool> = evaluation.sender.iter().map(|e| e.reply).collect();
    assert_eq!(replies, [true, false]);
    // The same entries as the flow's first packet makes, seen from the other end.
    let first = run(&A, &packet(reply.reverse().unwrap(), MAC_A, MAC_B));
    let swapped = |entries: &[FlowEntry]| entries.iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(evaluation.sender, swapped(&first.receiver));
    assert_eq!(evaluation.receiver, swapped(&first.sender));
    assert!(
        evaluation
            .explanation()
            .contains("connection established by rule")
    );
}

/// R1.5, R1.9: when the rule that a connection rests on is gone, so is the reply's permission.
#[test]
fn r1_9_reply_does_not_outlive_its_rule() {
    let without = testing::TOML.replace("80,8000-8080", "8000-8080");
    let fabric = testing::compile(&testing::parse(&without));
    let reply = Packet {
        connection: Connection::Reply,
        ..packet(tcp("10.0.0.20", 80, "10.0.0.10", 40000), MAC_B, MAC_A)
    };
    let evaluation = evaluate(&fabric, &B, &reply);
    assert_eq!(denied(&evaluation), DropReason::SecurityEgress);
}

/// R1.9: a stateless rule gives the reverse direction nothing.
#[test]
fn r1_9_stateless_rule_permits_no_reply() {
    let query = flow("10.0.0.10", "10.0.0.20", protocol::UDP, 40000, 53);
    let evaluation = run(&A, &packet(query, MAC_A, MAC_B));
    path(&evaluation);
    // a's egress rule is stateful, b's ingress rule is not, and b has no egress rule.
    assert_eq!(evaluation.established, None);
    assert_eq!((evaluation.sender.len(), evaluation.receiver.len()), (1, 1));
    let answer = Packet {
        connection: Connection::Reply,
        ..packet(query.reverse().unwrap(), MAC_B, MAC_A)
    };
    assert_eq!(denied(&run(&B, &answer)), DropReason::SecurityEgress);
}

/// R1.9: with stateless rules for both directions each flow stands for itself: no connection, no
/// entries for the other direction.
#[test]
fn r1_9_stateless_both_ways() {
    let allow = "action = \"allow\"\n";
    let stateless = testing::TOML.replace(allow, &format!("{allow}stateful = false\n"));
    // The UDP rule says so already.
    let stateless = stateless.replace("    stateful = false\n", "");
    let open = stateless.replacen(
        "name = \"a\"\n  host = \"host-a\"\n  vf = 8\n  mac = \"02:00:00:00:00:0a\"\n",
        "name = \"a\"\n  host = \"host-a\"\n  vf = 8\n  mac = \"02:00:00:00:00:0a\"\n  groups = [\"open\"]\n",
        1,
    );
    let fabric = testing::compile(&testing::parse(&open));
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let there = evaluate(&fabric, &RED_A, &packet(tuple, MAC_A, MAC_B));
    path(&there);
    assert_eq!(there.established, None);
    assert_eq!((there.sender.len(), there.receiver.len()), (1, 1));
    let back = packet(tuple.reverse().unwrap(), MAC_B, MAC_A);
    let back = evaluate(&fabric, &RED_B, &back);
    path(&back);
    assert!(back.sender.iter().all(|entry| !entry.reply));
}

/// R1.9: an unasked echo reply does not open the way for echo requests.
#[test]
fn r1_9_answers_start_no_connection() {
    let reply = flow("10.0.0.10", "10.0.0.20", protocol::ICMP, 0, 7);
    let evaluation = run(&A, &packet(reply, MAC_A, MAC_B));
    path(&evaluation);
    assert_eq!(evaluation.established, None);
    assert_eq!(evaluation.sender.len(), 1);
    let request = Packet {
        connection: Connection::Reply,
        ..packet(reply.reverse().unwrap(), MAC_B, MAC_A)
    };
    assert_eq!(denied(&run(&B, &request)), DropReason::SecurityEgress);
}

/// R1.9: ICMP errors about an established connection pass, those about nothing do not, and
/// neither is cached: the flow key does not tell them apart.
#[test]
fn r1_9_related_icmp_errors() {
    let query = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let error = flow("10.0.0.20", "10.0.0.10", protocol::ICMP, 3 << 8 | 1, 0);
    let new = packet(error, MAC_B, MAC_A);
    let evaluation = run(&B, &new);
    assert_eq!(denied(&evaluation), DropReason::SecurityEgress);
    assert!(evaluation.sender.is_empty());

    let related = Packet {
        connection: Connection::Related(query),
        ..new
    };
    let evaluation = run(&B, &related);
    path(&evaluation);
    assert!(evaluation.sender.is_empty() && evaluation.receiver.is_empty());
    assert_eq!(evaluation.established, None);

    // About a connection that would not be allowed today, or of others.
    for other in [
        tcp("10.0.0.10", 40000, "10.0.0.20", 81),
        tcp("10.0.0.10", 40000, "10.0.0.11", 80),
    ] {
        let unrelated = Packet {
            connection: Connection::Related(other),
            ..new
        };
        assert_eq!(denied(&run(&B, &unrelated)), DropReason::SecurityEgress);
    }

    // The client's own error about an answer passes the server's ingress side by the same rule.
    let from_client = Packet {
        connection: Connection::Related(query),
        ..packet(
            flow("10.0.0.10", "10.0.0.20", protocol::ICMP, 3 << 8 | 3, 0),
            MAC_A,
            MAC_B,
        )
    };
    path(&run(&A, &from_client));
}

/// R1.5: entries carry the versions of their network and of their own VNIC.
#[test]
fn r1_5_entries_carry_current_versions() {
    let config = testing::config();
    let mut versions = crate::VersionTable::default();
    versions.advance(&crate::diff(&Config::default(), &config), 3);
    versions.vns.insert(100, Versions([4, 5, 6, 7, 8]));
    versions
        .vnics
        .insert("blue/a".into(), Versions([9, 3, 3, 3, 3]));
    let fabric = Fabric::compile(&config, &versions);
    let tuple = tcp("10.0.0.10", 40000, "10.0.0.20", 80);
    let evaluation = evaluate(&fabric, &A, &packet(tuple, MAC_A, MAC_B));
    for entry in evaluation.sender.iter().chain(&evaluation.receiver) {
        assert_eq!(entry.vn_versions, Versions([4, 5, 6, 7, 8]));
        let own = if &*entry.vnic == "blue/a" {
            Versions([9, 3, 3, 3, 3])
        } else {
            Versions::all(3)
        };
        assert_eq!(entry.vnic_versions, own);
    }
    let denied = evaluate(
        &fabric,
        &A,
        &packet(tcp("10.0.0.10", 1, "10.0.0.77", 80), MAC_A, MAC_B),
    );
    assert_eq!(denied.sender[0].vnic_versions, Versions([9, 3, 3, 3, 3]));
}

/// R1.9: the explanation names rule, route, mapping and versions.
#[test]
fn r1_9_explanation() {
    let tuple = tcp("10.0.0.10", 40000, "10.0.1.30", 80);
    let evaluation = run(&A, &packet(tuple, MAC_A, GATEWAY_FRONT));
    let steps: Vec<String> = evaluation.steps.iter().map(Step::to_string).collect();
    assert_eq!(
        steps,
        [
            "from blue/a",
            "route: subnet back (10.0.1.0/24), routed",
            "mapping: 10.0.1.30 is blue/c on host-b (192.0.2.2), VF 1",
            "egress of blue/a: rule 2 of group clients: \
             allow egress any remote 10.0.0.0/16 stateful priority 100",
            "ingress of blue/c: rule 1 of group servers: \
             allow ingress tcp ports 80,8000-8080 remote group:clients stateful priority 100",
            "versions: blue security 1 mapping 1 route 1 policy 1 lb 1; \
             blue/a security 1 mapping 1 route 1 policy 1 lb 1",
        ]
    );
}
