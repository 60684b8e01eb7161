//! Two tenants with the same addresses on two hosts; frames of their VMs.
//!
//! ```text
//!            host-a                        host-b
//!   blue     a 10.0.0.10  VF 0             b 10.0.0.20  VF 0
//!            d 10.0.0.40  VF 1             c 10.0.1.30  VF 1, other subnet
//!   red      a 10.0.0.10  VF 8             b 10.0.0.20  VF 8
//! ```
//!
//! Blue's VMs take UDP to port 53 and ICMP, red's take nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use flownic_api::v1::{self, agent_message, nis_message};
use flownic_services::nis::configuration::{self, Configuration, Plan};
use flownic_services::nis::error::Refusal;
use flownic_services::nis::events::{Effect, Event, Limits, Nis, Session};
use flownic_store::Memory;
use flownic_wire::{MacAddr, ethernet, ipv4, protocol};

pub const TOML: &str = r#"
[[host]]
name = "host-a"
vtep = "192.0.2.1"
mac = "02:00:00:00:01:00"
mtu = 1600

[[host]]
name = "host-b"
vtep = "192.0.2.2"
mac = "02:00:00:00:02:00"
mtu = 1600

[[network]]
tenant = "blue"
name = "blue"
vni = 100
tunnel = "geneve"
mtu = 1450
subnet = [
  { name = "front", ipv4 = "10.0.0.0/24", ipv6 = "fd00:0:0:1::/64", gateway = ["10.0.0.1", "fd00:0:0:1::1"], gateway_mac = "02:00:5e:00:00:01" },
  { name = "back", ipv4 = "10.0.1.0/24", gateway = ["10.0.1.1"], gateway_mac = "02:00:5e:00:00:02" },
]
vnic = [
  { name = "a", host = "host-a", vf = 0, mac = "02:00:00:00:00:0a", addresses = ["10.0.0.10", "fd00:0:0:1::a"], groups = ["all"] },
  { name = "b", host = "host-b", vf = 0, mac = "02:00:00:00:00:14", addresses = ["10.0.0.20", "fd00:0:0:1::14"], groups = ["all"] },
  { name = "c", host = "host-b", vf = 1, mac = "02:00:00:00:00:1e", addresses = ["10.0.1.30"], groups = ["all"] },
  { name = "d", host = "host-a", vf = 1, mac = "02:00:00:00:00:28", addresses = ["10.0.0.40"], groups = ["all"] },
]

  [[network.group]]
  name = "all"
  rule = [
    { direction = "egress", action = "allow", protocol = "any", remote = "any" },
    { direction = "ingress", action = "allow", protocol = "udp", ports = "53", remote = "any" },
    { direction = "ingress", action = "allow", protocol = "icmp", remote = "any" },
  ]

[[network]]
tenant = "red"
name = "red"
vni = 200
tunnel = "vxlan"
mtu = 1450
subnet = [
  { name = "front", ipv4 = "10.0.0.0/24", gateway = ["10.0.0.1"], gateway_mac = "02:00:5e:00:00:01" },
]
vnic = [
  { name = "a", host = "host-a", vf = 8, mac = "02:00:00:00:00:0a", addresses = ["10.0.0.10"], groups = ["closed"] },
  { name = "b", host = "host-b", vf = 8, mac = "02:00:00:00:00:14", addresses = ["10.0.0.20"], groups = ["closed"] },
]

  [[network.group]]
  name = "closed"
  rule = [ { direction = "egress", action = "allow", protocol = "any", remote = "any" } ]
"#;

pub const GATEWAY_MAC: MacAddr = MacAddr([2, 0, 0x5e, 0, 0, 1]);
pub const BLUE_A: u32 = 16;
pub const BLUE_D: u32 = 17;
pub const RED_A: u32 = 24;

/// The MAC of a VM, by the last octet of its address.
pub fn mac(host: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host])
}

/// UDP from one VM to another in the front subnet, by the last octets of their addresses.
pub fn udp(src: u8, dst: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    for field in [ports.0, ports.1, 8 + payload.len() as u16, 0] {
        segment.extend(field.to_be_bytes());
    }
    segment.extend(payload);
    let to = (mac(dst), Ipv4Addr::new(10, 0, 0, dst));
    ip(src, to, protocol::UDP, 64, &segment)
}

/// An IPv4 packet from a VM of the front subnet.
pub fn ip(src: u8, to: (MacAddr, Ipv4Addr), protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet::emit(&mut frame, to.0, mac(src), ethernet::IPV4);
    let repr = ipv4::Repr {
        src: Ipv4Addr::new(10, 0, 0, src),
        dst: to.1,
        protocol,
        ttl,
        tos: 0,
        payload_len: payload.len() as u16,
    };
    ipv4::emit(&mut frame, &repr);
    frame.extend(payload);
    frame
}

