//! What the worker does with the rings of an enabled function.
//!
//! Descriptors and commands come from a driver that may be broken or hostile. A bad one is
//! completed with an error; where there is nothing that could be completed, the function stops
//! with a fault and the driver must reset it. Other functions and the pipeline go on.

use flownic_device_abi::admin::{self, Command, Completion, CompletionTail, Status};
use flownic_device_abi::bar0::Fault;
use flownic_device_abi::ring::{
    self, Descriptor, DescriptorCompletion, DescriptorStatus, FLAG_PHASE,
};
use flownic_device_abi::{bar2, pci};
use zerocopy::IntoBytes;

use super::admin::{Job, Outcome};
use super::function::{Function, MAX_DATA, MAX_PACKET, PacketRing};

/// Packets taken from the inject ring, one after the other in one buffer.
#[derive(Debug, Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Packets {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.bytes[start..end])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// What was found at the head of the admin queue.
#[derive(Debug)]
pub(super) enum Taken {
    /// A command to execute.
    Job(Job),
    /// A command that was refused and is completed.
    Refused,
    /// Nothing.
    Nothing,
}

impl Function {
    /// Whether a ring has something for the device.
    pub(super) fn has_work(&self) -> bool {
        self.rings.is_some_and(|rings| {
            let injected = rings
                .inject
                .is_some_and(|ring| ring.head != self.doorbell(&bar2::INJECT_TAIL));
            injected || rings.admin.taken != self.doorbell(&bar2::ADMIN_TAIL)
        })
    }

    /// Takes the next admin command with its input.
    pub(super) fn take_command(&mut self) -> Taken {
        let Some(queue) = self.rings.as_mut().map(|rings| &mut rings.admin) else {
            return Taken::Nothing;
        };
        let (index, size, base) = (queue.taken, queue.size, queue.submissions);
        let pending = self.doorbell(&bar2::ADMIN_TAIL).wrapping_sub(index);
        if pending == 0 {
            return Taken::Nothing;
        }
        if pending > size {
            self.fail(Fault::DoorbellCorrupt);
            return Taken::Nothing;
        }
        let mut command = Command::default();
        let slot = u64::from(ring::slot(index, size)) * admin::COMMAND_LEN as u64;
        if self.dma_read(base + slot, command.as_mut_bytes()).is_err() {
            self.fail(Fault::RingUnreachable);
            return Taken::Nothing;
        }
        if let Some(rings) = &mut self.rings {
            rings.admin.taken = index.wrapping_add(1);
        }
        match self.input_of(&command) {
            Ok(input) => Taken::Job(Job {
                epoch: self.epoch,
                command,
                input,
            }),
            Err(status) => {
                self.complete(self.epoch, &command, Outcome::error(status));
                Taken::Refused
            }
        }
    }

    /// Copies a command's input and makes sure that its output has a place.
    fn input_of(&mut self, command: &Command) -> Result<Vec<u8>, Status> {
        let (input_len, output_len) = (command.input_len.get(), command.output_len.get());
        let reserved = command.reserved.get() != 0 || command.reserved2.get() != 0;
        if reserved || input_len > MAX_DATA || output_len > MAX_DATA {
            return Err(Status::BadField);
        }
        self.dma_check_write(command.output.get(), output_len.into())
            .map_err(|_| Status::DmaFault)?;
        let mut input = vec![0; input_len as usize];
        self.dma_read(command.input.get(), &mut input)
            .map_err(|_| Status::DmaFault)?;
        Ok(input)
    }

    /// Writes a command's output and completion, unless the rings were stopped since it was taken.
    pub(super) fn complete(&mut self, epoch: u64, command: &Command, mut outcome: Outcome) {
        let Some(queue) = self
            .rings
            .filter(|_| epoch == self.epoch)
            .map(|rings| rings.admin)
        else {
            tracing::debug!(
                id = command.id.get(),
                "completion dropped: the rings were stopped"
            );
            return;
        };
        if self
            .dma_write(command.output.get(), &outcome.output)
            .is_err()
        {
            outcome = Outcome::error(Status::DmaFault); // unmapped while the command ran
        }
        self.statistics.admin_commands += 1;
        self.statistics.admin_errors += u64::from(outcome.status != Status::Success);
        let index = queue.completed;
        let completion = Completion {
            cursor: outcome.cursor.into(),
            output_len: (outcome.output.len() as u32).into(),
            count: outcome.count.into(),
            detail: outcome.detail.into(),
            tail: CompletionTail::new(
                index,
                queue.size,
                queue.taken,
                command.id.get(),
                outcome.status,
            ),
        };
        let address = queue.completions
            + u64::from(ring::slot(index, queue.size)) * admin::COMPLETION_LEN as u64;
        let written = self
            .dma_write(address, &completion.as_bytes()[..admin::TAIL_OFFSET])
            .and_then(|()| {
                self.dma_store(
                    address + admin::TAIL_OFFSET as u64,
                    completion.tail.to_word(),
                )
            });
        if written.is_err() {
            return self.fail(Fault::RingUnreachable);
        }
        if let Some(rings) = &mut self.rings {
            rings.admin.completed = index.wrapping_add(1);
        }
        self.interrupt_if_due(
            &bar2::ADMIN_EVENT,
            index,
            index.wrapping_add(1),
            pci::VECTOR_ADMIN,
        );
    }

