//! From TOML to values: each table by itself. What tables say about each other is checked in
//! `check`.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use flownic_wire::{MacAddr, protocol};
use toml::de::DeValue;

use super::report::{Problems, Span};
use super::table::{At, Complaint, List, Table, boolean, integer, one_of, parsed, string};
use super::{MAX_VFS, Remote, Side, Tunnel};
use crate::{ParsePrefixError, Prefix};

/// Smallest MTU of a host or network: what every IPv4 host must take (RFC 791 §3.1).
const MIN_MTU: u32 = 576;
/// Largest MTU: Ethernet's jumbo frames.
const MAX_MTU: u32 = 9216;

/// Priority of rules that name none.
const DEFAULT_PRIORITY: u32 = 100;

/// A configuration as far as it could be read: `None` is what was missing or wrong.
#[derive(Debug)]
pub(super) struct RawConfig {
    pub(super) hosts: Vec<RawHost>,
    pub(super) networks: Vec<RawNetwork>,
}

#[derive(Debug)]
pub(super) struct RawHost {
    pub(super) name: Option<At<String>>,
    pub(super) vtep: Option<At<Ipv4Addr>>,
    pub(super) mac: Option<At<MacAddr>>,
    pub(super) mtu: Option<At<u32>>,
}

#[derive(Debug)]
pub(super) struct RawNetwork {
    pub(super) tenant: Option<At<String>>,
    pub(super) name: Option<At<String>>,
    pub(super) vni: Option<At<u32>>,
    pub(super) tunnel: Option<At<Tunnel>>,
    pub(super) mtu: Option<At<u32>>,
    pub(super) subnets: Vec<RawSubnet>,
    pub(super) vnics: Vec<RawVnic>,
    pub(super) groups: Vec<RawGroup>,
}

#[derive(Debug)]
pub(super) struct RawSubnet {
    pub(super) span: Span,
    pub(super) name: Option<At<String>>,
    pub(super) ipv4: Option<At<Prefix>>,
    pub(super) ipv6: Option<At<Prefix>>,
    pub(super) gateways: Option<List<IpAddr>>,
    pub(super) gateway_mac: Option<At<MacAddr>>,
    /// Both prefixes were read without an error.
    pub(super) prefixes_read: bool,
}

#[derive(Debug)]
pub(super) struct RawVnic {
    pub(super) name: Option<At<String>>,
    pub(super) host: Option<At<String>>,
    pub(super) vf: Option<At<u32>>,
    /// `None` only when it is wrong.
    pub(super) vlan: Option<At<u32>>,
    pub(super) mac: Option<At<MacAddr>>,
    pub(super) addresses: Option<List<IpAddr>>,
    pub(super) groups: Vec<At<String>>,
}

#[derive(Debug)]
pub(super) struct RawGroup {
    pub(super) name: Option<At<String>>,
    pub(super) rules: Vec<RawRule>,
}

#[derive(Debug)]
pub(super) struct RawRule {
    pub(super) side: Option<At<Side>>,
    pub(super) allow: Option<At<bool>>,
    pub(super) protocol: Option<At<Option<u8>>>,
    pub(super) ports: Option<At<Vec<RangeInclusive<u16>>>>,
    pub(super) remote: Option<At<Remote>>,
    pub(super) stateful: Option<At<bool>>,
    pub(super) priority: Option<At<u32>>,
}

pub(super) fn config(mut table: Table<'_>, problems: &mut Problems) -> RawConfig {
    let hosts = table.tables(problems, "host", "host");
    let networks = table.tables(problems, "network", "network");
    table.finish(problems);
    RawConfig {
        hosts: hosts.into_iter().map(|t| host(t, problems)).collect(),
        networks: networks.into_iter().map(|t| network(t, problems)).collect(),
    }
}

fn host(mut table: Table<'_>, problems: &mut Problems) -> RawHost {
    let host = RawHost {
        name: table.required(problems, "name", name),
        vtep: table.required(problems, "vtep", vtep),
        mac: table.required(problems, "mac", mac),
        mtu: table.required(problems, "mtu", mtu),
    };
    table.finish(problems);
    host
}

fn network(mut table: Table<'_>, problems: &mut Problems) -> RawNetwork {
    let mut network = RawNetwork {
        tenant: table.required(problems, "tenant", name),
        name: table.required(problems, "name", name),
        vni: table.required(problems, "vni", |v| integer(v, 1..=0xff_ffff, "a VNI")),
        tunnel: table.required(problems, "tunnel", tunnel),
        mtu: table.required(problems, "mtu", mtu),
        subnets: Vec::new(),
        vnics: Vec::new(),
        groups: Vec::new(),
    };
    for inner in table.tables(problems, "subnet", "subnet") {
        network.subnets.push(subnet(inner, problems));
    }
    for inner in table.tables(problems, "vnic", "vnic") {
        network.vnics.push(vnic(inner, problems));
    }
    for inner in table.tables(problems, "group", "group") {
        network.groups.push(group(inner, problems));
    }
    table.finish(problems);
    network
}

