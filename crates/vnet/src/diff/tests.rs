use super::*;
use crate::testing;

/// Applies replacements to the test configuration and compares.
fn changed(replacements: &[(&str, &str)]) -> Changes {
    let mut toml = testing::TOML.to_owned();
    for (from, to) in replacements {
        assert!(toml.contains(from), "{from:?} is not in the text");
        toml = toml.replacen(from, to, 1);
    }
    diff(&testing::config(), &testing::parse(&toml))
}

#[track_caller]
fn check(replacements: &[(&str, &str)], lines: &[&str], vn: &[Part], vnics: &[(&str, &[Part])]) {
    let changes = changed(replacements);
    assert_eq!(changes.lines, lines);
    let parts = |parts: &[Part]| parts.iter().copied().collect::<Parts>();
    let vns: BTreeMap<u32, Parts> = [(100, parts(vn))]
        .into_iter()
        .filter(|(_, parts)| !parts.is_empty())
        .collect();
    assert_eq!(changes.vns, vns);
    let vnics: BTreeMap<String, Parts> = vnics
        .iter()
        .map(|(name, list)| ((*name).to_owned(), parts(list)))
        .collect();
    assert_eq!(changes.vnics, vnics);
}

/// R1.5: nothing changed, nothing becomes stale.
#[test]
fn r1_5_no_change() {
    assert!(changed(&[]).is_empty());
    // The order of hosts, VNICs and addresses means nothing.
    let mut other = testing::config();
    other.hosts.reverse();
    other.networks.reverse();
    for network in &mut other.networks {
        network.vnics.reverse();
        network.subnets.reverse();
        for vnic in &mut network.vnics {
            vnic.addresses.reverse();
            vnic.groups.reverse();
        }
    }
    assert!(diff(&testing::config(), &other).is_empty());
}

/// R1.5: security changes touch the security part alone.
#[test]
fn r1_5_security() {
    check(
        &[("ports = \"25\"", "ports = \"26\"")],
        &["group blue/clients changed (3 -> 3 rules)"],
        &[Part::Security],
        &[],
    );
    check(
        &[("[\"clients\", \"servers\"]", "[\"servers\"]")],
        &["vnic blue/a2: groups [clients, servers] -> [servers]"],
        &[Part::Security],
        &[("blue/a2", &[Part::Security])],
    );
    let mut other = testing::config();
    other.networks[0].groups.reverse();
    let changes = diff(&testing::config(), &other);
    assert_eq!(changes.lines, ["network blue: order of groups changed"]);
    assert_eq!(changes.vns[&100], Part::Security.into());
}

/// R1.5: a VNIC that moves, or looks different to others, touches mappings.
#[test]
fn r1_5_mapping() {
    check(
        &[("vf = 2", "vf = 5")],
        &["vnic blue/c2: vf 2 -> 5"],
        &[Part::Mapping],
        &[("blue/c2", &[Part::Mapping])],
    );
    check(
        &[("vlan = 7", "vlan = 8")],
        &["vnic blue/a2: vlan 7 -> 8"],
        &[Part::Mapping],
        &[("blue/a2", &[Part::Mapping])],
    );
    check(
        &[
            ("host = \"host-a\"\n  vf = 2", "host = \"host-b\"\n  vf = 2"),
            ("02:00:00:00:00:1f", "02:00:00:00:00:1d"),
            ("[\"10.0.1.31\"]", "[\"10.0.1.32\"]"),
        ],
        &[
            "vnic blue/c2: host host-a -> host-b",
            "vnic blue/c2: mac 02:00:00:00:00:1f -> 02:00:00:00:00:1d",
            "vnic blue/c2: addresses [10.0.1.31] -> [10.0.1.32]",
        ],
        &[Part::Mapping],
        &[("blue/c2", &[Part::Mapping])],
    );
    check(
        &[("tunnel = \"geneve\"", "tunnel = \"vxlan\"")],
        &["network blue: tunnel geneve -> vxlan"],
        &[Part::Mapping],
        &[],
    );
}

/// R1.5: gateways and subnets are the route part.
#[test]
fn r1_5_route() {
    check(
        &[("02:00:5e:00:00:02", "02:00:5e:00:00:03")],
        &["subnet blue/back changed"],
        &[Part::Route],
        &[],
    );
}

