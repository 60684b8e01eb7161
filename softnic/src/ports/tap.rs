//! A port as a TAP device. Opening one takes the only system call here that the standard library
//! and rustix have no safe form of: `ioctl(TUNSETIFF)`.
#![expect(unsafe_code, reason = "TUNSETIFF has no safe wrapper")]

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Setter, ioctl, opcode};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{FrameIo, Sent};

/// `struct ifreq` as `TUNSETIFF` reads it: name and flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

const _: () = assert!(
    size_of::<InterfaceRequest>() == 40,
    "as struct ifreq on 64-bit Linux"
);

/// Ethernet frames, as opposed to IP packets.
const IFF_TAP: u16 = 0x0002;
/// No header in front of frames.
const IFF_NO_PI: u16 = 0x1000;
/// `TUNSETIFF` of `linux/if_tun.h`.
const TUNSETIFF: rustix::ioctl::Opcode = opcode::write::<i32>(b'T', 202);

/// An open TAP device.
pub(crate) struct TapPort {
    device: File,
}

impl TapPort {
    /// Opens a device, in a namespace or in that of the process; it is created if need be, and
    /// goes away with the port unless somebody made it persistent.
    pub(crate) fn open(name: &str, namespace: Option<&Path>) -> io::Result<TapPort> {
        let device = match namespace {
            None => attach(name)?,
            // A thread changes its namespace for itself only: a short-lived one does it.
            Some(namespace) => std::thread::scope(|scope| {
                let opened = scope.spawn(|| {
                    let file = File::open(namespace)?;
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                    attach(name)
                });
                let died = |_| Err(io::Error::other("the thread that opens the device died"));
                opened.join().unwrap_or_else(died)
            })?,
        };
        Ok(TapPort { device })
    }
}

fn attach(name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty())?;
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: IFF_TAP | IFF_NO_PI,
        rest: [0; 22],
    };
    // The last byte stays zero: the kernel reads a C string.
    let length = name.len().min(15);
    request.name[..length].copy_from_slice(&name.as_bytes()[..length]);
    // SAFETY: TUNSETIFF reads a `struct ifreq`; `InterfaceRequest` has its size and begins with
    // the same two members, and lives until the call returns. The kernel keeps no pointer to it.
    unsafe {
        let request = Setter::<TUNSETIFF, InterfaceRequest>::new(request);
        ioctl(&device, request)?;
    }
    Ok(File::from(device))
}

impl FrameIo for TapPort {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.device.read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, frame: &[u8]) -> Sent {
        match self.device.write(frame) {
            Ok(_) => Sent::Yes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Blocked,
            // EIO: the interface is down.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Sent::NoPeer
            }
            Err(_) => Sent::Refused,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    fn tells_room(&self) -> bool {
        true
    }
}
