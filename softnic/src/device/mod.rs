//! The software NIC as a PCIe device, served over vfio-user.
//!
//! ```text
//!   driver ──socket──► server thread ──┐            worker thread (owns the pipeline)
//!      │               config, BAR0,   ├─► Function ◄── Device::poll, Device::punt
//!      │               DMA maps, IRQs  ┘   (one lock)      │
//!      └───shared memory: BAR2, rings, buffers ◄───────────┘
//! ```
//!
//! The lock is never held while a command or a packet runs through the pipeline. The interface is
//! that of `docs/device-interface.md`; everything that a driver writes is taken as hostile.

mod admin;
mod config;
mod dma;
mod function;
mod memory;
mod registers;
mod rings;
mod server;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flownic_device_abi::{bar2, pci};
use flownic_pipeline::entity::{Atomicity, CounterData, TableEntry, Update, UpdateError};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use function::Function;
pub use function::Statistics;
use memory::SharedMemory;
use rings::{Packets, Taken};

/// Admin commands executed in one [`Device::poll`]: packets do not wait for more.
const COMMANDS_AT_ONCE: usize = 4;
/// Injected packets taken in one [`Device::poll`].
const PACKETS_AT_ONCE: u32 = 64;

/// What the device says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Device serial number.
    pub serial: u64,
    /// Identifies the loaded pipeline; another program has another cookie.
    pub pipeline_cookie: u64,
    /// Uplink ports.
    pub uplinks: u32,
    /// Virtual functions.
    pub vfs: u32,
    /// Name and version of the firmware; cut after 64 bytes.
    pub firmware: String,
}

impl Identity {
    /// The firmware's name as a register holds it.
    fn firmware_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let name = &self.firmware[..self.firmware.floor_char_boundary(bytes.len())];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes
    }
}

/// What the device needs from the pipeline behind it. All calls come from [`Device::poll`].
pub trait DeviceBackend {
    /// Applies a batch: one result for each update. For the atomic classes a failure leaves
    /// everything as it was.
    fn write(&mut self, updates: &[Update], atomicity: Atomicity) -> Vec<Result<(), UpdateError>>;

    /// Entries of a table from `cursor` on (0 at first), at most `limit`, and the next cursor
    /// (`None`: that was all).
    ///
    /// # Errors
    /// `NotFound`: no such table; `InvalidArgument`: a cursor of another table's state.
    fn read_table(
        &mut self,
        table: u32,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<TableEntry>, Option<u64>), UpdateError>;

