//! Configurations: what the NIC holds then, the order of the steps, and restarts.

mod support;

use std::collections::BTreeMap;
use std::net::IpAddr;

use flownic_agent::state::contents::Mirror;
use flownic_agent::state::{Input, Settings};
use flownic_agent::tables::flow::Scope;
use flownic_api::v1;
use flownic_api::v1::agent_message::Message as ToService;
use flownic_api::v1::nis_message::Message;
use flownic_pipeline::entity::{Entity, UpdateKind};
use flownic_versions::Versions;
use support::bench::{Bench, bench, configured, tables_of};
use support::messages::*;
use support::p4info;
use support::store::Store;

/// R2.6: a VF may send from what its VNIC owns: MAC, addresses, ARP for them and probes,
/// link-local and unspecified IPv6; nothing else is permitted.
#[test]
fn a_vf_is_guarded_by_what_its_vnic_owns() {
    let mut bench = bench();
    bench.configure(configure(1, vec![vnic("blue/a", BLUE, 3, 10)]));
    let count = |table: &str| bench.store.table(table).len();
    assert_eq!(count("port_map"), 2, "the uplink and one VF");
    assert_eq!(count("vf_attach"), 1);
    assert_eq!(count("vf_mac"), 1);
    assert_eq!(count("vf_arp"), 2, "its address and 0.0.0.0");
    assert_eq!(count("vf_ipv4"), 1);
    assert_eq!(count("vf_ipv6"), 3, "its address, fe80::/10 and ::");
    assert_eq!(count("tunnel_termination"), 1);
    assert_eq!(count("underlay_route"), 2);
    let guards = bench.state.mirror().configuration.vf_ipv6.keys();
    let mut prefixes: Vec<u32> = guards.map(|key| key.prefix_len).collect();
    prefixes.sort_unstable();
    assert_eq!(prefixes, [10, 128, 128]);
}

/// R2.6: guards are in before a VF is attached, so that there is no moment without them.
#[test]
fn guards_come_before_the_attachment() {
    let mut bench = bench();
    bench.configure(two_tenants(1));
    let order = tables_of(&bench.written);
    let position = |what: &str| order.iter().position(|name| name == what).expect(what);
    for guard in ["vf_mac", "vf_arp", "vf_ipv4", "vf_ipv6"] {
        assert!(
            position(&format!("insert {guard}")) < position("insert vf_attach"),
            "{order:?}"
        );
    }
    assert_eq!(position("versions"), 0, "{order:?}");
}

/// R2.6: what leaves is cut off first, then its guards go, then its flows; its versions become 0
/// before all of it.
#[test]
fn a_removed_vnic_leaves_in_the_reverse_order() {
    let mut bench = configured();
    let id = punted(&mut bench);
    bench.say(Message::PuntReply(v1::PuntReply {
        id,
        entries: vec![to_tunnel(
            outbound_key(BLUE, 0, (10, 20), 1000),
            "blue/a",
            1,
        )],
        ..Default::default()
    }));
    bench.run();
    assert_eq!(bench.state.mirror().flows.len(), 1);
    bench.written.clear();
    bench.configure(configure(
        2,
        vec![vnic("blue/b", BLUE, 1, 20), vnic("red/a", RED, 8, 10)],
    ));
    assert_eq!(
        tables_of(&bench.written),
        [
            "versions",
            "delete vf_attach",
            "delete port_map",
            "delete vf_mac",
            "delete vf_arp",
            "delete vf_ipv4",
            "delete vf_ipv6",
            "delete flow_ipv4"
        ]
    );
    assert!(bench.state.mirror().flows.is_empty());
}

fn punted(bench: &mut Bench) -> u64 {
    use flownic_agent::tables::packet_io::PuntReason;
    bench.punt(
        &punt_header(PuntReason::Miss, BLUE, 0),
        udp_frame((10, 20), 1000, 64, 10),
    );
    bench.punted_id()
}

/// A VF whose network changes is detached, guarded anew and attached again.
#[test]
fn a_vf_that_changes_its_network_is_cut_off_in_between() {
    let mut bench = bench();
    bench.configure(configure(1, vec![vnic("blue/a", BLUE, 0, 10)]));
    bench.written.clear();
    bench.configure(configure(2, vec![vnic("red/a", RED, 0, 11)]));
    let order = tables_of(&bench.written);
    let position = |what: &str| order.iter().position(|name| name == what).expect(what);
    let steps = [
        "versions",
        "delete vf_attach",
        "delete vf_mac",
        "insert vf_mac",
        "insert vf_attach",
    ];
    let positions: Vec<usize> = steps.iter().map(|step| position(step)).collect();
    assert!(positions.is_sorted(), "{order:?}");
}

