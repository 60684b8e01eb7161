//! The surroundings of the state machine: streams, the timer and the store become events, effects
//! become messages.
//!
//! One lock holds the state machine and the queues of all streams, so that effects enter the
//! queues in the order in which they were decided. Nothing waits while it is held: a queue that
//! is full ends its stream.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use flownic_api::v1;
use flownic_store::Store;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tonic::Status;
use tracing::{debug, info, warn};

use super::configuration::{self, Configuration, Plan};
use super::error::{ConfigurationError, Refusal};
use super::events::{Effect, Event, Limits, Nis, Session};

/// Messages that may wait for an agent to read them. More than there can be unacknowledged
/// deliveries from a handful of hosts at their bound.
const QUEUE: usize = 8192;

/// What a stream yields.
type Outgoing = Result<v1::NisMessage, Status>;

/// The running service. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    store: Arc<dyn Store>,
    /// One configuration after the other.
    applying: tokio::sync::Mutex<()>,
    /// The next deadline has come closer.
    hurry: Arc<Notify>,
    start: Instant,
}

struct State {
    nis: Nis,
    streams: HashMap<Session, mpsc::Sender<Outgoing>>,
    tickets: HashMap<u64, oneshot::Sender<Vec<String>>>,
    last_number: u64,
    stopping: bool,
}

/// A configuration that was applied, or would have been.
#[derive(Debug)]
pub struct Applied {
    /// Revision that is in use now.
    pub revision: u64,
    /// One line for each thing that changed.
    pub changes: Vec<String>,
    /// One line for each host that is not known to hold it.
    pub unconfirmed: Vec<String>,
}

impl Tasks {
    /// Starts with what the store holds.
    ///
    /// # Errors
    /// The store cannot be read, or holds no valid configuration.
    pub fn start(store: Arc<dyn Store>, limits: Limits) -> Result<Tasks, ConfigurationError> {
        let configuration = Arc::new(configuration::load(&*store)?);
        let state = State {
            nis: Nis::new(configuration, limits),
            streams: HashMap::new(),
            tickets: HashMap::new(),
            last_number: 0,
            stopping: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            store,
            applying: tokio::sync::Mutex::new(()),
            hurry: Arc::default(),
            start: Instant::now(),
        });
        tokio::spawn(keep_time(
            Arc::downgrade(&shared),
            Arc::clone(&shared.hurry),
        ));
        Ok(Tasks { shared })
    }

    /// Looks at the state machine.
    pub fn look<T>(&self, look: impl FnOnce(&Nis) -> T) -> T {
        look(&self.shared.state().nis)
    }

    /// The configuration in use.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.look(|nis| Arc::clone(nis.configuration()))
    }

    /// Opens a stream: its number, and where its messages come out.
    ///
    /// # Errors
    /// The service stops.
    pub fn open(&self) -> Result<(Session, mpsc::Receiver<Outgoing>), Status> {
        // One place more, for the status that ends the stream.
        let (sender, receiver) = mpsc::channel(QUEUE + 1);
        let mut state = self.shared.state();
        if state.stopping {
            return Err(status(&Refusal::Stopping));
        }
        let session = state.new_number();
        state.streams.insert(session, sender);
        self.shared.handle(&mut state, Event::Opened(session));
        Ok((session, receiver))
    }

    /// Takes a message of a stream.
    pub fn message(&self, session: Session, message: v1::AgentMessage) {
        self.shared
            .handle(&mut self.shared.state(), Event::Message(session, message));
    }

    /// A stream has ended; `broken`: because what came could not be read.
    pub fn close(&self, session: Session, broken: Option<&Status>) {
        let mut state = self.shared.state();
        match broken {
            Some(error) => {
                end(
                    &mut state,
                    session,
                    &Refusal::Unreadable(error.message().to_owned()),
                );
            }
            None => drop(state.streams.remove(&session)),
        }
        self.shared.handle(&mut state, Event::Closed(session));
    }

    /// Ends all streams and opens no new ones.
    pub fn stop(&self) {
        let mut state = self.shared.state();
        state.stopping = true;
        let sessions: Vec<Session> = state.streams.keys().copied().collect();
        for session in sessions {
            end(&mut state, session, &Refusal::Stopping);
            self.shared.handle(&mut state, Event::Closed(session));
        }
    }

    /// Checks a configuration and, unless `dry_run`, writes it to the store, uses it and waits
    /// until every attached agent holds it.
    ///
    /// # Errors
    /// The text has errors, or the store failed; the configuration before stays in use.
    pub async fn apply(
        &self,
        source_name: &str,
        toml: &str,
        dry_run: bool,
    ) -> Result<Applied, ConfigurationError> {
        let _one_at_a_time = self.shared.applying.lock().await;
        let current = self.configuration();
        let plan = Plan::new(&current, source_name, toml).map_err(ConfigurationError::Invalid)?;
        let changes = plan.lines().to_vec();
        if dry_run {
            return Ok(Applied {
                revision: current.revision,
                changes,
                unconfirmed: Vec::new(),
            });
        }
        let store = Arc::clone(&self.shared.store);
        let write = move || configuration::commit(&*store, &current, plan);
        let new = match tokio::task::spawn_blocking(write).await {
            Ok(written) => Arc::new(written?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let revision = new.revision;
        info!(
            revision,
            source_name,
            changes = changes.len(),
            "configuration applied"
        );
        let confirmed = self.commit(new);
        // The state machine answers each ticket, by its deadline at the latest.
        let unconfirmed = confirmed.await.unwrap_or_default();
        Ok(Applied {
            revision,
            changes,
            unconfirmed,
        })
    }

    fn commit(&self, configuration: Arc<Configuration>) -> oneshot::Receiver<Vec<String>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.shared.state();
        let ticket = state.new_number();
        state.tickets.insert(ticket, sender);
        self.shared.handle(
            &mut state,
            Event::Commit {
                configuration,
                ticket,
            },
        );
        receiver
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic would be a defect of one event; the agents of all hosts depend on the rest.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the time pass; returns when it is to be called again.
    fn tick(&self) -> Instant {
        let mut state = self.state();
        if state.nis.deadline() <= self.start.elapsed() {
            self.handle(&mut state, Event::Tick);
        }
        self.start + state.nis.deadline()
    }

    /// Gives an event to the state machine and does what it says.
    fn handle(&self, state: &mut State, event: Event) {
        let before = state.nis.deadline();
        // What goes wrong meanwhile is an event after this one, not within it.
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in state.nis.handle(self.start.elapsed(), event) {
                events.extend(perform(state, effect));
            }
        }
        if state.nis.deadline() < before {
            self.hurry.notify_one();
        }
    }
}

