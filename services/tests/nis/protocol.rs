//! The protocol between agents and the state machine, one situation each.

use std::net::Ipv4Addr;
use std::time::Duration;

use flownic_api::v1::{self, agent_message, flow_entry::Action, nis_message};
use flownic_services::nis::error::Refusal;
use flownic_services::nis::events::{Effect, Event, Limits};
use flownic_wire::protocol;

use crate::fixture::*;

/// Directions and attachments of entries, in order.
fn keys(entries: &[v1::FlowEntry]) -> Vec<(i32, u32, bool)> {
    let key = |entry: &v1::FlowEntry| {
        let key = entry.key.as_ref().unwrap();
        (key.direction, key.attach, entry.reply)
    };
    entries.iter().map(key).collect()
}

const OUTBOUND: i32 = v1::Direction::Outbound as i32;
const INBOUND: i32 = v1::Direction::Inbound as i32;
const VTEP_A: u32 = 0xc000_0201;
const VTEP_B: u32 = 0xc000_0202;

/// R1.2: the receiver gets its entries and the packet; only when it has confirmed that does the
/// sender's NIC get the entries that let it forward.
#[test]
fn the_receiver_comes_first() {
    let mut machine = Machine::attached();
    let frame = udp(10, 20, (5000, 53), b"question");
    let effects = machine.say(1, punt(1, missed(BLUE_A, frame.clone())));
    assert_eq!(effects.len(), 1, "{effects:?}");
    let deliver = deliver(&effects[0], 2);
    assert_eq!(
        keys(&deliver.entries),
        [(INBOUND, VTEP_A, false), (OUTBOUND, 16, true)]
    );
    assert_eq!(
        deliver.packets,
        [v1::PacketOut {
            port: 16,
            vlan: 0,
            frame
        }]
    );

    let effects = machine.say(2, ack(deliver.id, ""));
    assert_eq!(effects.len(), 1, "{effects:?}");
    let reply = reply(&effects[0], 1);
    assert_eq!(
        keys(&reply.entries),
        [(OUTBOUND, BLUE_A, false), (INBOUND, VTEP_B, true)]
    );
    assert_eq!((reply.packets.len(), &*reply.drop_reason), (0, ""));
    assert!(
        reply.explanation.contains("allow ingress udp ports 53"),
        "{}",
        reply.explanation
    );
    assert_eq!(machine.nis.counters().delivered, 1);
    assert_eq!(machine.nis.connections(), 1);
    assert_eq!(
        machine.say(2, ack(deliver.id, "")),
        [],
        "a second Ack is no second answer"
    );
}

/// R1.5: entries carry the versions that the NICs were told.
#[test]
fn entries_carry_the_configured_versions() {
    let mut machine = Machine::new();
    let a = machine.attach(1, "host-a");
    let b = machine.attach(2, "host-b");
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let deliver = deliver(&effects[0], 2);
    let reply = reply(&machine.say(2, ack(deliver.id, ""))[0], 1);
    for (configure, entries, name) in [(a, reply.entries, "blue/a"), (b, deliver.entries, "blue/b")]
    {
        let vn = configure.vns.iter().find(|vn| vn.vni == 100).unwrap();
        let vnic = configure
            .vnics
            .iter()
            .find(|vnic| vnic.name == name)
            .unwrap();
        for entry in entries {
            assert_eq!(entry.vnic, name);
            assert_eq!(entry.vn_versions, vn.versions);
            assert_eq!(entry.vnic_versions, vnic.versions);
        }
    }
}

/// R1.2: packets of a flow that are punted while the first is on its way keep their order.
#[test]
fn packets_behind_the_first_follow_in_order() {
    let mut machine = Machine::attached();
    let mut ids = Vec::new();
    for number in 1..=3u8 {
        let frame = udp(10, 20, (5000, 53), &[number]);
        let effects = machine.say(1, punt(number.into(), missed(BLUE_A, frame)));
        let deliver = deliver(&effects[0], 2);
        assert_eq!(deliver.packets[0].frame.last(), Some(&number));
        ids.push(deliver.id);
    }
    assert!(ids.is_sorted());
    for (id, number) in ids.into_iter().zip(1..) {
        assert_eq!(reply(&machine.say(2, ack(id, ""))[0], 1).id, number);
    }
}

