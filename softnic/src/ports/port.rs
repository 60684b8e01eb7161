//! A port: frames in, frames out, what is counted, what is captured.
//!
//! Back-pressure. A frame that the system does not take now waits in the port's queue. While any
//! queue is full the worker stops reading inputs, so that senders wait instead of losing frames.
//! A receiver that takes nothing for [`STUCK_AFTER`] must not stop the others: from then on its
//! frames are dropped and counted until it takes one again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime};

use super::address::{Endpoint, PortAddress};
use super::pcapng::{Capture, Direction};
use super::tap::TapPort;
use super::unix::UnixPort;
use super::{FrameIo, MAX_FRAME, MIN_FRAME, Sent};

/// Frames that wait for a port, at most (but for copies that one packet makes).
pub const QUEUE_FRAMES: usize = 512;

/// How long a full queue may hold up the other ports.
pub const STUCK_AFTER: Duration = Duration::from_millis(200);

/// What a port counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortCounters {
    /// Frames received, without those that were refused for their size.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Shorter than [`MIN_FRAME`], dropped.
    pub rx_runts: u64,
    /// Longer than [`MAX_FRAME`], dropped.
    pub rx_oversize: u64,
    /// The system failed to receive.
    pub rx_errors: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Dropped: the queue was full and its receiver took nothing.
    pub tx_queue_full: u64,
    /// Dropped: nobody was there to receive.
    pub tx_no_peer: u64,
    /// Dropped: the system refused the frame.
    pub tx_errors: u64,
}

/// A port.
pub struct Port {
    number: u16,
    io: Box<dyn FrameIo>,
    queue: VecDeque<Vec<u8>>,
    /// Since when the receiver took nothing.
    blocked_since: Option<Instant>,
    /// Frame buffers to use again.
    spare: Vec<Vec<u8>>,
    capture: Option<Capture>,
    counters: PortCounters,
}

impl Port {
    /// Opens a port.
    ///
    /// # Errors
    /// What the system says: the socket's path is in use, no permission for TAP devices …
    pub fn open(address: &PortAddress) -> io::Result<Port> {
        let io: Box<dyn FrameIo> = match &address.endpoint {
            Endpoint::Unix { path, peer } => Box::new(UnixPort::open(path, peer.as_deref())?),
            Endpoint::Tap { name, namespace } => {
                Box::new(TapPort::open(name, namespace.as_deref())?)
            }
        };
        Ok(Port::new(address.number, io))
    }

    /// A port on any kind of I/O.
    pub fn new(number: u16, io: Box<dyn FrameIo>) -> Port {
        Port {
            number,
            io,
            queue: VecDeque::new(),
            blocked_since: None,
            spare: Vec::new(),
            capture: None,
            counters: PortCounters::default(),
        }
    }

    /// Captures both directions from now on.
    pub fn capture(&mut self, capture: Capture) {
        self.capture = Some(capture);
    }

    /// Number in the pipeline.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// What was counted.
    pub fn counters(&self) -> PortCounters {
        self.counters
    }

    /// Receives a frame of allowed size into `buffer`; `None`: there is none now.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8; MAX_FRAME + 1]) -> Option<&'a [u8]> {
        loop {
            let length = match self.io.receive(buffer) {
                Ok(Some(length)) => length,
                Ok(None) => return None,
                Err(error) => {
                    self.counters.rx_errors += 1;
                    tracing::debug!(port = self.number, %error, "receive failed");
                    return None;
                }
            };
            if length < MIN_FRAME {
                self.counters.rx_runts += 1;
            } else if length > MAX_FRAME {
                self.counters.rx_oversize += 1;
            } else {
                self.counters.rx_packets += 1;
                self.counters.rx_bytes += length as u64;
                record(&mut self.capture, &buffer[..length], Direction::In);
                return Some(&buffer[..length]);
            }
        }
    }

    /// Sends a frame, or lets it wait.
    pub fn send(&mut self, frame: &[u8]) {
        if !self.queue.is_empty() {
            self.enqueue(frame);
            return;
        }
        match self.io.send(frame) {
            Sent::Blocked => {
                self.blocked_since.get_or_insert_with(Instant::now);
                self.enqueue(frame);
            }
            sent => self.sent(sent, frame),
        }
    }

    fn enqueue(&mut self, frame: &[u8]) {
        if self.queue.len() >= QUEUE_FRAMES && self.is_stuck() {
            self.counters.tx_queue_full += 1;
            return;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(frame);
        self.queue.push_back(buffer);
    }

    /// Counts and captures a frame that is gone.
    fn sent(&mut self, sent: Sent, frame: &[u8]) {
        match sent {
            Sent::Yes => {
                self.counters.tx_packets += 1;
                self.counters.tx_bytes += frame.len() as u64;
                record(&mut self.capture, frame, Direction::Out);
            }
            Sent::NoPeer => self.counters.tx_no_peer += 1,
            Sent::Refused => self.counters.tx_errors += 1,
            Sent::Blocked => {}
        }
    }

    /// Sends what waits, as far as the system takes it. Returns how many frames.
    pub fn flush(&mut self) -> usize {
        let mut flushed = 0;
        while let Some(frame) = self.queue.front() {
            let sent = self.io.send(frame);
            if sent == Sent::Blocked {
                self.blocked_since.get_or_insert_with(Instant::now);
                return flushed;
            }
            self.blocked_since = None;
            flushed += 1;
            if let Some(frame) = self.queue.pop_front() {
                self.sent(sent, &frame);
                if self.spare.len() < QUEUE_FRAMES {
                    self.spare.push(frame);
                }
            }
        }
        flushed
    }

    /// Frames wait.
    pub fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Inputs should wait for this port.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE_FRAMES && !self.is_stuck()
    }

    /// The receiver took nothing for long.
    fn is_stuck(&self) -> bool {
        self.blocked_since
            .is_some_and(|since| since.elapsed() >= STUCK_AFTER)
    }

    /// `poll(2)` tells when frames that wait can go on.
    pub fn tells_room(&self) -> bool {
        self.io.tells_room()
    }

    /// For `poll(2)`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.io.fd()
    }

    /// Makes the capture readable for others.
    pub fn flush_capture(&mut self) {
        if let Some(capture) = &mut self.capture
            && let Err(error) = capture.flush()
        {
            tracing::error!(port = self.number, %error, "capture stopped");
            self.capture = None;
        }
    }
}

/// A capture that cannot be written is given up; packets are more important.
fn record(capture: &mut Option<Capture>, frame: &[u8], direction: Direction) {
    if let Some(file) = capture
        && let Err(error) = file.frame(frame, direction, SystemTime::now())
    {
        tracing::error!(%error, "capture stopped");
        *capture = None;
    }
}
