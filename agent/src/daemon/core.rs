//! The task that owns the state: events in, outputs out, one after the other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use flownic_api::v1::AgentMessage;
use flownic_driver::PacketIn;
use flownic_pipeline::entity::{Atomicity, CounterData, Update, UpdateError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::nic::NicEvent;
use super::service::ServiceEvent;
use super::since;
use crate::state::config::Vnic;
use crate::state::counters::Counters;
use crate::state::notice::Notice;
use crate::state::{Answer, FlowView, Input, Operation, State};

/// What operators ask of the state.
#[derive(Debug)]
pub enum Request {
    /// Installed flows, of one virtual network or all.
    Flows(Option<u32>, oneshot::Sender<Vec<FlowView>>),
    /// Counters and configuration.
    Snapshot(oneshot::Sender<Box<Snapshot>>),
    /// Remove flows, of one virtual network or all.
    Clear(Option<u32>, oneshot::Sender<Result<u64, String>>),
    /// Write to the NIC.
    Write {
        /// What.
        updates: Vec<Update>,
        /// How.
        atomicity: Atomicity,
        /// Where the results go.
        reply: oneshot::Sender<Result<Vec<Result<(), UpdateError>>, String>>,
    },
}

/// The state at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// What the agent counted.
    pub counters: Counters,
    /// Packets dropped on the host: reason, port, count.
    pub drops: Vec<(String, u16, CounterData)>,
    /// Packets that wait for the service.
    pub queued: usize,
    /// Connected to the service.
    pub attached: bool,
    /// VNICs of this host, as configured.
    pub vnics: Vec<Vnic>,
}

/// An operator who waits for the NIC.
enum Waiting {
    Clear(oneshot::Sender<Result<u64, String>>),
    Write(oneshot::Sender<Result<Vec<Result<(), UpdateError>>, String>>),
}

/// The task's ends of all channels.
pub(super) struct Core {
    pub(super) state: State,
    pub(super) started: Instant,
    pub(super) nic: mpsc::Receiver<NicEvent>,
    pub(super) punts: mpsc::Receiver<PacketIn>,
    /// To the NIC, while it is open.
    pub(super) operations: Option<mpsc::Sender<Operation>>,
    pub(super) service: mpsc::Receiver<ServiceEvent>,
    pub(super) requests: mpsc::Receiver<Request>,
}

/// Punted packets that are taken at once, so that they leave as one.
const PUNTS_AT_ONCE: usize = 64;

/// Waiting without a deadline.
const IDLE: Duration = Duration::from_secs(60);

