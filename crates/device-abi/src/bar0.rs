//! BAR0: identity, limits, set-up and counters. Slow (trapped by a device in software), so nothing
//! here is touched for a packet or a command, except [`KICK`] when the device sleeps.
//!
//! Registers of 4 bytes are accessed by 4 bytes, longer ones by 4 or 8, aligned. Any other access
//! reads all ones, writes nothing and counts in [`BAD_ACCESSES`]. All ones in [`MAGIC`] mean that
//! the device is gone.

use crate::codes::codes;
use crate::register::registers;

registers! {
    MAGIC            0x0000 4  ReadOnly  "0x43494e46, \"FNIC\".";
    ABI_VERSION      0x0004 4  ReadOnly  "Version of this interface: major in bits 31:16, minor in 15:0.";
    FEATURES         0x0008 8  ReadOnly  "Optional features of the device, one bit each. None is defined yet.";
    DRIVER_FEATURES  0x0010 8  ReadWrite "Features that the driver uses: a subset of FEATURES.";
    STATUS           0x0018 4  ReadOnly  "State of the function, see below.";
    CONTROL          0x001c 4  ReadWrite "ENABLE and RESET, see below.";
    PIPELINE_COOKIE  0x0020 8  ReadOnly  "Identifies the loaded pipeline: changes when the program does.";
    MAX_ADMIN        0x0028 4  ReadOnly  "Largest ADMIN_SIZE, entries.";
    MAX_RING         0x002c 4  ReadOnly  "Largest PUNT_SIZE and INJECT_SIZE, descriptors.";
    MAX_DATA         0x0030 4  ReadOnly  "Longest input or output of an admin command, bytes.";
    MAX_PACKET       0x0034 4  ReadOnly  "Longest punted or injected packet with its controller header, bytes.";
    UPLINKS          0x0038 4  ReadOnly  "Uplink ports; pipeline ports 0 and up.";
    VFS              0x003c 4  ReadOnly  "Virtual functions; VF n is pipeline port 16 + n.";
    FIRMWARE         0x0040 64 ReadOnly  "Name and version of the firmware, UTF-8, padded with zeros.";
    ADMIN_SQ_BASE    0x0100 8  ReadWrite "IOVA of the admin submission queue, a multiple of 64.";
    ADMIN_CQ_BASE    0x0108 8  ReadWrite "IOVA of the admin completion queue, a multiple of 64.";
    ADMIN_SIZE       0x0110 4  ReadWrite "Entries of both: a power of two, 2 to MAX_ADMIN.";
    PUNT_BASE        0x0118 8  ReadWrite "IOVA of the punt ring, a multiple of 64.";
    PUNT_SIZE        0x0120 4  ReadWrite "Descriptors: a power of two, 2 to MAX_RING; 0: no punt ring.";
    INJECT_BASE      0x0128 8  ReadWrite "IOVA of the inject ring, a multiple of 64.";
    INJECT_SIZE      0x0130 4  ReadWrite "Descriptors: a power of two, 2 to MAX_RING; 0: no inject ring.";
    KICK             0x0180 4  WriteOnly "Any write wakes a device that set SLEEPING in BAR2.";
    PUNTS            0x0200 8  ReadOnly  "Packets written to the punt ring.";
    PUNT_RING_FULL   0x0208 8  ReadOnly  "Punts dropped: no free descriptor.";
    NO_DRIVER        0x0210 8  ReadOnly  "Punts dropped: function not enabled, or no punt ring.";
    PUNT_ERRORS      0x0218 8  ReadOnly  "Punts dropped: buffer too short or not reachable by DMA.";
    INJECTS          0x0220 8  ReadOnly  "Packets taken from the inject ring into the pipeline.";
    INJECT_ERRORS    0x0228 8  ReadOnly  "Descriptors of the inject ring refused: length, address or flags.";
    ADMIN_COMMANDS   0x0230 8  ReadOnly  "Admin commands completed, with success or not.";
    ADMIN_ERRORS     0x0238 8  ReadOnly  "Admin commands completed with another status than SUCCESS.";
    DMA_FAULTS       0x0240 8  ReadOnly  "Accesses of the device to host memory that were refused.";
    RING_ERRORS      0x0248 8  ReadOnly  "Times that a doorbell or a ring was found corrupt.";
    BAD_ACCESSES     0x0250 8  ReadOnly  "Accesses to BAR0 refused: size, alignment, or not now.";
    RESETS           0x0258 8  ReadOnly  "Resets of every kind since power-on.";
}

/// Content of [`MAGIC`].
pub const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"FNIC");

/// [`STATUS`]: a pipeline is loaded.
pub const STATUS_READY: u32 = 1 << 0;
/// [`STATUS`]: rings are set up and served.
pub const STATUS_ENABLED: u32 = 1 << 1;
/// [`STATUS`]: set-up was refused, or the function stopped; bits 15:8 hold a [`Fault`]. Only a reset clears it.
pub const STATUS_ERROR: u32 = 1 << 2;

/// [`CONTROL`]: 1 checks the set-up and starts the rings; then [`STATUS`] says whether it worked. 0 stops them.
pub const CONTROL_ENABLE: u32 = 1 << 0;
/// [`CONTROL`]: resets the function as function level reset does; reads zero.
pub const CONTROL_RESET: u32 = 1 << 1;

codes! {
    /// Why [`STATUS_ERROR`] is set.
    Fault: u8 {
        BadSetup = 1 "A size is not a power of two or out of its limits, or a base is not aligned.";
        RingUnreachable = 2 "A ring is not in memory that the device can reach with the rights it needs.";
        BusMasterOff = 3 "The command register does not allow DMA.";
        UnknownFeature = 4 "DRIVER_FEATURES names a feature that the device lacks.";
        DoorbellCorrupt = 5 "A doorbell is ahead of its ring by more than the ring's size.";
    }
}

impl Fault {
    /// The fault that a [`STATUS`] reports; `None`: no error, or a code of a later version.
    pub fn from_status(status: u32) -> Option<Fault> {
        let error = status & STATUS_ERROR != 0;
        Self::from_code((status >> 8) as u8).filter(|_| error)
    }

    /// The bits that report the fault in [`STATUS`].
    pub const fn to_status(self) -> u32 {
        STATUS_ERROR | (self as u32) << 8
    }
}

const _: () = assert!(RESETS.end() <= crate::pci::MSIX_TABLE);

/// The register that holds byte `offset`.
pub fn register_at(offset: u32) -> Option<&'static crate::register::Register> {
    let after = REGISTERS.partition_point(|register| register.offset <= offset);
    let register = &REGISTERS[after.checked_sub(1)?];
    (offset < register.end()).then_some(register)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_found_by_any_of_their_bytes() {
        assert_eq!(register_at(0), Some(&MAGIC));
        assert_eq!(register_at(0x0c), Some(&FEATURES));
        assert_eq!(register_at(0x7f), Some(&FIRMWARE));
        assert_eq!(register_at(0x80), None);
        assert_eq!(register_at(0x1_0000), None);
    }

    #[test]
    fn faults_survive_the_status_register() {
        for &fault in Fault::ALL {
            assert_eq!(
                Fault::from_status(fault.to_status() | STATUS_READY),
                Some(fault)
            );
        }
        assert_eq!(Fault::from_status(STATUS_READY), None);
        assert_eq!(Fault::from_status(STATUS_ERROR | 0xee00), None);
    }
}
