//! The agent's state, as a pure machine: inputs change it, outputs are fetched from it. It does no
//! I/O and reads no clock; time comes with every input, counted from the agent's start.
//!
//! ```text
//!  punts ──────────► Punts ──────────► next_to_service ──► service
//!  messages ◄──────────────────────────────────────────────── │
//!     │
//!     └─► jobs (one queue, in order) ──► next_operation ──► NIC ──► written / sent
//!            install + packets                                         │
//!            configure                    Mirror ◄─────────────────────┘
//!            remove, direct writes        what the NIC holds
//! ```
//!
//! One job runs at a time, except that flow entries of messages that wait together are written as
//! one batch (R7.3). A message's packets leave after its entries are installed, and its
//! acknowledgement after its packets. The mirror changes only by what the NIC confirmed.

pub mod config;
pub mod contents;
pub mod counters;
pub mod input;
mod install;
mod jobs;
pub mod latency;
mod local;
pub mod message;
pub mod notice;
pub mod plan;
pub mod punts;
pub mod recover;
pub mod slots;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flownic_api::v1;
use flownic_api::v1::agent_message::Message as ToService;
use flownic_api::v1::nis_message::Message as FromService;
use flownic_pipeline::entity::CounterData;
use flownic_versions::Versions;

use crate::tables::flow::Key;
use crate::tables::packet_io::PuntReason;
use crate::tables::{Mismatch, Tables};
use config::{Config, VnicId};
use contents::Mirror;
use counters::Counters;
use install::{Install, Origin};
use jobs::{Job, Running};
use notice::{Notice, Notices};
use punts::{Punted, Punts};
use slots::Slots;

pub use input::{Input, NicContents, Settings};
pub use install::Outgoing;
pub use jobs::{Answer, Operation};

/// A connection to the service.
#[derive(Debug)]
struct Session {
    number: u64,
    /// Flows that are still to be announced; `None` when all are.
    greeting: Option<VecDeque<Key>>,
    /// A packet that is sent counts as sent once, so none is before the service took the
    /// connection.
    ready: bool,
    acks: VecDeque<v1::Ack>,
}

/// Numbers of the drop reasons that the agent uses by itself.
#[derive(Debug, Clone, Copy)]
struct OwnReasons {
    queue_full: u8,
    timeout: u8,
}

/// An installed flow, as told to operators.
#[derive(Debug, Clone)]
pub struct FlowView {
    /// The entry.
    pub entry: v1::FlowEntry,
    /// Its key.
    pub key: Key,
    /// Packets that went to the host.
    pub punted: u64,
    /// Since the installation.
    pub age: Duration,
    /// From punt to installation; zero: not started by a punt here.
    pub install_time: Duration,
    /// The pipeline uses it: its versions are current.
    pub current: bool,
}

/// The agent's state.
#[derive(Debug)]
pub struct State {
    settings: Settings,
    tables: Arc<Tables>,
    reasons: OwnReasons,
    /// `None` while the NIC is there, else why not.
    nic_down: Option<String>,
    mirror: Mirror,
    vns: Slots<u32>,
    vnics: Slots<VnicId>,
    /// Slots have been found again since the NIC was opened.
    recovered: bool,
    orphans: BTreeSet<Key>,
    /// The configuration that the NIC is in, or on its way to.
    config: Option<Arc<Config>>,
    /// The last one that the service sent.
    latest: Option<Arc<Config>>,
    punts: Punts,
    jobs: VecDeque<Job>,
    /// Bytes of messages in `jobs`.
    backlog: usize,
    running: Option<Running>,
    operation: Option<Operation>,
    session: Option<Session>,
    answers: VecDeque<(u64, Answer)>,
    local: local::Budget,
    counters: Counters,
    notices: Notices,
}

impl State {
    /// The state of an agent whose NIC runs the pipeline of `tables`; no NIC is open yet.
    pub fn new(settings: Settings, tables: Arc<Tables>) -> Result<State, Mismatch> {
        Ok(State {
            reasons: OwnReasons::of(&tables)?,
            nic_down: Some("it has not been opened yet".into()),
            mirror: Mirror::default(),
            vns: Slots::new(tables.vn_versions.slots()),
            vnics: Slots::new(tables.vnic_versions.slots()),
            recovered: false,
            orphans: BTreeSet::new(),
            config: None,
            latest: None,
            punts: Punts::new(settings.punts),
            jobs: VecDeque::new(),
            backlog: 0,
            running: None,
            operation: None,
            session: None,
            answers: VecDeque::new(),
            local: local::Budget::default(),
            counters: Counters::default(),
            notices: Notices::default(),
            settings,
            tables,
        })
    }

