//! The gRPC service `Agent`: one NIC as its agent sees it, for operators.

mod check;
mod entries;
mod server;
mod statistics;

use std::time::Instant;

use flownic_api::v1::agent_server::AgentServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;

use super::core::{Request, Snapshot};
use super::nic::{NicStatus, Opened};
use flownic_driver::NicError;

/// What the service answers from.
#[derive(Clone)]
pub(super) struct Operators {
    /// Name of the host.
    pub(super) host: String,
    /// Address of the NIC.
    pub(super) address: String,
    /// Address of the network interface service.
    pub(super) service: String,
    /// When the agent started.
    pub(super) started: Instant,
    /// The NIC, for reads.
    pub(super) nic: watch::Receiver<NicStatus>,
    /// The state, for everything else.
    pub(super) requests: mpsc::Sender<Request>,
}

/// Largest request that is taken.
const MAX_REQUEST: usize = 64 << 20;

/// Entries in one message of a stream of answers.
const CHUNK: usize = 1024;

impl Operators {
    /// Serves until the daemon ends.
    pub(super) async fn serve(self, listener: TcpListener) {
        let service = AgentServer::new(self).max_decoding_message_size(MAX_REQUEST);
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        if let Err(error) = server.serve_with_incoming(incoming).await {
            tracing::error!(%error, "operators are not served any more");
        }
    }

    /// The open NIC.
    fn nic(&self) -> Result<Opened, Status> {
        let status = self.nic.borrow();
        (status.opened.clone())
            .ok_or_else(|| Status::unavailable(format!("the NIC is gone: {}", status.problem)))
    }

    /// Asks the state.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Status> {
        let ended = |_| Status::unavailable("the agent is ending");
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(request(reply)).await;
        sent.map_err(|_| Status::unavailable("the agent is ending"))?;
        answer.await.map_err(ended)
    }

    async fn snapshot(&self) -> Result<Box<Snapshot>, Status> {
        self.ask(Request::Snapshot).await
    }
}

/// A failed call to the NIC as a gRPC status.
fn nic_status(error: &NicError) -> Status {
    match error {
        NicError::Refused { .. } | NicError::BadUpdate { .. } => {
            Status::invalid_argument(error.to_string())
        }
        NicError::BatchTooLong { .. } => Status::out_of_range(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}
