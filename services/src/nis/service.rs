//! The gRPC services: streams of agents, and requests of operators.

use std::net::IpAddr;
use std::time::Duration;

use flownic_api::v1;
use flownic_api::v1::network_interface_server::{NetworkInterface, NetworkInterfaceServer};
use flownic_api::v1::virtual_networks_server::{VirtualNetworks, VirtualNetworksServer};
use flownic_vnet::{Fabric, Verdict, Vnic, evaluate};
use flownic_wire::flow::FlowTuple;
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

use super::error::ConfigurationError;
use super::events::Session;
use super::tasks::Tasks;
use super::{messages, punts};

/// Largest message that is taken, bytes: a configuration of some 100 000 rules.
const MAX_MESSAGE: usize = 16 << 20;

/// Both services, on one running NIS.
#[derive(Clone)]
pub struct Service {
    tasks: Tasks,
}

impl Service {
    /// Serves `tasks`.
    pub fn new(tasks: Tasks) -> Service {
        Service { tasks }
    }

    /// Serves on `listener` until `shutdown`, then ends all streams.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let tasks = self.tasks.clone();
        let stopped = async move {
            shutdown.await;
            tasks.stop();
        };
        // An agent that is gone without a word must not be taken for attached for long.
        Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(10)))
            .http2_keepalive_timeout(Some(Duration::from_secs(5)))
            .add_service(self.network_interface())
            .add_service(self.virtual_networks())
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                stopped,
            )
            .await
    }

    /// The service for agents.
    pub fn network_interface(&self) -> NetworkInterfaceServer<Service> {
        NetworkInterfaceServer::new(self.clone())
    }

    /// The service for operators.
    pub fn virtual_networks(&self) -> VirtualNetworksServer<Service> {
        VirtualNetworksServer::new(self.clone()).max_decoding_message_size(MAX_MESSAGE)
    }
}

#[tonic::async_trait]
impl NetworkInterface for Service {
    type AttachStream = ReceiverStream<Result<v1::NisMessage, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request.remote_addr();
        let (session, outgoing) = self.tasks.open()?;
        info!(session, ?peer, "stream opened");
        tokio::spawn(read(self.tasks.clone(), session, request.into_inner()));
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// Hands a stream's messages on until it ends.
async fn read(tasks: Tasks, session: Session, mut incoming: Streaming<v1::AgentMessage>) {
    let broken = loop {
        match incoming.message().await {
            Ok(Some(message)) => tasks.message(session, message),
            Ok(None) => break None,
            Err(status) => break Some(status),
        }
    };
    debug!(session, ?broken, "stream ended");
    tasks.close(session, broken.as_ref());
}

#[tonic::async_trait]
impl VirtualNetworks for Service {
    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let request = request.into_inner();
        let tasks = self.tasks.clone();
        // Goes on when the client goes away: a configuration is applied or not, never half.
        let task = tokio::spawn(async move {
            tasks
                .apply(&request.source_name, &request.toml, request.dry_run)
                .await
        });
        let applied = task
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        let applied = applied.map_err(|error| configuration_status(&error))?;
        Ok(Response::new(v1::ApplyResponse {
            revision: applied.revision,
            changes: applied.changes,
            unconfirmed: applied.unconfirmed,
        }))
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let configuration = self.tasks.configuration();
        Ok(Response::new(v1::GetResponse {
            revision: configuration.revision,
            toml: configuration.toml.clone(),
            networks: summaries(&configuration.fabric),
        }))
    }