    /// Takes up to `limit` injected packets; descriptors are completed at once, as the bytes are copied.
    /// Returns the number of descriptors handled, good or bad.
    pub(super) fn take_packets(&mut self, packets: &mut Packets, limit: u32) -> usize {
        packets.clear();
        let Some(ring) = self.rings.and_then(|rings| rings.inject) else {
            return 0;
        };
        let pending = self.doorbell(&bar2::INJECT_TAIL).wrapping_sub(ring.head);
        if pending > ring.size {
            self.fail(Fault::DoorbellCorrupt);
            return 0;
        }
        let count = pending.min(limit);
        for i in 0..count {
            let at = PacketRing {
                head: ring.head.wrapping_add(i),
                ..ring
            };
            if self.take_packet(&at, packets).is_err() {
                self.fail(Fault::RingUnreachable);
                return 0;
            }
        }
        let end = ring.head.wrapping_add(count);
        if let Some(ring) = self.rings.as_mut().and_then(|rings| rings.inject.as_mut()) {
            ring.head = end;
        }
        self.interrupt_if_due(&bar2::INJECT_EVENT, ring.head, end, pci::VECTOR_INJECT);
        count as usize
    }

    /// Takes the packet at a ring's head. An error: the descriptor itself is out of reach.
    fn take_packet(
        &mut self,
        ring: &PacketRing,
        packets: &mut Packets,
    ) -> Result<(), super::dma::DmaFault> {
        let descriptor = self.descriptor(ring)?;
        let len = descriptor.completion.length.get();
        let start = packets.bytes.len();
        let status = if !may_be_used(&descriptor, ring) {
            DescriptorStatus::BadFlags
        } else if len == 0 || len > MAX_PACKET {
            DescriptorStatus::BadLength
        } else {
            packets.bytes.resize(start + len as usize, 0);
            match self.dma_read(descriptor.address.get(), &mut packets.bytes[start..]) {
                Ok(()) => DescriptorStatus::Success,
                Err(_) => DescriptorStatus::DmaFault,
            }
        };
        if status == DescriptorStatus::Success {
            self.statistics.injects += 1;
            packets.ends.push(packets.bytes.len());
            self.complete_descriptor(ring, status, len)
        } else {
            tracing::debug!(?status, ?descriptor, "inject descriptor refused");
            self.statistics.inject_errors += 1;
            packets.bytes.truncate(start);
            self.complete_descriptor(ring, status, 0)
        }
    }

    /// Writes a packet to the punt ring; false: it is lost and counted.
    pub(super) fn punt(&mut self, packet: &[u8]) -> bool {
        let Some(ring) = self.rings.and_then(|rings| rings.punt) else {
            self.statistics.no_driver += 1;
            return false;
        };
        let free = self.doorbell(&bar2::PUNT_TAIL).wrapping_sub(ring.head);
        if free == 0 {
            self.statistics.punt_ring_full += 1;
            return false;
        }
        if free > ring.size {
            self.statistics.no_driver += 1;
            self.fail(Fault::DoorbellCorrupt);
            return false;
        }
        let Ok(status) = self.fill(&ring, packet) else {
            self.statistics.punt_errors += 1;
            self.fail(Fault::RingUnreachable);
            return false;
        };
        let end = ring.head.wrapping_add(1);
        if let Some(ring) = self.rings.as_mut().and_then(|rings| rings.punt.as_mut()) {
            ring.head = end;
        }
        self.interrupt_if_due(&bar2::PUNT_EVENT, ring.head, end, pci::VECTOR_PUNT);
        let delivered = status == DescriptorStatus::Success;
        if delivered {
            self.statistics.punts += 1;
        } else {
            tracing::debug!(?status, len = packet.len(), "punt buffer refused");
            self.statistics.punt_errors += 1;
        }
        delivered
    }

    /// Fills the buffer at the ring's head and completes it. An error: the descriptor itself is out of reach.
    fn fill(
        &mut self,
        ring: &PacketRing,
        packet: &[u8],
    ) -> Result<DescriptorStatus, super::dma::DmaFault> {
        let descriptor = self.descriptor(ring)?;
        let status = if !may_be_used(&descriptor, ring) {
            DescriptorStatus::BadFlags
        } else if packet.len() > descriptor.completion.length.get() as usize {
            DescriptorStatus::BadLength
        } else if self.dma_write(descriptor.address.get(), packet).is_err() {
            DescriptorStatus::DmaFault
        } else {
            DescriptorStatus::Success
        };
        let len = if status == DescriptorStatus::Success {
            packet.len() as u32
        } else {
            0
        };
        self.complete_descriptor(ring, status, len)?;
        Ok(status)
    }

    /// The descriptor at a ring's head.
    fn descriptor(&mut self, ring: &PacketRing) -> Result<Descriptor, super::dma::DmaFault> {
        let mut descriptor = Descriptor::default();
        self.dma_read(address_of(ring), descriptor.as_mut_bytes())?;
        Ok(descriptor)
    }

    fn complete_descriptor(
        &mut self,
        ring: &PacketRing,
        status: DescriptorStatus,
        len: u32,
    ) -> Result<(), super::dma::DmaFault> {
        let done = DescriptorCompletion::done(ring.head, ring.size, status, len);
        self.dma_store(
            address_of(ring) + ring::COMPLETION_OFFSET as u64,
            done.to_word(),
        )
    }
}

/// Address of the descriptor at a ring's head. The whole ring was checked when it was set up, so
/// it does not wrap around the address space.
fn address_of(ring: &PacketRing) -> u64 {
    ring.base + u64::from(ring::slot(ring.head, ring.size)) * ring::DESCRIPTOR_LEN as u64
}

/// Whether the driver posted this descriptor for this lap, without unknown flags.
fn may_be_used(descriptor: &Descriptor, ring: &PacketRing) -> bool {
    let completion = &descriptor.completion;
    completion.flags.get() & !FLAG_PHASE == 0 && !completion.is_done(ring.head, ring.size)
}
