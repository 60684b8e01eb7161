use std::net::IpAddr;

use flownic_versions::Versions;

use super::*;
use crate::DropReason;
use crate::entry::{Direction, FlowKey};

const VNI: u32 = 100;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn flow(src: &str, dst: &str, protocol: u8, src_port: u16, dst_port: u16) -> FlowTuple {
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    FlowTuple {
        src: ip(src),
        dst: ip(dst),
        protocol,
        src_port,
        dst_port,
    }
}

fn tcp(port: u16) -> FlowTuple {
    flow("10.0.0.10", "10.0.0.20", protocol::TCP, port, 80)
}

fn udp(port: u16) -> FlowTuple {
    flow("10.0.0.10", "10.0.0.20", protocol::UDP, port, 53)
}

fn small(capacity: usize) -> ConnTrack {
    ConnTrack::new(ConnLimits {
        capacity,
        tcp_idle: seconds(100),
        other_idle: seconds(10),
    })
}

impl ConnTrack {
    fn ask(&mut self, flow: &FlowTuple, now: u64) -> Connection {
        self.classify(VNI, flow, None, seconds(now))
    }
}

/// R1.9: both directions are found, and told apart.
#[test]
fn r1_9_lookup_in_both_directions() {
    let mut track = small(10);
    let there = tcp(1);
    let back = there.reverse().unwrap();
    assert_eq!(track.ask(&back, 0), Connection::New);
    track.insert(VNI, there, seconds(0));
    assert_eq!(track.ask(&there, 1), Connection::New);
    assert_eq!(track.ask(&back, 1), Connection::Reply);
    assert_eq!(
        track.classify(200, &back, None, seconds(1)),
        Connection::New
    );
    // Told of the reply, it keeps the connection as it was.
    track.insert(VNI, back, seconds(2));
    assert_eq!(track.len(), 1);
    assert_eq!(track.ask(&back, 2), Connection::Reply);
    assert!(track.remove(VNI, &back));
    assert!(!track.remove(VNI, &back));
    assert!(track.is_empty());
    assert_eq!(track.ask(&back, 3), Connection::New);
}

/// R1.8: idle connections end, used ones do not; TCP has a limit of its own.
#[test]
fn r1_8_idle_connections_expire() {
    let mut track = small(10);
    track.insert(VNI, udp(1), seconds(0));
    track.insert(VNI, udp(2), seconds(0));
    track.insert(VNI, tcp(1), seconds(0));
    let reply = udp(2).reverse().unwrap();
    assert_eq!(track.ask(&reply, 9), Connection::Reply);
    // Too old already, though nobody removed it yet.
    assert_eq!(track.ask(&udp(1).reverse().unwrap(), 10), Connection::New);
    assert_eq!(track.expire(seconds(12)), 1);
    assert_eq!(track.len(), 2);
    assert_eq!(track.ask(&reply, 18), Connection::Reply);
    assert_eq!(track.expire(seconds(99)), 1);
    assert_eq!(track.expire(seconds(100)), 1);
    assert!(track.is_empty() && track.order.is_empty());
}

/// R1.8: full, the table forgets what was longest unused, and counts it.
#[test]
fn r1_8_full_table_evicts_the_least_recently_used() {
    let mut track = small(3);
    for port in 1..=3 {
        track.insert(VNI, tcp(port), seconds(0));
    }
    track.ask(&tcp(1).reverse().unwrap(), 1);
    track.insert(VNI, tcp(2), seconds(1));
    assert_eq!(track.evicted(), 0, "a known connection takes no room");
    track.insert(VNI, tcp(4), seconds(2));
    assert_eq!((track.len(), track.evicted()), (3, 1));
    assert_eq!(track.ask(&tcp(3).reverse().unwrap(), 2), Connection::New);
    for port in [1, 2, 4] {
        let reply = tcp(port).reverse().unwrap();
        assert_eq!(track.ask(&reply, 2), Connection::Reply, "{port}");
    }
    let mut none = small(0);
    none.insert(VNI, tcp(1), seconds(0));
    assert!(none.is_empty());
}

