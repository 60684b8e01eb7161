//! Ports of fragments. Only the first fragment of a packet has them; they are remembered for the
//! others.
//!
//! Bounded in number and time; a pure state machine like [`ConnTrack`](crate::ConnTrack). A
//! fragment that overtakes its first one is an orphan: waiting for it would mean to store
//! packets of strangers.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use flownic_wire::flow::{FlowTuple, FrameFlow};

/// A packet whose fragments may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    vni: u32,
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    identification: u32,
}

#[derive(Clone, Copy, Debug)]
struct First {
    ports: (u16, u16),
    seen: Duration,
    number: u64,
}

/// A later fragment whose first one is not known: FRAGMENT_ORPHAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fragment whose first one was never seen")]
pub struct Orphan;

/// Ports of first fragments.
#[derive(Debug)]
pub struct Fragments {
    capacity: usize,
    lifetime: Duration,
    firsts: HashMap<Key, First>,
    /// In the order of arrival; a key that came again is in it twice, told apart by number.
    arrivals: VecDeque<(Key, u64)>,
    count: u64,
}

impl Default for Fragments {
    /// 65 536 packets for 30 seconds: as long as Linux waits (`ipfrag_time`).
    fn default() -> Fragments {
        Fragments::new(1 << 16, Duration::from_secs(30))
    }
}

impl Fragments {
    /// Remembers at most `capacity` packets, each for `lifetime`.
    pub fn new(capacity: usize, lifetime: Duration) -> Fragments {
        Fragments {
            capacity,
            lifetime,
            firsts: HashMap::new(),
            arrivals: VecDeque::new(),
            count: 0,
        }
    }

    /// Packets that are remembered.
    pub fn len(&self) -> usize {
        self.firsts.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// The flow of a packet with its ports. A packet that is no fragment has them already; a
    /// first fragment has them and is remembered. A first fragment too short for its ports is an
    /// orphan as well (RFC 1858 §3: tiny fragments).
    pub fn resolve(
        &mut self,
        vni: u32,
        frame: &FrameFlow,
        now: Duration,
    ) -> Result<FlowTuple, Orphan> {
        let Some(fragment) = frame.fragment else {
            return Ok(frame.tuple);
        };
        self.expire(now);
        let key = Key {
            vni,
            src: frame.tuple.src,
            dst: frame.tuple.dst,
            protocol: frame.tuple.protocol,
            identification: fragment.identification,
        };
        let ports = if fragment.offset == 0 {
            let ports = fragment.ports.ok_or(Orphan)?;
            if fragment.more {
                self.remember(key, ports, now);
            }
            ports
        } else {
            self.firsts.get(&key).ok_or(Orphan)?.ports
        };
        Ok(frame.tuple.with_ports(ports))
    }

    /// Forgets packets whose time is over.
    pub fn expire(&mut self, now: Duration) {
        while let Some(&(key, number)) = self.arrivals.front() {
            let current = self.firsts.get(&key).filter(|first| first.number == number);
            match current {
                Some(first) if now.saturating_sub(first.seen) < self.lifetime => break,
                Some(_) => {
                    self.firsts.remove(&key);
                }
                None => {}
            }
            self.arrivals.pop_front();
        }
    }

    fn remember(&mut self, key: Key, ports: (u16, u16), now: Duration) {
        if self.capacity == 0 {
            return;
        }
        // Every arrival is queued, so the queue bounds both.
        while self.arrivals.len() >= self.capacity {
            self.forget_oldest();
        }
        self.count += 1;
        let first = First {
            ports,
            seen: now,
            number: self.count,
        };
        self.firsts.insert(key, first);
        self.arrivals.push_back((key, self.count));
    }

    fn forget_oldest(&mut self) {
        if let Some((key, number)) = self.arrivals.pop_front()
            && self
                .firsts
                .get(&key)
                .is_some_and(|first| first.number == number)
        {
            self.firsts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
