//! Punted packets, the service's answers, and what is installed and sent for them.

mod support;

use std::time::Duration;

use flownic_agent::state::punts::PuntLimits;
use flownic_agent::state::{Answer, Input, Settings};
use flownic_agent::tables::packet_io::{PuntHeader, PuntReason};
use flownic_api::v1;
use flownic_api::v1::agent_message::Message as ToService;
use flownic_api::v1::nis_message::Message;
use flownic_pipeline::entity::{Atomicity, Code, Entity, UpdateKind};
use flownic_wire::flow::FlowTuple;
use support::bench::{Bench, bench, configured, tables_of};
use support::messages::*;
use support::p4info;
use support::store::Store;

fn miss(bench: &mut Bench, port: u16) -> Vec<u8> {
    let frame = udp_frame((10, 99), port, 64, 20);
    bench.punt(&punt_header(PuntReason::Miss, BLUE, 0), frame.clone());
    frame
}

fn entry(port: u16) -> v1::FlowEntry {
    to_tunnel(outbound_key(BLUE, 0, (10, 99), port), "blue/a", 1)
}

fn reply(id: u64, entries: Vec<v1::FlowEntry>, packets: Vec<v1::PacketOut>) -> Message {
    Message::PuntReply(v1::PuntReply {
        id,
        entries,
        packets,
        ..Default::default()
    })
}

/// R1.2: the packet goes to the service, its entry into the NIC, and only then do packets leave.
#[test]
fn packets_leave_after_their_entries_are_installed() {
    let mut bench = configured();
    let frame = miss(&mut bench, 1000);
    let id = match &bench.messages()[..] {
        [ToService::Punt(punt)] => {
            let packet = punt.packet.as_ref().unwrap();
            assert_eq!(packet.reason, v1::PuntReason::Miss as i32);
            assert_eq!((packet.vni, packet.attach), (BLUE, 16));
            assert_eq!(packet.frame, frame);
            punt.id
        }
        other => panic!("{other:?}"),
    };
    bench.now += Duration::from_micros(1500);
    bench.say(reply(
        id,
        vec![entry(1000)],
        vec![packet_out(1, vec![7; 60])],
    ));
    assert!(bench.step(), "the write");
    assert_eq!(
        (bench.store.table("flow_ipv4").len(), bench.sent.len()),
        (1, 0)
    );
    assert!(bench.step(), "the packet");
    assert_eq!(bench.sent[0].port, 17);
    assert_eq!(bench.sent[0].frame, [7; 60]);
    let flow = &bench.state.flows(bench.now, Some(BLUE))[0];
    assert!(flow.current);
    assert_eq!(
        (flow.punted, flow.install_time),
        (1, Duration::from_micros(1500))
    );
    let counters = bench.state.counters();
    assert_eq!((counters.punts_received, counters.punts_answered), (1, 1));
    assert_eq!(
        (counters.flows_installed, counters.packets_injected),
        (1, 1)
    );
    assert_eq!(counters.miss_latency.count(), 1);
}

/// R7.3: answers that wait together become one batch.
#[test]
fn answers_that_wait_together_are_one_batch() {
    let mut bench = configured();
    (1000..1010).for_each(|port| drop(miss(&mut bench, port)));
    assert_eq!(bench.messages().len(), 10);
    bench.batches.clear();
    // The first answer finds the NIC idle; the others come while it works.
    bench.say(reply(1, vec![entry(1000)], vec![]));
    let first = bench.state.next_operation(bench.now);
    for (id, port) in (2..=10).zip(1001..) {
        bench.say(reply(
            id,
            vec![entry(port)],
            vec![packet_out(1, vec![id as u8; 60])],
        ));
    }
    assert!(first.is_some() && bench.state.next_operation(bench.now).is_none());
    bench.input(Input::Written(vec![Ok(())]));
    bench.run();
    assert_eq!(bench.batches, [9]);
    let order: Vec<u8> = bench.sent.iter().map(|packet| packet.frame[0]).collect();
    assert_eq!(
        order,
        (2..=10).collect::<Vec<u8>>(),
        "packets keep their order"
    );
}

