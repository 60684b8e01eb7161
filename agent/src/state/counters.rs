//! What the agent itself counts. The pipeline counts the rest.

use std::collections::BTreeMap;

use flownic_pipeline::entity::CounterData;

use super::latency::Latencies;

/// Since the start of the agent.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Packets dropped on the host, by (number of the drop reason, ingress port).
    pub drops: BTreeMap<(u8, u16), CounterData>,
    /// Packets that the NIC handed over.
    pub punts_received: u64,
    /// Of these, answered by the service.
    pub punts_answered: u64,
    /// Of these, answered by the agent with an ICMP message.
    pub punts_answered_here: u64,
    /// Packets sent out of the NIC.
    pub packets_injected: u64,
    /// Packets of the service that were not sent: late, or to a port without VNIC.
    pub packets_refused: u64,
    /// Flow entries inserted or replaced.
    pub flows_installed: u64,
    /// Flow entries that the agent or the NIC refused.
    pub flow_install_errors: u64,
    /// Of these, because a table was full.
    pub table_full: u64,
    /// Time from punt to installed entry.
    pub miss_latency: Latencies,
}

impl Counters {
    /// Counts a packet that is dropped on the host.
    pub fn drop_packet(&mut self, reason: u8, port: u16, bytes: usize) {
        let count = self.drops.entry((reason, port)).or_default();
        count.packets += 1;
        count.bytes += bytes as u64;
    }
}
