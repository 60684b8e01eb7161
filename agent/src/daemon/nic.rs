//! The NIC's side: opened and read back, then punts out of it and operations into it, until it is
//! gone; then the same again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flownic_driver::{Nic, NicError, PacketIn, PacketOut};
use flownic_pipeline::entity::{Code, UpdateError, canonical};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::StartError;
use super::backoff::Backoff;
use crate::state::{Input, NicContents, Operation, Outgoing};
use crate::tables::{Mismatch, Tables};

/// Opens the NIC, again and again if need be.
#[async_trait]
pub trait NicSource: Send + Sync {
    /// Address, for people.
    fn address(&self) -> &str;

    /// Opens it.
    async fn open(&self) -> Result<Box<dyn Nic>, NicError>;
}

/// A NIC behind a driver address.
#[derive(Debug, Clone)]
pub struct DriverAddress(pub String);

#[async_trait]
impl NicSource for DriverAddress {
    fn address(&self) -> &str {
        &self.0
    }

    async fn open(&self) -> Result<Box<dyn Nic>, NicError> {
        flownic_driver::open(&self.0).await
    }
}

/// An open NIC.
#[derive(Clone)]
pub struct Opened {
    /// The driver.
    pub nic: Arc<dyn Nic>,
    /// Its pipeline.
    pub tables: Arc<Tables>,
}

/// Whether the NIC is there.
#[derive(Clone, Default)]
pub struct NicStatus {
    /// The NIC, while it is open.
    pub opened: Option<Opened>,
    /// Why it is not.
    pub problem: String,
}

/// The NIC cannot be used now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Nic(#[from] NicError),
    #[error(transparent)]
    Pipeline(#[from] Mismatch),
}

/// How often an idle NIC is asked whether it is there.
const HEALTH: Duration = Duration::from_secs(1);

/// Register cells in one read.
const CELLS: u32 = 4096;

/// Opens the NIC for the first time, waiting until it is there.
pub(super) async fn open_first(source: &dyn NicSource) -> Result<Opened, StartError> {
    let mut backoff = Backoff::default();
    loop {
        match open(source).await {
            Ok(opened) => return Ok(opened),
            Err(Trouble::Pipeline(error)) => return Err(error.into()),
            Err(Trouble::Nic(error)) if !waiting_helps(&error) => return Err(error.into()),
            Err(Trouble::Nic(error)) => {
                let delay = backoff.delay();
                tracing::warn!(nic = source.address(), %error, ?delay, "waiting for the NIC");
                sleep(delay).await;
            }
        }
    }
}

fn waiting_helps(error: &NicError) -> bool {
    !matches!(
        error,
        NicError::BadAddress { .. } | NicError::NotFlowNic { .. } | NicError::Incompatible { .. }
    )
}

async fn open(source: &dyn NicSource) -> Result<Opened, Trouble> {
    let nic: Arc<dyn Nic> = source.open().await?.into();
    let tables = Arc::new(Tables::resolve(nic.p4info())?);
    Ok(Opened { nic, tables })
}

/// Everything that the agent needs to know again after a restart.
async fn read_back(opened: &Opened) -> Result<NicContents, NicError> {
    let (nic, tables) = (&opened.nic, &opened.tables);
    let mut contents = NicContents::default();
    for table in tables
        .configuration_ids()
        .into_iter()
        .chain(tables.flows.ids())
    {
        let entries = nic.read_table(table).await?;
        contents
            .entries
            .extend(entries.into_iter().filter(|entry| !entry.is_default));
    }
    for register in [&tables.vn_versions, &tables.vnic_versions] {
        let mut first = 0;
        while first < register.cells() {
            let count = CELLS.min(register.cells() - first);
            let cells = nic.read_registers(register.id(), first, count).await?;
            let used = (first..)
                .zip(cells)
                .filter(|(_, value)| canonical(value) != [0]);
            (contents.registers).extend(used.map(|(index, value)| (register.id(), index, value)));
            first += count;
        }
    }
    Ok(contents)
}

/// What the task says.
pub(super) enum NicEvent {
    /// The NIC is open. Operations go in here; a new one for each opening, so that none reaches
    /// a NIC that it was not meant for.
    Up(mpsc::Sender<Operation>, Input),
    /// Completions, and the end.
    Input(Input),
}

