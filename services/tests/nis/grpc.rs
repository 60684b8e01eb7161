//! The service over real connections on the loopback, with agents that the tests play.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flownic_api::v1::network_interface_client::NetworkInterfaceClient;
use flownic_api::v1::virtual_networks_client::VirtualNetworksClient;
use flownic_api::v1::{self, agent_message, nis_message};
use flownic_services::nis::events::Limits;
use flownic_services::nis::service::Service;
use flownic_services::nis::tasks::Tasks;
use flownic_store::Memory;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::fixture::*;

/// A service in this process.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits) -> Server {
        let tasks = Tasks::start(Arc::new(Memory::new()), limits).unwrap();
        tasks.apply("test.toml", TOML, false).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Service::new(tasks).serve(listener, async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async { serving.await.unwrap() });
        Server {
            address,
            stop,
            task,
        }
    }

    async fn operator(&self) -> VirtualNetworksClient<Channel> {
        VirtualNetworksClient::connect(format!("http://{}", self.address))
            .await
            .unwrap()
    }

    /// A stream on which nothing was said yet.
    async fn stream(&self) -> Agent {
        let url = format!("http://{}", self.address);
        let mut client = NetworkInterfaceClient::connect(url).await.unwrap();
        let (outgoing, receiver) = mpsc::channel(64);
        let incoming = client
            .attach(ReceiverStream::new(receiver))
            .await
            .unwrap()
            .into_inner();
        Agent { outgoing, incoming }
    }

    /// An agent that has attached.
    async fn agent(&self, host: &str) -> Agent {
        let mut agent = self.stream().await;
        agent.say(hello(host)).await;
        let configure = agent.configure().await;
        assert_eq!(configure.self_.unwrap().name, host);
        agent.say(ack(configure.id, "")).await;
        agent
    }
}

/// The other end of a stream.
struct Agent {
    outgoing: mpsc::Sender<v1::AgentMessage>,
    incoming: Streaming<v1::NisMessage>,
}

impl Agent {
    async fn say(&self, message: agent_message::Message) {
        let message = v1::AgentMessage {
            message: Some(message),
        };
        self.outgoing.send(message).await.unwrap();
    }

    async fn hear(&mut self) -> Result<nis_message::Message, Status> {
        match within(self.incoming.message()).await? {
            Some(message) => Ok(message.message.unwrap()),
            None => Err(Status::ok("end")),
        }
    }

    async fn configure(&mut self) -> v1::Configure {
        match self.hear().await.unwrap() {
            nis_message::Message::Configure(configure) => configure,
            other => panic!("{other:?}"),
        }
    }

    async fn deliver(&mut self) -> v1::Deliver {
        match self.hear().await.unwrap() {
            nis_message::Message::Deliver(deliver) => deliver,
            other => panic!("{other:?}"),
        }
    }

    async fn reply(&mut self) -> v1::PuntReply {
        match self.hear().await.unwrap() {
            nis_message::Message::PuntReply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// The status that the service ends the stream with.
    async fn ended(&mut self) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                return status;
            }
        }
    }
}

async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("the service answers")
}

fn question() -> v1::PuntedPacket {
    missed(BLUE_A, udp(10, 20, (5000, 53), b"question"))
}

/// R1.2: a first packet from one agent's VM to another's.
#[tokio::test]
async fn a_packet_goes_from_agent_to_agent() {
    let server = Server::start(Limits::default()).await;
    let (mut a, mut b) = (server.agent("host-a").await, server.agent("host-b").await);
    a.say(punt(1, question())).await;
    let deliver = b.deliver().await;
    assert_eq!((deliver.entries.len(), deliver.packets.len()), (2, 1));
    b.say(ack(deliver.id, "")).await;
    let reply = a.reply().await;
    assert_eq!(
        (reply.id, reply.entries.len(), &*reply.drop_reason),
        (1, 2, "")
    );

    let status = server
        .operator()
        .await
        .status(v1::StatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (status.punts, status.delivered, status.connections),
        (1, 1, 1)
    );
    let agents: Vec<_> = status
        .agents
        .iter()
        .map(|agent| (&*agent.host, agent.attached, agent.punts))
        .collect();
    assert_eq!(agents, [("host-a", true, 1), ("host-b", true, 0)]);
}

/// R1.2: the deadline is a real timer's too.
#[tokio::test]
async fn a_receiver_that_is_silent_delays_nobody_for_long() {
    let server = Server::start(Limits::default()).await;
    let (mut a, mut b) = (server.agent("host-a").await, server.agent("host-b").await);
    let start = tokio::time::Instant::now();
    a.say(punt(1, question())).await;
    b.deliver().await;
    assert_eq!(a.reply().await.drop_reason, "SERVICE_TIMEOUT");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");

    // And one that goes away does not delay at all.
    a.say(punt(2, question())).await;
    b.deliver().await;
    drop(b);
    assert_eq!(a.reply().await.drop_reason, "SERVICE_TIMEOUT");
}

