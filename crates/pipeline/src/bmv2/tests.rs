use super::*;

const EXPRESSION: &str = r#"{"type":"expression","value":{"type":"expression","value":
    {"op":"access_field","left":{"type":"header","value":"h"},"right":3}}}"#;

#[test]
fn nested_expression_keeps_its_layers() {
    let value: Value = serde_json::from_str(EXPRESSION).unwrap();
    let Value::Expression(outer) = &value else {
        panic!("{value:?}")
    };
    assert!(matches!(&**outer, Expression::Value(Value::Expression(_))));
    let written = serde_json::to_value(&value).unwrap();
    let given: serde_json::Value = serde_json::from_str(EXPRESSION).unwrap();
    // `right` of an access is a plain number, and an absent `cond` is not written.
    assert_eq!(written, given);
}

#[test]
fn field_types_are_read_in_all_forms() {
    let read = |text| serde_json::from_str::<FieldType>(text).unwrap();
    assert_eq!(read(r#"["a",9]"#).width, Some(9));
    assert!(read(r#"["a",9,true]"#).signed);
    assert_eq!(read(r#"["a","*"]"#).width, None);
    assert!(serde_json::from_str::<FieldType>(r#"["a","9"]"#).is_err());
}

#[test]
fn calculation_input_keeps_the_width_of_numbers() {
    let text = r#"{"type":"hexstr","value":"0x01","bitwidth":4}"#;
    let input: CalculationInput = serde_json::from_str(text).unwrap();
    assert_eq!(input.bitwidth, Some(4));
    assert_eq!(input.value, Value::Hexstr("0x01".into()));
    let written = serde_json::to_value(&input).unwrap();
    assert_eq!(
        written,
        serde_json::from_str::<serde_json::Value>(text).unwrap()
    );
}

/// R6.6: a bad image is refused with what is wrong.
#[test]
fn bad_programs_are_refused() {
    let error = |text: &str| Program::from_json(text.as_bytes()).unwrap_err().to_string();
    assert!(error("{").contains("not a bmv2 JSON program"));
    assert!(error(r#"{"__meta__":{"version":[1,0]}}"#).contains("1.0"));
    assert!(error(r#"{"actions":[{"name":3}]}"#).contains("invalid type"));
    assert!(error(&"[".repeat(100_000)).contains("nested"));
}

#[test]
fn program_survives_writing_and_reading() {
    let mut deep = Value::Hexstr("0x01".into());
    for _ in 0..300 {
        deep = Value::binary("+", deep, Value::Field(["h".into(), "f".into()]));
    }
    let program = Program {
        actions: vec![Action {
            name: "a".into(),
            id: 0,
            runtime_data: vec![],
            primitives: vec![Primitive {
                op: "assign".into(),
                parameters: vec![Value::Field(["h".into(), "f".into()]), deep],
                source_info: None,
            }],
        }],
        ..Program::default()
    };
    let read = Program::from_json(program.to_json().as_bytes()).unwrap();
    assert_eq!(read, program);
}
