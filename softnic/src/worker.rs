//! The loop of a NIC: ports, device and pipeline in one thread.
//!
//! ```text
//!   ports ──frames──► engine ──► ports
//!                      ▲  └────► port 510 ──► device.punt ──► host
//!   host ──► device.poll ┘ (injected packets, table writes)
//! ```
//!
//! While there is work the loop never sleeps; when a round did nothing it waits in `poll(2)` for
//! ports, the driver's bell or the end.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use flownic_pipeline::entity::{Atomicity, CounterData, TableEntry, Update, UpdateError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Engine;
use crate::device::{Device, DeviceBackend};
use crate::ports::MAX_FRAME;
use crate::ports::port::Port;

/// Frames taken from one port before the others get their turn.
const BURST: usize = 32;

/// The host's port in the pipeline.
const CPU_PORT: u16 = 510;

/// How long to sleep for a port that cannot tell when it has room.
const RETRY: Duration = Duration::from_millis(1);

/// What the worker itself counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerCounters {
    /// Packets that the pipeline sent to a port that is not there.
    pub unknown_port: u64,
    /// Packets for the host that the device took.
    pub punted: u64,
    /// Packets for the host that the device could not take, or without a device.
    pub punt_failed: u64,
    /// Packets from the host.
    pub injected: u64,
}

/// Everything that leaves the pipeline.
struct Outputs {
    ports: Vec<Port>,
    /// Position in `ports` by number.
    by_number: Vec<Option<usize>>,
    device: Option<Device>,
    counters: WorkerCounters,
}

impl Outputs {
    fn send(&mut self, number: u16, packet: &[u8]) {
        if number == CPU_PORT {
            let taken = self
                .device
                .as_mut()
                .is_some_and(|device| device.punt(packet));
            match taken {
                true => self.counters.punted += 1,
                false => self.counters.punt_failed += 1,
            }
            return;
        }
        match self.by_number.get(usize::from(number)).copied().flatten() {
            Some(port) => self.ports[port].send(packet),
            None => self.counters.unknown_port += 1,
        }
    }
}

/// Called now and then with the worker, to tell what it counted.
pub type Report = Box<dyn FnMut(&Worker)>;

/// A NIC at work.
pub struct Worker {
    backend: Backend,
    device: Option<Device>,
    buffer: Box<[u8; MAX_FRAME + 1]>,
}

/// What the device and the ports act on.
struct Backend {
    engine: Engine,
    outputs: Outputs,
    p4info_json: Vec<u8>,
    start: Instant,
}

impl Worker {
    /// Puts a NIC together. `p4info_json` is what a driver reads from the device.
    pub fn new(
        engine: Engine,
        ports: Vec<Port>,
        device: Option<Device>,
        p4info_json: Vec<u8>,
    ) -> Worker {
        let mut by_number = vec![None; usize::from(CPU_PORT)];
        for (position, port) in ports.iter().enumerate() {
            if let Some(slot) = by_number.get_mut(usize::from(port.number())) {
                *slot = Some(position);
            }
        }
        let counters = WorkerCounters::default();
        let outputs = Outputs {
            ports,
            by_number,
            device: device.clone(),
            counters,
        };
        let backend = Backend {
            engine,
            outputs,
            p4info_json,
            start: Instant::now(),
        };
        Worker {
            backend,
            device,
            buffer: Box::new([0; MAX_FRAME + 1]),
        }
    }

    /// Works until `stop` is readable. `every` (if given) is called about that often.
    ///
    /// # Errors
    /// `poll(2)` failed.
    pub fn run(
        &mut self,
        stop: BorrowedFd<'_>,
        mut every: Option<(Duration, Report)>,
    ) -> io::Result<()> {
        let mut next = every
            .as_ref()
            .map(|(interval, _)| Instant::now() + *interval);
        loop {
            let busy = self.round();
            if let (Some((interval, report)), Some(at)) = (&mut every, next)
                && Instant::now() >= at
            {
                report(self);
                next = Some(at + *interval);
            }
            let timeout = if busy {
                // Look only whether the end has come.
                Some(Duration::ZERO)
            } else {
                next.map(|at| at.saturating_duration_since(Instant::now()))
            };
            if self.wait(stop, timeout, busy)? {
                self.finish();
                return Ok(());
            }
        }
    }

