//! A P4Runtime target made of maps: tables, counters, registers, arbitration, a looped-back CPU
//! port. It works on messages only and shares no conversion with the driver that it tests.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use flownic_api::google::rpc;
use flownic_api::p4::v1::entity::Entity as Kind;
use flownic_api::p4::v1::field_match::FieldMatchType;
use flownic_api::p4::v1::get_forwarding_pipeline_config_request::ResponseType;
use flownic_api::p4::v1::p4_runtime_server::{P4Runtime, P4RuntimeServer};
use flownic_api::p4::v1::update::Type;
use flownic_api::p4::v1::write_request::Atomicity;
use flownic_api::p4::v1::*;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};

/// How a target differs from an obedient one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    /// Registers can be read and written.
    pub registers: bool,
    /// Batches can be atomic.
    pub atomic: bool,
    /// Byte strings are sent with leading zeros, keys in reverse order.
    pub padded: bool,
    /// Calls other than the stream are never answered.
    pub silent: bool,
    /// The stream never says who is the primary controller.
    pub undecided: bool,
    /// Reads answer with something else.
    pub confused: bool,
    /// Failed batches have one result too few.
    pub short_details: bool,
    /// Failed batches have no results.
    pub no_details: bool,
}

type Reply = Result<StreamMessageResponse, Status>;

struct Controller {
    election_id: (u64, u64),
    stream: mpsc::UnboundedSender<Reply>,
}

#[derive(Default)]
struct State {
    habits: Habits,
    config: Option<ForwardingPipelineConfig>,
    entries: BTreeMap<Vec<u8>, TableEntry>,
    counters: HashMap<(u32, i64), CounterData>,
    registers: HashMap<(u32, i64), P4Data>,
    controllers: Vec<Controller>,
    largest_batch: usize,
    loads: usize,
}

/// A running target. It is gone, with all its connections, when this is dropped.
pub struct Target {
    state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
    port: u16,
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Target {
    pub fn start(habits: Habits) -> Target {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let state = Arc::new(Mutex::new(State {
            habits,
            ..Default::default()
        }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = P4RuntimeServer::new(Service(Arc::clone(&state)));
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let server = tonic::transport::Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
        });
        Target {
            state,
            runtime: Some(runtime),
            port,
        }
    }

    pub fn address(&self) -> String {
        format!(
            "p4runtime:127.0.0.1:{}?device-id=7&deadline-ms=5000",
            self.port
        )
    }

    /// Address with a short deadline, for calls that must run into it.
    pub fn impatient_address(&self) -> String {
        format!(
            "p4runtime:127.0.0.1:{}?device-id=7&deadline-ms=1000",
            self.port
        )
    }

    pub fn set_habits(&self, habits: Habits) {
        self.state.lock().unwrap().habits = habits;
    }

    pub fn set_counter(&self, counter: u32, index: i64, packets: i64, bytes: i64) {
        let data = CounterData {
            byte_count: bytes,
            packet_count: packets,
        };
        let mut state = self.state.lock().unwrap();
        state.counters.insert((counter, index), data);
    }

    pub fn entries(&self) -> usize {
        self.state.lock().unwrap().entries.len()
    }

    pub fn loads(&self) -> usize {
        self.state.lock().unwrap().loads
    }

    pub fn largest_batch(&self) -> usize {
        self.state.lock().unwrap().largest_batch
    }

    /// Sends a message to the primary controller.
    pub fn push(&self, update: stream_message_response::Update) {
        let state = self.state.lock().unwrap();
        let primary = state.controllers.iter().max_by_key(|c| c.election_id);
        let _ = primary.unwrap().stream.send(Ok(StreamMessageResponse {
            update: Some(update),
        }));
    }
}

struct Service(Arc<Mutex<State>>);

impl Service {
    /// The state, unless the target is silent.
    async fn answer(&self) -> MutexGuard<'_, State> {
        let silent = self.0.lock().unwrap().habits.silent;
        if silent {
            pending::<()>().await;
        }
        self.0.lock().unwrap()
    }
}

fn id(id: &Option<Uint128>) -> (u64, u64) {
    id.as_ref().map_or((0, 0), |id| (id.high, id.low))
}

fn refusal(code: Code, message: &str) -> Error {
    Error {
        canonical_code: code as i32,
        message: message.to_owned(),
        space: "fake".to_owned(),
        ..Default::default()
    }
}