/// R1.9: a configuration is applied as a whole or refused with every error and its place.
#[tokio::test]
async fn configurations_are_applied_or_refused() {
    let server = Server::start(Limits::default()).await;
    let (mut a, mut b) = (server.agent("host-a").await, server.agent("host-b").await);
    let mut operator = server.operator().await;
    let apply = |toml: &str, dry_run| {
        let (source_name, toml) = ("blue.toml".to_owned(), toml.to_owned());
        v1::ApplyRequest {
            source_name,
            toml,
            dry_run,
        }
    };
    let get = operator.get(v1::GetRequest {}).await.unwrap().into_inner();
    assert_eq!((get.revision, &*get.toml), (1, TOML));
    let summary: Vec<_> = get
        .networks
        .iter()
        .map(|vn| (&*vn.name, vn.vni, vn.subnets, vn.vnics.len()))
        .collect();
    assert_eq!(summary, [("blue", 100, 2, 4), ("red", 200, 1, 2)]);

    let broken = TOML
        .replace("\"53\"", "\"99999\"")
        .replace("02:00:00:00:00:28", "nonsense");
    for dry_run in [true, false] {
        let error = operator.apply(apply(&broken, dry_run)).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        let line = 1 + TOML
            .lines()
            .position(|line| line.contains("\"53\""))
            .unwrap();
        assert!(
            error.message().contains(&format!("blue.toml:{line}:")),
            "{}",
            error.message()
        );
        assert!(
            error.message().contains("nonsense"),
            "all errors: {}",
            error.message()
        );
    }
    let changed = TOML.replace("\"53\"", "\"54\"");
    let dry = operator
        .apply(apply(&changed, true))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((dry.revision, dry.changes.len()), (1, 1), "{dry:?}");
    assert_eq!(
        operator.get(v1::GetRequest {}).await.unwrap().into_inner(),
        get,
        "nothing changed"
    );

    let confirm = async {
        for agent in [&mut a, &mut b] {
            let configure = agent.configure().await;
            assert_eq!(configure.vns[0].versions.unwrap().security, 2);
            agent.say(ack(configure.id, "")).await;
        }
    };
    let (applied, ()) = tokio::join!(operator.apply(apply(&changed, false)), confirm);
    let applied = applied.unwrap().into_inner();
    assert_eq!((applied.revision, applied.changes), (2, dry.changes));
    assert!(applied.unconfirmed.is_empty(), "{:?}", applied.unconfirmed);
    a.say(punt(1, question())).await;
    assert_eq!(a.reply().await.drop_reason, "SECURITY_INGRESS");
}

/// R9.2: what would happen to a packet, and why.
#[tokio::test]
async fn traces_explain() {
    let server = Server::start(Limits::default()).await;
    let mut operator = server.operator().await;
    let request = |vnic: &str, dst: &str, dst_port| v1::TraceRequest {
        vnic: vnic.to_owned(),
        src: "10.0.0.10".to_owned(),
        dst: dst.to_owned(),
        protocol: 17,
        src_port: 5000,
        dst_port,
    };
    for (vnic, dst, port, expected) in [
        ("blue/a", "10.0.0.20", 53, ""),
        ("blue/a", "10.0.1.30", 53, ""),
        ("blue/a", "10.0.0.20", 54, "SECURITY_INGRESS"),
        ("red/a", "10.0.0.20", 53, "SECURITY_INGRESS"),
        ("blue/a", "10.0.0.99", 53, "NO_MAPPING"),
        ("blue/a", "8.8.8.8", 53, "NO_ROUTE"),
        ("blue/b", "10.0.0.10", 53, "SPOOFED_IP"),
    ] {
        let trace = operator
            .trace(request(vnic, dst, port))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            trace.drop_reason, expected,
            "{vnic} -> {dst}: {:?}",
            trace.steps
        );
        assert_eq!(trace.allowed, expected.is_empty());
        assert!(!trace.steps.is_empty());
    }
    for (request, code, text) in [
        (
            request("blue/x", "10.0.0.20", 53),
            Code::NotFound,
            "vnic: there is no VNIC \"blue/x\"",
        ),
        (
            request("blue/a", "there", 53),
            Code::InvalidArgument,
            "dst: \"there\" is no IP address",
        ),
        (
            request("blue/a", "fd00::1", 53),
            Code::InvalidArgument,
            "dst: not of the IP version of src",
        ),
        (
            request("blue/a", "10.0.0.20", 65536),
            Code::InvalidArgument,
            "dst_port: 65536, must be at most 65535",
        ),
    ] {
        let error = operator.trace(request).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (code, text));
    }
}

