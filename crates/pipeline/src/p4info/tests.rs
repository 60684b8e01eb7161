use super::*;

const TEXT: &str = r#"
# proto-file: p4/config/v1/p4info.proto
pkg_info { arch: "v1model" }
tables {
  preamble { id: 42291885 name: "ingress.map.ports" alias: "ports" annotations: "@x(\"y\")" }
  match_fields { id: 1 name: "meta.port" bitwidth: 16 match_type: LPM }
  action_refs { id: 21257015 scope: DEFAULT_ONLY }
  initial_default_action: { action_id: 21257015 arguments { param_id: 1 value: "\000\377\"" } }
  direct_resource_ids: [1, 2]
  direct_resource_ids: 3
  size: 1048576
}
tables { preamble { id: 2 name: "egress.map.ports" alias: "map.ports" } }
registers {
  preamble { id: 3 name: "r" alias: "r" }
  type_spec { bitstring { bit { bitwidth: 32 } } }
  size: 8
}
type_info {
  serializable_enums {
    key: "Reason"
    value { underlying_type { bitwidth: 8 } members { name: "MISS" value: "\001" } }
  }
}
"#;

fn example() -> P4Info {
    P4Info::from_text(TEXT).unwrap()
}

#[test]
fn text_is_read() {
    let info = example();
    let table = &info.tables[0];
    assert_eq!(table.preamble.annotations, ["@x(\"y\")"]);
    assert_eq!(table.match_fields[0].match_type, Some(MatchType::Lpm));
    assert_eq!(table.action_refs[0].scope, Scope::DefaultOnly);
    assert_eq!(table.direct_resource_ids, [1, 2, 3]);
    assert_eq!(table.size, 1 << 20);
    let call = table.initial_default_action.as_ref().unwrap();
    assert_eq!(call.arguments[0].value, [0, 255, b'"']);
    let spec = info.registers[0].type_spec.as_ref().unwrap();
    assert!(matches!(spec, DataTypeSpec::Bitstring(b) if b.width() == 32));
}

#[test]
fn all_forms_hold_the_same() {
    let info = example();
    assert_eq!(P4Info::from_text(&info.to_text()).unwrap(), info);
    assert_eq!(P4Info::from_binary(&info.to_binary()).unwrap(), info);
    let json = info.to_json();
    assert_eq!(P4Info::from_json(json.as_bytes()).unwrap(), info);
    // Protobuf's JSON rules: 64-bit numbers and bytes are strings, names are camelCase.
    assert!(json.contains("\"size\": \"1048576\""), "{json}");
    assert!(json.contains("\"value\": \"AP8i\""), "{json}");
    assert!(json.contains("\"matchType\": \"LPM\""), "{json}");
}

#[test]
fn json_accepts_original_names_and_numbers() {
    let json = br#"{"tables":[{"preamble":{"id":"7","name":"t"},"size":5,
        "match_fields":[{"id":1,"match_type":2}],"future":{}}]}"#;
    let info = P4Info::from_json(json).unwrap();
    assert_eq!(info.tables[0].preamble.id, 7);
    assert_eq!(info.tables[0].size, 5);
    let field = &info.tables[0].match_fields[0];
    assert_eq!(field.match_type, Some(MatchType::Exact));
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let text = |t: &str| P4Info::from_text(t).unwrap_err().to_string();
    assert!(text("tables {\n  colour: 3 }").contains("line 2, column 9"));
    assert!(text("tables {").contains("closing brace"));
    assert!(text("tables { size: x }").contains("no number"));
    assert!(P4Info::from_json(br#"{"tables":[{"size":"x"}]}"#).is_err());
    assert!(P4Info::from_json(br#"{"tables":[{"matchFields":[{"matchType":"EXCAT"}]}]}"#).is_err());
    let deep = "type_info { structs { value { members { type_spec { ".to_owned()
        + &"tuple { members { ".repeat(10_000);
    assert!(text(&deep).contains("nested too deeply"));
}

#[test]
fn truncated_and_changed_bytes_never_panic() {
    let good = example().to_binary();
    for end in 0..good.len() {
        let _ = P4Info::from_binary(&good[..end]);
        let mut changed = good.clone();
        for value in [0, 0x0a, 0x7f, 0xff] {
            changed[end] = value;
            let _ = P4Info::from_binary(&changed);
        }
    }
    let text = example().to_text();
    for end in 0..text.len() {
        let _ = P4Info::from_text(&text[..end]);
    }
}

#[test]
fn names_find_objects() {
    let info = example();
    let id = |name| info.table(name).map(|table| table.preamble.id);
    assert_eq!(id("ingress.map.ports"), Some(42_291_885));
    assert_eq!(id("ports"), Some(42_291_885));
    assert_eq!(id("map.ports"), Some(2));
    assert_eq!(id("orts"), None);
    assert_eq!(id(""), None);
    assert_eq!(info.table_by_id(2).unwrap().preamble.alias, "map.ports");
    assert_eq!(info.tables[0].match_field("port").unwrap().id, 1);
    let error = find(&info.tables, "port").unwrap_err().to_string();
    assert!(error.contains("there is no table \"port\""), "{error}");
    assert!(error.contains("ingress.map.ports"), "{error}");
}

#[test]
fn ambiguous_suffixes_are_named() {
    let mut info = example();
    info.tables
        .iter_mut()
        .for_each(|t| t.preamble.alias.clear());
    let error = find(&info.tables, "ports").unwrap_err().to_string();
    assert!(error.contains("ingress.map.ports, egress.map.ports"));
}

#[test]
fn enumerations_translate_both_ways() {
    let info = example();
    let reason = info.serializable_enum("Reason").unwrap();
    assert_eq!(reason.name_of(&[0, 1]), Some("MISS"));
    assert_eq!(reason.value_of("MISS"), Some(&[1][..]));
    assert_eq!(reason.name_of(&[2]), None);
}
