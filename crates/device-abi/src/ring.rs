//! The two packet rings. In both the driver provides buffers and the device uses them in order.
//!
//! * punt ring (device → host): the driver posts empty buffers, the device fills them;
//! * inject ring (host → device): the driver posts packets, the device takes them.
//!
//! A packet is the bytes that cross the CPU port: the controller header of the P4 program, then
//! the frame. It lies in one buffer.
//!
//! ```text
//!          7        6        5        4        3        2        1        0
//!      ┌────────┬────────┬────────┬────────┬────────┬────────┬────────┬────────┐
//!  0   │                          address: IOVA of the buffer                  │
//!      ├─────────────────┬─────────────────┬───────────────────────────────────┤
//!  8   │ flags: PHASE    │ status          │ length, bytes                     │
//!      └─────────────────┴─────────────────┴───────────────────────────────────┘
//! ```
//!
//! The driver writes the descriptor with PHASE = ![`phase`]`(index, size)`, then the ring's doorbell.
//! The device completes it by one aligned 8-byte write at offset 8 with PHASE = `phase(index, size)`;
//! from then on descriptor and buffer are the driver's again.

use crate::codes::codes;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One entry of a packet ring.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Descriptor {
    /// IOVA of the buffer, any alignment.
    pub address: U64,
    /// The half that the device writes back.
    pub completion: DescriptorCompletion,
}

/// Second half of a descriptor.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct DescriptorCompletion {
    /// From the driver: bytes of the buffer (punt) or of the packet (inject). From the device: bytes
    /// of the packet that it wrote (punt) or took (inject); 0 with an error.
    pub length: U32,
    /// From the driver: 0. From the device: a [`DescriptorStatus`].
    pub status: U16,
    /// [`FLAG_PHASE`]; other bits are zero.
    pub flags: U16,
}

/// Bytes of a descriptor.
pub const DESCRIPTOR_LEN: usize = 16;
/// Where its completion is.
pub const COMPLETION_OFFSET: usize = 8;
const _: () = assert!(size_of::<Descriptor>() == DESCRIPTOR_LEN);
const _: () = assert!(size_of::<DescriptorCompletion>() == 8);

/// Says whose turn it is, see the module.
pub const FLAG_PHASE: u16 = 1 << 0;

codes! {
    /// What became of a descriptor.
    DescriptorStatus: u16 {
        Success = 0 "Done.";
        DmaFault = 1 "The buffer is not in memory that the device can reach with the rights it needs.";
        BadLength = 2 "Punt: the packet is longer than the buffer; it is lost. Inject: 0 or more than MAX_PACKET.";
        BadFlags = 3 "A flag that is not defined, or the phase of another lap.";
    }
}

/// Phase of a completed entry: 1 in the first lap around the ring, 0 in the second, and so on.
///
/// `size` is a power of two and so divides 2³²: the rule holds when `index` wraps.
pub const fn phase(index: u32, size: u32) -> bool {
    index & size == 0
}

/// Slot of entry `index`.
pub const fn slot(index: u32, size: u32) -> u32 {
    index & size.wrapping_sub(1)
}

/// Whether `size` may be the size of a ring: a power of two from 2 to `max`.
pub const fn is_ring_size(size: u32, max: u32) -> bool {
    size.is_power_of_two() && size >= 2 && size <= max
}

impl Descriptor {
    /// What a driver posts as entry `index` of a ring.
    pub fn post(index: u32, size: u32, address: u64, length: u32) -> Self {
        Self {
            address: U64::new(address),
            completion: DescriptorCompletion {
                length: U32::new(length),
                status: U16::ZERO,
                flags: U16::new(u16::from(!phase(index, size))),
            },
        }
    }
}

impl DescriptorCompletion {
    /// What a device writes back for entry `index`.
    pub fn done(index: u32, size: u32, status: DescriptorStatus, length: u32) -> Self {
        Self {
            length: U32::new(length),
            status: U16::new(status as u16),
            flags: U16::new(u16::from(phase(index, size))),
        }
    }

    /// Whether the device has completed entry `index`.
    pub fn is_done(&self, index: u32, size: u32) -> bool {
        (self.flags.get() & FLAG_PHASE != 0) == phase(index, size)
    }

    /// As the word that is stored at once.
    pub fn to_word(self) -> u64 {
        zerocopy::transmute!(self)
    }

    /// From a word that was loaded at once.
    pub fn from_word(word: u64) -> Self {
        zerocopy::transmute!(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_alternate_by_lap_and_across_the_wrap_of_the_index() {
        for size in [2, 8, 1024] {
            assert!(phase(0, size) && phase(size - 1, size));
            assert!(!phase(size, size) && !phase(2 * size - 1, size));
            assert!(phase(2 * size, size));
            assert_ne!(phase(u32::MAX, size), phase(0, size));
        }
    }

    #[test]
    fn a_posted_descriptor_is_not_done_until_completed() {
        for index in [0, 3, 4, 7, 8, u32::MAX] {
            let posted = Descriptor::post(index, 4, 0x1000, 64).completion;
            assert!(!posted.is_done(index, 4));
            let done = DescriptorCompletion::done(index, 4, DescriptorStatus::Success, 60);
            assert!(done.is_done(index, 4));
            assert_eq!(DescriptorCompletion::from_word(done.to_word()), done);
            // What is left from the lap before does not look done.
            assert!(!done.is_done(index.wrapping_add(4), 4));
        }
    }

    #[test]
    fn ring_sizes() {
        assert!(is_ring_size(2, 4096) && is_ring_size(4096, 4096));
        for bad in [0, 1, 3, 8192, u32::MAX] {
            assert!(!is_ring_size(bad, 4096), "{bad}");
        }
    }
}