    /// Something happened at `now`.
    pub fn handle(&mut self, now: Duration, input: Input) {
        match input {
            Input::NicUp(tables, contents) => self.nic_up(now, tables, &contents),
            Input::NicDown(why) => self.nic_lost(why),
            Input::Punted { metadata, frame } => self.punted(now, &metadata, frame),
            Input::Written(results) => self.written(now, results),
            Input::Sent { failed } => self.sent(now, failed),
            Input::ServiceUp(number) => self.service_up(number),
            Input::ServiceReady => self.service_ready(),
            Input::ServiceDown => self.service_down(now),
            Input::Message(message) => self.message(now, *message),
            Input::Clear { token, vni } => self.clear(token, vni),
            Input::Direct {
                token,
                updates,
                atomicity,
            } => {
                let job = Job::Direct {
                    token,
                    updates,
                    atomicity,
                };
                self.push_operators(token, job);
            }
            Input::Tick => {}
        }
        self.expire(now);
    }

    /// Must be called with [`Input::Tick`] at this time at the latest.
    pub fn wake_at(&self) -> Option<Duration> {
        self.punts.next_deadline()
    }

    /// The next message to the service. Fetch it only when it can be sent.
    pub fn next_to_service(&mut self, now: Duration) -> Option<v1::AgentMessage> {
        self.expire(now);
        let session = self.session.as_mut()?;
        let message = if let Some(keys) = session.greeting.take() {
            ToService::Hello(self.hello(now, keys))
        } else if let Some(ack) = session.acks.pop_front() {
            ToService::Ack(ack)
        } else if session.ready {
            ToService::Punt(self.punts.send_next()?)
        } else {
            return None;
        };
        Some(v1::AgentMessage {
            message: Some(message),
        })
    }

    /// Whether the service may say more: its messages wait for the NIC within a bound.
    pub fn accepts_messages(&self) -> bool {
        const ACKS: usize = 1024;
        let acks = self
            .session
            .as_ref()
            .map_or(0, |session| session.acks.len());
        self.backlog < self.settings.backlog && acks < ACKS
    }

    /// The next answer to an operator.
    pub fn next_answer(&mut self) -> Option<(u64, Answer)> {
        self.answers.pop_front()
    }

    /// The next notice, and how many of its kind were kept back before it.
    pub fn next_notice(&mut self) -> Option<(Notice, u64)> {
        self.notices.pop()
    }

