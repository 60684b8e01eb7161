//! The two tenants of `ctl/demo/two-tenants.toml`: where their VMs are and what they may not do.

use std::collections::HashSet;

use flownic_wire::flow::FlowTuple;
use flownic_wire::protocol;

use super::script::{Conversation, Expect, Step, Topic, Vm};

/// The configuration that the demo applies.
pub(crate) const TWO_TENANTS: &str = include_str!("../../demo/two-tenants.toml");
/// The traffic that it replays.
pub(crate) const TRAFFIC: &[u8] = include_bytes!("../../demo/traffic.pcapng");

/// How often a VM repeats what is refused, as a program does that tries again.
const REPEATS: usize = 2;
const DNS: u16 = 53;
const HTTP: u16 = 80;

/// One of the two hosts; each has one NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Host {
    /// 192.0.2.1
    A,
    /// 192.0.2.2
    B,
}

impl Host {
    /// Both.
    pub(crate) const ALL: [Host; 2] = [Host::A, Host::B];

    /// As in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Host::A => "host-a",
            Host::B => "host-b",
        }
    }

    /// The other one.
    pub(crate) fn peer(self) -> Host {
        match self {
            Host::A => Host::B,
            Host::B => Host::A,
        }
    }
}

/// A tenant with its own virtual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Tenant {
    /// Everything that is in the recording is allowed.
    Blue,
    /// Asking for names is forbidden to its machines, HTTP to its servers.
    Red,
}

impl Tenant {
    /// Both.
    pub(crate) const ALL: [Tenant; 2] = [Tenant::Blue, Tenant::Red];

    /// As in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tenant::Blue => "blue",
            Tenant::Red => "red",
        }
    }

    /// Number of the virtual network.
    pub(crate) fn vni(self) -> u32 {
        match self {
            Tenant::Blue => 100,
            Tenant::Red => 200,
        }
    }

    /// Host and VF of a VM.
    pub(crate) fn place(self, vm: Vm) -> (Host, u16) {
        let first = match self {
            Tenant::Blue => 0,
            Tenant::Red => 8,
        };
        match vm {
            Vm::A => (Host::A, first),
            Vm::B => (Host::B, first),
            Vm::C => (Host::B, first + 1),
        }
    }

    /// Under which reason the first packet of a flow is dropped; `None` when it is allowed.
    pub(crate) fn refusal(self, flow: &FlowTuple) -> Option<&'static str> {
        let port = match flow.protocol {
            protocol::TCP | protocol::UDP => flow.dst_port,
            _ => return None,
        };
        match (self, flow.protocol, port) {
            (Tenant::Red, _, DNS) => Some("SECURITY_EGRESS"),
            (Tenant::Red, protocol::TCP, HTTP) => Some("SECURITY_INGRESS"),
            _ => None,
        }
    }

    /// The recorded conversations as this tenant's rules let them go: of a forbidden one only the
    /// opening packet is sent, and sent again; nothing that a VM would say only after an answer.
    pub(crate) fn adapt(self, script: &[Conversation]) -> Vec<Conversation> {
        let adapt = |conversation: &Conversation| match &conversation.topic {
            Topic::Flow(flow) => match self.refusal(flow) {
                Some(reason) => refused(conversation, reason),
                None => conversation.clone(),
            },
            _ => conversation.clone(),
        };
        script.iter().map(adapt).collect()
    }
}

/// Pipeline port of a VF.
pub(crate) fn port_of_vf(vf: u16) -> u16 {
    16 + vf
}

/// The ports of a host that the tenants' VMs are on.
pub(crate) fn ports_of(host: Host) -> Vec<(Tenant, Vm, u16)> {
    let mut ports = Vec::new();
    for tenant in Tenant::ALL {
        for vm in Vm::ALL {
            let (its_host, vf) = tenant.place(vm);
            if its_host == host {
                ports.push((tenant, vm, port_of_vf(vf)));
            }
        }
    }
    ports
}

fn refused(conversation: &Conversation, reason: &'static str) -> Conversation {
    let Some(opening) = conversation.steps.first() else {
        return conversation.clone();
    };
    let step = Step {
        expect: Expect::Refused(reason),
        ..opening.clone()
    };
    Conversation {
        topic: conversation.topic.clone(),
        steps: vec![step; 1 + REPEATS],
    }
}

/// Configuration with one tunnel format for everyone.
pub(crate) fn with_tunnel(toml: &str, tunnel: &str) -> Result<String, toml::de::Error> {
    edit(toml, |network| {
        network.insert("tunnel".into(), tunnel.into());
    })
}

/// Configuration in which nothing may be sent to this port any more in a tenant's network: the
/// rules that name it lose it, and stay without it.
pub(crate) fn without_port(
    toml: &str,
    tenant: Tenant,
    protocol: &str,
    port: &str,
) -> Result<String, toml::de::Error> {
    edit(toml, |network| {
        let own = |key: &str| network.get(key).and_then(toml::Value::as_str) == Some(tenant.name());
        if !own("name") {
            return;
        }
        let rule = toml::toml! {
            direction = "ingress"
            action = "deny"
            protocol = "udp"
            ports = "0"
            remote = "any"
            priority = 1
        };
        let mut rule = rule;
        rule.insert("protocol".into(), protocol.into());
        rule.insert("ports".into(), port.into());
        let groups = network.get_mut("group").and_then(toml::Value::as_array_mut);
        for group in groups.into_iter().flatten() {
            if let Some(rules) = group.get_mut("rule").and_then(toml::Value::as_array_mut) {
                rules.push(toml::Value::Table(rule.clone()));
            }
        }
    })
}

fn edit(toml: &str, mut change: impl FnMut(&mut toml::Table)) -> Result<String, toml::de::Error> {
    let mut root: toml::Table = toml.parse()?;
    let networks = root.get_mut("network").and_then(toml::Value::as_array_mut);
    for network in networks
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table_mut)
    {
        change(network);
    }
    Ok(toml::to_string(&root).unwrap_or_default())
}

/// Drop counters that a script must leave behind: host, port, reason → packets.
pub(crate) fn expected_drops(
    tenant: Tenant,
    script: &[Conversation],
    failed: &HashSet<usize>,
) -> Vec<((Host, u16, &'static str), u64)> {
    let mut drops = std::collections::BTreeMap::new();
    let played = script
        .iter()
        .enumerate()
        .filter(|(index, _)| !failed.contains(index));
    for step in played.flat_map(|(_, conversation)| &conversation.steps) {
        let reason = match &step.expect {
            Expect::Refused(reason) => reason,
            Expect::Absorbed => "ABSORBED",
            Expect::Answer(super::script::Answer::TimeExceeded { .. }) => "TTL_EXPIRED",
            _ => continue,
        };
        let (host, vf) = tenant.place(step.from);
        *drops.entry((host, port_of_vf(vf), reason)).or_insert(0) += 1;
    }
    drops.into_iter().collect()
}
