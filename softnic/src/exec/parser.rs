//! From bytes to headers.

use super::machine::Machine;
use super::phv;
use crate::program::{Bits, HeaderId, KeyPart, ParserOp, ParserState, Place};

/// A parser that visits more states than this is in a loop that never extracts anything.
const MAX_STATES: usize = 4096;

/// How parsing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Bytes that headers were extracted from.
    pub(crate) bytes: usize,
    /// Error code, that of `NoError` when all went well.
    pub(crate) error: u32,
    /// The parser did not end.
    pub(crate) looped: bool,
}

impl Machine<'_> {
    /// Runs the parser over a packet.
    pub(crate) fn parse(&mut self, packet: &[u8], key: &mut Vec<u8>) -> Parsed {
        let program = self.program;
        let no_error = program.errors.no_error;
        let (mut at, mut next) = (0, program.start);
        for _ in 0..MAX_STATES {
            let Some(state) = next else {
                return Parsed {
                    bytes: at,
                    error: no_error,
                    looped: false,
                };
            };
            match self.state(&program.states[usize::from(state)], packet, &mut at, key) {
                Ok(state) => next = state,
                Err(error) => {
                    return Parsed {
                        bytes: at,
                        error,
                        looped: false,
                    };
                }
            }
        }
        Parsed {
            bytes: at,
            error: no_error,
            looped: true,
        }
    }

    /// Runs one state and says which one is next.
    fn state(
        &mut self,
        state: &ParserState,
        packet: &[u8],
        at: &mut usize,
        key: &mut Vec<u8>,
    ) -> Result<Option<u16>, u32> {
        for op in &state.ops {
            self.parser_op(op, packet, at)?;
        }
        if state.transitions.is_empty() {
            return Ok(state.default);
        }
        key.clear();
        for part in &state.key {
            self.push_key(part, packet.get(*at..).unwrap_or(&[]), key)?;
        }
        let found = state
            .transitions
            .iter()
            .find(|transition| match &transition.mask {
                None => transition.value == *key,
                Some(mask) => key
                    .iter()
                    .zip(mask)
                    .zip(&transition.value)
                    .all(|((key, mask), value)| key & mask == *value),
            });
        Ok(found.map_or(state.default, |transition| transition.next))
    }

    fn parser_op(&mut self, op: &ParserOp, packet: &[u8], at: &mut usize) -> Result<(), u32> {
        let errors = self.program.errors;
        match op {
            ParserOp::Extract(header) => self.extract(*header, None, packet, at)?,
            ParserOp::ExtractVarbit { header, bits } => {
                let bits = self.eval(bits) as i32;
                self.extract(*header, Some(bits), packet, at)?;
            }
            ParserOp::ExtractNext(stack) => {
                let header = self.next_of(*stack).ok_or(errors.stack_out_of_bounds)?;
                self.extract(header, None, packet, at)?;
                self.phv.stack_used[usize::from(*stack)] += 1;
            }
            ParserOp::ExtractNextVarbit { stack, bits } => {
                let bits = self.eval(bits) as i32;
                let header = self.next_of(*stack).ok_or(errors.stack_out_of_bounds)?;
                self.extract(header, Some(bits), packet, at)?;
                self.phv.stack_used[usize::from(*stack)] += 1;
            }
            ParserOp::SetLookahead { to, offset, width } => {
                let rest = packet.get(*at..).unwrap_or(&[]);
                let bits = look(rest, *offset, *width).ok_or(errors.packet_too_short)?;
                self.store_lookahead(to, rest, bits);
            }
            ParserOp::Verify { condition, error } => {
                if !self.truth(condition) {
                    return Err(self.eval(error) as u32);
                }
            }
            ParserOp::Advance { bits } => {
                let bits = self.eval(bits);
                if !bits.is_multiple_of(8) {
                    return Err(errors.invalid_argument);
                }
                let bytes = usize::try_from(bits / 8).unwrap_or(usize::MAX);
                if bytes > packet.len() - *at {
                    return Err(errors.packet_too_short);
                }
                *at += bytes;
            }
            ParserOp::Run(op) => self.step(op),
        }
        Ok(())
    }

    fn store_lookahead(&mut self, to: &Place, rest: &[u8], bits: Bits) {
        if bits.width <= 128 {
            self.store(to, phv::load(rest, bits));
        } else if let Place::Field(field) = to {
            let value = super::wide::load(rest, bits);
            super::wide::store(&mut self.phv.bytes, *field, &value);
        }
    }

    /// The first element of a stack that is not used yet.
    fn next_of(&self, stack: u16) -> Option<HeaderId> {
        let used = usize::from(self.phv.stack_used[usize::from(stack)]);
        self.program.stacks[usize::from(stack)]
            .headers
            .get(used)
            .copied()
    }

    /// Extracts a header; `varbit`: length of its variable-length field, bits.
    fn extract(
        &mut self,
        id: HeaderId,
        varbit: Option<i32>,
        packet: &[u8],
        at: &mut usize,
    ) -> Result<(), u32> {
        let errors = self.program.errors;
        let header = &self.program.headers[usize::from(id)];
        let variable = match varbit {
            None => 0,
            Some(bits) if bits % 8 != 0 => return Err(errors.invalid_argument),
            // A negative length is longer than any packet.
            Some(bits) => usize::try_from(bits / 8).map_err(|_| errors.packet_too_short)?,
        };
        let fixed = header.fixed_bytes as usize;
        let wire = packet
            .get(*at..)
            .and_then(|rest| rest.get(..fixed + variable))
            .ok_or(errors.packet_too_short)?;
        let start = header.at as usize;
        if let Some(room) = header.varbit {
            if variable > room.max_bytes as usize {
                return Err(errors.header_too_short);
            }
            let (before, after) = ((room.offset_bits / 8) as usize, room.offset_bits % 8);
            let target = room.at as usize;
            if after == 0 {
                self.phv.bytes[start..start + before].copy_from_slice(&wire[..before]);
                self.phv.bytes[target..target + variable]
                    .copy_from_slice(&wire[before..before + variable]);
                self.phv.bytes[start + before..start + fixed]
                    .copy_from_slice(&wire[before + variable..]);
            } else {
                self.split_unaligned(start, target, room.offset_bits, variable, wire);
            }
            self.phv.set_varbit_bytes(id, variable as u32);
        } else {
            self.phv.bytes[start..start + fixed].copy_from_slice(wire);
        }
        self.phv.set_valid(self.program, id);
        *at += wire.len();
        Ok(())
    }

    /// A header whose variable-length field begins inside of a byte.
    fn split_unaligned(
        &mut self,
        start: usize,
        target: usize,
        offset_bits: u32,
        variable: usize,
        wire: &[u8],
    ) {
        let (before, rest) = ((offset_bits / 8) as usize, offset_bits % 8);
        let bytes = &mut self.phv.bytes;
        bytes[start..start + before].copy_from_slice(&wire[..before]);
        for at in 0..variable {
            let pair = &wire[before + at..before + at + 2];
            bytes[target + at] = pair[0] << rest | pair[1] >> (8 - rest);
        }
        let mask = 0xff >> rest;
        bytes[start + before] = wire[before] & !mask | wire[before + variable] & mask;
        let tail = &wire[before + variable + 1..];
        bytes[start + before + 1..start + before + 1 + tail.len()].copy_from_slice(tail);
    }

    /// Appends a part of a key, padded to whole bytes.
    fn push_key(&self, part: &KeyPart, rest: &[u8], key: &mut Vec<u8>) -> Result<(), u32> {
        match part {
            KeyPart::Field(bits) | KeyPart::Masked(bits, _) => {
                push_bits(&self.phv.bytes, *bits, key);
            }
            KeyPart::Valid(header) => key.push(u8::from(self.phv.is_valid(*header))),
            KeyPart::StackLast {
                stack,
                field,
                width,
            } => match self.last_of(*stack) {
                Some(header) => {
                    let header = &self.program.headers[usize::from(header)];
                    push_bits(&self.phv.bytes, header.fields[usize::from(*field)], key);
                }
                None => key.extend(std::iter::repeat_n(0, width.div_ceil(8) as usize)),
            },
            KeyPart::Lookahead { offset, width } => {
                let too_short = self.program.errors.packet_too_short;
                push_bits(rest, look(rest, *offset, *width).ok_or(too_short)?, key);
            }
        }
        Ok(())
    }
}

