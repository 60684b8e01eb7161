//! Interrupts: event file descriptors, awaited.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{EventfdFlags, eventfd};

use crate::vfio::Watched;

/// An interrupt that can be waited for. Signals before a wait are not lost; several count as one.
#[derive(Debug)]
pub(crate) struct Event(Watched);

impl Event {
    /// Within a tokio runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Watched::new(fd).map(Self)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Waits for a signal. Cancel-safe.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        self.0
            .when_readable(|fd| Ok(rustix::io::read(fd, &mut [0; 8])?))
            .await
            .map(drop)
    }
}
