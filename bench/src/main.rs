//! `flownic-bench`: honest numbers. What is measured is checked, or the run fails.

mod clock;
mod columns;
mod commands;
mod error;
mod machine;
mod networks;
mod peer;
mod random;
mod report;
mod run;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::BenchError;
use crate::report::Report;

/// Measures the software NIC and the evaluation of virtual networks
#[derive(Parser)]
#[command(name = "flownic-bench", version)]
struct Cli {
    /// Print one JSON document instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// flownic.p4: table writes, and the hit path in both directions
    Pipeline(Pipeline),
    /// A plain router (bench/programs/router.p4): longest-prefix routing
    Router(Router),
    /// Evaluation of packets against a large virtual network
    Vnet(Vnet),
}

/// A compiled program.
#[derive(Args)]
pub(crate) struct Program {
    /// The program as bmv2 JSON
    #[arg(long)]
    pub(crate) program: PathBuf,
    /// Its P4Info as JSON
    #[arg(long)]
    pub(crate) p4info: PathBuf,
}

/// How long, and against whom.
#[derive(Args)]
pub(crate) struct Measure {
    /// How long each measurement sends packets
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Entries for the comparison with simple_switch, whose command line writes slowly
    #[arg(long, default_value_t = 10_000)]
    pub(crate) peer_entries: u64,
    /// Packets for the comparison with simple_switch; 0: no comparison
    #[arg(long, default_value_t = 200_000)]
    pub(crate) peer_packets: u32,
    /// First number of the random sequence: the same seed sends the same packets
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct Pipeline {
    #[command(flatten)]
    pub(crate) program: Program,
    /// Flow entries in the table; may be given more than once
    #[arg(long, default_values_t = [10_000, 1_000_000])]
    pub(crate) flows: Vec<u64>,
    /// VFs that the flows begin or end at
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) vfs: u16,
    #[command(flatten)]
    pub(crate) measure: Measure,
}

#[derive(Args)]
pub(crate) struct Router {
    #[command(flatten)]
    pub(crate) program: Program,
    /// Routes in the table, a /24 each; may be given more than once
    #[arg(long, default_values_t = [1_000, 100_000])]
    pub(crate) routes: Vec<u64>,
    #[command(flatten)]
    pub(crate) measure: Measure,
}

#[derive(Args)]
pub(crate) struct Vnet {
    /// VNICs in the network
    #[arg(long, default_value_t = 100_000)]
    pub(crate) vnics: u32,
    /// How long to evaluate packets
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// First number of the random sequence
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match measure(&cli.command) {
        Ok(report) => {
            report.print(cli.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("flownic-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(command: &Command) -> Result<Report, BenchError> {
    match command {
        Command::Pipeline(options) => commands::pipeline(options),
        Command::Router(options) => commands::router(options),
        Command::Vnet(options) => networks::run(options),
    }
}
