//! The daemon with a NIC in memory and a scripted service, over real gRPC.

mod support;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flownic_agent::daemon::{Daemon, Options};
use flownic_agent::state::Settings;
use flownic_agent::tables::Table;
use flownic_agent::tables::packet_io::PuntReason;
use flownic_api::v1;
use flownic_api::v1::agent_client::AgentClient;
use flownic_api::v1::agent_message::Message as ToService;
use flownic_api::v1::network_interface_server::{NetworkInterface, NetworkInterfaceServer};
use flownic_api::v1::nis_message::Message;
use support::fake_nic::FakeHardware;
use support::messages::*;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

/// A service that configures two tenants and sends each missed packet to blue/b, with an entry.
struct Script {
    /// What agents said, for the test.
    heard: mpsc::Sender<ToService>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<v1::NisMessage, Status>> + Send>>;

#[tonic::async_trait]
impl NetworkInterface for Script {
    type AttachStream = Messages;

    async fn attach(
        &self,
        call: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Messages>, Status> {
        let (answers, stream) = mpsc::channel(64);
        let heard = self.heard.clone();
        let mut incoming = call.into_inner();
        tokio::spawn(async move {
            let say = |message| {
                answers.send(Ok(v1::NisMessage {
                    message: Some(message),
                }))
            };
            let _ = say(Message::Configure(two_tenants(1))).await;
            while let Some(Ok(v1::AgentMessage {
                message: Some(message),
            })) = incoming.next().await
            {
                if let ToService::Punt(punt) = &message {
                    let _ = say(Message::PuntReply(answer(punt))).await;
                }
                let _ = heard.send(message).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

fn answer(punt: &v1::Punt) -> v1::PuntReply {
    let packet = punt.packet.as_ref().expect("a punt has a packet");
    let port = u16::from_be_bytes([packet.frame[34], packet.frame[35]]);
    v1::PuntReply {
        id: punt.id,
        entries: vec![to_tunnel(
            outbound_key(BLUE, 0, (10, 99), port),
            "blue/a",
            1,
        )],
        packets: vec![packet_out(1, packet.frame.clone())],
        ..Default::default()
    }
}

struct Service {
    address: SocketAddr,
    heard: Mutex<mpsc::Receiver<ToService>>,
    /// Its own, so that all of its connections end with it.
    runtime: Option<Runtime>,
}

impl Service {
    async fn start(address: &str) -> Service {
        let mut runtime = runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all();
        let runtime = runtime.build().expect("a runtime");
        let (sender, heard) = mpsc::channel(1024);
        let (bound, address_bound) = oneshot::channel();
        let address = address.to_owned();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.expect("a free port");
            let _ = bound.send(listener.local_addr().expect("it is bound"));
            let service = NetworkInterfaceServer::new(Script { heard: sender });
            let incoming = TcpListenerStream::new(listener);
            let server = Server::builder().add_service(service);
            drop(server.serve_with_incoming(incoming).await);
        });
        Service {
            address: address_bound.await.expect("the service listens"),
            heard: Mutex::new(heard),
            runtime: Some(runtime),
        }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// The next message of the agent.
    async fn hears(&self) -> ToService {
        let next = async { self.heard.lock().await.recv().await };
        let message = tokio::time::timeout(Duration::from_secs(10), next).await;
        message
            .expect("the agent speaks within 10 s")
            .expect("the stream is open")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Agent {
    _daemon: Daemon,
    client: AgentClient<Channel>,
}

async fn start_agent(hardware: &FakeHardware, service: SocketAddr) -> Agent {
    let options = Options {
        settings: Settings::new(HOST),
        nic: Arc::new(hardware.clone()),
        service: format!("http://{service}"),
        listen: "127.0.0.1:0".parse().expect("an address"),
    };
    let daemon = Daemon::start(options).await.expect("the daemon starts");
    let address = format!("http://{}", daemon.listening());
    let client = AgentClient::connect(address)
        .await
        .expect("operators are served");
    Agent {
        _daemon: daemon,
        client,
    }
}

/// Asks until the answer is yes.
async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), asked).await;
    assert!(in_time.is_ok(), "not within 10 s: {what}");
}

async fn flows(agent: &Agent, vni: Option<u32>) -> Vec<v1::Flow> {
    let call = agent
        .client
        .clone()
        .list_flows(v1::ListFlowsRequest { vni })
        .await;
    let stream = call.expect("flows are listed").into_inner();
    stream.map(|flow| flow.expect("a flow")).collect().await
}

async fn configured(hardware: &FakeHardware, service: &Service) -> Agent {
    let agent = start_agent(hardware, service.address).await;
    assert!(matches!(service.hears().await, ToService::Hello(_)));
    match service.hears().await {
        ToService::Ack(ack) => assert_eq!((ack.id, ack.error.as_str()), (1, "")),
        other => panic!("{other:?}"),
    }
    agent
}

fn miss(hardware: &FakeHardware, port: u16) {
    let header = punt_header(PuntReason::Miss, BLUE, 0);
    hardware.punt(&header, udp_frame((10, 99), port, 64, 20));
}

/// R1.2: from the NIC to the service and back; operators see what happened.
#[tokio::test]
async fn a_miss_becomes_an_entry_and_operators_see_it() {
    let (hardware, service) = (FakeHardware::new(), Service::start("127.0.0.1:0").await);
    let agent = configured(&hardware, &service).await;
    miss(&hardware, 1000);
    assert!(matches!(service.hears().await, ToService::Punt(_)));
    eventually("the packet leaves", async || hardware.sent().len() == 1).await;
    assert_eq!(hardware.sent()[0], (17, udp_frame((10, 99), 1000, 64, 20)));

    let flows = flows(&agent, Some(BLUE)).await;
    assert_eq!(flows.len(), 1);
    assert_eq!(
        (flows[0].packets, flows[0].bytes, flows[0].punted),
        (3, 300, 1)
    );
    assert!(flows[0].current && flows[0].install_us > 0);

    let mut client = agent.client.clone();
    let vfs = client
        .list_vfs(v1::ListVfsRequest {})
        .await
        .unwrap()
        .into_inner()
        .vfs;
    let named: Vec<_> = vfs
        .iter()
        .map(|vf| (vf.vf, vf.vnic.as_str(), vf.spoof_check))
        .collect();
    assert_eq!(
        named,
        [(0, "blue/a", true), (1, "blue/b", true), (8, "red/a", true)]
    );

    let statistics = client
        .get_statistics(v1::GetStatisticsRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (statistics.punts_received, statistics.punts_answered),
        (1, 1)
    );
    assert_eq!(
        (statistics.flows_installed, statistics.packets_injected),
        (1, 1)
    );
    assert_eq!(statistics.miss_latency.len(), 5);
    let punt = &statistics.punts[0];
    assert_eq!(
        (punt.reason.as_str(), punt.port, punt.packets),
        ("MISS", 16, 2)
    );
    assert_eq!(statistics.drops[0].reason, "MALFORMED");
    assert_eq!(statistics.drops[0].r#where, "pipeline");

    let device = client
        .get_device(v1::GetDeviceRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(device.healthy && device.nis_attached);
    let attach = device
        .tables
        .iter()
        .find(|table| table.name.ends_with("vf_attach"))
        .unwrap();
    assert_eq!((attach.used, attach.size), (3, 512));

    let cleared = client
        .clear_flows(v1::ClearFlowsRequest { vni: None })
        .await
        .unwrap();
    assert_eq!(cleared.into_inner().removed, 1);
    assert!(hardware.store().table("flow_ipv4").is_empty());
}

/// R6.6: what is wrong with an operator's update, and where, without touching the NIC in a dry
/// run.
#[tokio::test]
async fn operators_writes_are_checked_and_told_one_by_one() {
    let (hardware, service) = (FakeHardware::new(), Service::start("127.0.0.1:0").await);
    let agent = configured(&hardware, &service).await;
    let mut client = agent.client.clone();
    let table_id = hardware.tables.vf_mac.id();
    let request = v1::ReadTableRequest { table_id };
    let mut stream = client.read_table(request).await.unwrap().into_inner();
    let there = stream.next().await.unwrap().unwrap().entries.remove(0);
    let mut narrow = there.clone();
    narrow.r#match[2].r#match = Some(v1::field_match::Match::Exact(vec![1; 7]));
    let mut other = there.clone();
    other.r#match[1].r#match = Some(v1::field_match::Match::Exact(vec![9]));
    let mut incomplete = there.clone();
    incomplete.r#match.pop();
    let insert = |entry: &v1::TableEntry| v1::Update {
        r#type: v1::UpdateType::Insert as i32,
        entry: Some(entry.clone()),
    };
    let mut request = v1::WriteTableRequest {
        updates: vec![insert(&narrow), insert(&other), insert(&incomplete)],
        atomicity: 0,
        dry_run: true,
    };
    let before = hardware.store().updates;
    let statuses = client
        .write_table(request.clone())
        .await
        .unwrap()
        .into_inner()
        .statuses;
    let codes: Vec<u32> = statuses.iter().map(|status| status.code).collect();
    assert_eq!(codes, [3, 0, 3], "{statuses:?}");
    assert!(
        statuses[0]
            .message
            .contains("\"hdr.ethernet.src\": the value has 49 bits, 48 fit")
    );
    assert!(
        statuses[2]
            .message
            .contains("\"hdr.ethernet.src\" is missing"),
        "{statuses:?}"
    );
    assert_eq!(hardware.store().updates, before);

    request.updates = vec![insert(&there), insert(&other)];
    request.dry_run = false;
    let statuses = client
        .write_table(request.clone())
        .await
        .unwrap()
        .into_inner()
        .statuses;
    assert_eq!((statuses[0].code, statuses[1].code), (6, 0), "{statuses:?}");
    assert!(statuses[0].message.contains("vf_mac"), "{statuses:?}");

    request.updates[1].r#type = 0;
    let status = client.write_table(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(
        status.message().starts_with("update 1: type 0"),
        "{}",
        status.message()
    );
    let status = client
        .read_table(v1::ReadTableRequest { table_id: 1 })
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

/// The NIC goes and comes back: health says so, and everything goes on.
#[tokio::test]
async fn a_nic_that_went_is_opened_again() {
    let (hardware, service) = (FakeHardware::new(), Service::start("127.0.0.1:0").await);
    let agent = configured(&hardware, &service).await;
    let device = async || {
        let mut client = agent.client.clone();
        client
            .get_device(v1::GetDeviceRequest {})
            .await
            .unwrap()
            .into_inner()
    };
    hardware.set_present(false);
    eventually("it is noticed", async || !device().await.healthy).await;
    assert_eq!(device().await.health, "fake is lost: unplugged");
    let mut client = agent.client.clone();
    let status = client
        .clear_flows(v1::ClearFlowsRequest { vni: None })
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    hardware.store().clear();
    hardware.set_present(true);
    eventually("it is opened", async || device().await.healthy).await;
    eventually("it is filled", async || {
        hardware.store().table("vf_attach").len() == 3
    })
    .await;
    miss(&hardware, 1000);
    eventually("packets leave", async || hardware.sent().len() == 1).await;
}

/// The service goes and comes back: packets wait meanwhile, the greeting tells of the flows.
#[tokio::test]
async fn packets_wait_for_a_service_that_went() {
    let (hardware, mut service) = (FakeHardware::new(), Service::start("127.0.0.1:0").await);
    let agent = configured(&hardware, &service).await;
    miss(&hardware, 1000);
    eventually("the first packet leaves", async || {
        hardware.sent().len() == 1
    })
    .await;
    service.stop();
    eventually("it is noticed", async || {
        let mut client = agent.client.clone();
        let device = client
            .get_device(v1::GetDeviceRequest {})
            .await
            .unwrap()
            .into_inner();
        !device.nis_attached
    })
    .await;
    miss(&hardware, 1001);
    let service = Service::start(&service.address.to_string()).await;
    match service.hears().await {
        ToService::Hello(hello) => {
            assert_eq!(hello.host, HOST);
            assert_eq!(hello.installed.len(), 1);
            assert_eq!(hello.installed[0].vnic, "blue/a");
        }
        other => panic!("{other:?}"),
    }
    eventually("the second packet leaves", async || {
        hardware.sent().len() == 2
    })
    .await;
}

/// The agent starts anew: flows stay in the NIC, and are announced and listed again.
#[tokio::test]
async fn a_restarted_agent_finds_its_flows() {
    let (hardware, service) = (FakeHardware::new(), Service::start("127.0.0.1:0").await);
    let agent = configured(&hardware, &service).await;
    miss(&hardware, 1000);
    eventually("the packet leaves", async || hardware.sent().len() == 1).await;
    assert!(matches!(service.hears().await, ToService::Punt(_)));
    let before = hardware.store().entries();
    drop(agent);
    assert_eq!(
        hardware.store().entries(),
        before,
        "the NIC goes on forwarding"
    );

    let agent = start_agent(&hardware, service.address).await;
    match service.hears().await {
        ToService::Hello(hello) => assert_eq!(hello.installed.len(), 1),
        other => panic!("{other:?}"),
    }
    eventually("its VNIC is known", async || {
        let flows = flows(&agent, None).await;
        flows.len() == 1
            && flows[0].current
            && flows[0]
                .entry
                .as_ref()
                .is_some_and(|entry| entry.vnic == "blue/a")
    })
    .await;
    assert_eq!(hardware.store().entries(), before);
}
