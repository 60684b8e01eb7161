//! An agent and a network interface service that answer from memory, for the CLI's tests.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use flownic_api::v1;
use flownic_api::v1::agent_server::{Agent, AgentServer};
use flownic_api::v1::virtual_networks_server::{VirtualNetworks, VirtualNetworksServer};
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const P4INFO: &str = include_str!("../data/p4info.json");

/// A running fake; both services are at one address.
pub struct Fake {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// Batches of table writes that came in.
    pub written: Arc<Mutex<Vec<v1::WriteTableRequest>>>,
}

/// Starts both services on a free port.
pub async fn start() -> Fake {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let written = Arc::new(Mutex::new(Vec::new()));
    let agent = FakeAgent {
        written: Arc::clone(&written),
    };
    let server = tonic::transport::Server::builder()
        .add_service(AgentServer::new(agent))
        .add_service(VirtualNetworksServer::new(FakeNetworks));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Fake { url, written }
}

struct FakeAgent {
    written: Arc<Mutex<Vec<v1::WriteTableRequest>>>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn all<T: Send + 'static>(items: Vec<T>) -> Response<Answers<T>> {
    Response::new(Box::pin(tokio_stream::iter(items.into_iter().map(Ok))))
}

/// P4Info id of a table of `p4info.json`, by alias.
fn table_id(alias: &str) -> u32 {
    let info: serde_json::Value = serde_json::from_str(P4INFO).unwrap();
    let tables = info["tables"].as_array().unwrap();
    let table = tables
        .iter()
        .find(|table| table["preamble"]["alias"] == alias)
        .unwrap();
    u32::try_from(table["preamble"]["id"].as_u64().unwrap()).unwrap()
}

fn no_action() -> u32 {
    let info: serde_json::Value = serde_json::from_str(P4INFO).unwrap();
    let actions = info["actions"].as_array().unwrap();
    let action = actions
        .iter()
        .find(|action| action["preamble"]["name"] == "NoAction")
        .unwrap();
    u32::try_from(action["preamble"]["id"].as_u64().unwrap()).unwrap()
}

fn key(src: [u8; 4], dst: [u8; 4], dst_port: u32) -> v1::FlowKey {
    v1::FlowKey {
        vni: 100,
        direction: v1::Direction::Outbound.into(),
        attach: 16,
        src: src.to_vec(),
        dst: dst.to_vec(),
        protocol: 6,
        src_port: 40000,
        dst_port,
    }
}

fn versions() -> v1::Versions {
    v1::Versions {
        security: 3,
        mapping: 1,
        route: 1,
        policy: 1,
        lb: 1,
    }
}