impl State {
    fn primary(&self) -> Option<(u64, u64)> {
        self.controllers.iter().map(|c| c.election_id).max()
    }

    fn check_primary(&self, election_id: &Option<Uint128>) -> Result<(), Status> {
        if self.primary() == Some(id(election_id)) {
            return Ok(());
        }
        Err(Status::permission_denied("Not primary"))
    }

    fn tell_all(&self) {
        if self.habits.undecided {
            return;
        }
        let Some(primary) = self.primary() else {
            return;
        };
        for controller in &self.controllers {
            let first = controller.election_id == primary;
            let code = if first { Code::Ok } else { Code::AlreadyExists };
            let arbitration = MasterArbitrationUpdate {
                device_id: 7,
                election_id: Some(Uint128 {
                    high: primary.0,
                    low: primary.1,
                }),
                status: Some(rpc::Status {
                    code: code as i32,
                    ..Default::default()
                }),
                ..Default::default()
            };
            let update = Some(stream_message_response::Update::Arbitration(arbitration));
            let _ = controller.stream.send(Ok(StreamMessageResponse { update }));
        }
    }

    fn table(&self, id: u32) -> Option<&flownic_api::p4::config::v1::Table> {
        let p4info = self.config.as_ref()?.p4info.as_ref()?;
        let mut tables = p4info.tables.iter();
        tables.find(|table| table.preamble.as_ref().is_some_and(|p| p.id == id))
    }

    fn apply(&mut self, update: &Update) -> Result<(), Error> {
        let kind = update.entity.as_ref().and_then(|e| e.entity.as_ref());
        match kind {
            Some(Kind::TableEntry(entry)) => self.apply_entry(update.r#type(), entry),
            Some(Kind::RegisterEntry(_)) if !self.habits.registers => {
                Err(refusal(Code::Unimplemented, "no registers here"))
            }
            Some(Kind::RegisterEntry(entry)) => {
                let index = entry.index.unwrap_or_default().index;
                let data = entry.data.clone().unwrap_or_default();
                self.registers.insert((entry.register_id, index), data);
                Ok(())
            }
            Some(Kind::CounterEntry(entry)) => {
                let index = entry.index.unwrap_or_default().index;
                let data = entry.data.unwrap_or_default();
                self.counters.insert((entry.counter_id, index), data);
                Ok(())
            }
            _ => Err(refusal(Code::Unimplemented, "what is that?")),
        }
    }

    fn apply_entry(&mut self, kind: Type, entry: &TableEntry) -> Result<(), Error> {
        let Some(table) = self.table(entry.table_id) else {
            return Err(refusal(Code::NotFound, "no such table"));
        };
        for matching in &entry.r#match {
            let mut fields = table.match_fields.iter();
            let field = fields.find(|field| field.id == matching.field_id);
            let field = field.ok_or_else(|| refusal(Code::InvalidArgument, "no such field"))?;
            let wide =
                |value: &[u8]| value.len() * 8 > (field.bitwidth as usize).next_multiple_of(8);
            if let Some(FieldMatchType::Exact(exact)) = &matching.field_match_type
                && (wide(&exact.value) || exact.value.is_empty())
            {
                return Err(refusal(Code::InvalidArgument, "the value does not fit"));
            }
        }
        let size = table.size as usize;
        let full = self.count(entry.table_id) >= size;
        let key = key(entry);
        let there = self.entries.contains_key(&key);
        match kind {
            Type::Insert if there => Err(refusal(Code::AlreadyExists, "it is there")),
            Type::Insert if full => Err(refusal(Code::ResourceExhausted, "full")),
            Type::Modify if entry.is_default_action => {
                self.entries.insert(key, entry.clone());
                Ok(())
            }
            Type::Modify | Type::Delete if !there => Err(refusal(Code::NotFound, "not there")),
            Type::Insert | Type::Modify => {
                self.entries.insert(key, entry.clone());
                Ok(())
            }
            Type::Delete => {
                self.entries.remove(&key);
                Ok(())
            }
            Type::Unspecified => Err(refusal(Code::InvalidArgument, "no type")),
        }
    }

    fn count(&self, table: u32) -> usize {
        let of_table = |entry: &&TableEntry| entry.table_id == table && !entry.is_default_action;
        self.entries.values().filter(of_table).count()
    }

