//! IPv6, RFC 8200 §3, and its fragment header, §4.5.
//!
//! ```text
//! | version 4 bits, class 8 bits, flow label 20 bits | payload length 2 | next header 1 | hop limit 1 |
//! | src 16 | dst 16 | payload …
//!
//! fragment: | next header 1 | reserved 1 | offset 13 bits, 2 bits, M 1 bit | identification 4 |
//! ```

use std::net::Ipv6Addr;

use crate::{Error, array_at, need, u16_at, u32_at};

mod field {
    pub(super) const VERSION_CLASS_LABEL: usize = 0;
    pub(super) const PAYLOAD_LENGTH: usize = 4;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const HOP_LIMIT: usize = 7;
    pub(super) const SRC: usize = 8;
    pub(super) const DST: usize = 24;
    pub(super) const PAYLOAD: usize = 40;
}

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = field::PAYLOAD;

/// An IPv6 packet, maybe with bytes behind it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that header and payload are there. Jumbograms (RFC 2675) are not known.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        let packet = Packet::new_header(bytes)?;
        let length = HEADER_LEN + usize::from(packet.payload_length());
        need("IPv6", packet.0.as_ref(), length)?;
        Ok(packet)
    }

    /// Like [`Packet::new_checked`] for a packet whose payload may be cut off, as an ICMPv6 error
    /// quotes it.
    pub fn new_header(bytes: T) -> Result<Packet<T>, Error> {
        need("IPv6", bytes.as_ref(), HEADER_LEN)?;
        if bytes.as_ref()[0] >> 4 != 6 {
            return Err(Error::Malformed {
                protocol: "IPv6",
                what: "version is not 6",
            });
        }
        Ok(Packet(bytes))
    }

    /// Traffic class: DSCP and ECN.
    pub fn traffic_class(&self) -> u8 {
        (u32_at(self.0.as_ref(), field::VERSION_CLASS_LABEL) >> 20) as u8
    }

    /// Flow label, 20 bits.
    pub fn flow_label(&self) -> u32 {
        u32_at(self.0.as_ref(), field::VERSION_CLASS_LABEL) & 0x000f_ffff
    }

    /// Bytes behind the fixed header.
    pub fn payload_length(&self) -> u16 {
        u16_at(self.0.as_ref(), field::PAYLOAD_LENGTH)
    }

    /// Protocol or extension header that follows.
    pub fn next_header(&self) -> u8 {
        self.0.as_ref()[field::NEXT_HEADER]
    }

    /// Hop limit.
    pub fn hop_limit(&self) -> u8 {
        self.0.as_ref()[field::HOP_LIMIT]
    }

    /// Source address.
    pub fn src(&self) -> Ipv6Addr {
        Ipv6Addr::from(array_at::<16>(self.0.as_ref(), field::SRC))
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv6Addr {
        Ipv6Addr::from(array_at::<16>(self.0.as_ref(), field::DST))
    }

    /// The payload, as much of it as is there, without bytes behind the packet.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        let end = HEADER_LEN + usize::from(self.payload_length());
        &bytes[field::PAYLOAD..bytes.len().min(end)]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Decrements the hop limit as a router does. Zero stays.
    pub fn decrement_hop_limit(&mut self) {
        let hop_limit = &mut self.0.as_mut()[field::HOP_LIMIT];
        *hop_limit = hop_limit.saturating_sub(1);
    }
}

/// Fragment header, RFC 8200 §4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Protocol of the fragmented payload.
    pub next_header: u8,
    /// Where this fragment's payload belongs, in units of 8 bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// The same in all fragments of a packet.
    pub identification: u32,
}

/// Bytes of a fragment header.
pub const FRAGMENT_LEN: usize = 8;

impl Fragment {
    /// Reads a fragment header from the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Fragment, Error> {
        need("IPv6 fragment header", bytes, FRAGMENT_LEN)?;
        let offset_more = u16_at(bytes, 2);
        Ok(Fragment {
            next_header: bytes[0],
            offset: offset_more >> 3,
            more: offset_more & 1 != 0,
            identification: u32_at(bytes, 4),
        })
    }
}

/// What [`emit`] writes: a fixed header with flow label 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// Protocol of the payload.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Bytes of the payload.
    pub payload_len: u16,
}

/// Appends a header to `packet`.
pub fn emit(packet: &mut Vec<u8>, repr: &Repr) {
    packet.extend_from_slice(&[0x60, 0, 0, 0]);
    packet.extend_from_slice(&repr.payload_len.to_be_bytes());
    packet.extend_from_slice(&[repr.next_header, repr.hop_limit]);
    packet.extend_from_slice(&repr.src.octets());
    packet.extend_from_slice(&repr.dst.octets());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn deconstruct() {
        let packet = Packet::new_checked(&samples::ICMPV6_ECHO[14..]).unwrap();
        assert_eq!(packet.traffic_class(), 0);
        assert_eq!(packet.flow_label(), 0xabcde);
        assert_eq!(packet.next_header(), 58);
        assert_eq!(packet.hop_limit(), 64);
        assert_eq!(packet.src(), "fd00:0:0:1::a".parse::<Ipv6Addr>().unwrap());
        assert_eq!(packet.dst(), "fd00:0:0:1::b".parse::<Ipv6Addr>().unwrap());
        assert_eq!(packet.payload().len(), 16);
    }

    #[test]
    fn construct() {
        let repr = Repr {
            src: "fd00::1".parse().unwrap(),
            dst: "fd00::2".parse().unwrap(),
            next_header: 58,
            hop_limit: 255,
            payload_len: 3,
        };
        let mut bytes = Vec::new();
        emit(&mut bytes, &repr);
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        let packet = Packet::new_checked(&bytes).unwrap();
        assert_eq!(packet.payload(), [1, 2, 3]);
        assert_eq!((packet.src(), packet.dst()), (repr.src, repr.dst));
        assert_eq!((packet.next_header(), packet.hop_limit()), (58, 255));
    }

    #[test]
    fn impossible_headers() {
        let mut bytes = samples::ICMPV6_ECHO[14..].to_vec();
        assert!(Packet::new_checked(&bytes[..39]).is_err());
        assert!(Packet::new_checked(&bytes[..55]).is_err());
        assert!(Packet::new_header(&bytes[..55]).is_ok());
        bytes[0] = 0x45;
        assert!(Packet::new_header(&bytes).is_err());
    }

    #[test]
    fn fragment_header() {
        let fragment = Fragment::parse(&[17, 0, 0x05, 0xc9, 0, 0, 0, 7]).unwrap();
        assert_eq!(
            fragment,
            Fragment {
                next_header: 17,
                offset: 185,
                more: true,
                identification: 7
            }
        );
        assert!(Fragment::parse(&[0; 7]).is_err());
    }
}
