//! A flow of packets that the demo makes itself: DNS queries, numbered, in one subnet, so that each
//! arrives exactly as it was sent.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use flownic_wire::{MacAddr, checksum, ethernet, ipv4, protocol};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::replay::Vms;
use super::script::Vm;
use super::vm::Want;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 20);
const A_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const B_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x14]);

/// Between two packets of a stream.
const SPACING: Duration = Duration::from_millis(5);
/// After the last packet of a stream, the time that late ones have.
const LATE: Duration = Duration::from_millis(500);

/// A flow from a to b.
#[derive(Clone)]
pub(crate) struct Probe {
    vms: Vms,
    src_port: u16,
    dst_port: u16,
    next: u32,
}

/// A packet of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// When it was sent.
    pub(crate) at: Instant,
    /// When it arrived.
    pub(crate) arrived: Option<Instant>,
}

impl Probe {
    /// A flow that nobody else uses.
    pub(crate) fn new(vms: Vms, src_port: u16, dst_port: u16) -> Probe {
        Probe {
            vms,
            src_port,
            dst_port,
            next: 0,
        }
    }

    /// Sends one packet; true when it arrives within `deadline`.
    pub(crate) async fn once(&mut self, deadline: Duration) -> Result<bool, String> {
        let sent = Instant::now();
        let arrival = self.send().await?;
        Ok(matches!(
            timeout_at(sent + deadline, arrival).await,
            Ok(Ok(_))
        ))
    }

    /// Sends packets until one arrives, for at most `deadline`; how long it took.
    pub(crate) async fn until_arrives(
        &mut self,
        deadline: Duration,
    ) -> Result<Option<Duration>, String> {
        let start = Instant::now();
        while start.elapsed() < deadline {
            if self.once(Duration::from_millis(100)).await? {
                return Ok(Some(start.elapsed()));
            }
        }
        Ok(None)
    }

    /// Sends a packet every 5 ms until `stop` says so, then waits for the last ones.
    pub(crate) async fn stream(
        &mut self,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<Vec<Sent>, String> {
        let mut ticks = interval(SPACING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                _ = &mut stop => break,
                _ = ticks.tick() => {
                    let at = Instant::now();
                    waiting.push((at, self.send().await?));
                }
            }
        }
        let end = Instant::now() + LATE;
        let mut sent = Vec::new();
        for (at, arrival) in waiting {
            let arrived = timeout_at(end, arrival).await.ok().and_then(Result::ok);
            sent.push(Sent { at, arrived });
        }
        Ok(sent)
    }

    async fn send(&mut self) -> Result<oneshot::Receiver<Instant>, String> {
        let frame = self.frame(self.next);
        self.next += 1;
        let (Some(a), Some(b)) = (self.vms.get(&Vm::A), self.vms.get(&Vm::B)) else {
            return Err("VMs a and b are not there".into());
        };
        let arrival = b.expect(Want::Frame(frame.clone()));
        a.send(&frame)
            .await
            .map_err(|error| format!("a cannot send: {error}"))?;
        Ok(arrival)
    }

    fn frame(&self, number: u32) -> Vec<u8> {
        let mut datagram = Vec::new();
        let query = query(number);
        let length = 8 + query.len() as u16;
        for field in [self.src_port, self.dst_port, length, 0] {
            datagram.extend(field.to_be_bytes());
        }
        datagram.extend(query);
        let sum = checksum::transport(IpAddr::V4(A), IpAddr::V4(B), protocol::UDP, &datagram);
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());

        let mut frame = Vec::new();
        ethernet::emit(&mut frame, B_MAC, A_MAC, ethernet::IPV4);
        let header = ipv4::Repr {
            src: A,
            dst: B,
            protocol: protocol::UDP,
            ttl: 64,
            tos: 0,
            payload_len: datagram.len() as u16,
        };
        ipv4::emit(&mut frame, &header);
        frame.extend(datagram);
        frame
    }
}

/// A query for the address of `n<number>.example` (RFC 1035 §4.1).
fn query(number: u32) -> Vec<u8> {
    const RECURSION_DESIRED: u8 = 1;
    let mut query = Vec::new();
    query.extend((number as u16).to_be_bytes());
    query.extend([RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [format!("n{number:08}").as_str(), "example", ""] {
        query.push(label.len() as u8);
        query.extend(label.bytes());
    }
    query.extend([0, 1, 0, 1]);
    query
}
