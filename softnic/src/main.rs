//! `softnic`: a NIC as a process.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use flownic_pipeline::p4info::P4Info;
use flownic_softnic::device::{Device, Identity};
use flownic_softnic::ports::address::{CaptureAddress, PortAddress};
use flownic_softnic::ports::pcapng::Capture;
use flownic_softnic::ports::port::Port;
use flownic_softnic::worker::{Report, Worker};
use flownic_softnic::{Engine, Options};
use sha2::{Digest, Sha256};

/// The NIC in software: runs a P4 program between ports, and is a PCIe device for a driver.
#[derive(Debug, Parser)]
#[command(name = "softnic", version)]
struct Arguments {
    /// Program, bmv2 JSON
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// P4Info of the same program, protobuf JSON or text
    #[arg(long, value_name = "FILE")]
    p4info: PathBuf,
    /// Serve the device: vfio-user:SOCKET
    #[arg(long, value_name = "ADDRESS")]
    device: Option<String>,
    /// Serial number of the device
    #[arg(long, default_value_t = 1)]
    serial: u64,
    /// A port, `NUMBER=unix:PATH[,peer=PATH]` or `NUMBER=tap:NAME[@NAMESPACE]`
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<PortAddress>,
    /// Capture a port, both directions: NUMBER=FILE.pcapng
    #[arg(long = "capture", value_name = "CAPTURE")]
    captures: Vec<CaptureAddress>,
    /// Size of a table in place of the program's: TABLE=ENTRIES
    #[arg(long = "table-size", value_name = "SIZE", value_parser = table_size)]
    table_sizes: Vec<(String, u64)>,
    /// Log counters so often
    #[arg(long, value_name = "SECONDS")]
    statistics_interval: Option<u64>,
    /// What to log: error, warn, info, debug, trace, or a filter
    #[arg(long, env = "FLOWNIC_LOG", default_value = "info")]
    log: String,
    /// Form of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn table_size(text: &str) -> Result<(String, u64), String> {
    let (table, size) = text.split_once('=').ok_or("TABLE=ENTRIES is expected")?;
    let size = size
        .parse()
        .map_err(|_| format!("{size:?} is no number of entries"))?;
    Ok((table.to_owned(), size))
}

/// Why the NIC does not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path}: {source}")]
    P4Info {
        path: PathBuf,
        source: flownic_pipeline::p4info::FormatError,
    },
    #[error("{path}: {source}")]
    Program {
        path: PathBuf,
        source: flownic_softnic::LoadError,
    },
    #[error("--table-size: the program has no table {0:?}")]
    NoTable(String),
    #[error("port {number} ({endpoint}): {source}")]
    Port {
        number: u16,
        endpoint: String,
        source: std::io::Error,
    },
    #[error("port {0} is given twice")]
    PortTwice(u16),
    #[error("--capture {0}: there is no such port")]
    NoPort(u16),
    #[error("--device {0}: vfio-user:SOCKET is expected")]
    Device(String),
    #[error("--device {path}: {source}")]
    Serve {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("--log {0}")]
    Log(#[from] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    System(#[from] std::io::Error),
}

impl Failure {
    /// 2: the command line is wrong; 1: anything else.
    fn code(&self) -> u8 {
        match self {
            Failure::NoTable(_)
            | Failure::PortTwice(_)
            | Failure::NoPort(_)
            | Failure::Device(_)
            | Failure::Log(_) => 2,
            _ => 1,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("softnic: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log(arguments)?;
    // Before anything is created that must be removed at the end.
    let (stop, stopper) = UnixStream::pair()?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::low_level::pipe::register(signal, stopper.try_clone()?)?;
    }
    let program = read(&arguments.program)?;
    let p4info = p4info(&arguments.p4info)?;
    let p4info_json = p4info.to_json().into_bytes();
    let options = options(arguments, &p4info)?;
    let engine = Engine::load(&program, p4info, &options).map_err(|source| Failure::Program {
        path: arguments.program.clone(),
        source,
    })?;
    let ports = ports(arguments)?;
    let device = device(arguments, &program)?;
    let mut worker = Worker::new(engine, ports, device, p4info_json);

    let mut stdout = std::io::stdout();
    writeln!(
        stdout,
        "ready program={} ports={}",
        arguments.program.display(),
        arguments.ports.len()
    )?;
    stdout.flush()?;

    let interval = arguments
        .statistics_interval
        .map(|seconds| Duration::from_secs(seconds.max(1)));
    let every = interval.map(|interval| (interval, Box::new(report) as Report));
    worker.run(stop.as_fd(), every)?;
    report(&worker);
    Ok(())
}

fn start_log(arguments: &Arguments) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log)?;
    let log = tracing_subscriber::fmt()
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|source| Failure::File {
        path: path.to_owned(),
        source,
    })
}

