//! BAR0: reads and writes of its registers.

use flownic_device_abi::bar0::{self, register_at};
use flownic_device_abi::register::{Access, Register};
use flownic_device_abi::{ABI_VERSION, pci};

use super::function::{Function, MAX_ADMIN, MAX_DATA, MAX_PACKET, MAX_RING};

/// Registers that the driver writes before it enables the function.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Setup {
    pub(super) driver_features: u64,
    pub(super) admin_sq_base: u64,
    pub(super) admin_cq_base: u64,
    pub(super) admin_size: u32,
    pub(super) punt_base: u64,
    pub(super) punt_size: u32,
    pub(super) inject_base: u64,
    pub(super) inject_size: u32,
    msix_table: MsixTable,
}

/// The MSI-X table. Whoever owns the event file descriptors masks; here it is only storage.
#[derive(Debug, Clone, Copy)]
struct MsixTable([u8; pci::VECTORS as usize * 16]);

impl Default for MsixTable {
    fn default() -> Self {
        Self([0; _])
    }
}

/// What a write to BAR0 asks for besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    None,
    Wake,
}

impl Function {
    /// Reads BAR0; an access that is not allowed reads all ones.
    pub(super) fn bar0_read(&mut self, offset: u64, into: &mut [u8]) {
        if self.try_bar0_read(offset, into).is_none() {
            self.refuse(offset, into.len());
            into.fill(0xff);
        }
    }

    fn try_bar0_read(&self, offset: u64, into: &mut [u8]) -> Option<()> {
        let offset = aligned(offset, into.len())?;
        if let Some(range) = msix_range(offset, into.len()) {
            into.copy_from_slice(&self.setup.msix_table.0[range]);
            return Some(());
        }
        if (pci::MSIX_PENDING..pci::MSIX_PENDING + 8).contains(&offset) {
            into.fill(0);
            return Some(());
        }
        let register = register_at(offset).filter(|r| offset + into.len() as u32 <= r.end())?;
        let within = (offset - register.offset) as usize;
        if *register == bar0::FIRMWARE {
            let name = self.identity.firmware_bytes();
            into.copy_from_slice(&name[within..within + into.len()]);
        } else {
            let value = self.value(register).to_le_bytes();
            into.copy_from_slice(&value[within..within + into.len()]);
        }
        Some(())
    }

    /// Content of a register of at most 8 bytes.
    fn value(&self, register: &Register) -> u64 {
        let (setup, counted, identity) = (&self.setup, &self.statistics, &self.identity);
        match *register {
            bar0::MAGIC => bar0::MAGIC_VALUE.into(),
            bar0::ABI_VERSION => ABI_VERSION.into(),
            bar0::DRIVER_FEATURES => setup.driver_features,
            bar0::STATUS => self.status().into(),
            bar0::CONTROL => u64::from(self.rings.is_some()) * u64::from(bar0::CONTROL_ENABLE),
            bar0::PIPELINE_COOKIE => identity.pipeline_cookie,
            bar0::MAX_ADMIN => MAX_ADMIN.into(),
            bar0::MAX_RING => MAX_RING.into(),
            bar0::MAX_DATA => MAX_DATA.into(),
            bar0::MAX_PACKET => MAX_PACKET.into(),
            bar0::UPLINKS => identity.uplinks.into(),
            bar0::VFS => identity.vfs.into(),
            bar0::ADMIN_SQ_BASE => setup.admin_sq_base,
            bar0::ADMIN_CQ_BASE => setup.admin_cq_base,
            bar0::ADMIN_SIZE => setup.admin_size.into(),
            bar0::PUNT_BASE => setup.punt_base,
            bar0::PUNT_SIZE => setup.punt_size.into(),
            bar0::INJECT_BASE => setup.inject_base,
            bar0::INJECT_SIZE => setup.inject_size.into(),
            bar0::PUNTS => counted.punts,
            bar0::PUNT_RING_FULL => counted.punt_ring_full,
            bar0::NO_DRIVER => counted.no_driver,
            bar0::PUNT_ERRORS => counted.punt_errors,
            bar0::INJECTS => counted.injects,
            bar0::INJECT_ERRORS => counted.inject_errors,
            bar0::ADMIN_COMMANDS => counted.admin_commands,
            bar0::ADMIN_ERRORS => counted.admin_errors,
            bar0::DMA_FAULTS => counted.dma_faults,
            bar0::RING_ERRORS => counted.ring_errors,
            bar0::BAD_ACCESSES => counted.bad_accesses,
            bar0::RESETS => counted.resets,
            // FEATURES: none is defined. KICK: write only.
            _ => 0,
        }
    }

