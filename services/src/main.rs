//! `flownic-cloud`: runs remote services in one process.

use std::error::Error;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use flownic_services::nis::error::ConfigurationError;
use flownic_services::nis::events::Limits;
use flownic_services::nis::service::Service;
use flownic_services::nis::tasks::Tasks;
use flownic_store::{Embedded, StoreError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Remote services of FlowNIC.
///
/// Exit status: 0 ended by SIGTERM or SIGINT, 1 failure, 2 usage, 3 a file was not found,
/// 4 another process uses the data.
#[derive(Parser)]
#[command(name = "flownic-cloud", version)]
struct Arguments {
    /// Address that is served; port 0 takes a free one, the `ready` line says which.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7100")]
    listen: SocketAddr,
    /// Directory of everything that survives a restart; made when it is not there.
    #[arg(long, value_name = "DIRECTORY")]
    data: PathBuf,
    /// Configuration of the virtual networks, applied at the start. Without it the service goes on
    /// with the one that was applied last.
    #[arg(long, value_name = "FILE.toml")]
    network: Option<PathBuf>,
    /// How the log is written to standard error. FLOWNIC_LOG filters it (`info`, `flownic=debug`).
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Services to run.
    #[arg(value_enum, required = true)]
    services: Vec<ServiceName>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ServiceName {
    /// Network interface service: answers the misses of NICs.
    Nis,
}

/// What ends the program, with its exit status.
struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    fn new(status: u8, text: impl Into<String>) -> Failure {
        Failure {
            status,
            text: text.into(),
        }
    }
}

/// An error with everything that caused it.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Failure::new(1, text)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(arguments.log_format);
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("flownic-cloud: {}", failure.text);
            ExitCode::from(failure.status)
        }
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("FLOWNIC_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Before anything is started, so that a signal is never lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let tasks = start_nis(arguments).await?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::new(1, format!("cannot listen on {}: {error}", arguments.listen))
    })?;
    let names = arguments.services.iter().map(|service| match service {
        ServiceName::Nis => "nis",
    });
    let address = listener.local_addr()?;
    println!("ready {} on {address}", names.collect::<Vec<_>>().join(" "));

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut serving = std::pin::pin!(Service::new(tasks).serve(listener, async {
        let _ = stopped.await;
    }));
    tokio::select! {
        result = &mut serving => return Ok(result?),
        _ = terminate.recv() => info!("SIGTERM"),
        _ = interrupt.recv() => info!("SIGINT"),
    }
    let _ = stop.send(());
    // Streams are closed at once; a client that does not hang up is not waited for.
    match tokio::time::timeout(Duration::from_secs(3), serving).await {
        Ok(result) => Ok(result?),
        Err(_) => Ok(()),
    }
}

async fn start_nis(arguments: &Arguments) -> Result<Tasks, Failure> {
    let text = arguments.network.as_deref().map(read_text).transpose()?;
    let tasks = Tasks::start(Arc::new(open_store(&arguments.data)?), Limits::default())?;
    let current = tasks.configuration();
    info!(
        revision = current.revision,
        source = current.source_name,
        "configuration loaded"
    );
    if let Some((name, text)) = text.filter(|(_, text)| *text != current.toml) {
        let applied = tasks
            .apply(&name, &text, false)
            .await
            .map_err(|error| match error {
                // Errors of the text stand for themselves, with their places in it.
                ConfigurationError::Invalid(errors) => Failure::new(1, errors.to_string()),
                other => other.into(),
            })?;
        for change in &applied.changes {
            info!("{change}");
        }
    }
    Ok(tasks)
}

fn read_text(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(3, format!("{name}: {error}")))
        }
        Err(error) => Err(Failure::new(1, format!("{name}: {error}"))),
    }
}

fn open_store(data: &Path) -> Result<Embedded, Failure> {
    std::fs::create_dir_all(data)
        .map_err(|error| Failure::new(1, format!("{}: {error}", data.display())))?;
    Embedded::open(&data.join("flownic.redb")).map_err(|error| match error {
        StoreError::InUse(_) => Failure::new(4, error.to_string()),
        other => other.into(),
    })
}
