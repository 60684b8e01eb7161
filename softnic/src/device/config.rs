//! Configuration space: bytes, and which bits of them the driver may change.

use flownic_device_abi::{ABI_VERSION, abi_major, pci};

/// What a write to configuration space asks the function to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing more.
    None,
    /// A function level reset.
    Reset,
}

/// The 4 KiB of configuration space of one function.
#[derive(Debug)]
pub(super) struct ConfigSpace {
    bytes: [u8; pci::CONFIG_LEN],
    writable: [u8; pci::CONFIG_LEN],
    serial: u64,
}

impl ConfigSpace {
    pub(super) fn new(serial: u64) -> Self {
        let mut space = Self {
            bytes: [0; pci::CONFIG_LEN],
            writable: [0; pci::CONFIG_LEN],
            serial,
        };
        space.reset();
        space
    }

    /// Back to the state after power-on.
    pub(super) fn reset(&mut self) {
        self.bytes.fill(0);
        self.writable.fill(0);
        self.header();
        self.power_management();
        self.msix();
        self.express();
        self.extended();
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    fn header(&mut self) {
        let class = (pci::CLASS_CODE << 8 | u32::from(abi_major(ABI_VERSION) & 0xff)).to_le_bytes();
        self.put(pci::CONFIG_VENDOR, &pci::VENDOR_ID.to_le_bytes());
        self.put(pci::CONFIG_VENDOR + 2, &pci::DEVICE_ID.to_le_bytes());
        self.put(pci::CONFIG_STATUS, &pci::STATUS_CAPABILITIES.to_le_bytes());
        self.put(pci::CONFIG_REVISION, &class);
        self.put(pci::CONFIG_SUBSYSTEM, &pci::VENDOR_ID.to_le_bytes());
        self.put(pci::CONFIG_SUBSYSTEM + 2, &pci::SUBSYSTEM_ID.to_le_bytes());
        self.put(pci::CONFIG_CAPABILITIES, &[pci::PM_OFFSET as u8]);
        // Memory, bus master, parity and SERR enable, interrupt disable.
        self.allow(pci::CONFIG_COMMAND, &0x0546_u16.to_le_bytes());
        self.allow(0x0c, &[0xff]); // cache line size
        self.allow(0x3c, &[0xff]); // interrupt line
        // BAR0: 32 bit. BAR2: 64 bit, prefetchable. The low bits of their size read as zero.
        self.allow(pci::CONFIG_BAR0, &(!(pci::BAR0_LEN - 1)).to_le_bytes());
        self.put(pci::CONFIG_BAR2, &[0b1100]);
        self.allow(pci::CONFIG_BAR2, &(!(pci::BAR2_LEN - 1)).to_le_bytes());
        self.allow(pci::CONFIG_BAR2 + 4, &[0xff; 4]);
    }

    /// PCI Express Base 6.0 §7.5.2: version 3; D0 and D3hot, no reset between them.
    fn power_management(&mut self) {
        self.put(
            pci::PM_OFFSET,
            &[pci::PM_ID, pci::MSIX_OFFSET as u8, 0x03, 0x00, 0x08, 0x00],
        );
        self.allow(pci::PM_OFFSET + 4, &[0x03]);
    }

    /// §7.7.2: table and pending bits in BAR0.
    fn msix(&mut self) {
        self.put(pci::MSIX_OFFSET, &[pci::MSIX_ID, pci::EXPRESS_OFFSET as u8]);
        self.put(pci::MSIX_OFFSET + 2, &(pci::VECTORS - 1).to_le_bytes());
        self.put(
            pci::MSIX_OFFSET + 4,
            &(pci::MSIX_TABLE | pci::BAR0).to_le_bytes(),
        );
        self.put(
            pci::MSIX_OFFSET + 8,
            &(pci::MSIX_PENDING | pci::BAR0).to_le_bytes(),
        );
        self.allow(pci::MSIX_OFFSET + 3, &[0xc0]); // enable, mask all
    }

    /// §7.5.3: endpoint, capability version 2, function level reset, a link of 1 lane of 2.5 GT/s.
    fn express(&mut self) {
        self.put(pci::EXPRESS_OFFSET, &[pci::EXPRESS_ID, 0, 0x02, 0x00]);
        let role_based_errors = 1 << 15;
        let capabilities = pci::EXPRESS_CAP_FLR | role_based_errors | 1; // payloads of 256 bytes
        self.put(pci::EXPRESS_OFFSET + 0x04, &u32::to_le_bytes(capabilities));
        self.put(pci::EXPRESS_OFFSET + 0x0c, &0x11_u32.to_le_bytes());
        self.put(pci::EXPRESS_OFFSET + 0x12, &0x11_u16.to_le_bytes());
        self.allow(pci::EXPRESS_CONTROL, &[0xff, 0x7f]);
    }

    fn extended(&mut self) {
        let header =
            |id: u16, next: usize| (u32::from(id) | 1 << 16 | (next as u32) << 20).to_le_bytes();
        self.put(pci::SERIAL_OFFSET, &header(pci::SERIAL_ID, pci::ACS_OFFSET));
        self.put(pci::SERIAL_OFFSET + 4, &self.serial.to_le_bytes());
        self.put(pci::ACS_OFFSET, &header(pci::ACS_ID, 0));
    }

    /// Whether the function may access host memory: bus master is on and power state is D0.
    pub(super) fn dma_allowed(&self) -> bool {
        let command = u16::from_le_bytes([
            self.bytes[pci::CONFIG_COMMAND],
            self.bytes[pci::CONFIG_COMMAND + 1],
        ]);
        command & pci::COMMAND_BUS_MASTER != 0 && self.bytes[pci::PM_OFFSET + 4] & 0x03 == 0
    }

    /// Reads; `None`: beyond the end.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> Option<()> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(into.len())?;
        into.copy_from_slice(self.bytes.get(offset..end)?);
        Some(())
    }