/// The task.
pub(super) struct NicTask {
    pub(super) source: Arc<dyn NicSource>,
    pub(super) events: mpsc::Sender<NicEvent>,
    pub(super) punts: mpsc::Sender<PacketIn>,
    pub(super) status: watch::Sender<NicStatus>,
}

impl NicTask {
    /// Runs until the daemon ends, beginning with an open NIC.
    pub(super) async fn run(self, first: Opened) {
        let mut opened = Some(first);
        let mut backoff = Backoff::default();
        let mut told = String::new();
        loop {
            let trouble = match opened.take() {
                Some(nic) => {
                    backoff.reset();
                    told.clear();
                    Trouble::Nic(self.session(nic).await)
                }
                None => match open(&*self.source).await {
                    Ok(nic) => {
                        opened = Some(nic);
                        continue;
                    }
                    Err(trouble) => trouble,
                },
            };
            let problem = trouble.to_string();
            if problem != told {
                let nic = self.source.address();
                tracing::error!(nic, error = problem, "the NIC is not usable, trying again");
                told.clone_from(&problem);
            }
            self.status.send_replace(NicStatus {
                opened: None,
                problem,
            });
            sleep(backoff.delay()).await;
        }
    }

    /// Serves an open NIC until it is lost; says why.
    async fn session(&self, opened: Opened) -> NicError {
        let contents = match read_back(&opened).await {
            Ok(contents) => Box::new(contents),
            Err(error) => return error,
        };
        let up = Input::NicUp(Arc::clone(&opened.tables), contents);
        let (sender, mut operations) = mpsc::channel(1);
        let _ = self.events.send(NicEvent::Up(sender, up)).await;
        self.status.send_replace(NicStatus {
            opened: Some(opened.clone()),
            problem: String::new(),
        });
        let error = tokio::select! {
            error = forward_punts(&*opened.nic, &self.punts) => error,
            error = watch_health(&*opened.nic) => error,
            error = operate(&opened, &mut operations, &self.events) => error,
        };
        let down = Input::NicDown(error.to_string());
        let _ = self.events.send(NicEvent::Input(down)).await;
        error
    }
}

async fn forward_punts(nic: &dyn Nic, punts: &mpsc::Sender<PacketIn>) -> NicError {
    loop {
        match nic.receive().await {
            Ok(packet) => {
                if punts.send(packet).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Err(NicError::Packet(error)) => tracing::warn!(%error, "punted packet is unreadable"),
            Err(error) => return error,
        }
    }
}

async fn watch_health(nic: &dyn Nic) -> NicError {
    let mut ticks = interval(HEALTH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = nic.health().await {
            return error;
        }
    }
}

async fn operate(
    opened: &Opened,
    operations: &mut mpsc::Receiver<Operation>,
    events: &mpsc::Sender<NicEvent>,
) -> NicError {
    loop {
        let done = match operations.recv().await {
            Some(Operation::Write { updates, atomicity }) => {
                match opened.nic.write(&updates, atomicity).await {
                    Ok(results) => Input::Written(results),
                    Err(error @ (NicError::BadUpdate { .. } | NicError::BatchTooLong { .. })) => {
                        Input::Written(refused(&error, updates.len()))
                    }
                    // It is open what was done of it: it will be read back.
                    Err(error) => return error,
                }
            }
            Some(Operation::Send(packets)) => match send(opened, packets).await {
                Ok(failed) => Input::Sent { failed },
                Err(error) => return error,
            },
            None => std::future::pending().await,
        };
        let _ = events.send(NicEvent::Input(done)).await;
    }
}

/// The driver could not even hand a batch over.
fn refused(error: &NicError, updates: usize) -> Vec<Result<(), UpdateError>> {
    let error = UpdateError {
        code: Code::InvalidArgument,
        message: error.to_string(),
    };
    vec![Err(error); updates]
}

/// Sends in order; gives the number of packets that the NIC did not take.
async fn send(opened: &Opened, packets: Vec<Outgoing>) -> Result<u64, NicError> {
    let mut failed = 0;
    for Outgoing { port, frame } in packets {
        let packet = PacketOut {
            metadata: opened.tables.packet_io.encode_out(port),
            payload: frame,
        };
        match opened.nic.send(packet).await {
            Ok(()) => {}
            Err(error @ (NicError::Packet(_) | NicError::Busy { .. })) => {
                failed += 1;
                tracing::warn!(port, %error, "packet not sent");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(failed)
}
