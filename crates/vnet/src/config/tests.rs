use super::*;
use crate::testing;

fn errors(toml: &str) -> String {
    match Config::parse("net.toml", toml) {
        Ok(config) => panic!("accepted: {config:#?}"),
        Err(errors) => errors.to_string(),
    }
}

/// The messages alone, one a line, with line and column.
fn brief(toml: &str) -> Vec<String> {
    let errors = Config::parse("net.toml", toml).unwrap_err();
    let brief = |error: &ConfigError| {
        let place = &error.place;
        format!("{}:{} {}", place.line, place.column, error.message)
    };
    errors.errors.iter().map(brief).collect()
}

/// The configuration for tests with one piece of text replaced, and the only error of it.
#[track_caller]
fn check(from: &str, to: &str, message: &str) {
    assert!(testing::TOML.contains(from), "{from:?} is not in the text");
    let toml = testing::TOML.replacen(from, to, 1);
    let errors = Config::parse("net.toml", &toml).unwrap_err();
    let messages: Vec<&str> = errors.errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, [message], "{errors}");
}

/// R1.9: every field of the file arrives.
#[test]
fn r1_9_reads_everything() {
    let config = testing::config();
    assert_eq!(
        config.hosts[1],
        Host {
            name: "host-b".into(),
            vtep: Ipv4Addr::new(192, 0, 2, 2),
            mac: "02:00:00:00:02:00".parse().unwrap(),
            mtu: 1600,
        }
    );
    let [blue, red] = &config.networks[..] else {
        panic!("{} networks", config.networks.len())
    };
    assert_eq!(
        (&*blue.tenant, &*blue.name, blue.vni),
        ("blue", "blue", 100)
    );
    assert_eq!((blue.tunnel, blue.mtu), (Tunnel::Geneve, 1450));
    assert_eq!((red.tunnel, red.vni), (Tunnel::Vxlan, 200));
    assert_eq!(
        blue.subnets[1],
        Subnet {
            name: "back".into(),
            ipv4: Some("10.0.1.0/24".parse().unwrap()),
            ipv6: Some("fd00:0:0:2::/64".parse().unwrap()),
            gateways: vec![
                "10.0.1.1".parse().unwrap(),
                "fd00:0:0:2::1".parse().unwrap()
            ],
            gateway_mac: "02:00:5e:00:00:02".parse().unwrap(),
        }
    );
    assert_eq!(
        blue.vnics[1],
        Vnic {
            name: "a2".into(),
            host: "host-a".into(),
            vf: 1,
            vlan: 7,
            mac: "02:00:00:00:00:0c".parse().unwrap(),
            addresses: vec!["10.0.0.11".parse().unwrap()],
            groups: vec!["clients".into(), "servers".into()],
        }
    );
    assert_eq!(blue.vnics[1].port(), 17);
    let rules: Vec<String> = blue
        .groups
        .iter()
        .flat_map(|g| &g.rules)
        .map(Rule::to_string)
        .collect();
    assert_eq!(
        rules,
        [
            "deny egress tcp ports 25 remote any stateful priority 10",
            "allow egress any remote 10.0.0.0/16 stateful priority 100",
            "allow egress any remote fd00::/16 stateful priority 100",
            "allow ingress tcp ports 80,8000-8080 remote group:clients stateful priority 100",
            "allow ingress icmp remote any stateful priority 100",
            "allow ingress icmpv6 remote any stateful priority 100",
            "allow ingress udp ports 53 remote any stateless priority 100",
        ]
    );
}

/// R1.9: an empty file is a configuration with nothing in it.
#[test]
fn r1_9_empty() {
    assert_eq!(Config::parse("net.toml", ""), Ok(Config::default()));
}

/// R1.9: the demo's file is right.
#[test]
fn r1_9_demo_is_right() {
    let toml = include_str!("../../../../ctl/demo/two-tenants.toml");
    let config = Config::parse("two-tenants.toml", toml).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.networks.len(), 2);
}

