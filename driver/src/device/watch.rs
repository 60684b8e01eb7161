//! The tasks of a running device.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Inner;
use crate::error::NicError;
use crate::registers::State;
use crate::vfio::Watched;

/// Wakes who waits for admin commands.
pub(super) async fn completions(inner: Arc<Inner>) {
    if let Err(error) = inner.admin.serve(&inner.interrupts.admin).await {
        inner.liveness.fail(&error.to_string());
    }
}

/// Notices that the device is lost when nobody asks.
pub(super) async fn watch(inner: Arc<Inner>) {
    let hangup = Hangup::new(&inner);
    loop {
        tokio::select! {
            () = hangup.wait() => inner.liveness.fail("the connection was closed"),
            event = inner.interrupts.event.wait() => {
                if let Err(error) = event {
                    inner.liveness.fail(&format!("cannot wait for interrupts: {error}"));
                }
            }
            () = tokio::time::sleep(inner.options.watch_interval) => {}
        }
        if look(&inner).await.is_err() {
            return;
        }
    }
}

/// Looks at the registers; an error means that the device is lost.
pub(super) async fn look(inner: &Arc<Inner>) -> Result<(), NicError> {
    inner.liveness.check()?;
    let registers = inner.running.registers.clone();
    let state = inner
        .liveness
        .guard(async {
            let read = tokio::task::spawn_blocking(move || registers.state()).await;
            Ok(read.map_err(io::Error::from))
        })
        .await?;
    match state {
        Ok(Ok(State::Running)) => return Ok(()),
        Ok(Ok(State::Gone)) => inner.liveness.fail("registers read all ones"),
        Ok(Ok(State::Reset)) => inner.liveness.fail("the function was reset"),
        Ok(Ok(State::Stopped(fault))) => {
            inner
                .liveness
                .fail(&format!("the function stopped: {fault:?}"));
        }
        Ok(Err(error)) => inner.liveness.fail(&error.to_string()),
        Err(error) => inner.liveness.fail(&error.to_string()),
    }
    inner.liveness.check()
}

/// The end of the way to the device, where it can be waited for.
struct Hangup(Option<Watched>);

impl Hangup {
    /// Without such a descriptor the look at the registers has to do.
    fn new(inner: &Inner) -> Self {
        let fd = inner
            .running
            .function
            .hangup()
            .and_then(|fd| fd.try_clone_to_owned().ok());
        Self(fd.and_then(|fd| Watched::new(fd).ok()))
    }

    /// Returns when the other side has hung up. Answers on the same descriptor only wake it.
    async fn wait(&self) {
        let outcome = match &self.0 {
            Some(fd) => fd.when_readable(hung_up).await,
            None => Err(io::ErrorKind::Unsupported.into()),
        };
        if outcome.is_err() {
            std::future::pending().await
        }
    }
}

fn hung_up(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now))?;
    let gone = fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR);
    if gone {
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
