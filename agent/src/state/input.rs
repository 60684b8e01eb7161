//! What the state is started with, and what may happen to it.

use std::sync::Arc;

use flownic_api::v1;
use flownic_pipeline::entity::{Atomicity, TableEntry, Update, UpdateError};

use super::punts::PuntLimits;
use crate::tables::Tables;

/// What the state is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this host.
    pub host: String,
    /// Ports of the underlay; routes use the first.
    pub uplinks: Vec<u16>,
    /// Bounds of the punt queue.
    pub punts: PuntLimits,
    /// Updates in one batch to the NIC.
    pub batch: usize,
    /// Bytes of messages of the service that wait for the NIC.
    pub backlog: usize,
    /// Flows in one greeting: a gRPC message has at most 4 MiB.
    pub announced: usize,
}

impl Settings {
    /// Defaults for a host.
    pub fn new(host: impl Into<String>) -> Self {
        Settings {
            host: host.into(),
            uplinks: vec![0],
            punts: PuntLimits::default(),
            batch: 1024,
            backlog: 16 << 20,
            announced: 8192,
        }
    }
}

/// What was read back from a NIC that has just been opened.
#[derive(Debug, Default)]
pub struct NicContents {
    /// Entries of all tables that the agent uses.
    pub entries: Vec<TableEntry>,
    /// Register cells that are not zero: register, index, value.
    pub registers: Vec<(u32, u32, Vec<u8>)>,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The NIC is there, and holds this.
    NicUp(Arc<Tables>, Box<NicContents>),
    /// The NIC is gone; a running operation will not complete.
    NicDown(String),
    /// The NIC handed over a packet.
    Punted {
        /// Fields of the header in front of it.
        metadata: Vec<(u32, Vec<u8>)>,
        /// The frame.
        frame: Vec<u8>,
    },
    /// [`super::Operation::Write`] is done, one result for each update.
    Written(Vec<Result<(), UpdateError>>),
    /// [`super::Operation::Send`] is done.
    Sent {
        /// Packets that the NIC did not take.
        failed: u64,
    },
    /// Connected to the service; numbers of connections ascend. Greetings may be sent.
    ServiceUp(u64),
    /// The service took the connection. Punted packets may be sent.
    ServiceReady,
    /// The connection is gone.
    ServiceDown,
    /// The service says something.
    Message(Box<v1::NisMessage>),
    /// An operator removes flows, of one virtual network or all.
    Clear {
        /// Comes back with the answer.
        token: u64,
        /// Virtual network; `None`: all.
        vni: Option<u32>,
    },
    /// An operator writes to the NIC.
    Direct {
        /// Comes back with the answer.
        token: u64,
        /// What to write.
        updates: Vec<Update>,
        /// How.
        atomicity: Atomicity,
    },
    /// Time has passed.
    Tick,
}