    /// One turn for everybody; says whether anything was done.
    fn round(&mut self) -> bool {
        let mut done = 0;
        if let Some(device) = &mut self.device {
            done += device.poll(&mut self.backend);
        }
        for port in &mut self.backend.outputs.ports {
            done += port.flush();
        }
        for at in 0..self.backend.outputs.ports.len() {
            done += self.backend.burst(at, &mut self.buffer);
        }
        done > 0
    }

    /// Sleeps until there is something to do, at most for `timeout`; says whether the end has
    /// come.
    fn wait(
        &mut self,
        stop: BorrowedFd<'_>,
        mut timeout: Option<Duration>,
        busy: bool,
    ) -> io::Result<bool> {
        if busy {
            return readable(&[stop], Some(Duration::ZERO));
        }
        for port in &mut self.backend.outputs.ports {
            port.flush_capture();
        }
        if let Some(device) = &mut self.device
            && !device.prepare_sleep()
        {
            return readable(&[stop], Some(Duration::ZERO));
        }
        let ports = &self.backend.outputs.ports;
        let full = ports.iter().any(Port::is_full);
        let mut fds = vec![PollFd::from_borrowed_fd(stop, PollFlags::IN)];
        if let Some(device) = &self.device {
            fds.push(PollFd::from_borrowed_fd(device.wake_fd(), PollFlags::IN));
        }
        for port in ports {
            let mut flags = if full {
                PollFlags::empty()
            } else {
                PollFlags::IN
            };
            if port.has_queue() && port.tells_room() {
                flags |= PollFlags::OUT;
            } else if port.has_queue() {
                timeout = Some(timeout.map_or(RETRY, |timeout| timeout.min(RETRY)));
            }
            fds.push(PollFd::from_borrowed_fd(port.fd(), flags));
        }
        if full {
            // A port may become stuck meanwhile, which poll does not tell.
            timeout = Some(timeout.map_or(RETRY * 20, |timeout| timeout.min(RETRY * 20)));
        }
        wait_for(&mut fds, timeout)?;
        Ok(!fds[0].revents().is_empty())
    }

    /// Sends what waits, once, and closes captures.
    fn finish(&mut self) {
        for port in &mut self.backend.outputs.ports {
            port.flush();
            port.flush_capture();
        }
    }

    /// The pipeline.
    pub fn engine(&self) -> &Engine {
        &self.backend.engine
    }

    /// The ports.
    pub fn ports(&self) -> &[Port] {
        &self.backend.outputs.ports
    }

    /// What the worker itself counted.
    pub fn counters(&self) -> WorkerCounters {
        self.backend.outputs.counters
    }
}

fn readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let mut fds: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    wait_for(&mut fds, timeout)?;
    Ok(fds.iter().any(|fd| !fd.revents().is_empty()))
}

fn wait_for(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Backend {
    /// Runs some frames of a port; none while an output is full. Returns how many.
    fn burst(&mut self, at: usize, buffer: &mut [u8; MAX_FRAME + 1]) -> usize {
        let mut done = 0;
        while done < BURST && !self.outputs.ports.iter().any(Port::is_full) {
            let port = &mut self.outputs.ports[at];
            let number = port.number();
            let Some(frame) = port.receive(buffer) else {
                break;
            };
            let outputs = &mut self.outputs;
            let out = &mut |port: u16, packet: &[u8]| outputs.send(port, packet);
            self.engine
                .process(number, frame, self.start.elapsed(), out);
            done += 1;
        }
        done
    }
}

impl DeviceBackend for Backend {
    fn write(&mut self, updates: &[Update], atomicity: Atomicity) -> Vec<Result<(), UpdateError>> {
        self.engine.write(updates, atomicity)
    }

    fn read_table(
        &mut self,
        table: u32,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<TableEntry>, Option<u64>), UpdateError> {
        self.engine.read_table(table, cursor, limit)
    }

    fn read_registers(
        &mut self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, UpdateError> {
        self.engine.read_registers(register, first, count)
    }

    fn read_counters(
        &mut self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, UpdateError> {
        self.engine.read_counters(counter, first, count)
    }

    fn table_use(&mut self) -> Vec<(u32, u64, u64)> {
        self.engine.table_use()
    }

    fn p4info_json(&self) -> &[u8] {
        &self.p4info_json
    }

    fn inject(&mut self, packet: &[u8]) {
        self.outputs.counters.injected += 1;
        let outputs = &mut self.outputs;
        let out = &mut |port: u16, packet: &[u8]| outputs.send(port, packet);
        self.engine
            .process(CPU_PORT, packet, self.start.elapsed(), out);
    }
}
