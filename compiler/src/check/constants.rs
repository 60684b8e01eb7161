//! Numbers that are known at compile time.

use num_bigint::{BigInt, Sign};

use crate::ast::Binary;
use crate::types::Type;

/// Largest shift of a number without width; more has no use and costs memory.
const MAX_SHIFT: u32 = 4096;
/// Largest number without width, bits.
const MAX_BITS: u64 = 65_536;

/// The value as a type of a width holds it; numbers without width stay.
pub(crate) fn cut(value: &BigInt, ty: &Type) -> BigInt {
    match ty.base() {
        Type::Bit(width) => value & mask(*width),
        Type::Signed(width) => {
            let low = value & mask(*width);
            let half = BigInt::from(1) << width.saturating_sub(1);
            if low >= half {
                low - (BigInt::from(1) << *width)
            } else {
                low
            }
        }
        _ => value.clone(),
    }
}

/// `width` ones.
pub(crate) fn mask(width: u32) -> BigInt {
    (BigInt::from(1) << width) - 1
}

/// Why an operation on constants has no value.
pub(super) type Problem = &'static str;

/// Value of an operation on two numbers of type `ty`, not cut yet.
pub(super) fn arithmetic(
    operator: Binary,
    a: &BigInt,
    b: &BigInt,
    ty: &Type,
) -> Result<BigInt, Problem> {
    let value = match operator {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul if a.bits() + b.bits() > MAX_BITS => return Err("the number is too large"),
        Binary::Mul => a * b,
        Binary::Div | Binary::Mod if b.sign() != Sign::Plus || a.sign() == Sign::Minus => {
            return Err("division needs numbers that are not negative, and a divisor above zero");
        }
        Binary::Div => a / b,
        Binary::Mod => a % b,
        Binary::BitAnd => a & b,
        Binary::BitOr => a | b,
        Binary::BitXor => a ^ b,
        Binary::AddSat => saturate(a + b, ty),
        Binary::SubSat => saturate(a - b, ty),
        Binary::Shl | Binary::Shr => return shift(operator, a, b, ty),
        _ => return Err("this operator does not make a number"),
    };
    Ok(value)
}

fn shift(operator: Binary, a: &BigInt, b: &BigInt, ty: &Type) -> Result<BigInt, Problem> {
    let Ok(amount) = u32::try_from(b) else {
        return match (b.sign(), ty.width()) {
            (Sign::Minus, _) => Err("a shift amount is negative"),
            (_, Some(_)) => Ok(BigInt::from(0)),
            _ => Err("a shift amount is too large"),
        };
    };
    if operator == Binary::Shr {
        return Ok(a >> amount);
    }
    match ty.width() {
        Some(width) if amount >= width => Ok(BigInt::from(0)),
        None if amount > MAX_SHIFT => Err("a shift amount is too large"),
        _ => Ok(a << amount),
    }
}

fn saturate(value: BigInt, ty: &Type) -> BigInt {
    let (low, high) = match ty.base() {
        Type::Bit(width) => (BigInt::from(0), mask(*width)),
        Type::Signed(width) => {
            let half = BigInt::from(1) << width.saturating_sub(1);
            (-&half, half - 1)
        }
        _ => return value,
    };
    value.clamp(low, high)
}

/// Truth of a comparison.
pub(super) fn comparison<T: PartialOrd>(operator: Binary, a: &T, b: &T) -> Option<bool> {
    Some(match operator {
        Binary::Eq => a == b,
        Binary::Ne => a != b,
        Binary::Lt => a < b,
        Binary::Le => a <= b,
        Binary::Gt => a > b,
        Binary::Ge => a >= b,
        _ => return None,
    })
}
