//! TCP, RFC 9293 §3.1.
//!
//! ```text
//! | src port 2 | dst port 2 | sequence 4 | acknowledgement 4 |
//! | offset 4 bits | reserved 4 bits | flags 1 | window 2 | checksum 2 | urgent 2 | options … | payload …
//! ```

use crate::{Error, need, u16_at, u32_at};

mod field {
    pub(super) const SRC_PORT: usize = 0;
    pub(super) const DST_PORT: usize = 2;
    pub(super) const SEQUENCE: usize = 4;
    pub(super) const ACKNOWLEDGEMENT: usize = 8;
    pub(super) const DATA_OFFSET: usize = 12;
    pub(super) const FLAGS: usize = 13;
    pub(super) const CHECKSUM: usize = 16;
}

/// Bytes of the header without options.
pub const HEADER_LEN: usize = 20;

/// No more data from the sender.
pub const FIN: u8 = 0x01;
/// Synchronise sequence numbers: a connection starts.
pub const SYN: u8 = 0x02;
/// Reset the connection.
pub const RST: u8 = 0x04;
/// The acknowledgement field counts.
pub const ACK: u8 = 0x10;

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that the header and its options are there.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        need("TCP", bytes.as_ref(), HEADER_LEN)?;
        let header_len = usize::from(bytes.as_ref()[field::DATA_OFFSET] >> 4) * 4;
        if header_len < HEADER_LEN {
            return Err(Error::Malformed {
                protocol: "TCP",
                what: "data offset is less than 5",
            });
        }
        need("TCP", bytes.as_ref(), header_len)?;
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

    /// Sequence number of the first byte.
    pub fn sequence(&self) -> u32 {
        u32_at(self.0.as_ref(), field::SEQUENCE)
    }

    /// Next sequence number that the sender expects.
    pub fn acknowledgement(&self) -> u32 {
        u32_at(self.0.as_ref(), field::ACKNOWLEDGEMENT)
    }

    /// Control bits, [`FIN`] … [`ACK`] among them.
    pub fn flags(&self) -> u8 {
        self.0.as_ref()[field::FLAGS]
    }

    /// Checksum field.
    pub fn checksum(&self) -> u16 {
        u16_at(self.0.as_ref(), field::CHECKSUM)
    }

    /// Bytes of the header with options, 20–60.
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[field::DATA_OFFSET] >> 4) * 4
    }

    /// Bytes behind the header.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[self.header_len()..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn deconstruct() {
        let tcp = Packet::new_checked(&samples::TCP_SYN[34..]).unwrap();
        assert_eq!((tcp.src_port(), tcp.dst_port()), (45678, 80));
        assert_eq!(tcp.sequence(), 0x1234_5678);
        assert_eq!(tcp.acknowledgement(), 0);
        assert_eq!(tcp.flags(), SYN);
        assert_eq!(tcp.header_len(), 20);
        assert!(tcp.payload().is_empty());
    }

    #[test]
    fn impossible_data_offset() {
        let mut bytes = [0u8; 24];
        bytes[12] = 0x40;
        assert!(Packet::new_checked(&bytes).is_err());
        bytes[12] = 0x70;
        assert!(Packet::new_checked(&bytes).is_err());
        bytes[12] = 0x60;
        assert_eq!(Packet::new_checked(&bytes).unwrap().header_len(), 24);
    }
}