/// R1.2: a packet that nobody confirmed gets an answer by the deadline, without an entry.
#[test]
fn a_missing_confirmation_is_answered_in_time() {
    let mut machine = Machine::attached();
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let id = deliver(&effects[0], 2).id;
    assert_eq!(
        machine.nis.deadline(),
        machine.now + Duration::from_millis(500)
    );
    assert_eq!(machine.wait(Duration::from_millis(499)), []);
    let effects = machine.wait(Duration::from_millis(1));
    assert_eq!(effects.len(), 1, "{effects:?}");
    let reply = reply(&effects[0], 1);
    assert_eq!(
        (&*reply.drop_reason, reply.entries.len()),
        ("SERVICE_TIMEOUT", 0)
    );
    assert_eq!(
        reply.explanation,
        "the receiver's host host-b did not confirm in time"
    );
    assert_eq!(machine.say(2, ack(id, "")), [], "too late");
    assert_eq!(machine.nis.counters().drops["SERVICE_TIMEOUT"], 1);
}

#[test]
fn a_receiver_that_fails_is_told_of() {
    let mut machine = Machine::attached();
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let effects = {
        let id = deliver(&effects[0], 2).id;
        machine.say(2, ack(id, "flow table full"))
    };
    let reply = reply(&effects[0], 1);
    assert_eq!(
        (&*reply.drop_reason, reply.entries.len()),
        ("SERVICE_TIMEOUT", 0)
    );
    assert_eq!(
        reply.explanation,
        "the receiver's host host-b could not take it: flow table full"
    );
}

