//! What the tables of a configuration say about each other: names that must exist, things that
//! must be unique, addresses that must fit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;

use flownic_wire::{MacAddr, protocol};

use super::read::{RawConfig, RawGroup, RawHost, RawNetwork, RawSubnet, RawVnic};
use super::report::{Problems, Span};
use super::table::{At, nearest};
use super::{Remote, TUNNEL_OVERHEAD};
use crate::Prefix;

/// Smallest MTU of a network with IPv6, RFC 8200 §5.
const MIN_MTU_V6: u32 = 1280;

/// Places where things that must be unique were met first.
struct Unique<K> {
    /// What it is, for messages.
    what: String,
    seen: HashMap<K, Span>,
}

impl<K: Eq + Hash> Unique<K> {
    fn new(what: impl Into<String>) -> Unique<K> {
        Unique {
            what: what.into(),
            seen: HashMap::new(),
        }
    }

    /// Complains when `key` was there before.
    fn add(&mut self, key: K, shown: &str, span: &Span, problems: &mut Problems) {
        match self.seen.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(span.clone());
            }
            Entry::Occupied(entry) => {
                let message = format!("{} {shown} is used twice", self.what);
                let help = "each must be unique: change one of the two";
                problems.add_between(span, (entry.get(), "first used here"), message, help);
            }
        }
    }
}

pub(super) fn config(config: &RawConfig, problems: &mut Problems) {
    let hosts = hosts(&config.hosts, problems);
    let mut names = Unique::new("network name");
    let mut vnis = Unique::new("VNI");
    let mut attachments = Unique::new("attachment");
    for network in &config.networks {
        if let Some(name) = &network.name {
            names.add(
                name.value.clone(),
                &quoted(&name.value),
                &name.span,
                problems,
            );
        }
        if let Some(vni) = &network.vni {
            vnis.add(vni.value, &vni.value.to_string(), &vni.span, problems);
        }
        self::network(network, &hosts, &mut attachments, problems);
    }
}

/// Things by name; `complete` when every name could be read.
struct Named<'a, T> {
    by_name: HashMap<&'a str, &'a T>,
    complete: bool,
}

type Hosts<'a> = Named<'a, RawHost>;
type Groups<'a> = Named<'a, RawGroup>;
/// (host, VF, VLAN)
type Attachments = Unique<(String, u32, u32)>;

fn hosts<'a>(hosts: &'a [RawHost], problems: &mut Problems) -> Hosts<'a> {
    let mut names = Unique::new("host name");
    let mut vteps = Unique::new("vtep");
    let mut macs = Unique::new("MAC");
    let mut found = Hosts {
        by_name: HashMap::new(),
        complete: hosts.iter().all(|host| host.name.is_some()),
    };
    for host in hosts {
        if let Some(name) = &host.name {
            names.add(
                name.value.clone(),
                &quoted(&name.value),
                &name.span,
                problems,
            );
            found.by_name.insert(&name.value, host);
        }
        if let Some(vtep) = &host.vtep {
            vteps.add(vtep.value, &vtep.value.to_string(), &vtep.span, problems);
        }
        if let Some(mac) = &host.mac {
            macs.add(mac.value, &mac.value.to_string(), &mac.span, problems);
        }
    }
    found
}

fn network(
    network: &RawNetwork,
    hosts: &Hosts<'_>,
    attachments: &mut Attachments,
    problems: &mut Problems,
) {
    subnets(network, problems);
    let groups = groups(&network.groups, problems);
    let mut names = Unique::new("vnic name");
    let mut macs = Unique::new("MAC");
    for subnet in &network.subnets {
        // Gateways of one network may share a MAC.
        if let Some(mac) = &subnet.gateway_mac {
            macs.seen.entry(mac.value).or_insert(mac.span.clone());
        }
    }
    let mut addresses = Unique::new("address");
    for gateway in gateways(network) {
        addresses.seen.insert(gateway.value, gateway.span.clone());
    }
    for vnic in &network.vnics {
        if let Some(name) = &vnic.name {
            names.add(
                name.value.clone(),
                &quoted(&name.value),
                &name.span,
                problems,
            );
        }
        host_of(network, vnic, hosts, problems);
        attachment(vnic, attachments, problems);
        vnic_addresses(network, vnic, &mut macs, &mut addresses, problems);
        for (index, group) in vnic.groups.iter().enumerate() {
            group_exists(group, &group.value, &groups, problems);
            if vnic.groups[..index].iter().any(|g| g.value == group.value) {
                let message = format!("group {} is listed twice", quoted(&group.value));
                problems.add(&group.span, message, "remove one of the two");
            }
        }
    }
    for rule in network.groups.iter().flat_map(|group| &group.rules) {
        if let Some(remote) = &rule.remote
            && let Remote::Group(name) = &remote.value
        {
            group_exists(remote, name, &groups, problems);
        }
        if let (Some(ports), Some(ip_protocol)) = (&rule.ports, &rule.protocol)
            && !ports.value.is_empty()
            && !matches!(ip_protocol.value, Some(protocol::TCP | protocol::UDP))
        {
            let message = "`ports` in a rule that is not about TCP or UDP".to_owned();
            let help = "add `protocol = \"tcp\"` or \"udp\", or remove `ports`";
            problems.add(&ports.span, message, help);
        }
    }
}

