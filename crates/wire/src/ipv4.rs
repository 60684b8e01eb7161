//! IPv4, RFC 791 §3.1.
//!
//! ```text
//! | version, ihl 1 | tos 1 | total length 2 | identification 2 | flags, fragment offset 2 |
//! | ttl 1 | protocol 1 | checksum 2 | src 4 | dst 4 | options … | payload …
//! ```

use std::net::Ipv4Addr;

use crate::{Error, array_at, checksum, need, u16_at};

mod field {
    use std::ops::Range;
    pub(super) const VERSION_IHL: usize = 0;
    pub(super) const TOS: usize = 1;
    pub(super) const TOTAL_LENGTH: usize = 2;
    pub(super) const IDENTIFICATION: usize = 4;
    pub(super) const FLAGS_OFFSET: usize = 6;
    pub(super) const TTL: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const CHECKSUM: usize = 10;
    pub(super) const CHECKSUM_RANGE: Range<usize> = 10..12;
    pub(super) const SRC: usize = 12;
    pub(super) const DST: usize = 16;
}

/// Bytes of the header without options.
pub const HEADER_LEN: usize = 20;

/// An IPv4 packet, maybe with bytes behind it (Ethernet padding).
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that header, options and payload are there and that the lengths fit together. The
    /// header checksum is left to [`Packet::checksum_is_right`].
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        let packet = Packet::new_header(bytes)?;
        need(
            "IPv4",
            packet.0.as_ref(),
            usize::from(packet.total_length()),
        )?;
        Ok(packet)
    }

    /// Like [`Packet::new_checked`] for a packet whose payload may be cut off, as an ICMP error
    /// quotes it.
    pub fn new_header(bytes: T) -> Result<Packet<T>, Error> {
        let packet = Packet::new_unchecked_length(bytes)?;
        if usize::from(packet.total_length()) < packet.header_len() {
            return Err(Error::Malformed {
                protocol: "IPv4",
                what: "total length is less than the header's",
            });
        }
        Ok(packet)
    }

    /// Checks the header but not its total length.
    pub(crate) fn new_unchecked_length(bytes: T) -> Result<Packet<T>, Error> {
        need("IPv4", bytes.as_ref(), HEADER_LEN)?;
        let malformed = |what| Error::Malformed {
            protocol: "IPv4",
            what,
        };
        let packet = Packet(bytes);
        if packet.0.as_ref()[field::VERSION_IHL] >> 4 != 4 {
            return Err(malformed("version is not 4"));
        }
        if packet.header_len() < HEADER_LEN {
            return Err(malformed("header length is less than 5 words"));
        }
        need("IPv4", packet.0.as_ref(), packet.header_len())?;
        Ok(packet)
    }

    /// Bytes of the header with options, 20–60.
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[field::VERSION_IHL] & 0x0f) * 4
    }

    /// Type of service: DSCP and ECN.
    pub fn tos(&self) -> u8 {
        self.0.as_ref()[field::TOS]
    }

    /// Bytes of header and payload.
    pub fn total_length(&self) -> u16 {
        u16_at(self.0.as_ref(), field::TOTAL_LENGTH)
    }

    /// Identification, the same in all fragments of a datagram.
    pub fn identification(&self) -> u16 {
        u16_at(self.0.as_ref(), field::IDENTIFICATION)
    }

    /// DF: routers must not fragment it.
    pub fn dont_fragment(&self) -> bool {
        u16_at(self.0.as_ref(), field::FLAGS_OFFSET) & 0x4000 != 0
    }

    /// MF: more fragments follow.
    pub fn more_fragments(&self) -> bool {
        u16_at(self.0.as_ref(), field::FLAGS_OFFSET) & 0x2000 != 0
    }

    /// Where this fragment's payload belongs, in units of 8 bytes.
    pub fn fragment_offset(&self) -> u16 {
        u16_at(self.0.as_ref(), field::FLAGS_OFFSET) & 0x1fff
    }

    /// True when this is not the whole datagram.
    pub fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset() != 0
    }

    /// Time to live, hops.
    pub fn ttl(&self) -> u8 {
        self.0.as_ref()[field::TTL]
    }

    /// Protocol of the payload.
    pub fn protocol(&self) -> u8 {
        self.0.as_ref()[field::PROTOCOL]
    }

    /// Header checksum field.
    pub fn checksum(&self) -> u16 {
        u16_at(self.0.as_ref(), field::CHECKSUM)
    }

    /// True when the header checksum is right, options included.
    pub fn checksum_is_right(&self) -> bool {
        let header = &self.0.as_ref()[..self.header_len()];
        let sum = checksum::Sum::new()
            .bytes(&header[..field::CHECKSUM])
            .bytes(&header[field::SRC..]);
        sum.finish() == self.checksum()
    }

    /// Source address.
    pub fn src(&self) -> Ipv4Addr {
        Ipv4Addr::from(array_at::<4>(self.0.as_ref(), field::SRC))
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv4Addr {
        Ipv4Addr::from(array_at::<4>(self.0.as_ref(), field::DST))
    }

    /// The payload, as much of it as is there, without bytes behind the packet.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.0.as_ref();
        let end = bytes.len().min(usize::from(self.total_length()));
        bytes.get(self.header_len()..end).unwrap_or(&[])
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Decrements the TTL as a router does and makes the checksum right again. A TTL of zero
    /// stays.
    pub fn decrement_ttl(&mut self) {
        let header_len = self.header_len();
        let header = &mut self.0.as_mut()[..header_len];
        header[field::TTL] = header[field::TTL].saturating_sub(1);
        header[field::CHECKSUM_RANGE].fill(0);
        let sum = checksum::of(header);
        header[field::CHECKSUM_RANGE].copy_from_slice(&sum.to_be_bytes());
    }
}

