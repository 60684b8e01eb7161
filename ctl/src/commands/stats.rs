//! `flownic stats`.

use flownic_api::v1;
use serde::Serialize;

use super::repeat;
use crate::cli::Watch;
use crate::client::{Agent, Servers};
use crate::error::Error;
use crate::format;
use crate::output::{Output, table};

#[derive(Serialize)]
struct Statistics {
    drops: Vec<Reason>,
    punts: Vec<Reason>,
    agent: AgentCounters,
    miss_latency: Vec<Latency>,
}

#[derive(Serialize)]
struct Reason {
    reason: String,
    port: u32,
    r#where: String,
    packets: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct AgentCounters {
    punts_received: u64,
    punts_answered: u64,
    punts_queued: u64,
    packets_injected: u64,
    flows_installed: u64,
    flow_install_errors: u64,
}

#[derive(Serialize)]
struct Latency {
    quantile: f64,
    microseconds: u64,
}

/// Runs the command.
pub(crate) async fn run(watch: Watch, servers: &Servers, output: Output) -> Result<(), Error> {
    let mut agent = servers.agent().await?;
    repeat(watch, async || {
        let statistics = read(&mut agent).await?;
        output.print(&Statistics::from(statistics), text)
    })
    .await
}

/// Everything that the agent and its NIC count.
pub(crate) async fn read(agent: &mut Agent) -> Result<v1::Statistics, Error> {
    let answer = agent
        .client
        .get_statistics(v1::GetStatisticsRequest {})
        .await
        .map_err(agent.explain("cannot read statistics"))?;
    Ok(answer.into_inner())
}

impl From<v1::Statistics> for Statistics {
    fn from(statistics: v1::Statistics) -> Statistics {
        let reasons = |counts: Vec<v1::ReasonCount>| {
            let mut reasons: Vec<Reason> = counts.into_iter().map(Reason::from).collect();
            reasons.sort_by(|a, b| {
                (a.port, &a.reason, &a.r#where).cmp(&(b.port, &b.reason, &b.r#where))
            });
            reasons
        };
        Statistics {
            drops: reasons(statistics.drops),
            punts: reasons(statistics.punts),
            agent: AgentCounters {
                punts_received: statistics.punts_received,
                punts_answered: statistics.punts_answered,
                punts_queued: statistics.punts_queued,
                packets_injected: statistics.packets_injected,
                flows_installed: statistics.flows_installed,
                flow_install_errors: statistics.flow_install_errors,
            },
            miss_latency: statistics
                .miss_latency
                .into_iter()
                .map(|latency| Latency {
                    quantile: latency.quantile,
                    microseconds: latency.microseconds,
                })
                .collect(),
        }
    }
}

impl From<v1::ReasonCount> for Reason {
    fn from(count: v1::ReasonCount) -> Reason {
        Reason {
            reason: count.reason,
            port: count.port,
            r#where: count.r#where,
            packets: count.packets,
            bytes: count.bytes,
        }
    }
}

fn text(statistics: &Statistics) -> String {
    let rows = |reasons: &[Reason]| -> Vec<Vec<String>> {
        let row = |count: &Reason| {
            vec![
                format::port(count.port),
                count.reason.clone(),
                count.r#where.clone(),
                count.packets.to_string(),
                count.bytes.to_string(),
            ]
        };
        reasons.iter().map(row).collect()
    };
    let section = |title: &str, reasons: &[Reason]| match reasons {
        [] => format!("no {title}\n\n"),
        some => format!(
            "{}\n",
            table(&[title, "reason", "by", "packets#", "bytes#"], rows(some))
        ),
    };
    let mut text = section("drops", &statistics.drops) + &section("punts", &statistics.punts);
    let agent = &statistics.agent;
    text.push_str(&table(
        &["agent", "#"],
        [
            ("punts received", agent.punts_received),
            ("punts answered", agent.punts_answered),
            ("punts waiting", agent.punts_queued),
            ("packets injected", agent.packets_injected),
            ("flow entries written", agent.flows_installed),
            ("flow entries refused", agent.flow_install_errors),
        ]
        .map(|(name, count)| vec![name.to_owned(), count.to_string()]),
    ));
    if !statistics.miss_latency.is_empty() {
        text.push_str("\nmiss to installed entry\n");
        for latency in &statistics.miss_latency {
            let percent = latency.quantile * 100.0;
            text.push_str(&format!(
                "{percent:>6} %  {}\n",
                format::microseconds(latency.microseconds)
            ));
        }
    }
    text
}