#[tokio::test]
async fn what_agents_do_wrong_ends_their_stream_only() {
    let server = Server::start(Limits::default()).await;
    let (mut a, b) = (server.agent("host-a").await, server.agent("host-b").await);
    let mut stranger = server.stream().await;
    stranger.say(hello("host-x")).await;
    let status = stranger.ended().await;
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("host-a, host-b"), "{status}");

    let mut second = server.stream().await;
    second.say(hello("host-b")).await;
    second.configure().await;
    let mut b = b;
    assert_eq!(b.ended().await.code(), Code::Aborted);
    second
        .say(punt(
            1,
            v1::PuntedPacket {
                attach: 3,
                ..question()
            },
        ))
        .await;
    let status = second.ended().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("punt 1: packet.attach: 3"),
        "{status}"
    );

    a.say(punt(1, missed(BLUE_A, udp(10, 40, (5000, 53), b""))))
        .await;
    assert_eq!(a.reply().await.packets.len(), 1);
}

/// Bytes that are no message of the protocol at all, and a message that is too long.
#[tokio::test]
async fn unreadable_messages_end_their_stream() {
    let server = Server::start(Limits::default()).await;
    let invalid_utf8 = vec![0x0a, 0x03, 0x0a, 0x01, 0xff];
    let cut = vec![0x12, 0x7f, 0x08];
    let entry = v1::FlowEntry {
        vnic: "x".repeat(1 << 20),
        ..Default::default()
    };
    let long = v1::Hello {
        installed: vec![entry; 5],
        ..Default::default()
    };
    let long = v1::AgentMessage {
        message: Some(agent_message::Message::Hello(long)),
    };
    for bytes in [invalid_utf8, cut, long.encode_to_vec()] {
        let status = raw::say(server.address, bytes).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(
            status.message().starts_with("unreadable message: "),
            "{status}"
        );
    }
    server.agent("host-a").await;
}

/// An agent that asks and does not listen is sent away when its answers pile up.
#[tokio::test]
async fn an_agent_that_does_not_listen_is_sent_away() {
    let server = Server::start(Limits::default()).await;
    let mut deaf = server.agent("host-a").await;
    let mut id = 0;
    while !deaf.outgoing.is_closed() && id < 100_000 {
        id += 1;
        let message = punt(id, missed(RED_A, udp(10, 20, (5000, 53), b"")));
        let message = v1::AgentMessage {
            message: Some(message),
        };
        if within(deaf.outgoing.send(message)).await.is_err() {
            break;
        }
    }
    let status = deaf.ended().await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    server.agent("host-a").await;
}

#[tokio::test]
async fn stopping_ends_all_streams() {
    let server = Server::start(Limits::default()).await;
    let (mut a, mut silent) = (server.agent("host-a").await, server.stream().await);
    server.stop.send(()).unwrap();
    for agent in [&mut a, &mut silent] {
        let status = agent.ended().await;
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "the service stops")
        );
    }
    drop((a, silent));
    within(server.task).await.unwrap();
}

/// A client that sends bytes instead of messages.
mod raw {
    use super::*;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

    #[derive(Default)]
    struct Bytes;

    impl Codec for Bytes {
        type Encode = Vec<u8>;
        type Decode = Vec<u8>;
        type Encoder = Bytes;
        type Decoder = Bytes;

        fn encoder(&mut self) -> Bytes {
            Bytes
        }

        fn decoder(&mut self) -> Bytes {
            Bytes
        }
    }

    impl Encoder for Bytes {
        type Item = Vec<u8>;
        type Error = Status;

        fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
            prost::bytes::BufMut::put_slice(to, &item);
            Ok(())
        }
    }

    impl Decoder for Bytes {
        type Item = Vec<u8>;
        type Error = Status;

        fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
            let length = prost::bytes::Buf::remaining(from);
            prost::bytes::Buf::advance(from, length);
            Ok(Some(Vec::new()))
        }
    }

    /// Opens a stream, sends one message, and returns what the stream ends with.
    pub async fn say(address: SocketAddr, bytes: Vec<u8>) -> Status {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
        client.ready().await.unwrap();
        let path = "/flownic.v1.NetworkInterface/Attach".parse().unwrap();
        // The stream stays open behind the message.
        let (outgoing, receiver) = mpsc::channel(1);
        outgoing.send(bytes).await.unwrap();
        let request = tonic::Request::new(ReceiverStream::new(receiver));
        let mut incoming = match client.streaming(request, path, Bytes).await {
            Ok(response) => response.into_inner(),
            Err(status) => return status,
        };
        loop {
            match within(incoming.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("end"),
                Err(status) => return status,
            }
        }
    }
}
