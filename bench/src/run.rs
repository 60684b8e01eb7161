//! Fills tables and sends packets, on one thread, and checks what comes out.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use flownic_pipeline::entity::{Atomicity, Update};
use flownic_pipeline::p4info::P4Info;
use flownic_softnic::{Engine, Options};

use crate::clock::{Span, each, rate, timed};
use crate::error::BenchError;
use crate::machine::resident_bytes;
use crate::random::Random;
use crate::report::{PacketRate, WriteRate};
use crate::workload::Workload;

/// Packets that are made, then sent: enough that reading the clock does not count, few enough
/// that they stay in the cache near the core.
const BURST: u64 = 4096;
/// Entries that are made, then written.
const CHUNK: u64 = 8192;

/// A program in memory.
pub(crate) struct Compiled {
    json: Vec<u8>,
    pub(crate) p4info: P4Info,
}

impl Compiled {
    pub(crate) fn read(options: &crate::Program) -> Result<Compiled, BenchError> {
        let read = |path: &Path| std::fs::read(path).map_err(BenchError::file(path));
        Ok(Compiled {
            json: read(&options.program)?,
            p4info: P4Info::from_json(&read(&options.p4info)?)?,
        })
    }

    /// A pipeline with what a workload needs beside its entries.
    pub(crate) fn engine(&self, workload: &dyn Workload) -> Result<Engine, BenchError> {
        let mut engine = Engine::load(&self.json, self.p4info.clone(), &Options::default())?;
        write(&mut engine, workload.setup(), 0)?;
        Ok(engine)
    }
}

/// Writes one batch; `first` is the number of its first entry, for messages.
fn write(engine: &mut Engine, updates: &[Update], first: u64) -> Result<(), BenchError> {
    let results = engine.write(updates, Atomicity::ContinueOnError);
    match (first..).zip(results).find(|(_, result)| result.is_err()) {
        Some((entry, Err(error))) => Err(BenchError::Refused {
            entry,
            message: error.message,
        }),
        _ => Ok(()),
    }
}

/// Inserts the entries of flows in batches.
pub(crate) fn fill(
    engine: &mut Engine,
    workload: &dyn Workload,
    flows: u64,
    batch: usize,
) -> Result<WriteRate, BenchError> {
    let (mut span, mut at) = (Span::default(), 0);
    while at < flows {
        let end = flows.min(at + CHUNK);
        let updates: Vec<Update> = (at..end).map(|flow| workload.entry(flow)).collect();
        let (result, time) = timed(|| {
            let batches = updates.chunks(batch).zip((at..).step_by(batch));
            let mut batches = batches.map(|(batch, first)| write(engine, batch, first));
            batches.find(Result::is_err).unwrap_or(Ok(()))
        });
        result?;
        span += time;
        at = end;
    }
    Ok(WriteRate {
        table: workload.name(),
        batch,
        entries: flows,
        entries_per_second: rate(span.wall, flows),
        ns_per_entry: each(span.wall, flows),
        ns_per_entry_cpu: each(span.cpu, flows),
    })
}

/// Packets with what must come of them.
#[derive(Default)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
}

/// A packet of a burst; both packets lie in its bytes.
struct Packet {
    flow: u64,
    port: u16,
    packet: Range<usize>,
    expected_port: u16,
    expected: Range<usize>,
}

impl Burst {
    /// Packets of these flows.
    pub(crate) fn fill(&mut self, workload: &dyn Workload, flows: impl Iterator<Item = u64>) {
        self.bytes.clear();
        self.packets.clear();
        for flow in flows {
            let start = self.bytes.len();
            let port = workload.packet(flow, &mut self.bytes);
            let middle = self.bytes.len();
            let expected_port = workload.expected(flow, &mut self.bytes);
            self.packets.push(Packet {
                flow,
                port,
                packet: start..middle,
                expected_port,
                expected: middle..self.bytes.len(),
            });
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.packets.len() as u64
    }

    /// Port and bytes of every packet to send.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let packets = self.packets.iter();
        packets.map(|packet| (packet.port, &self.bytes[packet.packet.clone()]))
    }

