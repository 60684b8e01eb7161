//! The driver's only unsafe code: memory that it shares with a device, and descriptors to wait for.
//!
//! The device may write at any time, so memory is not handed out by reference: bytes are copied in and
//! out with atomic accesses, within bounds that are checked each time.

mod event;
mod memory;

pub(crate) use event::Watched;
pub use memory::{DmaMemory, OutOfBounds, SharedMemory};
