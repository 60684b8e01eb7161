//! UDP, RFC 768.
//!
//! ```text
//! | src port 2 | dst port 2 | length 2 | checksum 2 | payload …
//! ```

use crate::{Error, need, u16_at};

mod field {
    pub(super) const SRC_PORT: usize = 0;
    pub(super) const DST_PORT: usize = 2;
    pub(super) const LENGTH: usize = 4;
    pub(super) const CHECKSUM: usize = 6;
    pub(super) const PAYLOAD: usize = 8;
}

/// Bytes of the header.
pub const HEADER_LEN: usize = field::PAYLOAD;

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that the header is there and that the datagram is as long as it says.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        need("UDP", bytes.as_ref(), HEADER_LEN)?;
        let length = usize::from(u16_at(bytes.as_ref(), field::LENGTH));
        if length < HEADER_LEN {
            return Err(Error::Malformed {
                protocol: "UDP",
                what: "length is less than the header's",
            });
        }
        need("UDP", bytes.as_ref(), length)?;
        Ok(Packet(bytes))
    }

    /// Source port.
    pub fn src_port(&self) -> u16 {
        u16_at(self.0.as_ref(), field::SRC_PORT)
    }

    /// Destination port.
    pub fn dst_port(&self) -> u16 {
        u16_at(self.0.as_ref(), field::DST_PORT)
    }

    /// Length of header and payload, bytes.
    pub fn length(&self) -> u16 {
        u16_at(self.0.as_ref(), field::LENGTH)
    }

    /// Checksum; 0 means that the sender made none (IPv4 only).
    pub fn checksum(&self) -> u16 {
        u16_at(self.0.as_ref(), field::CHECKSUM)
    }

    /// The payload, without bytes behind the datagram.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[field::PAYLOAD..usize::from(self.length())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checksum, ipv4, protocol, samples};

    #[test]
    fn deconstruct() {
        let ip = ipv4::Packet::new_checked(&samples::DNS_QUERY[14..]).unwrap();
        let udp = Packet::new_checked(ip.payload()).unwrap();
        assert_eq!((udp.src_port(), udp.dst_port()), (40000, 53));
        assert_eq!(usize::from(udp.length()), ip.payload().len());
        let sum = checksum::transport(
            ip.src().into(),
            ip.dst().into(),
            protocol::UDP,
            ip.payload(),
        );
        assert_eq!(sum, 0);
        assert_ne!(udp.checksum(), 0);
        assert_eq!(udp.payload()[..2], [0x1a, 0x2b]);
    }

    #[test]
    fn impossible_length() {
        let mut bytes = [0u8; 12];
        bytes[5] = 7;
        assert!(Packet::new_checked(&bytes).is_err());
        bytes[5] = 13;
        assert!(Packet::new_checked(&bytes).is_err());
        bytes[5] = 9;
        assert_eq!(Packet::new_checked(&bytes).unwrap().payload().len(), 1);
    }
}
