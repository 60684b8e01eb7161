//! The generated code is what the sources say.

use prost::Message as _;

use crate::v1::{Direction, FlowEntry, FlowKey, ToVf, Versions, flow_entry::Action};

/// R1.2: an entry survives the wire unchanged, with its exact key and both version vectors.
#[test]
fn a_flow_entry_survives_the_wire() {
    let versions = Versions {
        security: 1,
        mapping: 2,
        route: 3,
        policy: 4,
        lb: 5,
    };
    let entry = FlowEntry {
        key: Some(FlowKey {
            vni: 100,
            direction: Direction::Inbound as i32,
            attach: 0xc000_0201,
            src: vec![10, 0, 0, 10],
            dst: vec![10, 0, 0, 20],
            protocol: 6,
            src_port: 40_000,
            dst_port: 80,
        }),
        action: Some(Action::ToVf(ToVf {
            port: 16,
            vlan: 0,
            routed: None,
        })),
        vnic: "blue/b".to_owned(),
        vn_versions: Some(versions),
        vnic_versions: Some(versions),
        reply: true,
    };
    let bytes = entry.encode_to_vec();
    assert_eq!(FlowEntry::decode(&bytes[..]).unwrap(), entry);
    // Fields in the order and with the numbers of the source: a renumbering breaks running peers.
    assert_eq!(&bytes[..4], &[0x0a, 30, 0x08, 100]);
}
