//! Compares what the agents count with what was sent, and makes the rows of the report.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use flownic_api::v1;
use flownic_wire::flow::FlowTuple;
use flownic_wire::protocol;

use super::replay::Outcome;
use super::report::{Check, Drops, Row, TenantReport, median};
use super::script::{Conversation, Expect, Step, Topic, Vm};
use super::tenants::{Host, Tenant, expected_drops, port_of_vf};

/// A tenant's script and what became of it.
pub(crate) struct Played {
    /// Whose it is.
    pub(crate) tenant: Tenant,
    /// What was to be sent.
    pub(crate) script: Vec<Conversation>,
    /// What became of each conversation, in the same order.
    pub(crate) outcomes: Vec<Outcome>,
}

/// Flow entries of both NICs, by what the sender's packets look like.
pub(crate) struct Flows(HashMap<(Host, u32, u32, FlowTuple), v1::Flow>);

impl Flows {
    /// From what each agent lists; only entries for packets from VFs.
    pub(crate) fn new(lists: Vec<(Host, Vec<v1::Flow>)>) -> Flows {
        let mut flows = HashMap::new();
        for (host, list) in lists {
            for flow in list {
                let Some(key) = flow.entry.as_ref().and_then(|entry| entry.key.clone()) else {
                    continue;
                };
                if key.direction() == v1::Direction::Outbound
                    && let Some(tuple) = tuple(&key)
                {
                    flows.insert((host, key.vni, key.attach, tuple), flow);
                }
            }
        }
        Flows(flows)
    }

    fn of(&self, tenant: Tenant, vm: Vm, tuple: FlowTuple) -> Option<&v1::Flow> {
        let (host, vf) = tenant.place(vm);
        self.0
            .get(&(host, tenant.vni(), port_of_vf(vf).into(), tuple))
    }
}

fn tuple(key: &v1::FlowKey) -> Option<FlowTuple> {
    let address = |bytes: &[u8]| match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    };
    Some(FlowTuple {
        src: address(&key.src)?,
        dst: address(&key.dst)?,
        protocol: key.protocol.try_into().ok()?,
        src_port: key.src_port.try_into().ok()?,
        dst_port: key.dst_port.try_into().ok()?,
    })
}

/// Rows of one tenant: alike conversations together, in the order of their first.
pub(crate) fn tenant_report(played: &Played, flows: &Flows) -> TenantReport {
    let mut rows: Vec<(Row, Samples)> = Vec::new();
    // Conversations may share an entry: it is counted with the first.
    let mut counted = HashSet::new();
    for outcome in &played.outcomes {
        let conversation = &played.script[outcome.index];
        let (between, what) = label(conversation);
        let at = rows
            .iter()
            .position(|(row, _)| row.between == between && row.what == what);
        let at = at.unwrap_or_else(|| {
            let row = Row {
                between,
                what,
                ok: true,
                ..Row::default()
            };
            rows.push((row, Samples::default()));
            rows.len() - 1
        });
        let (row, samples) = &mut rows[at];
        row.flows += 1;
        row.packets += outcome.sent;
        row.ok &= outcome.failure.is_none();
        samples.add(outcome);
        for step in &conversation.steps[..outcome.sent] {
            if let Expect::Refused(reason) = step.expect {
                row.refused = Some(reason);
            }
            let flow = own_flow(step).and_then(|tuple| {
                let flow = flows.of(played.tenant, step.from, tuple)?;
                Some((tuple, flow))
            });
            match flow {
                None => row.punted += 1,
                Some((tuple, flow)) if counted.insert((step.from, tuple)) => {
                    row.punted += flow.punted;
                    row.in_nic += flow.packets;
                    samples
                        .install
                        .extend(Some(flow.install_us).filter(|&us| us > 0));
                }
                Some(_) => {}
            }
        }
    }
    let rows = rows
        .into_iter()
        .map(|(row, samples)| samples.finish(row))
        .collect();
    TenantReport {
        tenant: played.tenant.name().to_owned(),
        vni: played.tenant.vni(),
        rows,
    }
}

