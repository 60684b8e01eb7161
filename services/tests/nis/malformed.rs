//! Malformed messages: refused, with where and why, and nothing else changes.

use flownic_api::v1::{self, agent_message};
use flownic_services::nis::error::Refusal;
use flownic_services::nis::events::Event;

use crate::fixture::*;

/// Says something wrong on stream 1 and expects its end with `text`; stream 2 must not notice.
fn check_refused(message: agent_message::Message, text: &str) {
    let mut machine = Machine::attached();
    let effects = machine.say(1, message);
    assert_eq!(effects.len(), 1, "{effects:?}");
    let (refusal, found) = refusal(&effects[0], 1);
    assert_eq!(found, format!("malformed message: {text}"));
    assert_eq!(refusal.code(), tonic::Code::InvalidArgument);
    assert_eq!(machine.nis.counters().punts, 0);
    assert_eq!(machine.nis.connections(), 0);
    assert_eq!(machine.nis.attached().collect::<Vec<_>>(), ["host-b"]);
    // What still comes on the closed stream is not heard.
    assert_eq!(
        machine.say(1, punt(7, missed(BLUE_A, udp(10, 40, (1, 53), b""))),),
        []
    );
    let frame = udp(20, 20, (1, 53), b"");
    assert_eq!(
        machine.ask(2, 1, missed(16, frame)).drop_reason,
        "NO_MAPPING"
    );
}

fn broken_punt(breaks: impl FnOnce(&mut v1::PuntedPacket), text: &str) {
    let mut packet = missed(BLUE_A, udp(10, 20, (5000, 53), b""));
    breaks(&mut packet);
    check_refused(punt(3, packet), &format!("punt 3: {text}"));
}

/// R1.2: a punt with a field out of range is refused.
#[test]
fn punts_out_of_range() {
    let missing = agent_message::Message::Punt(v1::Punt {
        id: 3,
        packet: None,
    });
    check_refused(missing, "punt 3: packet: missing");
    broken_punt(|p| p.reason = 0, "packet.reason: 0 is no reason to punt");
    broken_punt(|p| p.reason = 99, "packet.reason: 99 is no reason to punt");
    broken_punt(|p| p.direction = -1, "packet.direction: -1 is no direction");
    let not_a_port = "is no VF port, must be 16 to 271";
    broken_punt(
        |p| p.attach = 15,
        &format!("packet.attach: 15 {not_a_port}"),
    );
    broken_punt(
        |p| p.attach = 272,
        &format!("packet.attach: 272 {not_a_port}"),
    );
    broken_punt(
        |p| p.attach = 65_552,
        &format!("packet.attach: 65552 {not_a_port}"),
    );
    broken_punt(|p| p.vlan = 4095, "packet.vlan: 4095, must be at most 4094");
    broken_punt(
        |p| p.vni = 1 << 24,
        "packet.vni: 16777216, must be at most 16777215",
    );
    broken_punt(
        |p| p.frame.truncate(13),
        "packet.frame: 13 bytes, must be 14 to 9230",
    );
    broken_punt(
        |p| p.frame.resize(9231, 0),
        "packet.frame: 9231 bytes, must be 14 to 9230",
    );
}

#[test]
fn punt_ids_that_do_not_ascend() {
    check_refused(
        punt(0, missed(BLUE_A, vec![0; 60])),
        "punt: id: 0, must be more than 0, the last one",
    );
    let mut machine = Machine::attached();
    machine.ask(1, 5, missed(RED_A, udp(10, 20, (1, 2), b"")));
    let effects = machine.say(1, punt(5, missed(RED_A, udp(10, 20, (1, 2), b""))));
    let (_, text) = refusal(&effects[0], 1);
    assert_eq!(
        text,
        "malformed message: punt: id: 5, must be more than 5, the last one"
    );
}

#[test]
fn acks_of_nothing() {
    check_refused(ack(0, ""), "ack: id: nothing was sent with id 0");
    check_refused(ack(1000, ""), "ack: id: nothing was sent with id 1000");
    // Somebody else's: it is not an answer, and it is not taken for one.
    let mut machine = Machine::attached();
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let id = deliver(&effects[0], 2).id;
    assert_eq!(machine.say(1, ack(id, "")), []);
    assert_eq!(reply(&machine.say(2, ack(id, ""))[0], 1).drop_reason, "");
}

#[test]
fn empty_messages() {
    let mut machine = Machine::attached();
    let effects = machine.event(Event::Message(1, v1::AgentMessage { message: None }));
    assert_eq!(
        refusal(&effects[0], 1).1,
        "malformed message: message: missing"
    );
}

/// R1.2: before a stream has said whose it is, it may say nothing else.
#[test]
fn streams_without_hello() {
    for (message, name) in [
        (punt(1, missed(BLUE_A, vec![0; 60])), "Punt"),
        (ack(1, ""), "Ack"),
    ] {
        let mut machine = Machine::new();
        machine.event(Event::Opened(1));
        let (refusal, text) = refusal(&machine.say(1, message)[0], 1);
        assert_eq!(
            text,
            format!("the first message of a stream must be Hello, this one is {name}")
        );
        assert_eq!(refusal.code(), tonic::Code::FailedPrecondition);
    }
}

