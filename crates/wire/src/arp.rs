//! ARP for IPv4 over Ethernet, RFC 826.
//!
//! ```text
//! | hardware 2 | protocol 2 | hardware length 1 | protocol length 1 | operation 2 |
//! | sender MAC 6 | sender IP 4 | target MAC 6 | target IP 4 |
//! ```

use std::net::Ipv4Addr;

use crate::{Error, MacAddr, array_at, ethernet, need, u16_at};

mod field {
    pub(super) const HARDWARE: usize = 0;
    pub(super) const PROTOCOL: usize = 2;
    pub(super) const LENGTHS: usize = 4;
    pub(super) const OPERATION: usize = 6;
    pub(super) const SENDER_MAC: usize = 8;
    pub(super) const SENDER_IP: usize = 14;
    pub(super) const TARGET_MAC: usize = 18;
    pub(super) const TARGET_IP: usize = 24;
    pub(super) const END: usize = 28;
}

/// Bytes of a message.
pub const LEN: usize = field::END;

/// Operation "who has".
pub const REQUEST: u16 = 1;
/// Operation "is at".
pub const REPLY: u16 = 2;

const HARDWARE_ETHERNET: u16 = 1;

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// [`REQUEST`], [`REPLY`] or another.
    pub operation: u16,
    /// MAC of who sends it.
    pub sender_mac: MacAddr,
    /// Address of who sends it; 0.0.0.0 in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// MAC of who is meant; of no meaning in a request.
    pub target_mac: MacAddr,
    /// Address of who is meant.
    pub target_ip: Ipv4Addr,
}

impl Repr {
    /// Reads a message; bytes behind it (padding) are left alone.
    pub fn parse(bytes: &[u8]) -> Result<Repr, Error> {
        need("ARP", bytes, LEN)?;
        let is_ethernet = u16_at(bytes, field::HARDWARE) == HARDWARE_ETHERNET;
        let is_ipv4 = u16_at(bytes, field::PROTOCOL) == ethernet::IPV4;
        if !is_ethernet || !is_ipv4 || bytes[field::LENGTHS..field::OPERATION] != [6, 4] {
            return Err(Error::Malformed {
                protocol: "ARP",
                what: "not for IPv4 over Ethernet",
            });
        }
        Ok(Repr {
            operation: u16_at(bytes, field::OPERATION),
            sender_mac: MacAddr(array_at(bytes, field::SENDER_MAC)),
            sender_ip: Ipv4Addr::from(array_at::<4>(bytes, field::SENDER_IP)),
            target_mac: MacAddr(array_at(bytes, field::TARGET_MAC)),
            target_ip: Ipv4Addr::from(array_at::<4>(bytes, field::TARGET_IP)),
        })
    }

    /// Appends the message to `packet`.
    pub fn emit(&self, packet: &mut Vec<u8>) {
        packet.extend_from_slice(&HARDWARE_ETHERNET.to_be_bytes());
        packet.extend_from_slice(&ethernet::IPV4.to_be_bytes());
        packet.extend_from_slice(&[6, 4]);
        packet.extend_from_slice(&self.operation.to_be_bytes());
        packet.extend_from_slice(&self.sender_mac.0);
        packet.extend_from_slice(&self.sender_ip.octets());
        packet.extend_from_slice(&self.target_mac.0);
        packet.extend_from_slice(&self.target_ip.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn deconstruct_and_construct() {
        let bytes = &samples::ARP_REQUEST[14..];
        let repr = Repr::parse(bytes).unwrap();
        assert_eq!(
            repr,
            Repr {
                operation: REQUEST,
                sender_mac: MacAddr([2, 0, 0, 0, 0, 0x0a]),
                sender_ip: Ipv4Addr::new(10, 0, 0, 10),
                target_mac: MacAddr([0; 6]),
                target_ip: Ipv4Addr::new(10, 0, 0, 20),
            }
        );
        let mut made = Vec::new();
        repr.emit(&mut made);
        assert_eq!(made, bytes);
    }

    #[test]
    fn other_media_are_refused() {
        for at in 0..6 {
            let mut bytes = samples::ARP_REQUEST[14..].to_vec();
            bytes[at] ^= 0x10;
            assert!(Repr::parse(&bytes).is_err(), "byte {at}");
        }
        assert!(Repr::parse(&samples::ARP_REQUEST[14..41]).is_err());
    }
}
