//! Connections to the agent and to the network interface service.

use std::time::Duration;

use flownic_api::v1::agent_client::AgentClient;
use flownic_api::v1::virtual_networks_client::VirtualNetworksClient;
use tonic::transport::{Channel, Endpoint};

use crate::error::Error;

/// Answers carry whole tables in messages of bounded size, but a P4Info may be large.
const LARGEST_MESSAGE: usize = 64 << 20;

/// Where the servers are and how long one call may take.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    /// The agent of one NIC, `http://HOST:PORT`.
    pub(crate) agent: String,
    /// The network interface service, `http://HOST:PORT`.
    pub(crate) nis: String,
    /// For connecting, and again for each call.
    pub(crate) timeout: Duration,
}

impl Servers {
    /// Connects to the agent.
    pub(crate) async fn agent(&self) -> Result<Agent, Error> {
        let peer = Peer {
            name: "the agent",
            url: self.agent.clone(),
            advice: "is flownicd running there? --agent names another address",
        };
        let channel = peer.connect(self.timeout).await?;
        let client = AgentClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        Ok(Agent { client, peer })
    }

    /// Connects to the operators' side of the network interface service.
    pub(crate) async fn networks(&self) -> Result<Networks, Error> {
        let peer = Peer {
            name: "the network interface service",
            url: self.nis.clone(),
            advice: "is flownic-cloud running there? --nis names another address",
        };
        let channel = peer.connect(self.timeout).await?;
        let client = VirtualNetworksClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        Ok(Networks { client, peer })
    }
}

/// A connected agent.
pub(crate) struct Agent {
    /// The generated client.
    pub(crate) client: AgentClient<Channel>,
    peer: Peer,
}

/// A connected network interface service.
pub(crate) struct Networks {
    /// The generated client.
    pub(crate) client: VirtualNetworksClient<Channel>,
    peer: Peer,
}

impl Agent {
    /// Says what failed; to be used with `map_err`.
    pub(crate) fn explain(&self, what: &str) -> impl Fn(tonic::Status) -> Error + use<> {
        self.peer.explain(what)
    }
}

impl Networks {
    /// Says what failed; to be used with `map_err`.
    pub(crate) fn explain(&self, what: &str) -> impl Fn(tonic::Status) -> Error + use<> {
        self.peer.explain(what)
    }
}

#[derive(Debug, Clone)]
struct Peer {
    name: &'static str,
    url: String,
    advice: &'static str,
}

impl Peer {
    async fn connect(&self, timeout: Duration) -> Result<Channel, Error> {
        let bad_address = |error| {
            Error::Usage(format!(
                "\"{}\" is no address of {}: {error}; write http://HOST:PORT",
                self.url, self.name
            ))
        };
        let endpoint = Endpoint::from_shared(self.url.clone())
            .map_err(|error| bad_address(error.to_string()))?
            .connect_timeout(timeout)
            .timeout(timeout);
        endpoint.connect().await.map_err(|error| {
            Error::Unreachable(format!(
                "cannot reach {} at {}: {}; {}",
                self.name,
                self.url,
                root_cause(&error),
                self.advice
            ))
        })
    }

    fn explain(&self, what: &str) -> impl Fn(tonic::Status) -> Error + use<> {
        let peer = self.clone();
        let what = what.to_owned();
        move |status| {
            let mut text = format!("{what}: {} ({} said this)", status.message(), peer.url);
            if status.message().is_empty() {
                text = format!(
                    "{what}: {} ({} said this)",
                    status.code().description(),
                    peer.url
                );
            }
            match status.code() {
                tonic::Code::Unavailable
                | tonic::Code::DeadlineExceeded
                | tonic::Code::Cancelled => Error::Unreachable(format!(
                    "{what}: no answer from {} at {}: {}; {}",
                    peer.name,
                    peer.url,
                    status.message(),
                    peer.advice
                )),
                code => Error::from_code(code, text),
            }
        }
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