#[test]
fn unknown_hosts() {
    let mut machine = Machine::new();
    machine.event(Event::Opened(1));
    let (refusal, text) = refusal(&machine.say(1, hello("host-x"))[0], 1);
    assert_eq!(
        text,
        "host \"host-x\" is not in the configuration; its hosts are: host-a, host-b"
    );
    assert_eq!(refusal.code(), tonic::Code::NotFound);
    assert_eq!(machine.nis.attached().count(), 0);
}

#[test]
fn second_hellos() {
    let mut machine = Machine::attached();
    let (refused, text) = refusal(&machine.say(1, hello("host-a"))[0], 1);
    assert_eq!(
        text,
        "a second Hello on one stream, the first was of host \"host-a\""
    );
    assert_eq!(refused, Refusal::SecondHello("host-a".to_owned()));

    let part = v1::Hello {
        host: "host-a".to_owned(),
        more: true,
        ..Default::default()
    };
    machine.event(Event::Opened(3));
    assert_eq!(machine.say(3, agent_message::Message::Hello(part)), []);
    let (refused, _) = refusal(&machine.say(3, hello("host-b"))[0], 3);
    assert_eq!(refused, Refusal::SecondHello("host-a".to_owned()));
    assert_eq!(
        machine.nis.attached().collect::<Vec<_>>(),
        ["host-b"],
        "the real one stays"
    );
}

/// R1.2: an installed flow that cannot be one is refused, with its place in the list.
#[test]
fn installed_flows_out_of_range() {
    let good = installed();
    type Break = fn(&mut v1::FlowEntry);
    let cases: [(&str, Break); 10] = [
        ("key: missing", |e| e.key = None),
        ("action: missing", |e| e.action = None),
        ("key.direction: 2 is no direction", |e| key(e).direction = 2),
        ("key.attach: 0 is no VF port, must be 16 to 271", |e| {
            key(e).attach = 0
        }),
        ("key.src: 5 bytes, must be 4 or 16", |e| key(e).src.push(0)),
        ("key.dst: 0 bytes, must be 4 or 16", |e| key(e).dst.clear()),
        (
            "key.dst: fd00:: and src 10.0.0.10 are of different IP versions",
            |e| {
                key(e).dst = [&[0xfd][..], &[0; 15]].concat();
            },
        ),
        ("key.protocol: 256, must be at most 255", |e| {
            key(e).protocol = 256
        }),
        ("key.src_port: 65536, must be at most 65535", |e| {
            key(e).src_port = 65536
        }),
        ("key.vni: 16777216, must be at most 16777215", |e| {
            key(e).vni = 1 << 24
        }),
    ];
    for (text, breaks) in cases {
        let mut bad = good.clone();
        breaks(&mut bad);
        let mut machine = Machine::new();
        machine.event(Event::Opened(1));
        let installed = vec![good.clone(), bad];
        let hello = v1::Hello {
            host: "host-a".to_owned(),
            installed,
            more: false,
        };
        let effects = machine.say(1, agent_message::Message::Hello(hello));
        let (_, found) = refusal(&effects[0], 1);
        assert_eq!(
            found,
            format!("malformed message: hello: installed[1].{text}")
        );
        assert_eq!(
            (machine.nis.attached().count(), machine.nis.connections()),
            (0, 0)
        );
    }
}

fn key(entry: &mut v1::FlowEntry) -> &mut v1::FlowKey {
    entry.key.as_mut().unwrap()
}

/// What the service itself told host-a to install for a flow from blue/a to blue/b.
fn installed() -> v1::FlowEntry {
    let mut machine = Machine::attached();
    let effects = machine.say(1, punt(1, missed(BLUE_A, udp(10, 20, (5000, 53), b""))));
    let id = deliver(&effects[0], 2).id;
    let reply = reply(&machine.say(2, ack(id, ""))[0], 1);
    reply
        .entries
        .into_iter()
        .find(|entry| !entry.reply)
        .unwrap()
}

/// Whatever bytes a VM sends, cut at any place: one answer, no crash.
#[test]
fn frames_cut_anywhere_are_answered() {
    let mut machine = Machine::attached();
    let mut id = 0;
    let whole = udp(10, 40, (5000, 53), b"payload");
    for reason in 1..=5 {
        for length in 14..whole.len() {
            id += 1;
            let mut packet = missed(BLUE_A, whole[..length].to_vec());
            packet.reason = reason;
            let reply = machine.ask(1, id, packet);
            assert_ne!(
                reply.drop_reason, "",
                "{length} bytes, reason {reason}: {reply:?}"
            );
            assert!(
                reply.packets.is_empty() && !reply.explanation.is_empty(),
                "{reply:?}"
            );
        }
    }
    assert_eq!(machine.nis.connections(), 0);
}
