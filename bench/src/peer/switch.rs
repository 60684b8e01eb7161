//! `simple_switch` as a process that reads packets from files.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use super::{COMMAND_LINE, SWITCH};
use crate::error::BenchError;

/// How long the switch may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so long without a new packet it has lost the missing ones.
const QUIET: Duration = Duration::from_secs(3);
/// How often its progress is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// When it is done.
pub(crate) struct Goal {
    /// Size of all its output files together.
    pub(crate) bytes: u64,
    /// Entries beside those of the set-up.
    pub(crate) entries: u64,
}

/// What it took.
pub(crate) struct Replayed {
    /// To write the entries with its command line tool.
    pub(crate) write_time: Duration,
    /// Processor time of all its threads for the packets.
    pub(crate) cpu_time: Duration,
    /// What it printed.
    pub(crate) messages: String,
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever fails here, the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the switch in a directory with `pPORT_in.pcap` for each port; it writes `pPORT_out.pcap`.
pub(crate) fn run(
    directory: &Path,
    program: &Path,
    ports: &BTreeSet<u16>,
    lines: &str,
    goal: &Goal,
) -> Result<Replayed, BenchError> {
    // The packets start by the clock: the entries must be in place before.
    let delay = 15 + goal.entries / 250;
    let program = std::fs::canonicalize(program).map_err(BenchError::file(program))?;
    let messages = directory.join("messages");
    let thrift = free_port().map_err(|e| BenchError::Peer(e.to_string()))?;
    let mut command = Command::new(SWITCH);
    command.current_dir(directory);
    command.args(["--use-files", &delay.to_string()]);
    command.args(["--thrift-port", &thrift.to_string()]);
    // Device ids name a file in /tmp: they must differ between switches.
    command.args(["--device-id", &thrift.to_string()]);
    for port in ports {
        command.arg("-i").arg(format!("{port}@p{port}"));
    }
    command.arg(program).stdin(Stdio::null());
    let output = || File::create(&messages).map_err(BenchError::file(&messages));
    command.stdout(output()?).stderr(output()?);
    let start = Instant::now();
    let spawned = command.spawn();
    let mut switch = Running(spawned.map_err(|e| BenchError::Peer(e.to_string()))?);
    wait_for(thrift, &mut switch.0, &messages)?;
    let write_time = write(directory, thrift, lines)?;
    if start.elapsed() + Duration::from_secs(1) > Duration::from_secs(delay) {
        let what = format!("writing the entries took longer than {delay} s; use fewer");
        return Err(BenchError::Peer(what));
    }
    let before = cpu_time(&switch.0);
    let patience = Duration::from_secs(delay).saturating_sub(start.elapsed()) + PATIENCE;
    wait_until_quiet(directory, ports, goal.bytes, patience);
    Ok(Replayed {
        write_time,
        cpu_time: cpu_time(&switch.0).saturating_sub(before),
        messages: std::fs::read_to_string(&messages).unwrap_or_default(),
    })
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Until it takes commands.
fn wait_for(thrift: u16, switch: &mut Child, messages: &Path) -> Result<(), BenchError> {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", thrift)).is_err() {
        if let Ok(Some(status)) = switch.try_wait() {
            let text = std::fs::read_to_string(messages).unwrap_or_default();
            return Err(BenchError::Peer(format!("it ended, {status}: {text}")));
        }
        if Instant::now() > end {
            return Err(BenchError::Peer("it does not start".into()));
        }
        park_timeout(LOOK);
    }
    Ok(())
}

/// Writes all entries; gives the time that it took.
fn write(directory: &Path, thrift: u16, lines: &str) -> Result<Duration, BenchError> {
    let (input, output) = (directory.join("commands"), directory.join("answers"));
    std::fs::write(&input, lines).map_err(BenchError::file(&input))?;
    let start = Instant::now();
    let status = Command::new(COMMAND_LINE)
        .args(["--thrift-port", &thrift.to_string()])
        .stdin(File::open(&input).map_err(BenchError::file(&input))?)
        .stdout(File::create(&output).map_err(BenchError::file(&output))?)
        .stderr(Stdio::null())
        .status()
        .map_err(|e| BenchError::Peer(e.to_string()))?;
    let time = start.elapsed();
    let answers = std::fs::read_to_string(&output).map_err(BenchError::file(&output))?;
    let added = answers.matches("has been added with handle").count();
    let wanted = lines.matches("table_add ").count();
    if added != wanted || answers.contains("Error") {
        let first = answers.lines().find(|line| line.contains("Error"));
        let why = first.unwrap_or("no message");
        let what =
            format!("{added} of {wanted} entries were added ({COMMAND_LINE}: {status}): {why}");
        return Err(BenchError::Peer(what));
    }
    Ok(time)
}

/// Until all output is there, or nothing more comes.
fn wait_until_quiet(directory: &Path, ports: &BTreeSet<u16>, goal: u64, patience: Duration) {
    let size = || -> u64 {
        let files = ports
            .iter()
            .map(|port| directory.join(format!("p{port}_out.pcap")));
        files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    };
    let (empty, end) = (size(), Instant::now() + patience);
    let (mut last, mut changed) = (empty, Instant::now());
    while last < goal {
        park_timeout(LOOK);
        let now = size();
        if now != last {
            (last, changed) = (now, Instant::now());
        }
        let waited = if last == empty {
            Instant::now() > end
        } else {
            changed.elapsed() > QUIET
        };
        if waited {
            return;
        }
    }
}

/// Of all threads of a process; fields 14 and 15 of /proc/PID/stat, proc(5).
fn cpu_time(process: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()));
    let Ok(stat) = stat else {
        return Duration::ZERO;
    };
    // The second field is the name in parentheses and may contain anything.
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = rest
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}
