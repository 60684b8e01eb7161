//! The service as a state machine: an event comes in with the time, effects go out.
//!
//! ```text
//!   stream opened ─► Hello … Hello{more: false} ─► attached ─► closed
//!                                                   │
//!   Punt ─► evaluated ─┬─► PuntReply                │
//!                      └─► Deliver ─► Ack, too late, or receiver gone ─► PuntReply
//! ```
//!
//! No I/O, no clock: `now` is the time since any fixed start and never goes back. Nothing here
//! fails; what an agent does wrong ends its stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flownic_api::v1::{self, agent_message, nis_message};
use flownic_vnet::{ConnLimits, ConnTrack, DropReason, Fragments};

use super::configuration::Configuration;
use super::error::{Malformed, Refusal};
use super::messages::{self, Installed};
use super::punts::{Answer, Knowledge, dropped_reply};
use super::rollouts::Rollouts;

/// Number of an agent's stream; never used twice.
pub type Session = u64;

/// Bounds of the service's patience and memory.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the opening of a stream to its last Hello.
    pub greeting: Duration,
    /// From Deliver to its Ack.
    pub delivery: Duration,
    /// From Configure to its Ack, until an operator is told that it is missing.
    pub confirmation: Duration,
    /// Punts of one agent that wait for the Ack of another.
    pub pending: usize,
    /// Bounds of connection tracking.
    pub connections: ConnLimits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            greeting: Duration::from_secs(10),
            delivery: Duration::from_millis(500),
            confirmation: Duration::from_secs(2),
            pending: 1024,
            connections: ConnLimits::default(),
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// An agent opened a stream.
    Opened(Session),
    /// An agent said something.
    Message(Session, v1::AgentMessage),
    /// A stream ended, from whichever side.
    Closed(Session),
    /// A configuration was written to the store.
    Commit {
        /// The configuration.
        configuration: Arc<Configuration>,
        /// Comes back in [`Effect::Confirmed`].
        ticket: u64,
    },
    /// Time has passed, see [`Nis::deadline`].
    Tick,
}

/// Something to be done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Say something to an agent; messages of one stream stay in order.
    Send(Session, v1::NisMessage),
    /// End a stream. No other effect is about it afterwards.
    Close(Session, Refusal),
    /// Every attached agent holds the configuration, but those that are listed.
    Confirmed {
        /// From [`Event::Commit`].
        ticket: u64,
        /// One line for each host that does not hold it as far as is known.
        missing: Vec<String>,
    },
}

/// What the service counts, since it started.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Punts that were taken.
    pub punts: u64,
    /// Punts by host.
    pub punts_by_host: BTreeMap<String, u64>,
    /// Punted packets that went to their receiver's NIC and, if to another one, were acknowledged.
    pub delivered: u64,
    /// Punted packets that were not forwarded, by the name of the reason.
    pub drops: BTreeMap<String, u64>,
}

/// The network interface service.
#[derive(Debug)]
pub struct Nis {
    limits: Limits,
    knowledge: Knowledge,
    /// Streams that have not said everything about themselves yet.
    greetings: BTreeMap<Session, Greeting>,
    agents: BTreeMap<Session, Agent>,
    /// Attached agents by host.
    attached: BTreeMap<String, Session>,
    /// By the id of the Deliver, so the oldest comes first.
    deliveries: BTreeMap<u64, Delivery>,
    rollouts: Rollouts,
    next_id: u64,
    next_expiry: Duration,
    counters: Counters,
}

/// Flows that a NIC may claim to hold: both flow tables, full.
const MAX_INSTALLED: usize = 2 << 20;

/// Time between two looks for idle connections. They count as forgotten before; this frees memory.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// A stream before the last Hello.
#[derive(Debug)]
struct Greeting {
    deadline: Duration,
    host: Option<String>,
    installed: Vec<Installed>,
}

/// The other end of a stream that has attached.
#[derive(Debug)]
struct Agent {
    host: String,
    last_punt: u64,
    /// Its punts that wait for another agent.
    pending: usize,
    /// What it was told to hold, with id 0.
    told: v1::Configure,
}

/// A punt that waits for the receiver's agent.
#[derive(Debug)]
struct Delivery {
    sender: Session,
    receiver: Session,
    deadline: Duration,
    reply: v1::PuntReply,
}

