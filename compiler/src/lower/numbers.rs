//! Numbers as bmv2 writes them.

use flownic_pipeline::bmv2::Value;
use num_bigint::{BigInt, Sign};

/// `0x…` with an even number of digits, `-0x…` for negative numbers.
pub(super) fn hex(value: &BigInt) -> String {
    let digits = value.magnitude().to_str_radix(16);
    let zero = if digits.len() % 2 == 1 { "0" } else { "" };
    let sign = if value.sign() == Sign::Minus { "-" } else { "" };
    format!("{sign}0x{zero}{digits}")
}

/// Number of whole bytes for `width` bits, two's complement.
pub(super) fn padded(value: &BigInt, width: u32) -> String {
    let length = width.div_ceil(8).max(1) as usize * 2;
    let value = value & crate::check::mask(width.max(1));
    let digits = value.magnitude().to_str_radix(16);
    format!("0x{digits:0>length$}")
}

pub(super) fn number(value: impl Into<BigInt>) -> Value {
    Value::Hexstr(hex(&value.into()))
}

/// `width` ones as an operand.
pub(super) fn ones(width: u32) -> Value {
    number(crate::check::mask(width))
}
