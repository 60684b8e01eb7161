//! What a driver needs from a PCI function that it owns, whatever lies between: kernel VFIO, a
//! vfio-user socket, or nothing. Everything above this trait is the same for all of them.
//!
//! Opening (groups, tokens, sockets) belongs to the implementations. Calls may block, each for a
//! bounded time; none is made while packets or commands are processed, except the write that wakes
//! a sleeping device.

use std::fmt::Debug;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::vfio::{DmaMemory, SharedMemory};

/// Width of an access to a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 1 byte.
    U8,
    /// 2 bytes.
    U16,
    /// 4 bytes.
    U32,
    /// 8 bytes.
    U64,
}

impl Width {
    /// Bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Width::U8 => 1,
            Width::U16 => 2,
            Width::U32 => 4,
            Width::U64 => 8,
        }
    }
}

/// What the device may do with memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmaAccess {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Both.
    ReadWrite,
}

/// The way to the function failed.
#[derive(Debug, thiserror::Error)]
pub enum HwError {
    /// The function, or the process that is it, has gone. Nothing will work any more.
    #[error("the function is gone: {0}")]
    Gone(String),
    /// No answer in time. Nothing will work any more, as a late answer could be taken for another.
    #[error("no answer to {what} within {after:?}")]
    Timeout {
        /// The request.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The other side refused a request; later ones may work.
    #[error("{what} was refused (error {errno})")]
    Refused {
        /// The request.
        what: &'static str,
        /// The other side's `errno`; 0: it said none.
        errno: u32,
    },
    /// The other side broke the protocol. Nothing will work any more.
    #[error("malformed answer to {what}: {reason}")]
    Malformed {
        /// The request.
        what: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The function lacks something that the driver needs.
    #[error("the function has no {0}")]
    Missing(&'static str),
    /// The system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A PCI function.
pub trait PciFunction: Send + Sync + Debug {
    /// Reads configuration space.
    ///
    /// # Errors
    /// [`HwError`]; `Refused`: beyond its end.
    fn config_read(&self, offset: u16, into: &mut [u8]) -> Result<(), HwError>;

    /// Writes configuration space.
    ///
    /// # Errors
    /// [`HwError`]; `Refused`: beyond its end.
    fn config_write(&self, offset: u16, from: &[u8]) -> Result<(), HwError>;

    /// Bytes of a BAR; 0: there is none.
    fn bar_len(&self, bar: u32) -> u64;

    /// Reads a BAR. A device that has gone may read all ones instead of an error.
    ///
    /// # Errors
    /// [`HwError`]; `Refused`: beyond its end.
    fn bar_read(&self, bar: u32, offset: u64, width: Width) -> Result<u64, HwError>;

    /// Writes a BAR. The write is posted: it returns before the device has seen it, writes arrive in
    /// order, and a later read returns after them.
    ///
    /// # Errors
    /// [`HwError`]; that the device ignored the write is no error.
    fn bar_write(&self, bar: u32, offset: u64, width: Width, value: u64) -> Result<(), HwError>;

    /// Maps all of a BAR.
    ///
    /// # Errors
    /// `Missing`: it cannot be mapped.
    fn bar_map(&self, bar: u32) -> Result<SharedMemory, HwError>;

    /// Lets the device access memory at the memory's address.
    ///
    /// # Errors
    /// `Refused`: the address is in use or not possible.
    fn dma_map(&self, memory: &DmaMemory, access: DmaAccess) -> Result<(), HwError>;

    /// Takes memory from the device. After that the device does not access it.
    ///
    /// # Errors
    /// [`HwError`].
    fn dma_unmap(&self, memory: &DmaMemory) -> Result<(), HwError>;

    /// MSI-X vectors that the function has.
    fn vectors(&self) -> u32;

    /// Sends the first interrupt vectors to event file descriptors, which must not block.
    ///
    /// # Errors
    /// [`HwError`].
    fn enable_vectors(&self, events: &[BorrowedFd<'_>]) -> Result<(), HwError>;

    /// Takes all event file descriptors from the function.
    ///
    /// # Errors
    /// [`HwError`].
    fn disable_vectors(&self) -> Result<(), HwError>;

    /// Resets the function. DMA maps and event file descriptors stay.
    ///
    /// # Errors
    /// [`HwError`].
    fn reset(&self) -> Result<(), HwError>;

    /// Gives the function up, at once and whoever else still holds it: it is reset, and every later
    /// call fails.
    fn close(&self);

    /// A file descriptor that hangs up (`POLLHUP`) when the function goes away, if there is one.
    fn hangup(&self) -> Option<BorrowedFd<'_>>;
}
