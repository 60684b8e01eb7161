//! `flownicd`: runs the agent of one NIC until it is told to end.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use flownic_agent::daemon::nic::DriverAddress;
use flownic_agent::daemon::{Daemon, Options, StartError};
use flownic_agent::state::Settings;
use flownic_agent::state::punts::PuntLimits;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The agent beside a FlowNIC: keeps its tables as the network interface service wants them, and
/// takes the packets there that the NIC has no flow entry for.
#[derive(Debug, Parser)]
#[command(name = "flownicd", version)]
struct Arguments {
    /// Name of this host, as in the virtual networks' description.
    #[arg(long)]
    host: String,

    /// The NIC: vfio-user:PATH.
    #[arg(long, value_name = "ADDRESS")]
    nic: String,

    /// The network interface service: http://HOST:PORT.
    #[arg(long, value_name = "URL")]
    nis: String,

    /// Where operators (`flownic`) are served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7201")]
    listen: SocketAddr,

    /// Uplink port of the NIC; the first one carries the tunnels.
    #[arg(long = "uplink", value_name = "PORT", default_values_t = [0])]
    uplinks: Vec<u16>,

    /// Punted packets that are kept at most.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    punt_packets: usize,

    /// Bytes of punted packets that are kept at most.
    #[arg(long, value_name = "N", default_value_t = 4 << 20)]
    punt_bytes: usize,

    /// Milliseconds until a punted packet without an answer is given up.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    punt_deadline: u64,

    /// Updates in one batch to the NIC.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// How the log on stderr looks. `FLOWNIC_LOG` filters it: error, warn, info, debug, or by module.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One object for each line.
    Json,
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("FLOWNIC_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

fn options(arguments: &Arguments) -> Options {
    Options {
        settings: Settings {
            uplinks: arguments.uplinks.clone(),
            punts: PuntLimits {
                packets: arguments.punt_packets,
                bytes: arguments.punt_bytes,
                deadline: Duration::from_millis(arguments.punt_deadline),
            },
            batch: arguments.batch as usize,
            ..Settings::new(&arguments.host)
        },
        nic: Arc::new(DriverAddress(arguments.nic.clone())),
        service: arguments.nis.clone(),
        listen: arguments.listen,
    }
}

/// Waits for SIGTERM or SIGINT.
async fn told_to_end() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Exit codes: 1 failure, 2 usage, as for every FlowNIC program.
fn exit_code(error: &StartError) -> ExitCode {
    match error {
        StartError::Service { .. } => ExitCode::from(2),
        StartError::Nic(flownic_driver::NicError::BadAddress { .. }) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

async fn run(arguments: &Arguments) -> ExitCode {
    let ending = told_to_end();
    tokio::pin!(ending);
    let daemon = tokio::select! {
        daemon = Daemon::start(options(arguments)) => daemon,
        _ = &mut ending => return ExitCode::SUCCESS,
    };
    let daemon = match daemon {
        Ok(daemon) => daemon,
        Err(error) => {
            eprintln!("flownicd: {error}");
            return exit_code(&error);
        }
    };
    let Arguments { host, nic, .. } = arguments;
    println!("ready host {host} nic {nic} listen {}", daemon.listening());
    if let Err(error) = ending.await {
        eprintln!("flownicd: cannot wait for signals: {error}");
        return ExitCode::FAILURE;
    }
    tracing::info!("ends; the NIC goes on forwarding");
    drop(daemon);
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(arguments.log_format);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("flownicd: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(&arguments))
}
