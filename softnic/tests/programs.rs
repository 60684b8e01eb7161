//! Programs: what they do, and how wrong ones are refused.

#![recursion_limit = "512"]

mod small;

use flownic_softnic::Engine;
use serde_json::{Value, json};
use small::{expression, field, forward, hex, load, process, program, write};

/// R6.3: a packet is parsed, matched, changed and put together again.
#[test]
fn a_small_program_runs() {
    let mut engine = load(&program()).unwrap();
    let updates = [
        forward(1, 0x1200, 8, 3, 1),
        forward(1, 0x1230, 12, 4, 0xffff),
        forward(2, 0, 0, 5, 0),
    ];
    write(&mut engine, &updates);
    // Options of 3 bytes, the tail, and a payload.
    let packet = [1, 3, 0x12, 0x00, 0xa1, 0xa2, 0xa3, 0xee, 0x77];
    let mut expected = packet.to_vec();
    expected[3] = 1;
    assert_eq!(process(&mut engine, 9, &packet), [(3, expected)]);
    // The longer prefix; the sum wraps at 16 bits.
    assert_eq!(
        process(&mut engine, 9, &[1, 0, 0x12, 0x30, 0xee]),
        [(4, vec![1, 0, 0x12, 0x2f, 0xee])]
    );
    assert_eq!(
        process(&mut engine, 9, &[2, 0, 9, 9]),
        [(5, vec![2, 0, 9, 9])]
    );
    assert_eq!(process(&mut engine, 9, &[3, 0, 9, 9]), []);
    // Options longer than their room, and longer than the packet: headers as far as they came.
    for packet in [
        &[2 + 15, 9, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10][..],
        &[0x11, 5, 0, 0, 1],
    ] {
        write(&mut engine, &[]);
        assert_eq!(process(&mut engine, 9, packet), []);
    }
    let statistics = engine.statistics();
    assert_eq!(
        (
            statistics.packets_in,
            statistics.packets_out,
            statistics.dropped_ingress
        ),
        (6, 3, 3)
    );
}

/// R6.6: a broken reference is refused with what and where.
#[test]
fn broken_references_are_refused() {
    let table = "/pipelines/0/tables/0";
    let cases: &[(&str, Value, &str)] = &[
        (
            "/headers/1/header_type",
            json!("x_t"),
            "headers[1].header_type: there is no such header type",
        ),
        (
            "/headers/2/name",
            json!("h"),
            "headers[2]: another header has this name",
        ),
        (
            "/header_types/1/fields/0/1",
            json!(7),
            "header_types[1]: 31 bits are not whole bytes",
        ),
        (
            "/header_types/1/fields/0/1",
            json!("x"),
            "header_types[1].fields[0][1]: a number from 0 to 65536 is expected",
        ),
        (
            "/header_types/2/max_length",
            json!(0),
            "max_length is less than the fixed fields need",
        ),
        (
            "/parsers/0/init_state",
            json!("x"),
            "parsers[0].init_state: there is no such state",
        ),
        (
            "/parsers/0/parse_states/0/transitions/0/next_state",
            json!("x"),
            "transitions[0].next_state: there is no such state",
        ),
        (
            "/parsers/0/parse_states/0/transitions/0/value",
            json!("0x1234"),
            "transitions[0].value: the value does not fit 1 bytes",
        ),
        (
            "/parsers/0/parse_states/0/transitions/0/mask",
            json!("xyz"),
            "hexadecimal digits are expected",
        ),
        (
            "/parsers/0/parse_states/0/parser_ops/0/parameters/0/value",
            json!("o"),
            "header o needs a length",
        ),
        (
            "/parsers/0/parse_states/0/parser_ops/0/parameters/0/value",
            json!("standard_metadata"),
            "standard_metadata is metadata",
        ),
        (
            "/actions/0/primitives/0/op",
            json!("warp"),
            "actions[0].primitives[0].op: primitive \"warp\" is not supported",
        ),
        (
            "/actions/0/primitives/0/parameters/1/value",
            json!(2),
            "the action has no such parameter",
        ),
        (
            "/actions/0/primitives/1/parameters/1/value/value/op",
            json!("**"),
            "operation \"**\" is not supported",
        ),
        (
            "/actions/1/id",
            json!(0),
            "actions[1].id: another action has this id",
        ),
        (
            "/pipelines/0/init_table",
            json!("x"),
            "pipelines[0].init_table: there is no table or condition \"x\"",
        ),
        (
            &format!("{table}/key/0/target/1"),
            json!("x"),
            "key[0].target: header h has no field \"x\"",
        ),
        (
            &format!("{table}/key/0/match_type"),
            json!("fuzzy"),
            "match kind \"fuzzy\" is not supported",
        ),
        (
            &format!("{table}/key/0/match_type"),
            json!("ternary"),
            "field h.kind is ternary, in P4Info exact",
        ),
        (
            &format!("{table}/action_ids/0"),
            json!(7),
            "action_ids[0]: there is no action with this id",
        ),
        (
            &format!("{table}/default_entry/action_data"),
            json!(["0x1"]),
            "action drop has 0 parameters, not 1",
        ),
        (
            &format!("{table}/type"),
            json!("indirect"),
            "action profiles and selectors are not supported",
        ),
        (
            "/deparsers/0/order/0",
            json!("x"),
            "deparsers[0].order[0]: there is no header \"x\"",
        ),
        (
            "/extern_instances",
            json!([{}]),
            "extern instances are not supported",
        ),
    ];
    for (place, value, message) in cases {
        let mut program = program();
        *program.pointer_mut(place).unwrap() = value.clone();
        let error = load(&program)
            .err()
            .unwrap_or_else(|| panic!("{place} = {value} was accepted"));
        assert!(
            error.to_string().contains(message),
            "{place} = {value}:\n{error}\n{message}"
        );
    }
    let error = Engine::load(b"{", small::p4info(), &Default::default()).unwrap_err();
    assert!(error.to_string().contains("no JSON"), "{error}");
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let error = Engine::load(&deep, small::p4info(), &Default::default()).unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

/// R6.6: control flow must end.
#[test]
fn loops_in_control_flow_are_refused() {
    let mut program = program();
    *program
        .pointer_mut("/pipelines/0/tables/0/next_tables/drop")
        .unwrap() = json!("t");
    let error = load(&program).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pipelines[0]: the control flow has a loop"
    );
}

