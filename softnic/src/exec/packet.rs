//! A packet's life: parser, ingress, replication, egress, deparser.

use std::collections::VecDeque;
use std::time::Duration;

use super::externs::Externs;
use super::machine::{DROP_PORT, Machine, Random, Requests};
use super::parser::Parsed;
use super::phv::Phv;
use super::replication::Replication;
use super::{deparser, hash};
use crate::engine::Statistics;
use crate::program::{Checksum, NodeId, Program};
use crate::tables::Table;

/// Passes through ingress or egress that one received packet may cause.
const MAX_ROUNDS: usize = 4096;

/// `standard_metadata.instance_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instance {
    Normal = 0,
    IngressClone = 1,
    EgressClone = 2,
    Recirculated = 4,
    Replicated = 5,
    Resubmitted = 6,
}

/// A packet that waits for ingress or egress.
enum Waiting {
    Ingress {
        packet: Vec<u8>,
        /// Metadata to begin with, when fields were kept.
        metadata: Option<Box<Phv>>,
        instance: Instance,
        port: u16,
    },
    Egress {
        phv: Box<Phv>,
        payload: Vec<u8>,
        port: u16,
        length: u32,
        ingress_length: u32,
    },
}

/// Everything that running a packet needs; borrowed from the engine.
pub(crate) struct Run<'a> {
    pub(crate) program: &'a Program,
    pub(crate) tables: &'a mut [Table],
    pub(crate) externs: &'a mut Externs,
    pub(crate) replication: &'a Replication,
    pub(crate) statistics: &'a mut Statistics,
    pub(crate) room: &'a mut Room,
    pub(crate) now: Duration,
}

/// Buffers that are kept from packet to packet.
pub(crate) struct Room {
    pub(crate) phv: Phv,
    pub(crate) key: Vec<u8>,
    pub(crate) scratch: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) random: Random,
    pub(crate) requests: Requests,
}

impl Room {
    /// Buffers for a program.
    pub(crate) fn new(program: &Program) -> Room {
        Room {
            phv: Phv::new(program),
            key: Vec::new(),
            scratch: Vec::new(),
            out: Vec::new(),
            random: Random::new(0x9e37_79b9_7f4a_7c15),
            requests: Requests::default(),
        }
    }
}