/// R1.9: what a person sees: file, line, column, the line with a caret, what to do.
#[test]
fn r1_9_errors_as_printed() {
    let toml = r#"[[host]]
name = "host-a"
vtep = "192.0.2.1"
mac = "02:00:00:00:01:0g"
mtu = 1500

[[network]]
tenant = "blue"
name = "blue"
vni = 100
tunel = "geneve"
tunnel = "geneve"
mtu = 1500

  [[network.subnet]]
  name = "web"
  ipv4 = "10.0.0.1/24"
  gateway = ["10.0.0.1"]
  gateway_mac = "02:00:5e:00:00:01"

  [[network.vnic]]
  name = "a"
  host = "host-a"
  vf = 0
  mac = "02:00:00:00:00:0a"
  addresses = ["10.0.0.10"]
  groups = ["defualt"]

  [[network.vnic]]
  name = "b"
  host = "host-c"
  vf = 0
  mac = "02:00:00:00:00:0a"
  addresses = ["10.0.0.10"]

  [[network.group]]
  name = "default"
"#;
    let expected = r#"error: `mac`: "02:00:00:00:01:0g" is no MAC address
  --> net.toml:4:7
    4 | mac = "02:00:00:00:01:0g"
      |       ^^^^^^^^^^^^^^^^^^^
      = help: e.g. 02:00:00:00:00:0a

error: unknown key `tunel` in a network
  --> net.toml:11:1
   11 | tunel = "geneve"
      | ^^^^^
      = help: did you mean `tunnel`?

error: `ipv4`: "10.0.0.1/24" is no prefix
  --> net.toml:17:10
   17 |   ipv4 = "10.0.0.1/24"
      |          ^^^^^^^^^^^^^
      = help: bits behind the prefix length are set; did you mean 10.0.0.0/24?

error: packets of this network do not fit through host "host-a": MTU 1500 and 50 bytes of tunnel are more than its 1500
  --> net.toml:23:10
   23 |   host = "host-a"
      |          ^^^^^^^^
  ::: net.toml:5:7
    5 | mtu = 1500
      |       ^^^^ the host's MTU
      = help: give the network an MTU of at most 1450, or the host one of at least 1550

error: no group is named "defualt"
  --> net.toml:27:13
   27 |   groups = ["defualt"]
      |             ^^^^^^^^^
      = help: did you mean "default"?

error: no host is named "host-c"
  --> net.toml:31:10
   31 |   host = "host-c"
      |          ^^^^^^^^
      = help: did you mean "host-a"?

error: MAC 02:00:00:00:00:0a is used twice
  --> net.toml:33:9
   33 |   mac = "02:00:00:00:00:0a"
      |         ^^^^^^^^^^^^^^^^^^^
  ::: net.toml:25:9
   25 |   mac = "02:00:00:00:00:0a"
      |         ^^^^^^^^^^^^^^^^^^^ first used here
      = help: each must be unique: change one of the two

error: address 10.0.0.10 is used twice
"#;
    let printed = errors(toml);
    assert!(printed.starts_with(expected), "{printed}");
    assert!(printed.ends_with("8 errors in net.toml"), "{printed}");
}

/// R1.9: text that is not TOML.
#[test]
fn r1_9_not_toml() {
    let printed = errors("[[host]]\nname = \"host-a\nvtep = 1\n");
    assert!(printed.starts_with("error: not TOML: "), "{printed}");
    assert!(printed.contains("--> net.toml:2:15"), "{printed}");
    assert_eq!(
        brief("host = 1\n"),
        ["1:8 `host` must be an array of tables"]
    );
    assert_eq!(brief("host = [1]\n"), ["1:9 a host must be a table"]);
    assert_eq!(
        brief("[[networks]]\n"),
        ["1:3 unknown key `networks` in a configuration"]
    );
}

/// R1.9: every missing key is named.
#[test]
fn r1_9_missing_keys() {
    assert_eq!(
        brief("[[host]]\n"),
        [
            "1:1 host without `name`",
            "1:1 host without `vtep`",
            "1:1 host without `mac`",
            "1:1 host without `mtu`",
        ]
    );
    let network = "[[network]]\n[[network.subnet]]\n[[network.vnic]]\n[[network.group]]\n\
                   [[network.group.rule]]\n";
    let messages: Vec<String> = brief(network)
        .iter()
        .map(|line| line.split_once(' ').unwrap().1.to_owned())
        .collect();
    assert_eq!(
        messages,
        [
            "network without `tenant`",
            "network without `name`",
            "network without `vni`",
            "network without `tunnel`",
            "network without `mtu`",
            "subnet without `name`",
            "subnet without `gateway_mac`",
            "subnet without `gateway`",
            "subnet without a prefix",
            "vnic without `name`",
            "vnic without `host`",
            "vnic without `vf`",
            "vnic without `mac`",
            "vnic without `addresses`",
            "group without `name`",
            "rule without `direction`",
            "rule without `action`",
        ]
    );
}

/// R1.9: values that are wrong by themselves.
#[test]
fn r1_9_bad_values() {
    check(
        "vtep = \"192.0.2.1\"",
        "vtep = \"192.0.2\"",
        "`vtep`: \"192.0.2\" is no IPv4 address",
    );
    check(
        "vtep = \"192.0.2.1\"",
        "vtep = \"224.0.0.1\"",
        "`vtep`: 224.0.0.1 is no address of a host",
    );
    check(
        "mtu = 1600",
        "mtu = \"1600\"",
        "`mtu`: must be an integer, not a string",
    );
    check("mtu = 1600", "mtu = 99999", "`mtu`: 99999 is out of range");
    check("mtu = 1600", "mtu = -1", "`mtu`: -1 is out of range");
    check(
        "name = \"host-b\"\nvtep",
        "name = \"host b\"\nvtep",
        "`name`: \"host b\" is no name",
    );
}

