//! Time, streams, faults, and the checks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use flownic_api::v1::{self, agent_message, nis_message};
use flownic_services::nis::configuration::{self, Plan};
use flownic_services::nis::events::{Effect, Event, Limits, Nis};
use flownic_store::Memory;

use crate::networks::{self, Flow, HOSTS, NETWORKS, SERVICES, VNICS, Variant};
use crate::nic::{Nic, Way};

/// What goes wrong, as chances in a thousand.
#[derive(Clone, Copy)]
pub struct Faults {
    /// Of a Deliver: its Ack never comes, comes too late, or says that nothing was done.
    ack: u64,
    /// Of a packet that a VM sends: before it, an agent leaves.
    leave: u64,
    /// … the service restarts.
    restart: u64,
    /// … the configuration changes.
    change: u64,
}

impl Faults {
    pub const NONE: Faults = Faults {
        ack: 0,
        leave: 0,
        restart: 0,
        change: 0,
    };
    pub const ALL: Faults = Faults {
        ack: 40,
        leave: 8,
        restart: 2,
        change: 10,
    };
}

/// What has happened.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub sent: u64,
    pub delivered_by_service: u64,
    pub delivered_by_nics: u64,
    pub dropped: u64,
    pub lost: u64,
    pub stale: u64,
    pub failed_deliveries: u64,
    pub left: u64,
    pub restarts: u64,
    pub changes: u64,
    pub replies_restored: u64,
}

impl Totals {
    pub fn add(&mut self, other: &Totals) {
        self.sent += other.sent;
        self.delivered_by_service += other.delivered_by_service;
        self.delivered_by_nics += other.delivered_by_nics;
        self.dropped += other.dropped;
        self.lost += other.lost;
        self.stale += other.stale;
        self.failed_deliveries += other.failed_deliveries;
        self.left += other.left;
        self.restarts += other.restarts;
        self.changes += other.changes;
        self.replies_restored += other.replies_restored;
    }
}

/// Something that is going to happen.
#[derive(Debug)]
enum Next {
    Step,
    Attach {
        host: usize,
    },
    /// A stream's end has reached the service.
    Gone(u64),
    ToNis(u64, v1::AgentMessage),
    ToAgent {
        host: usize,
        session: u64,
        message: v1::NisMessage,
    },
    /// What the agent's next messages rest on; travels with them.
    Variant {
        host: usize,
        session: u64,
        variant: usize,
    },
    /// The service ended the stream.
    Ended {
        host: usize,
        session: u64,
    },
    Underlay {
        host: usize,
        source: usize,
        vni: u32,
        frame: Vec<u8>,
    },
    Send(Flow),
    Tick,
}

/// A packet on its way.
#[derive(Debug)]
struct Packet {
    flow: Flow,
    /// The oldest configuration that may have decided about it so far.
    variant: usize,
    /// Stream that it was punted on and its number there.
    punted: Option<(u64, u64)>,
    delivered: bool,
}

pub struct World {
    random: Random,
    faults: Faults,
    now: Duration,
    /// Time, tie-breaker, what.
    agenda: BinaryHeap<Reverse<(Duration, u64)>>,
    what: BTreeMap<u64, Next>,
    counter: u64,
    /// When the last message of a link arrives; nothing overtakes on it.
    links: BTreeMap<Link, Duration>,

    store: Memory,
    nis: Nis,
    sessions: BTreeMap<u64, usize>,
    nics: Vec<Nic>,
    next_tick: Duration,

    variants: Vec<Variant>,
    packets: Vec<Packet>,
    /// Flows of which a packet was sent.
    started: BTreeSet<Flow>,
    /// Last punt that was delivered, by stream and flow.
    order: BTreeMap<(u64, Flow), u64>,
    steps: u64,
    totals: Totals,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    FromAgent(u64),
    ToAgent(u64),
    Underlay(usize, usize),
}

