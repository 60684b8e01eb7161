//! What changed between two configurations, and which versions it concerns.
//!
//! A change bumps the parts of the network whose entries anywhere may rest on it, and the parts
//! of a VNIC whose own attributes changed. Entries carry the versions of their own VNIC and of
//! the network only; what they hold about the VNIC at the other end is covered by the network's.
//!
//! ```text
//! subnets, gateways                          network: route
//! VNIC added, removed, moved, readdressed    network: mapping     VNIC: mapping
//! groups of a VNIC                           network: security    VNIC: security
//! rules, groups                              network: security
//! tunnel format, VTEP of a host              network: mapping
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use flownic_versions::{Part, Parts, Versions};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Group, Host, Network, Vnic};

/// Difference of two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// One line for each thing that changed, for people.
    pub lines: Vec<String>,
    /// Parts of networks that need a new version, by VNI. A new network needs all.
    pub vns: BTreeMap<u32, Parts>,
    /// Parts of VNICs that need a new version, by `network/vnic`. A new VNIC needs all.
    pub vnics: BTreeMap<String, Parts>,
    /// Networks that are gone.
    pub removed_vns: BTreeSet<u32>,
    /// VNICs that are gone.
    pub removed_vnics: BTreeSet<String>,
}

/// Current versions of all networks and VNICs. They live as long as the configuration: kept with
/// it, so that a restarted service goes on with the same ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionTable {
    /// By VNI.
    pub vns: BTreeMap<u32, Versions>,
    /// By `network/vnic`.
    pub vnics: BTreeMap<String, Versions>,
}

impl VersionTable {
    /// Gives every changed part the version `revision`, which must be greater than any before
    /// and so never 0.
    pub fn advance(&mut self, changes: &Changes, revision: u32) {
        for vni in &changes.removed_vns {
            self.vns.remove(vni);
        }
        for name in &changes.removed_vnics {
            self.vnics.remove(name);
        }
        for (&vni, &parts) in &changes.vns {
            self.vns.entry(vni).or_default().advance(parts, revision);
        }
        for (name, &parts) in &changes.vnics {
            let versions = self.vnics.entry(name.clone()).or_default();
            versions.advance(parts, revision);
        }
    }

    /// Versions of a network; all 0 when it is not known.
    pub fn vn(&self, vni: u32) -> Versions {
        self.vns.get(&vni).copied().unwrap_or_default()
    }

    /// Versions of a VNIC, by `network/vnic`; all 0 when it is not known.
    pub fn vnic(&self, name: &str) -> Versions {
        self.vnics.get(name).copied().unwrap_or_default()
    }
}

impl Changes {
    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    fn bump_vn(&mut self, vni: u32, part: impl Into<Parts>) {
        let parts = self.vns.entry(vni).or_default();
        *parts = parts.union(part.into());
    }

    fn bump_vnic(&mut self, name: String, part: impl Into<Parts>) {
        let parts = self.vnics.entry(name).or_default();
        *parts = parts.union(part.into());
    }
}

/// Compares two checked configurations. Networks are the same when their VNI is, VNICs when
/// network and name are.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    diff_hosts(old, new, &mut changes);
    let networks = pair(&old.networks, &new.networks, |network| network.vni);
    for pair in networks {
        match pair {
            (Some(old), Some(new)) => diff_network(old, new, &mut changes),
            (None, Some(new)) => add_network(new, &mut changes),
            (Some(old), None) => remove_network(old, &mut changes),
            (None, None) => {}
        }
    }
    changes
}

fn diff_hosts(old: &Config, new: &Config, changes: &mut Changes) {
    for pair in pair(&old.hosts, &new.hosts, |host| host.name.clone()) {
        match pair {
            (Some(old_host), Some(host)) => diff_host(old_host, host, new, changes),
            (None, Some(host)) => changes.line(format!("host {} added ({})", host.name, host.vtep)),
            (Some(host), None) => changes.line(format!("host {} removed", host.name)),
            (None, None) => {}
        }
    }
}

