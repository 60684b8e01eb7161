//! Requests and answers over a socket, each with a deadline.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::protocol::{
    Command, FLAG_ERROR, FLAG_NO_REPLY, FLAG_REPLY, FLAG_TYPE, HEADER_LEN, Header,
};
use crate::hw::HwError;

/// File descriptors in one message, at most.
pub(super) const MAX_FDS: usize = 8;

/// Late error answers to posted requests that are skipped while waiting for an answer.
const MAX_STRAY: usize = 64;

/// An answer: what follows the header, and file descriptors.
#[derive(Debug)]
pub(super) struct Reply {
    command: Command,
    body: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

impl Reply {
    /// The structure at the start of the body, and what follows it.
    pub(super) fn split<T: FromBytes + KnownLayout + Immutable>(
        &self,
    ) -> Result<(T, &[u8]), HwError> {
        T::read_from_prefix(&self.body).map_err(|_| HwError::Malformed {
            what: self.command.name(),
            reason: format!("{} bytes are too few", self.body.len()),
        })
    }
}

/// A connection to a vfio-user server. Requests may come from any thread; one is under way at a
/// time. Posted requests do not wait for it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: UnixStream,
    deadline: Duration,
    /// Held during a whole request. Holds why the connection was given up.
    request: Mutex<Option<String>>,
    /// Held while a message is sent. Holds the next message's id.
    send: Mutex<u16>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here panics with a lock held; and if it did, the checks of answers would notice.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// Takes over a connected socket.
    pub(super) fn new(socket: UnixStream, deadline: Duration) -> Result<Self, HwError> {
        let system = |source| HwError::System {
            what: "set the socket to non-blocking",
            source,
        };
        socket.set_nonblocking(true).map_err(system)?;
        Ok(Self {
            socket,
            deadline,
            request: Mutex::new(None),
            send: Mutex::new(0),
        })
    }

    /// Ends the connection for both sides.
    pub(super) fn close(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both); // fails when it has ended already
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a request and waits for its answer, of which the body is at most `limit` bytes.
    pub(super) fn request(
        &self,
        command: Command,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        limit: usize,
    ) -> Result<Reply, HwError> {
        let mut given_up = lock(&self.request);
        if let Some(reason) = &*given_up {
            return Err(HwError::Gone(reason.clone()));
        }
        let until = Instant::now() + self.deadline;
        let outcome = self
            .send(command, body, fds, 0, until)
            .and_then(|id| self.receive(command, id, limit, until));
        if let Err(error) = &outcome
            && !matches!(error, HwError::Refused { .. })
        {
            *given_up = Some(error.to_string());
            self.close(); // the other side shall not wait for us either
        }
        outcome
    }

    /// Sends a request that has no answer.
    pub(super) fn post(&self, command: Command, body: &[&[u8]]) -> Result<(), HwError> {
        let until = Instant::now() + self.deadline;
        self.send(command, body, &[], FLAG_NO_REPLY, until)
            .map(drop)
    }

    /// Sends a message and returns its id.
    fn send(
        &self,
        command: Command,
        body: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        flags: u32,
        until: Instant,
    ) -> Result<u16, HwError> {
        let mut next_id = lock(&self.send);
        let id = *next_id;
        *next_id = id.wrapping_add(1);
        let size = HEADER_LEN + body.iter().map(|part| part.len()).sum::<usize>();
        let size = size as u32; // a few bytes, or one access to a region
        let header = Header {
            message_id: id,
            command: command as u16,
            size,
            flags,
            error: 0,
        };
        let message = [header.as_bytes(), &body.concat()].concat();
        let mut sent = 0;
        while sent < message.len() {
            // File descriptors go with the first byte.
            let fds = if sent == 0 { fds } else { &[] };
            match self.send_some(&message[sent..], fds) {
                Ok(count) => sent += count,
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, command, until)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(HwError::Gone(error.to_string())),
            }
        }
        Ok(id)
    }

    fn send_some(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::INVAL); // more than MAX_FDS
        }
        sendmsg(
            &self.socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
    }

    /// Receives the answer to message `id`.
    fn receive(
        &self,
        command: Command,
        id: u16,
        limit: usize,
        until: Instant,
    ) -> Result<Reply, HwError> {
        for _ in 0..MAX_STRAY {
            let mut header = Header::default();
            let mut fds = Vec::new();
            self.fill(header.as_mut_bytes(), &mut fds, command, until)?;
            let error = header.flags & FLAG_ERROR != 0;
            if header.message_id != id && error && header.size as usize == HEADER_LEN {
                continue; // a posted request was answered nevertheless
            }
            check(&header, command, id)?;
            let body = (header.size as usize)
                .checked_sub(HEADER_LEN)
                .filter(|&len| len <= limit);
            let Some(len) = body else {
                return malformed(command, format!("size of {} bytes", header.size));
            };
            let mut body = vec![0; len];
            self.fill(&mut body, &mut fds, command, until)?;
            if error {
                return Err(HwError::Refused {
                    what: command.name(),
                    errno: header.error,
                });
            }
            return Ok(Reply { command, body, fds });
        }
        malformed(command, "too many answers to other requests".into())
    }

    /// Receives exactly `into.len()` bytes.
    fn fill(
        &self,
        into: &mut [u8],
        fds: &mut Vec<OwnedFd>,
        command: Command,
        until: Instant,
    ) -> Result<(), HwError> {
        let mut filled = 0;
        while filled < into.len() {
            match self.receive_some(&mut into[filled..], fds) {
                Ok(0) => return Err(HwError::Gone("connection closed".into())),
                Ok(count) => filled += count,
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, command, until)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(HwError::Gone(error.to_string())),
            }
        }
        Ok(())
    }

    fn receive_some(&self, into: &mut [u8], fds: &mut Vec<OwnedFd>) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(into)];
        let received = recvmsg(
            &self.socket,
            &mut parts,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(new) = message {
                fds.extend(new);
            }
        }
        Ok(received.bytes)
    }

    /// Waits until the socket is ready, or has an error that the next call will tell.
    fn wait(&self, events: PollFlags, command: Command, until: Instant) -> Result<(), HwError> {
        let timeout = || HwError::Timeout {
            what: command.name(),
            after: self.deadline,
        };
        let left = until
            .checked_duration_since(Instant::now())
            .ok_or_else(timeout)?;
        let left = Timespec::try_from(left).map_err(|_| timeout())?;
        match poll(&mut [PollFd::new(&self.socket, events)], Some(&left)) {
            Ok(0) => Err(timeout()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(HwError::System {
                what: "wait for the socket",
                source: error.into(),
            }),
        }
    }
}

/// Whether a header is that of the answer to message `id`.
fn check(header: &Header, command: Command, id: u16) -> Result<(), HwError> {
    if header.message_id != id {
        malformed(
            command,
            format!("message id {} instead of {id}", header.message_id),
        )
    } else if header.command != command as u16 {
        malformed(command, format!("command {}", header.command))
    } else if header.flags & FLAG_TYPE != FLAG_REPLY {
        malformed(
            command,
            format!("flags {:#x} are not those of a reply", header.flags),
        )
    } else {
        Ok(())
    }
}

pub(super) fn malformed<T>(command: Command, reason: String) -> Result<T, HwError> {
    Err(HwError::Malformed {
        what: command.name(),
        reason,
    })
}
