//! The session with a target: one connection, the stream on it, and whether we may write.
//!
//! A session ends once, for good: when the stream ends, or the connection. Whoever wants another
//! one opens the target again. The library below would connect again by itself, but a new
//! connection has no arbitration, and the target behind it may have forgotten everything.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flownic_api::p4::v1 as proto;
use flownic_api::p4::v1::p4_runtime_client::P4RuntimeClient;
use flownic_api::p4::v1::{stream_message_request, stream_message_response};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status, Streaming};

use super::address::Target;
use super::error::{P4RuntimeError, with_sources};

/// Packets from the target that wait for [`Session::receive`]; more are dropped and counted.
const PACKET_IN_QUEUE: usize = 1024;
/// Packets to the target that wait for the network.
const PACKET_OUT_QUEUE: usize = 256;
/// Largest answer that is accepted; targets may send a whole table in one message.
const LARGEST_ANSWER: usize = 256 << 20;
/// Largest trailer that is accepted: the results of a refused batch come in one.
const LARGEST_TRAILER: u32 = 4 << 20;

/// Where the session is in its life.
#[derive(Debug, Clone)]
enum State {
    /// The target has not yet said who is the primary controller.
    Waiting,
    /// This controller may write.
    Primary,
    /// Another one may.
    Backup { primary: String },
    /// It is over.
    Ended(P4RuntimeError),
}

/// Counted where the stream is read.
#[derive(Debug, Default)]
struct Counts {
    packets_dropped: AtomicU64,
    errors: AtomicU64,
}