impl Nis {
    /// A service with this configuration and no agents.
    pub fn new(configuration: Arc<Configuration>, limits: Limits) -> Nis {
        Nis {
            knowledge: Knowledge {
                configuration,
                connections: ConnTrack::new(limits.connections),
                fragments: Fragments::default(),
            },
            limits,
            greetings: BTreeMap::new(),
            agents: BTreeMap::new(),
            attached: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            rollouts: Rollouts::default(),
            next_id: 1,
            next_expiry: Duration::ZERO,
            counters: Counters::default(),
        }
    }

    /// The configuration in use.
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.knowledge.configuration
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Connections that are known.
    pub fn connections(&self) -> usize {
        self.knowledge.connections.len()
    }

    /// Hosts with an attached agent.
    pub fn attached(&self) -> impl Iterator<Item = &str> {
        self.attached.keys().map(String::as_str)
    }

    /// When [`Event::Tick`] is due next, if nothing else happens.
    pub fn deadline(&self) -> Duration {
        let greetings = self.greetings.values().map(|greeting| greeting.deadline);
        let oldest = self
            .deliveries
            .values()
            .next()
            .map(|delivery| delivery.deadline);
        greetings
            .chain(oldest)
            .chain(self.rollouts.deadline())
            .min()
            .unwrap_or(Duration::MAX)
            .min(self.next_expiry)
    }