fn diff_host(old: &Host, new: &Host, config: &Config, changes: &mut Changes) {
    let what = format!("host {}", new.name);
    note(changes, &what, "mac", &old.mac, &new.mac);
    note(changes, &what, "mtu", &old.mtu, &new.mtu);
    if note(changes, &what, "vtep", &old.vtep, &new.vtep) {
        for network in &config.networks {
            if network.vnics.iter().any(|vnic| vnic.host == new.name) {
                changes.bump_vn(network.vni, Part::Mapping);
            }
        }
    }
}

fn add_network(network: &Network, changes: &mut Changes) {
    changes.line(format!(
        "network {} added (tenant {}, VNI {}, {})",
        network.name, network.tenant, network.vni, network.tunnel
    ));
    changes.bump_vn(network.vni, Parts::ALL);
    for subnet in &network.subnets {
        changes.line(format!("subnet {}/{} added", network.name, subnet.name));
    }
    for group in &network.groups {
        changes.line(format!("group {}/{} added", network.name, group.name));
    }
    for vnic in &network.vnics {
        add_vnic(network, vnic, changes);
    }
}

fn remove_network(network: &Network, changes: &mut Changes) {
    changes.line(format!(
        "network {} removed (VNI {})",
        network.name, network.vni
    ));
    changes.removed_vns.insert(network.vni);
    for vnic in &network.vnics {
        changes.removed_vnics.insert(full_name(network, vnic));
    }
}

fn add_vnic(network: &Network, vnic: &Vnic, changes: &mut Changes) {
    let name = full_name(network, vnic);
    changes.line(format!("vnic {name} added ({}, VF {})", vnic.host, vnic.vf));
    // A VNIC of this name may have gone with another network in the same change.
    changes.removed_vnics.remove(&name);
    changes.bump_vnic(name, Parts::ALL);
    changes.bump_vn(network.vni, Part::Mapping);
    changes.bump_vn(network.vni, Part::Security);
}

fn diff_network(old: &Network, new: &Network, changes: &mut Changes) {
    let what = format!("network {}", new.name);
    let vni = new.vni;
    note(changes, &what, "name", &old.name, &new.name);
    note(changes, &what, "tenant", &old.tenant, &new.tenant);
    note(changes, &what, "mtu", &old.mtu, &new.mtu);
    if note(changes, &what, "tunnel", &old.tunnel, &new.tunnel) {
        changes.bump_vn(vni, Part::Mapping);
    }
    diff_subnets(old, new, changes);
    diff_groups(old, new, changes);
    for (before, after) in pair(&old.vnics, &new.vnics, |vnic| vnic.name.clone()) {
        match (before, after) {
            (Some(before), Some(after)) if old.name == new.name => {
                diff_vnic(new, before, after, changes);
            }
            (before, after) => {
                if let Some(before) = before {
                    remove_vnic(old, before, changes);
                }
                if let Some(after) = after {
                    add_vnic(new, after, changes);
                }
            }
        }
    }
}

fn remove_vnic(network: &Network, vnic: &Vnic, changes: &mut Changes) {
    let name = full_name(network, vnic);
    changes.line(format!("vnic {name} removed"));
    changes.bump_vn(network.vni, Part::Mapping);
    changes.bump_vn(network.vni, Part::Security);
    if !changes.vnics.contains_key(&name) {
        changes.removed_vnics.insert(name);
    }
}

fn diff_subnets(old: &Network, new: &Network, changes: &mut Changes) {
    for pair in pair(&old.subnets, &new.subnets, |subnet| subnet.name.clone()) {
        let line = match pair {
            (Some(before), Some(after)) if before != after => {
                format!("subnet {}/{} changed", new.name, after.name)
            }
            (None, Some(after)) => format!("subnet {}/{} added", new.name, after.name),
            (Some(before), None) => format!("subnet {}/{} removed", new.name, before.name),
            _ => continue,
        };
        changes.line(line);
        changes.bump_vn(new.vni, Part::Route);
    }
}