#[test]
fn the_same_configuration_again_writes_nothing() {
    let mut bench = configured();
    bench.batches.clear();
    bench.configure(two_tenants(2));
    assert_eq!(bench.batches, [] as [usize; 0]);
}

/// R1.5: a changed part of a network is one register write, however many flows there are.
#[test]
fn a_new_version_is_one_register_write() {
    let mut bench = configured();
    bench.batches.clear();
    bench.written.clear();
    let mut next = two_tenants(2);
    next.vns[0].versions.as_mut().unwrap().security = 2;
    bench.configure(next);
    assert_eq!(bench.batches, [1]);
    assert!(matches!(bench.written[0].entity, Entity::Register { .. }));
    assert_eq!(bench.written[0].kind, UpdateKind::Modify);
}

/// What makes a configuration wrong.
type Change = &'static dyn Fn(&mut v1::Configure);

#[test]
fn a_wrong_configuration_is_refused_as_a_whole_and_says_where() {
    let cases: [(&str, Change); 9] = [
        ("self: is missing", &|c| c.self_ = None),
        ("self: is for host \"host-b\"", &|c| {
            c.self_.as_mut().unwrap().name = "host-b".into()
        }),
        ("vnics[1] \"blue/b\": a MAC has 5 bytes", &|c| {
            c.vnics[1].mac.truncate(5)
        }),
        (
            "vnics[1] \"blue/b\": vf 0 vlan 0 is taken by \"blue/a\"",
            &|c| c.vnics[1].vf = 0,
        ),
        ("vnics[2] \"red/a\": vf 256 is not below 256", &|c| {
            c.vnics[2].vf = 256
        }),
        ("vnics[0] \"blue/a\": an address has 5 bytes", &|c| {
            c.vnics[0].addresses[0].push(0)
        }),
        ("vnics[0] \"blue/a\": vns has no versions", &|c| {
            c.vns.retain(|vn| vn.vni != BLUE)
        }),
        ("vns[1] vni 200: version 0 is never current", &|c| {
            c.vns[1].versions.as_mut().unwrap().lb = 0;
        }),
        ("peers[1] \"host-c\": vtep 192.0.2.2 is there twice", &|c| {
            c.peers[1].vtep -= 1
        }),
    ];
    for (expected, change) in cases {
        let mut bench = configured();
        let before = bench.store.entries();
        let mut wrong = two_tenants(7);
        change(&mut wrong);
        bench.say(Message::Configure(wrong));
        bench.run();
        match &bench.messages()[..] {
            [ToService::Ack(ack)] if ack.id == 7 => {
                assert!(
                    ack.error.contains(expected),
                    "\"{}\" lacks \"{expected}\"",
                    ack.error
                );
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.store.entries(), before);
    }
}

/// A step that fails stops those that rely on it: no VF is attached without its guard.
#[test]
fn a_full_guard_table_keeps_the_vf_detached_and_is_told() {
    let mut store = Store::new(p4info());
    store.resize("vf_ipv4", 1);
    let mut bench = Bench::new(Settings::new(HOST), store);
    bench.connect(1);
    bench.messages();
    bench.say(Message::Configure(two_tenants(1)));
    bench.run();
    assert_eq!(bench.store.table("vf_attach").len(), 0);
    match &bench.messages()[..] {
        [ToService::Ack(ack)] => assert!(ack.error.contains("vf_ipv4: full"), "{}", ack.error),
        other => panic!("{other:?}"),
    }
    // When there is room again the same configuration gets in.
    bench.store.resize("vf_ipv4", 100);
    bench.configure(two_tenants(2));
    assert_eq!(bench.store.table("vf_attach").len(), 3);
}

/// An agent that starts anew finds slots and flows in the NIC and changes nothing of them.
#[test]
fn a_restarted_agent_keeps_flows_and_slots() {
    let mut bench = configured();
    // Slots in another order than a fresh agent would give them.
    bench.configure(configure(2, vec![vnic("red/a", RED, 8, 10)]));
    bench.configure(two_tenants(3));
    install_pair(&mut bench);
    let before = (bench.store.entries(), bench.store.registers().clone());
    assert_eq!(bench.state.mirror().flows.len(), 2);

    let mut bench = Bench::new(Settings::new(HOST), bench.store);
    bench.connect(1);
    match &bench.messages()[..] {
        [ToService::Hello(hello)] => {
            assert_eq!(hello.installed.len(), 2);
            assert!(
                hello.installed.iter().all(|flow| flow.vnic.is_empty()),
                "not known yet"
            );
        }
        other => panic!("{other:?}"),
    }
    bench.configure(two_tenants(1));
    let after = (bench.store.entries(), bench.store.registers().clone());
    assert_eq!(after.0, before.0);
    let flows = bench.state.flows(bench.now, Some(BLUE));
    assert_eq!(flows.len(), 2);
    assert!(
        flows
            .iter()
            .all(|flow| flow.current && flow.entry.vnic == "blue/a"),
        "{flows:?}"
    );
}

/// Flows of VNICs that left while no agent ran are removed, and their slots are given out only
/// afterwards; those of others stay.
#[test]
fn a_restarted_agent_removes_flows_of_what_left() {
    let mut bench = configured();
    install_pair(&mut bench);
    let red = to_tunnel(outbound_key(RED, 8, (10, 20), 1000), "red/a", 1);
    deliver(&mut bench, vec![red]);
    assert_eq!(bench.state.mirror().flows.len(), 3);
    let mut bench = Bench::new(Settings::new(HOST), bench.store);
    bench.connect(1);
    bench.messages();
    bench.written.clear();
    // blue/a and with it two flows are gone; a new VNIC needs a slot.
    let vnics = vec![vnic("blue/c", BLUE, 5, 30), vnic("red/a", RED, 8, 10)];
    bench.say(Message::Configure(configure(1, vnics)));
    while bench.step() {
        // From the first write on: its slot must not come alive under a new owner.
        let alive = alive_flows(&bench);
        assert!(!alive.contains(&(BLUE, [10, 0, 0, 10].into())), "{alive:?}");
    }
    let flows = bench.state.flows(bench.now, None);
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert!(flows[0].current && flows[0].entry.vnic == "red/a");
    assert_eq!(bench.store.table("flow_ipv4").len(), 1);
}

/// Networks and sources of the flow entries whose versions are those in the NIC's registers.
fn alive_flows(bench: &Bench) -> Vec<(u32, IpAddr)> {
    let mut mirror = Mirror::default();
    for (&(register, index), value) in bench.store.registers() {
        mirror.put_register(&bench.tables, register, index, value);
    }
    let current = |of: &BTreeMap<u16, Versions>, scope: Scope| {
        of.get(&scope.slot).copied().unwrap_or_default() == scope.versions
    };
    let entries = bench.store.table("flow_ipv4").into_iter();
    let flows = entries.map(|entry| bench.tables.flows.decode(&entry).expect("readable"));
    flows
        .filter(|(_, action)| {
            current(&mirror.vn_versions, action.vn) && current(&mirror.vnic_versions, action.vnic)
        })
        .map(|(key, _)| (key.vni, key.tuple.src))
        .collect()
}

fn deliver(bench: &mut Bench, entries: Vec<v1::FlowEntry>) {
    bench.say(Message::Deliver(v1::Deliver {
        id: 50,
        entries,
        packets: Vec::new(),
    }));
    bench.run();
    match &bench.messages()[..] {
        [ToService::Ack(ack)] if ack.error.is_empty() => {}
        other => panic!("{other:?}"),
    }
}

/// Two entries of blue/a: from it, and to it.
fn install_pair(bench: &mut Bench) {
    let out = to_tunnel(outbound_key(BLUE, 0, (10, 99), 1000), "blue/a", 1);
    deliver(bench, vec![out, to_vf(BLUE, 0, (99, 10), 1000, "blue/a")]);
}

/// A NIC that lost its memory gets everything but the flows again, without a word of the service.
#[test]
fn a_nic_that_lost_its_memory_is_filled_again() {
    let mut bench = configured();
    let before = bench.store.entries();
    bench.input(Input::NicDown("power".into()));
    bench.store.clear();
    bench.nic_up();
    assert_eq!(bench.store.entries(), before);
}

/// While the NIC is gone the service hears so, and the configuration is kept for its return.
#[test]
fn a_configuration_for_a_lost_nic_is_kept() {
    let mut bench = bench();
    bench.input(Input::NicDown("unplugged".into()));
    bench.say(Message::Configure(two_tenants(4)));
    match &bench.messages()[..] {
        [ToService::Ack(ack)] => assert!(ack.error.contains("unplugged"), "{}", ack.error),
        other => panic!("{other:?}"),
    }
    bench.nic_up();
    assert_eq!(bench.store.table("vf_attach").len(), 3);
}
