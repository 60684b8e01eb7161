//! A state machine with a NIC in memory, driven step by step.

use std::sync::Arc;
use std::time::Duration;

use flownic_agent::state::{Input, Operation, Outgoing, Settings, State};
use flownic_agent::tables::Tables;
use flownic_agent::tables::packet_io::PuntHeader;
use flownic_api::v1;
use flownic_api::v1::agent_message::Message as ToService;
use flownic_api::v1::nis_message::Message;
use flownic_pipeline::entity::{Entity, Update};

use super::messages::{HOST, message};
use super::store::Store;
use super::{p4info, tables};

pub struct Bench {
    pub state: State,
    pub tables: Arc<Tables>,
    pub store: Store,
    pub now: Duration,
    /// Frames that left the NIC.
    pub sent: Vec<Outgoing>,
    /// Sizes of the batches that were written.
    pub batches: Vec<usize>,
    /// What was written, in order.
    pub written: Vec<Update>,
}

/// A bench whose NIC is open and empty, and whose service is connected and greeted.
pub fn bench() -> Bench {
    let mut bench = Bench::new(Settings::new(HOST), Store::new(p4info()));
    bench.connect(1);
    assert!(matches!(bench.messages()[..], [ToService::Hello(_)]));
    bench
}

/// [`bench`] with the two tenants of [`super::messages::two_tenants`].
pub fn configured() -> Bench {
    let mut bench = bench();
    bench.configure(super::messages::two_tenants(1));
    bench.notices();
    bench
}

impl Bench {
    pub fn new(settings: Settings, store: Store) -> Bench {
        let tables = tables();
        let state = State::new(settings, Arc::clone(&tables)).expect("all reasons are there");
        let mut bench = Bench {
            state,
            tables,
            store,
            now: Duration::ZERO,
            sent: Vec::new(),
            batches: Vec::new(),
            written: Vec::new(),
        };
        bench.nic_up();
        bench
    }

    pub fn nic_up(&mut self) {
        let contents = Box::new(self.store.contents());
        let tables = Arc::clone(&self.tables);
        self.input(Input::NicUp(tables, contents));
        self.run();
    }

    pub fn connect(&mut self, number: u64) {
        self.input(Input::ServiceUp(number));
        self.input(Input::ServiceReady);
    }

    pub fn input(&mut self, input: Input) {
        self.state.handle(self.now, input);
    }

    pub fn advance(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.input(Input::Tick);
    }

    pub fn say(&mut self, what: Message) {
        self.input(Input::Message(message(what)));
    }

    pub fn configure(&mut self, configure: v1::Configure) {
        let id = configure.id;
        self.say(Message::Configure(configure));
        self.run();
        let acks = self.messages();
        assert!(
            matches!(&acks[..], [ToService::Ack(ack)] if ack.id == id && ack.error.is_empty()),
            "{acks:?}"
        );
    }

    pub fn punt(&mut self, header: &PuntHeader, frame: Vec<u8>) {
        let metadata = self.tables.packet_io.encode_in(header);
        self.input(Input::Punted { metadata, frame });
    }

    /// Carries one operation out; false when there is none.
    pub fn step(&mut self) -> bool {
        let Some(operation) = self.state.next_operation(self.now) else {
            return false;
        };
        let done = match operation {
            Operation::Write { updates, .. } => {
                self.batches.push(updates.len());
                self.written.extend(updates.iter().cloned());
                let results = updates.iter().map(|update| self.store.apply(update));
                Input::Written(results.collect())
            }
            Operation::Send(packets) => {
                self.sent.extend(packets);
                Input::Sent { failed: 0 }
            }
        };
        self.input(done);
        true
    }

    pub fn run(&mut self) {
        while self.step() {}
    }

    pub fn messages(&mut self) -> Vec<ToService> {
        let messages = std::iter::from_fn(|| self.state.next_to_service(self.now));
        messages.filter_map(|message| message.message).collect()
    }

    pub fn notices(&mut self) -> Vec<String> {
        let notices = std::iter::from_fn(|| self.state.next_notice());
        notices.map(|(notice, _)| notice.to_string()).collect()
    }

    /// The id of the one punt that goes to the service now.
    pub fn punted_id(&mut self) -> u64 {
        match &self.messages()[..] {
            [ToService::Punt(punt)] => punt.id,
            other => panic!("one punt expected: {other:?}"),
        }
    }

    pub fn drops(&self) -> Vec<(String, u16, u64)> {
        let drops = self.state.drops();
        drops
            .map(|(name, port, data)| (name.to_owned(), port, data.packets))
            .collect()
    }
}

/// Name of the table of each update, or "versions".
pub fn tables_of(updates: &[Update]) -> Vec<String> {
    let name = |update: &Update| match &update.entity {
        Entity::TableEntry(entry) => {
            let kind = format!("{:?}", update.kind).to_lowercase();
            let p4info = p4info();
            let table = p4info.table_by_id(entry.table).expect("known");
            format!("{kind} {}", table.preamble.alias)
        }
        _ => "versions".into(),
    };
    let mut names: Vec<String> = updates.iter().map(name).collect();
    names.dedup();
    names
}
