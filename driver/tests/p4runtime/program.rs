//! The P4Info of a small program: every match kind, a direct counter, arrays, controller headers.

use flownic_pipeline::entity::{
    Action, Entity, FieldMatch, MatchValue, TableEntry, Update, UpdateKind,
};
use flownic_pipeline::p4info::P4Info;

pub const FLOWS: u32 = 0x0200_0001;
pub const RULES: u32 = 0x0200_0002;
pub const FORWARD: u32 = 0x0100_0001;
pub const PACKETS: u32 = 0x1200_0001;
pub const VERSIONS: u32 = 0x1600_0001;

pub fn p4info() -> P4Info {
    P4Info::from_text(
        r#"
        pkg_info { name: "small" version: "3" arch: "v1model" }
        tables {
          preamble { id: 33554433 name: "ingress.flows" alias: "flows" }
          match_fields { id: 1 name: "port" bitwidth: 16 match_type: EXACT }
          match_fields { id: 2 name: "address" bitwidth: 32 match_type: EXACT }
          action_refs { id: 16777217 }
          direct_resource_ids: 318767105
          size: 4000
        }
        tables {
          preamble { id: 33554434 name: "ingress.rules" alias: "rules" }
          match_fields { id: 1 name: "route" bitwidth: 32 match_type: LPM }
          match_fields { id: 2 name: "flags" bitwidth: 8 match_type: TERNARY }
          match_fields { id: 3 name: "ports" bitwidth: 16 match_type: RANGE }
          match_fields { id: 4 name: "vlan" bitwidth: 12 match_type: OPTIONAL }
          action_refs { id: 16777217 }
          size: 4
        }
        actions {
          preamble { id: 16777217 name: "ingress.forward" alias: "forward" }
          params { id: 1 name: "port" bitwidth: 9 }
          params { id: 2 name: "mac" bitwidth: 48 }
        }
        counters {
          preamble { id: 301989889 name: "ingress.packets" alias: "packets" }
          spec { unit: BOTH }
          size: 4096
        }
        direct_counters {
          preamble { id: 318767105 name: "ingress.hits" alias: "hits" }
          spec { unit: BOTH }
          direct_table_id: 33554433
        }
        controller_packet_metadata {
          preamble { id: 67108865 name: "packet_in" alias: "packet_in" }
          metadata { id: 1 name: "port" bitwidth: 16 }
          metadata { id: 2 name: "reason" bitwidth: 8 }
        }
        controller_packet_metadata {
          preamble { id: 67108866 name: "packet_out" alias: "packet_out" }
          metadata { id: 1 name: "port" bitwidth: 16 }
          metadata { id: 2 name: "reason" bitwidth: 8 }
        }
        registers {
          preamble { id: 369098753 name: "ingress.versions" alias: "versions" }
          type_spec { bitstring { bit { bitwidth: 32 } } }
          size: 4096
        }
        "#,
    )
    .unwrap()
}

pub fn action(port: u8) -> Action {
    Action {
        id: FORWARD,
        params: vec![(1, vec![port]), (2, vec![2, 0, 0, 0, 0, port])],
    }
}

pub fn exact(field: u32, value: &[u8]) -> FieldMatch {
    FieldMatch {
        field,
        value: MatchValue::Exact(value.to_vec()),
    }
}

/// Flow `number` of the table of flows, to port 5.
pub fn flow(number: u16) -> TableEntry {
    let number = flownic_pipeline::entity::canonical(&number.to_be_bytes()).to_vec();
    TableEntry {
        table: FLOWS,
        matches: vec![exact(1, &[16]), exact(2, &number)],
        action: Some(action(5)),
        ..Default::default()
    }
}

/// A rule with a key of every other match kind.
pub fn rule(priority: i32) -> TableEntry {
    let field = |field, value| FieldMatch { field, value };
    TableEntry {
        table: RULES,
        matches: vec![
            field(
                1,
                MatchValue::Lpm {
                    value: vec![10, 0, 0, 0],
                    prefix_len: 8,
                },
            ),
            field(
                2,
                MatchValue::Ternary {
                    value: vec![2],
                    mask: vec![6],
                },
            ),
            field(
                3,
                MatchValue::Range {
                    low: vec![80],
                    high: vec![0x1f, 0x90],
                },
            ),
            field(4, MatchValue::Optional(vec![7])),
        ],
        priority,
        action: Some(action(3)),
        ..Default::default()
    }
}

pub fn update(kind: UpdateKind, entry: TableEntry) -> Update {
    Update {
        kind,
        entity: Entity::TableEntry(entry),
    }
}
