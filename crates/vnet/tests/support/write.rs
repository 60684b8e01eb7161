//! Configuration to TOML, so that every generated configuration goes through the reader.

use std::fmt::Write;

use flownic_vnet::config::{Config, Network, Rule};

pub fn toml(config: &Config) -> String {
    let mut out = String::new();
    for host in &config.hosts {
        writeln!(out, "[[host]]").unwrap();
        writeln!(out, "name = {:?}", host.name).unwrap();
        writeln!(out, "vtep = \"{}\"", host.vtep).unwrap();
        writeln!(out, "mac = \"{}\"", host.mac).unwrap();
        writeln!(out, "mtu = {}", host.mtu).unwrap();
    }
    for network in &config.networks {
        write_network(&mut out, network);
    }
    out
}

fn write_network(out: &mut String, network: &Network) {
    writeln!(out, "[[network]]").unwrap();
    writeln!(out, "tenant = {:?}", network.tenant).unwrap();
    writeln!(out, "name = {:?}", network.name).unwrap();
    writeln!(out, "vni = {}", network.vni).unwrap();
    writeln!(out, "tunnel = \"{}\"", network.tunnel).unwrap();
    writeln!(out, "mtu = {}", network.mtu).unwrap();
    for subnet in &network.subnets {
        writeln!(out, "[[network.subnet]]").unwrap();
        writeln!(out, "name = {:?}", subnet.name).unwrap();
        if let Some(prefix) = subnet.ipv4 {
            writeln!(out, "ipv4 = \"{prefix}\"").unwrap();
        }
        if let Some(prefix) = subnet.ipv6 {
            writeln!(out, "ipv6 = \"{prefix}\"").unwrap();
        }
        writeln!(out, "gateway = {}", list(&subnet.gateways)).unwrap();
        writeln!(out, "gateway_mac = \"{}\"", subnet.gateway_mac).unwrap();
    }
    for vnic in &network.vnics {
        writeln!(out, "[[network.vnic]]").unwrap();
        writeln!(out, "name = {:?}", vnic.name).unwrap();
        writeln!(out, "host = {:?}", vnic.host).unwrap();
        writeln!(out, "vf = {}", vnic.vf).unwrap();
        writeln!(out, "vlan = {}", vnic.vlan).unwrap();
        writeln!(out, "mac = \"{}\"", vnic.mac).unwrap();
        writeln!(out, "addresses = {}", list(&vnic.addresses)).unwrap();
        writeln!(out, "groups = {}", list(&vnic.groups)).unwrap();
    }
    for group in &network.groups {
        writeln!(out, "[[network.group]]").unwrap();
        writeln!(out, "name = {:?}", group.name).unwrap();
        for rule in &group.rules {
            write_rule(out, rule);
        }
    }
}

fn write_rule(out: &mut String, rule: &Rule) {
    writeln!(out, "[[network.group.rule]]").unwrap();
    writeln!(out, "direction = \"{}\"", rule.side).unwrap();
    let action = if rule.allow { "allow" } else { "deny" };
    writeln!(out, "action = \"{action}\"").unwrap();
    match rule.protocol {
        Some(protocol) => writeln!(out, "protocol = {protocol}").unwrap(),
        None => writeln!(out, "protocol = \"any\"").unwrap(),
    }
    if !rule.ports.is_empty() {
        let ports: Vec<String> = rule
            .ports
            .iter()
            .map(|range| format!("{}-{}", range.start(), range.end()))
            .collect();
        writeln!(out, "ports = \"{}\"", ports.join(",")).unwrap();
    }
    writeln!(out, "remote = \"{}\"", rule.remote).unwrap();
    writeln!(out, "stateful = {}", rule.stateful).unwrap();
    writeln!(out, "priority = {}", rule.priority).unwrap();
}

fn list<T: ToString>(items: &[T]) -> String {
    let quoted: Vec<String> = items
        .iter()
        .map(|item| format!("\"{}\"", item.to_string()))
        .collect();
    format!("[{}]", quoted.join(", "))
}
