//! The packets that are sent and expected are what they claim to be, by the parsers of `wire`.

use std::collections::HashSet;

use flownic_pipeline::p4info::P4Info;
use flownic_wire::flow::FlowTuple;
use flownic_wire::{checksum, geneve};

use super::Workload;
use super::nic::{Direction, Nic};

const P4INFO: &str = include_str!("../../../p4/golden/flownic.p4info.txtpb");

fn nic(direction: Direction) -> Nic {
    let p4info = P4Info::from_text(P4INFO).expect("the golden P4Info");
    Nic::new(&p4info, direction, 16).expect("every name is in the program")
}

/// Every flow has an entry and a packet of its own.
#[test]
fn flows_differ() {
    for direction in [Direction::Transmit, Direction::Receive] {
        let (nic, mut seen) = (nic(direction), HashSet::new());
        for flow in 0..20_000 {
            let mut packet = Vec::new();
            let port = nic.packet(flow, &mut packet);
            assert!(seen.insert((port, packet)), "flow {flow} is there already");
        }
    }
}

/// Inner and outer headers have right lengths and checksums, and name the same flow.
#[test]
fn packets_are_well_formed() {
    let transmit = nic(Direction::Transmit);
    for flow in [0, 1, 17, 999_999] {
        let (mut inner, mut outer) = (Vec::new(), Vec::new());
        transmit.packet(flow, &mut inner);
        transmit.expected(flow, &mut outer);
        assert_eq!(inner.len(), super::INNER_BYTES);
        assert_eq!(outer[50..], inner);
        let tuple = FlowTuple::from_frame(&inner).expect("a flow").tuple;
        assert_eq!(tuple.dst_port, 443);
        assert_eq!(checksum::of(&inner[14..34]), 0);
        let sum = checksum::transport(tuple.src, tuple.dst, tuple.protocol, &inner[34..]);
        assert_eq!(sum, 0);
        assert_eq!(checksum::of(&outer[14..34]), 0);
        assert_eq!(
            usize::from(u16::from_be_bytes([outer[16], outer[17]])),
            outer.len() - 14
        );
        let tunnel = geneve::Packet::new_checked(&outer[42..]).expect("Geneve");
        assert_eq!(tunnel.vni(), 100);
    }
}