/// R1.5: what no entry rests on makes no entry stale.
#[test]
fn r1_5_other_changes() {
    check(
        &[
            ("mtu = 1450", "mtu = 1400"),
            ("tenant = \"blue\"", "tenant = \"navy\""),
        ],
        &[
            "network blue: tenant blue -> navy",
            "network blue: mtu 1450 -> 1400",
        ],
        &[],
        &[],
    );
    check(
        &[("mtu = 1600", "mtu = 1700")],
        &["host host-a: mtu 1600 -> 1700"],
        &[],
        &[],
    );
}

/// R1.5: a host's new VTEP concerns every network that has a VNIC there.
#[test]
fn r1_5_vtep() {
    let changes = changed(&[("192.0.2.2", "192.0.2.3")]);
    assert_eq!(changes.lines, ["host host-b: vtep 192.0.2.2 -> 192.0.2.3"]);
    let mapping = Parts::from(Part::Mapping);
    assert_eq!(changes.vns, [(100, mapping), (200, mapping)].into());
}

/// R1.9: VNICs and networks come and go.
#[test]
fn r1_9_added_and_removed() {
    let old = testing::config();
    let mut new = old.clone();
    let lonely = new.networks[0].vnics.pop().unwrap();
    new.networks.remove(1);
    let changes = diff(&old, &new);
    assert_eq!(
        changes.lines,
        ["vnic blue/lonely removed", "network red removed (VNI 200)"]
    );
    let both: Parts = [Part::Mapping, Part::Security].into_iter().collect();
    assert_eq!(changes.vns, [(100, both)].into());
    assert_eq!(changes.removed_vns, [200].into());
    let gone = ["blue/lonely", "red/a", "red/b"].map(str::to_owned);
    assert_eq!(changes.removed_vnics, gone.into());

    let back = diff(&new, &old);
    assert_eq!(back.vns, [(100, both), (200, Parts::ALL)].into());
    assert_eq!(back.vnics["blue/lonely"], Parts::ALL);
    assert_eq!(back.vnics.len(), 3);
    assert!(back.removed_vnics.is_empty());
    assert!(
        back.lines
            .contains(&"vnic blue/lonely added (host-a, VF 3)".to_owned())
    );
    drop(lonely);
}

/// R1.9: a network that gets another name has other VNICs.
#[test]
fn r1_9_renamed_network() {
    let changes = changed(&[("name = \"red\"", "name = \"crimson\"")]);
    assert_eq!(changes.lines[0], "network crimson: name red -> crimson");
    assert_eq!(changes.vnics["crimson/a"], Parts::ALL);
    assert!(changes.removed_vnics.contains("red/a"));
    // Two networks that change numbers keep their VNICs' names.
    let old = testing::config();
    let mut new = old.clone();
    new.networks[0].vni = 200;
    new.networks[1].vni = 100;
    let changes = diff(&old, &new);
    assert!(changes.removed_vnics.is_empty());
    assert_eq!(changes.vnics["blue/a"], Parts::ALL);
}

/// R1.5: the table gives changed parts the revision and keeps the rest.
#[test]
fn r1_5_version_table() {
    let config = testing::config();
    let mut table = VersionTable::default();
    table.advance(&diff(&Config::default(), &config), 1);
    assert_eq!(table.vn(100), Versions::all(1));
    assert_eq!(table.vnic("red/b"), Versions::all(1));
    assert_eq!(table.vn(300), Versions::default());
    assert_eq!(table.vnic("blue/x"), Versions::default());

    table.advance(&changed(&[("vf = 2", "vf = 5")]), 2);
    assert_eq!(table.vn(100), Versions([1, 2, 1, 1, 1]));
    assert_eq!(table.vnic("blue/c2"), Versions([1, 2, 1, 1, 1]));
    assert_eq!(table.vnic("blue/a"), Versions::all(1));
    assert_eq!(table.vn(200), Versions::all(1));

    table.advance(&diff(&config, &Config::default()), 3);
    assert_eq!(table, VersionTable::default());
    table.advance(&diff(&Config::default(), &config), 4);
    assert_eq!(table.vnic("blue/c2"), Versions::all(4));

    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<VersionTable>(&text).unwrap(), table);
}
