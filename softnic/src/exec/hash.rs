//! Hashes and checksums over fields, by the names that bmv2 gives them.

use crc::{Crc, Table};

use super::phv::Phv;
use crate::program::{Calculation, HashAlgorithm, HashInput, Program};

/// As bmv2's `crc64_custom` before it is configured.
const CRC_64: crc::Algorithm<u64> = crc::Algorithm {
    init: 0,
    xorout: 0,
    ..crc::CRC_64_GO_ISO
};

static CRC8: Crc<u8, Table<1>> = Crc::<u8, Table<1>>::new(&crc::CRC_8_SMBUS);
static CRC16: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&crc::CRC_16_ARC);
static CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&crc::CRC_32_ISO_HDLC);
static CRC64: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64);
static CRC_CCITT: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&crc::CRC_16_IBM_3740);

/// Computes a calculation over the packet header vector and the payload.
pub(crate) fn compute(
    program: &Program,
    phv: &Phv,
    calculation: &Calculation,
    payload: &[u8],
    scratch: &mut Vec<u8>,
) -> u64 {
    let mut input = BitWriter::new(scratch);
    for part in &calculation.input {
        match part {
            HashInput::Bits {
                header,
                at_bits,
                bits,
            } if phv.is_valid(*header) => {
                input.push(&phv.bytes[(*at_bits / 8) as usize..], at_bits % 8, *bits);
            }
            HashInput::Varbit(header) if phv.is_valid(*header) => {
                let definition = &program.headers[usize::from(*header)];
                input.push_bytes(phv.varbit(definition, *header));
            }
            HashInput::Header(header) if phv.is_valid(*header) => {
                let mut bytes = Vec::new();
                super::deparser::emit(program, phv, *header, &mut bytes);
                input.push_bytes(&bytes);
            }
            HashInput::Const { value, bits } => {
                let spare = value.len() as u32 * 8 - bits;
                input.push(&value[(spare / 8) as usize..], spare % 8, *bits);
            }
            HashInput::Payload => input.push_bytes(payload),
            // Parts of headers that are not there.
            HashInput::Bits { .. } | HashInput::Varbit(_) | HashInput::Header(_) => {}
        }
    }
    hash(calculation.algorithm, input.bytes)
}

fn hash(algorithm: HashAlgorithm, bytes: &[u8]) -> u64 {
    match algorithm {
        HashAlgorithm::Crc8 => u64::from(CRC8.checksum(bytes)),
        HashAlgorithm::Crc16 => u64::from(CRC16.checksum(bytes)),
        HashAlgorithm::Crc32 => u64::from(CRC32.checksum(bytes)),
        HashAlgorithm::Crc64 => CRC64.checksum(bytes),
        HashAlgorithm::CrcCcitt => u64::from(CRC_CCITT.checksum(bytes)),
        HashAlgorithm::Csum16 => u64::from(internet_checksum(bytes)),
        HashAlgorithm::Xor16 => xor_words(bytes, 2),
        HashAlgorithm::Xor32 => xor_words(bytes, 4),
        HashAlgorithm::Identity => bytes
            .iter()
            .take(8)
            .fold(0, |value, &byte| value << 8 | u64::from(byte)),
    }
}

/// RFC 1071: inverted ones' complement sum of 16-bit words, padded with a zero byte.
pub(crate) fn internet_checksum(bytes: &[u8]) -> u16 {
    let (words, tail) = bytes.as_chunks::<2>();
    let mut sum: u64 = words
        .iter()
        .map(|&word| u64::from(u16::from_be_bytes(word)))
        .sum();
    if let [last] = tail {
        sum += u64::from(*last) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Exclusive or of big-endian words, the last one padded with zeros at its end.
fn xor_words(bytes: &[u8], size: usize) -> u64 {
    bytes.chunks(size).fold(0, |value, chunk| {
        let word = chunk
            .iter()
            .fold(0u64, |word, &byte| word << 8 | u64::from(byte));
        value ^ (word << (8 * (size - chunk.len())))
    })
}

/// Puts pieces of any number of bits behind one another.
struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    /// Bits used of the last byte, 0: all.
    used: u32,
}

impl<'a> BitWriter<'a> {
    fn new(bytes: &'a mut Vec<u8>) -> BitWriter<'a> {
        bytes.clear();
        BitWriter { bytes, used: 0 }
    }

    /// `bits` bits of `from`, without the first `skip` (< 8).
    fn push(&mut self, from: &[u8], skip: u32, bits: u32) {
        if skip == 0 && self.used == 0 && bits.is_multiple_of(8) {
            self.bytes.extend_from_slice(&from[..(bits / 8) as usize]);
            return;
        }
        let (mut at, mut left) = (skip, bits);
        while left > 0 {
            let byte = from[(at / 8) as usize];
            let room = if self.used == 0 { 8 } else { 8 - self.used };
            let count = left.min(8 - at % 8).min(room);
            let piece = (byte << (at % 8)) >> (8 - count);
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= piece << (room - count);
            }
            self.used = (self.used + count) % 8;
            at += count;
            left -= count;
        }
    }

    fn push_bytes(&mut self, from: &[u8]) {
        self.push(from, 0, from.len() as u32 * 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_their_published_check_values() {
        let check = b"123456789";
        assert_eq!(hash(HashAlgorithm::Crc16, check), 0xbb3d);
        assert_eq!(hash(HashAlgorithm::Crc32, check), 0xcbf4_3926);
        assert_eq!(hash(HashAlgorithm::CrcCcitt, check), 0x29b1);
        assert_eq!(hash(HashAlgorithm::Crc8, check), 0xf4);
        assert_eq!(hash(HashAlgorithm::Identity, &[1, 2]), 0x0102);
        assert_eq!(hash(HashAlgorithm::Xor16, &[1, 2, 3]), 0x0202);
    }

    #[test]
    fn checksum_of_a_header_with_its_checksum_is_zero() {
        // The example of RFC 1071, section 3.
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&words), !0xddf2);
        let mut all = words.to_vec();
        all.extend(internet_checksum(&words).to_be_bytes());
        assert_eq!(internet_checksum(&all), 0);
        assert_eq!(internet_checksum(&[0xab]), !0xab00);
    }

    #[test]
    fn bits_are_put_behind_one_another() {
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        writer.push(&[0x4f], 0, 4);
        writer.push(&[0xf5], 4, 4);
        writer.push(&[0b0001_1111, 0b1000_0000], 3, 6);
        writer.push(&[0xff], 0, 1);
        assert_eq!(bytes, [0x45, 0b1111_1110]);
    }
}
