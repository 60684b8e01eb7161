//! State of the PCIe function, behind one lock: the server thread changes it for the driver's
//! trapped accesses, the worker thread serves its rings. What is in `rings.rs` and `registers.rs`
//! are methods of this type, too.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use flownic_device_abi::bar0::{self, Fault};
use flownic_device_abi::register::Register;
use flownic_device_abi::ring::is_ring_size;
use flownic_device_abi::{admin, bar2, pci, ring};

use super::Identity;
use super::config::ConfigSpace;
use super::dma::{DmaFault, DmaTable};
use super::memory::SharedMemory;
use super::registers::Setup;

/// Largest admin queue, entries.
pub(super) const MAX_ADMIN: u32 = 256;
/// Largest packet ring, descriptors.
pub(super) const MAX_RING: u32 = 4096;
/// Longest input or output of a command, bytes.
pub(super) const MAX_DATA: u32 = 4 << 20;
/// Longest packet with its controller header, bytes.
pub(super) const MAX_PACKET: u32 = 16 << 10;

/// What the device counts, since it was started. Resets do not clear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    missing_docs,
    reason = "the registers of the same names say what they mean"
)]
pub struct Statistics {
    pub punts: u64,
    pub punt_ring_full: u64,
    pub no_driver: u64,
    pub punt_errors: u64,
    pub injects: u64,
    pub inject_errors: u64,
    pub admin_commands: u64,
    pub admin_errors: u64,
    pub dma_faults: u64,
    pub ring_errors: u64,
    pub bad_accesses: u64,
    pub resets: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AdminRing {
    pub(super) submissions: u64,
    pub(super) completions: u64,
    pub(super) size: u32,
    /// Commands taken so far.
    pub(super) taken: u32,
    /// Completions written so far.
    pub(super) completed: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PacketRing {
    pub(super) base: u64,
    pub(super) size: u32,
    /// Descriptors completed so far.
    pub(super) head: u32,
}

/// The rings of an enabled function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rings {
    pub(super) admin: AdminRing,
    pub(super) punt: Option<PacketRing>,
    pub(super) inject: Option<PacketRing>,
}

#[derive(Debug)]
pub(super) struct Function {
    pub(super) identity: Arc<Identity>,
    pub(super) config: ConfigSpace,
    pub(super) setup: Setup,
    pub(super) dma: DmaTable,
    /// Where the interrupts of each vector go.
    pub(super) vectors: [Option<File>; pci::VECTORS as usize],
    pub(super) doorbells: Arc<SharedMemory>,
    pub(super) rings: Option<Rings>,
    pub(super) fault: Option<Fault>,
    /// Grows with every start and stop of the rings: a command that began in another epoch has no completion.
    pub(super) epoch: u64,
    pub(super) statistics: Statistics,
}

impl Function {
    pub(super) fn new(identity: Arc<Identity>, doorbells: Arc<SharedMemory>) -> Self {
        Self {
            config: ConfigSpace::new(identity.serial),
            identity,
            setup: Setup::default(),
            dma: DmaTable::default(),
            vectors: Default::default(),
            doorbells,
            rings: None,
            fault: None,
            epoch: 0,
            statistics: Statistics::default(),
        }
    }

    /// A reset of the function. What the driver mapped for DMA and where interrupts go is not
    /// state of the function and stays.
    pub(super) fn reset(&mut self) {
        tracing::info!("function reset");
        self.stop();
        self.fault = None;
        self.setup = Setup::default();
        self.config.reset();
        self.statistics.resets += 1;
    }

    /// The driver's process is gone: nothing of it stays reachable.
    pub(super) fn disconnect(&mut self) {
        self.reset();
        self.dma.clear();
        self.vectors = Default::default();
    }

    /// Stops the rings.
    pub(super) fn stop(&mut self) {
        self.rings = None;
        self.epoch += 1;
        for word in bar2::REGISTERS
            .iter()
            .filter(|word| **word != bar2::SLEEPING)
        {
            // Never fails: the words are in the memory by the interface's own assertions.
            let _ = self.doorbells.store_u32(word.offset as usize, 0);
        }
    }

    /// Checks the set-up and starts the rings, or reports why not.
    pub(super) fn start(&mut self) {
        self.stop();
        match self.checked_rings() {
            Ok(rings) => {
                tracing::info!(?rings, "function enabled");
                self.rings = Some(rings);
            }
            Err(fault) => {
                tracing::warn!(?fault, "set-up refused");
                self.fault = Some(fault);
            }
        }
    }

