//! The queue of work for the NIC: one job at a time, one operation of it at a time.

use std::sync::Arc;
use std::time::Duration;

use flownic_pipeline::entity::{Atomicity, Code, Entity, Update, UpdateError, UpdateKind};

use super::State;
use super::config::{Config, VnicId};
use super::install::{Batch, Install, Outgoing, missing_result};
use super::notice::Notice;
use super::plan::{Context, Plan, Step};
use super::recover::recover;
use super::slots::{NoSlot, Slots};
use crate::tables::flow::Key;

/// What the NIC is to do next. The next one comes only after the completion of this one.
#[derive(Debug, PartialEq, Eq)]
pub enum Operation {
    /// A batch; completed by `Input::Written`.
    Write {
        /// Its updates.
        updates: Vec<Update>,
        /// How it fails.
        atomicity: Atomicity,
    },
    /// Packets, in this order; completed by `Input::Sent`.
    Send(Vec<Outgoing>),
}

impl Operation {
    /// A batch of updates that do not depend on each other.
    pub(super) fn write(updates: Vec<Update>) -> Operation {
        Operation::Write {
            updates,
            atomicity: Atomicity::ContinueOnError,
        }
    }
}

/// Answer to an operator.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Flow entries were removed.
    Cleared(u64),
    /// Results of a direct write.
    Written(Vec<Result<(), UpdateError>>),
    /// The NIC is gone.
    NicGone(String),
}

/// Work for the NIC.
#[derive(Debug)]
pub(super) enum Job {
    /// Flow entries and packets.
    Install(Install),
    /// A new configuration; to be acknowledged as (connection, message).
    Configure {
        ack: Option<(u64, u64)>,
        config: Arc<Config>,
    },
    /// Removal of flow entries, for an operator.
    Remove { token: u64, keys: Vec<Key> },
    /// An operator's own updates.
    Direct {
        token: u64,
        updates: Vec<Update>,
        atomicity: Atomicity,
    },
}

/// The job that runs.
#[derive(Debug)]
pub(super) enum Running {
    /// Entries are being written.
    Installing(Batch),
    /// Packets are leaving.
    Sending(Batch),
    /// A configuration is being applied.
    Configuring(Configuring),
    /// Flow entries are being removed.
    Removing { token: u64, removal: Removal },
    /// An operator's updates are being written.
    Direct { token: u64, updates: Vec<Update> },
}

/// A configuration on its way into the NIC.
#[derive(Debug)]
pub(super) struct Configuring {
    ack: Option<(u64, u64)>,
    plan: Plan,
    writing: Vec<Update>,
    removal: Removal,
    updates: u64,
}

/// Flow entries to remove, in batches.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// Still to do; taken from the end.
    keys: Vec<Key>,
    writing: Vec<Key>,
    removed: u64,
    error: Option<String>,
}

impl State {
    /// The next operation for the NIC; `None` while one runs, or when there is nothing to do.
    pub fn next_operation(&mut self, now: Duration) -> Option<Operation> {
        while self.operation.is_none() && self.running.is_none() && self.nic_down.is_none() {
            let job = self.jobs.pop_front()?;
            self.start(now, job);
        }
        self.operation.take()
    }

    fn start(&mut self, now: Duration, job: Job) {
        match job {
            Job::Install(_) => {
                self.jobs.push_front(job);
                let mut batch = self.next_batch();
                match self.start_batch(&mut batch) {
                    Some(write) => self.run(Running::Installing(batch), write),
                    None => self.send_packets(now, batch),
                }
            }
            Job::Configure { ack, config } => self.start_configuration(now, ack, config),
            Job::Remove { token, keys } => {
                let removal = Removal::new(keys);
                self.go_on_removing(token, removal);
            }
            Job::Direct {
                token,
                updates,
                atomicity,
            } => {
                let write = Operation::Write {
                    updates: updates.clone(),
                    atomicity,
                };
                self.run(Running::Direct { token, updates }, write);
            }
        }
    }

    fn run(&mut self, running: Running, operation: Operation) {
        self.running = Some(running);
        self.operation = Some(operation);
    }

    fn send_packets(&mut self, now: Duration, mut batch: Batch) {
        match self.batch_packets(&mut batch) {
            Some(send) => self.run(Running::Sending(batch), send),
            None => self.finish_batch(now, batch),
        }
    }

