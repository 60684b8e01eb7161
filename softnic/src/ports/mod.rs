//! Where packets come from and go to.
//!
//! * `address`: what the command line says.
//! * `unix`: one frame a datagram on a UNIX socket.
//! * `tap`: TAP devices, in any network namespace.
//! * `port`: a port with its output queue, counters and capture.
//! * `pcapng`: the capture file.

pub mod address;
pub mod pcapng;
pub mod port;
mod tap;
mod unix;

use std::io;
use std::os::fd::BorrowedFd;

/// Smallest frame: an Ethernet header.
pub const MIN_FRAME: usize = 14;

/// Largest frame. Above the jumbo frames of any Ethernet in use.
pub const MAX_FRAME: usize = 16 * 1024;

/// What became of a frame that was handed to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Yes,
    /// Not now; later perhaps.
    Blocked,
    /// Nobody is there to receive it.
    NoPeer,
    /// The system refuses this frame.
    Refused,
}

/// The system's side of a port. Nothing blocks.
pub trait FrameIo: Send {
    /// Receives one frame; `None`: there is none. A longer frame than `buffer` gives
    /// `buffer.len()`, and its end is lost.
    ///
    /// # Errors
    /// What the system says; the port goes on.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Sends one frame.
    fn send(&mut self, frame: &[u8]) -> Sent;

    /// Readable when there is a frame.
    fn fd(&self) -> BorrowedFd<'_>;

    /// After `Sent::Blocked`, `fd` becomes writable when there is room. Otherwise: try again.
    fn tells_room(&self) -> bool;
}

#[cfg(test)]
mod tests;
