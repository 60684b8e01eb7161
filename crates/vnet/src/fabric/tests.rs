use super::*;
use crate::testing;

/// R1.9: each look-up finds what the configuration says.
#[test]
fn r1_9_lookups() {
    let fabric = testing::fabric();
    let a2 = fabric.vnic_at("host-a", 17, 7).unwrap();
    assert_eq!(&*a2.name, "blue/a2");
    assert_eq!(
        (a2.vni, a2.vf, a2.port, a2.vlan, a2.mtu),
        (100, 1, 17, 7, 1450)
    );
    assert_eq!(
        (&*a2.host, a2.vtep.to_string()),
        ("host-a", "192.0.2.1".into())
    );
    assert!(fabric.vnic_at("host-a", 17, 0).is_none());
    assert!(fabric.vnic_at("host-b", 17, 7).is_none());
    let address = "10.0.0.20".parse().unwrap();
    assert_eq!(
        &*fabric.vnic_by_address(100, address).unwrap().name,
        "blue/b"
    );
    assert_eq!(
        &*fabric.vnic_by_address(200, address).unwrap().name,
        "red/b"
    );
    assert!(fabric.vnic_by_address(300, address).is_none());
    assert!(
        fabric
            .vnic_by_address(100, "10.0.0.1".parse().unwrap())
            .is_none()
    );
    assert_eq!(fabric.vnic_by_name("red/a").unwrap().port, 24);
    let on_b: Vec<&str> = fabric.vnics_of_host("host-b").map(|v| &*v.name).collect();
    assert_eq!(on_b, ["blue/b", "blue/c", "red/b"]);
    assert_eq!(fabric.vnics_of_host("host-x").count(), 0);
    let c = fabric.vnic_by_name("blue/c").unwrap();
    let gateway = fabric.subnet_of(c).unwrap().gateway;
    assert_eq!(gateway.ipv4, Some("10.0.1.1".parse().unwrap()));
    assert_eq!(gateway.ipv6, Some("fd00:0:0:2::1".parse().unwrap()));
    let host = fabric.host_by_vtep("192.0.2.2".parse().unwrap()).unwrap();
    assert_eq!(&*host.name, "host-b");
    assert_eq!(fabric.networks().count(), 2);
}

/// R1.9: VNICs of the same groups share one compiled rule set.
#[test]
fn r1_9_rule_sets_are_shared() {
    let fabric = testing::fabric();
    let rules = |name: &str| &fabric.vnic_by_name(name).unwrap().rules;
    assert!(Arc::ptr_eq(rules("blue/b"), rules("blue/c")));
    assert!(!Arc::ptr_eq(rules("blue/a"), rules("blue/a2")));
}

/// R1.9: a prefix is found by every address in it and by none beside it.
#[test]
fn r1_9_prefix_map() {
    let mut map = PrefixMap::default();
    let prefixes = [
        "10.0.2.0/24",
        "10.0.0.0/25",
        "192.0.2.7/32",
        "fd00::/64",
        "::/96",
    ];
    for (index, prefix) in prefixes.iter().enumerate() {
        map.add(prefix.parse().unwrap(), index);
    }
    map.sort();
    let find = |address: &str| map.find(address.parse().unwrap());
    assert_eq!(find("10.0.0.0"), Some(1));
    assert_eq!(find("10.0.0.127"), Some(1));
    assert_eq!(find("10.0.0.128"), None);
    assert_eq!(find("10.0.2.255"), Some(0));
    assert_eq!(find("10.0.3.0"), None);
    assert_eq!(find("9.255.255.255"), None);
    assert_eq!(find("192.0.2.7"), Some(2));
    assert_eq!(find("192.0.2.8"), None);
    assert_eq!(find("fd00::ffff"), Some(3));
    assert_eq!(find("fd00:0:0:1::"), None);
    assert_eq!(find("::10.0.0.1"), Some(4));
}