impl Run<'_> {
    /// Runs a received packet and all that comes of it.
    pub(crate) fn packet(&mut self, port: u16, packet: &[u8], out: &mut impl FnMut(u16, &[u8])) {
        let mut waiting = VecDeque::new();
        self.ingress(packet, None, Instance::Normal, port, &mut waiting, out);
        for _ in 0..MAX_ROUNDS {
            match waiting.pop_front() {
                None => return,
                Some(Waiting::Ingress {
                    packet,
                    metadata,
                    instance,
                    port,
                }) => {
                    let metadata = metadata.as_deref();
                    self.ingress(&packet, metadata, instance, port, &mut waiting, out);
                }
                Some(Waiting::Egress {
                    phv,
                    payload,
                    port,
                    length,
                    ingress_length,
                }) => {
                    self.room.phv = *phv;
                    let lengths = (length, ingress_length);
                    self.egress(&payload, port, lengths, &mut waiting, out);
                }
            }
        }
        self.statistics.dropped_loop += waiting.len() as u64;
    }

    fn ingress(
        &mut self,
        packet: &[u8],
        metadata: Option<&Phv>,
        instance: Instance,
        port: u16,
        waiting: &mut VecDeque<Waiting>,
        out: &mut impl FnMut(u16, &[u8]),
    ) {
        let received = packet.len() as u32;
        let mut length = received;
        match metadata {
            Some(metadata) => self.room.phv.clone_from(metadata),
            None => {
                self.room.phv.reset(self.program);
                let standard = &self.program.standard;
                let phv = &mut self.room.phv;
                phv.store(standard.ingress_port, u128::from(port));
                phv.store(standard.packet_length, u128::from(length));
                phv.store(standard.instance_type, instance as u128);
                if let Some(timestamp) = standard.ingress_timestamp {
                    phv.store(timestamp, self.now.as_micros());
                }
            }
        }
        let parsed = self.parse(packet, &mut length, received);
        if parsed.looped {
            self.statistics.dropped_loop += 1;
            return;
        }
        let payload = &packet[parsed.bytes..];
        self.verify_checksums(payload);
        self.room.requests = Requests::default();
        self.pipeline(self.program.ingress, payload, &mut length, received);
        if self.is_abandoned() {
            return;
        }
        self.after_ingress(packet, parsed.bytes, port, length, waiting, out);
    }

    /// What the actions of ingress asked for, in bmv2's order.
    fn after_ingress(
        &mut self,
        packet: &[u8],
        parsed: usize,
        port: u16,
        length: u32,
        waiting: &mut VecDeque<Waiting>,
        out: &mut impl FnMut(u16, &[u8]),
    ) {
        let received = packet.len() as u32;
        let standard = &self.program.standard;
        let egress_spec = self.room.phv.load(standard.egress_spec) as u16;
        let group = standard
            .multicast_group
            .map_or(0, |bits| self.room.phv.load(bits)) as u16;
        self.statistics.digests_unread += u64::from(self.room.requests.digests);
        if let Some((session, fields)) = self.room.requests.clone.take() {
            self.clone_ingress(packet, session, fields, port, waiting);
        }
        if let Some(fields) = self.room.requests.resubmit.take() {
            let metadata = self.kept_metadata(fields, Instance::Resubmitted, received);
            let (packet, instance) = (packet.to_vec(), Instance::Resubmitted);
            waiting.push_back(Waiting::Ingress {
                packet,
                metadata: Some(metadata),
                instance,
                port,
            });
            return;
        }
        let payload = &packet[parsed..];
        if group != 0 {
            self.room
                .phv
                .store(standard.instance_type, Instance::Replicated as u128);
            let phv = self.room.phv.clone();
            self.replicate(&phv, payload, group, (length, received), waiting);
            return;
        }
        if egress_spec == DROP_PORT {
            self.statistics.dropped_ingress += 1;
            return;
        }
        self.room
            .phv
            .store(standard.instance_type, Instance::Normal as u128);
        if waiting.is_empty() {
            self.egress(payload, egress_spec, (length, received), waiting, out);
        } else {
            let phv = Box::new(self.room.phv.clone());
            let payload = payload.to_vec();
            let (port, ingress_length) = (egress_spec, received);
            waiting.push_back(Waiting::Egress {
                phv,
                payload,
                port,
                length,
                ingress_length,
            });
        }
    }

    fn egress(
        &mut self,
        payload: &[u8],
        port: u16,
        (mut length, received): (u32, u32),
        waiting: &mut VecDeque<Waiting>,
        out: &mut impl FnMut(u16, &[u8]),
    ) {
        let standard = &self.program.standard;
        let phv = &mut self.room.phv;
        if let Some(timestamp) = standard.egress_timestamp {
            phv.store(timestamp, self.now.as_micros());
        }
        if let Some(timestamp) = standard.enqueue_timestamp {
            phv.store(timestamp, self.now.as_micros());
        }
        phv.store(standard.egress_port, u128::from(port));
        // Anything but the port that drops; it wraps to 0 in 9 bits, as on bmv2.
        phv.store(standard.egress_spec, u128::from(DROP_PORT + 1));
        phv.store(standard.packet_length, u128::from(length));
        let truncate = self.room.requests.truncate.take();
        self.room.requests = Requests {
            truncate,
            ..Requests::default()
        };
        self.pipeline(self.program.egress, payload, &mut length, received);
        if self.is_abandoned() {
            return;
        }
        self.statistics.digests_unread += u64::from(self.room.requests.digests);
        if let Some((session, fields)) = self.room.requests.clone.take() {
            self.clone_egress(payload, session, fields, (length, received), waiting);
        }
        if self.room.phv.load(standard.egress_spec) as u16 == DROP_PORT {
            self.statistics.dropped_egress += 1;
            return;
        }
        self.deparse(payload, &mut length, received);
        if let Some(fields) = self.room.requests.recirculate.take() {
            let packet = self.room.out.clone();
            let port = self.room.phv.load(standard.ingress_port) as u16;
            let size = packet.len() as u32;
            let metadata = self.kept_metadata(fields, Instance::Recirculated, size);
            let instance = Instance::Recirculated;
            waiting.push_back(Waiting::Ingress {
                packet,
                metadata: Some(metadata),
                instance,
                port,
            });
            return;
        }
        self.statistics.packets_out += 1;
        out(port, &self.room.out);
    }

    /// The packet must be dropped for what its actions did; counts it then.
    fn is_abandoned(&mut self) -> bool {
        let requests = &self.room.requests;
        self.statistics.dropped_assert += u64::from(requests.failed);
        self.statistics.dropped_loop += u64::from(requests.looped);
        requests.failed || requests.looped
    }

    /// Runs the parser and stores its error.
    fn parse(&mut self, packet: &[u8], length: &mut u32, received: u32) -> Parsed {
        let mut key = std::mem::take(&mut self.room.key);
        let parsed = self
            .machine(&[], &[], length, received)
            .parse(packet, &mut key);
        self.room.key = key;
        if let Some(bits) = self.program.standard.parser_error {
            self.room.phv.store(bits, u128::from(parsed.error));
        }
        parsed
    }

    fn verify_checksums(&mut self, payload: &[u8]) {
        let program = self.program;
        let wrong = program.verify.iter().any(|checksum| {
            self.room.phv.is_valid(checksum.header)
                && self
                    .checksum(checksum, payload)
                    .is_some_and(|value| u128::from(value) != self.room.phv.load(checksum.target))
        });
        if let Some(bits) = program.standard.checksum_error {
            self.room.phv.store(bits, u128::from(wrong));
        }
    }

    /// The value a checksum should have; `None` when its condition does not hold.
    fn checksum(&mut self, checksum: &Checksum, payload: &[u8]) -> Option<u64> {
        if let Some(condition) = &checksum.condition
            && !self.machine(&[], payload, &mut 0, 0).truth(condition)
        {
            return None;
        }
        let calculation = &self.program.calculations[usize::from(checksum.calculation)];
        let room = &mut *self.room;
        Some(hash::compute(
            self.program,
            &room.phv,
            calculation,
            payload,
            &mut room.scratch,
        ))
    }

    /// Writes checksums, then headers and payload to `room.out`.
    fn deparse(&mut self, payload: &[u8], length: &mut u32, received: u32) {
        let program = self.program;
        for checksum in &program.update {
            if let Some(value) = self.checksum(checksum, payload) {
                self.room.phv.store(checksum.target, u128::from(value));
            }
        }
        if !program.deparser_ops.is_empty() {
            self.machine(&[], payload, length, received)
                .run(&program.deparser_ops);
        }
        let room = &mut *self.room;
        room.out.clear();
        deparser::deparse(program, &room.phv, &mut room.out);
        room.out.extend_from_slice(payload);
        if let Some(bytes) = room.requests.truncate {
            room.out.truncate(bytes);
        }
    }

    /// Runs control flow from a node to its end.
    fn pipeline(&mut self, start: Option<NodeId>, payload: &[u8], length: &mut u32, received: u32) {
        let room = &mut *self.room;
        Machine {
            program: self.program,
            phv: &mut room.phv,
            externs: self.externs,
            data: &[],
            payload,
            ingress_length: received,
            length,
            random: &mut room.random,
            requests: &mut room.requests,
            scratch: &mut room.scratch,
        }
        .control(start, self.tables, &mut room.key);
    }

    fn machine<'b>(
        &'b mut self,
        data: &'b [u8],
        payload: &'b [u8],
        length: &'b mut u32,
        received: u32,
    ) -> Machine<'b> {
        let room = &mut *self.room;
        Machine {
            program: self.program,
            phv: &mut room.phv,
            externs: self.externs,
            data,
            payload,
            ingress_length: received,
            length,
            random: &mut room.random,
            requests: &mut room.requests,
            scratch: &mut room.scratch,
        }
    }

    /// Metadata for another pass: zero, but for the fields of a list and what the target sets
    /// (on bmv2 that is not even the ingress port).
    fn kept_metadata(&self, fields: Option<u16>, instance: Instance, length: u32) -> Box<Phv> {
        let program = self.program;
        let mut phv = Phv::new(program);
        self.keep_fields(&mut phv, fields);
        phv.store(program.standard.instance_type, instance as u128);
        phv.store(program.standard.packet_length, u128::from(length));
        Box::new(phv)
    }

    fn keep_fields(&self, phv: &mut Phv, fields: Option<u16>) {
        let Some(fields) = fields else { return };
        for bits in &self.program.field_lists[usize::from(fields)] {
            let from = bits.at as usize..(bits.at + bits.bytes) as usize;
            phv.bytes[from.clone()].copy_from_slice(&self.room.phv.bytes[from]);
        }
    }

    /// A copy of the packet as it was received, parsed again, straight to egress.
    fn clone_ingress(
        &mut self,
        packet: &[u8],
        session: u16,
        fields: Option<u16>,
        port: u16,
        waiting: &mut VecDeque<Waiting>,
    ) {
        let Some(&session) = self.replication.sessions.get(&session) else {
            return;
        };
        let program = self.program;
        let received = packet.len() as u32;
        let original = self.room.phv.clone();
        let requests = self.room.requests.clone();
        self.room.phv.reset(program);
        self.room
            .phv
            .store(program.standard.ingress_port, u128::from(port));
        let mut length = received;
        let parsed = self.parse(packet, &mut length, received);
        let mut copy = std::mem::replace(&mut self.room.phv, original);
        self.room.requests = requests;
        copy.reset_metadata(program);
        self.keep_fields(&mut copy, fields);
        copy.store(
            program.standard.instance_type,
            Instance::IngressClone as u128,
        );
        self.send_clone(
            copy,
            &packet[parsed.bytes..],
            session,
            (received, received),
            waiting,
        );
    }

    /// A copy of the packet as it is at the end of egress, to egress again.
    fn clone_egress(
        &mut self,
        payload: &[u8],
        session: u16,
        fields: Option<u16>,
        lengths: (u32, u32),
        waiting: &mut VecDeque<Waiting>,
    ) {
        let Some(&session) = self.replication.sessions.get(&session) else {
            return;
        };
        let mut copy = self.room.phv.clone();
        copy.reset_metadata(self.program);
        self.keep_fields(&mut copy, fields);
        copy.store(
            self.program.standard.instance_type,
            Instance::EgressClone as u128,
        );
        self.send_clone(copy, payload, session, lengths, waiting);
    }

    fn send_clone(
        &mut self,
        phv: Phv,
        payload: &[u8],
        session: super::replication::Session,
        lengths: (u32, u32),
        waiting: &mut VecDeque<Waiting>,
    ) {
        if let Some(group) = session.group {
            self.replicate(&phv, payload, group, lengths, waiting);
        }
        if let Some(port) = session.port {
            let (length, ingress_length) = lengths;
            let (phv, payload) = (Box::new(phv), payload.to_vec());
            waiting.push_back(Waiting::Egress {
                phv,
                payload,
                port,
                length,
                ingress_length,
            });
        }
    }

    /// One copy for each member of a multicast group.
    fn replicate(
        &mut self,
        phv: &Phv,
        payload: &[u8],
        group: u16,
        (length, ingress_length): (u32, u32),
        waiting: &mut VecDeque<Waiting>,
    ) {
        let replicas = self
            .replication
            .groups
            .get(&group)
            .map_or(&[][..], Vec::as_slice);
        for replica in replicas {
            let mut phv = Box::new(phv.clone());
            if let Some(bits) = self.program.standard.egress_rid {
                phv.store(bits, u128::from(replica.instance));
            }
            let (payload, port) = (payload.to_vec(), replica.port);
            waiting.push_back(Waiting::Egress {
                phv,
                payload,
                port,
                length,
                ingress_length,
            });
        }
        if replicas.is_empty() {
            self.statistics.dropped_group += 1;
        }
    }
}
