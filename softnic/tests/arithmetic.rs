//! Expressions against unbounded integers. The engine computes in 128 bits where that gives the
//! same; here every result is computed with big integers, straight from the JSON.

#![recursion_limit = "512"]

mod small;

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use serde_json::{Value, json};
use small::{expression, field, hex, load, process, program};

/// Fields of the input header: name, width, signed. 8 × 133 bits in all.
const FIELDS: [(&str, u32, bool); 8] = [
    ("a", 1, false),
    ("b", 7, false),
    ("c", 32, false),
    ("d", 64, true),
    ("e", 128, false),
    ("f", 128, true),
    ("g", 200, false),
    ("i", 504, false),
];

const INPUT_BYTES: usize = (1 + 7 + 32 + 64 + 128 + 128 + 200 + 504) / 8;

/// A program that assigns an expression to a header of one field and sends it to port 1.
fn assigning(expr: &Value, width: u32, signed: bool) -> Value {
    let mut program = program();
    let fields: Vec<Value> = FIELDS
        .iter()
        .map(|(name, width, signed)| json!([name, width, signed]))
        .collect();
    program["header_types"][1] = json!({"name": "h_t", "id": 1, "fields": fields});
    let spare = width.next_multiple_of(8) - width;
    let mut out = vec![json!(["value", width, signed])];
    if spare > 0 {
        out.insert(0, json!(["spare", spare, false]));
    }
    program["header_types"][2] = json!({"name": "o_t", "id": 2, "fields": out});
    program["parsers"][0]["parse_states"] = json!([{"name": "start", "id": 0,
        "parser_ops": [{"op": "extract", "parameters": [{"type": "regular", "value": "h"}]}],
        "transition_key": [], "transitions": []}]);
    program["deparsers"][0]["order"] = json!(["o"]);
    program["actions"] = json!([{"name": "run", "id": 0, "runtime_data": [], "primitives": [
        {"op": "add_header", "parameters": [{"type": "header", "value": "o"}]},
        {"op": "assign", "parameters": [field("standard_metadata", "egress_spec"), hex("0x1")]},
        {"op": "assign", "parameters": [field("o", "value"), {"type": "expression", "value": expr}]},
    ]}]);
    program["pipelines"][0]["tables"][0] = json!({"name": "t", "id": 0, "match_type": "exact",
        "type": "simple", "max_size": 1, "key": [], "with_counters": false, "direct_meters": null,
        "action_ids": [0], "actions": ["run"], "base_default_next": null, "next_tables": {"run": null},
        "default_entry": {"action_id": 0, "action_const": true, "action_data": []}});
    program
}

fn mask(width: u32) -> BigInt {
    (BigInt::from(1) << width) - 1
}

fn wrap(value: BigInt, width: u32) -> BigInt {
    let low: BigInt = value & mask(width);
    if low >= BigInt::from(1) << (width - 1) {
        low - (BigInt::from(1) << width)
    } else {
        low
    }
}

/// The meaning of an expression, by the letter.
fn meaning(expr: &Value, input: &[(String, BigInt)]) -> BigInt {
    let value = &expr["value"];
    match expr["type"].as_str().unwrap() {
        "hexstr" => BigInt::parse_bytes(
            value.as_str().unwrap().trim_start_matches("0x").as_bytes(),
            16,
        )
        .unwrap(),
        "field" => input
            .iter()
            .find(|(name, _)| *name == value[1])
            .unwrap()
            .1
            .clone(),
        _ => operation(value, input),
    }
}

fn truth(expr: &Value, input: &[(String, BigInt)]) -> bool {
    let (a, b) = (
        meaning(&expr["value"]["left"], input),
        meaning(&expr["value"]["right"], input),
    );
    match expr["value"]["op"].as_str().unwrap() {
        "==" => a == b,
        "!=" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    }
}

fn operation(value: &Value, input: &[(String, BigInt)]) -> BigInt {
    let left = || meaning(&value["left"], input);
    let right = || meaning(&value["right"], input);
    let width = || u32::try_from(right()).unwrap();
    match value["op"].as_str().unwrap() {
        "+" => left() + right(),
        "-" => left() - right(),
        "*" => left() * right(),
        "&" => left() & right(),
        "|" => left() | right(),
        "^" => left() ^ right(),
        "~" => !right(),
        "<<" => left() << width(),
        ">>" => left() >> width(),
        "two_comp_mod" => wrap(left(), width()),
        "usat_cast" => left().clamp(BigInt::ZERO, mask(width())),
        "sat_cast" => left().clamp(-mask(width() - 1) - 1, mask(width() - 1)),
        "?" => {
            if truth(&value["cond"], input) {
                left()
            } else {
                right()
            }
        }
        "b2d" => BigInt::from(u8::from(truth(&value["right"], input))),
        other => panic!("{other}"),
    }
}

