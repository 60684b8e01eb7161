//! Configurations on their way to the agents, and who has not confirmed them yet.

use std::collections::BTreeMap;
use std::time::Duration;

/// Every configuration that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    by_ticket: BTreeMap<u64, Rollout>,
}

#[derive(Debug)]
struct Rollout {
    deadline: Duration,
    /// Host by the id of the Configure that it was sent.
    waiting: BTreeMap<u64, String>,
    /// One line for each host that will not confirm.
    missing: Vec<String>,
}

impl Rollouts {
    pub(super) fn start(
        &mut self,
        ticket: u64,
        deadline: Duration,
        waiting: BTreeMap<u64, String>,
        missing: Vec<String>,
    ) {
        let rollout = Rollout {
            deadline,
            waiting,
            missing,
        };
        self.by_ticket.insert(ticket, rollout);
    }

    /// What `host` answered to a Configure; `error` is empty if it was applied. Other ids are no
    /// concern, nor are those of other hosts.
    pub(super) fn answered(&mut self, id: u64, host: &str, error: &str) {
        for rollout in self.by_ticket.values_mut() {
            if rollout
                .waiting
                .get(&id)
                .is_some_and(|waiting| waiting == host)
            {
                rollout.waiting.remove(&id);
                if !error.is_empty() {
                    rollout.missing.push(format!("{host}: {error}"));
                }
            }
        }
    }

    /// The agent of a host has gone and will not answer.
    pub(super) fn gone(&mut self, host: &str) {
        for rollout in self.by_ticket.values_mut() {
            let before = rollout.waiting.len();
            rollout.waiting.retain(|_, waiting| waiting != host);
            if rollout.waiting.len() < before {
                rollout.missing.push(format!("{host}: its agent went away"));
            }
        }
    }

    /// Gives up what was due before `now`.
    pub(super) fn expire(&mut self, now: Duration) {
        for rollout in self.by_ticket.values_mut() {
            if rollout.deadline <= now {
                let late = std::mem::take(&mut rollout.waiting).into_values();
                let lines = late.map(|host| format!("{host}: did not confirm in time"));
                rollout.missing.extend(lines);
            }
        }
    }

    /// The earliest time at which something is to be given up.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.by_ticket
            .values()
            .map(|rollout| rollout.deadline)
            .min()
    }

    /// Takes out those that nobody is waited for any more: ticket, and the hosts that are missing.
    pub(super) fn finished(&mut self) -> impl Iterator<Item = (u64, Vec<String>)> {
        self.by_ticket
            .extract_if(.., |_, rollout| rollout.waiting.is_empty())
            .map(|(ticket, rollout)| (ticket, rollout.missing))
    }
}