/// R1.9: values of networks that are wrong by themselves.
#[test]
fn r1_9_bad_network_values() {
    check("vni = 100", "vni = 0", "`vni`: 0 is out of range");
    check(
        "vni = 100",
        "vni = 0x1000000",
        "`vni`: 0x1000000 is out of range",
    );
    check("\"geneve\"", "\"gre\"", "`tunnel`: \"gre\" is not known");
    check("vlan = 7", "vlan = 4095", "`vlan`: 4095 is out of range");
    check("vf = 2", "vf = 256", "`vf`: 256 is out of range");
    check(
        "mac = \"02:00:00:00:00:1f\"",
        "mac = \"03:00:00:00:00:1f\"",
        "`mac`: 03:00:00:00:00:1f is no address of one station",
    );
    check(
        "[\"10.0.1.31\"]",
        "[\"10.0.1.310\"]",
        "`addresses`: \"10.0.1.310\" is no IP address",
    );
    check(
        "[\"10.0.1.31\"]",
        "\"10.0.1.31\"",
        "`addresses` must be an array, not a string",
    );
    check("[\"10.0.1.31\"]", "[]", "vnic without an address");
    check(
        "[\"10.0.1.31\"]",
        "[1]",
        "`addresses`: must be a string, not an integer",
    );
}

/// R1.9: rules that are wrong by themselves.
#[test]
fn r1_9_bad_rules() {
    let ports = "ports = \"80,8000-8080\"";
    check(
        ports,
        "ports = \"80,\"",
        "`ports`: \"\" is no port or range of ports",
    );
    check(
        ports,
        "ports = \"65536\"",
        "`ports`: \"65536\" is no port or range of ports",
    );
    check(
        ports,
        "ports = \"9-1\"",
        "`ports`: range \"9-1\" ends before it starts",
    );
    check(ports, "ports = 65536", "`ports`: 65536 is out of range");
    check(
        "protocol = \"icmp\"",
        "protocol = \"imcp\"",
        "`protocol`: \"imcp\" is no protocol",
    );
    check(
        "protocol = \"icmp\"",
        "protocol = 256",
        "`protocol`: 256 is out of range",
    );
    check(
        "protocol = \"udp\"\n",
        "",
        "`ports` in a rule that is not about TCP or UDP",
    );
    check(
        "stateful = false",
        "stateful = \"no\"",
        "`stateful`: must be a boolean, not a string",
    );
    check(
        "priority = 10\n",
        "priority = 70000\n",
        "`priority`: 70000 is out of range",
    );
    check(
        "\"10.0.0.0/16\"",
        "\"10.0.0.0\"",
        "`remote`: \"10.0.0.0\" is no prefix",
    );
    check(
        "\"group:clients\"",
        "\"group:client\"",
        "no group is named \"client\"",
    );
    check(
        "action = \"deny\"",
        "action = \"drop\"",
        "`action`: \"drop\" is not known",
    );
    let mut good = testing::TOML.replace(ports, "ports = 80");
    good = good.replace("protocol = \"icmp\"", "protocol = \"1\"");
    assert!(Config::parse("net.toml", &good).is_ok());
}

/// R1.9: what must be unique.
#[test]
fn r1_9_duplicates() {
    check(
        "name = \"host-b\"\nvtep = \"192.0.2.2\"",
        "name = \"host-b\"\nvtep = \"192.0.2.1\"",
        "vtep 192.0.2.1 is used twice",
    );
    check(
        "mac = \"02:00:00:00:02:00\"",
        "mac = \"02:00:00:00:01:00\"",
        "MAC 02:00:00:00:01:00 is used twice",
    );
    check("vni = 200", "vni = 100", "VNI 100 is used twice");
    check(
        "name = \"red\"",
        "name = \"blue\"",
        "network name \"blue\" is used twice",
    );
    check(
        "name = \"a2\"",
        "name = \"a\"",
        "vnic name \"a\" is used twice",
    );
    check(
        "name = \"back\"",
        "name = \"front\"",
        "subnet name \"front\" is used twice",
    );
    check(
        "mac = \"02:00:00:00:00:0c\"",
        "mac = \"02:00:00:00:00:0a\"",
        "MAC 02:00:00:00:00:0a is used twice",
    );
    check(
        "mac = \"02:00:00:00:00:0c\"",
        "mac = \"02:00:5e:00:00:02\"",
        "MAC 02:00:5e:00:00:02 is used twice",
    );
    check(
        "[\"10.0.0.11\"]",
        "[\"10.0.0.10\"]",
        "address 10.0.0.10 is used twice",
    );
    check(
        "[\"10.0.0.11\"]",
        "[\"10.0.0.1\"]",
        "address 10.0.0.1 is used twice",
    );
    check(
        "vf = 8",
        "vf = 0",
        "attachment (host \"host-a\", VF 0, VLAN 0) is used twice",
    );
    check(
        "[\"clients\", \"servers\"]",
        "[\"clients\", \"clients\"]",
        "group \"clients\" is listed twice",
    );
}