fn diff_groups(old: &Network, new: &Network, changes: &mut Changes) {
    for pair in pair(&old.groups, &new.groups, |group| group.name.clone()) {
        let line = match pair {
            (Some(before), Some(after)) if before != after => {
                let (old_rules, new_rules) = (before.rules.len(), after.rules.len());
                format!(
                    "group {}/{} changed ({old_rules} -> {new_rules} rules)",
                    new.name, after.name
                )
            }
            (None, Some(after)) => format!("group {}/{} added", new.name, after.name),
            (Some(before), None) => format!("group {}/{} removed", new.name, before.name),
            _ => continue,
        };
        changes.line(line);
        changes.bump_vn(new.vni, Part::Security);
    }
    // The order of groups decides between rules of one priority.
    if common_order(&old.groups, &new.groups) != common_order(&new.groups, &old.groups) {
        changes.line(format!("network {}: order of groups changed", new.name));
        changes.bump_vn(new.vni, Part::Security);
    }
}

/// Names of the groups that are also in `other`, in order.
fn common_order<'a>(groups: &'a [Group], other: &[Group]) -> Vec<&'a str> {
    let names: BTreeSet<&str> = other.iter().map(|group| group.name.as_str()).collect();
    groups
        .iter()
        .map(|group| group.name.as_str())
        .filter(|name| names.contains(name))
        .collect()
}

fn diff_vnic(network: &Network, old: &Vnic, new: &Vnic, changes: &mut Changes) {
    let name = full_name(network, new);
    let what = format!("vnic {name}");
    let moved = [
        note(changes, &what, "host", &old.host, &new.host),
        note(changes, &what, "vf", &old.vf, &new.vf),
        note(changes, &what, "vlan", &old.vlan, &new.vlan),
        note(changes, &what, "mac", &old.mac, &new.mac),
        note(
            changes,
            &what,
            "addresses",
            &sorted(&old.addresses),
            &sorted(&new.addresses),
        ),
    ];
    if moved.contains(&true) {
        changes.bump_vnic(name.clone(), Part::Mapping);
        changes.bump_vn(network.vni, Part::Mapping);
    }
    // An address may leave or enter a rule's prefix, which is the rules' business too; but rules
    // are evaluated afresh when the mapping is stale.
    if note(
        changes,
        &what,
        "groups",
        &sorted(&old.groups),
        &sorted(&new.groups),
    ) {
        changes.bump_vnic(name, Part::Security);
        changes.bump_vn(network.vni, Part::Security);
    }
}

/// Notes a changed attribute; true when it changed.
fn note<T: PartialEq + Display>(
    changes: &mut Changes,
    what: &str,
    attribute: &str,
    old: &T,
    new: &T,
) -> bool {
    let changed = old != new;
    if changed {
        changes.line(format!("{what}: {attribute} {old} -> {new}"));
    }
    changed
}

/// Texts in an order that does not depend on the file's.
fn sorted<T: ToString>(values: &[T]) -> String {
    let mut texts: Vec<String> = values.iter().map(T::to_string).collect();
    texts.sort();
    format!("[{}]", texts.join(", "))
}

fn full_name(network: &Network, vnic: &Vnic) -> String {
    format!("{}/{}", network.name, vnic.name)
}

/// Brings together what has the same key in both, in the order of the keys.
fn pair<'a, T, K: Ord>(
    old: &'a [T],
    new: &'a [T],
    key: impl Fn(&T) -> K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let mut pairs: BTreeMap<K, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for item in old {
        pairs.entry(key(item)).or_default().0 = Some(item);
    }
    for item in new {
        pairs.entry(key(item)).or_default().1 = Some(item);
    }
    pairs.into_values().collect()
}

#[cfg(test)]
mod tests;