/// A packet punted because of a miss, from a VF.
pub fn missed(port: u32, frame: Vec<u8>) -> v1::PuntedPacket {
    v1::PuntedPacket {
        reason: v1::PuntReason::Miss.into(),
        direction: v1::Direction::Outbound.into(),
        attach: port,
        vni: if port < 24 { 100 } else { 200 },
        frame,
        ..Default::default()
    }
}

pub fn hello(host: &str) -> agent_message::Message {
    agent_message::Message::Hello(v1::Hello {
        host: host.to_owned(),
        ..Default::default()
    })
}

pub fn punt(id: u64, packet: v1::PuntedPacket) -> agent_message::Message {
    agent_message::Message::Punt(v1::Punt {
        id,
        packet: Some(packet),
    })
}

pub fn ack(id: u64, error: &str) -> agent_message::Message {
    agent_message::Message::Ack(v1::Ack {
        id,
        error: error.to_owned(),
    })
}

/// The state machine with its time.
pub struct Machine {
    pub store: Memory,
    pub nis: Nis,
    pub now: Duration,
}

impl Machine {
    pub fn new() -> Machine {
        Machine::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Machine {
        let store = Memory::new();
        let first = committed(&store, &Configuration::default(), TOML);
        Machine {
            store,
            nis: Nis::new(first, limits),
            now: Duration::from_secs(1000),
        }
    }

    /// With agents of both hosts on streams 1 and 2.
    pub fn attached() -> Machine {
        let mut machine = Machine::new();
        machine.attach(1, "host-a");
        machine.attach(2, "host-b");
        machine
    }

    /// Attaches an agent and takes its Configure.
    pub fn attach(&mut self, session: Session, host: &str) -> v1::Configure {
        assert_eq!(self.event(Event::Opened(session)), []);
        let effects = self.say(session, hello(host));
        match effects.into_iter().last() {
            Some(Effect::Send(to, message)) if to == session => match message.message {
                Some(nis_message::Message::Configure(configure)) => configure,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    pub fn event(&mut self, event: Event) -> Vec<Effect> {
        self.nis.handle(self.now, event)
    }

    pub fn say(&mut self, session: Session, message: agent_message::Message) -> Vec<Effect> {
        self.event(Event::Message(
            session,
            v1::AgentMessage {
                message: Some(message),
            },
        ))
    }

    /// Punts a packet that is answered at once; returns the answer.
    pub fn ask(&mut self, session: Session, id: u64, packet: v1::PuntedPacket) -> v1::PuntReply {
        let effects = self.say(session, punt(id, packet));
        assert_eq!(effects.len(), 1, "{effects:?}");
        let reply = reply(&effects[0], session);
        assert_eq!(reply.id, id);
        reply
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.event(Event::Tick)
    }

    /// Writes a configuration to the store and tells the state machine.
    pub fn apply(&mut self, toml: &str, ticket: u64) -> Vec<Effect> {
        let current = Arc::clone(self.nis.configuration());
        let configuration = committed(&self.store, &current, toml);
        self.event(Event::Commit {
            configuration,
            ticket,
        })
    }
}

fn committed(store: &Memory, current: &Configuration, toml: &str) -> Arc<Configuration> {
    let plan = Plan::new(current, "test.toml", toml).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(configuration::commit(store, current, plan).unwrap())
}

/// The PuntReply that an effect sends to `session`.
pub fn reply(effect: &Effect, session: Session) -> v1::PuntReply {
    match effect {
        Effect::Send(
            to,
            v1::NisMessage {
                message: Some(nis_message::Message::PuntReply(reply)),
            },
        ) if *to == session => reply.clone(),
        other => panic!("no PuntReply to {session}: {other:?}"),
    }
}

/// The Deliver that an effect sends to `session`.
pub fn deliver(effect: &Effect, session: Session) -> v1::Deliver {
    match effect {
        Effect::Send(
            to,
            v1::NisMessage {
                message: Some(nis_message::Message::Deliver(deliver)),
            },
        ) if *to == session => deliver.clone(),
        other => panic!("no Deliver to {session}: {other:?}"),
    }
}

/// The refusal that closes `session`, as text.
pub fn refusal(effect: &Effect, session: Session) -> (Refusal, String) {
    match effect {
        Effect::Close(closed, refusal) if *closed == session => {
            (refusal.clone(), refusal.to_string())
        }
        other => panic!("{session} is not closed: {other:?}"),
    }
}
