//! The reference switch, `simple_switch`, as a process of its own. Its ports are TAP devices
//! whose other end this process holds; tables are written through `simple_switch_CLI`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use flownic_pipeline::entity::{
    Action, CounterData, Entity, MatchValue, TableEntry, Update, UpdateKind,
};
use flownic_pipeline::p4info::{MatchField, MatchType, P4Info};
use flownic_softnic::ports::MAX_FRAME;
use flownic_softnic::ports::address::{Endpoint, PortAddress};
use flownic_softnic::ports::port::Port;
use num_bigint::BigUint;

use crate::program::Program;
use crate::target::{Output, Target, TargetError};

/// How long the switch may take to start, and to answer a command.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long expected packets may take.
const PACKET_PATIENCE: Duration = Duration::from_secs(3);
/// After so long without a packet none is on its way.
const QUIET: Duration = Duration::from_millis(120);
/// What the command line tool says when it wants a command.
const PROMPT: &str = "RuntimeCmd: ";

/// Why scripts cannot run on the reference switch here; `None`: they can.
pub fn missing() -> Option<String> {
    for tool in ["simple_switch", "simple_switch_CLI", "ip"] {
        if find(tool).is_none() {
            return Some(format!("{tool} is not on the PATH"));
        }
    }
    let address = tap(0, &format!("fbt{}", std::process::id() % 100_000));
    match Port::open(&address) {
        Ok(_) => None,
        Err(error) => Some(format!("TAP devices cannot be created: {error}")),
    }
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(tool))
        .find(|file| file.is_file())
}

fn tap(number: u16, name: &str) -> PortAddress {
    PortAddress {
        number,
        endpoint: Endpoint::Tap {
            name: name.to_owned(),
            namespace: None,
        },
    }
}

/// A running switch; it ends with this value.
pub struct Bmv2 {
    switch: Child,
    cli: Cli,
    ports: BTreeMap<u16, Port>,
    p4info: P4Info,
    /// Handles of entries by table and key.
    handles: HashMap<String, String>,
    /// Multicast groups that exist.
    groups: Vec<u16>,
    buffer: Box<[u8; MAX_FRAME + 1]>,
    _directory: tempfile::TempDir,
}

impl Bmv2 {
    /// Starts the switch with these ports.
    ///
    /// # Errors
    /// It does not start, or the system refuses TAP devices.
    pub fn start(program: &Program, ports: &[u16]) -> Result<Bmv2, TargetError> {
        let io = |error: std::io::Error| TargetError(error.to_string());
        let directory = tempfile::tempdir().map_err(io)?;
        let json = directory.path().join("program.json");
        std::fs::write(&json, &program.json).map_err(io)?;
        let thrift = free_port().map_err(io)?;
        let mut command = Command::new("simple_switch");
        command.args(["--thrift-port", &thrift.to_string()]);
        command.args(["--device-id", &(thrift % 1000).to_string()]);
        let mut open = BTreeMap::new();
        for &number in ports {
            let name = format!("fb{thrift}p{number}");
            let port = Port::open(&tap(number, &name)).map_err(io)?;
            bring_up(&name)?;
            command.arg("-i").arg(format!("{number}@{name}"));
            open.insert(number, port);
        }
        command
            .arg(&json)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(File::create(directory.path().join("stderr")).map_err(io)?);
        let mut switch = command.spawn().map_err(io)?;
        if let Err(error) = wait_for(thrift, &mut switch) {
            let _ = switch.kill();
            return Err(error);
        }
        let cli = match Cli::start(thrift) {
            Ok(cli) => cli,
            Err(error) => {
                let _ = switch.kill();
                return Err(error);
            }
        };
        Ok(Bmv2 {
            switch,
            cli,
            ports: open,
            p4info: program.p4info.clone(),
            handles: HashMap::new(),
            groups: Vec::new(),
            buffer: Box::new([0; MAX_FRAME + 1]),
            _directory: directory,
        })
    }