    /// Port and bytes of every packet to come.
    pub(crate) fn expected(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let packets = self.packets.iter();
        packets.map(|packet| (packet.expected_port, &self.bytes[packet.expected.clone()]))
    }

    /// Sends all; gives the time and how many gave exactly the expected packet and no other.
    pub(crate) fn send(&self, engine: &mut Engine, now: Duration) -> (Span, u64) {
        let (right, span) = timed(|| {
            let mut right = 0;
            for packet in &self.packets {
                let expected = &self.bytes[packet.expected.clone()];
                let mut out = (0, false);
                engine.process(
                    packet.port,
                    &self.bytes[packet.packet.clone()],
                    now,
                    &mut |port, bytes| {
                        let same = port == packet.expected_port && bytes == expected;
                        out = (out.0 + 1, same);
                    },
                );
                right += u64::from(out == (1, true));
            }
            right
        });
        (span, right)
    }

    /// What is wrong with the first packet that is not as expected.
    fn explain(&self, engine: &mut Engine) -> BenchError {
        for packet in &self.packets {
            let mut outputs = Vec::new();
            let bytes = &self.bytes[packet.packet.clone()];
            engine.process(packet.port, bytes, Duration::ZERO, &mut |port, bytes| {
                outputs.push((port, bytes.to_vec()));
            });
            let expected = (
                packet.expected_port,
                self.bytes[packet.expected.clone()].to_vec(),
            );
            if outputs != [expected.clone()] {
                return BenchError::Wrong {
                    flow: packet.flow,
                    what: format!("gives {outputs:02x?} and not {expected:02x?}"),
                };
            }
        }
        BenchError::Wrong {
            flow: 0,
            what: "was wrong once and is right now".into(),
        }
    }
}

/// Sends a packet of every flow, in order.
pub(crate) fn check_every_flow(
    engine: &mut Engine,
    workload: &dyn Workload,
    flows: u64,
) -> Result<(), BenchError> {
    let mut burst = Burst::default();
    for first in (0..flows).step_by(BURST as usize) {
        burst.fill(workload, first..flows.min(first + BURST));
        if burst.send(engine, Duration::ZERO).1 != burst.len() {
            return Err(burst.explain(engine));
        }
    }
    Ok(())
}

/// Sends packets of flows drawn uniformly from the whole table.
pub(crate) fn random_flows(
    engine: &mut Engine,
    workload: &dyn Workload,
    flows: u64,
    seconds: f64,
    seed: u64,
) -> Result<PacketRate, BenchError> {
    let mut random = Random::new(seed);
    let mut burst = Burst::default();
    let (mut span, mut packets, mut right) = (Span::default(), 0, 0);
    while span.wall.as_secs_f64() < seconds {
        burst.fill(workload, (0..BURST).map(|_| random.below(flows)));
        let (time, good) = burst.send(engine, span.wall);
        span += time;
        packets += burst.len();
        right += good;
    }
    result(workload, flows, packets, right, span)
}

/// Sends the same packets again and again.
pub(crate) fn repeated(
    engine: &mut Engine,
    workload: &dyn Workload,
    flows: u64,
    seconds: f64,
    burst: &Burst,
) -> Result<PacketRate, BenchError> {
    let (mut span, mut packets, mut right) = (Span::default(), 0, 0);
    while span.wall.as_secs_f64() < seconds {
        let (time, good) = burst.send(engine, span.wall);
        span += time;
        packets += burst.len();
        right += good;
    }
    result(workload, flows, packets, right, span)
}

fn result(
    workload: &dyn Workload,
    flows: u64,
    packets: u64,
    right: u64,
    span: Span,
) -> Result<PacketRate, BenchError> {
    if right != packets {
        let wrong = packets - right;
        return Err(BenchError::WrongPackets { wrong, packets });
    }
    Ok(PacketRate {
        path: workload.name(),
        entries: flows,
        packets,
        packets_per_second: rate(span.wall, packets),
        ns_per_packet: each(span.wall, packets),
        ns_per_packet_cpu: each(span.cpu, packets),
        resident_mib: resident_bytes() >> 20,
    })
}
