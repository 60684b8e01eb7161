//! Evaluation against a slow, obvious evaluator, and entries against what a NIC does with them,
//! on random configurations and packets.

mod support;

use flownic_vnet::config::Config;
use flownic_vnet::entry::{Action, Direction, FlowEntry, FlowKey, Routed};
use flownic_vnet::{
    Connection, DropReason, Evaluation, Fabric, Origin, Packet, Verdict, VersionTable, diff,
    evaluate,
};
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;
use proptest::collection::vec;
use proptest::prelude::*;

use support::generate::{self, Sent};
use support::reference::{self, Outcome};
use support::write;

fn versions(config: &Config) -> VersionTable {
    let mut versions = VersionTable::default();
    versions.advance(&diff(&Config::default(), config), 1);
    versions
}

fn fabric(config: &Config) -> Fabric {
    Fabric::compile(config, &versions(config))
}

fn origin<'a>(sent: &'a Sent<'_>) -> Origin<'a> {
    Origin::Vf {
        host: &sent.sender.host,
        port: sent.sender.port(),
        vlan: sent.sender.vlan,
    }
}

fn outcome(evaluation: &Evaluation) -> Outcome {
    match &evaluation.verdict {
        Verdict::Allow(path) => Outcome::Allow {
            receiver: path.receiver.to_string(),
            rewrite: path.routed.map(|routed| (routed.src_mac, routed.dst_mac)),
        },
        Verdict::Deny(reason) => Outcome::Deny(*reason),
        Verdict::GatewayEcho => Outcome::GatewayEcho,
    }
}

/// What a NIC does with a packet by its entries.
#[derive(Debug, PartialEq, Eq)]
enum Forwarded {
    Vf { port: u16, vlan: u16, macs: Macs },
    Denied(DropReason),
    Miss,
}

type Macs = (MacAddr, MacAddr);

/// The pipeline, as far as entries steer it.
fn look_up(entries: &[FlowEntry], key: &FlowKey) -> Option<Action> {
    let entry = entries.iter().find(|entry| entry.key == *key);
    entry.map(|entry| entry.action)
}

fn rewritten(macs: Macs, routed: Option<Routed>) -> Macs {
    routed.map_or(macs, |routed| (routed.src_mac, routed.dst_mac))
}

/// A packet from a VF through the NIC that holds `near`, and through a tunnel that which holds
/// `far`.
fn forward(
    near: &[FlowEntry],
    far: &[FlowEntry],
    fabric: &Fabric,
    from: &flownic_vnet::Vnic,
    tuple: FlowTuple,
    macs: Macs,
) -> Forwarded {
    let mut key = FlowKey {
        vni: from.vni,
        direction: Direction::Outbound,
        attach: u32::from(from.port),
        tuple,
    };
    match look_up(near, &key) {
        None => Forwarded::Miss,
        Some(Action::Deny { reason }) => Forwarded::Denied(reason),
        Some(Action::ToVf { port, vlan, routed }) => Forwarded::Vf {
            port,
            vlan,
            macs: rewritten(macs, routed),
        },
        Some(Action::ToTunnel {
            remote_vtep,
            routed,
            tunnel,
        }) => {
            assert_eq!(tunnel, fabric.network(from.vni).unwrap().tunnel);
            assert!(fabric.host_by_vtep(remote_vtep).is_some());
            assert_ne!(remote_vtep, from.vtep, "a tunnel to itself");
            let macs = rewritten(macs, routed);
            key.direction = Direction::Inbound;
            key.attach = from.vtep.to_bits();
            match look_up(far, &key) {
                None => Forwarded::Miss,
                Some(Action::Deny { reason }) => Forwarded::Denied(reason),
                Some(Action::ToVf { port, vlan, routed }) => Forwarded::Vf {
                    port,
                    vlan,
                    macs: rewritten(macs, routed),
                },
                Some(Action::ToTunnel { .. }) => panic!("from a tunnel into a tunnel"),
            }
        }
    }
}

