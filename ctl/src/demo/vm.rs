//! A VM of the replay: a datagram socket at the other end of a VF, and what it waits for.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flownic_wire::flow::FlowTuple;
use flownic_wire::icmp;
use tokio::net::UnixDatagram;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::script::Answer;

/// Room for the largest frame.
const FRAME: usize = 65_536;
/// Unexpected packets that are kept for the report.
const KEPT: usize = 1000;

/// What a VM waits for.
#[derive(Debug, Clone)]
pub(crate) enum Want {
    /// Exactly this frame.
    Frame(Vec<u8>),
    /// A packet that the network makes.
    Answer(Answer),
}

/// One frame in a datagram, both ways.
pub(crate) struct Endpoint {
    socket: Arc<UnixDatagram>,
    port: PathBuf,
    inbox: Arc<Mutex<Inbox>>,
    reader: JoinHandle<()>,
}

impl Endpoint {
    /// Binds `path`; frames go to the VF's socket at `port`.
    pub(crate) fn bind(path: &Path, port: &Path) -> io::Result<Endpoint> {
        let socket = Arc::new(UnixDatagram::bind(path)?);
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let reader = tokio::spawn(read(Arc::clone(&socket), Arc::clone(&inbox)));
        Ok(Endpoint {
            socket,
            port: port.to_owned(),
            inbox,
            reader,
        })
    }

    /// Sends a frame; waits while the NIC's queue is full.
    pub(crate) async fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, &self.port).await.map(|_| ())
    }

    /// Announces a packet; the receiver gets the time at which it arrives.
    pub(crate) fn expect(&self, want: Want) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.lock().expect(want, sender);
        receiver
    }

    /// Takes what arrived without being announced, oldest first.
    pub(crate) fn take_unexpected(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lock().unexpected)
    }

    /// What arrived unannounced and looks most like `frame`.
    pub(crate) fn nearest(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let alike = |other: &[u8]| frame.iter().zip(other).filter(|(a, b)| a == b).count();
        let inbox = self.lock();
        let nearest = inbox.unexpected.iter().max_by_key(|other| alike(other))?;
        (alike(nearest) * 2 > frame.len()).then(|| nearest.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(socket: Arc<UnixDatagram>, inbox: Arc<Mutex<Inbox>>) {
    let mut buffer = vec![0; FRAME];
    while let Ok(length) = socket.recv(&mut buffer).await {
        let now = Instant::now();
        inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .arrived(&buffer[..length], now);
    }
}

#[derive(Default)]
struct Inbox {
    frames: HashMap<Vec<u8>, VecDeque<oneshot::Sender<Instant>>>,
    answers: Vec<(Answer, oneshot::Sender<Instant>)>,
    unexpected: Vec<Vec<u8>>,
}

impl Inbox {
    fn expect(&mut self, want: Want, sender: oneshot::Sender<Instant>) {
        match want {
            Want::Frame(frame) => self.frames.entry(frame).or_default().push_back(sender),
            Want::Answer(answer) => self.answers.push((answer, sender)),
        }
    }

    fn arrived(&mut self, frame: &[u8], now: Instant) {
        if !self.give(frame, now) && self.unexpected.len() < KEPT {
            self.unexpected.push(frame.to_vec());
        }
    }

    /// Hands the time to the first that still waits for this frame.
    fn give(&mut self, frame: &[u8], now: Instant) -> bool {
        if let Some(waiting) = self.frames.get_mut(frame) {
            while let Some(sender) = waiting.pop_front() {
                if sender.send(now).is_ok() {
                    return true;
                }
            }
            self.frames.remove(frame);
        }
        self.answers.retain(|(_, sender)| !sender.is_closed());
        match self
            .answers
            .iter()
            .position(|(answer, _)| answers(answer, frame))
        {
            Some(at) => self.answers.swap_remove(at).1.send(now).is_ok(),
            None => false,
        }
    }
}

/// Is `frame` this answer, whole and right?
fn answers(answer: &Answer, frame: &[u8]) -> bool {
    match answer {
        Answer::Arp { address, mac } => {
            frame.len() >= 42
                && frame[6..12] == mac.0
                && frame[12..22] == [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]
                && frame[22..28] == mac.0
                && frame[28..32] == *address
        }
        Answer::Neighbour { address, mac } => {
            let Some(message) = icmp_message(frame) else {
                return false;
            };
            message.len() >= 32
                && message[0] == 136
                && frame[21] == 255
                && message[4] & 0x40 != 0
                && message[8..24] == *address
                && message[24..26] == [2, 1]
                && message[26..32] == mac.0
        }
        Answer::TimeExceeded { gateway, quote } => {
            let Some(message) = icmp_message(frame) else {
                return false;
            };
            let kind = if gateway.is_ipv4() { 11 } else { 3 };
            let from = FlowTuple::from_frame(frame).map(|flow| flow.tuple.src);
            message[..2] == [kind, 0] && from == Ok(*gateway) && message[8..].starts_with(quote)
        }
    }
}

/// The ICMP or ICMPv6 message of a frame, when its checksums are right.
fn icmp_message(frame: &[u8]) -> Option<&[u8]> {
    let flow = FlowTuple::from_frame(frame).ok()?;
    let header = match flow.tuple.src {
        IpAddr::V4(_) => usize::from(frame[flow.ip_offset] & 15) * 4,
        IpAddr::V6(_) => 40,
    };
    let message = frame.get(flow.ip_offset + header..flow.ip_offset + flow.ip_length)?;
    let packet = icmp::Packet::new_checked(message).ok()?;
    packet
        .checksum_is_right(flow.tuple.src, flow.tuple.dst)
        .then_some(message)
}