#[test]
fn a_receiver_that_goes_away_keeps_nobody_waiting() {
    let mut machine = Machine::attached();
    machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    machine.say(1, punt(2, missed(BLUE_A, udp(10, 20, (5001, 53), b""))));
    let effects = machine.event(Event::Closed(2));
    let replies: Vec<_> = effects.iter().map(|effect| reply(effect, 1)).collect();
    assert_eq!(
        replies.iter().map(|reply| reply.id).collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(
        replies
            .iter()
            .all(|reply| reply.drop_reason == "SERVICE_TIMEOUT")
    );

    let reply = machine.ask(1, 3, missed(BLUE_A, udp(10, 20, (5002, 53), b"")));
    assert_eq!(
        reply.explanation,
        "no agent of the receiver's host host-b is attached"
    );
    assert_eq!(
        (&*reply.drop_reason, reply.entries.len()),
        ("SERVICE_TIMEOUT", 0)
    );
}

#[test]
fn a_sender_that_goes_away_is_forgotten() {
    let mut machine = Machine::attached();
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let id = deliver(&effects[0], 2).id;
    assert_eq!(machine.event(Event::Closed(1)), []);
    machine.attach(3, "host-a");
    assert_eq!(
        machine.say(2, ack(id, "")),
        [],
        "the new stream did not ask"
    );
    assert_eq!(machine.wait(Duration::from_secs(5)), []);
}

#[test]
fn both_on_one_host_need_no_delivery() {
    let mut machine = Machine::attached();
    let frame = udp(10, 40, (5000, 53), b"question");
    let reply = machine.ask(1, 1, missed(BLUE_A, frame.clone()));
    assert_eq!(
        keys(&reply.entries),
        [(OUTBOUND, BLUE_A, false), (OUTBOUND, BLUE_D, true)]
    );
    assert_eq!(
        reply.packets,
        [v1::PacketOut {
            port: BLUE_D,
            vlan: 0,
            frame
        }]
    );
}

/// R1.3: a packet that came through the tunnel goes to its VF, with the receiver's entries.
#[test]
fn an_inbound_miss_is_answered_to_the_receiver() {
    let mut machine = Machine::attached();
    let frame = udp(10, 20, (5000, 53), b"question");
    let packet = v1::PuntedPacket {
        direction: INBOUND,
        attach: VTEP_A,
        tunnel: v1::Tunnel::Geneve.into(),
        ..missed(16, frame.clone())
    };
    let reply = machine.ask(2, 1, packet.clone());
    assert_eq!(
        keys(&reply.entries),
        [(INBOUND, VTEP_A, false), (OUTBOUND, 16, true)]
    );
    assert_eq!(
        reply.packets,
        [v1::PacketOut {
            port: 16,
            vlan: 0,
            frame
        }]
    );

    // The same from somebody who is not the sender's host, and of the other tenant.
    let reply = machine.ask(
        2,
        2,
        v1::PuntedPacket {
            attach: 0x0808_0808,
            ..packet.clone()
        },
    );
    assert_eq!(
        (&*reply.drop_reason, reply.packets.len()),
        ("NO_MAPPING", 0)
    );
    let reply = machine.ask(2, 3, v1::PuntedPacket { vni: 200, ..packet });
    assert_eq!(
        (&*reply.drop_reason, reply.packets.len()),
        ("SECURITY_INGRESS", 0)
    );
}

/// R1.9: what no rule allows is dropped by the sender's NIC from then on.
#[test]
fn what_is_forbidden_gets_a_deny_entry() {
    let mut machine = Machine::attached();
    let reply = machine.ask(1, 1, missed(RED_A, udp(10, 20, (5000, 53), b"")));
    assert_eq!(
        (&*reply.drop_reason, reply.packets.len()),
        ("SECURITY_INGRESS", 0)
    );
    assert_eq!(keys(&reply.entries), [(OUTBOUND, RED_A, false)]);
    let deny = Action::Deny(v1::Deny {
        reason: "SECURITY_INGRESS".to_owned(),
    });
    assert_eq!(reply.entries[0].action, Some(deny));
    assert!(
        reply.explanation.contains("denied by default"),
        "{}",
        reply.explanation
    );
    assert_eq!(machine.nis.connections(), 0);
}

/// R1.9: the answer to an allowed question passes without a rule, an unasked one does not.
#[test]
fn answers_pass_because_of_their_questions() {
    let answer = udp(20, 10, (53, 5000), b"answer");
    let mut machine = Machine::attached();
    let reply = machine.ask(2, 1, missed(16, answer.clone()));
    assert_eq!(reply.drop_reason, "SECURITY_INGRESS");

    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let id = deliver(&effects[0], 2).id;
    machine.say(2, ack(id, ""));
    let effects = machine.say(2, punt(2, missed(16, answer)));
    assert_eq!(deliver(&effects[0], 1).packets.len(), 1);
}

/// R1.9: after a restart the service learns from the NICs what is established, and believes only
/// what the rules still allow.
#[test]
fn a_restarted_service_learns_what_is_established() {
    let mut machine = Machine::attached();
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let mut installed = deliver(&effects[0], 2).entries;
    let mut forged = installed.clone();
    for entry in &mut forged {
        // As if somebody had been allowed to ask port 99.
        let key = entry.key.as_mut().unwrap();
        let ports = [&mut key.src_port, &mut key.dst_port];
        ports
            .into_iter()
            .filter(|port| **port == 53)
            .for_each(|port| *port = 99);
    }
    installed.extend(forged);

    let mut machine = Machine::new();
    machine.attach(1, "host-a");
    machine.event(Event::Opened(2));
    let hello = v1::Hello {
        host: "host-b".to_owned(),
        installed,
        more: false,
    };
    machine.say(2, agent_message::Message::Hello(hello));
    assert_eq!(machine.nis.connections(), 1);
    let effects = machine.say(2, punt(1, missed(16, udp(20, 10, (53, 5000), b"answer"))));
    assert_eq!(deliver(&effects[0], 1).packets.len(), 1);
    let reply = machine.ask(2, 2, missed(16, udp(20, 10, (99, 5000), b"answer")));
    assert_eq!(reply.drop_reason, "SECURITY_INGRESS");
}

#[test]
fn the_network_answers_address_resolution() {
    let mut machine = Machine::attached();
    let request = |target: u8| {
        let mut frame = Vec::new();
        flownic_wire::ethernet::emit(
            &mut frame,
            flownic_wire::MacAddr::BROADCAST,
            mac(10),
            flownic_wire::ethernet::ARP,
        );
        let repr = flownic_wire::arp::Repr {
            operation: flownic_wire::arp::REQUEST,
            sender_mac: mac(10),
            sender_ip: Ipv4Addr::new(10, 0, 0, 10),
            target_mac: flownic_wire::MacAddr::default(),
            target_ip: Ipv4Addr::new(10, 0, 0, target),
        };
        repr.emit(&mut frame);
        let reason = v1::PuntReason::Arp.into();
        v1::PuntedPacket {
            reason,
            ..missed(BLUE_A, frame)
        }
    };
    for (id, target, expected) in [(1, 20, mac(20)), (2, 1, GATEWAY_MAC)] {
        let reply = machine.ask(1, id, request(target));
        assert_eq!((reply.packets[0].port, reply.packets.len()), (BLUE_A, 1));
        assert_eq!(
            reply.packets[0].frame[..12],
            [mac(10).0, expected.0].concat()
        );
        assert_eq!((reply.entries.len(), &*reply.drop_reason), (0, ""));
    }
    let reply = machine.ask(1, 3, request(99));
    assert_eq!((&*reply.drop_reason, reply.packets.len()), ("ABSORBED", 0));
    let reply = machine.ask(
        1,
        4,
        v1::PuntedPacket {
            direction: INBOUND,
            ..request(20)
        },
    );
    assert_eq!(reply.drop_reason, "UNEXPECTED_IN_TUNNEL");
}

#[test]
fn gateways_answer_echo_requests_and_expired_packets() {
    let mut machine = Machine::attached();
    let mut echo = vec![8, 0, 0, 0, 0, 7, 0, 1, 1, 2, 3, 4];
    let sum = flownic_wire::checksum::of(&echo);
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    let gateway = (GATEWAY_MAC, Ipv4Addr::new(10, 0, 0, 1));
    let reply = machine.ask(
        1,
        1,
        missed(BLUE_A, ip(10, gateway, protocol::ICMP, 64, &echo)),
    );
    assert_eq!(
        (reply.packets[0].port, reply.packets[0].frame[34]),
        (BLUE_A, 0)
    );

    // To c in the other subnet, with its last hop.
    let far = (GATEWAY_MAC, Ipv4Addr::new(10, 0, 1, 30));
    let reply = machine.ask(1, 2, missed(BLUE_A, ip(10, far, protocol::ICMP, 1, &echo)));
    assert_eq!(reply.drop_reason, "TTL_EXPIRED");
    assert_eq!(
        (reply.packets[0].port, reply.packets[0].frame[34]),
        (BLUE_A, 11)
    );

    let large = vec![0; 1500];
    let reply = machine.ask(1, 3, missed(BLUE_A, udp(10, 20, (5000, 53), &large)));
    assert_eq!(reply.drop_reason, "TOO_BIG");
    assert_eq!(
        reply.packets[0].frame[34..36],
        [3, 4],
        "fragmentation needed"
    );
}

/// R1.2: fragments are forwarded one by one, and never leave an entry.
#[test]
fn fragments_follow_their_first_one() {
    let mut machine = Machine::attached();
    let fragment = |offset: u16, more: bool| {
        let mut frame = udp(10, 20, (5000, 53), &[0; 24]);
        let field = offset | if more { 0x2000 } else { 0 };
        frame[18..22].copy_from_slice(&[&7u16.to_be_bytes()[..], &field.to_be_bytes()].concat());
        frame[24..26].fill(0);
        let sum = flownic_wire::checksum::of(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let reason = v1::PuntReason::Fragment.into();
        v1::PuntedPacket {
            reason,
            ..missed(BLUE_A, frame)
        }
    };
    let reply = machine.ask(1, 1, fragment(4, false));
    assert_eq!(reply.drop_reason, "FRAGMENT_ORPHAN");
    for (id, packet) in [(2, fragment(0, true)), (3, fragment(4, false))] {
        let effects = machine.say(1, punt(id, packet.clone()));
        let deliver = deliver(&effects[0], 2);
        assert_eq!(
            (deliver.entries.len(), &deliver.packets[0].frame),
            (0, &packet.frame)
        );
        let effects = machine.say(2, ack(deliver.id, ""));
        assert_eq!(crate::fixture::reply(&effects[0], 1).entries, []);
    }
}

/// R1.2: what waits for other agents is bounded for each agent.
#[test]
fn pending_punts_are_bounded() {
    let mut machine = Machine::with(Limits {
        pending: 2,
        ..Limits::default()
    });
    machine.attach(1, "host-a");
    machine.attach(2, "host-b");
    let packet = |port| missed(BLUE_A, udp(10, 20, (port, 53), b""));
    machine.say(1, punt(1, packet(1)));
    let effects = machine.say(1, punt(2, packet(2)));
    let reply = machine.ask(1, 3, packet(3));
    assert_eq!(
        (&*reply.drop_reason, reply.entries.len()),
        ("PUNT_QUEUE_FULL", 0)
    );
    let id = deliver(&effects[0], 2).id;
    machine.say(2, ack(id, ""));
    deliver(&machine.say(1, punt(4, packet(4)))[0], 2);
}

#[test]
fn a_newer_stream_of_a_host_takes_over() {
    let mut machine = Machine::attached();
    machine.say(2, punt(1, missed(16, udp(20, 10, (5000, 53), b""))));
    machine.event(Event::Opened(3));
    let effects = machine.say(3, hello("host-a"));
    assert_eq!(effects.len(), 3, "{effects:?}");
    assert_eq!(
        refusal(&effects[0], 1).0,
        Refusal::Replaced("host-a".to_owned())
    );
    assert_eq!(
        reply(&effects[1], 2).drop_reason,
        "SERVICE_TIMEOUT",
        "it waited for the old one"
    );
    assert!(matches!(&effects[2], Effect::Send(3, _)));
    // Its end comes later, and is not the new one's.
    assert_eq!(machine.event(Event::Closed(1)), []);
    assert_eq!(machine.nis.attached().count(), 2);
}

#[test]
fn a_silent_stream_is_ended() {
    let mut machine = Machine::new();
    machine.event(Event::Opened(1));
    assert_eq!(
        machine.nis.deadline(),
        machine.now + Duration::from_secs(10)
    );
    let effects = machine.wait(Duration::from_secs(10));
    assert_eq!(refusal(&effects[0], 1).1, "no complete Hello within 10s");
}

/// The Configure that effects send to `session`.
fn configure(effects: &[Effect], session: u64) -> Option<v1::Configure> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send(to, message) if *to == session => match &message.message {
            Some(nis_message::Message::Configure(configure)) => Some(configure.clone()),
            _ => None,
        },
        _ => None,
    })
}

