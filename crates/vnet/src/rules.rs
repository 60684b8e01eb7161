//! Security rules compiled for one set of groups: two lists, egress and ingress, in the order in
//! which the first match decides.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use flownic_wire::flow::FlowTuple;

use crate::Prefix;
use crate::config::{Network, Remote, Side};

/// Index of a group in its network.
pub(crate) type GroupId = u32;

/// Rules of all VNICs that are in the same groups.
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    egress: Vec<Rule>,
    ingress: Vec<Rule>,
}

/// A rule with what it takes to match it.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) allow: bool,
    pub(crate) stateful: bool,
    protocol: Option<u8>,
    ports: Vec<RangeInclusive<u16>>,
    remote: CompiledRemote,
    label: Arc<RuleLabel>,
}

#[derive(Clone, Copy, Debug)]
enum CompiledRemote {
    Any,
    Prefix(Prefix),
    Group(GroupId),
}

/// Names a rule to a person.
#[derive(Debug, PartialEq, Eq)]
pub struct RuleLabel {
    /// The group that it is in.
    pub group: String,
    /// Its place in the group, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
}

impl fmt::Display for RuleLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule {} of group {}: {}",
            self.number, self.group, self.text
        )
    }
}

/// Indexes of the groups with these names, ascending.
pub(crate) fn group_ids(network: &Network, names: &[String]) -> Vec<GroupId> {
    let mut ids: Vec<GroupId> = (0..)
        .zip(&network.groups)
        .filter(|(_, group)| names.contains(&group.name))
        .map(|(id, _)| id)
        .collect();
    ids.dedup();
    ids
}

impl RuleSet {
    /// Merges the rules of `groups`: by priority, then by place in the file.
    pub(crate) fn compile(network: &Network, groups: &[GroupId]) -> RuleSet {
        let mut ordered: Vec<(u32, Side, Rule)> = Vec::new();
        for &id in groups {
            let Some(group) = network.groups.get(id as usize) else {
                continue;
            };
            for (number, rule) in (1..).zip(&group.rules) {
                let remote = match &rule.remote {
                    Remote::Any => CompiledRemote::Any,
                    Remote::Prefix(prefix) => CompiledRemote::Prefix(*prefix),
                    Remote::Group(name) => {
                        let ids = group_ids(network, std::slice::from_ref(name));
                        // A checked configuration names only groups that exist; a rule about a
                        // group that does not would match nobody.
                        let Some(&id) = ids.first() else { continue };
                        CompiledRemote::Group(id)
                    }
                };
                let compiled = Rule {
                    allow: rule.allow,
                    stateful: rule.stateful,
                    protocol: rule.protocol,
                    ports: rule.ports.clone(),
                    remote,
                    label: Arc::new(RuleLabel {
                        group: group.name.clone(),
                        number,
                        text: rule.to_string(),
                    }),
                };
                ordered.push((rule.priority, rule.side, compiled));
            }
        }
        // Stable: rules of one priority stay in the order of the file.
        ordered.sort_by_key(|(priority, _, _)| *priority);
        let mut set = RuleSet::default();
        for (_, side, rule) in ordered {
            match side {
                Side::Egress => set.egress.push(rule),
                Side::Ingress => set.ingress.push(rule),
            }
        }
        set
    }

    /// The first rule that matches a packet of `tuple` whose other end is `remote`, a VNIC in
    /// `remote_groups` (ascending).
    pub(crate) fn first_match(
        &self,
        side: Side,
        tuple: &FlowTuple,
        remote: IpAddr,
        remote_groups: &[GroupId],
    ) -> Option<&Rule> {
        let rules = match side {
            Side::Egress => &self.egress,
            Side::Ingress => &self.ingress,
        };
        rules
            .iter()
            .find(|rule| rule.matches(tuple, remote, remote_groups))
    }
}

impl Rule {
    fn matches(&self, tuple: &FlowTuple, remote: IpAddr, remote_groups: &[GroupId]) -> bool {
        self.protocol
            .is_none_or(|protocol| protocol == tuple.protocol)
            && (self.ports.is_empty() || self.ports.iter().any(|r| r.contains(&tuple.dst_port)))
            && match self.remote {
                CompiledRemote::Any => true,
                CompiledRemote::Prefix(prefix) => prefix.contains(remote),
                CompiledRemote::Group(id) => remote_groups.binary_search(&id).is_ok(),
            }
    }

    pub(crate) fn label(&self) -> Arc<RuleLabel> {
        self.label.clone()
    }
}
