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

/// R7.2: P4Runtime requests are byte for byte what its reference implementation writes.
#[test]
fn p4runtime_messages_have_the_wire_form_of_other_implementations() {
    use crate::p4::v1::{self as p4, action, entity, field_match, table_action};

    let matching = |field_id, kind| p4::FieldMatch {
        field_id,
        field_match_type: Some(kind),
    };
    let lpm = field_match::Lpm {
        value: vec![10, 0],
        prefix_len: 9,
    };
    let ternary = field_match::Ternary {
        value: vec![1],
        mask: vec![3],
    };
    let optional = field_match::Optional { value: vec![5] };
    let range = field_match::Range {
        low: vec![1],
        high: vec![2],
    };
    let entry = p4::TableEntry {
        table_id: 0x0200_0001,
        priority: 7,
        r#match: vec![
            matching(1, field_match::FieldMatchType::Lpm(lpm)),
            matching(2, field_match::FieldMatchType::Ternary(ternary)),
            matching(3, field_match::FieldMatchType::Optional(optional)),
            matching(4, field_match::FieldMatchType::Range(range)),
        ],
        action: Some(p4::TableAction {
            r#type: Some(table_action::Type::Action(p4::Action {
                action_id: 0x0100_0001,
                params: vec![action::Param {
                    param_id: 1,
                    value: vec![9],
                }],
            })),
        }),
        counter_data: Some(p4::CounterData {
            byte_count: 100,
            packet_count: 3,
        }),
        metadata: b"m".to_vec(),
        ..Default::default()
    };
    let request = p4::WriteRequest {
        device_id: 1,
        role: "r".to_owned(),
        election_id: Some(p4::Uint128 { high: 1, low: 2 }),
        atomicity: p4::write_request::Atomicity::DataplaneAtomic as i32,
        updates: vec![p4::Update {
            r#type: p4::update::Type::Modify as i32,
            entity: Some(p4::Entity {
                entity: Some(entity::Entity::TableEntry(entry)),
            }),
        }],
        ..Default::default()
    };
    assert_eq!(
        hex(&request.encode_to_vec()),
        "08011a040801100222530802124f124d0881808010120a080122060a020a0010\
         09120a08021a060a0101120103120708033a030a0105120a080432060a010112\
         01021a0e0a0c0881808008220510011a010920073a04086410035a016d280232\
         0172"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