/// R1.5: a change goes to the hosts that it concerns, and is confirmed when they hold it.
#[test]
fn a_change_goes_to_whom_it_concerns() {
    let mut machine = Machine::attached();
    // d is on host-a only, but what the others hold about it rests on the network's versions.
    let effects = machine.apply(&TOML.replace("ports = \"53\"", "ports = \"54\""), 77);
    let (a, b) = (
        configure(&effects, 1).unwrap(),
        configure(&effects, 2).unwrap(),
    );
    assert_eq!(effects.len(), 2, "not confirmed yet: {effects:?}");
    assert_eq!(machine.say(1, ack(a.id, "")), []);
    let confirmed = |missing: &[&str]| {
        let missing = missing.iter().map(|&line| line.to_owned()).collect();
        [Effect::Confirmed {
            ticket: 77,
            missing,
        }]
    };
    assert_eq!(machine.say(2, ack(b.id, "")), confirmed(&[]));
    let security = |configure: &v1::Configure, vni| {
        let vn = configure.vns.iter().find(|vn| vn.vni == vni).unwrap();
        vn.versions.unwrap().security
    };
    assert_eq!(
        (security(&a, 100), security(&a, 200)),
        (2, 1),
        "red has not changed"
    );

    // The rule is gone for the next packet.
    let reply = machine.ask(1, 1, missed(BLUE_A, udp(10, 20, (5000, 53), b"")));
    assert_eq!(reply.drop_reason, "SECURITY_INGRESS");

    // A comment concerns nobody.
    let toml = format!("# nothing\n{TOML}").replace("ports = \"53\"", "ports = \"54\"");
    assert_eq!(machine.apply(&toml, 77), confirmed(&[]));
}

