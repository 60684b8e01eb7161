//! Connections that a stateful rule let start, as the network interface service remembers them.
//!
//! A connection is named by the flow of its first packet. Its reverse is found by that flow
//! turned round. The table is bounded: full, it forgets the connection that was longest unused.
//! What it says never allows anything by itself: [`evaluate`](crate::evaluate()) asks the rules
//! again.
//!
//! A pure state machine: time comes in as the duration since any fixed start, and never goes
//! back.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use flownic_wire::flow::FlowTuple;
use flownic_wire::protocol;

use crate::entry::{Action, FlowEntry};
use crate::evaluate::Connection;

/// Bounds of a [`ConnTrack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnLimits {
    /// Connections at most.
    pub capacity: usize,
    /// TCP connections are forgotten after this time without a packet at the service.
    pub tcp_idle: Duration,
    /// Others likewise.
    pub other_idle: Duration,
}

impl Default for ConnLimits {
    /// A million connections. The service sees only packets that a NIC has no current entry for,
    /// so idle times are long: RFC 5382 §5 asks for two hours and four minutes for TCP.
    fn default() -> ConnLimits {
        ConnLimits {
            capacity: 1 << 20,
            tcp_idle: Duration::from_secs(2 * 3600 + 4 * 60),
            other_idle: Duration::from_secs(3600),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    vni: u32,
    flow: FlowTuple,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    at: Duration,
    /// Tells uses at the same time apart, so that the order has no ties.
    number: u64,
}

/// Connections by the flow that started them.
#[derive(Debug, Default)]
pub struct ConnTrack {
    limits: ConnLimits,
    connections: HashMap<Key, Use>,
    /// Least recently used first.
    order: BTreeMap<u64, Key>,
    uses: u64,
    evicted: u64,
}

impl ConnTrack {
    /// An empty table.
    pub fn new(limits: ConnLimits) -> ConnTrack {
        ConnTrack {
            limits,
            ..ConnTrack::default()
        }
    }

    /// Connections in the table, idle ones that have not been removed yet included.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Connections that had to go because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Remembers the connection that `flow` started, or that it was used. A flow that is the
    /// reverse of a known connection refreshes that one.
    pub fn insert(&mut self, vni: u32, flow: FlowTuple, now: Duration) {
        if self.limits.capacity == 0 {
            return;
        }
        let key = self.find(vni, &flow, now).unwrap_or(Key { vni, flow });
        if !self.connections.contains_key(&key) && self.connections.len() >= self.limits.capacity {
            self.evict_one();
        }
        self.touch(key, now);
    }

    /// What is known about a packet of `flow`. `quoted`: for an ICMP error, the flow of the
    /// packet that it is about. The connection found counts as used.
    pub fn classify(
        &mut self,
        vni: u32,
        flow: &FlowTuple,
        quoted: Option<&FlowTuple>,
        now: Duration,
    ) -> Connection {
        if let Some(quoted) = quoted.filter(|_| flow.is_icmp_error()) {
            // The error goes back to who sent the quoted packet, from who it was for.
            if quoted.src != flow.dst || quoted.dst != flow.src {
                return Connection::New;
            }
            return match self.find(vni, quoted, now) {
                Some(key) => {
                    self.touch(key, now);
                    Connection::Related(key.flow)
                }
                None => Connection::New,
            };
        }
        match self.find(vni, flow, now) {
            Some(key) => {
                self.touch(key, now);
                if key.flow == *flow {
                    Connection::New
                } else {
                    Connection::Reply
                }
            }
            None => Connection::New,
        }
    }

    /// Forgets the connection that `flow` or its reverse is of; true when there was one.
    pub fn remove(&mut self, vni: u32, flow: &FlowTuple) -> bool {
        let reverse = flow.reverse();
        [Some(*flow), reverse]
            .into_iter()
            .flatten()
            .any(|flow| self.forget(&Key { vni, flow }))
    }

    /// Forgets all connections of a network.
    pub fn remove_network(&mut self, vni: u32) {
        self.connections.retain(|key, _| key.vni != vni);
        self.order.retain(|_, key| key.vni != vni);
    }

    /// Learns from an entry that a NIC holds, after a restart of the service. Entries that deny
    /// say nothing.
    pub fn restore(&mut self, entry: &FlowEntry, now: Duration) {
        let denies = matches!(entry.action, Action::Deny { .. });
        self.restore_flow(entry.key.vni, &entry.key.tuple, entry.reply, denies, now);
    }

    /// As [`ConnTrack::restore`], from the parts of an entry: a reply's reverse started the
    /// connection, any other flow started it itself.
    pub fn restore_flow(
        &mut self,
        vni: u32,
        flow: &FlowTuple,
        reply: bool,
        denies: bool,
        now: Duration,
    ) {
        let starter = if reply { flow.reverse() } else { Some(*flow) };
        let Some(starter) = starter.filter(|flow| !denies && flow.may_start()) else {
            return;
        };
        if reply {
            // Who started it is certain now; a guess the other way round gives way.
            self.forget(&Key { vni, flow: *flow });
        }
        self.insert(vni, starter, now);
    }

    /// Removes idle connections; returns how many.
    pub fn expire(&mut self, now: Duration) -> usize {
        let idle: Vec<Key> = self
            .connections
            .iter()
            .filter(|(key, last)| self.is_idle(key, last, now))
            .map(|(key, _)| *key)
            .collect();
        for key in &idle {
            self.forget(key);
        }
        idle.len()
    }

    /// The connection that `flow` belongs to, in either direction.
    fn find(&self, vni: u32, flow: &FlowTuple, now: Duration) -> Option<Key> {
        [Some(*flow), flow.reverse()]
            .into_iter()
            .flatten()
            .map(|flow| Key { vni, flow })
            .find(|key| {
                let last = self.connections.get(key);
                last.is_some_and(|last| !self.is_idle(key, last, now))
            })
    }

    fn is_idle(&self, key: &Key, last: &Use, now: Duration) -> bool {
        let limit = if key.flow.protocol == protocol::TCP {
            self.limits.tcp_idle
        } else {
            self.limits.other_idle
        };
        now.saturating_sub(last.at) >= limit
    }

    fn touch(&mut self, key: Key, now: Duration) {
        self.uses += 1;
        let this = Use {
            at: now,
            number: self.uses,
        };
        if let Some(last) = self.connections.insert(key, this) {
            self.order.remove(&last.number);
        }
        self.order.insert(self.uses, key);
    }

    fn forget(&mut self, key: &Key) -> bool {
        match self.connections.remove(key) {
            Some(last) => {
                self.order.remove(&last.number);
                true
            }
            None => false,
        }
    }

    fn evict_one(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.connections.remove(&key);
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests;
