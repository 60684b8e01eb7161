//! Evaluation of packets against a large virtual network, the way the network interface service
//! does it for every miss.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use flownic_vnet::{
    Config, Connection, Fabric, Origin, Packet, Verdict, VersionTable, Vnic, diff, evaluate,
};
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;

use crate::clock::{Span, each, rate, timed};
use crate::error::BenchError;
use crate::random::Random;
use crate::report::{NetworkRate, Report};

const VNICS_OF_HOST: u32 = 250;
const VNICS_OF_SUBNET: u32 = 1000;
const GROUPS: u32 = 20;
const BURST: usize = 1024;
const ALLOWED_PORT: u16 = 443;
const DENIED_PORT: u16 = 22;

/// Builds the network and evaluates random packets.
pub(crate) fn run(options: &crate::Vnet) -> Result<Report, BenchError> {
    let text = description(options.vnics);
    let start = Instant::now();
    let config =
        Config::parse("bench.toml", &text).map_err(|e| BenchError::Network(e.to_string()))?;
    let parse_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut versions = VersionTable::default();
    versions.advance(&diff(&Config::default(), &config), 1);
    let fabric = Fabric::compile(&config, &versions);
    let compile_seconds = start.elapsed().as_secs_f64();

    let mut random = Random::new(options.seed);
    let (mut span, mut allowed, mut denied) = (Span::default(), 0, 0);
    while span.wall.as_secs_f64() < options.seconds {
        let packets: Vec<Question<'_>> = (0..BURST)
            .filter_map(|_| question(&fabric, &mut random))
            .collect();
        let (right, time) = timed(|| packets.iter().filter(|q| q.is_answered(&fabric)).count());
        if right != packets.len() || packets.is_empty() {
            let what = format!(
                "{} of {} wrong verdicts",
                packets.len() - right,
                packets.len()
            );
            return Err(BenchError::Network(what));
        }
        span += time;
        let allow = packets.iter().filter(|q| q.allowed).count() as u64;
        allowed += allow;
        denied += packets.len() as u64 - allow;
    }

    let mut report = Report::new();
    let evaluations = allowed + denied;
    report.network = Some(NetworkRate {
        vnics: fabric.vnics().len(),
        hosts: fabric.hosts().len(),
        subnets: fabric
            .networks()
            .map(|network| network.subnets().len())
            .sum(),
        parse_seconds,
        compile_seconds,
        evaluations,
        evaluations_per_second: rate(span.wall, evaluations),
        ns_per_evaluation: each(span.wall, evaluations),
        ns_per_evaluation_cpu: each(span.cpu, evaluations),
        allowed,
        denied,
    });
    Ok(report)
}

/// A packet, and what the rules say about it.
struct Question<'a> {
    origin: Origin<'a>,
    packet: Packet,
    allowed: bool,
}

impl Question<'_> {
    /// Allowed packets must give entries for both NICs, others a denial for the sender's.
    fn is_answered(&self, fabric: &Fabric) -> bool {
        let evaluation = evaluate(fabric, &self.origin, &self.packet);
        match evaluation.verdict {
            Verdict::Allow(_) => self.allowed && !evaluation.sender.is_empty(),
            Verdict::Deny(_) => !self.allowed && evaluation.sender.len() == 1,
            Verdict::GatewayEcho => false,
        }
    }
}

/// A packet between two random VNICs; one in ten is to a port that no rule allows.
fn question<'a>(fabric: &'a Fabric, random: &mut Random) -> Option<Question<'a>> {
    let vnics = fabric.vnics();
    let mut pick = || &vnics[random.below(vnics.len() as u64) as usize];
    let (from, to) = (pick(), pick());
    if std::ptr::eq(from, to) {
        return None;
    }
    let allowed = random.below(10) != 0;
    let tuple = FlowTuple {
        src: *from.addresses.first()?,
        dst: *to.addresses.first()?,
        protocol: flownic_wire::protocol::TCP,
        src_port: 1024 + random.below(60_000) as u16,
        dst_port: if allowed { ALLOWED_PORT } else { DENIED_PORT },
    };
    Some(Question {
        origin: Origin::Vf {
            host: &from.host,
            port: from.port,
            vlan: from.vlan,
        },
        packet: Packet {
            tuple,
            src_mac: from.mac,
            dst_mac: next_hop(fabric, from, to)?,
            ttl: 64,
            connection: Connection::New,
        },
        allowed,
    })
}