#[test]
fn unconfirmed_changes_are_told_of() {
    let mut machine = Machine::attached();
    let changed = TOML.replace("ports = \"53\"", "ports = \"54\"");
    let a = configure(&machine.apply(&changed, 1), 1).unwrap();
    machine.say(1, ack(a.id, "register write failed"));
    let missing = [
        "host-a: register write failed",
        "host-b: did not confirm in time",
    ]
    .map(str::to_owned);
    let expected = [Effect::Confirmed {
        ticket: 1,
        missing: missing.to_vec(),
    }];
    assert_eq!(machine.wait(Duration::from_secs(2)), expected);

    machine.event(Event::Closed(2));
    let effects = machine.apply(TOML, 2);
    let a = configure(&effects, 1).unwrap();
    let missing = vec!["host-b: no agent is attached".to_owned()];
    assert_eq!(
        machine.say(1, ack(a.id, "")),
        [Effect::Confirmed { ticket: 2, missing }]
    );

    machine.apply(&changed, 3);
    let missing = [
        "host-b: no agent is attached",
        "host-a: its agent went away",
    ];
    let missing = missing.map(str::to_owned).to_vec();
    assert_eq!(
        machine.event(Event::Closed(1)),
        [Effect::Confirmed { ticket: 3, missing }]
    );
}

#[test]
fn a_removed_host_is_sent_away() {
    let mut machine = Machine::attached();
    let mut toml = TOML.to_owned();
    for line in TOML
        .lines()
        .filter(|line| line.contains("host = \"host-b\""))
    {
        toml = toml.replace(line, "");
    }
    let start = toml.find("[[host]]\nname = \"host-b\"").unwrap();
    let end = toml.find("[[network]]").unwrap();
    toml.replace_range(start..end, "");
    let effects = machine.apply(&toml, 1);
    let removed = Effect::Close(2, Refusal::HostRemoved("host-b".to_owned()));
    assert!(effects.contains(&removed), "{effects:?}");
    assert_eq!(machine.nis.attached().collect::<Vec<_>>(), ["host-a"]);
}
