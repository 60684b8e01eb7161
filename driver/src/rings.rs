//! The packet rings, from the driver's side. Pure memory: no waiting, no system calls.
//!
//! Each descriptor has a buffer of its own for ever: descriptor `i` of a ring uses buffer `i`.

use std::sync::Arc;

use flownic_device_abi::bar2;
use flownic_device_abi::register::Register;
use flownic_device_abi::ring::{
    COMPLETION_OFFSET, DESCRIPTOR_LEN, Descriptor, DescriptorCompletion, DescriptorStatus, slot,
};
use zerocopy::IntoBytes;

use crate::error::NicError;
use crate::registers::Doorbells;
use crate::vfio::{DmaMemory, OutOfBounds};

/// Where a ring is in the DMA memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Offset of the descriptors.
    pub(crate) ring: usize,
    /// Offset of the first buffer.
    pub(crate) buffers: usize,
    /// Descriptors.
    pub(crate) size: u32,
    /// Bytes of a buffer.
    pub(crate) buffer_len: usize,
}

/// What both rings share.
#[derive(Debug)]
struct Ring {
    memory: Arc<DmaMemory>,
    doorbells: Arc<Doorbells>,
    place: Place,
}

impl Ring {
    fn descriptor(&self, index: u32) -> usize {
        self.place.ring + slot(index, self.place.size) as usize * DESCRIPTOR_LEN
    }

    fn buffer(&self, index: u32) -> usize {
        self.place.buffers + slot(index, self.place.size) as usize * self.place.buffer_len
    }

    /// Gives descriptor `index` to the device, without ringing.
    fn post(&self, index: u32, len: usize) -> Result<(), OutOfBounds> {
        let address = self.memory.iova() + self.buffer(index) as u64;
        let descriptor = Descriptor::post(index, self.place.size, address, len as u32);
        self.memory
            .memory()
            .write(self.descriptor(index), descriptor.as_bytes())
    }

    /// What the device wrote to descriptor `index`, if it did.
    fn completion(&self, index: u32) -> Result<Option<DescriptorCompletion>, OutOfBounds> {
        let word = self
            .memory
            .memory()
            .load_u64(self.descriptor(index) + COMPLETION_OFFSET)?;
        let completion = DescriptorCompletion::from_word(word);
        Ok(completion
            .is_done(index, self.place.size)
            .then_some(completion))
    }
}

fn succeeded(completion: &DescriptorCompletion) -> bool {
    completion.status.get() == DescriptorStatus::Success as u16
}

/// Packets from the device.
#[derive(Debug)]
pub(crate) struct PuntRing {
    ring: Ring,
    /// Next descriptor that the device will complete.
    head: u32,
    errors: u64,
}

impl PuntRing {
    /// The word that asks for an interrupt.
    pub(crate) const EVENT: &Register = &bar2::PUNT_EVENT;

    /// Gives all buffers to the device.
    pub(crate) fn start(
        memory: Arc<DmaMemory>,
        doorbells: Arc<Doorbells>,
        place: Place,
    ) -> Result<Self, NicError> {
        let ring = Ring {
            memory,
            doorbells,
            place,
        };
        for index in 0..place.size {
            ring.post(index, place.buffer_len)?;
        }
        ring.doorbells.store(&bar2::PUNT_TAIL, place.size)?;
        Ok(Self {
            ring,
            head: 0,
            errors: 0,
        })
    }

    /// Index of the next packet.
    pub(crate) fn next(&self) -> u32 {
        self.head
    }

    /// The next packet, if there is one. Its buffer goes back to the device.
    pub(crate) fn pop(&mut self) -> Result<Option<Vec<u8>>, NicError> {
        let Ring {
            place,
            memory,
            doorbells,
        } = &self.ring;
        while let Some(completion) = self.ring.completion(self.head)? {
            let len = completion.length.get() as usize;
            let packet = if !succeeded(&completion) {
                self.errors += 1;
                tracing::warn!(
                    ?completion,
                    errors = self.errors,
                    "the device could not fill a punt buffer"
                );
                None
            } else if len > place.buffer_len {
                let reason = format!("{len} bytes in a buffer of {}", place.buffer_len);
                return Err(NicError::Malformed {
                    what: "punt",
                    reason,
                });
            } else {
                Some(memory.memory().read_vec(self.ring.buffer(self.head), len)?)
            };
            // The slot's next turn is one lap later.
            let again = self.head.wrapping_add(place.size);
            self.ring.post(again, place.buffer_len)?;
            self.head = self.head.wrapping_add(1);
            // Sleeping devices need not be woken for empty buffers.
            doorbells.store(&bar2::PUNT_TAIL, again.wrapping_add(1))?;
            if packet.is_some() {
                return Ok(packet);
            }
        }
        Ok(None)
    }
}

/// Packets to the device.
#[derive(Debug)]
pub(crate) struct InjectRing {
    ring: Ring,
    /// Next descriptor to be posted.
    tail: u32,
    /// Next descriptor that the device will complete.
    done: u32,
    errors: u64,
}

impl InjectRing {
    /// The word that asks for an interrupt.
    pub(crate) const EVENT: &Register = &bar2::INJECT_EVENT;

    pub(crate) fn new(memory: Arc<DmaMemory>, doorbells: Arc<Doorbells>, place: Place) -> Self {
        Self {
            ring: Ring {
                memory,
                doorbells,
                place,
            },
            tail: 0,
            done: 0,
            errors: 0,
        }
    }

    /// Longest packet.
    pub(crate) fn limit(&self) -> usize {
        self.ring.place.buffer_len
    }

    /// Index of the descriptor that will be free next.
    pub(crate) fn next(&self) -> u32 {
        self.done
    }

    /// Hands a packet of at most [`InjectRing::limit`] bytes to the device; false: the ring is full.
    pub(crate) fn push(&mut self, packet: &[u8]) -> Result<bool, NicError> {
        self.reclaim()?;
        if self.tail.wrapping_sub(self.done) == self.ring.place.size {
            return Ok(false);
        }
        self.ring
            .memory
            .memory()
            .write(self.ring.buffer(self.tail), packet)?;
        self.ring.post(self.tail, packet.len())?;
        self.tail = self.tail.wrapping_add(1);
        self.ring.doorbells.ring(&bar2::INJECT_TAIL, self.tail)?;
        Ok(true)
    }

    fn reclaim(&mut self) -> Result<(), NicError> {
        while self.done != self.tail {
            let Some(completion) = self.ring.completion(self.done)? else {
                break;
            };
            if !succeeded(&completion) {
                self.errors += 1;
                tracing::warn!(
                    ?completion,
                    errors = self.errors,
                    "the device refused a packet"
                );
            }
            self.done = self.done.wrapping_add(1);
        }
        Ok(())
    }
}
