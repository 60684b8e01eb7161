//! VXLAN, RFC 7348 §5.
//!
//! ```text
//! | flags 1 | reserved 3 | VNI 3 | reserved 1 | Ethernet frame …
//! ```

use crate::{Error, need, u32_at};

mod field {
    pub(super) const FLAGS: usize = 0;
    pub(super) const VNI: usize = 4;
    pub(super) const PAYLOAD: usize = 8;
}

/// Bytes of the header.
pub const HEADER_LEN: usize = field::PAYLOAD;

/// UDP destination port.
pub const PORT: u16 = 4789;

/// The I flag: the VNI is valid.
pub const FLAG_VNI: u8 = 0x08;

/// A VXLAN packet: the payload of its UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that the header is there and that its VNI is valid.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        need("VXLAN", bytes.as_ref(), HEADER_LEN)?;
        if bytes.as_ref()[field::FLAGS] & FLAG_VNI == 0 {
            return Err(Error::Malformed {
                protocol: "VXLAN",
                what: "the I flag is not set",
            });
        }
        Ok(Packet(bytes))
    }

    /// Number of the virtual network, 24 bits.
    pub fn vni(&self) -> u32 {
        u32_at(self.0.as_ref(), field::VNI) >> 8
    }

    /// The Ethernet frame.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[field::PAYLOAD..]
    }
}

/// Appends a header with `vni` (24 bits) to `packet`.
pub fn emit(packet: &mut Vec<u8>, vni: u32) {
    packet.extend_from_slice(&[FLAG_VNI, 0, 0, 0]);
    packet.extend_from_slice(&(vni << 8).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R3.2: a header is written as the RFC draws it, and read back.
    #[test]
    fn construct_and_deconstruct() {
        let mut bytes = Vec::new();
        emit(&mut bytes, 0x00_abcd);
        assert_eq!(bytes, [0x08, 0, 0, 0, 0, 0xab, 0xcd, 0]);
        bytes.extend_from_slice(&[1, 2]);
        let packet = Packet::new_checked(&bytes).unwrap();
        assert_eq!(packet.vni(), 0xabcd);
        assert_eq!(packet.payload(), [1, 2]);
    }

    /// R3.2: headers that cannot be are refused.
    #[test]
    fn bad_headers() {
        assert!(Packet::new_checked([0x08, 0, 0, 0, 0, 0, 1]).is_err());
        assert!(Packet::new_checked([0x00, 0, 0, 0, 0, 0, 1, 0]).is_err());
    }
}
