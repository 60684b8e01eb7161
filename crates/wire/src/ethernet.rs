//! Ethernet II frames, IEEE 802.3.
//!
//! ```text
//! | dst 6 | src 6 | type 2 | payload …
//! ```

use crate::{Error, MacAddr, array_at, need, u16_at};

mod field {
    use std::ops::Range;
    pub(super) const DST: usize = 0;
    pub(super) const SRC: usize = 6;
    pub(super) const ETHER_TYPE: usize = 12;
    pub(super) const DST_RANGE: Range<usize> = 0..6;
    pub(super) const SRC_RANGE: Range<usize> = 6..12;
    pub(super) const ETHER_TYPE_RANGE: Range<usize> = 12..14;
    pub(super) const PAYLOAD: usize = 14;
}

/// Bytes of the header.
pub const HEADER_LEN: usize = field::PAYLOAD;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of an IEEE 802.1Q C-tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of an IEEE 802.1ad S-tag.
pub const QINQ: u16 = 0x88a8;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Transparent Ethernet Bridging: what Geneve carries.
pub const TEB: u16 = 0x6558;

/// An Ethernet frame without its check sequence.
#[derive(Clone, Copy, Debug)]
pub struct Frame<T>(T);

impl<T: AsRef<[u8]>> Frame<T> {
    /// Checks that the header is there.
    pub fn new_checked(bytes: T) -> Result<Frame<T>, Error> {
        need("Ethernet", bytes.as_ref(), HEADER_LEN)?;
        Ok(Frame(bytes))
    }

    /// Destination address.
    pub fn dst(&self) -> MacAddr {
        MacAddr(array_at(self.0.as_ref(), field::DST))
    }

    /// Source address.
    pub fn src(&self) -> MacAddr {
        MacAddr(array_at(self.0.as_ref(), field::SRC))
    }

    /// EtherType of what follows, a VLAN tag included.
    pub fn ether_type(&self) -> u16 {
        u16_at(self.0.as_ref(), field::ETHER_TYPE)
    }

    /// Bytes behind the header.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[field::PAYLOAD..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Frame<T> {
    /// Sets the destination address.
    pub fn set_dst(&mut self, mac: MacAddr) {
        self.0.as_mut()[field::DST_RANGE].copy_from_slice(&mac.0);
    }

    /// Sets the source address.
    pub fn set_src(&mut self, mac: MacAddr) {
        self.0.as_mut()[field::SRC_RANGE].copy_from_slice(&mac.0);
    }

    /// Sets the EtherType.
    pub fn set_ether_type(&mut self, ether_type: u16) {
        self.0.as_mut()[field::ETHER_TYPE_RANGE].copy_from_slice(&ether_type.to_be_bytes());
    }
}

/// Appends an Ethernet header to `frame`.
pub fn emit(frame: &mut Vec<u8>, dst: MacAddr, src: MacAddr, ether_type: u16) {
    frame.extend_from_slice(&dst.0);
    frame.extend_from_slice(&src.0);
    frame.extend_from_slice(&ether_type.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn deconstruct() {
        let frame = Frame::new_checked(samples::TCP_SYN).unwrap();
        assert_eq!(frame.dst(), MacAddr([2, 0, 0, 0, 0, 0x0b]));
        assert_eq!(frame.src(), MacAddr([2, 0, 0, 0, 0, 0x0a]));
        assert_eq!(frame.ether_type(), IPV4);
        assert_eq!(frame.payload()[0], 0x45);
    }

    #[test]
    fn rewrite() {
        let mut frame = Frame::new_checked(samples::TCP_SYN.to_vec()).unwrap();
        frame.set_dst(MacAddr([1; 6]));
        frame.set_src(MacAddr([2; 6]));
        frame.set_ether_type(VLAN);
        assert_eq!(frame.dst(), MacAddr([1; 6]));
        assert_eq!(frame.src(), MacAddr([2; 6]));
        assert_eq!(frame.ether_type(), VLAN);
    }

    #[test]
    fn too_short() {
        assert!(Frame::new_checked(&[0u8; 13][..]).is_err());
    }
}
