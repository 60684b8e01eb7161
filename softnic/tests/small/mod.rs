//! A small program in bmv2 JSON, built in place so that tests can change any part of it.
//!
//! ```text
//! header h { kind: 8, length: 8, value: 16 }      header o { options: varbit<64>, tail: 8 }
//! start: extract h; select kind { 1 &&& 0x0f: extract o, `length` bytes; default: accept }
//! ingress: table t { key = h.kind: exact; h.value: lpm } forward(port: 9, mark: 16) | drop()
//! deparser: h, o
//! ```

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use flownic_pipeline::entity::{
    Action, Atomicity, Entity, FieldMatch, MatchValue, TableEntry, Update, UpdateKind,
};
use flownic_pipeline::p4info::P4Info;
use flownic_softnic::{Engine, LoadError, Options};
use serde_json::{Value, json};

pub const TABLE: u32 = 0x0200_0001;
pub const FORWARD: u32 = 0x0100_0001;
pub const DROP: u32 = 0x0100_0002;

pub fn field(header: &str, name: &str) -> Value {
    json!({"type": "field", "value": [header, name]})
}

pub fn hex(value: &str) -> Value {
    json!({"type": "hexstr", "value": value})
}

pub fn expression(op: &str, left: Value, right: Value) -> Value {
    json!({"type": "expression", "value": {"op": op, "left": left, "right": right}})
}

/// Standard metadata with the fields that the target needs.
pub fn standard_metadata() -> Value {
    json!({"name": "standard_metadata", "id": 0, "fields": [
        ["ingress_port", 9, false], ["egress_spec", 9, false], ["egress_port", 9, false],
        ["instance_type", 32, false], ["packet_length", 32, false],
        ["parser_error", 32, false], ["checksum_error", 1, false], ["_padding", 4, false]]})
}

pub fn program() -> Value {
    let default =
        |value: Value| json!({"type": "default", "value": null, "mask": null, "next_state": value});
    json!({
        "header_types": [
            standard_metadata(),
            {"name": "h_t", "id": 1, "fields": [["kind", 8, false], ["length", 8, false], ["value", 16, false]]},
            {"name": "o_t", "id": 2, "fields": [["options", "*"], ["tail", 8, false]], "max_length": 9},
        ],
        "headers": [
            {"name": "standard_metadata", "id": 0, "header_type": "standard_metadata", "metadata": true},
            {"name": "h", "id": 1, "header_type": "h_t", "metadata": false},
            {"name": "o", "id": 2, "header_type": "o_t", "metadata": false},
        ],
        "header_stacks": [], "header_union_types": [], "header_unions": [], "header_union_stacks": [],
        "field_lists": [],
        "errors": [["NoError", 0], ["PacketTooShort", 1], ["HeaderTooShort", 4]],
        "enums": [],
        "parsers": [{"name": "parser", "id": 0, "init_state": "start", "parse_states": [
            {"name": "start", "id": 0,
             "parser_ops": [{"op": "extract", "parameters": [{"type": "regular", "value": "h"}]}],
             "transition_key": [field("h", "kind")],
             "transitions": [
                {"type": "hexstr", "value": "0x01", "mask": "0x0f", "next_state": "options"},
                default(Value::Null)]},
            {"name": "options", "id": 1,
             "parser_ops": [{"op": "extract_VL", "parameters": [
                {"type": "regular", "value": "o"},
                {"type": "expression", "value": expression("<<", field("h", "length"), hex("0x3"))}]}],
             "transition_key": [], "transitions": [default(Value::Null)]},
        ]}],
        "parse_vsets": [],
        "deparsers": [{"name": "deparser", "id": 0, "order": ["h", "o"], "primitives": []}],
        "meter_arrays": [], "counter_arrays": [], "register_arrays": [], "calculations": [],
        "learn_lists": [],
        "actions": [
            {"name": "forward", "id": 0,
             "runtime_data": [{"name": "port", "bitwidth": 9}, {"name": "mark", "bitwidth": 16}],
             "primitives": [
                {"op": "assign", "parameters": [field("standard_metadata", "egress_spec"),
                    {"type": "runtime_data", "value": 0}]},
                {"op": "assign", "parameters": [field("h", "value"),
                    {"type": "expression", "value": expression("+", field("h", "value"),
                        json!({"type": "local", "value": 1}))}]},
             ]},
            {"name": "drop", "id": 1, "runtime_data": [], "primitives": [
                {"op": "mark_to_drop", "parameters": [{"type": "header", "value": "standard_metadata"}]}]},
        ],
        "pipelines": [
            {"name": "ingress", "id": 0, "init_table": "t", "action_profiles": [], "conditionals": [],
             "tables": [{"name": "t", "id": 0, "match_type": "lpm", "type": "simple", "max_size": 4,
                "key": [
                    {"match_type": "exact", "name": "h.kind", "target": ["h", "kind"], "mask": null},
                    {"match_type": "lpm", "name": "h.value", "target": ["h", "value"], "mask": null}],
                "with_counters": false, "support_timeout": false, "direct_meters": null,
                "action_ids": [0, 1], "actions": ["forward", "drop"], "base_default_next": null,
                "next_tables": {"forward": null, "drop": null},
                "default_entry": {"action_id": 1, "action_const": false, "action_data": [],
                    "action_entry_const": false}}]},
            {"name": "egress", "id": 1, "init_table": null, "tables": [], "action_profiles": [],
             "conditionals": []},
        ],
        "checksums": [], "force_arith": [], "extern_instances": [], "field_aliases": [],
        "__meta__": {"version": [2, 23], "compiler": "none"},
    })
}