fn subnets(network: &RawNetwork, problems: &mut Problems) {
    let mut names = Unique::new("subnet name");
    let mut prefixes: Vec<&At<Prefix>> = Vec::new();
    for subnet in &network.subnets {
        if let Some(name) = &subnet.name {
            names.add(
                name.value.clone(),
                &quoted(&name.value),
                &name.span,
                problems,
            );
        }
        if subnet.prefixes_read && subnet.ipv4.is_none() && subnet.ipv6.is_none() {
            let message = "subnet without a prefix".to_owned();
            problems.add(
                &subnet.span,
                message,
                "add `ipv4 = \"…\"`, `ipv6 = \"…\"` or both",
            );
        }
        prefixes.extend(subnet.ipv4.iter().chain(&subnet.ipv6));
        subnet_gateways(subnet, problems);
    }
    overlaps(prefixes, problems);
    if let Some(mtu) = &network.mtu
        && mtu.value < MIN_MTU_V6
        && network.subnets.iter().any(|subnet| subnet.ipv6.is_some())
    {
        let message = format!("MTU {} is too small for IPv6", mtu.value);
        problems.add(&mtu.span, message, format!("at least {MIN_MTU_V6} bytes"));
    }
}

/// Sorted by first address, prefixes that overlap follow each other: one holds the other.
fn overlaps(mut prefixes: Vec<&At<Prefix>>, problems: &mut Problems) {
    prefixes.sort_by_key(|prefix| (prefix.value.first(), prefix.value.length()));
    let mut outer: Option<&At<Prefix>> = None;
    for prefix in prefixes {
        match outer.filter(|outer| outer.value.overlaps(&prefix.value)) {
            Some(outer) => {
                let (first, second) = if outer.span.start <= prefix.span.start {
                    (outer, prefix)
                } else {
                    (prefix, outer)
                };
                let message = format!(
                    "prefix {} overlaps {} of the same network",
                    second.value, first.value
                );
                let help = "choose prefixes with no address in common; \
                            other networks may use the same ones";
                problems.add_between(&second.span, (&first.span, "the other"), message, help);
            }
            None => outer = Some(prefix),
        }
    }
}

fn subnet_gateways(subnet: &RawSubnet, problems: &mut Problems) {
    let Some(gateways) = &subnet.gateways else {
        return;
    };
    for prefix in subnet.ipv4.iter().chain(&subnet.ipv6) {
        let inside: Vec<_> = gateways
            .items
            .iter()
            .filter(|gateway| prefix.value.contains(gateway.value))
            .collect();
        match inside[..] {
            [] if !gateways.complete => {}
            [] => {
                let message = format!("no gateway in {}", prefix.value);
                problems.add(&gateways.span, message, "add one, e.g. its first address");
            }
            [gateway] => host_address(gateway, &prefix.value, problems),
            [_, second, ..] => {
                let message = format!("more than one gateway in {}", prefix.value);
                problems.add(&second.span, message, "keep one");
            }
        }
    }
    if !subnet.prefixes_read {
        return;
    }
    for gateway in &gateways.items {
        let mut prefixes = subnet.ipv4.iter().chain(&subnet.ipv6);
        if !prefixes.any(|prefix| prefix.value.contains(gateway.value)) {
            let message = format!("gateway {} is outside of the subnet", gateway.value);
            problems.add(&gateway.span, message, "choose an address of the subnet");
        }
    }
}

/// The first and last address of an IPv4 subnet are no hosts, except in /31 and /32 (RFC 3021).
fn host_address(address: &At<IpAddr>, prefix: &Prefix, problems: &mut Problems) {
    if !prefix.first().is_ipv4() || prefix.length() >= 31 {
        return;
    }
    let what = if address.value == prefix.first() {
        "network"
    } else if address.value == prefix.last() {
        "broadcast"
    } else {
        return;
    };
    let message = format!("{} is the {what} address of {prefix}", address.value);
    problems.add(
        &address.span,
        message,
        "choose another address of the subnet",
    );
}

fn gateways(network: &RawNetwork) -> impl Iterator<Item = &At<IpAddr>> {
    network
        .subnets
        .iter()
        .filter_map(|subnet| subnet.gateways.as_ref())
        .flat_map(|gateways| &gateways.items)
}

fn groups<'a>(groups: &'a [RawGroup], problems: &mut Problems) -> Groups<'a> {
    let mut names = Unique::new("group name");
    let mut found = Groups {
        by_name: HashMap::new(),
        complete: groups.iter().all(|group| group.name.is_some()),
    };
    for group in groups {
        if let Some(name) = &group.name {
            names.add(
                name.value.clone(),
                &quoted(&name.value),
                &name.span,
                problems,
            );
            found.by_name.insert(&name.value, group);
        }
    }
    found
}

