//! The command line, declared once: help and completions come from here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

const EXIT_CODES: &str =
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 unreachable, 6 denied.";

/// Operates FlowNIC: NICs through their agents, virtual networks through the service.
#[derive(Debug, Parser)]
#[command(name = "flownic", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What all commands have.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The agent of the NIC, http://HOST:PORT
    #[arg(
        long,
        global = true,
        env = "FLOWNIC_AGENT",
        value_name = "URL",
        default_value = "http://127.0.0.1:7201"
    )]
    pub(crate) agent: String,
    /// The network interface service, http://HOST:PORT
    #[arg(
        long,
        global = true,
        env = "FLOWNIC_NIS",
        value_name = "URL",
        default_value = "http://127.0.0.1:7100"
    )]
    pub(crate) nis: String,
    /// JSON instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long one call may take, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = duration)]
    pub(crate) timeout: Duration,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The NIC: firmware, health, table use
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Tables of the pipeline, by the names of its P4Info
    #[command(subcommand)]
    Table(TableCommand),
    /// Flow entries that the NIC holds
    #[command(subcommand)]
    Flow(FlowCommand),
    /// Virtual functions and the VNICs on them
    #[command(subcommand)]
    Vf(VfCommand),
    /// Virtual networks: what the service knows
    #[command(subcommand)]
    Vn(VnCommand),
    /// Drops and punts with their reasons, latency of misses
    Stats(Watch),
    /// Two hosts, two tenants and recorded (or live) traffic, all on this machine
    Demo(DemoOptions),
    /// Completion script for a shell, on standard output
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Repeats a listing.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Watch {
    /// Prints again every SECONDS (1 when not given) until interrupted
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = duration)]
    pub(crate) watch: Option<Duration>,
}

/// `flownic device …`
#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Identity, health and table use of the NIC
    Show(Watch),
}

/// `flownic table …`
#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Tables with their keys and how full they are
    List(Watch),
    /// Entries of one table
    Show {
        /// Name of the table, in full or its last part
        table: String,
        /// Repeats it
        #[command(flatten)]
        watch: Watch,
    },
    /// Adds an entry that is not there yet
    Insert(EntryOptions),
    /// Gives an entry another action or other parameters
    Modify(EntryOptions),
    /// Removes an entry
    Delete(EntryOptions),
}

/// One entry on the command line, or many in a file.
#[derive(Debug, Args)]
#[command(after_help = "\
ENTRY is  TABLE FIELD=VALUE… [priority=N] [action NAME PARAM=VALUE…]
VALUE is  decimal, 0x…, an IP address, a MAC or a name of the program's enums;
          ADDRESS/LEN for lpm, VALUE&&&MASK for ternary, LOW..HIGH for range fields.

  flownic table insert vf_mac ingress_port=16 vlan=0 src=02:00:00:00:00:0a action NoAction
  flownic table delete vf_ipv4 ingress_port=16 vlan=0 src=10.0.0.0/24

A file has one ENTRY a line, with insert, modify or delete in front; # starts a comment.")]
pub(crate) struct EntryOptions {
    /// The entry
    #[arg(
        value_name = "ENTRY",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    pub(crate) entry: Vec<String>,
    /// Entries from a file (- is standard input), written all at once or not at all
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Checks everything and writes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `flownic flow …`
#[derive(Debug, Subcommand)]
pub(crate) enum FlowCommand {
    /// Flow entries with their counters
    List {
        /// Only of this virtual network
        #[arg(long)]
        vni: Option<u32>,
        /// Repeats it
        #[command(flatten)]
        watch: Watch,
    },
    /// Removes flow entries; the next packet of each flow is punted again
    Clear {
        /// Only of this virtual network
        #[arg(long)]
        vni: Option<u32>,
    },
}

/// `flownic vf …`
#[derive(Debug, Subcommand)]
pub(crate) enum VfCommand {
    /// Virtual functions in use
    List(Watch),
}

/// `flownic vn …`
#[derive(Debug, Subcommand)]
pub(crate) enum VnCommand {
    /// Replaces the whole configuration by that of a file
    Apply {
        /// TOML, as ctl/demo/two-tenants.toml
        file: PathBuf,
        /// Checks it and shows what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// The configuration in force, as it was applied
    Show,
    /// Virtual networks and their VNICs
    List(Watch),
    /// What would happen to a packet, and why
    Trace(TraceOptions),
}

/// A packet to trace.
#[derive(Debug, Args)]
#[command(after_help = "  flownic vn trace blue/a 10.0.0.20 tcp/80")]
pub(crate) struct TraceOptions {
    /// The sender, NETWORK/VNIC
    pub(crate) vnic: String,
    /// Destination address
    pub(crate) destination: String,
    /// Protocol, with the destination port where it has ports: tcp/80, udp/53, icmp
    #[arg(default_value = "icmp")]
    pub(crate) protocol: String,
    /// Source address, when not the VNIC's first of that IP version
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Source port
    #[arg(long, default_value_t = 49152)]
    pub(crate) source_port: u16,
}

/// `flownic demo`
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoOptions {
    /// Folder for sockets, logs and captures (default: a new one in the temporary folder)
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Keeps everything running at the end until Ctrl-C, for a look with the other commands
    #[arg(long)]
    pub(crate) keep: bool,
    /// One tunnel format for both tenants instead of Geneve for blue and VXLAN for red
    #[arg(long, value_parser = ["vxlan", "geneve"])]
    pub(crate) tunnel: Option<String>,
    /// Replays only the first N packets that VMs sent
    #[arg(long, value_name = "N")]
    pub(crate) packets: Option<usize>,
    /// Folder of the P4 program
    #[arg(long, value_name = "FOLDER")]
    pub(crate) p4: Option<PathBuf>,
    /// Folder of the programs softnic, flownicd, flownic-cloud and flownic-p4c (default: built, or beside this one)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) bin: Option<PathBuf>,
    /// Real programs in network namespaces instead of the recording; needs root
    #[arg(long)]
    pub(crate) live: bool,
    /// With --live: how long each iperf3 run takes
    #[arg(long, default_value_t = 10, requires = "live", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) seconds: u64,
    /// With --live: rate of the UDP run, Mbit/s
    #[arg(long, default_value_t = 20, requires = "live", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) udp_rate: u64,
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("\"{text}\" is no number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(10) => Ok(duration),
        _ => Err(format!("{text} s is not possible; at least 0.01")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn declaration_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