    /// Receives what is there; says how much.
    fn collect(&mut self, outputs: &mut Vec<Output>) -> usize {
        let before = outputs.len();
        for (&port, tap) in &mut self.ports {
            while let Some(frame) = tap.receive(&mut self.buffer) {
                outputs.push(Output {
                    port,
                    bytes: frame.to_vec(),
                });
            }
        }
        outputs.len() - before
    }

    fn table_entry(&mut self, kind: UpdateKind, entry: &TableEntry) -> Result<(), TargetError> {
        let Some(table) = self.p4info.table_by_id(entry.table) else {
            return Err(TargetError(format!("there is no table {:#x}", entry.table)));
        };
        let name = table.preamble.name.clone();
        let action = match &entry.action {
            Some(action) => self.action(action)?,
            None => (String::new(), String::new()),
        };
        if entry.is_default {
            return self.cli.run(&format!(
                "table_set_default {name} {} {}",
                action.0, action.1
            ));
        }
        let mut key = Vec::new();
        for field in &table.match_fields {
            let given = entry.matches.iter().find(|given| given.field == field.id);
            key.push(key_text(field, given.map(|given| &given.value)));
        }
        let key = key.join(" ");
        let identity = format!("{name} {key} {}", entry.priority);
        match kind {
            UpdateKind::Insert => {
                let priority = match table.needs_priority() {
                    // For the switch small numbers win.
                    true => (1_000_000 - i64::from(entry.priority)).to_string(),
                    false => String::new(),
                };
                let line = format!(
                    "table_add {name} {} {key} => {} {priority}",
                    action.0, action.1
                );
                let answer = self.cli.ask(&line)?;
                let Some((_, handle)) = answer.split_once("added with handle ") else {
                    return Err(TargetError(format!("{line}: {answer}")));
                };
                let handle = handle.split_whitespace().next().unwrap_or("").to_owned();
                self.handles.insert(identity, handle);
                Ok(())
            }
            UpdateKind::Modify | UpdateKind::Delete => {
                let Some(handle) = self.handles.get(&identity).cloned() else {
                    return Err(TargetError(format!("there is no entry {identity}")));
                };
                if kind == UpdateKind::Modify {
                    let line = format!("table_modify {name} {} {handle} {}", action.0, action.1);
                    return self.cli.run(&line);
                }
                self.handles.remove(&identity);
                self.cli.run(&format!("table_delete {name} {handle}"))
            }
        }
    }

    /// Name and parameters.
    fn action(&self, action: &Action) -> Result<(String, String), TargetError> {
        let Some(known) = self.p4info.action_by_id(action.id) else {
            return Err(TargetError(format!("there is no action {:#x}", action.id)));
        };
        let mut params = Vec::new();
        for param in &known.params {
            let value = action.params.iter().find(|(id, _)| *id == param.id);
            let Some((_, value)) = value else {
                return Err(TargetError(format!("parameter {} is missing", param.name)));
            };
            params.push(hex(value));
        }
        Ok((known.preamble.name.clone(), params.join(" ")))
    }

    fn register_name(&self, id: u32) -> Result<&str, TargetError> {
        match self.p4info.register_by_id(id) {
            Some(register) => Ok(&register.preamble.name),
            None => Err(TargetError(format!("there is no register {id:#x}"))),
        }
    }
}

impl Drop for Bmv2 {
    fn drop(&mut self) {
        // Whatever fails here, the processes are gone already.
        let _ = self.switch.kill();
        let _ = self.switch.wait();
    }
}

impl Target for Bmv2 {
    fn name(&self) -> &str {
        "bmv2"
    }

    fn write(&mut self, update: &Update) -> Result<(), TargetError> {
        match &update.entity {
            Entity::TableEntry(entry) => self.table_entry(update.kind, entry),
            Entity::Register {
                register,
                index,
                value,
            } => {
                let name = self.register_name(*register)?.to_owned();
                self.cli.run(&format!(
                    "register_write {name} {index} {}",
                    BigUint::from_bytes_be(value)
                ))
            }
            Entity::Counter { .. } => Err(TargetError("counters are not written here".into())),
        }
    }