/// What [`emit`] writes: a header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Time to live, hops.
    pub ttl: u8,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Bytes of the payload; at most 65515.
    pub payload_len: u16,
}

/// Appends a header with a right checksum to `packet`. DF is set and the identification is 0:
/// an atomic datagram, RFC 6864 §4.1.
pub fn emit(packet: &mut Vec<u8>, repr: &Repr) {
    let start = packet.len();
    let total_length = repr.payload_len.saturating_add(HEADER_LEN as u16);
    packet.extend_from_slice(&[0x45, repr.tos]);
    packet.extend_from_slice(&total_length.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, repr.ttl, repr.protocol, 0, 0]);
    packet.extend_from_slice(&repr.src.octets());
    packet.extend_from_slice(&repr.dst.octets());
    let sum = checksum::of(&packet[start..]);
    packet[start + field::CHECKSUM..start + field::CHECKSUM + 2]
        .copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::IPV4_HEADER;

    #[test]
    fn deconstruct() {
        let packet = Packet::new_header(&IPV4_HEADER).unwrap();
        assert_eq!(packet.header_len(), 20);
        assert_eq!(packet.total_length(), 0x73);
        assert_eq!(packet.identification(), 0);
        assert!(packet.dont_fragment());
        assert!(!packet.is_fragment());
        assert_eq!(packet.ttl(), 64);
        assert_eq!(packet.protocol(), 17);
        assert_eq!(packet.checksum(), 0xb861);
        assert!(packet.checksum_is_right());
        assert_eq!(packet.src(), Ipv4Addr::new(192, 168, 0, 1));
        assert_eq!(packet.dst(), Ipv4Addr::new(192, 168, 0, 199));
        assert!(packet.payload().is_empty());
        assert!(Packet::new_checked(&IPV4_HEADER).is_err(), "payload is cut");
    }

    #[test]
    fn construct() {
        let mut packet = Vec::new();
        let repr = Repr {
            src: Ipv4Addr::new(192, 168, 0, 1),
            dst: Ipv4Addr::new(192, 168, 0, 199),
            protocol: 17,
            ttl: 64,
            tos: 0,
            payload_len: 0x73 - 20,
        };
        emit(&mut packet, &repr);
        assert_eq!(packet, IPV4_HEADER);
    }

    #[test]
    fn decrement_ttl_keeps_the_checksum_right() {
        let mut packet = Packet::new_header(IPV4_HEADER).unwrap();
        packet.decrement_ttl();
        assert_eq!(packet.ttl(), 63);
        assert!(packet.checksum_is_right());
    }

    #[test]
    fn impossible_headers() {
        let wrong = |at: usize, value: u8| {
            let mut bytes = IPV4_HEADER;
            bytes[at] = value;
            Packet::new_header(bytes).is_err()
        };
        assert!(wrong(0, 0x65), "version 6");
        assert!(wrong(0, 0x44), "ihl 4");
        assert!(wrong(0, 0x46), "options cut");
        assert!(wrong(3, 19), "total length 19");
        assert!(Packet::new_header(&IPV4_HEADER[..19]).is_err());
    }

    #[test]
    fn fragments() {
        let mut bytes = IPV4_HEADER;
        bytes[6] = 0x20;
        assert!(Packet::new_header(bytes).unwrap().more_fragments());
        bytes[6] = 0x00;
        bytes[7] = 0xb9;
        let packet = Packet::new_header(bytes).unwrap();
        assert_eq!(packet.fragment_offset(), 185);
        assert!(packet.is_fragment());
    }
}