/// Where bits lie in the rest of a packet; `None` when it is too short.
fn look(rest: &[u8], offset: u32, width: u32) -> Option<Bits> {
    let end = offset.checked_add(width)?;
    let last = end.div_ceil(8);
    let at = offset / 8;
    let shift = (last * 8 - end) as u8;
    (last as usize <= rest.len()).then_some(Bits {
        at,
        bytes: last - at,
        shift,
        width,
        signed: false,
    })
}

/// Appends a value, padded with zeros to whole bytes.
pub(crate) fn push_bits(area: &[u8], bits: Bits, key: &mut Vec<u8>) {
    if bits.is_aligned() {
        let at = bits.at as usize;
        key.extend_from_slice(&area[at..at + bits.bytes as usize]);
    } else if bits.width <= 128 {
        let value = phv::load(
            area,
            Bits {
                signed: false,
                ..bits
            },
        )
        .to_be_bytes();
        key.extend_from_slice(&value[16 - bits.width.div_ceil(8) as usize..]);
    } else {
        let bytes = bits.width.div_ceil(8);
        let start = key.len();
        key.resize(start + bytes as usize, 0);
        let whole = Bits {
            at: start as u32,
            bytes,
            shift: 0,
            width: bits.width,
            signed: false,
        };
        let value = super::wide::load(
            area,
            Bits {
                signed: false,
                ..bits
            },
        );
        super::wide::store(key, whole, &value);
    }
}
