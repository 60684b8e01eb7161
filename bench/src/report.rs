//! Results, as tables for people and as JSON.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::machine::Machine;

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) writes: Vec<WriteRate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) packets: Vec<PacketRate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) comparisons: Vec<Comparison>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<NetworkRate>,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<String>,
}

/// Inserts through the engine's control interface, on one thread.
#[derive(Debug, Serialize)]
pub(crate) struct WriteRate {
    pub(crate) table: &'static str,
    pub(crate) batch: usize,
    pub(crate) entries: u64,
    pub(crate) entries_per_second: f64,
    pub(crate) ns_per_entry: f64,
    pub(crate) ns_per_entry_cpu: f64,
}

/// Packets through the engine, on one thread; without ports.
#[derive(Debug, Serialize)]
pub(crate) struct PacketRate {
    pub(crate) path: &'static str,
    pub(crate) entries: u64,
    pub(crate) packets: u64,
    pub(crate) packets_per_second: f64,
    pub(crate) ns_per_packet: f64,
    pub(crate) ns_per_packet_cpu: f64,
    /// Memory of the whole process, with tables and packets.
    pub(crate) resident_mib: u64,
}

/// softnic and `simple_switch`, one after the other, with the same program, entries and packets.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) softnic: PacketRate,
    pub(crate) peer: PeerRate,
    /// Packets a second of softnic's one thread over those of the peer's process.
    pub(crate) ratio: f64,
    /// Processor time a packet of the peer (all threads) over that of softnic.
    pub(crate) ratio_cpu: f64,
}

/// What the reference switch did.
#[derive(Debug, Serialize)]
pub(crate) struct PeerRate {
    pub(crate) entries: u64,
    pub(crate) entries_per_second: f64,
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    /// Outputs that are byte for byte what softnic gives, in order.
    pub(crate) identical: u64,
    /// By the times in its output file, first packet to last.
    pub(crate) packets_per_second: f64,
    pub(crate) ns_per_packet_cpu: f64,
}

/// Evaluations of packets against a virtual network, on one thread.
#[derive(Debug, Serialize)]
pub(crate) struct NetworkRate {
    pub(crate) vnics: usize,
    pub(crate) hosts: usize,
    pub(crate) subnets: usize,
    pub(crate) parse_seconds: f64,
    pub(crate) compile_seconds: f64,
    pub(crate) evaluations: u64,
    pub(crate) evaluations_per_second: f64,
    pub(crate) ns_per_evaluation: f64,
    pub(crate) ns_per_evaluation_cpu: f64,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
}

impl Report {
    pub(crate) fn new() -> Report {
        Report {
            machine: Machine::look(),
            writes: Vec::new(),
            packets: Vec::new(),
            comparisons: Vec::new(),
            network: None,
            notices: Vec::new(),
        }
    }

    pub(crate) fn print(&self, json: bool) {
        if json {
            // These types always serialise.
            println!("{}", serde_json::to_string_pretty(self).unwrap_or_default());
            return;
        }
        let machine = &self.machine;
        println!(
            "{} CPUs {}, {} GiB, {}; load {}",
            machine.cpus, machine.cpu, machine.memory_gib, machine.kernel, machine.load
        );
        if machine.debug_build {
            println!("DEBUG BUILD: these numbers mean nothing, build with --release");
        }
        self.print_writes();
        self.print_packets();
        self.print_comparisons();
        if let Some(network) = &self.network {
            network.print();
        }
        for notice in &self.notices {
            println!("\n*** {notice}");
        }
    }

    fn print_writes(&self) {
        let header = ["inserts", "batch", "entries", "entries/s", "ns", "CPU ns"];
        let row = |rate: &WriteRate| {
            vec![
                rate.table.to_owned(),
                rate.batch.to_string(),
                rate.entries.to_string(),
                whole(rate.entries_per_second),
                whole(rate.ns_per_entry),
                whole(rate.ns_per_entry_cpu),
            ]
        };
        table(&header, self.writes.iter().map(row));
    }

    fn print_packets(&self) {
        let header = [
            "packets",
            "entries",
            "sent",
            "packets/s",
            "ns",
            "CPU ns",
            "MiB",
        ];
        let row = |rate: &PacketRate| {
            vec![
                rate.path.to_owned(),
                rate.entries.to_string(),
                rate.packets.to_string(),
                whole(rate.packets_per_second),
                whole(rate.ns_per_packet),
                whole(rate.ns_per_packet_cpu),
                rate.resident_mib.to_string(),
            ]
        };
        table(&header, self.packets.iter().map(row));
    }

    fn print_comparisons(&self) {
        let header = [
            "comparison",
            "entries",
            "target",
            "packets/s",
            "CPU ns",
            "in",
            "out",
            "identical",
            "entries/s",
        ];
        let rows = self.comparisons.iter().flat_map(|comparison| {
            let (ours, peer) = (&comparison.softnic, &comparison.peer);
            let entries = ours.entries.to_string();
            [
                vec![
                    ours.path.to_owned(),
                    entries.clone(),
                    "softnic".into(),
                    whole(ours.packets_per_second),
                    whole(ours.ns_per_packet_cpu),
                    ours.packets.to_string(),
                    ours.packets.to_string(),
                    ours.packets.to_string(),
                    String::new(),
                ],
                vec![
                    ours.path.to_owned(),
                    entries,
                    "simple_switch".into(),
                    whole(peer.packets_per_second),
                    whole(peer.ns_per_packet_cpu),
                    peer.packets_in.to_string(),
                    peer.packets_out.to_string(),
                    peer.identical.to_string(),
                    whole(peer.entries_per_second),
                ],
            ]
        });
        table(&header, rows);
        for comparison in &self.comparisons {
            println!(
                "{}: softnic on one thread is {:.1} times as fast as simple_switch with all of its \
                 threads; by processor time {:.1} times",
                comparison.softnic.path, comparison.ratio, comparison.ratio_cpu
            );
        }
    }
}

impl NetworkRate {
    fn print(&self) {
        println!(
            "\n{} VNICs on {} hosts in {} subnets: parsed in {:.2} s, compiled in {:.2} s",
            self.vnics, self.hosts, self.subnets, self.parse_seconds, self.compile_seconds
        );
        let header = [
            "evaluations",
            "a second",
            "ns",
            "CPU ns",
            "allowed",
            "denied",
        ];
        let row = vec![
            self.evaluations.to_string(),
            whole(self.evaluations_per_second),
            whole(self.ns_per_evaluation),
            whole(self.ns_per_evaluation_cpu),
            self.allowed.to_string(),
            self.denied.to_string(),
        ];
        table(&header, std::iter::once(row));
    }
}

/// Prints a table, if it has rows: the first column to the left, numbers to the right.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header.to_vec());
    table.add_rows(rows);
    if table.row_count() == 0 {
        return;
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{table}");
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}