impl World {
    pub fn new(seed: u64, faults: Faults) -> World {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995);
        let store = Memory::new();
        let first = random_variant(&mut random);
        let empty = configuration::load(&store).unwrap();
        let plan = Plan::new(&empty, "simulation", &first.toml()).unwrap_or_else(|e| panic!("{e}"));
        let loaded = configuration::commit(&store, &empty, plan).unwrap();
        let mut world = World {
            random,
            faults,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            what: BTreeMap::new(),
            counter: 0,
            links: BTreeMap::new(),
            store,
            nis: Nis::new(Arc::new(loaded), Limits::default()),
            sessions: BTreeMap::new(),
            nics: (0..HOSTS).map(|_| Nic::default()).collect(),
            next_tick: Duration::MAX,
            variants: vec![first],
            packets: Vec::new(),
            started: BTreeSet::new(),
            order: BTreeMap::new(),
            steps: 300,
            totals: Totals::default(),
        };
        for host in 0..HOSTS {
            world.at(Duration::ZERO, Next::Attach { host });
        }
        world.at(Duration::from_millis(200), Next::Step);
        world
    }

    /// Runs to the end, through trouble and then without.
    pub fn run(mut self) -> Totals {
        self.run_until_quiet();
        self.faults = Faults::NONE;
        for host in 0..HOSTS {
            if self.nics[host].session.is_none() {
                self.after(Duration::ZERO, Next::Attach { host });
            }
        }
        self.run_until_quiet();
        self.check_established_replies();
        self.check_everything_allowed_passes();
        for (host, nic) in self.nics.iter().enumerate() {
            assert_eq!(nic.unanswered(), 0, "host {host}: punts without an answer");
        }
        self.totals
    }

    fn run_until_quiet(&mut self) {
        let mut happened = 0;
        while let Some(Reverse((at, key))) = self.agenda.pop() {
            happened += 1;
            assert!(happened < 200_000, "the world does not come to rest");
            assert!(at >= self.now, "time goes back");
            self.now = at;
            let next = self.what.remove(&key).unwrap();
            self.happen(next);
            self.schedule_tick();
        }
    }

    fn at(&mut self, at: Duration, next: Next) {
        self.counter += 1;
        self.agenda.push(Reverse((at.max(self.now), self.counter)));
        self.what.insert(self.counter, next);
    }

    fn after(&mut self, delay: Duration, next: Next) {
        self.at(self.now + delay, next);
    }

    /// Sends over a link that keeps order.
    fn over(&mut self, link: Link, extra: Duration, next: Next) {
        let latency = Duration::from_micros(50 + self.random.below(2_000)) + extra;
        let last = self.links.entry(link).or_default();
        *last = (*last).max(self.now + latency);
        let at = *last;
        self.at(at, next);
    }

    fn schedule_tick(&mut self) {
        // Waits for idle connections do not keep the world busy.
        let deadline = self.nis.deadline();
        if deadline < self.now + Duration::from_secs(20) && deadline < self.next_tick {
            self.next_tick = deadline;
            self.at(deadline, Next::Tick);
        }
    }

    fn happen(&mut self, next: Next) {
        match next {
            Next::Step => self.step(),
            Next::Attach { host } => self.attach(host),
            Next::Gone(session) => self.nis_event(Event::Closed(session)),
            Next::ToNis(session, message) => self.nis_event(Event::Message(session, message)),
            Next::ToAgent {
                host,
                session,
                message,
            } => {
                if self.nics[host].session == Some(session) {
                    self.agent_message(host, session, message);
                }
            }
            Next::Variant {
                host,
                session,
                variant,
            } => {
                if self.nics[host].session == Some(session) {
                    self.nics[host].variant = variant;
                }
            }
            Next::Ended { host, session } => {
                if self.nics[host].session == Some(session) {
                    self.leave(host);
                }
            }
            Next::Underlay {
                host,
                source,
                vni,
                frame,
            } => {
                let way = self.nics[host].take_from_tunnel(networks::vtep(source), vni, frame);
                self.go(host, way);
            }
            Next::Send(flow) => self.send(flow),
            Next::Tick => {
                self.next_tick = Duration::MAX;
                self.nis_event(Event::Tick);
            }
        }
    }

    /// A VM sends, and trouble comes.
    fn step(&mut self) {
        self.steps -= 1;
        if self.random.chance(self.faults.leave) {
            let host = self.random.index(HOSTS);
            self.leave(host);
        }
        if self.random.chance(self.faults.restart) {
            self.restart();
        }
        if self.random.chance(self.faults.change) {
            self.change();
        }
        let flow = self.random_flow();
        for number in 0..1 + self.random.below(5) {
            // Some while the first is on its way to the service, some after.
            let gap = [100, 3_000, 20_000][self.random.index(3)];
            self.after(Duration::from_micros(number * gap), Next::Send(flow));
        }
        if self.steps > 0 {
            let pause = Duration::from_micros(self.random.below(20_000));
            self.after(pause, Next::Step);
        }
    }

    fn random_flow(&mut self) -> Flow {
        // Often one that exists, or its reverse.
        if !self.packets.is_empty() && self.random.chance(500) {
            let flow = self.packets[self.random.index(self.packets.len())].flow;
            return if self.random.chance(300) {
                flow.reverse()
            } else {
                flow
            };
        }
        let src = self.random.index(VNICS);
        let flow = Flow {
            network: self.random.index(NETWORKS),
            src,
            dst: (src + 1 + self.random.index(VNICS - 1)) % VNICS,
            src_port: 20_000 + self.random.below(30) as u16,
            dst_port: networks::service_port(self.random.index(SERVICES)),
        };
        // Now and then an answer to a question that nobody asked.
        if self.random.chance(100) {
            flow.reverse()
        } else {
            flow
        }
    }

    fn attach(&mut self, host: usize) {
        if self.nics[host].session.is_some() {
            return;
        }
        self.counter += 1;
        let session = self.counter;
        self.sessions.insert(session, host);
        self.nics[host].attach(session);
        self.nis_event(Event::Opened(session));
        let entries = self.nics[host].entries();
        let mut chunks: Vec<Vec<v1::FlowEntry>> =
            entries.chunks(7).map(<[v1::FlowEntry]>::to_vec).collect();
        let last = chunks.pop().unwrap_or_default();
        let hello = |installed, more| {
            let host = Variant::host_name(host);
            agent_message::Message::Hello(v1::Hello {
                host,
                installed,
                more,
            })
        };
        let mut hellos: Vec<_> = chunks.into_iter().map(|chunk| hello(chunk, true)).collect();
        hellos.push(hello(last, false));
        for message in hellos {
            self.tell_nis(session, Duration::ZERO, message);
        }
    }

    fn tell_nis(&mut self, session: u64, extra: Duration, message: agent_message::Message) {
        let message = v1::AgentMessage {
            message: Some(message),
        };
        self.over(
            Link::FromAgent(session),
            extra,
            Next::ToNis(session, message),
        );
    }

    /// The agent's stream breaks: what is on it is lost on one side, late on the other.
    fn leave(&mut self, host: usize) {
        if let Some(session) = self.nics[host].session.take() {
            self.totals.left += 1;
            self.over(
                Link::FromAgent(session),
                Duration::ZERO,
                Next::Gone(session),
            );
        }
        // Before or after the service has noticed.
        let pause = Duration::from_micros(self.random.below(100_000));
        self.after(pause, Next::Attach { host });
    }

    /// The service is gone, with all streams, and comes back with what the store holds.
    fn restart(&mut self) {
        self.totals.restarts += 1;
        let loaded = configuration::load(&self.store).unwrap();
        self.nis = Nis::new(Arc::new(loaded), Limits::default());
        self.sessions.clear();
        for host in 0..HOSTS {
            self.nics[host].session = None;
            let pause = Duration::from_micros(self.random.below(50_000));
            self.after(pause, Next::Attach { host });
        }
    }

    /// An operator changes rules, or a VM moves.
    fn change(&mut self) {
        self.totals.changes += 1;
        let mut variant = self.variants.last().unwrap().clone();
        let network = self.random.index(NETWORKS);
        if self.random.chance(300) {
            let vnic = self.random.index(VNICS);
            variant.place[network][vnic] = self.random.index(HOSTS);
        } else {
            let service = self.random.index(SERVICES);
            variant.allowed[network][service] ^= true;
        }
        let current = Arc::clone(self.nis.configuration());
        let plan = Plan::new(&current, "simulation", &variant.toml()).unwrap();
        let new = configuration::commit(&self.store, &current, plan).unwrap();
        self.variants.push(variant);
        if self.random.chance(100 * u64::from(self.faults.restart > 0)) {
            // Down between the write and everything else.
            return self.restart();
        }
        self.counter += 1;
        let event = Event::Commit {
            configuration: Arc::new(new),
            ticket: self.counter,
        };
        self.nis_event(event);
        let attached: Vec<String> = self.nis.attached().map(str::to_owned).collect();
        for host in 0..HOSTS {
            if let Some(session) = self.nics[host].session
                && attached.contains(&Variant::host_name(host))
            {
                self.tell_variant(host, session);
            }
        }
    }

    fn tell_variant(&mut self, host: usize, session: u64) {
        let variant = self.variants.len() - 1;
        self.over(
            Link::ToAgent(session),
            Duration::ZERO,
            Next::Variant {
                host,
                session,
                variant,
            },
        );
    }

    fn nis_event(&mut self, event: Event) {
        for effect in self.nis.handle(self.now, event) {
            match effect {
                Effect::Send(session, message) => {
                    let Some(&host) = self.sessions.get(&session) else {
                        continue;
                    };
                    let configures =
                        matches!(message.message, Some(nis_message::Message::Configure(_)));
                    let next = Next::ToAgent {
                        host,
                        session,
                        message,
                    };
                    self.over(Link::ToAgent(session), Duration::ZERO, next);
                    if configures {
                        self.tell_variant(host, session);
                    }
                }
                Effect::Close(session, refusal) => {
                    let Some(&host) = self.sessions.get(&session) else {
                        continue;
                    };
                    let replaced =
                        matches!(refusal, flownic_services::nis::error::Refusal::Replaced(_));
                    assert!(replaced, "no agent did anything wrong: {refusal}");
                    self.over(
                        Link::ToAgent(session),
                        Duration::ZERO,
                        Next::Ended { host, session },
                    );
                }
                Effect::Confirmed { .. } => {}
            }
        }
    }

    fn agent_message(&mut self, host: usize, session: u64, message: v1::NisMessage) {
        match message.message.unwrap() {
            nis_message::Message::Configure(configure) => {
                let id = configure.id;
                self.nics[host].configure(configure);
                let ack = agent_message::Message::Ack(v1::Ack {
                    id,
                    error: String::new(),
                });
                self.tell_nis(session, Duration::ZERO, ack);
            }
            nis_message::Message::PuntReply(reply) => {
                self.nics[host].answered(&reply);
                self.totals.dropped += u64::from(!reply.drop_reason.is_empty());
                self.nics[host].install(reply.entries);
                self.hand_out(host, reply.packets);
            }
            nis_message::Message::Deliver(deliver) => self.deliver(host, session, deliver),
        }
    }

    fn deliver(&mut self, host: usize, session: u64, deliver: v1::Deliver) {
        let mut ack = v1::Ack {
            id: deliver.id,
            error: String::new(),
        };
        let mut extra = Duration::ZERO;
        if self.random.chance(self.faults.ack) {
            self.totals.failed_deliveries += 1;
            match self.random.below(3) {
                0 => {
                    ack.error = "table full".to_owned();
                    return self.tell_nis(session, extra, agent_message::Message::Ack(ack));
                }
                1 => extra = Duration::from_millis(700),
                _ => ack.id = 0,
            }
        }
        self.nics[host].install(deliver.entries);
        self.hand_out(host, deliver.packets);
        if ack.id == 0 {
            return;
        }
        let message = v1::AgentMessage {
            message: Some(agent_message::Message::Ack(ack)),
        };
        if extra.is_zero() {
            self.over(
                Link::FromAgent(session),
                extra,
                Next::ToNis(session, message),
            );
        } else {
            // Late by itself, not with everything behind it.
            self.after(extra, Next::ToNis(session, message));
        }
    }

    fn hand_out(&mut self, host: usize, packets: Vec<v1::PacketOut>) {
        for packet in packets {
            let number = networks::number(&packet.frame) as usize;
            let sent = &self.packets[number];
            let (session, punt) = sent
                .punted
                .expect("only punted packets come from the service");
            let last = self.order.entry((session, sent.flow)).or_default();
            assert!(*last < punt, "overtaken: {sent:?}");
            *last = punt;
            self.totals.delivered_by_service += 1;
            self.receive(host, packet.port, &packet.frame);
        }
    }

    fn send(&mut self, flow: Flow) {
        let number = self.packets.len() as u64;
        let newest = self.variants.last().unwrap();
        let host = newest.place[flow.network][flow.src];
        let variant = self.nics[host].variant;
        self.packets.push(Packet {
            flow,
            variant,
            punted: None,
            delivered: false,
        });
        self.started.insert(flow);
        self.totals.sent += 1;
        let port = networks::port(flow.network, flow.src);
        let way = self.nics[host].take_from_vf(port, networks::frame(&flow, number));
        self.go(host, way);
    }

    fn go(&mut self, host: usize, way: Way) {
        match way {
            Way::Drop => self.totals.dropped += 1,
            Way::ToVf(port, frame) => {
                self.totals.delivered_by_nics += 1;
                self.receive(host, port, &frame);
            }
            Way::ToHost(vtep, vni, frame) => {
                let to = (0..HOSTS)
                    .find(|&host| networks::vtep(host) == vtep)
                    .unwrap();
                let next = Next::Underlay {
                    host: to,
                    source: host,
                    vni,
                    frame,
                };
                self.over(Link::Underlay(host, to), Duration::ZERO, next);
            }
            Way::Punt(packet) => self.punt(host, packet),
        }
    }

    fn punt(&mut self, host: usize, packet: v1::PuntedPacket) {
        self.totals.stale += u64::from(packet.reason() == v1::PuntReason::Stale);
        let Some(session) = self.nics[host].session else {
            self.totals.lost += 1;
            return;
        };
        let id = self.nics[host].punt();
        self.packets[networks::number(&packet.frame) as usize].punted = Some((session, id));
        let punt = agent_message::Message::Punt(v1::Punt {
            id,
            packet: Some(packet),
        });
        self.tell_nis(session, Duration::ZERO, punt);
    }

    /// A VM gets a frame: the checks of safety.
    fn receive(&mut self, host: usize, port: u32, frame: &[u8]) {
        let number = networks::number(frame) as usize;
        let oldest = self.packets[number].variant.min(self.nics[host].variant);
        let packet = &mut self.packets[number];
        let flow = packet.flow;
        assert!(!packet.delivered, "delivered twice: {packet:?}");
        packet.delivered = true;

        let mut possible = self.variants[oldest..].iter();
        assert_eq!(
            port,
            networks::port(flow.network, flow.dst),
            "to a stranger: {packet:?}"
        );
        assert!(
            possible.any(|variant| variant.place[flow.network][flow.dst] == host),
            "to a host where the receiver was not: {packet:?}"
        );
        let asked = self.started.contains(&flow.reverse());
        let mut possible = self.variants[oldest..].iter();
        assert!(
            possible.any(|variant| {
                variant.allows(&flow) || (asked && variant.allows(&flow.reverse()))
            }),
            "forbidden: {packet:?}, configurations from {oldest} of {}",
            self.variants.len()
        );
        assert_eq!(
            frame[..6],
            networks::mac(flow.dst).0,
            "not for the receiver's MAC"
        );

        if flow.dst_port < 1024 && self.random.chance(500) {
            let pause = Duration::from_micros(self.random.below(5_000));
            self.after(pause, Next::Send(flow.reverse()));
        }
    }

    /// R1.9: connections that the NICs know and that were never forbidden live on, whatever
    /// happened to the service: the one who was asked speaks first, and no rule lets him start.
    fn check_established_replies(&mut self) {
        let newest = self.variants.last().unwrap().clone();
        let replies: Vec<Flow> = self
            .started
            .iter()
            .filter(|flow| self.variants.iter().all(|variant| variant.allows(flow)))
            .filter(|flow| self.is_held_by_both_ends(flow, &newest))
            .map(|flow| flow.reverse())
            .collect();
        self.totals.replies_restored += replies.len() as u64;
        self.check_delivered(&replies, "an established connection broke");
    }

    fn is_held_by_both_ends(&self, flow: &Flow, newest: &Variant) -> bool {
        let tuple_of = |entry: &v1::FlowEntry| {
            let key = entry.key.as_ref().unwrap();
            (
                key.vni,
                key.src.clone(),
                key.dst.clone(),
                key.src_port,
                key.dst_port,
            )
        };
        let allows =
            |entry: &v1::FlowEntry| !matches!(entry.action, Some(v1::flow_entry::Action::Deny(_)));
        let wanted = (
            networks::vni(flow.network),
            networks::address(flow.src).octets().to_vec(),
            networks::address(flow.dst).octets().to_vec(),
            u32::from(flow.src_port),
            u32::from(flow.dst_port),
        );
        [flow.src, flow.dst].iter().all(|&vnic| {
            let nic = &self.nics[newest.place[flow.network][vnic]];
            nic.entries()
                .iter()
                .any(|entry| tuple_of(entry) == wanted && allows(entry))
        })
    }

    fn check_everything_allowed_passes(&mut self) {
        let newest = self.variants.last().unwrap().clone();
        let started: Vec<Flow> = self.started.iter().copied().collect();
        let (allowed, others): (Vec<Flow>, Vec<Flow>) =
            started.into_iter().partition(|flow| newest.allows(flow));
        self.check_delivered(&allowed, "an allowed flow does not pass");
        // And nothing of what no rule allows, in either direction.
        for flow in others
            .into_iter()
            .filter(|flow| !newest.allows(&flow.reverse()))
        {
            let number = self.packets.len();
            self.send(flow);
            self.run_until_quiet();
            assert!(!self.packets[number].delivered, "forbidden: {flow:?}");
        }
    }

    fn check_delivered(&mut self, flows: &[Flow], failure: &str) {
        for flow in flows {
            let number = self.packets.len();
            self.send(*flow);
            self.run_until_quiet();
            assert!(self.packets[number].delivered, "{failure}: {flow:?}");
        }
    }
}

fn random_variant(random: &mut Random) -> Variant {
    let mut variant = Variant {
        allowed: [[false; SERVICES]; NETWORKS],
        place: [[0; VNICS]; NETWORKS],
    };
    for network in 0..NETWORKS {
        for service in 0..SERVICES {
            variant.allowed[network][service] = random.chance(600);
        }
        for vnic in 0..VNICS {
            variant.place[network][vnic] = random.index(HOSTS);
        }
    }
    variant
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }

    /// True in `chance` of a thousand.
    fn chance(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}