/// R1.5: the answer to a stale entry replaces it in place.
#[test]
fn a_stale_entry_is_replaced() {
    let mut bench = configured();
    miss(&mut bench, 1000);
    let id = bench.punted_id();
    bench.say(reply(id, vec![entry(1000)], vec![]));
    bench.run();
    let mut next = two_tenants(2);
    next.vns[0].versions = Some(versions(2));
    bench.configure(next);
    assert!(!bench.state.flows(bench.now, None)[0].current);
    bench.punt(
        &punt_header(PuntReason::Stale, BLUE, 0),
        udp_frame((10, 99), 1000, 64, 20),
    );
    let id = bench.punted_id();
    bench.written.clear();
    let fresh = v1::FlowEntry {
        vn_versions: Some(versions(2)),
        ..entry(1000)
    };
    bench.say(reply(id, vec![fresh], vec![]));
    bench.run();
    assert_eq!(bench.written[0].kind, UpdateKind::Modify);
    let flow = &bench.state.flows(bench.now, None)[0];
    assert!(flow.current);
    assert_eq!(flow.punted, 2);
}

/// The NIC held something else than the agent thought: it is asked once more the other way.
#[test]
fn an_entry_that_is_unexpectedly_there_is_replaced() {
    let mut bench = configured();
    miss(&mut bench, 1000);
    let id = bench.punted_id();
    bench.say(reply(id, vec![entry(1000)], vec![]));
    bench.run();
    // An operator's tool removed it behind the agent's back.
    let there = bench.store.table("flow_ipv4").remove(0);
    let removal = flownic_pipeline::entity::Update {
        kind: UpdateKind::Delete,
        entity: Entity::TableEntry(there),
    };
    bench.store.apply(&removal).unwrap();
    miss(&mut bench, 1000);
    let id = bench.punted_id();
    bench.say(reply(id, vec![entry(1000)], vec![]));
    bench.run();
    assert_eq!(bench.store.table("flow_ipv4").len(), 1);
    assert_eq!(bench.state.counters().flow_install_errors, 0);
}

/// R1.8: a full table does not stop the flow: it stays with the service, and that is told.
#[test]
fn a_full_table_leaves_the_flow_with_the_service() {
    let mut store = Store::new(p4info());
    store.resize("flow_ipv4", 1);
    let mut bench = Bench::new(Settings::new(HOST), store);
    bench.connect(1);
    bench.messages();
    bench.configure(two_tenants(1));
    bench.notices();
    for port in [1000, 1001, 1002] {
        miss(&mut bench, port);
        let id = bench.punted_id();
        bench.say(reply(
            id,
            vec![entry(port)],
            vec![packet_out(1, vec![9; 60])],
        ));
        bench.run();
    }
    assert_eq!(bench.sent.len(), 3, "packets leave in any case");
    assert_eq!(bench.state.counters().table_full, 2);
    let notices = bench.notices();
    assert!(notices[0].contains("\"flow_ipv4\" is full"), "{notices:?}");
    assert_eq!(
        notices.iter().filter(|n| n.contains("is full")).count(),
        1,
        "told once a second"
    );
    bench.say(Message::Deliver(v1::Deliver {
        id: 9,
        entries: vec![to_vf(BLUE, 0, (99, 10), 1000, "blue/a")],
        packets: vec![packet_out(0, vec![8; 60])],
    }));
    bench.run();
    assert_eq!(bench.sent.len(), 4);
    match &bench.messages()[..] {
        [ToService::Ack(ack)] => assert!(ack.error.contains("flow_ipv4: full"), "{}", ack.error),
        other => panic!("{other:?}"),
    }
}

/// R1.4: entries and packet for this end of a flow that starts elsewhere; acknowledged when both
/// are done.
#[test]
fn a_delivery_is_acknowledged_after_its_packets_left() {
    let mut bench = configured();
    bench.say(Message::Deliver(v1::Deliver {
        id: 5,
        entries: vec![to_vf(BLUE, 0, (99, 10), 1000, "blue/a")],
        packets: vec![packet_out(0, vec![1; 60])],
    }));
    for expected in ["write", "packet"] {
        assert!(bench.messages().is_empty(), "not before the {expected}");
        assert!(bench.step());
    }
    match &bench.messages()[..] {
        [ToService::Ack(ack)] => assert_eq!((ack.id, ack.error.as_str()), (5, "")),
        other => panic!("{other:?}"),
    }
}