    fn send(&mut self, port: u16, packet: &[u8]) -> Result<(), TargetError> {
        match self.ports.get_mut(&port) {
            Some(port) => port.send(packet),
            None => return Err(TargetError(format!("there is no port {port}"))),
        }
        Ok(())
    }

    fn outputs(&mut self, expected: usize) -> Result<Vec<Output>, TargetError> {
        let mut outputs = Vec::new();
        let start = Instant::now();
        let mut last = start;
        loop {
            if self.collect(&mut outputs) > 0 {
                last = Instant::now();
            }
            let patience = if outputs.len() < expected {
                PACKET_PATIENCE
            } else {
                QUIET
            };
            if last.elapsed() > patience {
                return Ok(outputs);
            }
            if let Ok(Some(status)) = self.switch.try_wait() {
                return Err(TargetError(format!("simple_switch ended: {status}")));
            }
            pause(Duration::from_millis(2));
        }
    }

    fn counter(&mut self, id: u32, index: u32) -> Result<CounterData, TargetError> {
        let Some(counter) = self.p4info.counter_by_id(id) else {
            return Err(TargetError(format!("there is no counter {id:#x}")));
        };
        let line = format!("counter_read {} {index}", counter.preamble.name);
        let answer = self.cli.ask(&line)?;
        // NAME[INDEX]= (BYTES bytes, PACKETS packets)
        let number = |unit: &str| {
            let (front, _) = answer.split_once(unit)?;
            front
                .rsplit(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        };
        match (number(" packets"), number(" bytes")) {
            (Some(packets), Some(bytes)) => Ok(CounterData { packets, bytes }),
            _ => Err(TargetError(format!("{line}: {answer}"))),
        }
    }

    fn register(&mut self, id: u32, index: u32) -> Result<Vec<u8>, TargetError> {
        let line = format!("register_read {} {index}", self.register_name(id)?);
        let answer = self.cli.ask(&line)?;
        let value = answer
            .split_once("]= ")
            .map(|(_, value)| value.trim().as_bytes());
        let value = value.and_then(|value| BigUint::parse_bytes(value, 10));
        match value {
            Some(value) => Ok(value.to_bytes_be()),
            None => Err(TargetError(format!("{line}: {answer}"))),
        }
    }

    fn set_group(&mut self, group: u16, members: &[(u16, Vec<u16>)]) -> Result<(), TargetError> {
        if self.groups.contains(&group) {
            self.cli.run(&format!("mc_mgrp_destroy {group}"))?;
        } else {
            self.groups.push(group);
        }
        self.cli.run(&format!("mc_mgrp_create {group}"))?;
        for (instance, ports) in members {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let line = format!("mc_node_create {instance} {}", ports.join(" "));
            let answer = self.cli.ask(&line)?;
            let Some((_, handle)) = answer.split_once("created with handle ") else {
                return Err(TargetError(format!("{line}: {answer}")));
            };
            self.cli
                .run(&format!("mc_node_associate {group} {}", handle.trim()))?;
        }
        Ok(())
    }

    fn set_session(
        &mut self,
        session: u16,
        port: Option<u16>,
        group: Option<u16>,
    ) -> Result<(), TargetError> {
        match (port, group) {
            (Some(port), _) => self.cli.run(&format!("mirroring_add {session} {port}")),
            (None, Some(group)) => self.cli.run(&format!("mirroring_add_mc {session} {group}")),
            (None, None) => self.cli.run(&format!("mirroring_delete {session}")),
        }
    }
}

/// `simple_switch_CLI`, running for the whole script.
struct Cli {
    process: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
}

impl Cli {
    fn start(thrift: u16) -> Result<Cli, TargetError> {
        let io = |error: std::io::Error| TargetError(error.to_string());
        let mut process = Command::new("simple_switch_CLI")
            .args(["--thrift-port", &thrift.to_string()])
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(io)?;
        let (Some(input), Some(mut stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(TargetError("simple_switch_CLI has no pipes".into()));
        };
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut cli = Cli {
            process,
            input,
            output,
        };
        cli.answer()?;
        Ok(cli)
    }

    /// Everything up to the next prompt.
    fn answer(&mut self) -> Result<String, TargetError> {
        let (mut answer, end) = (Vec::new(), Instant::now() + PATIENCE);
        while !answer.ends_with(PROMPT.as_bytes()) {
            match self
                .output
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(more) => answer.extend(more),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(TargetError("simple_switch_CLI does not answer".into()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let said = String::from_utf8_lossy(&answer).into_owned();
                    return Err(TargetError(format!("simple_switch_CLI ended: {said}")));
                }
            }
        }
        answer.truncate(answer.len() - PROMPT.len());
        Ok(String::from_utf8_lossy(&answer).trim().to_owned())
    }

    fn ask(&mut self, command: &str) -> Result<String, TargetError> {
        let line = format!("{command}\n");
        self.input
            .write_all(line.as_bytes())
            .map_err(|error| TargetError(error.to_string()))?;
        self.answer()
    }

    /// A command whose answer matters only when it says that something is wrong.
    fn run(&mut self, command: &str) -> Result<(), TargetError> {
        let answer = self.ask(command)?;
        match ["Error", "Invalid", "error"]
            .iter()
            .any(|word| answer.contains(word))
        {
            true => Err(TargetError(format!("{command}: {answer}"))),
            false => Ok(()),
        }
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Between two looks at something that only can be looked at: ports that another process opens
/// or writes to.
#[expect(clippy::disallowed_methods, reason = "there is nothing to wait on")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A TCP port that nobody uses now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Until the switch listens.
fn wait_for(thrift: u16, switch: &mut Child) -> Result<(), TargetError> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if TcpStream::connect(("127.0.0.1", thrift)).is_ok() {
            return Ok(());
        }
        if let Ok(Some(status)) = switch.try_wait() {
            return Err(TargetError(format!(
                "simple_switch ended at once: {status}"
            )));
        }
        pause(Duration::from_millis(20));
    }
    Err(TargetError("simple_switch does not listen".into()))
}

/// Up, long frames, and nothing sent by the kernel itself.
fn bring_up(name: &str) -> Result<(), TargetError> {
    // Not there without IPv6 in the kernel.
    let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
    let status = Command::new("ip")
        .args([
            "link", "set", "dev", name, "mtu", "9000", "promisc", "on", "up",
        ])
        .status()
        .map_err(|error| TargetError(format!("ip: {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(TargetError(format!("ip link set {name}: {status}"))),
    }
}

fn hex(bytes: &[u8]) -> String {
    format!("{:#x}", BigUint::from_bytes_be(bytes))
}

/// A key field as the command line tool reads it.
fn key_text(field: &MatchField, value: Option<&MatchValue>) -> String {
    match (field.match_type, value) {
        (_, Some(MatchValue::Exact(value))) => hex(value),
        (_, Some(MatchValue::Lpm { value, prefix_len })) => format!("{}/{prefix_len}", hex(value)),
        (_, Some(MatchValue::Ternary { value, mask })) => {
            format!("{}&&&{}", hex(value), hex(mask))
        }
        (_, Some(MatchValue::Range { low, high })) => format!("{}->{}", hex(low), hex(high)),
        (_, Some(MatchValue::Optional(value))) => {
            let ones = (BigUint::from(1u8) << field.bitwidth) - 1u8;
            format!("{}&&&{ones:#x}", hex(value))
        }
        (Some(MatchType::Lpm), None) => "0/0".into(),
        (Some(MatchType::Range), None) => {
            let ones = (BigUint::from(1u8) << field.bitwidth) - 1u8;
            format!("0->{ones:#x}")
        }
        (_, None) => "0&&&0".into(),
    }
}
