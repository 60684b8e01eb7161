//! What an operator should hear of: one enum, so that messages are uniform, and a limit for each
//! kind, so that a storm of packets is not a storm of lines.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Something worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// A flow table has no room.
    #[error(
        "table \"{table}\" is full: {flow} stays with the service; raise its size or remove flows"
    )]
    TableFull {
        /// Table.
        table: &'static str,
        /// The flow.
        flow: String,
    },
    /// The NIC refused a flow entry.
    #[error("flow {flow} not installed: {error}")]
    InstallFailed {
        /// The flow.
        flow: String,
        /// What the NIC says.
        error: String,
    },
    /// A punted packet found no room.
    #[error("punt queue is full: packets from port {port} are dropped (PUNT_QUEUE_FULL)")]
    QueueFull {
        /// Port.
        port: u16,
    },
    /// The service did not answer in time.
    #[error(
        "no answer from the service within the deadline: {packets} packets dropped (SERVICE_TIMEOUT)"
    )]
    ServiceTimeout {
        /// Packets.
        packets: usize,
    },
    /// A message of the service is wrong.
    #[error("message of the service: {0}")]
    BadMessage(String),
    /// A punted packet has no meaning.
    #[error("{0}")]
    BadPunt(String),
    /// A configuration was applied.
    #[error(
        "configuration applied: {vnics} VNICs in {vns} networks, {updates} updates, {flows} flows removed"
    )]
    Configured {
        /// VNICs of this host.
        vnics: usize,
        /// Their networks.
        vns: usize,
        /// Entries and registers written.
        updates: u64,
        /// Flow entries removed.
        flows: u64,
    },
    /// A configuration could not be applied.
    #[error("configuration not applied: {0}")]
    ConfigureFailed(String),
    /// Content of the NIC was read back.
    #[error(
        "read back from the NIC: {flows} flows, {skipped} entries that could not be understood"
    )]
    ReadBack {
        /// Flow entries.
        flows: usize,
        /// Entries left alone.
        skipped: usize,
    },
}

impl Notice {
    /// Less than a warning.
    pub fn is_information(&self) -> bool {
        matches!(self, Notice::Configured { .. } | Notice::ReadBack { .. })
    }
}

/// Notices that wait to be told.
#[derive(Debug, Default)]
pub struct Notices {
    queue: VecDeque<(Notice, u64)>,
    kinds: BTreeMap<usize, (Duration, u64)>,
}

/// One line of a kind at most in this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lines that wait at most.
const WAITING: usize = 64;

impl Notices {
    /// Adds a notice, unless one of its kind was told a moment ago.
    pub fn push(&mut self, now: Duration, notice: Notice) {
        let kind = kind(&notice);
        let (told, kept_back) = self.kinds.get(&kind).copied().unwrap_or_default();
        let limited = !notice.is_information() && self.kinds.contains_key(&kind);
        if limited && now < told + INTERVAL || self.queue.len() >= WAITING {
            self.kinds.insert(kind, (told, kept_back + 1));
            return;
        }
        self.kinds.insert(kind, (now, 0));
        self.queue.push_back((notice, kept_back));
    }

    /// The next notice, and how many of its kind were kept back before it.
    pub fn pop(&mut self) -> Option<(Notice, u64)> {
        self.queue.pop_front()
    }
}

fn kind(notice: &Notice) -> usize {
    match notice {
        Notice::TableFull { .. } => 0,
        Notice::InstallFailed { .. } => 1,
        Notice::QueueFull { .. } => 2,
        Notice::ServiceTimeout { .. } => 3,
        Notice::BadMessage(_) => 4,
        Notice::BadPunt(_) => 5,
        Notice::Configured { .. } => 6,
        Notice::ConfigureFailed(_) => 7,
        Notice::ReadBack { .. } => 8,
    }
}