fn p4info(path: &Path) -> Result<P4Info, Failure> {
    let text = read(path)?;
    let is_json = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let p4info = match is_json {
        true => P4Info::from_json(&text),
        false => P4Info::from_text(&String::from_utf8_lossy(&text)),
    };
    p4info.map_err(|source| Failure::P4Info {
        path: path.to_owned(),
        source,
    })
}

fn options(arguments: &Arguments, p4info: &P4Info) -> Result<Options, Failure> {
    let mut table_sizes = Vec::new();
    for (name, size) in &arguments.table_sizes {
        let table = p4info
            .table(name)
            .ok_or_else(|| Failure::NoTable(name.clone()))?;
        table_sizes.push((table.preamble.name.clone(), *size));
    }
    Ok(Options { table_sizes })
}

fn ports(arguments: &Arguments) -> Result<Vec<Port>, Failure> {
    let mut ports: Vec<Port> = Vec::new();
    for address in &arguments.ports {
        if ports.iter().any(|port| port.number() == address.number) {
            return Err(Failure::PortTwice(address.number));
        }
        let port = Port::open(address).map_err(|source| Failure::Port {
            number: address.number,
            endpoint: address.endpoint.to_string(),
            source,
        })?;
        ports.push(port);
    }
    for capture in &arguments.captures {
        let number = capture.number;
        let Some(port) = ports.iter_mut().find(|port| port.number() == number) else {
            return Err(Failure::NoPort(number));
        };
        let file = Capture::create(&capture.file, &format!("port {number}")).map_err(|source| {
            Failure::File {
                path: capture.file.clone(),
                source,
            }
        })?;
        port.capture(file);
    }
    Ok(ports)
}

fn device(arguments: &Arguments, program: &[u8]) -> Result<Option<Device>, Failure> {
    let Some(address) = &arguments.device else {
        return Ok(None);
    };
    let Some(socket) = address.strip_prefix("vfio-user:") else {
        return Err(Failure::Device(address.clone()));
    };
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(program).into();
    let count = |range: std::ops::Range<u16>| {
        arguments
            .ports
            .iter()
            .filter(|port| range.contains(&port.number))
            .count() as u32
    };
    let identity = Identity {
        serial: arguments.serial,
        pipeline_cookie: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        uplinks: count(0..16),
        vfs: count(16..272),
        firmware: format!("softnic {}", env!("CARGO_PKG_VERSION")),
    };
    let path = PathBuf::from(socket);
    let device =
        Device::serve(&path, identity).map_err(|source| Failure::Serve { path, source })?;
    Ok(Some(device))
}

/// Logs what was counted.
fn report(worker: &Worker) {
    let (engine, nic) = (worker.engine().statistics(), worker.counters());
    tracing::info!(?engine, ?nic, "pipeline");
    for port in worker.ports() {
        tracing::info!(number = port.number(), counters = ?port.counters(), "port");
    }
    for (id, used, size) in worker.engine().table_use() {
        let name = worker
            .engine()
            .p4info()
            .table_by_id(id)
            .map(|table| &table.preamble.name);
        tracing::debug!(name, used, size, "table");
    }
}
