//! I/O and time: the NIC, the service and the operators as messages to the [`State`] and from it.
//!
//! ```text
//! nic.rs        opens the NIC, reads it back, carries out operations, hands over punts
//! service.rs    keeps the stream to the network interface service
//! operators/    the gRPC service `Agent`
//!                  │ events          ▲ operations, messages, answers
//!                  ▼                 │
//!                 core: one task that owns the state
//! ```

pub mod backoff;
mod core;
pub mod nic;
pub mod operators;
pub mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::state::{Settings, State};
use crate::tables::Mismatch;
use nic::{NicSource, NicStatus};

pub use self::core::{Request, Snapshot};

/// What the daemon is started with.
pub struct Options {
    /// Bounds and names.
    pub settings: Settings,
    /// How the NIC is reached.
    pub nic: Arc<dyn NicSource>,
    /// Address of the network interface service, `http://host:port`.
    pub service: String,
    /// Where operators are served.
    pub listen: SocketAddr,
}

/// The daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The NIC cannot be used, and waiting does not help.
    #[error("cannot use the NIC: {0}")]
    Nic(#[from] flownic_driver::NicError),
    /// Its pipeline is another one.
    #[error(transparent)]
    Pipeline(#[from] Mismatch),
    /// The address of the service is none.
    #[error("\"{address}\" is no address of a service: {reason}; expected http://host:port")]
    Service {
        /// As given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Operators cannot be served.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A running daemon. Dropping it ends its tasks; the NIC goes on forwarding.
#[derive(Debug)]
pub struct Daemon {
    listening: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Messages that wait between tasks: enough that none waits for another in normal work.
const CHANNEL: usize = 256;

impl Daemon {
    /// Opens the NIC, waiting for it as long as it takes, and starts everything. When this
    /// returns the NIC is open and operators are served.
    ///
    /// # Errors
    /// When something is wrong that waiting does not cure.
    pub async fn start(options: Options) -> Result<Daemon, StartError> {
        let endpoint = service::endpoint(&options.service)?;
        let listener = listen(options.listen).await?;
        let listening = listener.local_addr().unwrap_or(options.listen);
        let opened = nic::open_first(&*options.nic).await?;

        let started = Instant::now();
        let state = State::new(options.settings.clone(), Arc::clone(&opened.tables))?;
        let (nic_events, from_nic) = mpsc::channel(CHANNEL);
        let (punts, punted) = mpsc::channel(CHANNEL);
        let (service_events, from_service) = mpsc::channel(CHANNEL);
        let (requests, requested) = mpsc::channel(CHANNEL);
        let (status, nic_status) = watch::channel(NicStatus::default());

        let core = core::Core {
            state,
            started,
            nic: from_nic,
            punts: punted,
            operations: None,
            service: from_service,
            requests: requested,
        };
        let address = options.nic.address().to_owned();
        let nic = nic::NicTask {
            source: options.nic,
            events: nic_events,
            punts,
            status,
        };
        let operators = operators::Operators {
            host: options.settings.host,
            address,
            service: options.service,
            started,
            nic: nic_status.clone(),
            requests,
        };
        let tasks = vec![
            tokio::spawn(core.run()),
            tokio::spawn(nic.run(opened)),
            tokio::spawn(service::run(endpoint, service_events)),
            tokio::spawn(operators.serve(listener)),
        ];
        let daemon = Daemon { listening, tasks };
        daemon.wait_for_nic(nic_status).await;
        Ok(daemon)
    }

    async fn wait_for_nic(&self, mut status: watch::Receiver<NicStatus>) {
        // Fails only when the task has ended, which dropping the daemon does.
        let _ = status.wait_for(|status| status.opened.is_some()).await;
    }

    /// Where operators are served.
    pub fn listening(&self) -> SocketAddr {
        self.listening
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    (TcpListener::bind(address).await).map_err(|source| StartError::Listen { address, source })
}

/// Time since the start of the agent, as the state counts it.
fn since(started: Instant) -> Duration {
    started.elapsed()
}