/// The receiver itself in the same subnet, the gateway otherwise.
fn next_hop(fabric: &Fabric, from: &Vnic, to: &Vnic) -> Option<MacAddr> {
    let subnet = |vnic| fabric.subnet_of(vnic);
    let (mine, other) = (subnet(from)?, subnet(to)?);
    Some(if std::ptr::eq(mine, other) {
        to.mac
    } else {
        mine.gateway.mac
    })
}

/// The description that a person would write, had they the patience: /22 subnets, 20 security
/// groups, a VNIC in one of them; each group has five rules before the one that allows.
fn description(vnics: u32) -> String {
    let mut text = String::new();
    for host in 0..vnics.div_ceil(VNICS_OF_HOST) {
        let vtep = Ipv4Addr::from(0xc612_0001 + host);
        let mac = mac(0x0200_0100_0000 + u64::from(host));
        push(
            &mut text,
            format_args!(
                "[[host]]\nname = \"h{host}\"\nvtep = \"{vtep}\"\nmac = \"{mac}\"\nmtu = 1600\n"
            ),
        );
    }
    push(
        &mut text,
        format_args!(
            "[[network]]\ntenant = \"bench\"\nname = \"bench\"\nvni = 100\ntunnel = \"geneve\"\nmtu = 1450\n"
        ),
    );
    for subnet in 0..vnics.div_ceil(VNICS_OF_SUBNET) {
        let first = 0x0a00_0000 + subnet * 1024;
        push(
            &mut text,
            format_args!(
                "[[network.subnet]]\nname = \"s{subnet}\"\nipv4 = \"{}/22\"\ngateway = [\"{}\"]\n\
             gateway_mac = \"02:00:5e:00:00:01\"\n",
                Ipv4Addr::from(first),
                Ipv4Addr::from(first + 1)
            ),
        );
    }
    for group in 0..GROUPS {
        push_group(&mut text, group);
    }
    for vnic in 0..vnics {
        let (subnet, at) = (vnic / VNICS_OF_SUBNET, vnic % VNICS_OF_SUBNET);
        push(
            &mut text,
            format_args!(
                "[[network.vnic]]\nname = \"v{vnic}\"\nhost = \"h{}\"\nvf = {}\nmac = \"{}\"\n\
             addresses = [\"{}\"]\ngroups = [\"g{}\"]\n",
                vnic / VNICS_OF_HOST,
                vnic % VNICS_OF_HOST,
                mac(0x0200_0200_0000 + u64::from(vnic)),
                IpAddr::from(Ipv4Addr::from(0x0a00_0000 + subnet * 1024 + 2 + at)),
                vnic % GROUPS
            ),
        );
    }
    text
}

fn push_group(text: &mut String, group: u32) {
    push(
        text,
        format_args!("[[network.group]]\nname = \"g{group}\"\n"),
    );
    push(
        text,
        format_args!("[[network.group.rule]]\ndirection = \"egress\"\naction = \"allow\"\n"),
    );
    for port in [25, 80, 5432, 8080] {
        push(
            text,
            format_args!(
                "[[network.group.rule]]\ndirection = \"ingress\"\naction = \"allow\"\n\
             protocol = \"tcp\"\nports = \"{port}\"\nremote = \"group:g{}\"\n",
                (group + 1) % GROUPS
            ),
        );
    }
    push(
        text,
        format_args!(
            "[[network.group.rule]]\ndirection = \"ingress\"\naction = \"allow\"\n\
         protocol = \"tcp\"\nports = \"{ALLOWED_PORT}\"\nremote = \"10.0.0.0/8\"\n"
        ),
    );
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = text.write_fmt(what);
}

fn mac(value: u64) -> MacAddr {
    let [_, _, mac @ ..] = value.to_be_bytes();
    MacAddr(mac)
}