/// R6.6: a parser or an action that never ends costs one packet, not the NIC.
#[test]
fn endless_programs_drop_the_packet() {
    let mut endless = program();
    let state = endless.pointer_mut("/parsers/0/parse_states/0").unwrap();
    state["parser_ops"] = json!([]);
    state["transitions"][1]["next_state"] = json!("start");
    let mut engine = load(&endless).unwrap();
    assert_eq!(process(&mut engine, 0, &[9; 10]), []);
    assert_eq!(engine.statistics().dropped_loop, 1);

    let mut endless = program();
    let jump = json!({"op": "_jump", "parameters": [hex("0x0")]});
    endless["actions"][1]["primitives"]
        .as_array_mut()
        .unwrap()
        .push(jump);
    let mut engine = load(&endless).unwrap();
    assert_eq!(process(&mut engine, 0, &[9; 10]), []);
    assert_eq!(engine.statistics().dropped_loop, 1);
}

/// Every place of a document.
fn places(value: &Value, at: String, list: &mut Vec<String>) {
    list.push(at.clone());
    match value {
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                places(item, format!("{at}/{position}"), list);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                places(member, format!("{at}/{name}"), list);
            }
        }
        _ => {}
    }
}

/// R6.6: any value of any kind at any place: refused, or run without a crash.
#[test]
fn any_wrong_value_anywhere_is_survived() {
    let good = program();
    let mut list = Vec::new();
    places(&good, String::new(), &mut list);
    let wrong = [
        Value::Null,
        json!(0),
        json!(3),
        json!(0xffff_ffff_u32),
        json!(-1),
        json!("nonsense"),
        json!("0xffffffffffffffffffffffffffffffffffffffff"),
        json!("h"),
        json!(true),
        json!([]),
        json!(["h", "value"]),
        json!({}),
        field("h", "value"),
        expression("/", hex("0x1"), field("h", "length")),
    ];
    let packets: [&[u8]; 5] = [
        &[],
        &[1],
        &[1, 3, 0, 0, 1, 2, 3, 4],
        &[0x21, 200, 0, 0, 1],
        &[0xff; 64],
    ];
    let (mut loaded, mut refused) = (0, 0);
    for place in &list {
        for value in &wrong {
            let mut program = good.clone();
            *program.pointer_mut(place).unwrap() = value.clone();
            match load(&program) {
                Err(error) => {
                    assert!(
                        !error.what.is_empty() && !error.at.is_empty(),
                        "{place} = {value}"
                    );
                    refused += 1;
                }
                Ok(mut engine) => {
                    loaded += 1;
                    let updates = [forward(1, 0, 0, 3, 1), forward(0x21, 0, 0, 4, 1)];
                    let _ = engine.write(&updates, Default::default());
                    for packet in packets {
                        process(&mut engine, 1, packet);
                    }
                }
            }
        }
    }
    assert!(
        loaded > 500 && refused > 1000,
        "{loaded} loaded, {refused} refused"
    );
}