    /// Writes what may be written; `None`: beyond the end.
    pub(super) fn write(&mut self, offset: u64, from: &[u8]) -> Option<Effect> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset
            .checked_add(from.len())
            .filter(|&end| end <= pci::CONFIG_LEN)?;
        let bytes = self.bytes[offset..end]
            .iter_mut()
            .zip(&self.writable[offset..end]);
        for ((byte, mask), value) in bytes.zip(from) {
            *byte = *byte & !mask | value & mask;
        }
        let control = pci::EXPRESS_CONTROL + 1; // the byte that holds the reset bit
        let reset = (offset..end).contains(&control)
            && from[control - offset] & (pci::EXPRESS_CONTROL_FLR >> 8) as u8 != 0;
        Some(if reset { Effect::Reset } else { Effect::None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize>(space: &ConfigSpace, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        space.read(offset as u64, &mut bytes).expect("in bounds");
        bytes
    }

    /// R6.4: a driver that walks the capabilities finds them all.
    #[test]
    fn capability_lists_are_complete() {
        let space = ConfigSpace::new(0x1122_3344_5566_7788);
        let mut found = vec![];
        let mut at = usize::from(read::<1>(&space, pci::CONFIG_CAPABILITIES)[0]);
        while at != 0 {
            let [id, next] = read(&space, at);
            found.push((at, id));
            at = next.into();
        }
        assert_eq!(found, [(0x40, 0x01), (0x50, 0x11), (0x60, 0x10)]);
        let mut found = vec![];
        let mut at = 0x100;
        while at != 0 {
            let header = u32::from_le_bytes(read(&space, at));
            found.push((at, header & 0xffff));
            at = (header >> 20) as usize;
        }
        assert_eq!(found, [(0x100, 0x03), (0x140, 0x0d)]);
        assert_eq!(
            u64::from_le_bytes(read(&space, 0x104)),
            0x1122_3344_5566_7788
        );
    }

    /// R6.4: BARs answer the sizing protocol (PCI Local Bus 3.0 §6.2.5.1).
    #[test]
    fn bars_can_be_sized_and_ids_cannot_be_changed() {
        let mut space = ConfigSpace::new(1);
        space.write(0, &[0xff; 0x40]).expect("in bounds");
        assert_eq!(u32::from_le_bytes(read(&space, 0x10)), !(pci::BAR0_LEN - 1));
        assert_eq!(u32::from_le_bytes(read(&space, 0x14)), 0);
        assert_eq!(
            u64::from_le_bytes(read(&space, 0x18)),
            !(u64::from(pci::BAR2_LEN) - 1) | 0b1100
        );
        assert_eq!(read(&space, 0), [0x0c, 0xf1, 0x01, 0x00]);
    }

    #[test]
    fn dma_needs_bus_master_and_power() {
        let mut space = ConfigSpace::new(1);
        assert!(!space.dma_allowed());
        space.write(4, &[0x06, 0]).expect("in bounds");
        assert!(space.dma_allowed());
        space
            .write(pci::PM_OFFSET as u64 + 4, &[0x03])
            .expect("in bounds");
        assert!(!space.dma_allowed());
        space.reset();
        assert_eq!(read(&space, 4), [0, 0]);
    }

    #[test]
    fn function_level_reset_is_seen_in_any_write_that_covers_it() {
        let mut space = ConfigSpace::new(1);
        let control = pci::EXPRESS_CONTROL as u64;
        assert_eq!(space.write(control, &[0, 0x80]), Some(Effect::Reset));
        assert_eq!(space.write(control + 1, &[0x80]), Some(Effect::Reset));
        assert_eq!(
            space.write(control - 4, &[0, 0, 0, 0, 0, 0x80, 0, 0]),
            Some(Effect::Reset)
        );
        assert_eq!(space.write(control, &[0xff]), Some(Effect::None));
        assert_eq!(
            read::<2>(&space, pci::EXPRESS_CONTROL)[1] & 0x80,
            0,
            "reads zero"
        );
        assert_eq!(space.write(4094, &[0; 4]), None);
        assert_eq!(space.read(u64::MAX, &mut [0; 4]), None);
    }
}
