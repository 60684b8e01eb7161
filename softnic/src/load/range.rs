//! How many bits an expression needs, and whether 128 bits give the same result as bmv2's
//! unbounded integers.
//!
//! Additions and the like give the right *low* 128 bits whatever the operands are, as long as the
//! operands' low bits are right. Some operations need the whole value: a shift to the right, a
//! comparison, a clamp. An expression is computed in 128 bits when its consumer gets what it
//! needs that way, and with big integers otherwise.

use crate::program::BinaryOp;

/// Larger widths are not told apart.
const HUGE: u32 = 1 << 20;

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// Unsigned: bits of the largest value. Signed: bits of two's complement.
    pub(crate) bits: u32,
    /// May be negative.
    pub(crate) signed: bool,
    /// Computed in 128 bits, the low 128 bits are right.
    pub(crate) low: bool,
}

impl Range {
    /// Of a field or parameter.
    pub(crate) fn field(width: u32, signed: bool) -> Range {
        Range {
            bits: width,
            signed,
            low: true,
        }
    }

    /// Never negative, and 128 bits hold it.
    pub(crate) fn fits_unsigned(self) -> bool {
        self.low && !self.signed && self.bits <= 128
    }

    /// 128 bits of two's complement hold it.
    pub(crate) fn fits_signed(self) -> bool {
        self.low && self.signed_bits() <= 128
    }

    /// Computed in 128 bits, the value is right, not its low bits only.
    pub(crate) fn exact(self) -> bool {
        self.fits_unsigned() || self.fits_signed()
    }

    /// Bits of two's complement.
    fn signed_bits(self) -> u32 {
        if self.signed {
            self.bits
        } else {
            self.bits + 1
        }
    }

    /// Either of two values.
    pub(crate) fn either(self, other: Range) -> Range {
        let signed = self.signed || other.signed;
        let bits = match signed {
            true => self.signed_bits().max(other.signed_bits()),
            false => self.bits.max(other.bits),
        };
        Range {
            bits,
            signed,
            low: self.low && other.low,
        }
    }

    /// Result of an operation; `amount`: the right side, when it is a constant.
    pub(crate) fn binary(op: BinaryOp, left: Range, right: Range, amount: Option<u32>) -> Range {
        let both = left.either(right);
        let range = match op {
            BinaryOp::Add => Range {
                bits: both.bits + 1,
                ..both
            },
            // 0 − 1 is negative.
            BinaryOp::Sub => Range {
                bits: left.signed_bits().max(right.signed_bits()) + 1,
                signed: true,
                ..both
            },
            BinaryOp::Mul => Range {
                bits: left.bits.saturating_add(right.bits),
                ..both
            },
            BinaryOp::Div | BinaryOp::Mod => Range {
                bits: both.bits,
                low: left.fits_unsigned() && right.fits_unsigned(),
                ..both
            },
            BinaryOp::ShiftLeft => {
                // A variable amount of n bits shifts by up to 2^n − 1.
                let most = amount.unwrap_or_else(|| (1u32 << right.bits.min(20)) - 1);
                Range {
                    bits: left.bits.saturating_add(most),
                    signed: left.signed,
                    low: left.low && (amount.is_some() || right.fits_unsigned()),
                }
            }
            BinaryOp::ShiftRight | BinaryOp::ShiftRightSigned => Range {
                bits: left
                    .bits
                    .saturating_sub(amount.unwrap_or(0))
                    .max(u32::from(left.signed)),
                signed: left.signed,
                low: if left.signed {
                    left.fits_signed()
                } else {
                    left.fits_unsigned()
                } && (amount.is_some() || right.fits_unsigned()),
            },
            BinaryOp::And => match (left.signed, right.signed) {
                (false, false) => Range {
                    bits: left.bits.min(right.bits),
                    ..both
                },
                (false, true) => Range {
                    bits: left.bits,
                    signed: false,
                    ..both
                },
                (true, false) => Range {
                    bits: right.bits,
                    signed: false,
                    ..both
                },
                (true, true) => both,
            },
            BinaryOp::Or | BinaryOp::Xor => both,
        };
        Range {
            bits: range.bits.min(HUGE),
            ..range
        }
    }

    /// All bits inverted: −x − 1.
    pub(crate) fn invert(self) -> Range {
        Range {
            bits: self.signed_bits(),
            signed: true,
            ..self
        }
    }

    /// Wrapped to a signed width.
    pub(crate) fn signed_wrap(self, width: u32) -> Range {
        Range {
            bits: width,
            signed: true,
            low: self.low,
        }
    }

    /// Clamped to an unsigned width.
    pub(crate) fn clamp_unsigned(self, width: u32) -> Range {
        Range {
            bits: width,
            signed: false,
            low: self.exact(),
        }
    }

    /// Clamped to a signed width.
    pub(crate) fn clamp_signed(self, width: u32) -> Range {
        Range {
            bits: width,
            signed: true,
            low: self.fits_signed() && width <= 128,
        }
    }
}