fn subnet(mut table: Table<'_>, problems: &mut Problems) -> RawSubnet {
    let mut prefixes_read = true;
    let mut read_prefix = |table: &mut Table<'_>, key, read, problems: &mut Problems| {
        let there = table.contains(key);
        let prefix = table.optional(problems, key, read);
        prefixes_read &= !there || prefix.is_some();
        prefix
    };
    let ipv4 = read_prefix(&mut table, "ipv4", prefix_v4, problems);
    let ipv6 = read_prefix(&mut table, "ipv6", prefix_v6, problems);
    let gateway_there = table.contains("gateway");
    let subnet = RawSubnet {
        span: table.span.clone(),
        name: table.required(problems, "name", name),
        ipv4,
        ipv6,
        gateways: table.list(problems, "gateway", address),
        gateway_mac: table.required(problems, "gateway_mac", mac),
        prefixes_read,
    };
    if !gateway_there {
        let message = "subnet without `gateway`".to_owned();
        problems.add(&subnet.span, message, "add `gateway = [\"…\"]`");
    }
    table.finish(problems);
    subnet
}

fn vnic(mut table: Table<'_>, problems: &mut Problems) -> RawVnic {
    let vlan_there = table.contains("vlan");
    let vlan = table.optional(problems, "vlan", |v| integer(v, 0..=4094, "a VLAN"));
    let untagged = At {
        value: 0,
        span: table.span.clone(),
    };
    let vnic = RawVnic {
        name: table.required(problems, "name", name),
        host: table.required(problems, "host", name),
        vf: table.required(problems, "vf", |v| {
            integer(v, 0..=u32::from(MAX_VFS) - 1, "a VF")
        }),
        vlan: vlan.or((!vlan_there).then_some(untagged)),
        mac: table.required(problems, "mac", mac),
        addresses: table.list(problems, "addresses", address),
        groups: table
            .list(problems, "groups", name)
            .map_or_else(Vec::new, |list| list.items),
    };
    if !table.contains("addresses") {
        let message = "vnic without `addresses`".to_owned();
        problems.add(&table.span, message, "add `addresses = [\"…\"]`");
    }
    table.finish(problems);
    vnic
}

fn group(mut table: Table<'_>, problems: &mut Problems) -> RawGroup {
    let mut group = RawGroup {
        name: table.required(problems, "name", name),
        rules: Vec::new(),
    };
    for inner in table.tables(problems, "rule", "rule") {
        group.rules.push(rule(inner, problems));
    }
    table.finish(problems);
    group
}

fn rule(mut table: Table<'_>, problems: &mut Problems) -> RawRule {
    let sides =
        |v: &DeValue<'_>| one_of(v, &[("ingress", Side::Ingress), ("egress", Side::Egress)]);
    let rule = RawRule {
        side: table.required(problems, "direction", sides),
        allow: table.required(problems, "action", |v| {
            one_of(v, &[("allow", true), ("deny", false)])
        }),
        protocol: defaulted(&mut table, problems, "protocol", ip_protocol, None),
        ports: defaulted(&mut table, problems, "ports", ports, Vec::new()),
        remote: defaulted(&mut table, problems, "remote", remote, Remote::Any),
        stateful: defaulted(&mut table, problems, "stateful", boolean, true),
        priority: defaulted(
            &mut table,
            problems,
            "priority",
            |v| integer(v, 0..=u32::from(u16::MAX), "a priority"),
            DEFAULT_PRIORITY,
        ),
    };
    table.finish(problems);
    rule
}

/// A value with a default; `None` when it is there but wrong.
fn defaulted<T>(
    table: &mut Table<'_>,
    problems: &mut Problems,
    key: &'static str,
    read: super::table::Read<T>,
    default: T,
) -> Option<At<T>> {
    let missing = !table.contains(key);
    let span = table.span.clone();
    let value = table.optional(problems, key, read);
    if missing {
        return Some(At {
            value: default,
            span,
        });
    }
    value
}

/// Names appear in `network/vnic` and `group:NAME`, so they hold neither.
fn name(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = string(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 63 || !text.chars().all(allowed) {
        return Err(Complaint::new(
            format!("{text:?} is no name"),
            "1 to 63 letters, digits, `-`, `_` and `.`",
        ));
    }
    Ok(text.to_owned())
}

fn vtep(value: &DeValue<'_>) -> Result<Ipv4Addr, Complaint> {
    let address: Ipv4Addr = parsed(value, "IPv4 address", "192.0.2.1")?;
    if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
        let message = format!("{address} is no address of a host");
        return Err(Complaint::new(message, "e.g. 192.0.2.1"));
    }
    Ok(address)
}

