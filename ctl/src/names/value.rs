//! One value: text to byte string and back, by the width and the name of its field.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use flownic_pipeline::entity::canonical;
use flownic_wire::MacAddr;

use crate::format;

/// What is known about a field or parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    /// Name in the P4Info, for messages and for guessing how to print.
    pub(crate) name: String,
    /// Width in bits, at least 1.
    pub(crate) bits: u32,
    /// Names of values, when it is of an enum.
    pub(crate) members: Vec<(String, Vec<u8>)>,
}

impl Form {
    /// Bytes of the full width.
    fn width(&self) -> usize {
        self.bits.div_ceil(8) as usize
    }

    /// Last part of the name: `src` of `hdr.ipv4.src`.
    pub(crate) fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    fn holds_ipv4(&self) -> bool {
        let name = self.short_name();
        self.bits == 32
            && ["src", "dst", "ip", "vtep", "address"]
                .iter()
                .any(|end| name.ends_with(end))
    }

    /// Reads a value: a name, an address, a MAC, decimal or `0x…`. The result has the full width;
    /// the error is a sentence.
    pub(crate) fn parse(&self, text: &str) -> Result<Vec<u8>, String> {
        let known = self
            .members
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        let bytes = match known {
            Some((_, value)) => value.clone(),
            None => parse_bytes(text).ok_or_else(|| self.not_a_value(text))?,
        };
        self.fit(&bytes).ok_or_else(|| {
            format!(
                "{} = {text} does not fit into {} bits",
                self.name, self.bits
            )
        })
    }

    fn not_a_value(&self, text: &str) -> String {
        let mut expected = match self.bits {
            48 => "a MAC address".to_owned(),
            128 => "an IPv6 address".to_owned(),
            32 => "an IPv4 address, a number".to_owned(),
            bits => format!("a number of {bits} bits"),
        };
        if !self.members.is_empty() {
            let names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_str()).collect();
            let _ = write!(expected, " or one of {}", names.join(", "));
        }
        format!("{} = {text} is not {expected}", self.name)
    }

    /// All bits set.
    pub(crate) fn ones(&self) -> Vec<u8> {
        let mut bytes = vec![0xff; self.width()];
        bytes[0] >>= self.width() as u32 * 8 - self.bits;
        bytes
    }

    /// `bytes` in the full width, `None` when it has more bits than that.
    pub(crate) fn fit(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let short = canonical(bytes);
        let width = self.width();
        let pad = width.checked_sub(short.len())?;
        let mut full = vec![0; pad];
        full.extend_from_slice(short);
        let spare = width as u32 * 8 - self.bits;
        (u32::from(full[0]) >> (8 - spare) == 0).then_some(full)
    }

    /// Reads `VALUE/LEN`; a value alone has the full length.
    pub(crate) fn parse_prefix(&self, text: &str) -> Result<(Vec<u8>, u32), String> {
        let (value, length) = match text.rsplit_once('/') {
            None => (text, self.bits),
            Some((value, length)) => match length.parse() {
                Ok(length) if length <= self.bits => (value, length),
                _ => {
                    return Err(format!(
                        "{} = {text}: the length is no number up to {}",
                        self.name, self.bits
                    ));
                }
            },
        };
        let bytes = self.parse(value)?;
        if bytes != self.masked(&bytes, length) {
            let right = self.print(&self.masked(&bytes, length));
            return Err(format!(
                "{} = {text} has bits after the prefix; write {right}/{length}",
                self.name
            ));
        }
        Ok((bytes, length))
    }

    /// The first `length` bits of a value of full width.
    fn masked(&self, bytes: &[u8], length: u32) -> Vec<u8> {
        let spare = self.width() as u32 * 8 - self.bits;
        let keep = (spare + length) as usize;
        let bit = |at: usize| if at < keep { 1u8 << (7 - at % 8) } else { 0 };
        let mask = |byte: usize| (0..8).fold(0, |mask, offset| mask | bit(byte * 8 + offset));
        bytes
            .iter()
            .enumerate()
            .map(|(at, byte)| byte & mask(at))
            .collect()
    }

    /// The value as a person would write it.
    pub(crate) fn print(&self, bytes: &[u8]) -> String {
        if let Some((name, _)) = self
            .members
            .iter()
            .find(|(_, value)| canonical(value) == canonical(bytes))
        {
            return name.clone();
        }
        let Some(full) = self.fit(bytes) else {
            return format::hex(bytes);
        };
        match self.bits {
            48 => format::mac(&full),
            128 => format::address(&full),
            32 if self.holds_ipv4() => format::address(&full),
            0..=64 => full
                .iter()
                .fold(0u64, |number, &byte| number << 8 | u64::from(byte))
                .to_string(),
            _ => format::hex(canonical(&full)),
        }
    }

    /// A mask: as an address only where that is readable.
    pub(crate) fn print_mask(&self, bytes: &[u8]) -> String {
        format::hex(&self.fit(bytes).unwrap_or_else(|| bytes.to_vec()))
    }
}

fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    if let Ok(mac) = text.parse::<MacAddr>() {
        return Some(mac.0.to_vec());
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(address.octets().to_vec());
    }
    if let Ok(IpAddr::V6(address)) = text.parse::<IpAddr>() {
        return Some(address.octets().to_vec());
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return parse_hex(digits);
    }
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits
        .then(|| text.parse::<u128>().ok())?
        .map(|number| number.to_be_bytes().to_vec())
}

fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: char| digit.to_digit(16).map(|value| value as u8);
    let digits: Vec<u8> = digits
        .chars()
        .filter(|&digit| digit != '_')
        .map(value)
        .collect::<Option<_>>()?;
    if digits.is_empty() || digits.len() > 4096 {
        return None;
    }
    let odd = digits.len() % 2;
    let mut bytes = vec![0; digits.len().div_ceil(2)];
    for (at, digit) in digits.iter().enumerate() {
        let place = at + odd;
        bytes[place / 2] |= digit << if place.is_multiple_of(2) { 4 } else { 0 };
    }
    Some(bytes)
}
