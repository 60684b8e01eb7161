//! File descriptors in the runtime's reactor.

#![expect(
    unsafe_code,
    reason = "registering a descriptor relies on what its owner keeps"
)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that can be waited for.
#[derive(Debug)]
pub(crate) struct Watched(AsyncFd<OwnedFd>);

impl Watched {
    /// Registers a descriptor, within a tokio runtime.
    ///
    /// # Errors
    /// The descriptor cannot be polled, or the system has no room for it.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: an `OwnedFd` stays open and is the same descriptor until it is dropped. The `AsyncFd`
        // owns it, and this type gives no mutable access by which it could be replaced.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(Self(registered?))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }

    /// Runs `operation` whenever the descriptor becomes readable or hangs up, until it gives something
    /// else than `WouldBlock`. Cancel-safe.
    pub(crate) async fn when_readable<T>(
        &self,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| operation(fd.as_fd())) {
                Ok(outcome) => return outcome,
                Err(_would_block) => {}
            }
        }
    }
}