    /// A write is complete.
    pub(super) fn written(&mut self, now: Duration, results: Vec<Result<(), UpdateError>>) {
        match self.running.take() {
            Some(Running::Installing(mut batch)) => {
                match self.batch_written(now, &mut batch, results) {
                    Some(write) => self.run(Running::Installing(batch), write),
                    None => self.send_packets(now, batch),
                }
            }
            Some(Running::Configuring(configuring)) => {
                self.configuration_written(now, configuring, results);
            }
            Some(Running::Removing { token, mut removal }) => {
                self.removal_written(&mut removal, results);
                self.go_on_removing(token, removal);
            }
            Some(Running::Direct { token, updates }) => {
                for (update, result) in updates.iter().zip(&results) {
                    if result.is_ok() {
                        self.mirror_update(now, update);
                    }
                }
                self.answers.push_back((token, Answer::Written(results)));
            }
            // No write runs: a completion that was overtaken by the loss of the NIC.
            other => self.running = other,
        }
    }

    /// Packets have left.
    pub(super) fn sent(&mut self, now: Duration, failed: u64) {
        self.counters.packets_injected = self.counters.packets_injected.saturating_sub(failed);
        self.counters.packets_refused += failed;
        match self.running.take() {
            Some(Running::Sending(batch)) => self.finish_batch(now, batch),
            other => self.running = other,
        }
    }

    fn mirror_update(&mut self, now: Duration, update: &Update) {
        // The NIC accepted it, so it can be read; if not, it is nothing that the agent looks at.
        let _ = self.mirror.apply(&self.tables, update, now);
    }

    fn start_configuration(&mut self, now: Duration, ack: Option<(u64, u64)>, config: Arc<Config>) {
        match self.plan(&config) {
            Ok(plan) => {
                self.config = Some(config);
                let configuring = Configuring {
                    ack,
                    plan,
                    writing: Vec::new(),
                    removal: Removal::default(),
                    updates: 0,
                };
                self.go_on_configuring(now, configuring);
            }
            Err(error) => {
                let error = error.to_string();
                self.notices
                    .push(now, Notice::ConfigureFailed(error.clone()));
                self.ack(ack, error);
            }
        }
    }

    fn plan(&mut self, config: &Config) -> Result<Plan, NoSlot> {
        if !self.recovered {
            let vns = Slots::new(self.tables.vn_versions.slots());
            let vnics: Slots<VnicId> = Slots::new(self.tables.vnic_versions.slots());
            let recovered = recover(&self.mirror, config, vns, vnics);
            self.vns = recovered.vns;
            self.vnics = recovered.vnics;
            self.orphans = recovered.orphans.into_iter().collect();
            self.recovered = true;
        }
        let context = Context {
            tables: &self.tables,
            mirror: &self.mirror,
            uplinks: &self.settings.uplinks,
            orphans: &self.orphans,
        };
        context.plan(config, &mut self.vns, &mut self.vnics)
    }

    /// Writes the next part of the plan, or ends.
    fn go_on_configuring(&mut self, now: Duration, mut configuring: Configuring) {
        if let Some(write) = self.next_removal(&mut configuring.removal) {
            return self.run(Running::Configuring(configuring), write);
        }
        match configuring.plan.steps.pop_front() {
            Some(Step::Write(mut updates)) => {
                if updates.len() > self.settings.batch {
                    let rest = updates.split_off(self.settings.batch);
                    configuring.plan.steps.push_front(Step::Write(rest));
                }
                configuring.writing = updates.clone();
                let write = Operation::write(updates);
                self.run(Running::Configuring(configuring), write);
            }
            Some(Step::RemoveFlows(keys)) => {
                configuring.removal = Removal::new(keys);
                self.go_on_configuring(now, configuring);
            }
            None => self.finish_configuration(now, configuring),
        }
    }

    fn configuration_written(
        &mut self,
        now: Duration,
        mut configuring: Configuring,
        results: Vec<Result<(), UpdateError>>,
    ) {
        let writing = std::mem::take(&mut configuring.writing);
        if writing.is_empty() {
            self.removal_written(&mut configuring.removal, results);
            return self.go_on_configuring(now, configuring);
        }
        let results = results.into_iter().map(Some).chain(std::iter::repeat(None));
        let mut failed = Vec::new();
        for (update, result) in writing.iter().zip(results) {
            match result.unwrap_or_else(|| Err(missing_result())) {
                Err(error) if !is_there_already(update, &error) => failed.push(error),
                _ => {
                    configuring.updates += 1;
                    self.mirror_update(now, update);
                }
            }
        }
        match failed.first() {
            None => self.go_on_configuring(now, configuring),
            // The steps behind this one rely on it.
            Some(first) => {
                let (failed, all) = (failed.len(), writing.len());
                let error = format!("{failed} of {all} updates refused, the first: {first}");
                self.notices
                    .push(now, Notice::ConfigureFailed(error.clone()));
                self.ack(configuring.ack, error);
            }
        }
    }