    /// Up to `count` cells of a register array.
    ///
    /// # Errors
    /// `NotFound`: no such register or cell.
    fn read_registers(
        &mut self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, UpdateError>;

    /// Up to `count` cells of a counter array.
    ///
    /// # Errors
    /// `NotFound`: no such counter or cell.
    fn read_counters(
        &mut self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, UpdateError>;

    /// Id, entries and size of each table.
    fn table_use(&mut self) -> Vec<(u32, u64, u64)>;

    /// The P4Info of the loaded program, protobuf JSON.
    fn p4info_json(&self) -> &[u8];

    /// A packet from the host: controller header and frame, as from the CPU port.
    fn inject(&mut self, packet: &[u8]);
}

/// What server and worker share.
#[derive(Debug)]
struct Shared {
    function: Mutex<Function>,
    /// BAR2.
    doorbells: Arc<SharedMemory>,
    identity: Arc<Identity>,
    /// The worker sleeps, or is about to.
    asleep: AtomicBool,
    wake: OwnedFd,
}

impl Shared {
    /// No panic can leave the function inconsistent (its methods do not panic), so a poisoned
    /// lock, from a panic of the protocol library, is as good as any.
    fn lock(&self) -> MutexGuard<'_, Function> {
        self.function.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Not blocking; when the counter is full, the worker is awake anyway.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn set_sleeping(&self, sleeping: bool) {
        self.asleep.store(sleeping, Ordering::Relaxed);
        // Never fails: the word is in the memory by the interface's own assertions.
        let _ = self
            .doorbells
            .store_u32(bar2::SLEEPING.offset as usize, sleeping.into());
    }
}

/// The device, as the worker sees it. Clones are the same device; one thread at a time polls.
#[derive(Debug, Clone)]
pub struct Device {
    shared: Arc<Shared>,
    _listener: Arc<server::Listener>,
    packets: Arc<Mutex<Packets>>,
}

impl Device {
    /// Creates the device and serves it on a UNIX socket, in a thread of its own. When a driver
    /// leaves, the function is reset and another may attach; the pipeline is not touched by that.
    ///
    /// # Errors
    /// The socket cannot be bound (`AddrInUse`: another process serves it), or the system refuses
    /// memory or a thread.
    pub fn serve(socket: &Path, identity: Identity) -> io::Result<Device> {
        let bar2 = memfd_create(
            "flownic-bar2",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&bar2, pci::BAR2_LEN.into())?;
        let doorbells = Arc::new(SharedMemory::map(&bar2)?);
        let identity = Arc::new(identity);
        let shared = Arc::new(Shared {
            function: Mutex::new(Function::new(identity.clone(), doorbells.clone())),
            doorbells,
            identity,
            asleep: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let listener = server::start(socket, shared.clone(), bar2)?;
        Ok(Device {
            shared,
            _listener: Arc::new(listener),
            packets: Arc::default(),
        })
    }

    /// Handles pending admin commands and injected packets, a bounded number of each.
    /// Returns how many; 0: nothing was pending.
    pub fn poll(&mut self, backend: &mut dyn DeviceBackend) -> usize {
        self.awake();
        self.poll_commands(backend) + self.poll_packets(backend)
    }

    fn poll_commands(&mut self, backend: &mut dyn DeviceBackend) -> usize {
        for done in 0..COMMANDS_AT_ONCE {
            let taken = self.shared.lock().take_command();
            match taken {
                Taken::Nothing => return done,
                Taken::Refused => {}
                Taken::Job(job) => {
                    let outcome = admin::execute(&job, &self.shared.identity, backend);
                    self.shared
                        .lock()
                        .complete(job.epoch, &job.command, outcome);
                }
            }
        }
        COMMANDS_AT_ONCE
    }

    fn poll_packets(&mut self, backend: &mut dyn DeviceBackend) -> usize {
        let mut packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        let handled = self
            .shared
            .lock()
            .take_packets(&mut packets, PACKETS_AT_ONCE);
        for packet in packets.iter() {
            backend.inject(packet);
        }
        handled
    }

    /// Gives a packet (controller header and frame) to the host. False: it is lost, and counted
    /// as PUNT_RING_FULL, NO_DRIVER or PUNT_ERRORS.
    pub fn punt(&mut self, packet: &[u8]) -> bool {
        self.shared.lock().punt(packet)
    }

    /// Becomes readable when the driver has something for a sleeping worker.
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }

    /// Announces that the worker will sleep until [`Device::wake_fd`] is readable. False: there is work;
    /// poll again. The next [`Device::poll`] takes the announcement back.
    pub fn prepare_sleep(&mut self) -> bool {
        self.shared.set_sleeping(true);
        // Orders the announcement before the look at the doorbells: the driver does it the other way round.
        fence(Ordering::SeqCst);
        let idle = !self.shared.lock().has_work();
        if !idle {
            self.awake();
        }
        idle
    }

    /// Takes the announcement of sleep back.
    fn awake(&self) {
        if self.shared.asleep.load(Ordering::Relaxed) {
            self.shared.set_sleeping(false);
            let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]); // empty: woken by something else
        }
    }

    /// What the device has counted.
    pub fn statistics(&self) -> Statistics {
        self.shared.lock().statistics
    }
}

#[cfg(test)]
mod tests;