    fn read(&self, wanted: &Entity) -> Result<Vec<Kind>, Status> {
        if self.habits.confused {
            return Ok(vec![Kind::CounterEntry(CounterEntry::default())]);
        }
        match wanted.entity.as_ref() {
            Some(Kind::TableEntry(wanted)) => {
                if self.table(wanted.table_id).is_none() {
                    return Err(Status::not_found("no such table"));
                }
                let found = self.entries.values().filter(|entry| {
                    entry.table_id == wanted.table_id
                        && entry.is_default_action == wanted.is_default_action
                });
                Ok(found
                    .map(|entry| Kind::TableEntry(self.show(entry, wanted)))
                    .collect())
            }
            Some(Kind::RegisterEntry(_)) if !self.habits.registers => {
                Err(Status::unimplemented("no registers here"))
            }
            Some(Kind::RegisterEntry(wanted)) => {
                let index = wanted.index.unwrap_or_default();
                let zero = P4Data {
                    data: Some(p4_data::Data::Bitstring(vec![0])),
                };
                let data = self.registers.get(&(wanted.register_id, index.index));
                Ok(vec![Kind::RegisterEntry(RegisterEntry {
                    register_id: wanted.register_id,
                    index: Some(index),
                    data: Some(data.cloned().unwrap_or(zero)),
                })])
            }
            Some(Kind::CounterEntry(wanted)) => {
                let index = wanted.index.unwrap_or_default();
                let data = self.counters.get(&(wanted.counter_id, index.index));
                Ok(vec![Kind::CounterEntry(CounterEntry {
                    counter_id: wanted.counter_id,
                    index: Some(index),
                    data: Some(data.copied().unwrap_or_default()),
                })])
            }
            _ => Err(Status::unimplemented("what is that?")),
        }
    }

    fn show(&self, entry: &TableEntry, wanted: &TableEntry) -> TableEntry {
        let mut entry = entry.clone();
        entry.counter_data = wanted.counter_data.map(|_| CounterData {
            byte_count: 640,
            packet_count: 10,
        });
        if self.habits.padded {
            entry.r#match.reverse();
            for matching in &mut entry.r#match {
                if let Some(FieldMatchType::Exact(exact)) = &mut matching.field_match_type {
                    exact.value.splice(0..0, [0, 0]);
                }
            }
            let action = entry
                .action
                .as_mut()
                .and_then(|action| action.r#type.as_mut());
            if let Some(table_action::Type::Action(action)) = action {
                action.params.reverse();
                for param in &mut action.params {
                    param.value.splice(0..0, [0]);
                }
            }
        }
        entry
    }

    fn leave(&mut self, election_id: (u64, u64)) {
        self.controllers.retain(|c| c.election_id != election_id);
        self.tell_all();
    }
}

fn key(entry: &TableEntry) -> Vec<u8> {
    let mut key = TableEntry {
        table_id: entry.table_id,
        r#match: entry.r#match.clone(),
        priority: entry.priority,
        is_default_action: entry.is_default_action,
        ..Default::default()
    };
    key.r#match.sort_by_key(|matching| matching.field_id);
    key.encode_to_vec()
}