/// R1.9: an ICMP error is related when it goes back to who sent the quoted packet, from who it
/// was for, and that packet was of a connection.
#[test]
fn r1_9_related_errors() {
    let mut track = small(10);
    track.insert(VNI, udp(1), seconds(0));
    let error = |src: &str, dst: &str| flow(src, dst, protocol::ICMP, 3 << 8 | 3, 0);
    let mut ask = |error: FlowTuple, quoted: Option<FlowTuple>| {
        track.classify(VNI, &error, quoted.as_ref(), seconds(1))
    };
    let from_server = error("10.0.0.20", "10.0.0.10");
    assert_eq!(ask(from_server, Some(udp(1))), Connection::Related(udp(1)));
    assert_eq!(ask(from_server, Some(udp(2))), Connection::New);
    assert_eq!(ask(from_server, None), Connection::New);
    let answer = udp(1).reverse();
    let from_client = error("10.0.0.10", "10.0.0.20");
    assert_eq!(ask(from_client, answer), Connection::Related(udp(1)));
    assert_eq!(ask(from_client, Some(udp(1))), Connection::New);
    assert_eq!(
        ask(error("10.0.0.66", "10.0.0.10"), Some(udp(1))),
        Connection::New
    );
    // A quotation in something that is no error means nothing.
    assert_eq!(
        ask(tcp(9).reverse().unwrap(), Some(udp(1))),
        Connection::New
    );
}

/// R1.2: after a restart the entries of the NICs say which connections there are.
#[test]
fn r1_2_restored_from_entries() {
    let entry = |tuple, reply, action| FlowEntry {
        key: FlowKey {
            vni: VNI,
            direction: Direction::Outbound,
            attach: 16,
            tuple,
        },
        action,
        vnic: "blue/a".into(),
        vn_versions: Versions::all(1),
        vnic_versions: Versions::all(1),
        reply,
    };
    let to_vf = Action::ToVf {
        port: 16,
        vlan: 0,
        routed: None,
    };
    let deny = Action::Deny {
        reason: DropReason::NoRoute,
    };
    let mut track = small(10);
    let back = tcp(1).reverse().unwrap();
    track.restore(&entry(back, true, to_vf), seconds(0));
    track.restore(&entry(tcp(1), false, to_vf), seconds(0));
    track.restore(&entry(udp(7), false, deny), seconds(0));
    let echo_reply = flow("10.0.0.20", "10.0.0.10", protocol::ICMP, 0, 5);
    track.restore(&entry(echo_reply, false, to_vf), seconds(0));
    assert_eq!(track.len(), 1);
    assert_eq!(track.ask(&back, 1), Connection::Reply);
    track.restore(&entry(echo_reply, true, to_vf), seconds(1));
    assert_eq!(track.ask(&echo_reply, 1), Connection::Reply);

    // A reply that was taken for a beginning is put right.
    let mut track = small(10);
    track.restore(&entry(back, false, to_vf), seconds(0));
    assert_eq!(track.ask(&tcp(1), 0), Connection::Reply);
    track.restore(&entry(back, true, to_vf), seconds(0));
    assert_eq!(track.ask(&tcp(1), 0), Connection::New);
    assert_eq!(track.ask(&back, 0), Connection::Reply);
}

/// R1.9: a network's connections go with it.
#[test]
fn r1_9_remove_network() {
    let mut track = small(10);
    track.insert(VNI, tcp(1), seconds(0));
    track.insert(200, tcp(1), seconds(0));
    track.remove_network(VNI);
    assert_eq!((track.len(), track.order.len()), (1, 1));
    let back = tcp(1).reverse().unwrap();
    assert_eq!(
        track.classify(200, &back, None, seconds(0)),
        Connection::Reply
    );
}