/// Does what the state machine says; returns what comes of it at once.
fn perform(state: &mut State, effect: Effect) -> Option<Event> {
    match effect {
        Effect::Send(session, message) => {
            let stream = state.streams.get(&session)?;
            if stream.capacity() <= 1 {
                end(state, session, &Refusal::Slow(QUEUE));
                return Some(Event::Closed(session));
            }
            // If the reader has gone, its end is on the way.
            let _ = stream.try_send(Ok(message));
        }
        Effect::Close(session, refusal) => end(state, session, &refusal),
        Effect::Confirmed { ticket, missing } => {
            // Whoever asked may have gone.
            let _ = state.tickets.remove(&ticket)?.send(missing);
        }
    }
    None
}

impl State {
    fn new_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

/// Ends a stream with a status. Queued messages go out before, if they still can.
fn end(state: &mut State, session: Session, refusal: &Refusal) {
    let Some(stream) = state.streams.remove(&session) else {
        return;
    };
    match refusal {
        Refusal::Stopping | Refusal::Replaced(_) => debug!(session, %refusal, "stream closed"),
        _ => warn!(session, %refusal, "stream closed"),
    }
    // Nobody hears it if the reader has gone.
    let _ = stream.try_send(Err(status(refusal)));
}

fn status(refusal: &Refusal) -> Status {
    Status::new(refusal.code(), refusal.to_string())
}

/// Tells the state machine when its next deadline has come, as long as there is one.
async fn keep_time(shared: Weak<Shared>, hurry: Arc<Notify>) {
    while let Some(shared) = shared.upgrade() {
        let deadline = shared.tick();
        drop(shared);
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {}
            () = hurry.notified() => {}
        }
    }
}
