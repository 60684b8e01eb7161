//! Punted packets on their way to the service and back.
//!
//! ```text
//! NIC ──► waiting ──► sent ──► answered
//!            │          └─ no answer, or the connection went: SERVICE_TIMEOUT
//!            ├─ too old: SERVICE_TIMEOUT
//!            └─ no room: PUNT_QUEUE_FULL (never waited)
//! ```
//!
//! Both stages share one bound, so that a slow service costs memory up to it and no more. A packet
//! that was sent is never sent again: the service may have forwarded it already.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use flownic_api::v1;

use crate::tables::flow::{Direction, Key};

/// Bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub struct PuntLimits {
    /// Packets, waiting and sent.
    pub packets: usize,
    /// Bytes of their frames.
    pub bytes: usize,
    /// How long a packet may take from the NIC to the service's answer.
    pub deadline: Duration,
}

impl Default for PuntLimits {
    fn default() -> Self {
        PuntLimits {
            packets: 1024,
            bytes: 4 << 20,
            deadline: Duration::from_secs(2),
        }
    }
}

/// What the agent remembers of a punted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Punted {
    /// When it came.
    pub received: Duration,
    /// Port that it came in by.
    pub port: u16,
    /// Bytes of its frame.
    pub bytes: usize,
    /// Its virtual network.
    pub vni: u32,
    /// Its direction.
    pub direction: Direction,
    /// VF port or tunnel source, as in a flow key.
    pub attach: u32,
}

impl Punted {
    /// The entry with this key is the one that this packet missed: an answer has one such entry.
    pub fn missed(&self, key: &Key) -> bool {
        (self.vni, self.direction, self.attach) == (key.vni, key.direction, key.attach)
    }
}

/// The queue.
#[derive(Debug)]
pub struct Punts {
    limits: PuntLimits,
    waiting: VecDeque<(Punted, v1::PuntedPacket)>,
    sent: BTreeMap<u64, Punted>,
    bytes: usize,
    last_id: u64,
}

impl Punts {
    /// An empty queue.
    pub fn new(limits: PuntLimits) -> Self {
        Punts {
            limits,
            waiting: VecDeque::new(),
            sent: BTreeMap::new(),
            bytes: 0,
            last_id: 0,
        }
    }

    /// Packets waiting and sent.
    pub fn held(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// Puts a packet in; false when there is no room.
    pub fn push(&mut self, punted: Punted, message: v1::PuntedPacket) -> bool {
        let bytes = self.bytes + punted.bytes;
        if self.held() >= self.limits.packets || bytes > self.limits.bytes {
            return false;
        }
        self.bytes = bytes;
        self.waiting.push_back((punted, message));
        true
    }

    /// The next packet to send, as its message. Ids ascend over all connections.
    pub fn send_next(&mut self) -> Option<v1::Punt> {
        let (punted, packet) = self.waiting.pop_front()?;
        self.last_id += 1;
        self.sent.insert(self.last_id, punted);
        Some(v1::Punt {
            id: self.last_id,
            packet: Some(packet),
        })
    }

    /// Takes out the packet that an answer is about; `None` when it has been given up, answered,
    /// or never sent.
    pub fn answer(&mut self, id: u64) -> Option<Punted> {
        let punted = self.sent.remove(&id)?;
        self.bytes -= punted.bytes;
        Some(punted)
    }

    /// Gives up on everything that was sent: its answers are lost with the connection.
    pub fn lose_sent(&mut self) -> Vec<Punted> {
        let lost: Vec<_> = std::mem::take(&mut self.sent).into_values().collect();
        self.bytes -= lost.iter().map(|punted| punted.bytes).sum::<usize>();
        lost
    }

    /// Gives up on packets whose deadline is over.
    pub fn expire(&mut self, now: Duration) -> Vec<Punted> {
        let deadline = self.limits.deadline;
        let over = |punted: &Punted| punted.received + deadline <= now;
        let mut expired = Vec::new();
        // Both queues are in the order of arrival.
        while let Some(entry) = self.sent.first_entry().filter(|entry| over(entry.get())) {
            expired.push(entry.remove());
        }
        while let Some((punted, _)) = self.waiting.front().filter(|(punted, _)| over(punted)) {
            expired.push(*punted);
            self.waiting.pop_front();
        }
        self.bytes -= expired.iter().map(|punted| punted.bytes).sum::<usize>();
        expired
    }

    /// When the next packet's deadline is over.
    pub fn next_deadline(&self) -> Option<Duration> {
        let sent = self.sent.first_key_value().map(|(_, punted)| punted);
        let waiting = self.waiting.front().map(|(punted, _)| punted);
        let oldest = sent
            .into_iter()
            .chain(waiting)
            .map(|punted| punted.received);
        Some(oldest.min()? + self.limits.deadline)
    }
}