#[tonic::async_trait]
impl Agent for FakeAgent {
    async fn get_device(
        &self,
        _: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::Device>, Status> {
        Ok(Response::new(v1::Device {
            host: "host-a".into(),
            address: "vfio-user:/run/a/nic.sock".into(),
            vendor_id: 0x1b36,
            device_id: 0x0f1c,
            interface_version: 0x1_0000,
            firmware: "flownic 0.1.0".into(),
            pipeline_cookie: 0xfeed,
            healthy: true,
            health: String::new(),
            nis_attached: false,
            nis: "http://127.0.0.1:7100".into(),
            uptime_seconds: 3661,
            tables: vec![v1::TableUse {
                name: "ingress.vf_guard.vf_mac".into(),
                size: 16384,
                used: 2,
            }],
        }))
    }

    async fn get_pipeline(
        &self,
        _: Request<v1::GetPipelineRequest>,
    ) -> Result<Response<v1::Pipeline>, Status> {
        Ok(Response::new(v1::Pipeline {
            p4info_json: P4INFO.into(),
        }))
    }

    type ReadTableStream = Answers<v1::TableEntries>;
    async fn read_table(
        &self,
        request: Request<v1::ReadTableRequest>,
    ) -> Result<Response<Self::ReadTableStream>, Status> {
        if request.get_ref().table_id != table_id("vf_mac") {
            return Err(Status::internal("the device did not answer within 2 s"));
        }
        let exact = |field_id, value: &[u8]| v1::FieldMatch {
            field_id,
            r#match: Some(v1::field_match::Match::Exact(value.to_vec())),
        };
        let entry = |port: u8, mac: [u8; 6]| v1::TableEntry {
            table_id: table_id("vf_mac"),
            r#match: vec![exact(1, &[port]), exact(2, &[0]), exact(3, &mac[..])],
            action_id: no_action(),
            ..Default::default()
        };
        Ok(all(vec![
            v1::TableEntries {
                entries: vec![entry(17, [2, 0, 0, 0, 0, 0x14])],
            },
            v1::TableEntries {
                entries: vec![entry(16, [2, 0, 0, 0, 0, 0x0a])],
            },
        ]))
    }

    async fn write_table(
        &self,
        request: Request<v1::WriteTableRequest>,
    ) -> Result<Response<v1::WriteTableResponse>, Status> {
        let request = request.into_inner();
        // The third of a batch exists already; the others are not done because of it.
        let status = |at: usize| match (request.updates.len() > 2, at) {
            (false, _) => v1::UpdateStatus::default(),
            (true, 2) => v1::UpdateStatus {
                code: 6,
                message: "there is such an entry already".into(),
            },
            (true, _) => v1::UpdateStatus {
                code: 10,
                message: "not done: another update failed".into(),
            },
        };
        let statuses = (0..request.updates.len()).map(status).collect();
        self.written.lock().unwrap().push(request);
        Ok(Response::new(v1::WriteTableResponse { statuses }))
    }

    type ListFlowsStream = Answers<v1::Flow>;
    async fn list_flows(
        &self,
        request: Request<v1::ListFlowsRequest>,
    ) -> Result<Response<Self::ListFlowsStream>, Status> {
        if request.get_ref().vni == Some(999) {
            return Err(Status::not_found(
                "there is no virtual network 999 on this NIC",
            ));
        }
        let flow = |key, action, packets, current| v1::Flow {
            entry: Some(v1::FlowEntry {
                key: Some(key),
                action: Some(action),
                vnic: "blue/a".into(),
                vn_versions: Some(versions()),
                vnic_versions: Some(versions()),
                reply: false,
            }),
            packets,
            bytes: packets * 100,
            punted: 1,
            age_ms: 1500,
            install_us: 840,
            current,
        };
        let to_tunnel = v1::flow_entry::Action::ToTunnel(v1::ToTunnel {
            tunnel: v1::Tunnel::Geneve.into(),
            remote_vtep: 0xc000_0202,
            routed: Some(v1::Routed::default()),
        });
        let deny = v1::flow_entry::Action::Deny(v1::Deny {
            reason: "SECURITY_EGRESS".into(),
        });
        Ok(all(vec![
            flow(key([10, 0, 0, 10], [10, 0, 1, 30], 80), to_tunnel, 12, true),
            flow(key([10, 0, 0, 10], [10, 0, 0, 20], 25), deny, 3, false),
        ]))
    }

    async fn clear_flows(
        &self,
        _: Request<v1::ClearFlowsRequest>,
    ) -> Result<Response<v1::ClearFlowsResponse>, Status> {
        Ok(Response::new(v1::ClearFlowsResponse { removed: 2 }))
    }

    async fn list_vfs(&self, _: Request<v1::ListVfsRequest>) -> Result<Response<v1::Vfs>, Status> {
        Ok(Response::new(v1::Vfs {
            vfs: vec![v1::Vf {
                vf: 0,
                port: 16,
                vlan: 0,
                vnic: "blue/a".into(),
                vni: 100,
                mac: "02:00:00:00:00:0a".into(),
                addresses: vec!["10.0.0.10".into(), "fd00:0:0:1::a".into()],
                mtu: 1450,
                spoof_check: true,
            }],
        }))
    }

    async fn get_statistics(
        &self,
        _: Request<v1::GetStatisticsRequest>,
    ) -> Result<Response<v1::Statistics>, Status> {
        let count = |reason: &str, port, place: &str, packets| v1::ReasonCount {
            reason: reason.into(),
            port,
            r#where: place.into(),
            packets,
            bytes: packets * 60,
        };
        Ok(Response::new(v1::Statistics {
            drops: vec![
                count("SECURITY_INGRESS", 24, "pipeline", 2),
                count("SECURITY_INGRESS", 24, "agent", 1),
            ],
            punts: vec![count("MISS", 16, "pipeline", 7)],
            punts_received: 7,
            punts_answered: 6,
            punts_queued: 1,
            packets_injected: 4,
            flows_installed: 5,
            flow_install_errors: 0,
            miss_latency: vec![v1::Latency {
                quantile: 0.5,
                microseconds: 840,
            }],
        }))
    }
}

struct FakeNetworks;

#[tonic::async_trait]
impl VirtualNetworks for FakeNetworks {
    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let request = request.into_inner();
        if !request.toml.contains("[[network]]") {
            return Err(Status::invalid_argument(format!(
                "{}:1:1: no network",
                request.source_name
            )));
        }
        Ok(Response::new(v1::ApplyResponse {
            revision: 7,
            changes: vec!["network blue: new, vni 100".into()],
            ..Default::default()
        }))
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        Ok(Response::new(v1::GetResponse {
            revision: 7,
            toml: "[[network]]\n".into(),
            networks: vec![v1::VnSummary {
                tenant: "blue".into(),
                name: "blue".into(),
                vni: 100,
                subnets: 2,
                vnics: vec![v1::VnicSummary {
                    name: "a".into(),
                    host: "host-a".into(),
                    vf: 0,
                    vlan: 0,
                    mac: "02:00:00:00:00:0a".into(),
                    addresses: vec!["10.0.0.10".into()],
                    versions: Some(versions()),
                }],
                versions: Some(versions()),
            }],
        }))
    }

    async fn trace(
        &self,
        request: Request<v1::TraceRequest>,
    ) -> Result<Response<v1::TraceResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(v1::TraceResponse {
            allowed: request.dst_port == 80,
            drop_reason: if request.dst_port == 80 {
                ""
            } else {
                "SECURITY_INGRESS"
            }
            .into(),
            steps: vec![format!(
                "{} sends {} → {} protocol {} ports {} → {}",
                request.vnic,
                request.src,
                request.dst,
                request.protocol,
                request.src_port,
                request.dst_port
            )],
        }))
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(v1::StatusResponse::default()))
    }
}
