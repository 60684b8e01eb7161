use super::*;

fn one(text: &str) -> Statement {
    parse(text).unwrap().remove(0).statement
}

#[test]
fn entries_are_read() {
    let Statement::Entry(EntryKind::Add, entry) = one(
        "add tbl 100 data.f2:0x02**  f1:10.. 20 ctl.act(val:0x26, p:1) = $h"
            .replace("10.. 20", "10..20")
            .as_str(),
    ) else {
        panic!();
    };
    assert_eq!((entry.table.as_str(), entry.priority), ("tbl", Some(100)));
    let n = |value: u32| BigUint::from(value);
    assert_eq!(
        entry.key,
        [
            ("data.f2".into(), Value::Ternary(n(0x0200), n(0xff00))),
            ("f1".into(), Value::Range(n(10), n(20))),
        ]
    );
    let call = entry.action.unwrap();
    assert_eq!(call.name, "ctl.act");
    assert_eq!(
        call.arguments,
        [("val".into(), n(0x26)), ("p".into(), n(1))]
    );
}

#[test]
fn expected_packets_have_wildcards_and_an_end() {
    let Statement::Expect {
        port: 3,
        pattern: Some(pattern),
    } = one("expect 3 01*2 F*$")
    else {
        panic!();
    };
    assert!(pattern.matches(&[0x01, 0xa2, 0xf9]));
    assert!(!pattern.matches(&[0x01, 0xa3, 0xf9]));
    assert!(!pattern.matches(&[0x01, 0xa2, 0xf9, 0]));
    assert_eq!(pattern.to_string(), "01*2f*$");
    let Statement::Expect {
        pattern: Some(prefix),
        ..
    } = one("expect 3 01")
    else {
        panic!();
    };
    assert!(prefix.matches(&[1, 2, 3]));
}

#[test]
fn counters_are_checked() {
    let Statement::CheckCounter {
        name,
        index,
        bytes,
        relation,
        value,
    } = one("check_counter verdict.drops(1025) bytes >= 0x10")
    else {
        panic!();
    };
    assert_eq!(
        (name.as_str(), index, bytes, value),
        ("verdict.drops", 1025, true, 16)
    );
    assert!(relation.holds(16, 16) && !relation.holds(15, 16));
}

#[test]
fn errors_say_where() {
    let error = parse("# fine\n\npacket 1 0\n").unwrap_err();
    assert_eq!(error.line, 3);
    assert!(parse("add t k act()").is_err());
    assert!(parse("add t k:1").is_err());
    assert!(parse("frobnicate").is_err());
    assert!(parse("packet 99999 00").is_err());
}
