//! Flow entries of the service's messages: checked, joined to batches, written, followed by the
//! packets and the acknowledgement.

use std::collections::HashMap;
use std::time::Duration;

use flownic_api::v1;
use flownic_pipeline::entity::{Code, Entity, Update, UpdateError, UpdateKind};
use flownic_versions::Versions;

use super::State;
use super::contents::FlowRecord;
use super::jobs::{Job, Operation};
use super::message::{self, NewFlow};
use super::notice::Notice;
use super::punts::Punted;
use crate::tables::flow::{Action, Direction, Key, Scope, Verdict};

/// A frame that leaves the NIC, its VLAN tag in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Port.
    pub port: u16,
    /// Ethernet frame.
    pub frame: Vec<u8>,
}

/// Where an installation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Answer to a punted packet; `None` when that has been given up.
    Reply(Option<Punted>),
    /// Unasked; to be acknowledged as (connection, message).
    Deliver(Option<(u64, u64)>),
    /// The agent's own packets.
    Own,
}

/// Entries, and packets that leave when they are installed.
#[derive(Debug)]
pub(super) struct Install {
    pub(super) origin: Origin,
    /// Checked when their turn comes: a configuration may be in front of them in the queue.
    entries: Vec<v1::FlowEntry>,
    packets: Vec<v1::PacketOut>,
    /// Size of the message.
    pub(super) bytes: usize,
    /// What went wrong.
    errors: Vec<String>,
}

impl Install {
    pub(super) fn new(
        origin: Origin,
        entries: Vec<v1::FlowEntry>,
        packets: Vec<v1::PacketOut>,
        bytes: usize,
    ) -> Self {
        Install {
            origin,
            entries,
            packets,
            bytes,
            errors: Vec::new(),
        }
    }
}

/// One entry of a batch.
#[derive(Debug)]
struct Line {
    key: Key,
    action: Action,
    reply: bool,
    kind: UpdateKind,
    /// `None` until the NIC said something.
    result: Option<Result<(), UpdateError>>,
}

/// Installations that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lines: Vec<Line>,
    by_key: HashMap<Key, usize>,
    /// Each with its lines.
    installs: Vec<(Install, Vec<usize>)>,
    /// Lines that the running write is about, in its order.
    writing: Vec<usize>,
    retried: bool,
}

impl Batch {
    /// A later entry of the same flow replaces an earlier one of this batch.
    fn add(&mut self, key: Key, action: Action, reply: bool, kind: UpdateKind) -> usize {
        let at = *self.by_key.entry(key).or_insert(self.lines.len());
        let line = Line {
            key,
            action,
            reply,
            kind,
            result: None,
        };
        match self.lines.get_mut(at) {
            Some(there) => *there = line,
            None => self.lines.push(line),
        }
        at
    }

    fn updates(&self, tables: &crate::tables::Tables) -> Vec<Update> {
        let lines = self.writing.iter().filter_map(|&at| self.lines.get(at));
        lines
            .map(|line| Update {
                kind: line.kind,
                entity: Entity::TableEntry(tables.flows.encode(&line.key, &line.action)),
            })
            .collect()
    }

    /// Lines to try once more because the NIC held something else than the mirror said.
    fn take_retries(&mut self) -> Vec<usize> {
        if std::mem::replace(&mut self.retried, true) {
            return Vec::new();
        }
        let mut again = Vec::new();
        for (at, line) in self.lines.iter_mut().enumerate() {
            let code = match &line.result {
                Some(Err(error)) => error.code,
                _ => continue,
            };
            line.kind = match (code, line.kind) {
                (Code::AlreadyExists, UpdateKind::Insert) => UpdateKind::Modify,
                (Code::NotFound, UpdateKind::Modify) => UpdateKind::Insert,
                _ => continue,
            };
            again.push(at);
        }
        again
    }
}

