//! From headers back to bytes.

use super::phv::Phv;
use crate::program::{HeaderId, Program};

/// Appends a header as it is on the wire, valid or not.
pub(crate) fn emit(program: &Program, phv: &Phv, id: HeaderId, out: &mut Vec<u8>) {
    let header = &program.headers[usize::from(id)];
    let fixed = phv.fixed(header);
    let Some(varbit) = header.varbit else {
        out.extend_from_slice(fixed);
        return;
    };
    let variable = phv.varbit(header, id);
    let (whole, rest) = ((varbit.offset_bits / 8) as usize, varbit.offset_bits % 8);
    out.extend_from_slice(&fixed[..whole]);
    if rest == 0 {
        out.extend_from_slice(variable);
        out.extend_from_slice(&fixed[whole..]);
        return;
    }
    // The variable-length field begins inside of a byte, and so does what follows it.
    let mut carry = fixed[whole] & !(0xff >> rest);
    for &byte in variable {
        out.push(carry | byte >> rest);
        carry = byte << (8 - rest);
    }
    out.push(carry | fixed[whole] & (0xff >> rest));
    out.extend_from_slice(&fixed[whole + 1..]);
}

/// Appends all valid headers in the deparser's order.
pub(crate) fn deparse(program: &Program, phv: &Phv, out: &mut Vec<u8>) {
    for &header in &program.deparser {
        if phv.is_valid(header) {
            emit(program, phv, header, out);
        }
    }
}
