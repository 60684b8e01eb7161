//! Words to ids and back, on a P4Info that has every match kind.

use super::value::Form;
use super::*;
use crate::error::Error;

const P4INFO: &str = include_str!("../../tests/data/p4info.json");

fn catalog() -> Catalog {
    Catalog::from_json(P4INFO).unwrap()
}

/// Parses a line and prints the entry that comes out of it.
fn round_trip(text: &str) -> Result<String, Error> {
    let catalog = catalog();
    let line = parse_line(text)?.expect("a line with words");
    let entry = catalog.update(&line)?.entry.unwrap();
    let table = catalog.table(&line.table)?;
    let words = |pairs: Vec<(String, String)>| {
        pairs
            .iter()
            .map(|(name, value)| format!(" {name}={value}"))
            .collect::<String>()
    };
    let mut out = table.preamble.alias.clone() + &words(catalog.print_match(table, &entry));
    if entry.priority != 0 {
        out += &format!(" priority={}", entry.priority);
    }
    if entry.action_id != 0 {
        let (action, params) = catalog.print_action(&entry);
        out += &format!(" action {action}{}", words(params));
    }
    Ok(out)
}

fn check(text: &str, expected: &str) {
    match round_trip(text) {
        Ok(out) => assert_eq!(out, expected),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn refused(text: &str, expected: &str) {
    match round_trip(text) {
        Ok(out) => panic!("{text} was accepted as {out}"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

/// R9.1: values are written as people write them, names may be short.
#[test]
fn r9_1_entries_by_name() {
    check(
        "insert vf_mac ingress_port=16 vlan=0 src=02:00:00:00:00:0a action NoAction",
        "vf_mac ingress_port=16 vlan=0 src=02:00:00:00:00:0a action NoAction",
    );
    check(
        "insert ingress.vf_guard.vf_ipv4 meta.ingress_port=0x10 vlan=5 hdr.ipv4.src=10.0.0.0/24 action NoAction",
        "vf_ipv4 ingress_port=16 vlan=5 src=10.0.0.0/24 action NoAction",
    );
    check(
        "delete vf_ipv6 ingress_port=16 vlan=0 src=fd00::/64",
        "vf_ipv6 ingress_port=16 vlan=0 src=fd00::/64",
    );
    check(
        "insert underlay_route dst=192.0.2.2 action to_uplink port=0 src_mac=02:00:00:00:01:00 \
         next_hop_mac=02:00:00:00:02:00 src_vtep=192.0.2.1 mtu=1600",
        "underlay_route dst=192.0.2.2/32 action to_uplink port=0 src_mac=02:00:00:00:01:00 \
         next_hop_mac=02:00:00:00:02:00 src_vtep=192.0.2.1 mtu=1600",
    );
}

/// R9.1: enum names, in and out.
#[test]
fn r9_1_names_of_values() {
    let versions = "vn_slot=1 vn_security=1 vn_mapping=1 vn_route=1 vn_policy=1 vn_lb=1 \
                    vnic_slot=1 vnic_security=1 vnic_mapping=1 vnic_route=1 vnic_policy=1 vnic_lb=1";
    let key = "vni=100 direction=outbound attach=16 src=10.0.0.10 dst=10.0.0.20 protocol=6 src_port=40000 dst_port=80";
    check(
        &format!("insert flow_ipv4 {key} action deny {versions} reason=SECURITY_EGRESS"),
        &format!("flow_ipv4 {key} action deny {versions} reason=SECURITY_EGRESS"),
    );
    check(
        &format!("insert flow_ipv4 {key} action deny {versions} reason=32"),
        &format!("flow_ipv4 {key} action deny {versions} reason=SECURITY_EGRESS"),
    );
}

#[test]
fn a_prefix_of_length_zero_is_left_out() {
    check(
        "insert underlay_route dst=0.0.0.0/0 action to_uplink port=0 src_mac=0x1 next_hop_mac=2 src_vtep=0 mtu=1",
        "underlay_route action to_uplink port=0 src_mac=00:00:00:00:00:01 next_hop_mac=00:00:00:00:00:02 src_vtep=0.0.0.0 mtu=1",
    );
}

/// R6.6: a bad entry is refused with what is wrong and where.
#[test]
fn r6_6_bad_entries_say_what_and_where() {
    refused("insert", "the name of a table is missing");
    refused(
        "put vf_mac",
        "\"put\" where insert, modify or delete belongs",
    );
    refused(
        "insert vf_mac src=1",
        "insert needs an action: … action NAME PARAM=VALUE…",
    );
    refused("delete vf_mac src", "\"src\" where NAME=VALUE belongs");
    refused(
        "delete vf_mac src=1",
        "table vf_mac: field ingress_port is missing",
    );
    refused(
        "delete vf_mac ingress_port=16 vlan=0 source=1",
        "table vf_mac: it has no field source; its fields are ingress_port, vlan, src",
    );
    refused(
        "delete vf_mac ingress_port=70000 vlan=0 src=1",
        "table vf_mac: meta.ingress_port = 70000 does not fit into 16 bits",
    );
    refused(
        "delete vf_mac ingress_port=x vlan=0 src=1",
        "table vf_mac: meta.ingress_port = x is not a number of 16 bits",
    );
    refused(
        "delete vf_mac ingress_port=1 ingress_port=1 vlan=0 src=1",
        "table vf_mac: field ingress_port is given twice",
    );
    refused(
        "delete vf_mac priority=1 ingress_port=1 vlan=0 src=1",
        "table vf_mac: its key has no priority",
    );
    refused(
        "delete vf_mac priority=0 src=1",
        "priority \"0\" is no number from 1 to 2147483647",
    );
    refused(
        "delete vf_ipv4 ingress_port=1 vlan=0 src=10.0.0.1/24",
        "table vf_ipv4: hdr.ipv4.src = 10.0.0.1/24 has bits after the prefix; write 10.0.0.0/24",
    );
    refused(
        "delete vf_ipv4 ingress_port=1 vlan=0 src=10.0.0.1/33",
        "table vf_ipv4: hdr.ipv4.src = 10.0.0.1/33: the length is no number up to 32",
    );
    refused(
        "insert vf_mac ingress_port=1 vlan=0 src=1 action drop",
        "table vf_mac has no action drop; it has NoAction",
    );
    refused(
        "insert vf_mac ingress_port=1 vlan=0 src=1 action NoAction x=1",
        "action NoAction: it has no parameter x, and no other",
    );
    refused(
        "insert vf_attach ingress_port=1 vlan=0 action attach vni=1",
        "action attach: parameter mtu is missing",
    );
    refused(
        "insert vf_attach ingress_port=1 vlan=0 action attach vni=0x1000000 mtu=1",
        "action attach: vni = 0x1000000 does not fit into 24 bits",
    );
    refused(
        "delete nonsense a=1",
        "there is no table \"nonsense\"; flownic table list shows all",
    );
}

#[test]
fn comments_and_empty_lines_are_no_entries() {
    for text in ["", "   ", "# insert x", "  # x"] {
        assert_eq!(parse_line(text).unwrap(), None, "{text:?}");
    }
}

fn form(bits: u32) -> Form {
    Form {
        name: "field".into(),
        bits,
        members: Vec::new(),
    }
}

#[test]
fn values_of_odd_widths() {
    assert_eq!(form(12).parse("4095").unwrap(), [0x0f, 0xff]);
    assert!(form(12).parse("4096").is_err());
    assert_eq!(form(1).parse("1").unwrap(), [1]);
    assert!(form(1).parse("2").is_err());
    assert_eq!(form(20).parse("0x1_0").unwrap(), [0, 0, 0x10]);
    assert_eq!(form(12).ones(), [0x0f, 0xff]);
    assert_eq!(
        form(12).parse_prefix("0xff0/8").unwrap(),
        (vec![0x0f, 0xf0], 8)
    );
    assert!(form(12).parse_prefix("0xff1/8").is_err());
    assert_eq!(form(16).print(&[1]), "1");
    assert_eq!(form(200).print(&[1, 2]), "0x0102");
    for text in ["", "0x", "0xg", "-1", "1 ", "１"] {
        assert!(form(32).parse(text).is_err(), "{text:?}");
    }
}
