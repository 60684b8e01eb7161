//! Counters of the pipeline and of the agent in one answer.

use std::collections::HashMap;

use flownic_api::v1;
use flownic_driver::{Nic, NicError};
use flownic_pipeline::entity::{CounterData, TableEntry};

use super::super::core::Snapshot;
use super::super::nic::Opened;
use crate::tables::flow::Key;
use crate::tables::reasons::Reasons;

/// Percentiles that are told.
const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

/// Counter cells in one read.
const CELLS: u32 = 4096;

/// Everything that was counted. The pipeline's part is missing while the NIC is gone.
pub(super) async fn statistics(
    opened: Option<&Opened>,
    snapshot: &Snapshot,
) -> Result<v1::Statistics, NicError> {
    let (mut drops, mut punts) = (Vec::new(), Vec::new());
    if let Some(Opened { nic, tables }) = opened {
        drops = pipeline_counts(&**nic, &tables.drops).await?;
        punts = pipeline_counts(&**nic, &tables.punts).await?;
    }
    let agent = snapshot.drops.iter();
    drops.extend(agent.map(|(reason, port, data)| count(reason, *port, "agent", *data)));
    let counters = &snapshot.counters;
    let latency = |quantile| {
        let microseconds = counters.miss_latency.quantile(quantile)?;
        Some(v1::Latency {
            quantile,
            microseconds,
        })
    };
    Ok(v1::Statistics {
        drops,
        punts,
        punts_received: counters.punts_received,
        punts_answered: counters.punts_answered + counters.punts_answered_here,
        punts_queued: snapshot.queued as u64,
        packets_injected: counters.packets_injected,
        flows_installed: counters.flows_installed,
        flow_install_errors: counters.flow_install_errors,
        miss_latency: QUANTILES.into_iter().filter_map(latency).collect(),
    })
}

async fn pipeline_counts(
    nic: &dyn Nic,
    reasons: &Reasons,
) -> Result<Vec<v1::ReasonCount>, NicError> {
    let mut counts = Vec::new();
    let mut first = 0;
    while first < reasons.cells() {
        let cells = CELLS.min(reasons.cells() - first);
        let data = nic.read_counters(reasons.counter(), first, cells).await?;
        for (index, data) in (first..).zip(data) {
            if data != CounterData::default() {
                let (port, number) = Reasons::cell(index);
                let name = reasons.name(number);
                let name = name.map_or_else(|| format!("reason {number}"), str::to_owned);
                counts.push(count(&name, port, "pipeline", data));
            }
        }
        first += cells;
    }
    Ok(counts)
}

fn count(reason: &str, port: u16, place: &str, data: CounterData) -> v1::ReasonCount {
    v1::ReasonCount {
        reason: reason.to_owned(),
        port: port.into(),
        r#where: place.to_owned(),
        packets: data.packets,
        bytes: data.bytes,
    }
}

/// Hits of all flow entries.
pub(super) async fn hits(opened: &Opened) -> Result<HashMap<Key, CounterData>, NicError> {
    let Opened { nic, tables } = opened;
    let mut hits = HashMap::new();
    for table in tables.flows.ids() {
        let entries = nic.read_table(table).await?;
        let counted = |entry: &TableEntry| {
            let key = tables.flows.decode_key(entry).ok()?;
            Some((key, entry.counter.unwrap_or_default()))
        };
        hits.extend(
            entries
                .iter()
                .filter(|entry| !entry.is_default)
                .filter_map(counted),
        );
    }
    Ok(hits)
}