    fn finish_configuration(&mut self, now: Duration, configuring: Configuring) {
        let removal = &configuring.removal;
        if let Some(error) = &removal.error {
            let error = format!("flow entries of removed VNICs are left: {error}");
            self.notices
                .push(now, Notice::ConfigureFailed(error.clone()));
            return self.ack(configuring.ack, error);
        }
        for slot in configuring.plan.free_vns {
            self.vns.release(slot);
        }
        for slot in configuring.plan.free_vnics {
            self.vnics.release(slot);
        }
        self.orphans.clear();
        let config = self.config.as_ref();
        let notice = Notice::Configured {
            vnics: config.map_or(0, |config| config.vnics.len()),
            vns: config.map_or(0, |config| config.vns.len()),
            updates: configuring.updates,
            flows: removal.removed,
        };
        self.notices.push(now, notice);
        self.ack(configuring.ack, String::new());
    }

    fn go_on_removing(&mut self, token: u64, mut removal: Removal) {
        match self.next_removal(&mut removal) {
            Some(write) => self.run(Running::Removing { token, removal }, write),
            None => {
                let answer = Answer::Cleared(removal.removed);
                self.answers.push_back((token, answer));
            }
        }
    }

    fn next_removal(&self, removal: &mut Removal) -> Option<Operation> {
        let at = removal.keys.len().saturating_sub(self.settings.batch);
        removal.writing = removal.keys.split_off(at);
        let delete = |key| Update {
            kind: UpdateKind::Delete,
            entity: Entity::TableEntry(self.tables.flows.encode_key(key)),
        };
        let updates: Vec<_> = removal.writing.iter().map(delete).collect();
        (!updates.is_empty()).then(|| Operation::write(updates))
    }

    fn removal_written(&mut self, removal: &mut Removal, results: Vec<Result<(), UpdateError>>) {
        let results = results.into_iter().map(Some).chain(std::iter::repeat(None));
        for (key, result) in std::mem::take(&mut removal.writing)
            .into_iter()
            .zip(results)
        {
            match result.unwrap_or_else(|| Err(missing_result())) {
                Err(error) if error.code != Code::NotFound => {
                    removal.error = Some(error.to_string());
                }
                result => {
                    removal.removed += u64::from(result.is_ok());
                    self.mirror.flows.remove(&key);
                    self.orphans.remove(&key);
                }
            }
        }
    }

    /// An operator's job; answered at once when there is no NIC.
    pub(super) fn push_operators(&mut self, token: u64, job: Job) {
        match &self.nic_down {
            None => self.jobs.push_back(job),
            Some(why) => {
                let answer = Answer::NicGone(why.clone());
                self.answers.push_back((token, answer));
            }
        }
    }

    /// The NIC is gone: nothing that was to be done will be.
    pub(super) fn abort_jobs(&mut self) {
        let why = self.nic_down.clone().unwrap_or_default();
        let error = format!("the NIC is gone: {why}");
        match self.running.take() {
            Some(Running::Installing(batch) | Running::Sending(batch)) => {
                self.fail_batch(&batch, &error);
            }
            Some(Running::Configuring(configuring)) => self.ack(configuring.ack, error.clone()),
            Some(Running::Removing { token, .. } | Running::Direct { token, .. }) => {
                (self.answers).push_back((token, Answer::NicGone(why.clone())));
            }
            None => {}
        }
        self.backlog = 0;
        for job in std::mem::take(&mut self.jobs) {
            match job {
                Job::Install(install) => self.fail_install(&install, &error),
                Job::Configure { ack, .. } => self.ack(ack, error.clone()),
                Job::Remove { token, .. } | Job::Direct { token, .. } => {
                    (self.answers).push_back((token, Answer::NicGone(why.clone())));
                }
            }
        }
    }
}

impl Removal {
    fn new(keys: Vec<Key>) -> Self {
        Removal {
            keys,
            ..Removal::default()
        }
    }
}

/// The NIC is where the update would have brought it, though the mirror did not say so.
fn is_there_already(update: &Update, error: &UpdateError) -> bool {
    update.kind == UpdateKind::Delete && error.code == Code::NotFound
}