fn data(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        3 => proptest::sample::select(&FIELDS[..]).prop_map(|(name, ..)| field("h", name)),
        1 => any::<u8>().prop_map(|value| hex(&format!("{value:#x}"))),
        1 => any::<u128>().prop_map(|value| hex(&format!("{value:#x}"))),
        1 => any::<[u128; 2]>().prop_map(|[a, b]| hex(&format!("0x{a:x}{b:032x}"))),
    ];
    leaf.prop_recursive(depth, 24, 3, |inner| {
        let ops = proptest::sample::select(vec!["+", "-", "*", "&", "|", "^"]);
        let compare = proptest::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
        let casts = proptest::sample::select(vec!["two_comp_mod", "usat_cast", "sat_cast"]);
        let small = (0u32..140).prop_map(|amount| hex(&format!("{amount:#x}")));
        let amount = prop_oneof![small, Just(field("h", "b"))];
        let truth =
            (compare, inner.clone(), inner.clone()).prop_map(|(op, a, b)| expression(op, a, b));
        prop_oneof![
            (ops, inner.clone(), inner.clone()).prop_map(|(op, a, b)| expression(op, a, b)),
            inner.clone().prop_map(|a| expression("~", Value::Null, a)),
            (
                proptest::sample::select(vec!["<<", ">>"]),
                inner.clone(),
                amount
            )
                .prop_map(|(op, a, b)| expression(op, a, b)),
            (casts, inner.clone(), 1u32..200).prop_map(|(op, a, width)| expression(
                op,
                a,
                hex(&format!("{width:#x}"))
            )),
            (truth.clone(), inner.clone(), inner).prop_map(|(cond, a, b)| {
                let mut choose = expression("?", a, b);
                choose["value"]["cond"] = cond;
                choose
            }),
            truth.prop_map(|truth| expression("b2d", Value::Null, truth)),
        ]
    })
    .boxed()
}

/// Packets that make carries and signs likely.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(0x80), any::<u8>()];
    prop_oneof![
        proptest::collection::vec(byte, INPUT_BYTES),
        Just(vec![0xff; INPUT_BYTES]),
    ]
}

fn values(packet: &[u8]) -> Vec<(String, BigInt)> {
    let mut rest = BigInt::from_bytes_be(Sign::Plus, packet);
    let mut values = Vec::new();
    for (name, width, signed) in FIELDS.iter().rev() {
        let value: BigInt = &rest & mask(*width);
        rest >>= *width;
        values.push((
            (*name).to_owned(),
            if *signed { wrap(value, *width) } else { value },
        ));
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// R6.3: whatever the expression and the widths, the result is that of unbounded integers.
    #[test]
    fn expressions_are_computed_as_with_unbounded_integers(
        expr in data(5),
        packet in packet(),
        width in prop_oneof![1u32..=130, Just(128), Just(200), Just(504)],
        signed in any::<bool>(),
    ) {
        // The target has no signed field of one bit.
        let signed = signed && width > 1;
        let mut engine = load_free(&assigning(&expr, width, signed));
        let out = process(&mut engine, 0, &packet);
        prop_assert_eq!(out.len(), 1);
        let result = BigInt::from_bytes_be(Sign::Plus, &out[0].1);
        let expected = meaning(&expr, &values(&packet)) & mask(width);
        prop_assert_eq!(result, expected, "{}", expr);
    }
}

/// Runs an expression and compares it with its meaning.
fn check(expr: &Value, width: u32, packets: &[Vec<u8>]) {
    let mut engine = load_free(&assigning(expr, width, false));
    for packet in packets {
        let out = process(&mut engine, 0, packet);
        let result = BigInt::from_bytes_be(Sign::Plus, &out[0].1);
        let expected = meaning(expr, &values(packet)) & mask(width);
        assert_eq!(result, expected, "{expr}\n{packet:02x?}");
    }
}

/// R6.3: every operation on every pair of widths around 128 bits, where its whole value matters.
#[test]
fn results_around_128_bits_are_whole() {
    let names = ["c", "d", "e", "f", "g"];
    let packets: Vec<Vec<u8>> = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff]
        .map(|byte| vec![byte; INPUT_BYTES])
        .into();
    let power = |bits: usize| hex(&format!("0x1{}", "0".repeat(bits / 4)));
    for op in ["+", "-", "*", "&", "|", "^", "~", "<<", ">>"] {
        for a in names {
            for b in names {
                let right = if ["<<", ">>"].contains(&op) {
                    hex("0x40")
                } else {
                    field("h", b)
                };
                let inner = expression(
                    op,
                    if op == "~" {
                        Value::Null
                    } else {
                        field("h", a)
                    },
                    right,
                );
                let compared = |op, value| {
                    expression("b2d", Value::Null, expression(op, inner.clone(), value))
                };
                check(&compared("<", power(128)), 8, &packets);
                check(&compared("==", field("h", a)), 8, &packets);
                check(&compared(">", field("h", "e")), 8, &packets);
                check(&expression(">>", inner.clone(), hex("0x70")), 64, &packets);
                check(
                    &expression("usat_cast", inner.clone(), hex("0x80")),
                    128,
                    &packets,
                );
                check(
                    &expression("sat_cast", inner.clone(), hex("0x80")),
                    128,
                    &packets,
                );
                if ["<<", ">>"].contains(&op) {
                    break;
                }
            }
        }
    }
}

/// Without a P4Info: the control plane has nothing to do with these programs.
fn load_free(program: &Value) -> flownic_softnic::Engine {
    let text = program.to_string();
    let p4info = Default::default();
    match flownic_softnic::Engine::load(text.as_bytes(), p4info, &Default::default()) {
        Ok(engine) => engine,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// The tool of the test above is right about the layout of its fields.
#[test]
fn fields_are_read_where_they_are() {
    let mut packet = vec![0; INPUT_BYTES];
    packet[0] = 0b1000_0011;
    packet[5] = 0x80;
    let values = values(&packet);
    let get = |name: &str| {
        values
            .iter()
            .find(|(field, _)| field == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!((get("a"), get("b")), (BigInt::from(1), BigInt::from(3)));
    assert_eq!(get("d"), BigInt::from(i64::MIN));
    assert!(load(&program()).is_ok());
}