fn mac(value: &DeValue<'_>) -> Result<MacAddr, Complaint> {
    let example = "02:00:00:00:00:0a";
    let mac: MacAddr = parsed(value, "MAC address", example)?;
    if mac.is_multicast() || mac.is_zero() {
        return Err(Complaint::new(
            format!("{mac} is no address of one station"),
            format!("the first octet must be even, e.g. {example}"),
        ));
    }
    Ok(mac)
}

fn mtu(value: &DeValue<'_>) -> Result<u32, Complaint> {
    integer(value, MIN_MTU..=MAX_MTU, "bytes of an IP packet")
}

fn tunnel(value: &DeValue<'_>) -> Result<Tunnel, Complaint> {
    one_of(
        value,
        &[("geneve", Tunnel::Geneve), ("vxlan", Tunnel::Vxlan)],
    )
}

fn address(value: &DeValue<'_>) -> Result<IpAddr, Complaint> {
    parsed(value, "IP address", "10.0.0.10 or fd00::a")
}

fn prefix(text: &str) -> Result<Prefix, Complaint> {
    text.parse().map_err(|error: ParsePrefixError| {
        Complaint::new(format!("{text:?} is no prefix"), error.to_string())
    })
}

fn prefix_v4(value: &DeValue<'_>) -> Result<Prefix, Complaint> {
    subnet_prefix(value, true)
}

fn prefix_v6(value: &DeValue<'_>) -> Result<Prefix, Complaint> {
    subnet_prefix(value, false)
}

fn subnet_prefix(value: &DeValue<'_>, v4: bool) -> Result<Prefix, Complaint> {
    let prefix = prefix(string(value)?)?;
    let (version, example) = if v4 {
        ("IPv4", "10.0.0.0/24")
    } else {
        ("IPv6", "fd00::/64")
    };
    let example = format!("e.g. {example}");
    if prefix.first().is_ipv4() != v4 {
        return Err(Complaint::new(
            format!("{prefix} is not {version}"),
            example,
        ));
    }
    if prefix.length() == 0 || prefix.first().is_multicast() || prefix.last().is_multicast() {
        let message = format!("{prefix} is no subnet of hosts");
        return Err(Complaint::new(message, example));
    }
    Ok(prefix)
}

/// `any`, a name or a number (as integer or string).
fn ip_protocol(value: &DeValue<'_>) -> Result<Option<u8>, Complaint> {
    let help = "\"any\", \"tcp\", \"udp\", \"icmp\", \"icmpv6\" or a number from 0 to 255";
    if value.is_integer() {
        return integer(value, 0..=255, "an IP protocol").map(|number| Some(number as u8));
    }
    match string(value)? {
        "any" => Ok(None),
        "tcp" => Ok(Some(protocol::TCP)),
        "udp" => Ok(Some(protocol::UDP)),
        "icmp" => Ok(Some(protocol::ICMP)),
        "icmpv6" => Ok(Some(protocol::ICMPV6)),
        text => match text.parse() {
            Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(number)),
            _ => Err(Complaint::new(format!("{text:?} is no protocol"), help)),
        },
    }
}

/// `80`, `"80,8000-8080"`.
fn ports(value: &DeValue<'_>) -> Result<Vec<RangeInclusive<u16>>, Complaint> {
    if value.is_integer() {
        return integer(value, 0..=65535, "a port").map(|port| vec![port as u16..=port as u16]);
    }
    let text = string(value)?;
    text.split(',')
        .map(|part| port_range(part.trim()))
        .collect()
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, Complaint> {
    let help = "ports from 0 to 65535, ranges low-high, commas between: \"80,8000-8080\"";
    let port = |text: &str| -> Option<u16> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let range = match text.split_once('-') {
        Some((low, high)) => (port(low.trim_end()), port(high.trim_start())),
        None => (port(text), port(text)),
    };
    let (Some(low), Some(high)) = range else {
        let message = format!("{text:?} is no port or range of ports");
        return Err(Complaint::new(message, help));
    };
    if low > high {
        return Err(Complaint::new(
            format!("range {text:?} ends before it starts"),
            format!("did you mean {high}-{low}?"),
        ));
    }
    Ok(low..=high)
}

/// `any`, `group:NAME` or a prefix.
fn remote(value: &DeValue<'_>) -> Result<Remote, Complaint> {
    let text = string(value)?;
    if text == "any" {
        return Ok(Remote::Any);
    }
    if let Some(name) = text.strip_prefix("group:") {
        return Ok(Remote::Group(name.to_owned()));
    }
    prefix(text).map(Remote::Prefix).map_err(|complaint| {
        let help = format!("\"any\", \"group:NAME\" or a prefix; {}", complaint.help);
        Complaint::new(complaint.message, help)
    })
}
