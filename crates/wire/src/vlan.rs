//! VLAN tags, IEEE 802.1Q: what follows a tag protocol identifier in the EtherType field.
//!
//! ```text
//! | pcp 3 bits | dei 1 bit | vid 12 bits | type 2 bytes | payload …
//! ```

use crate::{Error, need, u16_at};

mod field {
    pub(super) const TAG: usize = 0;
    pub(super) const ETHER_TYPE: usize = 2;
    pub(super) const PAYLOAD: usize = 4;
}

/// Bytes of a tag, without the identifier in front of it.
pub const HEADER_LEN: usize = field::PAYLOAD;

/// A tag and what it carries.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that the tag is there.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        need("VLAN tag", bytes.as_ref(), HEADER_LEN)?;
        Ok(Packet(bytes))
    }

    /// Priority, 0–7.
    pub fn priority(&self) -> u8 {
        (u16_at(self.0.as_ref(), field::TAG) >> 13) as u8
    }

    /// VLAN identifier, 0–4095; 0 is a priority tag.
    pub fn vid(&self) -> u16 {
        u16_at(self.0.as_ref(), field::TAG) & 0x0fff
    }

    /// EtherType of the payload.
    pub fn ether_type(&self) -> u16 {
        u16_at(self.0.as_ref(), field::ETHER_TYPE)
    }

    /// Bytes behind the tag.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[field::PAYLOAD..]
    }
}

/// Puts a C-tag with `vid` (0–4095) between the addresses and the EtherType of `frame`. A frame
/// without a whole Ethernet header is returned as it is.
pub fn push(frame: &[u8], vid: u16) -> Vec<u8> {
    let mut tagged = Vec::with_capacity(frame.len() + HEADER_LEN);
    match frame.split_at_checked(12) {
        Some((addresses, rest)) if rest.len() >= 2 => {
            tagged.extend_from_slice(addresses);
            tagged.extend_from_slice(&crate::ethernet::VLAN.to_be_bytes());
            tagged.extend_from_slice(&(vid & 0x0fff).to_be_bytes());
            tagged.extend_from_slice(rest);
        }
        _ => tagged.extend_from_slice(frame),
    }
    tagged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ethernet, samples};

    #[test]
    fn push_then_parse() {
        let tagged = push(&samples::TCP_SYN, 0x0123);
        let frame = ethernet::Frame::new_checked(&tagged).unwrap();
        assert_eq!(frame.ether_type(), ethernet::VLAN);
        let tag = Packet::new_checked(frame.payload()).unwrap();
        assert_eq!(tag.vid(), 0x0123);
        assert_eq!(tag.priority(), 0);
        assert_eq!(tag.ether_type(), ethernet::IPV4);
        assert_eq!(tag.payload(), &samples::TCP_SYN[14..]);
    }

    #[test]
    fn too_short() {
        assert!(Packet::new_checked(&[0u8; 3][..]).is_err());
        assert_eq!(push(&[1; 13], 5), vec![1; 13]);
    }
}