    async fn trace(
        &self,
        request: Request<v1::TraceRequest>,
    ) -> Result<Response<v1::TraceResponse>, Status> {
        trace(&self.tasks.configuration().fabric, request.get_ref()).map(Response::new)
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(self.tasks.look(|nis| {
            let counters = nis.counters();
            let hosts = nis.configuration().fabric.hosts().iter();
            let agents = hosts.map(|host| v1::AgentStatus {
                host: host.name.to_string(),
                attached: nis.attached().any(|attached| attached == &*host.name),
                punts: counters
                    .punts_by_host
                    .get(&*host.name)
                    .copied()
                    .unwrap_or(0),
            });
            v1::StatusResponse {
                agents: agents.collect(),
                connections: nis.connections() as u64,
                punts: counters.punts,
                delivered: counters.delivered,
                drops: counters.drops.clone().into_iter().collect(),
            }
        })))
    }
}

fn configuration_status(error: &ConfigurationError) -> Status {
    let text = error.to_string();
    match error {
        ConfigurationError::Invalid(_) => Status::invalid_argument(text),
        ConfigurationError::Conflict => Status::aborted(text),
        _ => {
            tracing::error!(error = %text, "configuration not applied");
            Status::internal(text)
        }
    }
}

fn summaries(fabric: &Fabric) -> Vec<v1::VnSummary> {
    let mut networks: Vec<_> = fabric.networks().collect();
    networks.sort_by_key(|network| network.vni);
    let summary = |network: &flownic_vnet::Network| v1::VnSummary {
        tenant: network.tenant.to_string(),
        name: network.name.to_string(),
        vni: network.vni,
        subnets: network.subnets().len() as u32,
        vnics: fabric
            .vnics()
            .iter()
            .filter(|vnic| vnic.vni == network.vni)
            .map(vnic_summary)
            .collect(),
        versions: Some(messages::versions(&network.versions)),
    };
    networks.into_iter().map(summary).collect()
}

fn vnic_summary(vnic: &Vnic) -> v1::VnicSummary {
    v1::VnicSummary {
        name: vnic.name.to_string(),
        host: vnic.host.to_string(),
        vf: vnic.vf.into(),
        vlan: vnic.vlan.into(),
        mac: vnic.mac.to_string(),
        addresses: vnic.addresses.iter().map(IpAddr::to_string).collect(),
        versions: Some(messages::versions(&vnic.versions)),
    }
}

/// Evaluates a packet that nobody sent, as the first one of its connection.
fn trace(fabric: &Fabric, request: &v1::TraceRequest) -> Result<v1::TraceResponse, Status> {
    let vnic = fabric
        .vnic_by_name(&request.vnic)
        .ok_or_else(|| Status::not_found(format!("vnic: there is no VNIC {:?}", request.vnic)))?;
    let tuple = FlowTuple {
        src: address("src", &request.src)?,
        dst: address("dst", &request.dst)?,
        protocol: number("protocol", request.protocol)?,
        src_port: number("src_port", request.src_port)?,
        dst_port: number("dst_port", request.dst_port)?,
    };
    if tuple.src.is_ipv4() != tuple.dst.is_ipv4() {
        return Err(Status::invalid_argument(
            "dst: not of the IP version of src",
        ));
    }
    let Some((origin, packet)) = punts::packet_of(fabric, vnic, tuple) else {
        return Err(Status::internal(format!("{} is in no subnet", vnic.name)));
    };
    let evaluation = evaluate(fabric, &origin, &packet);
    let (allowed, drop_reason) = match evaluation.verdict {
        Verdict::Allow(_) | Verdict::GatewayEcho => (true, String::new()),
        Verdict::Deny(reason) => (false, reason.name().to_owned()),
    };
    let steps = evaluation.steps.iter().map(ToString::to_string).collect();
    Ok(v1::TraceResponse {
        allowed,
        drop_reason,
        steps,
    })
}

fn address(field: &str, text: &str) -> Result<IpAddr, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument(format!("{field}: {text:?} is no IP address")))
}

fn number<T: TryFrom<u32>>(field: &str, value: u32) -> Result<T, Status> {
    T::try_from(value).map_err(|_| {
        let largest = (1u64 << (8 * size_of::<T>())) - 1;
        Status::invalid_argument(format!("{field}: {value}, must be at most {largest}"))
    })
}