pub fn p4info() -> P4Info {
    let text = json!({
        "tables": [{"preamble": {"id": TABLE, "name": "t", "alias": "t"},
            "matchFields": [
                {"id": 1, "name": "h.kind", "bitwidth": 8, "matchType": "EXACT"},
                {"id": 2, "name": "h.value", "bitwidth": 16, "matchType": "LPM"}],
            "actionRefs": [{"id": FORWARD}, {"id": DROP}], "size": "4"}],
        "actions": [
            {"preamble": {"id": FORWARD, "name": "forward", "alias": "forward"}, "params": [
                {"id": 1, "name": "port", "bitwidth": 9}, {"id": 2, "name": "mark", "bitwidth": 16}]},
            {"preamble": {"id": DROP, "name": "drop", "alias": "drop"}}],
    });
    P4Info::from_json(text.to_string().as_bytes()).unwrap()
}

pub fn load(program: &Value) -> Result<Engine, LoadError> {
    Engine::load(
        program.to_string().as_bytes(),
        p4info(),
        &Options::default(),
    )
}

/// `h.kind` exactly, and a prefix of `h.value`, to a port.
pub fn forward(kind: u8, value: u16, prefix_len: u32, port: u16, mark: u16) -> Update {
    let bytes = |value: u16| value.to_be_bytes().to_vec();
    let mut matches = vec![FieldMatch {
        field: 1,
        value: MatchValue::Exact(vec![kind]),
    }];
    if prefix_len > 0 {
        matches.push(FieldMatch {
            field: 2,
            value: MatchValue::Lpm {
                value: bytes(value),
                prefix_len,
            },
        });
    }
    let params = vec![(1, bytes(port)), (2, bytes(mark))];
    let entry = TableEntry {
        table: TABLE,
        matches,
        action: Some(Action {
            id: FORWARD,
            params,
        }),
        ..TableEntry::default()
    };
    Update {
        kind: UpdateKind::Insert,
        entity: Entity::TableEntry(entry),
    }
}

pub fn write(engine: &mut Engine, updates: &[Update]) {
    for result in engine.write(updates, Atomicity::ContinueOnError) {
        result.unwrap();
    }
}

/// What comes out for a packet.
pub fn process(engine: &mut Engine, port: u16, packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut out = Vec::new();
    engine.process(
        port,
        packet,
        Duration::from_micros(1),
        &mut |port, bytes| {
            out.push((port, bytes.to_vec()));
        },
    );
    out
}
