//! The packet header vector: the bytes of all headers and metadata of one packet, at offsets that
//! `load` laid out. Headers are stored as on the wire, metadata with every field on whole bytes.

use crate::program::{Bits, Header, HeaderId, Program};

/// Bytes, validity, lengths and stack positions.
#[derive(Debug, Clone)]
pub(crate) struct Phv {
    /// All fields; see `Bits`.
    pub(crate) bytes: Vec<u8>,
    valid: Vec<bool>,
    /// Bytes of each header's variable-length field.
    varbit_bytes: Vec<u32>,
    /// Used elements of each stack.
    pub(crate) stack_used: Vec<u16>,
}

impl Phv {
    /// An empty vector for a program.
    pub(crate) fn new(program: &Program) -> Phv {
        let mut phv = Phv {
            bytes: vec![0; program.phv_bytes as usize],
            valid: vec![false; program.headers.len()],
            varbit_bytes: vec![0; program.headers.len()],
            stack_used: vec![0; program.stacks.len()],
        };
        phv.reset(program);
        phv
    }

    /// As before the first packet: fields zero, headers invalid. The room of variable-length
    /// fields is left as it is: their length is zero.
    pub(crate) fn reset(&mut self, program: &Program) {
        self.bytes[..program.fixed_bytes as usize].fill(0);
        self.varbit_bytes.fill(0);
        self.stack_used.fill(0);
        self.valid.copy_from_slice(&program.initially_valid);
    }

    /// All metadata fields zero.
    pub(crate) fn reset_metadata(&mut self, program: &Program) {
        for header in program.headers.iter().filter(|header| header.metadata) {
            let at = header.at as usize;
            self.bytes[at..at + header.fixed_bytes as usize].fill(0);
        }
    }

    pub(crate) fn is_valid(&self, header: HeaderId) -> bool {
        self.valid[usize::from(header)]
    }

    /// Also makes the other members of its union invalid.
    pub(crate) fn set_valid(&mut self, program: &Program, header: HeaderId) {
        for &rival in &program.headers[usize::from(header)].rivals {
            self.valid[usize::from(rival)] = false;
        }
        self.valid[usize::from(header)] = true;
    }

    pub(crate) fn set_invalid(&mut self, program: &Program, header: HeaderId) {
        // Metadata cannot be taken off.
        self.valid[usize::from(header)] = program.headers[usize::from(header)].metadata;
    }

    /// Bytes of the header's variable-length field.
    pub(crate) fn varbit_bytes(&self, header: HeaderId) -> u32 {
        self.varbit_bytes[usize::from(header)]
    }

    pub(crate) fn set_varbit_bytes(&mut self, header: HeaderId, bytes: u32) {
        self.varbit_bytes[usize::from(header)] = bytes;
    }

    /// Bytes of the header on the wire.
    pub(crate) fn wire_bytes(&self, program: &Program, header: HeaderId) -> u32 {
        program.headers[usize::from(header)].fixed_bytes + self.varbit_bytes(header)
    }

    /// Low 128 bits of a field, sign-extended when it is signed.
    pub(crate) fn load(&self, bits: Bits) -> u128 {
        load(&self.bytes, bits)
    }

    /// Stores the low bits of a value.
    pub(crate) fn store(&mut self, bits: Bits, value: u128) {
        store(&mut self.bytes, bits, value);
    }

    /// Copies all fields and the validity of a header to another of the same type.
    pub(crate) fn copy_header(&mut self, program: &Program, to: HeaderId, from: HeaderId) {
        if !self.is_valid(from) {
            self.set_invalid(program, to);
            return;
        }
        let (source, target) = (
            &program.headers[usize::from(from)],
            &program.headers[usize::from(to)],
        );
        self.copy_bytes(
            source.at,
            target.at,
            source.fixed_bytes.min(target.fixed_bytes),
        );
        self.copy_varbit(program, to, from);
        self.set_valid(program, to);
    }

    /// Copies a variable-length field; longer ones than the target holds are cut.
    pub(crate) fn copy_varbit(&mut self, program: &Program, to: HeaderId, from: HeaderId) {
        let (Some(source), Some(target)) = (
            program.headers[usize::from(from)].varbit,
            program.headers[usize::from(to)].varbit,
        ) else {
            return;
        };
        let bytes = self.varbit_bytes(from).min(target.max_bytes);
        self.copy_bytes(source.at, target.at, bytes);
        self.set_varbit_bytes(to, bytes);
    }

    fn copy_bytes(&mut self, from: u32, to: u32, bytes: u32) {
        let from = from as usize;
        self.bytes
            .copy_within(from..from + bytes as usize, to as usize);
    }