fn group_exists<T>(at: &At<T>, name: &str, groups: &Groups<'_>, problems: &mut Problems) {
    groups.find(name, &at.span, "group", problems);
}

impl<'a, T> Named<'a, T> {
    /// The thing with this name; a complaint when there is none.
    fn find(&self, name: &str, span: &Span, what: &str, problems: &mut Problems) -> Option<&'a T> {
        let found = self.by_name.get(name).copied();
        if found.is_none() && self.complete {
            let mut names: Vec<&str> = self.by_name.keys().copied().collect();
            names.sort_unstable();
            let message = format!("no {what} is named {}", quoted(name));
            problems.add(span, message, suggestion(name, &names, what));
        }
        found
    }
}

fn suggestion(name: &str, names: &[&str], what: &str) -> String {
    match nearest(name, names) {
        Some(similar) => format!("did you mean {}?", quoted(similar)),
        None if names.is_empty() => format!("add a {what} with this name"),
        None => format!("there are: {}", names.join(", ")),
    }
}

fn host_of(network: &RawNetwork, vnic: &RawVnic, hosts: &Hosts<'_>, problems: &mut Problems) {
    let Some(name) = &vnic.host else { return };
    let Some(host) = hosts.find(&name.value, &name.span, "host", problems) else {
        return;
    };
    if let (Some(inner), Some(outer)) = (&network.mtu, &host.mtu)
        && inner.value + u32::from(TUNNEL_OVERHEAD) > outer.value
    {
        let message = format!(
            "packets of this network do not fit through host {}: MTU {} and {TUNNEL_OVERHEAD} \
             bytes of tunnel are more than its {}",
            quoted(&name.value),
            inner.value,
            outer.value
        );
        let help = format!(
            "give the network an MTU of at most {}, or the host one of at least {}",
            outer.value - u32::from(TUNNEL_OVERHEAD),
            inner.value + u32::from(TUNNEL_OVERHEAD)
        );
        let other = (&outer.span, "the host's MTU");
        problems.add_between(&name.span, other, message, help);
    }
}

fn attachment(vnic: &RawVnic, attachments: &mut Attachments, problems: &mut Problems) {
    if let (Some(host), Some(vf), Some(vlan)) = (&vnic.host, &vnic.vf, &vnic.vlan) {
        let shown = format!(
            "(host {}, VF {}, VLAN {})",
            quoted(&host.value),
            vf.value,
            vlan.value
        );
        let key = (host.value.clone(), vf.value, vlan.value);
        attachments.add(key, &shown, &vf.span, problems);
    }
}

fn vnic_addresses(
    network: &RawNetwork,
    vnic: &RawVnic,
    macs: &mut Unique<MacAddr>,
    unique: &mut Unique<IpAddr>,
    problems: &mut Problems,
) {
    if let Some(mac) = &vnic.mac {
        macs.add(mac.value, &mac.value.to_string(), &mac.span, problems);
    }
    let Some(addresses) = &vnic.addresses else {
        return;
    };
    if addresses.items.is_empty() && addresses.complete {
        let message = "vnic without an address".to_owned();
        problems.add(&addresses.span, message, "add one of a subnet");
    }
    let mut home: Option<usize> = None;
    for address in &addresses.items {
        unique.add(
            address.value,
            &address.value.to_string(),
            &address.span,
            problems,
        );
        let subnet = network.subnets.iter().position(|subnet| {
            let mut prefixes = subnet.ipv4.iter().chain(&subnet.ipv6);
            prefixes.any(|prefix| prefix.value.contains(address.value))
        });
        let Some(subnet) = subnet else {
            // A prefix that could not be read may be the one.
            if network.subnets.iter().all(|subnet| subnet.prefixes_read) {
                let message = format!("{} is in no subnet of the network", address.value);
                problems.add(&address.span, message, subnets_help(network));
            }
            continue;
        };
        let prefixes = network.subnets[subnet].ipv4.iter();
        for prefix in prefixes.filter(|prefix| prefix.value.contains(address.value)) {
            host_address(address, &prefix.value, problems);
        }
        if home.is_some_and(|home| home != subnet) {
            let message = format!(
                "{} is in another subnet than the first address",
                address.value
            );
            let help = "a vnic is in one subnet: give each subnet a vnic of its own";
            problems.add(&address.span, message, help);
        }
        home = home.or(Some(subnet));
    }
}

fn subnets_help(network: &RawNetwork) -> String {
    let prefixes: Vec<String> = network
        .subnets
        .iter()
        .flat_map(|subnet| subnet.ipv4.iter().chain(&subnet.ipv6))
        .map(|prefix| prefix.value.to_string())
        .collect();
    if prefixes.is_empty() {
        "add a subnet that holds it".to_owned()
    } else {
        format!("its subnets: {}", prefixes.join(", "))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
