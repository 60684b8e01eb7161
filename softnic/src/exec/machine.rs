//! Runs the steps of actions.

use super::externs::Externs;
use super::phv::{self, Phv};
use super::{hash, wide};
use crate::program::{Arith, Bits, HeaderId, HeaderRef, Op, Place, Program};

/// `standard_metadata.egress_spec` of a packet that is to be dropped.
pub(crate) const DROP_PORT: u16 = 511;

/// An action that jumps back more often is in a loop without an end.
const MAX_JUMPS_BACK: usize = 1 << 16;

/// What actions asked the target to do with the packet, beside its headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests {
    /// Stop the pipeline after this action.
    pub(crate) exit: bool,
    /// An `assert` or `assume` did not hold.
    pub(crate) failed: bool,
    /// An action did not end.
    pub(crate) looped: bool,
    /// Clone session, and field list to keep.
    pub(crate) clone: Option<(u16, Option<u16>)>,
    pub(crate) resubmit: Option<Option<u16>>,
    pub(crate) recirculate: Option<Option<u16>>,
    pub(crate) digests: u32,
    /// Largest number of bytes that leave.
    pub(crate) truncate: Option<usize>,
}

/// Everything an action can see and change.
pub(crate) struct Machine<'a> {
    pub(crate) program: &'a Program,
    pub(crate) phv: &'a mut Phv,
    pub(crate) externs: &'a mut Externs,
    /// Data of the running action.
    pub(crate) data: &'a [u8],
    /// What follows the parsed headers.
    pub(crate) payload: &'a [u8],
    /// Length of the packet as it came in.
    pub(crate) ingress_length: u32,
    /// What `packet_length` will be in egress: changes as headers come and go.
    pub(crate) length: &'a mut u32,
    pub(crate) random: &'a mut Random,
    pub(crate) requests: &'a mut Requests,
    /// Reused room for the input of hashes.
    pub(crate) scratch: &'a mut Vec<u8>,
}

