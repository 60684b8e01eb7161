//! Number literals: `12`, `0xff`, `0b1010`, `0o17`, `8w255`, `4s7`, with `_` anywhere in the digits.

use num_bigint::{BigInt, BigUint};

/// Widest number that a program may name, bits.
pub(crate) const MAX_WIDTH: u32 = 65_536;

/// Value, width and signedness; what is wrong otherwise.
pub(super) fn parse(text: &str) -> Result<(BigInt, Option<(u32, bool)>), String> {
    let (prefix, digits) = split(text);
    let value = value(digits).ok_or_else(|| format!("`{text}` is no number"))?;
    let Some((width, signed)) = prefix else {
        return Ok((value, None));
    };
    let width: u32 = width
        .parse()
        .ok()
        .filter(|width| *width <= MAX_WIDTH)
        .ok_or_else(|| format!("the width of `{text}` is more than {MAX_WIDTH} bits"))?;
    Ok((value, Some((width, signed))))
}

/// Width prefix and the rest. The letters of `0x…` and `0b…` numbers are no prefix.
fn split(text: &str) -> (Option<(&str, bool)>, &str) {
    let width = text.find(|c: char| !c.is_ascii_digit());
    let Some(at) = width.filter(|at| *at > 0) else {
        return (None, text);
    };
    match text.as_bytes()[at] {
        b'w' => (Some((&text[..at], false)), &text[at + 1..]),
        b's' => (Some((&text[..at], true)), &text[at + 1..]),
        _ => (None, text),
    }
}

fn value(text: &str) -> Option<BigInt> {
    let (radix, digits) = match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &text[2..]),
        Some("0b") => (2, &text[2..]),
        Some("0o") => (8, &text[2..]),
        Some("0d") => (10, &text[2..]),
        _ => (10, text),
    };
    let digits: Vec<u8> = digits.bytes().filter(|b| *b != b'_').collect();
    // Decimal conversion is quadratic; nothing needs more digits than the widest type has bits.
    if digits.is_empty() || digits.len() > MAX_WIDTH as usize {
        return None;
    }
    BigUint::parse_bytes(&digits, radix).map(BigInt::from)
}
