//! The Internet checksum, RFC 1071.

use std::net::IpAddr;

/// One's complement sum of big-endian 16-bit words, not yet inverted. Parts of a packet may be
/// added one after the other as long as each but the last has an even length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// An empty sum.
    pub fn new() -> Sum {
        Sum::default()
    }

    /// Adds bytes; an odd last byte counts as the high half of a word.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Sum {
        let mut words = bytes.chunks_exact(2);
        for word in &mut words {
            self.0 += u64::from(u16::from_be_bytes([word[0], word[1]]));
        }
        if let [last] = words.remainder() {
            self.0 += u64::from(*last) << 8;
        }
        self
    }

    /// Adds the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1).
    /// `length`: bytes of header and payload.
    #[must_use]
    pub fn pseudo_header(self, src: IpAddr, dst: IpAddr, protocol: u8, length: u32) -> Sum {
        let sum = match (src, dst) {
            (IpAddr::V4(s), IpAddr::V4(d)) => self.bytes(&s.octets()).bytes(&d.octets()),
            (IpAddr::V6(s), IpAddr::V6(d)) => self.bytes(&s.octets()).bytes(&d.octets()),
            // Mixed addresses have no pseudo-header; the sum then matches no packet.
            _ => self,
        };
        sum.bytes(&[0, protocol]).bytes(&length.to_be_bytes())
    }

    /// The value that goes into the checksum field. Zero when the summed bytes already hold a
    /// right checksum.
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

/// Checksum of `bytes` alone.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::new().bytes(bytes).finish()
}

/// Checksum of a transport segment under its pseudo-header.
pub fn transport(src: IpAddr, dst: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    Sum::new()
        .pseudo_header(src, dst, protocol, segment.len() as u32)
        .bytes(segment)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RFC 1071 §3.
    #[test]
    fn rfc_1071_example() {
        let sum = of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum, !0xddf2);
    }

    #[test]
    fn odd_length_pads_with_zero() {
        assert_eq!(of(&[0x12, 0x34, 0x56]), of(&[0x12, 0x34, 0x56, 0x00]));
    }

    #[test]
    fn right_checksum_sums_to_zero() {
        let header = crate::samples::IPV4_HEADER;
        assert_eq!(of(&header), 0);
    }
}