    fn checked_rings(&self) -> Result<Rings, Fault> {
        let setup = &self.setup;
        if setup.driver_features != 0 {
            return Err(Fault::UnknownFeature);
        }
        let admin_ok = is_ring_size(setup.admin_size, MAX_ADMIN);
        let aligned = [
            setup.admin_sq_base,
            setup.admin_cq_base,
            setup.punt_base,
            setup.inject_base,
        ]
        .iter()
        .all(|base| base % 64 == 0);
        if !admin_ok || !aligned {
            return Err(Fault::BadSetup);
        }
        if !self.config.dma_allowed() {
            return Err(Fault::BusMasterOff);
        }
        let size = u64::from(setup.admin_size);
        self.ring_reachable(setup.admin_sq_base, size * admin::COMMAND_LEN as u64, false)?;
        self.ring_reachable(
            setup.admin_cq_base,
            size * admin::COMPLETION_LEN as u64,
            true,
        )?;
        Ok(Rings {
            admin: AdminRing {
                submissions: setup.admin_sq_base,
                completions: setup.admin_cq_base,
                size: setup.admin_size,
                taken: 0,
                completed: 0,
            },
            punt: self.packet_ring(setup.punt_base, setup.punt_size)?,
            inject: self.packet_ring(setup.inject_base, setup.inject_size)?,
        })
    }

    fn packet_ring(&self, base: u64, size: u32) -> Result<Option<PacketRing>, Fault> {
        if size == 0 {
            return Ok(None);
        }
        if !is_ring_size(size, MAX_RING) {
            return Err(Fault::BadSetup);
        }
        let len = u64::from(size) * ring::DESCRIPTOR_LEN as u64;
        self.ring_reachable(base, len, false)?;
        self.ring_reachable(base, len, true)?;
        Ok(Some(PacketRing {
            base,
            size,
            head: 0,
        }))
    }

    fn ring_reachable(&self, base: u64, len: u64, write: bool) -> Result<(), Fault> {
        self.dma
            .check(base, len, write)
            .map_err(|_| Fault::RingUnreachable)
    }

    /// Stops with an error that the driver finds in STATUS.
    pub(super) fn fail(&mut self, fault: Fault) {
        tracing::warn!(?fault, "function stopped: the driver must reset it");
        self.stop();
        self.fault = Some(fault);
        self.statistics.ring_errors += 1;
        self.interrupt(pci::VECTOR_EVENT);
    }

    /// Reads host memory; refusals are counted.
    pub(super) fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let len = into.len() as u64;
        let outcome = self
            .dma_on(address, len, false)
            .and_then(|()| self.dma.read(address, into));
        self.counted(outcome)
    }

    /// Writes host memory; refusals are counted.
    pub(super) fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaFault> {
        let len = from.len() as u64;
        let outcome = self
            .dma_on(address, len, true)
            .and_then(|()| self.dma.write(address, from));
        self.counted(outcome)
    }

    /// Stores a word that makes earlier writes valid; refusals are counted.
    pub(super) fn dma_store(&mut self, address: u64, value: u64) -> Result<(), DmaFault> {
        let outcome = self
            .dma_on(address, 8, true)
            .and_then(|()| self.dma.store_u64(address, value));
        self.counted(outcome)
    }

    /// Whether a later write will be possible; refusals are counted.
    pub(super) fn dma_check_write(&mut self, address: u64, len: u64) -> Result<(), DmaFault> {
        let outcome = self
            .dma_on(address, len, true)
            .and_then(|()| self.dma.check(address, len, true));
        self.counted(outcome)
    }

    fn dma_on(&self, address: u64, len: u64, write: bool) -> Result<(), DmaFault> {
        if self.config.dma_allowed() {
            Ok(())
        } else {
            Err(DmaFault {
                address,
                len,
                write,
            })
        }
    }

    fn counted(&mut self, outcome: Result<(), DmaFault>) -> Result<(), DmaFault> {
        outcome.inspect_err(|fault| {
            tracing::debug!(%fault, "access to host memory refused");
            self.statistics.dma_faults += 1;
        })
    }

    /// What the driver last stored in a word of BAR2.
    pub(super) fn doorbell(&self, word: &Register) -> u32 {
        self.doorbells.load_u32(word.offset as usize).unwrap_or(0)
    }

    /// Raises `vector` if the driver asked to be told of one of the entries `from..to`.
    pub(super) fn interrupt_if_due(&self, word: &Register, from: u32, to: u32, vector: u16) {
        // Orders the completions before the load: the driver stores the event, then looks at the ring.
        fence(Ordering::SeqCst);
        if bar2::event_is_due(self.doorbell(word), from, to) {
            self.interrupt(vector);
        }
    }

    fn interrupt(&self, vector: u16) {
        if let Some(Some(file)) = self.vectors.get(usize::from(vector)) {
            // Not blocking, and a full counter is as good as one more: the other side is told anyway.
            let _ = rustix::io::write(file, &1_u64.to_ne_bytes());
        }
    }

    /// The STATUS register.
    pub(super) fn status(&self) -> u32 {
        let enabled = if self.rings.is_some() {
            bar0::STATUS_ENABLED
        } else {
            0
        };
        bar0::STATUS_READY | enabled | self.fault.map_or(0, Fault::to_status)
    }
}