/// Entries and packets may not lead from one network into another, whoever asks for it.
#[test]
fn what_leads_out_of_its_network_is_refused() {
    let cases = [
        (
            "vni 300 is not on this host",
            to_tunnel(outbound_key(300, 0, (10, 99), 1), "", 1),
        ),
        (
            "VNIC \"blue/x\" of vni 100",
            to_tunnel(outbound_key(BLUE, 0, (10, 99), 1), "blue/x", 1),
        ),
        (
            "VNIC \"red/a\" of vni 100",
            to_tunnel(outbound_key(BLUE, 0, (10, 99), 1), "red/a", 1),
        ),
        (
            "port 24 has no VNIC of vni 100",
            to_tunnel(outbound_key(BLUE, 8, (10, 99), 1), "blue/a", 1),
        ),
        ("port 24 vlan 0 has no VNIC of vni 100", {
            to_vf(BLUE, 8, (99, 10), 1, "blue/a")
        }),
        ("\"NO_SUCH\" is no drop reason", {
            deny(outbound_key(BLUE, 0, (10, 99), 1), "blue/a", "NO_SUCH")
        }),
    ];
    for (expected, entry) in cases {
        let mut bench = configured();
        bench.say(Message::Deliver(v1::Deliver {
            id: 5,
            entries: vec![entry],
            packets: vec![packet_out(77, vec![1; 60])],
        }));
        bench.run();
        match &bench.messages()[..] {
            [ToService::Ack(ack)] => {
                assert!(
                    ack.error.contains(expected),
                    "\"{}\" lacks \"{expected}\"",
                    ack.error
                );
                assert!(
                    ack.error.contains("packet not sent: port 93"),
                    "{}",
                    ack.error
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(bench.store.table("flow_ipv4").is_empty() && bench.sent.is_empty());
    }
}

#[test]
fn a_packet_for_a_vlan_gets_its_tag() {
    let mut bench = bench();
    let mut tagged = vnic("blue/a", BLUE, 0, 10);
    tagged.vlan = 7;
    bench.configure(configure(1, vec![tagged]));
    bench.say(Message::Deliver(v1::Deliver {
        id: 5,
        entries: vec![],
        packets: vec![v1::PacketOut {
            vlan: 7,
            ..packet_out(0, udp_frame((99, 10), 1, 64, 20))
        }],
    }));
    bench.run();
    let frame = &bench.sent[0].frame;
    assert_eq!(frame[12..18], [0x81, 0, 0, 7, 8, 0]);
    assert_eq!(FlowTuple::from_frame(frame).unwrap().vlan, Some(7));
}

/// The queue has a bound in packets and in bytes; what is beyond is counted.
#[test]
fn the_punt_queue_is_bounded_and_its_overflow_counted() {
    for (limits, fit) in [
        (
            PuntLimits {
                packets: 3,
                ..Default::default()
            },
            3,
        ),
        (
            PuntLimits {
                bytes: 130,
                ..Default::default()
            },
            2,
        ),
    ] {
        let settings = Settings {
            punts: limits,
            ..Settings::new(HOST)
        };
        let mut bench = Bench::new(settings, Store::new(p4info()));
        (0..5).for_each(|port| drop(miss(&mut bench, 1000 + port)));
        assert_eq!(bench.state.queued(), fit);
        assert_eq!(
            bench.drops(),
            [("PUNT_QUEUE_FULL".to_owned(), 16, 5 - fit as u64)]
        );
        // Sent packets count as well, until they are answered.
        bench.connect(1);
        assert_eq!(bench.messages().len(), 1 + fit);
        miss(&mut bench, 2000);
        assert_eq!(bench.state.queued(), fit);
        bench.say(reply(1, vec![], vec![]));
        miss(&mut bench, 2001);
        assert_eq!(bench.state.queued(), fit);
        assert_eq!(bench.messages().len(), 1);
    }
}

/// The service is away: packets wait, at most until their deadline; then they are counted.
#[test]
fn packets_wait_for_the_service_until_their_deadline() {
    let mut bench = configured();
    bench.input(Input::ServiceDown);
    miss(&mut bench, 1000);
    bench.advance(1500);
    miss(&mut bench, 1001);
    bench.advance(400);
    assert_eq!(bench.state.wake_at(), Some(Duration::from_millis(2000)));
    bench.advance(200);
    assert_eq!(bench.drops(), [("SERVICE_TIMEOUT".to_owned(), 16, 1)]);
    bench.connect(2);
    let sent = bench.messages();
    assert!(
        matches!(&sent[..], [ToService::Hello(_), ToService::Punt(_)]),
        "{sent:?}"
    );
}

/// R1.2: none is forwarded twice: what was sent over a lost connection is not sent again.
#[test]
fn a_sent_packet_is_not_sent_again() {
    let mut bench = configured();
    miss(&mut bench, 1000);
    bench.punted_id();
    bench.input(Input::ServiceDown);
    assert_eq!(bench.drops(), [("SERVICE_TIMEOUT".to_owned(), 16, 1)]);
    bench.connect(2);
    assert!(matches!(&bench.messages()[..], [ToService::Hello(_)]));
}

/// R1.2: a late or second answer still brings its entries, but its packets are not sent.
#[test]
fn packets_of_a_late_answer_are_not_sent() {
    let mut bench = configured();
    miss(&mut bench, 1000);
    let id = bench.punted_id();
    bench.advance(2001);
    assert_eq!(bench.drops(), [("SERVICE_TIMEOUT".to_owned(), 16, 1)]);
    bench.say(reply(
        id,
        vec![entry(1000)],
        vec![packet_out(1, vec![1; 60])],
    ));
    bench.run();
    assert_eq!((bench.sent.len(), bench.state.mirror().flows.len()), (0, 1));
    assert_eq!(bench.state.counters().packets_refused, 1);
}

/// R3.6: a forbidden packet is counted here under the service's reason, the next ones by the
/// pipeline's entry.
#[test]
fn a_denied_packet_is_counted_by_reason() {
    let mut bench = configured();
    miss(&mut bench, 1000);
    let id = bench.punted_id();
    bench.say(Message::PuntReply(v1::PuntReply {
        id,
        entries: vec![deny(
            outbound_key(BLUE, 0, (10, 99), 1000),
            "blue/a",
            "SECURITY_EGRESS",
        )],
        drop_reason: "SECURITY_EGRESS".into(),
        ..Default::default()
    }));
    bench.run();
    assert_eq!(bench.drops(), [("SECURITY_EGRESS".to_owned(), 16, 1)]);
    assert_eq!(bench.store.table("flow_ipv4").len(), 1);
}

/// A packet that is too big, or whose TTL ran out, is answered by the gateway at once.
#[test]
fn too_big_and_expired_packets_are_answered_here() {
    let cases = [
        (
            PuntReason::TooBig,
            udp_frame((10, 99), 1000, 64, 1600),
            3,
            4,
        ),
        (
            PuntReason::TtlExpired,
            udp_frame((10, 99), 1000, 1, 20),
            11,
            0,
        ),
    ];
    for (reason, frame, kind, code) in cases {
        let mut bench = configured();
        bench.punt(&punt_header(reason, BLUE, 0), frame);
        bench.run();
        assert!(bench.messages().is_empty(), "the service has nothing to do");
        let answer = &bench.sent[0];
        assert_eq!(answer.port, 16);
        let flow = FlowTuple::from_frame(&answer.frame).unwrap();
        assert_eq!(flow.src_mac.to_string(), "02:00:5e:00:00:01");
        assert_eq!(flow.tuple.src.to_string(), "10.0.0.1", "the gateway");
        assert_eq!(flow.tuple.dst.to_string(), "10.0.0.10");
        assert_eq!(flow.tuple.src_port, kind << 8 | code);
        let quoted = flow.quoted.expect("it quotes the packet");
        assert_eq!((quoted.src_port, quoted.dst_port), (1000, 53));
    }
}

/// Nothing is answered for a VF without VNIC, nor through a tunnel.
#[test]
fn what_has_no_sender_here_is_not_answered() {
    let mut bench = configured();
    let frame = udp_frame((10, 99), 1000, 1, 20);
    bench.punt(&punt_header(PuntReason::TtlExpired, BLUE, 5), frame.clone());
    let inbound = PuntHeader {
        tunnel: Some(flownic_agent::tables::flow::Tunnel::Vxlan),
        ..punt_header(PuntReason::TtlExpired, BLUE, 0)
    };
    bench.punt(&inbound, frame);
    bench.punt(&punt_header(PuntReason::TtlExpired, BLUE, 0), vec![1, 2, 3]);
    bench.run();
    assert!(bench.sent.is_empty());
}

/// The NIC goes away in the middle: the service hears of it, and nothing is sent twice.
#[test]
fn a_lost_nic_fails_what_was_under_way() {
    let mut bench = configured();
    bench.say(Message::Deliver(v1::Deliver {
        id: 5,
        entries: vec![to_vf(BLUE, 0, (99, 10), 1000, "blue/a")],
        packets: vec![packet_out(0, vec![1; 60])],
    }));
    let running = bench.state.next_operation(bench.now);
    assert!(running.is_some());
    bench.input(Input::NicDown("unplugged".into()));
    bench.input(Input::Clear {
        token: 3,
        vni: None,
    });
    match &bench.messages()[..] {
        [ToService::Ack(ack)] => assert!(ack.error.contains("unplugged"), "{}", ack.error),
        other => panic!("{other:?}"),
    }
    let gone = Answer::NicGone("unplugged".into());
    assert_eq!(bench.state.next_answer(), Some((3, gone)));
    bench.nic_up();
    assert!(bench.sent.is_empty());
    bench.say(Message::Deliver(v1::Deliver {
        id: 6,
        entries: vec![],
        packets: vec![packet_out(0, vec![1; 60])],
    }));
    bench.run();
    assert_eq!(bench.sent.len(), 1);
}

/// Operators remove the flows of one network; writes of their own reach the NIC and the mirror.
#[test]
fn operators_clear_flows_and_write_entries() {
    let mut bench = configured();
    let red = to_tunnel(outbound_key(RED, 8, (10, 20), 1000), "red/a", 1);
    bench.say(Message::Deliver(v1::Deliver {
        id: 5,
        entries: vec![entry(1000), entry(1001), red],
        packets: vec![],
    }));
    bench.run();
    bench.input(Input::Clear {
        token: 1,
        vni: Some(BLUE),
    });
    bench.run();
    assert_eq!(bench.state.next_answer(), Some((1, Answer::Cleared(2))));
    assert_eq!(bench.store.table("flow_ipv4").len(), 1);

    let mac = bench.store.table("vf_mac").remove(0);
    let insert = flownic_pipeline::entity::Update {
        kind: UpdateKind::Insert,
        entity: Entity::TableEntry(mac),
    };
    let delete = flownic_pipeline::entity::Update {
        kind: UpdateKind::Delete,
        ..insert.clone()
    };
    bench.input(Input::Direct {
        token: 2,
        updates: vec![insert, delete],
        atomicity: Atomicity::ContinueOnError,
    });
    bench.run();
    match bench.state.next_answer() {
        Some((2, Answer::Written(results))) => {
            assert_eq!(results[0].as_ref().unwrap_err().code, Code::AlreadyExists);
            assert_eq!(results[1], Ok(()));
        }
        other => panic!("{other:?}"),
    }
    bench.messages();
    // The mirror knows: the same configuration puts the guard back.
    bench.written.clear();
    bench.configure(two_tenants(2));
    assert_eq!(tables_of(&bench.written), ["insert vf_mac"]);
}

/// A long list of installed flows is announced in several greetings.
#[test]
fn many_flows_are_announced_in_several_greetings() {
    let settings = Settings {
        announced: 4,
        ..Settings::new(HOST)
    };
    let mut bench = Bench::new(settings, Store::new(p4info()));
    bench.connect(1);
    bench.messages();
    bench.configure(two_tenants(1));
    bench.say(Message::Deliver(v1::Deliver {
        id: 5,
        entries: (0..10).map(|n| entry(1000 + n)).collect(),
        packets: vec![],
    }));
    bench.run();
    bench.connect(2);
    let hellos: Vec<_> = (bench.messages().into_iter())
        .map(|message| match message {
            ToService::Hello(hello) => (hello.installed.len(), hello.more),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hellos, [(4, true), (4, true), (2, false)]);
}