impl Machine<'_> {
    /// The same with the data of an action.
    pub(crate) fn with_data<'b>(&'b mut self, data: &'b [u8]) -> Machine<'b> {
        Machine {
            program: self.program,
            phv: self.phv,
            externs: self.externs,
            data,
            payload: self.payload,
            ingress_length: self.ingress_length,
            length: self.length,
            random: self.random,
            requests: self.requests,
            scratch: self.scratch,
        }
    }

    /// Runs all steps of an action. (`exit` takes effect after the action, as on bmv2.)
    pub(crate) fn run(&mut self, ops: &[Op]) {
        let (mut at, mut back) = (0, 0);
        while let Some(op) = ops.get(at) {
            let next = match op {
                Op::Jump(to) => *to as usize,
                Op::JumpIfZero { value, to } if self.eval(value) == 0 => *to as usize,
                Op::JumpIfZero { .. } => at + 1,
                _ => {
                    self.step(op);
                    at + 1
                }
            };
            back += usize::from(next <= at);
            if back > MAX_JUMPS_BACK {
                self.requests.looped = true;
                return;
            }
            at = next;
        }
    }

    /// Runs one step that is no jump.
    pub(crate) fn step(&mut self, op: &Op) {
        match op {
            Op::Assign { to, value } => self.assign(to, value),
            Op::CopyBytes { to, from, bytes } => {
                let (from, to) = (*from as usize, *to as usize);
                self.phv.bytes.copy_within(from..from + *bytes as usize, to);
            }
            Op::CopyVarbit { to, from } => self.phv.copy_varbit(self.program, *to, *from),
            Op::CopyHeader { to, from } => self.copy_header(to, from),
            Op::CopyStack { to, from } => self.copy_stack(*to, *from),
            Op::SetValid(header) => self.set_valid(header),
            Op::SetInvalid(header) => self.set_invalid(header),
            Op::Push { stack, count } => self.push(*stack, self.eval_index(count)),
            Op::Pop { stack, count } => self.pop(*stack, self.eval_index(count)),
            Op::MarkToDrop => {
                let standard = &self.program.standard;
                self.phv.store(standard.egress_spec, u128::from(DROP_PORT));
                if let Some(group) = standard.multicast_group {
                    self.phv.store(group, 0);
                }
            }
            Op::Count { counter, index } => {
                let index = self.eval_index(index);
                self.externs
                    .count(*counter, index, u64::from(self.ingress_length));
            }
            Op::RegisterRead {
                to,
                register,
                index,
            } => self.register_read(to, *register, index),
            Op::RegisterWrite {
                register,
                index,
                value,
            } => {
                let index = self.eval_index(index);
                self.write_register(*register, index, value);
            }
            Op::Hash {
                to,
                base,
                calculation,
                size,
            } => self.hash(to, base, *calculation, size),
            Op::Random { to, low, high } => {
                let (low, high) = (self.eval(low) as u64, self.eval(high) as u64);
                if low <= high {
                    let value = self.random.between(low, high);
                    self.store(to, u128::from(value));
                }
            }
            Op::Meter { to } => self.store(to, 0),
            Op::Clone { session, fields } => {
                self.requests.clone = Some((self.eval(session) as u16 & 0x7fff, *fields));
            }
            Op::Resubmit { fields } => self.requests.resubmit = Some(*fields),
            Op::Recirculate { fields } => self.requests.recirculate = Some(*fields),
            Op::Digest => self.requests.digests += 1,
            Op::Truncate { bytes } => {
                let bytes = self.eval_index(bytes) as usize;
                let old = self.requests.truncate.unwrap_or(usize::MAX);
                self.requests.truncate = Some(bytes.min(old));
            }
            Op::Exit => self.requests.exit = true,
            Op::Assert(value) => self.requests.failed |= self.eval(value) == 0,
            Op::Log { format, values } => self.log(format, values),
            // Handled by `run`; a parser's step is never a jump.
            Op::Nothing | Op::Jump(_) | Op::JumpIfZero { .. } => {}
        }
    }

    fn assign(&mut self, to: &Place, value: &Arith) {
        if value.wide {
            let value = wide::eval(self, &value.expr);
            if let Place::Register { register, index } = to {
                let index = self.eval_index(index);
                if let Some((cell, bits)) = self.externs.register_cell(*register, index) {
                    wide::store(cell, bits, &value);
                }
            } else if let Some(bits) = self.resolve(to) {
                wide::store(&mut self.phv.bytes, bits, &value);
            }
        } else {
            let value = self.narrow(&value.expr);
            self.store(to, value);
        }
    }

    /// Stores the low bits of a value.
    pub(crate) fn store(&mut self, to: &Place, value: u128) {
        match to {
            Place::Field(bits) => self.phv.store(*bits, value),
            Place::Register { register, index } => {
                let index = self.eval_index(index);
                if let Some((cell, bits)) = self.externs.register_cell(*register, index) {
                    phv::store(cell, bits, phv::extend(value, bits.width, false));
                }
            }
            Place::HeaderField { .. } | Place::StackLast { .. } => {
                if let Some(bits) = self.resolve(to) {
                    self.phv.store(bits, value);
                }
            }
        }
    }

    /// Where a place is in the packet header vector now.
    fn resolve(&self, place: &Place) -> Option<Bits> {
        let (header, field) = match place {
            Place::Field(bits) => return Some(*bits),
            Place::Register { .. } => return None,
            Place::HeaderField { header, field } => (self.header(header)?, field),
            Place::StackLast { stack, field } => (self.last_of(*stack)?, field),
        };
        Some(self.program.headers[usize::from(header)].fields[usize::from(*field)])
    }

    fn register_read(&mut self, to: &Place, register: u16, index: &Arith) {
        let index = self.eval_index(index);
        // Out of range leaves the destination alone, as on bmv2.
        if index >= self.externs.register_size(register) {
            return;
        }
        let (bytes, width) = self.externs.register_bytes(register, index);
        if width > 128 {
            let all = Bits {
                at: 0,
                bytes: bytes.len() as u32,
                shift: 0,
                width,
                signed: false,
            };
            let value = wide::load(bytes, all);
            if let Some(bits) = self.resolve(to) {
                wide::store(&mut self.phv.bytes, bits, &value);
            }
        } else {
            let value = self.externs.read_register(register, index);
            self.store(to, value);
        }
    }

    fn write_register(&mut self, register: u16, index: u32, value: &Arith) {
        if value.wide {
            let value = wide::eval(self, &value.expr);
            if let Some((cell, bits)) = self.externs.register_cell(register, index) {
                wide::store(cell, bits, &value);
            }
        } else {
            let value = self.narrow(&value.expr);
            if let Some((cell, bits)) = self.externs.register_cell(register, index) {
                phv::store(cell, bits, phv::extend(value, bits.width, false));
            }
        }
    }

    /// `hash % size + base`; a size of 0 counts as 1.
    fn hash(&mut self, to: &Place, base: &Arith, calculation: u16, size: &Arith) {
        let base = self.eval(base) as u64;
        let size = (self.eval(size) as u64).max(1);
        let calculation = &self.program.calculations[usize::from(calculation)];
        let hash = hash::compute(
            self.program,
            self.phv,
            calculation,
            self.payload,
            self.scratch,
        );
        self.store(to, u128::from((hash % size).wrapping_add(base)));
    }

    fn copy_header(&mut self, to: &HeaderRef, from: &HeaderRef) {
        let Some(to) = self.header(to) else { return };
        match self.header(from) {
            Some(from) => self.phv.copy_header(self.program, to, from),
            None => self.phv.set_invalid(self.program, to),
        }
    }

    fn copy_stack(&mut self, to: u16, from: u16) {
        let (to, from) = (usize::from(to), usize::from(from));
        self.phv.stack_used[to] = self.phv.stack_used[from];
        let (target, source) = (&self.program.stacks[to], &self.program.stacks[from]);
        for (&to, &from) in target.headers.iter().zip(&source.headers) {
            self.phv.copy_header(self.program, to, from);
        }
    }

    fn set_valid(&mut self, header: &HeaderRef) {
        let Some(header) = self.header(header) else {
            return;
        };
        if self.phv.is_valid(header) {
            return;
        }
        let definition = &self.program.headers[usize::from(header)];
        let at = definition.at as usize;
        self.phv.bytes[at..at + definition.fixed_bytes as usize].fill(0);
        self.phv.set_valid(self.program, header);
        *self.length = self
            .length
            .wrapping_add(self.phv.wire_bytes(self.program, header));
    }

    fn set_invalid(&mut self, header: &HeaderRef) {
        let Some(header) = self.header(header) else {
            return;
        };
        if self.phv.is_valid(header) {
            *self.length = self
                .length
                .wrapping_sub(self.phv.wire_bytes(self.program, header));
            self.phv.set_invalid(self.program, header);
        }
    }

    /// Moves all elements towards the end; the first `count` become invalid.
    fn push(&mut self, stack: u16, count: u32) {
        let program = self.program;
        let headers: &[HeaderId] = &program.stacks[usize::from(stack)].headers;
        let count = (count as usize).min(headers.len());
        for at in (count..headers.len()).rev() {
            self.phv
                .copy_header(program, headers[at], headers[at - count]);
        }
        for &header in &headers[..count] {
            self.phv.set_invalid(program, header);
        }
        let used = &mut self.phv.stack_used[usize::from(stack)];
        *used = (*used + count as u16).min(headers.len() as u16);
    }

    /// Moves all elements towards the start; the last `count` become invalid.
    fn pop(&mut self, stack: u16, count: u32) {
        let program = self.program;
        let headers: &[HeaderId] = &program.stacks[usize::from(stack)].headers;
        let count = (count as usize).min(headers.len());
        for at in 0..headers.len() - count {
            self.phv
                .copy_header(program, headers[at], headers[at + count]);
        }
        for &header in &headers[headers.len() - count..] {
            self.phv.set_invalid(program, header);
        }
        let used = &mut self.phv.stack_used[usize::from(stack)];
        *used = used.saturating_sub(count as u16);
    }

    fn log(&self, format: &str, values: &[Arith]) {
        if !tracing::enabled!(target: "p4", tracing::Level::INFO) {
            return;
        }
        let mut message = String::new();
        let mut values = values.iter();
        let mut rest = format;
        while let Some((text, tail)) = rest.split_once("{}") {
            message.push_str(text);
            if let Some(value) = values.next() {
                message.push_str(&wide::eval(self, &value.expr).to_string());
            }
            rest = tail;
        }
        message.push_str(rest);
        tracing::info!(target: "p4", "{message}");
    }
}

/// Small fast generator for `random` (xorshift64*); not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// From any seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// Uniform, both bounds included. `low` ≤ `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let value = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        match (high - low).checked_add(1) {
            // The high half of the product maps 64 random bits to the range.
            Some(range) => low + ((u128::from(value) * u128::from(range)) >> 64) as u64,
            None => value,
        }
    }
}
