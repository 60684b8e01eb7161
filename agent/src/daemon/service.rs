//! The stream to the network interface service: opened, kept alive, opened again.

use std::time::Duration;

use flownic_api::v1::network_interface_client::NetworkInterfaceClient;
use flownic_api::v1::{AgentMessage, NisMessage};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use super::StartError;
use super::backoff::Backoff;

/// What happens on the stream.
#[derive(Debug)]
pub(super) enum ServiceEvent {
    /// Connected: what is sent here goes out. Numbers ascend.
    Up(u64, mpsc::Sender<AgentMessage>),
    /// The service took the stream.
    Ready,
    /// It says something.
    Message(Box<NisMessage>),
    /// The stream is over.
    Down,
}

/// Messages between state and stream; more wait in the state, where they are bounded.
const OUTGOING: usize = 64;

/// Largest message that is taken: a whole configuration of a host may be long.
const MAX_MESSAGE: usize = 64 << 20;

/// Checks the service's address.
pub(super) fn endpoint(address: &str) -> Result<Endpoint, StartError> {
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| {
        let (address, reason) = (address.to_owned(), error.to_string());
        StartError::Service { address, reason }
    })?;
    // A peer that vanished without a word is noticed within 3 s.
    Ok(endpoint
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(1))
        .keep_alive_timeout(Duration::from_secs(2)))
}

/// Keeps a stream open until the daemon ends.
pub(super) async fn run(endpoint: Endpoint, events: mpsc::Sender<ServiceEvent>) {
    let mut backoff = Backoff::default();
    let mut number = 0;
    let mut last_error = String::new();
    loop {
        match endpoint.connect().await {
            Ok(channel) => {
                number += 1;
                let error = stream(channel, number, &events, &mut backoff).await;
                last_error.clear();
                tracing::warn!(service = %endpoint.uri(), error, "lost the service");
                if events.send(ServiceEvent::Down).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let error = chain(&error);
                if error != last_error {
                    tracing::warn!(service = %endpoint.uri(), error, "service not reachable, trying again");
                    last_error = error;
                }
            }
        }
        sleep(backoff.delay()).await;
    }
}

/// An error with its causes: tonic's own says "transport error" only.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// One stream, from its beginning to its end; says why it ended.
async fn stream(
    channel: Channel,
    number: u64,
    events: &mpsc::Sender<ServiceEvent>,
    backoff: &mut Backoff,
) -> String {
    let (outgoing, messages) = mpsc::channel(OUTGOING);
    let mut client = NetworkInterfaceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    // The greeting must be on its way before the service answers.
    let up = ServiceEvent::Up(number, outgoing);
    if events.send(up).await.is_err() {
        return "the agent ends".into();
    }
    let mut incoming = match client.attach(ReceiverStream::new(messages)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return format!("{}: {}", status.code(), status.message()),
    };
    let _ = events.send(ServiceEvent::Ready).await;
    tracing::info!(connection = number, "attached to the service");
    loop {
        match incoming.message().await {
            Ok(Some(message)) => {
                // It works: a later loss is a new one.
                backoff.reset();
                let _ = events.send(ServiceEvent::Message(Box::new(message))).await;
            }
            Ok(None) => return "it closed the stream".into(),
            Err(status) => return format!("{}: {}", status.code(), status.message()),
        }
    }
}
