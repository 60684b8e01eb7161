//! `flownic flow`.

use flownic_api::v1;
use flownic_api::v1::flow_entry::Action;
use serde::Serialize;

use super::repeat;
use crate::cli::FlowCommand;
use crate::client::{Agent, Servers};
use crate::error::Error;
use crate::format;
use crate::output::{Output, table};

#[derive(Serialize)]
struct Flows {
    flows: Vec<Flow>,
}

#[derive(Serialize)]
struct Flow {
    vni: u32,
    direction: &'static str,
    attach: String,
    source: String,
    destination: String,
    protocol: String,
    source_port: u32,
    destination_port: u32,
    action: String,
    vnic: String,
    reply: bool,
    current: bool,
    packets: u64,
    bytes: u64,
    punted: u64,
    age_ms: u64,
    install_us: u64,
}

#[derive(Serialize)]
struct Cleared {
    removed: u64,
}

/// Runs the command.
pub(crate) async fn run(
    command: FlowCommand,
    servers: &Servers,
    output: Output,
) -> Result<(), Error> {
    let mut agent = servers.agent().await?;
    match command {
        FlowCommand::List { vni, watch } => {
            repeat(watch, async || {
                let flows = list(&mut agent, vni)
                    .await?
                    .into_iter()
                    .map(Flow::from)
                    .collect();
                output.print(&Flows { flows }, text)
            })
            .await
        }
        FlowCommand::Clear { vni } => {
            let answer = agent
                .client
                .clear_flows(v1::ClearFlowsRequest { vni })
                .await
                .map_err(agent.explain("cannot clear flows"))?;
            let removed = answer.into_inner().removed;
            output.print(&Cleared { removed }, |cleared| {
                format!("{} flow entries removed", cleared.removed)
            })
        }
    }
}

/// All flow entries of a NIC, or those of one virtual network.
pub(crate) async fn list(agent: &mut Agent, vni: Option<u32>) -> Result<Vec<v1::Flow>, Error> {
    let explain = agent.explain("cannot list flows");
    let request = v1::ListFlowsRequest { vni };
    let mut stream = agent
        .client
        .list_flows(request)
        .await
        .map_err(&explain)?
        .into_inner();
    let mut flows = Vec::new();
    while let Some(flow) = stream.message().await.map_err(&explain)? {
        flows.push(flow);
    }
    flows.sort_by_cached_key(|flow| {
        let key = flow
            .entry
            .as_ref()
            .and_then(|entry| entry.key.clone())
            .unwrap_or_default();
        (
            key.vni,
            key.direction,
            key.attach,
            key.src,
            key.dst,
            key.protocol,
            key.src_port,
            key.dst_port,
        )
    });
    Ok(flows)
}

impl From<v1::Flow> for Flow {
    fn from(flow: v1::Flow) -> Flow {
        let entry = flow.entry.unwrap_or_default();
        let key = entry.key.unwrap_or_default();
        let outbound = key.direction() == v1::Direction::Outbound;
        Flow {
            vni: key.vni,
            direction: if outbound { "outbound" } else { "inbound" },
            attach: if outbound {
                format::port(key.attach)
            } else {
                format::ipv4(key.attach)
            },
            source: format::address(&key.src),
            destination: format::address(&key.dst),
            protocol: format::protocol(key.protocol),
            source_port: key.src_port,
            destination_port: key.dst_port,
            action: entry.action.as_ref().map_or_else(|| "none".into(), action),
            vnic: entry.vnic,
            reply: entry.reply,
            current: flow.current,
            packets: flow.packets,
            bytes: flow.bytes,
            punted: flow.punted,
            age_ms: flow.age_ms,
            install_us: flow.install_us,
        }
    }
}

fn action(action: &Action) -> String {
    let routed = |routed: &Option<v1::Routed>| if routed.is_some() { ", routed" } else { "" };
    match action {
        Action::ToTunnel(to) => format!(
            "{} to {}{}",
            match to.tunnel() {
                v1::Tunnel::Vxlan => "vxlan",
                v1::Tunnel::Geneve => "geneve",
                v1::Tunnel::None => "no tunnel",
            },
            format::ipv4(to.remote_vtep),
            routed(&to.routed)
        ),
        Action::ToVf(to) if to.vlan == 0 => {
            format!("to {}{}", format::port(to.port), routed(&to.routed))
        }
        Action::ToVf(to) => format!(
            "to {} vlan {}{}",
            format::port(to.port),
            to.vlan,
            routed(&to.routed)
        ),
        Action::Deny(deny) => format!("deny {}", deny.reason),
    }
}

fn icmp_kind(protocol: u32, kind: u32, identifier: u32) -> String {
    match (protocol, kind) {
        (1, 8) | (58, 128) => format!(" echo {identifier}"),
        (1, 0) | (58, 129) => format!(" echo reply {identifier}"),
        (1, 3) | (58, 1) => " unreachable".into(),
        (58, 2) => " packet too big".into(),
        (1, 11) | (58, 3) => " time exceeded".into(),
        _ => format!(" type {kind}"),
    }
}

fn text(list: &Flows) -> String {
    table(
        &[
            "vni#",
            "from",
            "flow",
            "action",
            "packets#",
            "bytes#",
            "punted#",
            "installed in#",
            "state",
        ],
        list.flows.iter().map(|flow| {
            let icmp = matches!(flow.protocol.as_str(), "icmp" | "icmpv6");
            let (source, destination) = if icmp {
                (flow.source.clone(), flow.destination.clone())
            } else {
                let end = |address: &str, port| match address.contains(':') {
                    true => format!("[{address}]:{port}"),
                    false => format!("{address}:{port}"),
                };
                (
                    end(&flow.source, flow.source_port),
                    end(&flow.destination, flow.destination_port),
                )
            };
            let kind = match flow.protocol.as_str() {
                "icmp" => icmp_kind(1, flow.source_port >> 8, flow.destination_port),
                "icmpv6" => icmp_kind(58, flow.source_port >> 8, flow.destination_port),
                _ => String::new(),
            };
            vec![
                flow.vni.to_string(),
                flow.attach.clone(),
                format!("{} {source} → {destination}{kind}", flow.protocol),
                format!(
                    "{}{}",
                    flow.action,
                    if flow.reply { " (reply)" } else { "" }
                ),
                flow.packets.to_string(),
                flow.bytes.to_string(),
                flow.punted.to_string(),
                match flow.install_us {
                    0 => "-".into(),
                    us => format::microseconds(us),
                },
                if flow.current { "current" } else { "stale" }.into(),
            ]
        }),
    )
}