    /// Takes an event and says what is to be done, in order.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Opened(session) => {
                let deadline = now + self.limits.greeting;
                let greeting = Greeting {
                    deadline,
                    host: None,
                    installed: Vec::new(),
                };
                self.greetings.insert(session, greeting);
            }
            Event::Message(session, message) => {
                if let Err(refusal) = self.message(now, session, message, &mut effects) {
                    self.close(session, refusal, &mut effects);
                }
            }
            Event::Closed(session) => self.detach(session, &mut effects),
            Event::Commit {
                configuration,
                ticket,
            } => {
                self.commit(now, configuration, ticket, &mut effects);
            }
            Event::Tick => {}
        }
        self.expire(now, &mut effects);
        let finished = self.rollouts.finished();
        effects.extend(finished.map(|(ticket, missing)| Effect::Confirmed { ticket, missing }));
        effects
    }

    fn message(
        &mut self,
        now: Duration,
        session: Session,
        message: v1::AgentMessage,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        // Messages may be under way when a stream is closed from here.
        if !self.is_open(session) {
            return Ok(());
        }
        match message.message {
            None => Err(Malformed::new("message", "missing").into()),
            Some(agent_message::Message::Hello(hello)) => self.hello(now, session, hello, effects),
            Some(agent_message::Message::Punt(punt)) => self.punt(now, session, punt, effects),
            Some(agent_message::Message::Ack(ack)) => self.ack(session, ack, effects),
        }
    }

    fn hello(
        &mut self,
        now: Duration,
        session: Session,
        hello: v1::Hello,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(greeting) = self.greetings.get_mut(&session) else {
            let host = self.agents.get(&session).map(|agent| agent.host.clone());
            return Err(Refusal::SecondHello(host.unwrap_or_default()));
        };
        let configuration = &self.knowledge.configuration;
        let Some(mut told) = messages::configure(configuration, &hello.host) else {
            let hosts = configuration.fabric.hosts().iter();
            let known = hosts.map(|host| &*host.name).collect::<Vec<_>>().join(", ");
            return Err(Refusal::UnknownHost {
                host: hello.host,
                known,
            });
        };
        if let Some(host) = greeting.host.as_ref().filter(|host| **host != hello.host) {
            return Err(Refusal::SecondHello(host.clone()));
        }
        if greeting.installed.len() + hello.installed.len() > MAX_INSTALLED {
            let what = format!("more than {MAX_INSTALLED} flows, no NIC holds that many");
            return Err(Malformed::new("hello: installed", what).into());
        }
        for (number, entry) in hello.installed.iter().enumerate() {
            let flow = messages::installed(entry)
                .map_err(|error| error.within(&format!("hello: installed[{number}]")))?;
            greeting.installed.push(flow);
        }
        if hello.more {
            greeting.host = Some(hello.host);
            return Ok(());
        }

        let greeting = self.greetings.remove(&session);
        for flow in greeting.iter().flat_map(|greeting| &greeting.installed) {
            self.knowledge.restore(now, &hello.host, flow);
        }
        if let Some(&older) = self.attached.get(&hello.host) {
            self.close(older, Refusal::Replaced(hello.host.clone()), effects);
        }
        self.attached.insert(hello.host.clone(), session);
        let agent = Agent {
            host: hello.host,
            last_punt: 0,
            pending: 0,
            told: told.clone(),
        };
        self.agents.insert(session, agent);
        told.id = self.new_id();
        effects.push(send(session, nis_message::Message::Configure(told)));
        Ok(())
    }

    fn punt(
        &mut self,
        now: Duration,
        session: Session,
        punt: v1::Punt,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(agent) = self.agents.get_mut(&session) else {
            return Err(Refusal::NotGreeted("Punt"));
        };
        if punt.id <= agent.last_punt {
            let what = format!(
                "{}, must be more than {}, the last one",
                punt.id, agent.last_punt
            );
            return Err(Malformed::new("punt: id", what).into());
        }
        let punt = messages::punt(punt)?;
        agent.last_punt = punt.id;
        self.counters.punts += 1;
        match self.counters.punts_by_host.get_mut(&agent.host) {
            Some(count) => *count += 1,
            None => drop(self.counters.punts_by_host.insert(agent.host.clone(), 1)),
        }
        if agent.pending >= self.limits.pending {
            let text = "too many punts of this host wait for other hosts";
            let reply = dropped_reply(punt.id, DropReason::PuntQueueFull, text);
            self.reply(session, reply, effects);
            return Ok(());
        }
        match self.knowledge.answer(now, &agent.host, &punt) {
            Answer::Now { reply, forwarded } => {
                self.counters.delivered += u64::from(forwarded);
                self.reply(session, reply, effects);
            }
            Answer::After {
                host,
                mut deliver,
                reply,
            } => {
                let Some(&receiver) = self.attached.get(&*host) else {
                    let text = format!("no agent of the receiver's host {host} is attached");
                    let reply = dropped_reply(punt.id, DropReason::ServiceTimeout, &text);
                    self.reply(session, reply, effects);
                    return Ok(());
                };
                agent.pending += 1;
                let deadline = now + self.limits.delivery;
                deliver.id = self.new_id();
                let delivery = Delivery {
                    sender: session,
                    receiver,
                    deadline,
                    reply,
                };
                self.deliveries.insert(deliver.id, delivery);
                effects.push(send(receiver, nis_message::Message::Deliver(deliver)));
            }
        }
        Ok(())
    }

    fn ack(
        &mut self,
        session: Session,
        ack: v1::Ack,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(agent) = self.agents.get(&session) else {
            return Err(Refusal::NotGreeted("Ack"));
        };
        if ack.id == 0 || ack.id >= self.next_id {
            let what = format!("nothing was sent with id {}", ack.id);
            return Err(Malformed::new("ack: id", what).into());
        }
        let is_own = |delivery: &Delivery| delivery.receiver == session;
        if self.deliveries.get(&ack.id).is_some_and(is_own) {
            let failure = (!ack.error.is_empty()).then(|| {
                format!(
                    "the receiver's host {} could not take it: {}",
                    agent.host, ack.error
                )
            });
            self.finish_delivery(ack.id, failure, effects);
        } else {
            // Of a Configure, or of a Deliver that was given up.
            self.rollouts.answered(ack.id, &agent.host, &ack.error);
        }
        Ok(())
    }

    /// Answers the sender of a delivered, or undeliverable, packet.
    fn finish_delivery(&mut self, id: u64, failure: Option<String>, effects: &mut Vec<Effect>) {
        let Some(delivery) = self.deliveries.remove(&id) else {
            return;
        };
        let Some(sender) = self.agents.get_mut(&delivery.sender) else {
            return;
        };
        sender.pending -= 1;
        let reply = match failure {
            // Without an entry: the sender's NIC must not forward to where nothing is installed.
            Some(text) => dropped_reply(delivery.reply.id, DropReason::ServiceTimeout, &text),
            None => {
                self.counters.delivered += 1;
                delivery.reply
            }
        };
        self.reply(delivery.sender, reply, effects);
    }

    fn reply(&mut self, session: Session, reply: v1::PuntReply, effects: &mut Vec<Effect>) {
        if !reply.drop_reason.is_empty() {
            *self
                .counters
                .drops
                .entry(reply.drop_reason.clone())
                .or_default() += 1;
        }
        effects.push(send(session, nis_message::Message::PuntReply(reply)));
    }

    fn commit(
        &mut self,
        now: Duration,
        configuration: Arc<Configuration>,
        ticket: u64,
        effects: &mut Vec<Effect>,
    ) {
        self.knowledge.configuration = Arc::clone(&configuration);
        let mut waiting = BTreeMap::new();
        for (host, session) in self.attached.clone() {
            let Some(told) = messages::configure(&configuration, &host) else {
                self.close(session, Refusal::HostRemoved(host), effects);
                continue;
            };
            let id = self.next_id;
            if let Some(agent) = self.agents.get_mut(&session)
                && agent.told != told
            {
                agent.told = told.clone();
                self.next_id += 1;
                waiting.insert(id, host);
                let message = v1::Configure { id, ..told };
                effects.push(send(session, nis_message::Message::Configure(message)));
            }
        }
        let hosts = configuration.fabric.hosts().iter();
        let absent = hosts.filter(|host| !self.attached.contains_key(&*host.name));
        let missing = absent
            .map(|host| format!("{}: no agent is attached", host.name))
            .collect();
        let deadline = now + self.limits.confirmation;
        self.rollouts.start(ticket, deadline, waiting, missing);
    }

    /// Everything that was due before `now`.
    fn expire(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        while let Some(oldest) = self.deliveries.first_entry() {
            if oldest.get().deadline > now {
                break;
            }
            let id = *oldest.key();
            let text = format!(
                "the receiver's host {} did not confirm in time",
                self.host_of(id)
            );
            self.finish_delivery(id, Some(text), effects);
        }
        let silent = self
            .greetings
            .iter()
            .filter(|(_, greeting)| greeting.deadline <= now);
        let silent = silent.map(|(&session, _)| session);
        for session in silent.collect::<Vec<_>>() {
            self.close(session, Refusal::Silent(self.limits.greeting), effects);
        }
        self.rollouts.expire(now);
        if self.next_expiry <= now {
            self.knowledge.connections.expire(now);
            self.knowledge.fragments.expire(now);
            self.next_expiry = now + EXPIRY_INTERVAL;
        }
    }

    /// Host of the receiver of a delivery.
    fn host_of(&self, delivery: u64) -> &str {
        let receiver = self
            .deliveries
            .get(&delivery)
            .map(|delivery| delivery.receiver);
        let agent = receiver.and_then(|session| self.agents.get(&session));
        agent.map_or("", |agent| &agent.host)
    }

    fn is_open(&self, session: Session) -> bool {
        self.agents.contains_key(&session) || self.greetings.contains_key(&session)
    }

    fn close(&mut self, session: Session, refusal: Refusal, effects: &mut Vec<Effect>) {
        if self.is_open(session) {
            effects.push(Effect::Close(session, refusal));
            self.detach(session, effects);
        }
    }

    /// Forgets a stream and answers those that waited for it.
    fn detach(&mut self, session: Session, effects: &mut Vec<Effect>) {
        self.greetings.remove(&session);
        let Some(agent) = self.agents.remove(&session) else {
            return;
        };
        if self.attached.get(&agent.host) == Some(&session) {
            self.attached.remove(&agent.host);
        }
        self.deliveries
            .retain(|_, delivery| delivery.sender != session);
        let orphans: Vec<u64> = self
            .deliveries
            .iter()
            .filter(|(_, delivery)| delivery.receiver == session)
            .map(|(&id, _)| id)
            .collect();
        for id in orphans {
            let text = format!("the agent of the receiver's host {} went away", agent.host);
            self.finish_delivery(id, Some(text), effects);
        }
        self.rollouts.gone(&agent.host);
    }

    fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

fn send(session: Session, message: nis_message::Message) -> Effect {
    Effect::Send(
        session,
        v1::NisMessage {
            message: Some(message),
        },
    )
}