    /// Both are valid and have the same fields.
    pub(crate) fn same_header(&self, program: &Program, a: HeaderId, b: HeaderId) -> bool {
        let (left, right) = (
            &program.headers[usize::from(a)],
            &program.headers[usize::from(b)],
        );
        left.kind == right.kind
            && self.is_valid(a)
            && self.is_valid(b)
            && self.fixed(left) == self.fixed(right)
            && self.varbit(left, a) == self.varbit(right, b)
    }

    /// The variable-length fields are the same number, whatever their lengths.
    pub(crate) fn same_varbit(&self, program: &Program, a: HeaderId, b: HeaderId) -> bool {
        let number = |id: HeaderId| {
            let bytes = self.varbit(&program.headers[usize::from(id)], id);
            &bytes[bytes.iter().take_while(|&&byte| byte == 0).count()..]
        };
        number(a) == number(b)
    }

    /// The fields without the variable-length one.
    pub(crate) fn fixed(&self, header: &Header) -> &[u8] {
        &self.bytes[header.at as usize..(header.at + header.fixed_bytes) as usize]
    }

    /// The variable-length field; empty when there is none.
    pub(crate) fn varbit(&self, header: &Header, id: HeaderId) -> &[u8] {
        match header.varbit {
            Some(varbit) => {
                let at = varbit.at as usize;
                &self.bytes[at..at + self.varbit_bytes(id) as usize]
            }
            None => &[],
        }
    }
}

/// Low 128 bits of a value in a byte area, sign-extended when it is signed.
pub(crate) fn load(area: &[u8], bits: Bits) -> u128 {
    let at = bits.at as usize;
    let slice = &area[at..at + bits.bytes as usize];
    let shift = u32::from(bits.shift);
    // The usual sizes by hand: a copy of variable length is a call.
    let value = match *slice {
        [] => 0,
        [a] => u128::from(a >> shift),
        [a, b] => u128::from(u16::from_be_bytes([a, b]) >> shift),
        [a, b, c, d] => u128::from(u32::from_be_bytes([a, b, c, d]) >> shift),
        [a, b, c, d, e, f] => u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]) >> shift),
        _ if slice.len() <= 8 => {
            let word = slice
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
            u128::from(word >> shift)
        }
        _ if slice.len() <= 16 => {
            let mut word = [0; 16];
            word[16 - slice.len()..].copy_from_slice(slice);
            u128::from_be_bytes(word) >> shift
        }
        _ => {
            let (high, low) = slice.split_at(slice.len() - 16);
            let mut word = [0; 16];
            word.copy_from_slice(low);
            let low = u128::from_be_bytes(word) >> shift;
            match (shift, high.last()) {
                (1.., Some(&byte)) => low | u128::from(byte) << (128 - shift),
                _ => low,
            }
        }
    };
    extend(value, bits.width, bits.signed)
}

/// Cuts to a width; sign-extends from there if asked.
pub(crate) fn extend(value: u128, width: u32, signed: bool) -> u128 {
    if width >= 128 {
        value
    } else if width == 0 {
        0
    } else if signed {
        let unused = 128 - width;
        (((value << unused) as i128) >> unused) as u128
    } else {
        value & ((1 << width) - 1)
    }
}

/// Stores the low bits of a value; fields wider than 128 bits get zeros above.
pub(crate) fn store(area: &mut [u8], bits: Bits, value: u128) {
    let at = bits.at as usize;
    let slice = &mut area[at..at + bits.bytes as usize];
    if bits.is_aligned() {
        let word = value.to_be_bytes();
        if slice.len() <= 8 {
            let mut rest = value as u64;
            for byte in slice.iter_mut().rev() {
                *byte = rest as u8;
                rest >>= 8;
            }
        } else if slice.len() <= 16 {
            slice.copy_from_slice(&word[16 - slice.len()..]);
        } else {
            let (high, low) = slice.split_at_mut(slice.len() - 16);
            high.fill(0);
            low.copy_from_slice(&word);
        }
        return;
    }
    // Byte by byte from the last: `rest` holds what is not stored yet.
    let (mut rest, mut left, mut shift) = (value, bits.width, u32::from(bits.shift));
    for byte in slice.iter_mut().rev() {
        let count = left.min(8 - shift);
        let mask = (((1u32 << count) - 1) << shift) as u8;
        *byte = (*byte & !mask) | (((rest as u32) << shift) as u8 & mask);
        rest = rest.checked_shr(count).unwrap_or(0);
        left -= count;
        shift = 0;
    }
}

#[cfg(test)]
#[path = "phv_tests.rs"]
mod tests;