impl State {
    /// Takes installations from the front of the queue as far as they fit into one batch.
    pub(super) fn next_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        while batch.lines.len() < self.settings.batch {
            let Some(Job::Install(_)) = self.jobs.front() else {
                break;
            };
            let Some(Job::Install(install)) = self.jobs.pop_front() else {
                break;
            };
            self.backlog = self.backlog.saturating_sub(install.bytes);
            self.add_to_batch(&mut batch, install);
        }
        batch
    }

    fn add_to_batch(&mut self, batch: &mut Batch, mut install: Install) {
        let mut lines = Vec::with_capacity(install.entries.len());
        for entry in std::mem::take(&mut install.entries) {
            let checked = message::flow(&entry, &self.tables.drops).and_then(|new| self.admit(new));
            match checked {
                Ok((key, action, reply)) => {
                    let kind = match self.mirror.flows.contains_key(&key) {
                        true => UpdateKind::Modify,
                        false => UpdateKind::Insert,
                    };
                    lines.push(batch.add(key, action, reply, kind));
                }
                Err(error) => {
                    self.counters.flow_install_errors += 1;
                    install.errors.push(format!("flow entry refused: {error}"));
                }
            }
        }
        batch.installs.push((install, lines));
    }

    /// Gives an entry its slots. It must belong to a network and VNIC of this host, and must not
    /// lead into another network.
    fn admit(&self, new: NewFlow) -> Result<(Key, Action, bool), String> {
        let NewFlow { key, verdict, .. } = new;
        let config = self.config.as_ref().ok_or("no configuration came yet")?;
        let slot = config.vns.get(&key.vni).and(self.vns.get(&key.vni));
        let vn = Scope {
            slot: slot.ok_or_else(|| format!("vni {} is not on this host", key.vni))?,
            versions: new.vn_versions,
        };
        let mut vnic = Scope {
            slot: 0,
            versions: Versions::default(),
        };
        if !new.vnic.is_empty() {
            let owner = config.vnics.get(&new.vnic).filter(|v| v.vni == key.vni);
            let slot = owner.and_then(|owner| self.vnics.get(&owner.id()));
            vnic.slot = slot.ok_or_else(|| {
                format!(
                    "VNIC \"{}\" of vni {} is not on this host",
                    new.vnic, key.vni
                )
            })?;
            vnic.versions = new.vnic_versions;
        }
        if key.direction == Direction::Outbound {
            let port = u16::try_from(key.attach).unwrap_or(u16::MAX);
            if !config.on_port(port).any(|vnic| vnic.vni == key.vni) {
                return Err(format!("port {port} has no VNIC of vni {}", key.vni));
            }
        }
        if let Verdict::ToVf { port, vlan, .. } = verdict {
            let to = config.attached(port, vlan).map(|vnic| vnic.vni);
            if to != Some(key.vni) {
                let vni = key.vni;
                return Err(format!("port {port} vlan {vlan} has no VNIC of vni {vni}"));
            }
        }
        Ok((key, Action { vn, vnic, verdict }, new.reply))
    }

    /// The write of a new batch; none when no entry is left in it.
    pub(super) fn start_batch(&mut self, batch: &mut Batch) -> Option<Operation> {
        batch.writing = (0..batch.lines.len()).collect();
        self.batch_write(batch)
    }

    fn batch_write(&self, batch: &Batch) -> Option<Operation> {
        let updates = batch.updates(&self.tables);
        (!updates.is_empty()).then(|| Operation::write(updates))
    }

    /// The NIC answered; gives the next write if some entries are to be tried once more.
    pub(super) fn batch_written(
        &mut self,
        now: Duration,
        batch: &mut Batch,
        results: Vec<Result<(), UpdateError>>,
    ) -> Option<Operation> {
        let mut results = results.into_iter();
        for at in std::mem::take(&mut batch.writing) {
            let result = results.next().unwrap_or_else(|| Err(missing_result()));
            if let Some(line) = batch.lines.get_mut(at) {
                line.result = Some(result);
            }
        }
        batch.writing = batch.take_retries();
        let again = self.batch_write(batch);
        if again.is_none() {
            self.take_over(now, batch);
        }
        again
    }

    /// Takes the installed entries into the mirror, and counts.
    fn take_over(&mut self, now: Duration, batch: &mut Batch) {
        for line in &batch.lines {
            match &line.result {
                Some(Ok(())) => self.installed(now, line),
                Some(Err(error)) => self.not_installed(now, line, error),
                None => {}
            }
        }
        let (lines, installs) = (&batch.lines, &mut batch.installs);
        for (install, own) in installs {
            for line in own.iter().filter_map(|&at| lines.get(at)) {
                match &line.result {
                    Some(Ok(())) => self.measure(now, install.origin, line),
                    Some(Err(error)) => install.errors.push(format!("{}: {error}", line.key)),
                    None => {}
                }
            }
        }
    }

    fn installed(&mut self, now: Duration, line: &Line) {
        self.counters.flows_installed += 1;
        self.orphans.remove(&line.key);
        let record = self.mirror.flows.entry(line.key).or_insert(FlowRecord {
            action: line.action,
            reply: line.reply,
            punted: 0,
            installed: now,
            install_time: Duration::ZERO,
        });
        record.action = line.action;
        record.reply = line.reply;
    }

    fn not_installed(&mut self, now: Duration, line: &Line, error: &UpdateError) {
        self.counters.flow_install_errors += 1;
        let flow = line.key.to_string();
        let notice = if error.code == Code::ResourceExhausted {
            self.counters.table_full += 1;
            let table = self.tables.flows.name_of(&line.key);
            Notice::TableFull { table, flow }
        } else {
            let error = error.to_string();
            Notice::InstallFailed { flow, error }
        };
        self.notices.push(now, notice);
    }

    /// Time from punt to entry, when this entry is the one that the punted packet missed.
    fn measure(&mut self, now: Duration, origin: Origin, line: &Line) {
        let Origin::Reply(Some(punted)) = origin else {
            return;
        };
        if !punted.missed(&line.key) {
            return;
        }
        let time = now.saturating_sub(punted.received);
        self.counters.miss_latency.record(time);
        if let Some(record) = self.mirror.flows.get_mut(&line.key) {
            record.punted += 1;
            if record.punted == 1 {
                record.install_time = time;
            }
        }
    }

    /// The packets of a batch, when its entries are installed.
    pub(super) fn batch_packets(&mut self, batch: &mut Batch) -> Option<Operation> {
        let mut outgoing = Vec::new();
        for (install, _) in &mut batch.installs {
            for packet in std::mem::take(&mut install.packets) {
                match self.outgoing(packet) {
                    Ok(packet) => outgoing.push(packet),
                    Err(error) => {
                        self.counters.packets_refused += 1;
                        install.errors.push(error);
                    }
                }
            }
        }
        self.counters.packets_injected += outgoing.len() as u64;
        (!outgoing.is_empty()).then_some(Operation::Send(outgoing))
    }

    /// Adds the tag. Packets go to VNICs only.
    fn outgoing(&self, packet: v1::PacketOut) -> Result<Outgoing, String> {
        let v1::PacketOut { port, vlan, frame } = packet;
        let attached = || {
            let (port, vlan) = (u16::try_from(port).ok()?, u16::try_from(vlan).ok()?);
            self.config.as_ref()?.attached(port, vlan)?;
            Some((port, vlan))
        };
        let (port, vlan) = attached()
            .ok_or_else(|| format!("packet not sent: port {port} vlan {vlan} has no VNIC"))?;
        Ok(Outgoing {
            port,
            frame: message::tagged(frame, vlan),
        })
    }

    /// All of a batch is done.
    pub(super) fn finish_batch(&mut self, now: Duration, batch: Batch) {
        for (install, _) in batch.installs {
            let error = install.errors.join("; ");
            match install.origin {
                Origin::Deliver(ack) => self.ack(ack, error),
                _ if error.is_empty() => {}
                _ => self.bad_message(now, error),
            }
        }
    }

    /// Nothing of it can be done: its message is acknowledged with the reason.
    pub(super) fn fail_install(&mut self, install: &Install, error: &str) {
        self.counters.flow_install_errors += install.entries.len() as u64;
        self.counters.packets_refused += install.packets.len() as u64;
        if let Origin::Deliver(ack) = install.origin {
            self.ack(ack, error.to_owned());
        }
    }

    /// The NIC went away under a batch. What it did of it will be read back.
    pub(super) fn fail_batch(&mut self, batch: &Batch, error: &str) {
        for (install, lines) in &batch.installs {
            self.counters.flow_install_errors += lines.len() as u64;
            self.fail_install(install, error);
        }
    }
}

/// A driver that answers fewer updates than it got did not do the rest.
pub(super) fn missing_result() -> UpdateError {
    UpdateError {
        code: Code::Internal,
        message: "the driver gave no result".into(),
    }
}
