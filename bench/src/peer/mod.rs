//! The comparison with bmv2's `simple_switch`: same program, same entries, same packets, same
//! run; never at the same time.

mod capture;
mod commands;
mod switch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::rate;
use crate::error::BenchError;
use crate::random::Random;
use crate::report::{Comparison, PeerRate};
use crate::run::{self, Burst, Compiled};
use crate::workload::Workload;
use crate::{Measure, Program};

const SWITCH: &str = "simple_switch";
const COMMAND_LINE: &str = "simple_switch_CLI";

/// Why there is no comparison here; `None`: there is.
pub(crate) fn missing() -> Option<String> {
    let missing = [SWITCH, COMMAND_LINE]
        .into_iter()
        .find(|tool| find(tool).is_none())?;
    Some(format!("{missing} is not on the PATH"))
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(tool))
        .find(|file| file.is_file())
}

/// Runs both.
pub(crate) fn compare(
    program: &Program,
    compiled: &Compiled,
    workload: &dyn Workload,
    measure: &Measure,
) -> Result<Comparison, BenchError> {
    let entries = measure.peer_entries;
    let mut random = Random::new(measure.seed);
    let mut burst = Burst::default();
    let flows = (0..measure.peer_packets).map(|_| random.below(entries));
    burst.fill(workload, flows);

    let mut engine = compiled.engine(workload)?;
    run::fill(&mut engine, workload, entries, 256)?;
    let softnic = run::repeated(&mut engine, workload, entries, measure.seconds, &burst)?;
    drop(engine);

    let peer = replay(program, compiled, workload, entries, &burst)?;
    Ok(Comparison {
        ratio: softnic.packets_per_second / peer.packets_per_second,
        ratio_cpu: peer.ns_per_packet_cpu / softnic.ns_per_packet_cpu,
        softnic,
        peer,
    })
}

/// Lets the switch read the packets of a burst from files, and looks at what it wrote.
fn replay(
    program: &Program,
    compiled: &Compiled,
    workload: &dyn Workload,
    entries: u64,
    burst: &Burst,
) -> Result<PeerRate, BenchError> {
    let directory = tempfile::tempdir().map_err(|e| BenchError::Peer(e.to_string()))?;
    let ports: BTreeSet<u16> = burst
        .sent()
        .chain(burst.expected())
        .map(|(port, _)| port)
        .collect();
    for &port in &ports {
        let path = directory.path().join(format!("p{port}_in.pcap"));
        let packets = burst.sent().filter(|&(at, _)| at == port);
        capture::write(&path, packets.map(|(_, bytes)| bytes)).map_err(BenchError::file(&path))?;
    }
    let lines = commands::lines(&compiled.p4info, workload, entries)?;
    let (bytes, packets) = burst
        .expected()
        .fold((0, 0), |(bytes, count), (_, packet)| {
            (bytes + packet.len() as u64, count + 1)
        });
    let goal = switch::Goal {
        bytes: bytes + packets * capture::RECORD_BYTES + ports.len() as u64 * capture::FILE_BYTES,
        entries,
    };
    let replayed = switch::run(directory.path(), &program.program, &ports, &lines, &goal)?;

    let (mut out, mut identical) = (0, 0);
    let (mut first, mut last) = (Duration::MAX, Duration::ZERO);
    for &port in &ports {
        let path = directory.path().join(format!("p{port}_out.pcap"));
        let records = capture::read(&path).map_err(BenchError::file(&path))?;
        let mut expected = burst.expected().filter(|&(at, _)| at == port);
        for record in records {
            out += 1;
            first = first.min(record.time);
            last = last.max(record.time);
            let same = expected
                .next()
                .is_some_and(|(_, bytes)| bytes == record.bytes);
            identical += u64::from(same);
        }
    }
    if out < 2 {
        return Err(BenchError::Peer(format!(
            "{out} of {} packets came out: {}",
            burst.len(),
            replayed.messages
        )));
    }
    Ok(PeerRate {
        entries,
        entries_per_second: rate(replayed.write_time, entries),
        packets_in: burst.len(),
        packets_out: out,
        identical,
        packets_per_second: rate(last.saturating_sub(first), out - 1),
        ns_per_packet_cpu: crate::clock::each(replayed.cpu_time, burst.len()),
    })
}
