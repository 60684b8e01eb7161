//! Runs a script on a target.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flownic_pipeline::p4info::P4Info;
use num_bigint::BigUint;

use crate::names;
use crate::script::{Line, Pattern, Statement};
use crate::target::{Target, TargetError};

/// Something that was not as the script says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line of the script; `None`: at its end.
    pub line: Option<usize>,
    /// What.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => write!(f, "at the end: {}", self.what),
        }
    }
}

/// Runs all lines; an empty list means that everything was as the script says.
pub fn run(target: &mut dyn Target, p4info: &P4Info, script: &[Line]) -> Vec<Failure> {
    let mut run = Run {
        target,
        p4info,
        expected: BTreeMap::new(),
        any: BTreeSet::new(),
        received: BTreeMap::new(),
        pending: false,
        nodes: Vec::new(),
        groups: BTreeMap::new(),
        failures: Vec::new(),
    };
    // Ports that the script does not look at closely are known beforehand.
    for line in script {
        if let Statement::Expect {
            port,
            pattern: None,
        } = line.statement
        {
            run.any.insert(port);
        }
    }
    for line in script {
        if let Err(what) = run.line(line) {
            run.fail(Some(line.number), what);
            // What follows depends on it.
            return run.failures;
        }
    }
    if let Err(error) = run.settle() {
        run.fail(None, error.to_string());
    }
    run.compare(None);
    run.failures
}

struct Run<'a> {
    target: &'a mut dyn Target,
    p4info: &'a P4Info,
    expected: BTreeMap<u16, VecDeque<(usize, Pattern)>>,
    any: BTreeSet<u16>,
    received: BTreeMap<u16, VecDeque<Vec<u8>>>,
    /// Packets went in, and what came out was not collected yet.
    pending: bool,
    nodes: Vec<(u16, Vec<u16>)>,
    groups: BTreeMap<u16, Vec<(u16, Vec<u16>)>>,
    failures: Vec<Failure>,
}

impl Run<'_> {
    fn fail(&mut self, line: Option<usize>, what: String) {
        self.failures.push(Failure { line, what });
    }

    fn line(&mut self, line: &Line) -> Result<(), String> {
        match &line.statement {
            Statement::Packet { port, bytes } => {
                self.pending = true;
                self.target
                    .send(*port, bytes)
                    .map_err(|error| error.to_string())
            }
            Statement::Expect { port, pattern } => {
                if let Some(pattern) = pattern {
                    let expected = self.expected.entry(*port).or_default();
                    expected.push_back((line.number, pattern.clone()));
                }
                Ok(())
            }
            Statement::Show => Ok(()),
            // Everything else must not overtake packets.
            other => {
                self.settle().map_err(|error| error.to_string())?;
                self.act(line.number, other)
            }
        }
    }

    fn act(&mut self, line: usize, statement: &Statement) -> Result<(), String> {
        let p4info = self.p4info;
        let text = |error: TargetError| error.to_string();
        let name = |error: names::NameError| error.to_string();
        match statement {
            Statement::Entry(kind, entry) => {
                let update = names::entry(p4info, *kind, entry).map_err(name)?;
                self.target.write(&update).map_err(text)
            }
            Statement::SetDefault { table, action } => {
                let update = names::default_entry(p4info, table, action).map_err(name)?;
                self.target.write(&update).map_err(text)
            }
            Statement::RegisterWrite(cell) => {
                let update = names::register_write(p4info, cell).map_err(name)?;
                self.target.write(&update).map_err(text)
            }
            Statement::CheckRegister(cell) => {
                let id = names::register(p4info, &cell.name).map_err(name)?;
                let value = self.target.register(id, cell.index).map_err(text)?;
                let value = BigUint::from_bytes_be(&value);
                if value != cell.value {
                    let what = format!(
                        "{}[{}] is {value}, not {}",
                        cell.name, cell.index, cell.value
                    );
                    self.fail(Some(line), what);
                }
                Ok(())
            }
            Statement::CheckCounter {
                name: counter,
                index,
                bytes,
                relation,
                value,
            } => {
                let id = names::counter(p4info, counter).map_err(name)?;
                let data = self.target.counter(id, *index).map_err(text)?;
                let is = if *bytes { data.bytes } else { data.packets };
                if !relation.holds(is, *value) {
                    let what =
                        format!("{counter}({index}) is {is}; {relation:?} {value} is expected");
                    self.fail(Some(line), what);
                }
                Ok(())
            }
            Statement::NoPacket => {
                self.compare(Some(line));
                Ok(())
            }
            Statement::Wait => Ok(()),
            replication => self.replication(replication).map_err(text),
        }
    }

    fn replication(&mut self, statement: &Statement) -> Result<(), TargetError> {
        match statement {
            Statement::Group(group) => {
                self.groups.insert(*group, Vec::new());
                self.target.set_group(*group, &[])
            }
            Statement::Node { instance, ports } => {
                self.nodes.push((*instance, ports.clone()));
                Ok(())
            }
            Statement::Associate { group, node } => {
                let Some(node) = self.nodes.get(*node) else {
                    return Err(TargetError(format!("there is no node {node}")));
                };
                let members = self.groups.entry(*group).or_default();
                members.push(node.clone());
                self.target.set_group(*group, members)
            }
            Statement::Mirror { session, port } => {
                self.target.set_session(*session, Some(*port), None)
            }
            Statement::MirrorGroup { session, group } => {
                self.target.set_session(*session, None, Some(*group))
            }
            _ => Ok(()),
        }
    }

    /// Collects what came out.
    fn settle(&mut self) -> Result<(), TargetError> {
        if !std::mem::take(&mut self.pending) {
            return Ok(());
        }
        let expected: usize = self.expected.values().map(VecDeque::len).sum();
        let received: usize = self.received.values().map(VecDeque::len).sum();
        for output in self.target.outputs(expected.saturating_sub(received))? {
            self.received
                .entry(output.port)
                .or_default()
                .push_back(output.bytes);
        }
        Ok(())
    }

    /// Compares what came out with what was expected so far.
    fn compare(&mut self, line: Option<usize>) {
        let ports: BTreeSet<u16> = self
            .expected
            .keys()
            .chain(self.received.keys())
            .copied()
            .collect();
        for port in ports {
            let mut expected = self.expected.remove(&port).unwrap_or_default();
            let mut received = self.received.remove(&port).unwrap_or_default();
            if self.any.contains(&port) {
                continue;
            }
            while let (Some((at, pattern)), Some(packet)) =
                (expected.pop_front(), received.pop_front())
            {
                if !pattern.matches(&packet) {
                    self.fail(Some(at), difference(port, &pattern, &packet));
                }
                if expected.is_empty() || received.is_empty() {
                    break;
                }
            }
            for (at, pattern) in expected {
                self.fail(
                    Some(at),
                    format!("port {port}: no packet; expected {pattern}"),
                );
            }
            for packet in received {
                self.fail(
                    line,
                    format!("port {port}: unexpected packet {}", hex(&packet)),
                );
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a packet is not as expected.
fn difference(port: u16, pattern: &Pattern, packet: &[u8]) -> String {
    let got = hex(packet);
    let digits = got.bytes().zip(&pattern.digits);
    let same = digits
        .take_while(|(got, want)| {
            want.is_none_or(|want| char::from(*got).to_digit(16) == Some(u32::from(want)))
        })
        .count();
    format!(
        "port {port}: byte {} is different ({} bytes came)\n  expected {pattern}\n  received {got}\n           {}^",
        same / 2,
        packet.len(),
        " ".repeat(same),
    )
}
