//! What the demo found, for people and (`--json`) for programs.

use serde::Serialize;

use crate::format;
use crate::output::{Output, table};

/// Everything.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// No check failed.
    pub(crate) ok: bool,
    /// Traffic of each tenant.
    pub(crate) tenants: Vec<TenantReport>,
    /// Dropped packets of both NICs.
    pub(crate) drops: Vec<Drops>,
    /// What was asserted.
    pub(crate) checks: Vec<Check>,
    /// Files to look at.
    pub(crate) files: Vec<File>,
    /// From start to end, without building.
    pub(crate) seconds: f64,
}

/// A tenant's traffic.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TenantReport {
    /// Its name.
    pub(crate) tenant: String,
    /// Number of its virtual network.
    pub(crate) vni: u32,
    /// Alike flows together.
    pub(crate) rows: Vec<Row>,
}

/// Flows between the same VMs for the same purpose.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Row {
    /// Who started, and with whom: `a → b`.
    pub(crate) between: String,
    /// What it was.
    pub(crate) what: String,
    /// Conversations.
    pub(crate) flows: usize,
    /// Packets sent.
    pub(crate) packets: usize,
    /// Packets that went to the host.
    pub(crate) punted: u64,
    /// Packets that the NIC of the sender dealt with alone.
    pub(crate) in_nic: u64,
    /// Median of the time from punt to installed entry, µs; as the agents measured it.
    pub(crate) miss_to_hit_us: Option<u64>,
    /// Median of the time from VM to VM of first packets, µs.
    pub(crate) first_packet_us: Option<u64>,
    /// Median of the same for later packets, µs.
    pub(crate) later_packets_us: Option<u64>,
    /// Why packets were dropped, when the rules say so.
    pub(crate) refused: Option<&'static str>,
    /// Checks passed.
    pub(crate) ok: bool,
}

/// A drop counter.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Drops {
    /// Whose NIC.
    pub(crate) host: &'static str,
    /// At which port.
    pub(crate) port: u32,
    /// Why.
    pub(crate) reason: String,
    /// By the pipeline.
    pub(crate) pipeline: u64,
    /// By the agent.
    pub(crate) agent: u64,
}

/// One assertion.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    /// It holds.
    pub(crate) ok: bool,
    /// What is asserted.
    pub(crate) what: String,
    /// Numbers, or what is wrong.
    pub(crate) details: Vec<String>,
}

impl Check {
    /// An assertion with its numbers.
    pub(crate) fn new(ok: bool, what: impl Into<String>, details: Vec<String>) -> Check {
        Check {
            ok,
            what: what.into(),
            details,
        }
    }
}

/// A file to look at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct File {
    /// What is in it.
    pub(crate) what: String,
    /// Where it is.
    pub(crate) path: String,
}

/// Failed checks list at most this many details.
const DETAILS: usize = 12;

/// The report as text.
pub(crate) fn text(report: &Report, output: Output) -> String {
    let mut text = String::new();
    for tenant in &report.tenants {
        text.push_str(&format!(
            "\nTenant {}, virtual network {}\n\n",
            tenant.tenant, tenant.vni
        ));
        text.push_str(&rows_text(tenant, output));
    }
    if !report.drops.is_empty() {
        text.push_str("\nDropped\n\n");
        text.push_str(&table(
            &["NIC", "port", "reason", "by the pipeline#", "by the agent#"],
            report.drops.iter().map(|drop| {
                vec![
                    drop.host.to_owned(),
                    format::port(drop.port),
                    drop.reason.clone(),
                    drop.pipeline.to_string(),
                    drop.agent.to_string(),
                ]
            }),
        ));
    }
    text.push_str("\nChecks\n\n");
    for check in &report.checks {
        text.push_str(&check_text(check, output));
    }
    text.push_str("\nFiles\n\n");
    for file in &report.files {
        text.push_str(&format!("  {:<24} {}\n", file.what, file.path));
    }
    let failed = report.checks.iter().filter(|check| !check.ok).count();
    let verdict = match failed {
        0 => format!("All {} checks passed", report.checks.len()),
        _ => format!("{failed} of {} checks FAILED", report.checks.len()),
    };
    text + &format!(
        "\n{} ({:.1} s).",
        output.mark(failed == 0, &verdict),
        report.seconds
    )
}

fn rows_text(tenant: &TenantReport, output: Output) -> String {
    let time = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), format::microseconds);
    let rows = tenant.rows.iter().map(|row| {
        let verdict = match (row.ok, row.refused) {
            (false, _) => "FAILED".to_owned(),
            (true, Some(reason)) => format!("refused: {reason}"),
            (true, None) => "as recorded".to_owned(),
        };
        vec![
            row.between.clone(),
            row.what.clone(),
            row.flows.to_string(),
            row.packets.to_string(),
            row.punted.to_string(),
            row.in_nic.to_string(),
            time(row.miss_to_hit_us),
            time(row.first_packet_us),
            time(row.later_packets_us),
            output.mark(row.ok, &verdict),
        ]
    });
    let sum = |number: fn(&Row) -> u64| tenant.rows.iter().map(number).sum::<u64>().to_string();
    let mut total = vec!["total".to_owned(), String::new()];
    total.extend([
        sum(|row| row.flows as u64),
        sum(|row| row.packets as u64),
        sum(|row| row.punted),
        sum(|row| row.in_nic),
    ]);
    let rows = rows.chain([total]);
    table(
        &[
            "between",
            "what",
            "flows#",
            "packets#",
            "punted#",
            "in NIC#",
            "miss to hit#",
            "first packet#",
            "later#",
            "result",
        ],
        rows,
    )
}

/// One check, with a mark in front.
pub(crate) fn check_text(check: &Check, output: Output) -> String {
    let mark = output.mark(check.ok, if check.ok { "ok    " } else { "FAILED" });
    let mut text = format!("  {mark} {}\n", check.what);
    for detail in check.details.iter().take(DETAILS) {
        text.push_str(&format!("           {detail}\n"));
    }
    if check.details.len() > DETAILS {
        text.push_str(&format!(
            "           … and {} more\n",
            check.details.len() - DETAILS
        ));
    }
    text
}

/// Middle of some values.
pub(crate) fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
