//! A configuration for tests: one network with two subnets over two hosts, and a second network
//! with the same addresses.

use crate::{Config, Fabric, VersionTable, diff};

/// ```text
///           host-a (192.0.2.1)        host-b (192.0.2.2)
/// blue 100  a  10.0.0.10 VF 0         b  10.0.0.20 VF 0
///           a2 10.0.0.11 VF 1, VLAN 7 c  10.0.1.30 VF 1 (other subnet)
///           c2 10.0.1.31 VF 2
/// red 200   a  10.0.0.10 VF 8         b  10.0.0.20 VF 8
/// ```
pub(crate) const TOML: &str = r#"
[[host]]
name = "host-a"
vtep = "192.0.2.1"
mac = "02:00:00:00:01:00"
mtu = 1600

[[host]]
name = "host-b"
vtep = "192.0.2.2"
mac = "02:00:00:00:02:00"
mtu = 1600

[[network]]
tenant = "blue"
name = "blue"
vni = 100
tunnel = "geneve"
mtu = 1450

  [[network.subnet]]
  name = "front"
  ipv4 = "10.0.0.0/24"
  ipv6 = "fd00:0:0:1::/64"
  gateway = ["10.0.0.1", "fd00:0:0:1::1"]
  gateway_mac = "02:00:5e:00:00:01"

  [[network.subnet]]
  name = "back"
  ipv4 = "10.0.1.0/24"
  ipv6 = "fd00:0:0:2::/64"
  gateway = ["10.0.1.1", "fd00:0:0:2::1"]
  gateway_mac = "02:00:5e:00:00:02"

  [[network.vnic]]
  name = "a"
  host = "host-a"
  vf = 0
  mac = "02:00:00:00:00:0a"
  addresses = ["10.0.0.10", "fd00:0:0:1::a"]
  groups = ["clients"]

  [[network.vnic]]
  name = "a2"
  host = "host-a"
  vf = 1
  vlan = 7
  mac = "02:00:00:00:00:0c"
  addresses = ["10.0.0.11"]
  groups = ["clients", "servers"]

  [[network.vnic]]
  name = "b"
  host = "host-b"
  vf = 0
  mac = "02:00:00:00:00:0b"
  addresses = ["10.0.0.20", "fd00:0:0:1::b"]
  groups = ["servers"]

  [[network.vnic]]
  name = "c"
  host = "host-b"
  vf = 1
  mac = "02:00:00:00:00:1e"
  addresses = ["10.0.1.30", "fd00:0:0:2::1e"]
  groups = ["servers"]

  [[network.vnic]]
  name = "c2"
  host = "host-a"
  vf = 2
  mac = "02:00:00:00:00:1f"
  addresses = ["10.0.1.31"]
  groups = ["servers"]

  [[network.vnic]]
  name = "lonely"
  host = "host-a"
  vf = 3
  mac = "02:00:00:00:00:20"
  addresses = ["10.0.0.99"]

  [[network.group]]
  name = "clients"
    [[network.group.rule]]
    direction = "egress"
    action = "deny"
    protocol = "tcp"
    ports = "25"
    priority = 10
    [[network.group.rule]]
    direction = "egress"
    action = "allow"
    remote = "10.0.0.0/16"
    [[network.group.rule]]
    direction = "egress"
    action = "allow"
    remote = "fd00::/16"

  [[network.group]]
  name = "servers"
    [[network.group.rule]]
    direction = "ingress"
    action = "allow"
    protocol = "tcp"
    ports = "80,8000-8080"
    remote = "group:clients"
    [[network.group.rule]]
    direction = "ingress"
    action = "allow"
    protocol = "icmp"
    [[network.group.rule]]
    direction = "ingress"
    action = "allow"
    protocol = "icmpv6"
    [[network.group.rule]]
    direction = "ingress"
    action = "allow"
    protocol = "udp"
    ports = "53"
    stateful = false

[[network]]
tenant = "red"
name = "red"
vni = 200
tunnel = "vxlan"
mtu = 1450

  [[network.subnet]]
  name = "front"
  ipv4 = "10.0.0.0/24"
  gateway = ["10.0.0.1"]
  gateway_mac = "02:00:5e:00:00:01"

  [[network.vnic]]
  name = "a"
  host = "host-a"
  vf = 8
  mac = "02:00:00:00:00:0a"
  addresses = ["10.0.0.10"]

  [[network.vnic]]
  name = "b"
  host = "host-b"
  vf = 8
  mac = "02:00:00:00:00:0b"
  addresses = ["10.0.0.20"]
  groups = ["open"]

  [[network.group]]
  name = "open"
    [[network.group.rule]]
    direction = "ingress"
    action = "allow"
    [[network.group.rule]]
    direction = "egress"
    action = "allow"
"#;

/// The configuration above.
pub(crate) fn config() -> Config {
    parse(TOML)
}

/// A configuration that must be right.
pub(crate) fn parse(toml: &str) -> Config {
    Config::parse("test.toml", toml).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Its fabric, every version 1.
pub(crate) fn fabric() -> Fabric {
    compile(&config())
}

/// The fabric of a configuration, every version 1.
pub(crate) fn compile(config: &Config) -> Fabric {
    let mut versions = VersionTable::default();
    versions.advance(&diff(&Config::default(), config), 1);
    Fabric::compile(config, &versions)
}
