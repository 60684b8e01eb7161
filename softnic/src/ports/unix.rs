//! A port as a UNIX datagram socket: one frame a datagram, boundaries kept, nothing lost unless
//! the receiver is away.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{FrameIo, Sent};

/// How long not to look for a peer that is not there.
const RETRY: Duration = Duration::from_millis(20);

/// A bound socket.
pub(crate) struct UnixPort {
    socket: UnixDatagram,
    path: PathBuf,
    peer: Peer,
}

enum Peer {
    /// Always this one; the socket is connected to it while it is there. (A connected socket
    /// tells when there is room in the peer's queue.)
    Fixed {
        path: PathBuf,
        connected: bool,
        retry: Option<Instant>,
    },
    /// Whoever sent last.
    Last(Option<SocketAddr>),
}

impl UnixPort {
    /// Binds a socket. One that a dead process left behind is replaced; a live one is not.
    pub(crate) fn open(path: &Path, peer: Option<&Path>) -> io::Result<UnixPort> {
        let stale = path
            .symlink_metadata()
            .is_ok_and(|meta| meta.file_type().is_socket());
        if stale {
            let probe = UnixDatagram::unbound()?;
            match probe.connect(path) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                }
                _ => return Err(ErrorKind::AddrInUse.into()),
            }
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        let peer = match peer {
            Some(peer) => Peer::Fixed {
                path: peer.to_owned(),
                connected: false,
                retry: None,
            },
            None => Peer::Last(None),
        };
        Ok(UnixPort {
            socket,
            path: path.to_owned(),
            peer,
        })
    }

    fn try_send(&mut self, frame: &[u8]) -> io::Result<usize> {
        match &mut self.peer {
            Peer::Last(Some(address)) => self.socket.send_to_addr(frame, address),
            Peer::Last(None) => Err(ErrorKind::NotConnected.into()),
            Peer::Fixed {
                path,
                connected,
                retry,
            } => {
                if !*connected {
                    let now = Instant::now();
                    if retry.is_some_and(|retry| now < retry) {
                        return Err(ErrorKind::NotConnected.into());
                    }
                    *retry = Some(now + RETRY);
                    self.socket.connect(path)?;
                    (*connected, *retry) = (true, None);
                }
                self.socket.send(frame)
            }
        }
    }
}

impl Drop for UnixPort {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl FrameIo for UnixPort {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.socket.recv_from(buffer) {
            Ok((length, from)) => {
                if let Peer::Last(last) = &mut self.peer
                    && from.as_pathname().is_some()
                {
                    *last = Some(from);
                }
                Ok(Some(length))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            // The peer of a connected socket went away: said once.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, frame: &[u8]) -> Sent {
        match self.try_send(frame) {
            Ok(_) => Sent::Yes,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Sent::Blocked,
                ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::NotConnected
                | ErrorKind::NotFound
                | ErrorKind::BrokenPipe => {
                    if let Peer::Fixed { connected, .. } = &mut self.peer {
                        *connected = false;
                    }
                    Sent::NoPeer
                }
                _ => Sent::Refused,
            },
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn tells_room(&self) -> bool {
        matches!(
            self.peer,
            Peer::Fixed {
                connected: true,
                ..
            }
        )
    }
}