    /// Writes BAR0; an access that is not allowed does nothing.
    pub(super) fn bar0_write(&mut self, offset: u64, from: &[u8]) -> Request {
        self.try_bar0_write(offset, from).unwrap_or_else(|| {
            self.refuse(offset, from.len());
            Request::None
        })
    }

    fn try_bar0_write(&mut self, offset: u64, from: &[u8]) -> Option<Request> {
        let offset = aligned(offset, from.len())?;
        if let Some(range) = msix_range(offset, from.len()) {
            self.setup.msix_table.0[range].copy_from_slice(from);
            return Some(Request::None);
        }
        let register = register_at(offset).filter(|r| offset + from.len() as u32 <= r.end())?;
        match *register {
            bar0::KICK => return Some(Request::Wake),
            bar0::CONTROL => {
                self.control(u32::from_le_bytes(from.try_into().ok()?));
                return Some(Request::None);
            }
            _ => {}
        }
        // The rest is set-up, which cannot change under running rings.
        if register.access != Access::ReadWrite || self.rings.is_some() {
            return None;
        }
        let mut value = self.value(register).to_le_bytes();
        let within = (offset - register.offset) as usize;
        value[within..within + from.len()].copy_from_slice(from);
        self.set(register, u64::from_le_bytes(value));
        Some(Request::None)
    }

    fn control(&mut self, value: u32) {
        let enable = value & bar0::CONTROL_ENABLE != 0;
        if value & bar0::CONTROL_RESET != 0 {
            self.reset();
        } else if !enable {
            self.stop();
        } else if self.rings.is_none() && self.fault.is_none() {
            self.start();
        }
    }

    fn set(&mut self, register: &Register, value: u64) {
        let setup = &mut self.setup;
        // Registers of 4 bytes were read as such, so the upper half is zero.
        let word = value as u32;
        match *register {
            bar0::DRIVER_FEATURES => setup.driver_features = value,
            bar0::ADMIN_SQ_BASE => setup.admin_sq_base = value,
            bar0::ADMIN_CQ_BASE => setup.admin_cq_base = value,
            bar0::ADMIN_SIZE => setup.admin_size = word,
            bar0::PUNT_BASE => setup.punt_base = value,
            bar0::PUNT_SIZE => setup.punt_size = word,
            bar0::INJECT_BASE => setup.inject_base = value,
            bar0::INJECT_SIZE => setup.inject_size = word,
            _ => {}
        }
    }

    fn refuse(&mut self, offset: u64, len: usize) {
        tracing::debug!(offset, len, "access to BAR0 refused");
        self.statistics.bad_accesses += 1;
    }
}

/// The offset, if it and the length are right for a register.
fn aligned(offset: u64, len: usize) -> Option<u32> {
    let offset = u32::try_from(offset).ok()?;
    ((len == 4 || len == 8) && (offset as usize).is_multiple_of(len)).then_some(offset)
}

fn msix_range(offset: u32, len: usize) -> Option<std::ops::Range<usize>> {
    let start = offset.checked_sub(pci::MSIX_TABLE)? as usize;
    (start + len <= usize::from(pci::VECTORS) * 16).then_some(start..start + len)
}