impl Core {
    /// Runs until the daemon ends.
    pub(super) async fn run(mut self) {
        let mut stream: Option<mpsc::Sender<AgentMessage>> = None;
        let mut waiting = HashMap::new();
        let mut tokens = 0;
        loop {
            let full = self.give_out(stream.as_ref(), &mut waiting);
            let idle = match self.state.wake_at() {
                Some(at) => at.saturating_sub(since(self.started)),
                None => IDLE,
            };
            tokio::select! {
                Some(event) = self.nic.recv() => self.nic_event(event),
                Some(packet) = self.punts.recv() => self.take_punts(packet),
                Some(event) = self.service.recv(), if self.state.accepts_messages() => {
                    self.service_event(event, &mut stream);
                }
                Some(request) = self.requests.recv() => {
                    tokens += 1;
                    self.request(request, tokens, &mut waiting);
                }
                () = has_room(stream.as_ref()), if full => {}
                () = sleep(idle) => self.handle(Input::Tick),
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.state.handle(since(self.started), input);
    }

    fn nic_event(&mut self, event: NicEvent) {
        match event {
            NicEvent::Up(operations, input) => {
                self.operations = Some(operations);
                self.handle(input);
            }
            NicEvent::Input(input) => self.handle(input),
        }
    }

    fn take_punts(&mut self, first: PacketIn) {
        let mut next = Some(first);
        for _ in 0..PUNTS_AT_ONCE {
            let Some(PacketIn { metadata, payload }) = next else {
                return;
            };
            self.handle(Input::Punted {
                metadata,
                frame: payload,
            });
            next = self.punts.try_recv().ok();
        }
        if let Some(PacketIn { metadata, payload }) = next {
            self.handle(Input::Punted {
                metadata,
                frame: payload,
            });
        }
    }

    fn service_event(
        &mut self,
        event: ServiceEvent,
        stream: &mut Option<mpsc::Sender<AgentMessage>>,
    ) {
        match event {
            ServiceEvent::Up(number, outgoing) => {
                *stream = Some(outgoing);
                self.handle(Input::ServiceUp(number));
            }
            ServiceEvent::Ready => self.handle(Input::ServiceReady),
            ServiceEvent::Message(message) => self.handle(Input::Message(message)),
            ServiceEvent::Down => {
                *stream = None;
                self.handle(Input::ServiceDown);
            }
        }
        // Messages that are there already: their entries go into one batch.
        while self.state.accepts_messages() {
            match self.service.try_recv() {
                Ok(ServiceEvent::Message(message)) => self.handle(Input::Message(message)),
                Ok(other) => return self.service_event(other, stream),
                Err(_) => return,
            }
        }
    }

    /// Gives out what the state has to say. True: the stream is full, and the state may have more.
    fn give_out(
        &mut self,
        stream: Option<&mpsc::Sender<AgentMessage>>,
        waiting: &mut HashMap<u64, Waiting>,
    ) -> bool {
        let now = since(self.started);
        if let (Some(operation), Some(to_nic)) = (self.state.next_operation(now), &self.operations)
        {
            // One operation at a time: there is room, or the NIC has just been lost.
            let _ = to_nic.try_send(operation);
        }
        while let Some((token, answer)) = self.state.next_answer() {
            if let Some(operator) = waiting.remove(&token) {
                operator.answer(answer);
            }
        }
        while let Some((notice, kept_back)) = self.state.next_notice() {
            log(&notice, kept_back);
        }
        // When the stream is over, the event that says so is on its way.
        stream.is_some_and(|stream| self.fill(stream) && !stream.is_closed())
    }

    /// Sends what the state has to say to the service; true when the stream is full before that.
    fn fill(&mut self, stream: &mpsc::Sender<AgentMessage>) -> bool {
        while let Ok(permit) = stream.try_reserve() {
            match self.state.next_to_service(since(self.started)) {
                Some(message) => permit.send(message),
                None => return false,
            }
        }
        true
    }

    fn request(&mut self, request: Request, token: u64, waiting: &mut HashMap<u64, Waiting>) {
        match request {
            Request::Flows(vni, reply) => {
                let _ = reply.send(self.state.flows(since(self.started), vni));
            }
            Request::Snapshot(reply) => {
                let _ = reply.send(Box::new(self.snapshot()));
            }
            Request::Clear(vni, reply) => {
                waiting.insert(token, Waiting::Clear(reply));
                self.handle(Input::Clear { token, vni });
            }
            Request::Write {
                updates,
                atomicity,
                reply,
            } => {
                waiting.insert(token, Waiting::Write(reply));
                self.handle(Input::Direct {
                    token,
                    updates,
                    atomicity,
                });
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let drops = self.state.drops();
        let config = self.state.config();
        Snapshot {
            counters: self.state.counters().clone(),
            drops: drops
                .map(|(name, port, data)| (name.to_owned(), port, data))
                .collect(),
            queued: self.state.queued(),
            attached: self.state.is_attached(),
            vnics: config.map_or_else(Vec::new, |c| c.vnics.values().cloned().collect()),
        }
    }
}

impl Waiting {
    fn answer(self, answer: Answer) {
        match (self, answer) {
            (Waiting::Clear(reply), Answer::Cleared(removed)) => drop(reply.send(Ok(removed))),
            (Waiting::Write(reply), Answer::Written(results)) => drop(reply.send(Ok(results))),
            (Waiting::Clear(reply), Answer::NicGone(why)) => drop(reply.send(Err(why))),
            (Waiting::Write(reply), Answer::NicGone(why)) => drop(reply.send(Err(why))),
            // The state answers what was asked; dropping the sender tells the operator otherwise.
            _ => {}
        }
    }
}

/// Waits until the stream takes a message, or is over.
async fn has_room(stream: Option<&mpsc::Sender<AgentMessage>>) {
    match stream {
        Some(stream) => drop(stream.reserve().await),
        None => std::future::pending().await,
    }
}

fn log(notice: &Notice, kept_back: u64) {
    if notice.is_information() {
        tracing::info!("{notice}");
    } else {
        tracing::warn!(kept_back, "{notice}");
    }
}