#[derive(Default)]
struct Samples {
    first: Vec<u64>,
    later: Vec<u64>,
    install: Vec<u64>,
}

impl Samples {
    fn add(&mut self, outcome: &Outcome) {
        let mut latencies = outcome
            .latencies
            .iter()
            .map(|latency| latency.as_micros() as u64);
        self.first.extend(latencies.next());
        self.later.extend(latencies);
    }

    fn finish(self, row: Row) -> Row {
        Row {
            miss_to_hit_us: median(self.install),
            first_packet_us: median(self.first),
            later_packets_us: median(self.later),
            ..row
        }
    }
}

/// The flow of a step that can have an entry: no fragment, no neighbour discovery, and no ICMP error,
/// which the service decides about one by one, by the flow that it quotes.
fn own_flow(step: &Step) -> Option<FlowTuple> {
    let frame = FlowTuple::from_frame(&step.frame).ok()?;
    let nd = frame.tuple.protocol == protocol::ICMPV6
        && (133..=137).contains(&(frame.tuple.src_port >> 8));
    let cached = frame.fragment.is_none() && !nd && !frame.tuple.is_icmp_error();
    cached.then_some(frame.tuple)
}

fn label(conversation: &Conversation) -> (String, String) {
    let first = conversation.steps.first();
    let from = first.map_or("?", |step| step.from.name());
    let to = conversation
        .steps
        .iter()
        .find_map(|step| match &step.expect {
            Expect::Arrives { at, .. } if step.from.name() == from => Some(at.name()),
            _ => None,
        });
    let version = |address: &IpAddr| if address.is_ipv4() { "" } else { ", IPv6" };
    match &conversation.topic {
        Topic::Arp(_) => (from.to_owned(), "ARP".into()),
        Topic::Nd(_) => (from.to_owned(), "neighbour discovery".into()),
        Topic::Fragments { src, .. } => (
            between(from, to),
            format!("ping, fragments{}", version(src)),
        ),
        Topic::Flow(flow) => {
            let to = to.or_else(|| receiver(flow.dst));
            (
                between(from, to),
                format!("{}{}", service(flow), version(&flow.src)),
            )
        }
    }
}

fn between(from: &str, to: Option<&str>) -> String {
    format!("{from} → {}", to.unwrap_or("?"))
}

/// Who has an address of the recording; of a refused packet nobody says it otherwise.
fn receiver(address: IpAddr) -> Option<&'static str> {
    match address.to_string().as_str() {
        "10.0.0.10" | "fd00:0:0:1::a" => Some("a"),
        "10.0.0.20" | "fd00:0:0:1::14" => Some("b"),
        "10.0.1.30" | "fd00:0:0:2::1e" => Some("c"),
        _ => None,
    }
}

fn service(flow: &FlowTuple) -> String {
    let protocol = match flow.protocol {
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        protocol::ICMP | protocol::ICMPV6 => return "ping".into(),
        other => return format!("protocol {other}"),
    };
    match flow.dst_port {
        53 => format!("DNS, {protocol}"),
        80 => "HTTP".into(),
        5201 => format!("iperf3, {protocol}"),
        9999 => "closed port".into(),
        33434..=33534 => "traceroute".into(),
        port => format!("{protocol} {port}"),
    }
}