    /// What the NIC holds.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// The configuration that the NIC is in, or on its way to.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_deref()
    }

    /// What the agent counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Packets that wait for the service.
    pub fn queued(&self) -> usize {
        self.punts.held()
    }

    /// Connected to the service.
    pub fn is_attached(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.ready)
    }

    /// The pipeline that the NIC runs.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Installed flows, of one virtual network or all, in the order of their keys.
    pub fn flows(&self, now: Duration, vni: Option<u32>) -> Vec<FlowView> {
        let wanted = |key: &&Key| vni.is_none_or(|vni| key.vni == vni);
        let mut keys: Vec<_> = self.mirror.flows.keys().filter(wanted).copied().collect();
        keys.sort_unstable();
        let views = keys.iter().filter_map(|key| self.view(now, key));
        views.collect()
    }

    fn view(&self, now: Duration, key: &Key) -> Option<FlowView> {
        let record = self.mirror.flows.get(key)?;
        let action = &record.action;
        let register = |of: &contents::Registers, slot| of.get(&slot).copied().unwrap_or_default();
        let vn: Versions = register(&self.mirror.vn_versions, action.vn.slot);
        let vnic = register(&self.mirror.vnic_versions, action.vnic.slot);
        let owner = self.vnics.owner(action.vnic.slot);
        let name = owner.map_or("", |id| id.name.as_str());
        Some(FlowView {
            entry: message::flow_message(key, action, name, record.reply, &self.tables.drops),
            key: *key,
            punted: record.punted,
            age: now.saturating_sub(record.installed),
            install_time: record.install_time,
            current: vn == action.vn.versions && vnic == action.vnic.versions,
        })
    }

    fn nic_up(&mut self, now: Duration, tables: Arc<Tables>, contents: &NicContents) {
        let Ok(reasons) = OwnReasons::of(&tables) else {
            return;
        };
        self.reasons = reasons;
        let mut mirror = Mirror::default();
        let mut skipped = 0;
        for entry in &contents.entries {
            skipped += usize::from(mirror.put(&tables, entry, now).is_err());
        }
        for (register, index, value) in &contents.registers {
            mirror.put_register(&tables, *register, *index, value);
        }
        // What is known of a flow and not in the NIC survives when the entry did.
        for (key, record) in &mut mirror.flows {
            let known = self.mirror.flows.remove(key);
            if let Some(known) = known.filter(|known| known.action == record.action) {
                *record = known;
            }
        }
        let flows = mirror.flows.len();
        self.notices.push(now, Notice::ReadBack { flows, skipped });
        self.vns = Slots::new(tables.vn_versions.slots());
        self.vnics = Slots::new(tables.vnic_versions.slots());
        self.recovered = false;
        self.orphans.clear();
        self.mirror = mirror;
        self.tables = tables;
        self.nic_down = None;
        if let Some(config) = &self.latest {
            let config = Arc::clone(config);
            self.jobs.push_front(Job::Configure { ack: None, config });
        }
    }

    fn nic_lost(&mut self, why: String) {
        self.nic_down = Some(why);
        self.operation = None;
        self.abort_jobs();
    }

    fn service_up(&mut self, number: u64) {
        let mut keys: Vec<_> = self.mirror.flows.keys().copied().collect();
        keys.sort_unstable();
        self.session = Some(Session {
            number,
            greeting: Some(keys.into()),
            ready: false,
            acks: VecDeque::new(),
        });
    }

    fn service_ready(&mut self) {
        if let Some(session) = &mut self.session {
            session.ready = true;
        }
    }

    fn service_down(&mut self, now: Duration) {
        self.session = None;
        let lost = self.punts.lose_sent();
        self.timed_out(now, &lost);
    }

    fn expire(&mut self, now: Duration) {
        let expired = self.punts.expire(now);
        self.timed_out(now, &expired);
    }

    fn timed_out(&mut self, now: Duration, lost: &[Punted]) {
        for punted in lost {
            let reason = self.reasons.timeout;
            self.counters.drop_packet(reason, punted.port, punted.bytes);
        }
        if !lost.is_empty() {
            let packets = lost.len();
            (self.notices).push(now, Notice::ServiceTimeout { packets });
        }
    }

    /// One of the greetings that a connection begins with; together they announce all flows.
    fn hello(&mut self, now: Duration, mut keys: VecDeque<Key>) -> v1::Hello {
        let rest = keys.split_off(keys.len().min(self.settings.announced));
        let views = keys.iter().filter_map(|key| self.view(now, key));
        let installed = views.map(|view| view.entry).collect();
        let more = !rest.is_empty();
        if let (true, Some(session)) = (more, &mut self.session) {
            session.greeting = Some(rest);
        }
        v1::Hello {
            host: self.settings.host.clone(),
            installed,
            more,
        }
    }

    fn punted(&mut self, now: Duration, metadata: &[(u32, Vec<u8>)], frame: Vec<u8>) {
        self.counters.punts_received += 1;
        let header = match self.tables.packet_io.decode(metadata) {
            Ok(header) => header,
            Err(error) => return self.notices.push(now, Notice::BadPunt(error.to_string())),
        };
        if matches!(header.reason, PuntReason::TooBig | PuntReason::TtlExpired) {
            return self.answer_here(now, &header, &frame);
        }
        let (direction, attach) = message::origin(&header);
        let punted = Punted {
            received: now,
            port: header.ingress_port,
            bytes: frame.len(),
            vni: header.vni,
            direction,
            attach,
        };
        self.expire(now);
        let Some(message) = message::punted_message(&header, frame) else {
            return;
        };
        if !self.punts.push(punted, message) {
            let (reason, port) = (self.reasons.queue_full, punted.port);
            self.counters.drop_packet(reason, port, punted.bytes);
            self.notices.push(now, Notice::QueueFull { port });
        }
    }

    fn message(&mut self, now: Duration, message: v1::NisMessage) {
        let bytes = prost::Message::encoded_len(&message);
        match message.message {
            Some(FromService::Configure(configure)) => self.configure(now, &configure),
            Some(FromService::PuntReply(reply)) => self.reply(now, reply, bytes),
            Some(FromService::Deliver(deliver)) => self.deliver(deliver, bytes),
            None => self.bad_message(now, "it is empty, or newer than this agent"),
        }
    }

    fn bad_message(&mut self, now: Duration, what: impl Into<String>) {
        self.notices.push(now, Notice::BadMessage(what.into()));
    }

    fn configure(&mut self, now: Duration, message: &v1::Configure) {
        let ack = self.session.as_ref().map(|s| (s.number, message.id));
        let config = match Config::check(message, &self.settings.host) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                let error = error.to_string();
                (self.notices).push(now, Notice::ConfigureFailed(error.clone()));
                return self.ack(ack, error);
            }
        };
        self.latest = Some(Arc::clone(&config));
        match &self.nic_down {
            None => self.jobs.push_back(Job::Configure { ack, config }),
            Some(why) => {
                let error = format!("kept until the NIC is back, which is gone: {why}");
                self.ack(ack, error);
            }
        }
    }

    fn reply(&mut self, now: Duration, reply: v1::PuntReply, bytes: usize) {
        let punted = self.punts.answer(reply.id);
        let mut packets = reply.packets;
        match &punted {
            Some(_) => self.counters.punts_answered += 1,
            // Its packet has been counted as dropped, or answered before. The entries are as
            // good as ever.
            None => {
                self.counters.packets_refused += packets.len() as u64;
                packets.clear();
            }
        }
        if let (Some(punted), false) = (&punted, reply.drop_reason.is_empty()) {
            match self.tables.drops.find(&reply.drop_reason) {
                Some(reason) => (self.counters).drop_packet(reason, punted.port, punted.bytes),
                None => {
                    let reason = &reply.drop_reason;
                    let what = format!("\"{reason}\" is no drop reason of the pipeline");
                    self.bad_message(now, what);
                }
            }
        }
        if reply.entries.is_empty() && packets.is_empty() {
            return;
        }
        let origin = Origin::Reply(punted);
        self.push_install(Install::new(origin, reply.entries, packets, bytes));
    }

    fn deliver(&mut self, deliver: v1::Deliver, bytes: usize) {
        let ack = self.session.as_ref().map(|s| (s.number, deliver.id));
        let origin = Origin::Deliver(ack);
        self.push_install(Install::new(
            origin,
            deliver.entries,
            deliver.packets,
            bytes,
        ));
    }

    fn push_install(&mut self, install: Install) {
        if let Some(why) = &self.nic_down {
            let error = format!("the NIC is gone: {why}");
            return self.fail_install(&install, &error);
        }
        self.backlog += install.bytes;
        self.jobs.push_back(Job::Install(install));
    }

    /// Acknowledges on the connection that the message came by, if that is still there.
    fn ack(&mut self, ack: Option<(u64, u64)>, error: String) {
        let session = self.session.as_mut();
        if let (Some(session), Some((number, id))) = (session, ack)
            && session.number == number
        {
            session.acks.push_back(v1::Ack { id, error });
        }
    }

    fn clear(&mut self, token: u64, vni: Option<u32>) {
        let wanted = |key: &&Key| vni.is_none_or(|vni| key.vni == vni);
        let mut keys: Vec<_> = self.mirror.flows.keys().filter(wanted).copied().collect();
        keys.sort_unstable();
        self.push_operators(token, Job::Remove { token, keys });
    }

    /// Packets and bytes dropped on the host, by (drop reason, port).
    pub fn drops(&self) -> impl Iterator<Item = (&str, u16, CounterData)> {
        let name = |number| self.tables.drops.name(number).unwrap_or("unknown");
        (self.counters.drops.iter()).map(move |(&(number, port), &data)| (name(number), port, data))
    }
}

impl OwnReasons {
    fn of(tables: &Tables) -> Result<Self, Mismatch> {
        Ok(OwnReasons {
            queue_full: tables.drops.number("PUNT_QUEUE_FULL")?,
            timeout: tables.drops.number("SERVICE_TIMEOUT")?,
        })
    }
}