fn batch_status(results: &[Result<(), Error>], habits: Habits) -> Status {
    let mut details: Vec<_> = results
        .iter()
        .map(|result| prost_types::Any {
            type_url: "type.googleapis.com/p4.v1.Error".to_owned(),
            value: result.clone().err().unwrap_or_default().encode_to_vec(),
        })
        .collect();
    if habits.short_details {
        details.pop();
    }
    if habits.no_details {
        return Status::invalid_argument("something of it is wrong");
    }
    let status = rpc::Status {
        code: Code::Unknown as i32,
        message: String::new(),
        details,
    };
    Status::with_details(Code::Unknown, "", status.encode_to_vec().into())
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl P4Runtime for Service {
    type ReadStream = Answers<ReadResponse>;
    type StreamChannelStream = UnboundedReceiverStream<Reply>;

    async fn write(
        &self,
        request: Request<WriteRequest>,
    ) -> Result<Response<WriteResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.answer().await;
        assert_eq!(request.device_id, 7);
        state.check_primary(&request.election_id)?;
        let atomic = request.atomicity() != Atomicity::ContinueOnError;
        if atomic && !state.habits.atomic {
            return Err(Status::unimplemented("no atomic batches here"));
        }
        state.largest_batch = state.largest_batch.max(request.updates.len());
        let before = state.entries.clone();
        let results: Vec<_> = request.updates.iter().map(|u| state.apply(u)).collect();
        if results.iter().all(Result::is_ok) {
            return Ok(Response::new(WriteResponse {}));
        }
        if atomic {
            state.entries = before;
        }
        Err(batch_status(&results, state.habits))
    }

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let state = self.answer().await;
        let mut found = Vec::new();
        for wanted in &request.get_ref().entities {
            found.extend(state.read(wanted)?);
        }
        // Two entities in a message: readers must not rely on one message.
        let messages: Vec<_> = found
            .chunks(2)
            .map(|kinds| {
                let kinds = kinds.iter().cloned();
                let entities = kinds.map(|kind| Entity { entity: Some(kind) });
                Ok(ReadResponse {
                    entities: entities.collect(),
                })
            })
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn set_forwarding_pipeline_config(
        &self,
        request: Request<SetForwardingPipelineConfigRequest>,
    ) -> Result<Response<SetForwardingPipelineConfigResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.answer().await;
        state.check_primary(&request.election_id)?;
        let config = request.config.unwrap_or_default();
        if config.p4_device_config.is_empty() {
            return Err(Status::invalid_argument("an empty program"));
        }
        state.loads += 1;
        state.entries.clear();
        state.config = Some(config);
        Ok(Response::new(SetForwardingPipelineConfigResponse {}))
    }

    async fn get_forwarding_pipeline_config(
        &self,
        request: Request<GetForwardingPipelineConfigRequest>,
    ) -> Result<Response<GetForwardingPipelineConfigResponse>, Status> {
        let state = self.answer().await;
        let Some(mut config) = state.config.clone() else {
            return Err(Status::failed_precondition(
                "No forwarding pipeline config set for this device",
            ));
        };
        match request.get_ref().response_type() {
            ResponseType::CookieOnly => {
                config.p4info = None;
                config.p4_device_config.clear();
            }
            ResponseType::P4infoAndCookie => config.p4_device_config.clear(),
            ResponseType::DeviceConfigAndCookie => config.p4info = None,
            ResponseType::All => {}
        }
        Ok(Response::new(GetForwardingPipelineConfigResponse {
            config: Some(config),
        }))
    }

    async fn stream_channel(
        &self,
        request: Request<Streaming<StreamMessageRequest>>,
    ) -> Result<Response<Self::StreamChannelStream>, Status> {
        let (stream, answers) = mpsc::unbounded_channel();
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut requests = request.into_inner();
            let mut me = None;
            while let Some(Ok(request)) = requests.next().await {
                handle(&state, &stream, &mut me, request);
            }
            if let Some(me) = me {
                state.lock().unwrap().leave(me);
            }
        });
        Ok(Response::new(UnboundedReceiverStream::new(answers)))
    }

    async fn capabilities(
        &self,
        _: Request<CapabilitiesRequest>,
    ) -> Result<Response<CapabilitiesResponse>, Status> {
        drop(self.answer().await);
        Ok(Response::new(CapabilitiesResponse {
            p4runtime_api_version: "1.4.1".to_owned(),
            experimental: None,
        }))
    }
}

fn handle(
    state: &Mutex<State>,
    stream: &mpsc::UnboundedSender<Reply>,
    me: &mut Option<(u64, u64)>,
    request: StreamMessageRequest,
) {
    let mut state = state.lock().unwrap();
    match request.update {
        Some(stream_message_request::Update::Arbitration(update)) => {
            let election_id = id(&update.election_id);
            let taken = state
                .controllers
                .iter()
                .any(|c| c.election_id == election_id);
            if taken {
                let refused = Status::invalid_argument("Election id already exists");
                let _ = stream.send(Err(refused));
                return;
            }
            *me = Some(election_id);
            state.controllers.push(Controller {
                election_id,
                stream: stream.clone(),
            });
            state.tell_all();
        }
        Some(stream_message_request::Update::Packet(packet)) => {
            let update = if packet.payload == b"refuse me" {
                stream_message_response::Update::Error(StreamError {
                    canonical_code: Code::InvalidArgument as i32,
                    message: "as you wish".to_owned(),
                    ..Default::default()
                })
            } else {
                stream_message_response::Update::Packet(PacketIn {
                    payload: packet.payload,
                    metadata: packet.metadata,
                })
            };
            let _ = stream.send(Ok(StreamMessageResponse {
                update: Some(update),
            }));
        }
        _ => {}
    }
}