/// R1.2: each packet of a flow with an entry was either punted or dealt with by the NIC, once.
pub(crate) fn check_accounts(all: &[Played], flows: &Flows) -> Check {
    let mut sent: BTreeMap<(Tenant, Vm, FlowTuple), u64> = BTreeMap::new();
    for played in all {
        for outcome in &played.outcomes {
            for step in &played.script[outcome.index].steps[..outcome.sent] {
                if let Some(tuple) = own_flow(step) {
                    *sent.entry((played.tenant, step.from, tuple)).or_default() += 1;
                }
            }
        }
    }
    let (mut punted, mut in_nic, mut wrong) = (0, 0, Vec::new());
    for (&(tenant, vm, tuple), &count) in &sent {
        let flow = flows.of(tenant, vm, tuple);
        let (its_punted, its_hits) = flow.map_or((0, 0), |flow| (flow.punted, flow.packets));
        punted += its_punted;
        in_nic += its_hits;
        if its_punted + its_hits != count {
            wrong.push(format!(
                "{} {}: {tuple}: {count} sent, {its_punted} punted, {its_hits} in the NIC",
                tenant.name(),
                vm.name()
            ));
        }
    }
    let what = format!(
        "every packet of {} flows was punted or forwarded by the NIC, once: {punted} punted, {in_nic} in the NIC",
        sent.len()
    );
    Check::new(wrong.is_empty(), what, wrong)
}

/// All packets did what they must.
pub(crate) fn check_arrivals(all: &[Played]) -> Check {
    let (mut arrived, mut wrong) = (0, Vec::new());
    for played in all {
        for outcome in &played.outcomes {
            arrived += outcome.latencies.len();
            if let Some(failure) = &outcome.failure {
                let (between, what) = label(&played.script[outcome.index]);
                wrong.push(format!(
                    "{} {between} {what}: {failure}",
                    played.tenant.name()
                ));
            }
        }
    }
    let what = format!(
        "{arrived} packets arrived at the right VM, byte for byte as recorded (or were answered)"
    );
    Check::new(wrong.is_empty(), what, wrong)
}

/// Counters of both NICs, pipeline and agent side by side.
pub(crate) fn drops(statistics: &[(Host, v1::Statistics)]) -> Vec<Drops> {
    let mut drops: BTreeMap<(Host, u32, String), (u64, u64)> = BTreeMap::new();
    for (host, statistics) in statistics {
        for count in &statistics.drops {
            let entry = drops
                .entry((*host, count.port, count.reason.clone()))
                .or_default();
            match count.r#where.as_str() {
                "pipeline" => entry.0 += count.packets,
                _ => entry.1 += count.packets,
            }
        }
    }
    let kept = drops
        .into_iter()
        .filter(|(_, (pipeline, agent))| pipeline + agent > 0);
    kept.map(|((host, port, reason), (pipeline, agent))| Drops {
        host: host.name(),
        port,
        reason,
        pipeline,
        agent,
    })
    .collect()
}

/// R3.6: what is forbidden is dropped and counted with its reason, and nothing else is.
pub(crate) fn check_drops(all: &[Played], counted: &[Drops]) -> Check {
    let mut expected: BTreeMap<(&str, u32, &str), u64> = BTreeMap::new();
    for played in all {
        let failed = played
            .outcomes
            .iter()
            .filter(|outcome| outcome.failure.is_some());
        let failed: HashSet<usize> = failed.map(|outcome| outcome.index).collect();
        for ((host, port, reason), packets) in
            expected_drops(played.tenant, &played.script, &failed)
        {
            *expected
                .entry((host.name(), port.into(), reason))
                .or_default() += packets;
        }
    }
    let mut wrong = Vec::new();
    let mut total = 0;
    for (&(host, port, reason), &packets) in &expected {
        let is =
            |drop: &&Drops| (drop.host, drop.port, drop.reason.as_str()) == (host, port, reason);
        let found = counted
            .iter()
            .find(is)
            .map_or(0, |drop| drop.pipeline + drop.agent);
        total += found;
        if found != packets {
            wrong.push(format!(
                "{host}, {}: {found} packets counted as {reason}, {packets} expected",
                crate::format::port(port)
            ));
        }
    }
    for drop in counted {
        if !expected.contains_key(&(drop.host, drop.port, drop.reason.as_str())) {
            wrong.push(format!(
                "{}, {}: {} packets counted as {}, none expected",
                drop.host,
                crate::format::port(drop.port),
                drop.pipeline + drop.agent,
                drop.reason
            ));
        }
    }
    let what =
        format!("{total} packets were dropped, each counted under its reason, and no others");
    Check::new(wrong.is_empty(), what, wrong)
}