/// Holds an evaluation against what NICs with its entries do.
fn check_entries(config: &Config, fabric: &Fabric, sent: &Sent<'_>, evaluation: &Evaluation) {
    let packet = &sent.packet;
    let sender = fabric
        .vnic_by_name(&format!("{}/{}", sent.network.name, sent.sender.name))
        .unwrap();
    let macs = (packet.src_mac, packet.dst_mac);
    let (near, far) = (&evaluation.sender, &evaluation.receiver);
    for entry in near.iter().chain(far) {
        let owner = fabric.vnic_by_name(&entry.vnic).unwrap();
        let here = near.contains(entry);
        assert_eq!(here, owner.host == sender.host, "entry at the wrong NIC");
        assert_eq!(
            entry.vn_versions,
            fabric.network(sender.vni).unwrap().versions
        );
        assert_eq!(entry.vnic_versions, owner.versions);
        assert_eq!(entry.key.vni, sender.vni);
    }
    let forwarded = forward(near, far, fabric, sender, packet.tuple, macs);
    match &evaluation.verdict {
        Verdict::Allow(path) => {
            let expected = Forwarded::Vf {
                port: path.port,
                vlan: path.vlan,
                macs: rewritten(macs, path.routed),
            };
            if near.is_empty() {
                assert!(matches!(packet.connection, Connection::Related(_)));
            } else {
                assert_eq!(forwarded, expected);
                check_inbound(fabric, sender, packet, evaluation);
                check_reverse(config, fabric, sent, evaluation);
            }
        }
        Verdict::Deny(DropReason::TtlExpired) => assert!(far.is_empty()),
        Verdict::Deny(reason) => {
            assert!(far.is_empty() && near.len() <= 1);
            assert!(
                matches!(forwarded, Forwarded::Miss) || forwarded == Forwarded::Denied(*reason)
            );
        }
        Verdict::GatewayEcho => assert!(near.is_empty() && far.is_empty()),
    }
}

/// R1.3: when the receiver's NIC has lost its entries, the miss there brings back the same ones.
fn check_inbound(
    fabric: &Fabric,
    sender: &flownic_vnet::Vnic,
    packet: &Packet,
    evaluation: &Evaluation,
) {
    let Verdict::Allow(path) = &evaluation.verdict else {
        return;
    };
    if path.local {
        return;
    }
    let (src_mac, dst_mac) = rewritten((packet.src_mac, packet.dst_mac), path.routed);
    let tunnelled = Packet {
        src_mac,
        dst_mac,
        ..*packet
    };
    let origin = Origin::Tunnel {
        host: &path.host,
        source: sender.vtep,
        vni: sender.vni,
    };
    let inbound = evaluate(fabric, &origin, &tunnelled);
    assert_eq!(
        inbound.receiver,
        evaluation.receiver,
        "{}",
        inbound.explanation()
    );
    assert!(inbound.sender.is_empty());
}

/// R1.9: the reverse direction is forwarded by entries exactly when evaluation would allow it as
/// part of this connection.
fn check_reverse(config: &Config, fabric: &Fabric, sent: &Sent<'_>, evaluation: &Evaluation) {
    let tuple = sent.packet.tuple;
    let Some(reverse) = tuple.reverse() else {
        assert_eq!(evaluation.established, None);
        return;
    };
    let receiver = fabric
        .vnic_by_address(sent.sender_vni(), tuple.dst)
        .unwrap();
    let receiver_config = sent
        .network
        .vnics
        .iter()
        .find(|v| v.addresses.contains(&tuple.dst));
    let dst_mac = generate::next_hop_mac(sent.network, receiver_config.unwrap(), reverse.dst);
    let forwarded = forward(
        &evaluation.receiver_side(),
        &evaluation.sender,
        fabric,
        receiver,
        reverse,
        (receiver.mac, dst_mac),
    );
    let Some(established) = evaluation.established else {
        assert_eq!(forwarded, Forwarded::Miss, "an entry that nobody allowed");
        return;
    };
    let connection = if established == reverse {
        Connection::New
    } else {
        Connection::Reply
    };
    let packet = Packet {
        tuple: reverse,
        src_mac: receiver.mac,
        dst_mac,
        ttl: 64,
        connection,
    };
    let origin = Origin::Vf {
        host: &receiver.host,
        port: receiver.port,
        vlan: receiver.vlan,
    };
    let back = evaluate(fabric, &origin, &packet);
    let Verdict::Allow(path) = &back.verdict else {
        panic!(
            "the entry allows what evaluation does not: {}",
            back.explanation()
        );
    };
    assert_eq!(
        reference::evaluate(config, &origin, &packet),
        outcome(&back)
    );
    let expected = Forwarded::Vf {
        port: path.port,
        vlan: path.vlan,
        macs: rewritten((receiver.mac, dst_mac), path.routed),
    };
    assert_eq!(forwarded, expected);
}

trait Sides {
    /// Entries of the NIC that the receiver is on.
    fn receiver_side(&self) -> Vec<FlowEntry>;
}

