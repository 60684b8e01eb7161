//! What scripts run on.

use flownic_pipeline::entity::{CounterData, Update};

/// A packet that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where.
    pub port: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why a target did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub String);

/// A switch with a loaded program.
pub trait Target {
    /// Name, for messages.
    fn name(&self) -> &str;

    /// Writes something.
    ///
    /// # Errors
    /// The target refuses it.
    fn write(&mut self, update: &Update) -> Result<(), TargetError>;

    /// Gives a packet to a port.
    ///
    /// # Errors
    /// There is no such port, or the target is gone.
    fn send(&mut self, port: u16, packet: &[u8]) -> Result<(), TargetError>;

    /// Packets that came out since the last call, in order on each port. A target that runs by
    /// itself is given time: until `expected` packets came, or nothing comes any more.
    ///
    /// # Errors
    /// The target is gone.
    fn outputs(&mut self, expected: usize) -> Result<Vec<Output>, TargetError>;

    /// Value of a counter cell.
    ///
    /// # Errors
    /// There is no such cell.
    fn counter(&mut self, id: u32, index: u32) -> Result<CounterData, TargetError>;

    /// Value of a register cell, big-endian.
    ///
    /// # Errors
    /// There is no such cell.
    fn register(&mut self, id: u32, index: u32) -> Result<Vec<u8>, TargetError>;

    /// Replaces a multicast group: instances and ports.
    ///
    /// # Errors
    /// The target refuses it.
    fn set_group(&mut self, group: u16, members: &[(u16, Vec<u16>)]) -> Result<(), TargetError>;

    /// Replaces a clone session.
    ///
    /// # Errors
    /// The target refuses it.
    fn set_session(
        &mut self,
        session: u16,
        port: Option<u16>,
        group: Option<u16>,
    ) -> Result<(), TargetError>;
}
