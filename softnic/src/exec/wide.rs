//! Evaluates expressions with big integers, for programs that compute with more than 128 bits.
//! Slow, and allocates; everything that fits 128 bits is computed in `expr`.

use num_bigint::{BigInt, Sign};

use super::machine::Machine;
use crate::program::{BinaryOp, Bits, Expr};

/// Shifts to the left by more than this give zero: no field is that wide, so that every bit that
/// anybody could look at is zero. (A shift amount may be any 32-bit number, and bmv2 tries to
/// allocate for it.)
const MAX_SHIFT: u32 = 1 << 16;

pub(crate) fn eval(machine: &Machine<'_>, expr: &Expr) -> BigInt {
    match expr {
        Expr::BigConst(value) => (**value).clone(),
        Expr::Field(bits) => load(&machine.phv.bytes, *bits),
        Expr::Param(bits) => load(machine.data, *bits),
        Expr::Const(value) => BigInt::from(*value as i128),
        Expr::BigUnsigned(value) => BigInt::from(*value),
        Expr::Valid(_) | Expr::StackCount { .. } | Expr::FromBool(_) => {
            BigInt::from(machine.narrow(expr) as i128)
        }
        Expr::Register { register, index } => {
            let (bytes, width) = machine
                .externs
                .register_bytes(*register, machine.eval_index(index));
            let all = Bits {
                at: 0,
                bytes: bytes.len() as u32,
                shift: 0,
                width,
                signed: false,
            };
            load(bytes, all)
        }
        Expr::StackLast { stack, field } => match machine.last_of(*stack) {
            Some(header) => field_of(machine, header, *field),
            None => BigInt::ZERO,
        },
        Expr::HeaderField { header, field } => match machine.header(header) {
            Some(header) => field_of(machine, header, *field),
            None => BigInt::ZERO,
        },
        Expr::Binary(op, left, right) => binary(*op, eval(machine, left), eval(machine, right)),
        Expr::Invert(value) => !eval(machine, value),
        Expr::SignedWrap(value, width) => signed_wrap(eval(machine, value), *width),
        Expr::ClampUnsigned { value, width, .. } => {
            eval(machine, value).clamp(BigInt::ZERO, (BigInt::from(1) << *width) - 1)
        }
        Expr::ClampSigned(value, width) => {
            let half = BigInt::from(1) << width.saturating_sub(1);
            eval(machine, value).clamp(-half.clone(), half - 1)
        }
        Expr::Choose(condition, then, otherwise) => eval(
            machine,
            if machine.truth(condition) {
                then
            } else {
                otherwise
            },
        ),
    }
}

fn field_of(machine: &Machine<'_>, header: u16, field: u16) -> BigInt {
    let bits = machine.program.headers[usize::from(header)].fields[usize::from(field)];
    load(&machine.phv.bytes, bits)
}

fn binary(op: BinaryOp, left: BigInt, right: BigInt) -> BigInt {
    let amount = || {
        u32::try_from(&right)
            .ok()
            .filter(|&amount| amount <= MAX_SHIFT)
    };
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div if right.sign() != Sign::NoSign => left / right,
        BinaryOp::Mod if right.sign() != Sign::NoSign => left % right,
        BinaryOp::Div | BinaryOp::Mod => BigInt::ZERO,
        BinaryOp::ShiftLeft => amount().map_or(BigInt::ZERO, |amount| left << amount),
        BinaryOp::ShiftRight | BinaryOp::ShiftRightSigned => left >> amount().unwrap_or(MAX_SHIFT),
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
    }
}

fn signed_wrap(value: BigInt, width: u32) -> BigInt {
    let modulus = BigInt::from(1) << width;
    let half = BigInt::from(1) << width.saturating_sub(1);
    let value: BigInt = value & (&modulus - 1);
    if value >= half {
        value - modulus
    } else {
        value
    }
}

/// Low 128 bits, two's complement.
pub(crate) fn low_bits(value: &BigInt) -> u128 {
    let low: BigInt = value & BigInt::from(u128::MAX);
    u128::try_from(low).unwrap_or(0)
}

pub(crate) fn is_not_zero(value: &BigInt) -> bool {
    value.sign() != Sign::NoSign
}

/// A field of any width.
pub(crate) fn load(area: &[u8], bits: Bits) -> BigInt {
    let at = bits.at as usize;
    let value = BigInt::from_bytes_be(Sign::Plus, &area[at..at + bits.bytes as usize]);
    let value: BigInt = (value >> bits.shift) & ((BigInt::from(1) << bits.width) - 1);
    if bits.signed {
        signed_wrap(value, bits.width)
    } else {
        value
    }
}

/// Stores the low bits of a value in a field of any width.
pub(crate) fn store(area: &mut [u8], bits: Bits, value: &BigInt) {
    let mut rest: BigInt = value & ((BigInt::from(1) << bits.width) - 1);
    let mut at = bits.at + bits.bytes;
    let mut shift = bits.shift;
    let mut left = bits.width;
    // In pieces that `phv::store` can do, from the last byte on.
    while left > 0 {
        let width = left.min(120 - u32::from(shift));
        let bytes = (width + u32::from(shift)).div_ceil(8);
        let piece = Bits {
            at: at - bytes,
            bytes,
            shift,
            width,
            signed: false,
        };
        super::phv::store(area, piece, low_bits(&rest));
        rest >>= width;
        left -= width;
        at -= bytes;
        shift = 0;
    }
}