impl Sides for Evaluation {
    fn receiver_side(&self) -> Vec<FlowEntry> {
        let local = matches!(&self.verdict, Verdict::Allow(path) if path.local);
        if local {
            self.sender.clone()
        } else {
            self.receiver.clone()
        }
    }
}

impl Sent<'_> {
    fn sender_vni(&self) -> u32 {
        self.network.vni
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// R1.9: fast and slow evaluation agree on every packet, and NICs do with the entries what
    /// the verdict says.
    #[test]
    fn r1_9_fast_is_the_reference(
        config in generate::config(),
        shapes in vec(generate::shape(), 20),
    ) {
        let fabric = fabric(&config);
        for shape in &shapes {
            let sent = shape.place(&config);
            let origin = origin(&sent);
            let evaluation = evaluate(&fabric, &origin, &sent.packet);
            let expected = reference::evaluate(&config, &origin, &sent.packet);
            prop_assert_eq!(
                outcome(&evaluation), expected, "{:?}: {}", sent.packet, evaluation.explanation()
            );
            check_entries(&config, &fabric, &sent, &evaluation);
        }
    }

    /// R1.3: the same for packets that come from a tunnel, right and spoofed.
    #[test]
    fn r1_3_fast_is_the_reference_from_tunnels(
        config in generate::config(),
        shapes in vec((generate::shape(), 0usize..3, 0usize..3, 0u32..3), 20),
    ) {
        let fabric = fabric(&config);
        for (shape, at, from, vni) in &shapes {
            let sent = shape.place(&config);
            let at = &config.hosts[*at];
            let from = &config.hosts[*from];
            let vni = if *vni == 2 { 999 } else { sent.network.vni };
            let origin = Origin::Tunnel { host: &at.name, source: from.vtep, vni };
            let evaluation = evaluate(&fabric, &origin, &sent.packet);
            let expected = reference::evaluate(&config, &origin, &sent.packet);
            prop_assert_eq!(
                outcome(&evaluation), expected, "{:?}: {}", sent.packet, evaluation.explanation()
            );
            prop_assert!(evaluation.sender.is_empty());
        }
    }

    /// R1.5: after a change, an entry whose versions are still current does what evaluation says
    /// now. This is what makes comparison of versions safe.
    #[test]
    fn r1_5_current_entries_are_right_after_any_change(
        config in generate::config(),
        mutations in vec(generate::mutation(), 1..3),
        network in 0usize..2,
        shapes in vec(generate::shape(), 20),
    ) {
        let mut changed = config.clone();
        for mutation in &mutations {
            if !changed.networks[network].vnics.is_empty() {
                mutation.apply(&mut changed, network);
            }
        }
        let checked = Config::parse("changed.toml", &write::toml(&changed));
        prop_assume!(checked.is_ok());
        let mut table = versions(&config);
        let before = Fabric::compile(&config, &table);
        table.advance(&diff(&config, &changed), 2);
        let after = Fabric::compile(&changed, &table);
        for shape in &shapes {
            let sent = shape.place(&config);
            let origin = origin(&sent);
            let old = evaluate(&before, &origin, &sent.packet);
            let new = evaluate(&after, &origin, &sent.packet);
            for (entries, now) in [(&old.sender, &new.sender), (&old.receiver, &new.receiver)] {
                for entry in entries {
                    let current = entry.vn_versions == table.vn(entry.key.vni)
                        && entry.vnic_versions == table.vnic(&entry.vnic);
                    prop_assert!(
                        !current || now.contains(entry),
                        "{:?} is current after {:?}, but now: {}",
                        entry, mutations, new.explanation()
                    );
                }
            }
        }
    }

    /// R1.9: what is written down is read back.
    #[test]
    fn r1_9_configurations_survive_the_file(config in generate::config()) {
        let toml = write::toml(&config);
        let read = Config::parse("generated.toml", &toml);
        prop_assert_eq!(read, Ok(config), "{}", toml);
    }

    /// R1.9: a file with anything in it is read or refused, never a panic.
    #[test]
    fn r1_9_corrupted_files(config in generate::config(), at in any::<prop::sample::Index>(), with in ".{0,3}") {
        let mut toml = write::toml(&config);
        let at = at.index(toml.len());
        toml.replace_range(at..=at, &with);
        if let Err(errors) = Config::parse("broken.toml", &toml) {
            prop_assert!(errors.to_string().contains("broken.toml:"));
        }
    }
}