/// R1.9: the same VF with another VLAN is another attachment.
#[test]
fn r1_9_vlans_share_a_vf() {
    let toml = testing::TOML.replacen("vf = 1\n  vlan = 7", "vf = 0\n  vlan = 7", 1);
    assert!(Config::parse("net.toml", &toml).is_ok());
}

/// R1.9: subnets and addresses.
#[test]
fn r1_9_subnets() {
    check(
        "ipv4 = \"10.0.1.0/24\"\n",
        "ipv4 = \"10.0.0.0/23\"\n",
        "prefix 10.0.0.0/23 overlaps 10.0.0.0/24 of the same network",
    );
    check(
        "[\"10.0.0.11\"]",
        "[\"10.0.5.1\"]",
        "10.0.5.1 is in no subnet of the network",
    );
    check(
        "[\"10.0.0.11\"]",
        "[\"10.0.0.0\"]",
        "10.0.0.0 is the network address of 10.0.0.0/24",
    );
    check(
        "[\"10.0.0.11\"]",
        "[\"10.0.0.255\"]",
        "10.0.0.255 is the broadcast address of 10.0.0.0/24",
    );
    check(
        "[\"10.0.0.11\"]",
        "[\"10.0.0.11\", \"10.0.1.11\"]",
        "10.0.1.11 is in another subnet than the first address",
    );
    check(
        "gateway = [\"10.0.1.1\", \"fd00:0:0:2::1\"]",
        "gateway = [\"10.0.1.1\"]",
        "no gateway in fd00:0:0:2::/64",
    );
    check(
        "\"10.0.1.1\", \"fd00:0:0:2::1\"",
        "\"10.0.1.1\", \"10.0.1.2\", \"fd00:0:0:2::1\"",
        "more than one gateway in 10.0.1.0/24",
    );
    check(
        "\"10.0.1.1\", \"fd00:0:0:2::1\"",
        "\"10.0.1.1\", \"fd00:0:0:2::1\", \"10.9.9.9\"",
        "gateway 10.9.9.9 is outside of the subnet",
    );
    check(
        "ipv6 = \"fd00:0:0:2::/64\"",
        "ipv6 = \"10.0.0.0/8\"",
        "`ipv6`: 10.0.0.0/8 is not IPv6",
    );
    check(
        "ipv6 = \"fd00:0:0:2::/64\"",
        "ipv6 = \"ff00::/8\"",
        "`ipv6`: ff00::/8 is no subnet of hosts",
    );
}

/// R1.9, R3.2: networks must fit through the hosts that they are on, with the tunnel around them.
#[test]
fn r3_2_mtu_with_tunnel_overhead() {
    let exact = testing::TOML.replacen("mtu = 1600", "mtu = 1500", 1);
    assert!(Config::parse("net.toml", &exact).is_ok());
    let short = testing::TOML.replacen("mtu = 1600", "mtu = 1499", 1);
    let messages = brief(&short);
    assert_eq!(messages.len(), 5, "each vnic on that host: {messages:?}");
    assert!(messages.iter().all(|m| m.contains("host \"host-a\"")));
    check(
        "tunnel = \"geneve\"\nmtu = 1450\n\n  [[network.subnet]]\n  name = \"front\"\n  ipv4 = \"10.0.0.0/24\"\n  ipv6 = \"fd00:0:0:1::/64\"",
        "tunnel = \"geneve\"\nmtu = 1200\n\n  [[network.subnet]]\n  name = \"front\"\n  ipv4 = \"10.0.0.0/24\"\n  ipv6 = \"fd00:0:0:1::/64\"",
        "MTU 1200 is too small for IPv6",
    );
}

/// R1.9: lines with tabs and wide characters keep the caret under the value.
#[test]
fn r1_9_carets_are_counted_in_characters() {
    let printed = errors("# grün\n\thost = \"é\" # ü\n");
    assert!(
        printed.contains("    2 | \thost = \"é\" # ü\n      | \t       ^^^\n"),
        "{printed}"
    );
}

/// R1.9: no text makes the reader panic.
#[test]
fn r1_9_truncated_anywhere() {
    for (end, _) in testing::TOML.char_indices() {
        let _ = Config::parse("net.toml", &testing::TOML[..end]).map_err(|e| e.to_string());
    }
}
