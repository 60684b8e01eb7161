//! Plays a script: many conversations at once, each packet after the one before has arrived.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::script::{Conversation, Expect, Step, Vm};
use super::vm::{Endpoint, Want};

/// A tenant's VMs.
pub(crate) type Vms = Arc<HashMap<Vm, Endpoint>>;

/// How the replay goes about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A packet that has not arrived after this is lost.
    pub(crate) deadline: Duration,
    /// Between a refused packet and its repetition.
    pub(crate) patience: Duration,
    /// Conversations of a tenant at the same time.
    pub(crate) at_once: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            deadline: Duration::from_secs(4),
            patience: Duration::from_millis(150),
            at_once: 12,
        }
    }
}

/// What became of a conversation.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Its place in the tenant's script.
    pub(crate) index: usize,
    /// Time from sending to arrival of each packet that arrived or was answered, in order.
    pub(crate) latencies: Vec<Duration>,
    /// Packets sent.
    pub(crate) sent: usize,
    /// Set when a check failed; the rest of the conversation was not sent then.
    pub(crate) failure: Option<Failure>,
}

/// A packet that did not do what it must.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Place in the conversation, from 1.
    pub(crate) packet: usize,
    /// Packets in the conversation.
    pub(crate) of: usize,
    /// Who sent it.
    pub(crate) from: Vm,
    /// What happened instead.
    pub(crate) what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packet, of, from) = (self.packet, self.of, self.from.name());
        write!(f, "packet {packet} of {of}, sent by {from}: {}", self.what)
    }
}

/// Plays one tenant's script; `tick` is called after each packet.
pub(crate) async fn play(
    script: Arc<Vec<Conversation>>,
    vms: Vms,
    pace: Pace,
    tick: impl Fn() + Clone + Send + 'static,
) -> Vec<Outcome> {
    let permits = Arc::new(Semaphore::new(pace.at_once));
    let mut running = JoinSet::new();
    for index in 0..script.len() {
        let (script, vms, tick) = (Arc::clone(&script), Arc::clone(&vms), tick.clone());
        let permits = Arc::clone(&permits);
        // Permits are given in the order of asking, so conversations start in that of the script.
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            converse(index, &script[index].steps, &vms, pace, tick).await
        });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes.extend(outcome.ok());
    }
    outcomes.sort_by_key(|outcome| outcome.index);
    outcomes
}

async fn converse(
    index: usize,
    steps: &[Step],
    vms: &HashMap<Vm, Endpoint>,
    pace: Pace,
    tick: impl Fn(),
) -> Outcome {
    let mut outcome = Outcome {
        index,
        latencies: Vec::new(),
        sent: 0,
        failure: None,
    };
    for (at, step) in steps.iter().enumerate() {
        let done = perform(step, vms, pace).await;
        outcome.sent += 1;
        tick();
        match done {
            Ok(latency) => outcome.latencies.extend(latency),
            Err(what) => {
                outcome.failure = Some(Failure {
                    packet: at + 1,
                    of: steps.len(),
                    from: step.from,
                    what,
                });
                break;
            }
        }
    }
    outcome
}

async fn perform(
    step: &Step,
    vms: &HashMap<Vm, Endpoint>,
    pace: Pace,
) -> Result<Option<Duration>, String> {
    let sender = vms.get(&step.from).ok_or("its VM is not there")?;
    let (receiver, want, name) = match &step.expect {
        Expect::Arrives { at, frame } => {
            let receiver = vms.get(at).ok_or("its receiver is not there")?;
            (receiver, Want::Frame(frame.clone()), at.name())
        }
        Expect::Answer(answer) => (sender, Want::Answer(answer.clone()), step.from.name()),
        Expect::Absorbed | Expect::Refused(_) => {
            send(sender, &step.frame).await?;
            if matches!(step.expect, Expect::Refused(_)) {
                sleep(pace.patience).await;
            }
            return Ok(None);
        }
    };
    let arrival = receiver.expect(want.clone());
    let start = Instant::now();
    send(sender, &step.frame).await?;
    match timeout_at(start + pace.deadline, arrival).await {
        Ok(Ok(at)) => Ok(Some(at.duration_since(start))),
        _ => Err(missed(receiver, &want, name, pace.deadline)),
    }
}

async fn send(sender: &Endpoint, frame: &[u8]) -> Result<(), String> {
    sender
        .send(frame)
        .await
        .map_err(|error| format!("cannot send it: {error}"))
}

fn missed(receiver: &Endpoint, want: &Want, name: &str, deadline: Duration) -> String {
    let frame = match want {
        Want::Answer(answer) => {
            return format!("no answer {answer:?} at {name} within {deadline:?}");
        }
        Want::Frame(frame) => frame,
    };
    let Some(nearest) = receiver.nearest(frame) else {
        return format!("nothing like it arrived at {name} within {deadline:?}");
    };
    let differ = frame.iter().zip(&nearest).position(|(a, b)| a != b);
    let at = differ.unwrap_or(frame.len().min(nearest.len()));
    format!(
        "it arrived at {name} changed: {} bytes instead of {}, first difference at byte {at}\n    \
         expected …{}\n    arrived  …{}",
        nearest.len(),
        frame.len(),
        excerpt(frame, at),
        excerpt(&nearest, at)
    )
}

fn excerpt(frame: &[u8], at: usize) -> String {
    let start = at.saturating_sub(4).min(frame.len());
    let end = (at + 12).min(frame.len());
    let words: Vec<String> = frame[start..end]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    words.join(" ")
}