/// A session with a target.
#[derive(Debug)]
pub(super) struct Session {
    target: Target,
    client: P4RuntimeClient<Channel>,
    requests: mpsc::Sender<proto::StreamMessageRequest>,
    packets: Mutex<mpsc::Receiver<proto::PacketIn>>,
    state: watch::Receiver<State>,
    counts: Arc<Counts>,
    reader: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Session {
    /// Connects and becomes the primary controller.
    pub(super) async fn open(target: Target) -> Result<Session, P4RuntimeError> {
        let client = connect(&target).await?;
        let (requests, outgoing) = mpsc::channel(PACKET_OUT_QUEUE);
        let (packet_sender, packets) = mpsc::channel(PACKET_IN_QUEUE);
        let (state_sender, state) = watch::channel(State::Waiting);
        let counts = Arc::new(Counts::default());
        // Before the stream is opened: targets answer the opening with the first message.
        let first = stream_message_request::Update::Arbitration(arbitration(&target));
        send_to(&requests, first, target.deadline).await?;
        let reader = Reader {
            election_id: target.election_id,
            deadline: target.deadline,
            packets: packet_sender,
            state: state_sender,
            counts: Arc::clone(&counts),
        };
        let session = Session {
            reader: tokio::spawn(reader.run(client.clone(), ReceiverStream::new(outgoing))),
            target,
            client,
            requests,
            packets: Mutex::new(packets),
            state,
            counts,
        };
        session.wait_for_arbitration().await?;
        Ok(session)
    }

    async fn wait_for_arbitration(&self) -> Result<(), P4RuntimeError> {
        let mut state = self.state.clone();
        let decided = state.wait_for(|state| !matches!(state, State::Waiting));
        let decided = timeout(self.target.deadline, decided).await;
        let decided = match decided {
            Err(_) => {
                return Err(P4RuntimeError::Timeout {
                    what: "arbitration",
                    after: self.target.deadline,
                });
            }
            Ok(Err(_)) => return Err(self.ended()),
            Ok(Ok(state)) => state.clone(),
        };
        match decided {
            State::Ended(error) => Err(error),
            State::Backup { primary } => Err(P4RuntimeError::NotPrimary { primary }),
            State::Primary | State::Waiting => Ok(()),
        }
    }

    /// Where the session goes to.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Our election id, as messages have it.
    pub(super) fn election_id(&self) -> proto::Uint128 {
        uint128(self.target.election_id)
    }

    /// A client to make a call with.
    pub(super) fn client(&self) -> P4RuntimeClient<Channel> {
        self.client.clone()
    }

    /// Packets that were dropped here because nobody received them.
    pub(super) fn packets_dropped(&self) -> u64 {
        self.counts.packets_dropped.load(Ordering::Relaxed)
    }

    /// Requests on the stream that the target refused.
    pub(super) fn stream_errors(&self) -> u64 {
        self.counts.errors.load(Ordering::Relaxed)
    }

    /// Fails when the session has ended.
    pub(super) fn check(&self) -> Result<(), P4RuntimeError> {
        match &*self.state.borrow() {
            State::Ended(error) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Waits for the answer to a call, not longer than `after`.
    pub(super) async fn call<T>(
        &self,
        what: &'static str,
        after: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, P4RuntimeError> {
        self.try_call(what, after, call)
            .await?
            .map_err(|status| self.failure(what, &status))
    }

    /// As [`Session::call`], and leaves the status of a failed call to the caller.
    pub(super) async fn try_call<T>(
        &self,
        what: &'static str,
        after: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<Result<T, Status>, P4RuntimeError> {
        self.check()?;
        match timeout(after, call).await {
            Err(_) => Err(P4RuntimeError::Timeout { what, after }),
            Ok(result) => Ok(result.map(Response::into_inner)),
        }
    }

    /// What the status of a failed call means, now.
    pub(super) fn failure(&self, what: &'static str, status: &Status) -> P4RuntimeError {
        match P4RuntimeError::from_status(what, self.target.deadline, status) {
            P4RuntimeError::NotPrimary { primary } => match &*self.state.borrow() {
                State::Backup { primary } => P4RuntimeError::NotPrimary {
                    primary: primary.clone(),
                },
                _ => P4RuntimeError::NotPrimary { primary },
            },
            error => error,
        }
    }

    /// Sends a packet on the stream.
    pub(super) async fn send(&self, packet: proto::PacketOut) -> Result<(), P4RuntimeError> {
        self.check()?;
        if let State::Backup { primary } = &*self.state.borrow() {
            return Err(P4RuntimeError::NotPrimary {
                primary: primary.clone(),
            });
        }
        let update = stream_message_request::Update::Packet(packet);
        let sent = send_to(&self.requests, update, self.target.deadline).await;
        // An ended stream has closed the queue, and knows better why.
        sent.map_err(|error| self.check().err().unwrap_or(error))
    }

    /// The next packet of the stream. Cancel-safe: a packet is either returned or still there.
    pub(super) async fn receive(&self) -> Result<proto::PacketIn, P4RuntimeError> {
        let mut packets = self.packets.lock().await;
        packets.recv().await.ok_or_else(|| self.ended())
    }

    fn ended(&self) -> P4RuntimeError {
        self.check().err().unwrap_or_else(|| P4RuntimeError::Gone {
            reason: "the stream was not read any more".to_owned(),
        })
    }
}

async fn connect(target: &Target) -> Result<P4RuntimeClient<Channel>, P4RuntimeError> {
    let unreachable = |reason| P4RuntimeError::Unreachable {
        authority: target.authority.clone(),
        reason,
    };
    // HTTP/2 pings would find a silent peer sooner, but gRPC servers in their default settings
    // close connections that ping more than every five minutes. TCP does it unseen.
    let endpoint = Endpoint::from_shared(format!("http://{}", target.authority))
        .map_err(|error| unreachable(with_sources(&error)))?
        .connect_timeout(target.deadline)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(LARGEST_TRAILER);
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|error| unreachable(with_sources(&error)))?;
    Ok(P4RuntimeClient::new(channel).max_decoding_message_size(LARGEST_ANSWER))
}

async fn send_to(
    requests: &mpsc::Sender<proto::StreamMessageRequest>,
    update: stream_message_request::Update,
    after: Duration,
) -> Result<(), P4RuntimeError> {
    let request = proto::StreamMessageRequest {
        update: Some(update),
    };
    match timeout(after, requests.send(request)).await {
        Err(_) => Err(P4RuntimeError::Timeout {
            what: "a message on the stream",
            after,
        }),
        Ok(Err(_)) => Err(P4RuntimeError::Gone {
            reason: "the stream is closed".to_owned(),
        }),
        Ok(Ok(())) => Ok(()),
    }
}

fn arbitration(target: &Target) -> proto::MasterArbitrationUpdate {
    let role = (!target.role.is_empty()).then(|| proto::Role {
        name: target.role.clone(),
        ..Default::default()
    });
    proto::MasterArbitrationUpdate {
        device_id: target.device_id,
        role,
        election_id: Some(uint128(target.election_id)),
        status: None,
    }
}

fn uint128(number: u128) -> proto::Uint128 {
    proto::Uint128 {
        high: (number >> 64) as u64,
        low: number as u64,
    }
}

/// Reads the stream until it ends.
struct Reader {
    election_id: u128,
    deadline: Duration,
    packets: mpsc::Sender<proto::PacketIn>,
    state: watch::Sender<State>,
    counts: Arc<Counts>,
}

impl Reader {
    async fn run(
        self,
        mut client: P4RuntimeClient<Channel>,
        outgoing: ReceiverStream<proto::StreamMessageRequest>,
    ) {
        let end = match client.stream_channel(outgoing).await {
            Err(status) => Some(status),
            Ok(response) => self.read(response.into_inner()).await,
        };
        let error = self.reason(end);
        tracing::info!(%error, "the session with the P4Runtime target has ended");
        self.state.send_replace(State::Ended(error));
    }

    async fn read(&self, mut incoming: Streaming<proto::StreamMessageResponse>) -> Option<Status> {
        loop {
            match incoming.message().await {
                Ok(Some(response)) => self.handle(response),
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }

    fn reason(&self, end: Option<Status>) -> P4RuntimeError {
        let Some(status) = end else {
            return P4RuntimeError::Gone {
                reason: "the target closed the stream".to_owned(),
            };
        };
        let waiting = matches!(&*self.state.borrow(), State::Waiting);
        if !waiting {
            return P4RuntimeError::Gone {
                reason: with_sources(&status),
            };
        }
        let election = status.message().to_lowercase().contains("election");
        match status.code() {
            Code::InvalidArgument | Code::AlreadyExists if election => P4RuntimeError::ElectionId {
                election_id: self.election_id,
                message: status.message().to_owned(),
            },
            _ => P4RuntimeError::from_status("arbitration", self.deadline, &status),
        }
    }

    fn handle(&self, response: proto::StreamMessageResponse) {
        use stream_message_response::Update;
        match response.update {
            Some(Update::Arbitration(update)) => self.arbitrate(update),
            Some(Update::Packet(packet)) => {
                if self.packets.try_send(packet).is_err() {
                    self.counts.packets_dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Some(Update::Error(error)) => {
                self.counts.errors.fetch_add(1, Ordering::Relaxed);
                let (code, message) = (error.canonical_code, error.message);
                tracing::warn!(code, message, "the target refused a message of the stream");
            }
            // Never asked for, so nothing is lost.
            Some(Update::Digest(_) | Update::IdleTimeoutNotification(_) | Update::Other(_))
            | None => tracing::debug!("a message of the stream that nobody asked for"),
        }
    }

    fn arbitrate(&self, update: proto::MasterArbitrationUpdate) {
        let code = update.status.map_or(0, |status| status.code);
        let state = match Code::from_i32(code) {
            Code::Ok => State::Primary,
            _ => State::Backup {
                primary: describe(update.election_id),
            },
        };
        tracing::info!(?state, "arbitration");
        self.state.send_replace(state);
    }
}

fn describe(election_id: Option<proto::Uint128>) -> String {
    match election_id {
        Some(id) => {
            let number = u128::from(id.high) << 64 | u128::from(id.low);
            format!("election-id {number}")
        }
        None => "nobody at the moment".to_owned(),
    }
}
