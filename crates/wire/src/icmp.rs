//! ICMP (RFC 792) and ICMPv6 (RFC 4443): one header, two sets of types.
//!
//! ```text
//! | type 1 | code 1 | checksum 2 | rest of header 4 | message body …
//! ```
//!
//! The rest of the header is identifier and sequence number in echo messages; the next hop's MTU
//! in "fragmentation needed" (low half, RFC 1191 §4) and "packet too big" (all of it).

use std::net::IpAddr;

use crate::{Error, checksum, need, protocol, u16_at, u32_at};

mod field {
    pub(super) const TYPE: usize = 0;
    pub(super) const CODE: usize = 1;
    pub(super) const CHECKSUM: usize = 2;
    pub(super) const REST: usize = 4;
    pub(super) const BODY: usize = 8;
}

/// Bytes of the header.
pub const HEADER_LEN: usize = field::BODY;

/// Types and codes of ICMP.
pub mod v4 {
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 0;
    /// The packet could not be delivered.
    pub const UNREACHABLE: u8 = 3;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// The TTL ran out.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Code of [`UNREACHABLE`]: no such host.
    pub const CODE_HOST: u8 = 1;
    /// Code of [`UNREACHABLE`]: too big for the next link, and DF is set.
    pub const CODE_FRAGMENTATION_NEEDED: u8 = 4;
    /// Code of [`UNREACHABLE`]: forbidden, RFC 1812 §5.2.7.1.
    pub const CODE_PROHIBITED: u8 = 13;
}

/// Types and codes of ICMPv6.
pub mod v6 {
    /// The packet could not be delivered.
    pub const UNREACHABLE: u8 = 1;
    /// Too big for the next link.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// The hop limit ran out.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation, the first of the neighbour discovery types.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Neighbour solicitation.
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Redirect, the last of the neighbour discovery types; an error in RFC 4443's sense of
    /// "never answered".
    pub const REDIRECT: u8 = 137;
    /// Code of [`UNREACHABLE`]: forbidden.
    pub const CODE_PROHIBITED: u8 = 1;
    /// Code of [`UNREACHABLE`]: no such host.
    pub const CODE_ADDRESS: u8 = 3;
}

/// True for ICMP types that report an error: unreachable, source quench, redirect, time
/// exceeded, parameter problem (RFC 1122 §3.2.2).
pub fn is_v4_error(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 5 | 11 | 12)
}

/// True for ICMPv6 types that report an error: those below 128 (RFC 4443 §2.1).
pub fn is_v6_error(kind: u8) -> bool {
    kind < 128 && kind != 0
}

/// An ICMP or ICMPv6 message.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks that the header is there.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        need("ICMP", bytes.as_ref(), HEADER_LEN)?;
        Ok(Packet(bytes))
    }

    /// Type.
    pub fn kind(&self) -> u8 {
        self.0.as_ref()[field::TYPE]
    }

    /// Code, whose meaning depends on the type.
    pub fn code(&self) -> u8 {
        self.0.as_ref()[field::CODE]
    }

    /// Checksum field.
    pub fn checksum(&self) -> u16 {
        u16_at(self.0.as_ref(), field::CHECKSUM)
    }

    /// Identifier of echo messages.
    pub fn identifier(&self) -> u16 {
        u16_at(self.0.as_ref(), field::REST)
    }

    /// Sequence number of echo messages.
    pub fn sequence(&self) -> u16 {
        u16_at(self.0.as_ref(), field::REST + 2)
    }

    /// The four bytes behind the checksum.
    pub fn rest(&self) -> u32 {
        u32_at(self.0.as_ref(), field::REST)
    }

    /// Bytes behind the header: echo data, or the packet that an error is about.
    pub fn body(&self) -> &[u8] {
        &self.0.as_ref()[field::BODY..]
    }

    /// True when the checksum is right; ICMPv6 sums the pseudo-header too.
    pub fn checksum_is_right(&self, src: IpAddr, dst: IpAddr) -> bool {
        let bytes = self.0.as_ref();
        match src {
            IpAddr::V4(_) => checksum::of(bytes) == 0,
            IpAddr::V6(_) => checksum::transport(src, dst, protocol::ICMPV6, bytes) == 0,
        }
    }
}

/// A whole message with a right checksum. `src` and `dst` are those of the IP header that will
/// be in front of it; they also say which of the two protocols it is.
pub fn message(src: IpAddr, dst: IpAddr, kind: u8, code: u8, rest: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
    bytes.extend_from_slice(&[kind, code, 0, 0]);
    bytes.extend_from_slice(&rest.to_be_bytes());
    bytes.extend_from_slice(body);
    let sum = match src {
        IpAddr::V4(_) => checksum::of(&bytes),
        IpAddr::V6(_) => checksum::transport(src, dst, protocol::ICMPV6, &bytes),
    };
    bytes[field::CHECKSUM..field::REST].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ipv4, ipv6, samples};

    #[test]
    fn deconstruct_v4() {
        let ip = ipv4::Packet::new_checked(&samples::ICMP_ECHO[14..]).unwrap();
        let icmp = Packet::new_checked(ip.payload()).unwrap();
        assert_eq!((icmp.kind(), icmp.code()), (v4::ECHO_REQUEST, 0));
        assert_eq!((icmp.identifier(), icmp.sequence()), (0x4d2, 1));
        assert_eq!(icmp.body().len(), 8);
        assert!(icmp.checksum_is_right(ip.src().into(), ip.dst().into()));
    }

    #[test]
    fn deconstruct_v6() {
        let ip = ipv6::Packet::new_checked(&samples::ICMPV6_ECHO[14..]).unwrap();
        let icmp = Packet::new_checked(ip.payload()).unwrap();
        assert_eq!((icmp.kind(), icmp.code()), (v6::ECHO_REQUEST, 0));
        assert_eq!(icmp.identifier(), 0x77);
        assert!(icmp.checksum_is_right(ip.src().into(), ip.dst().into()));
    }

    #[test]
    fn construct_repeats_the_sample() {
        let ip = ipv6::Packet::new_checked(&samples::ICMPV6_ECHO[14..]).unwrap();
        let icmp = Packet::new_checked(ip.payload()).unwrap();
        let made = message(
            ip.src().into(),
            ip.dst().into(),
            icmp.kind(),
            icmp.code(),
            icmp.rest(),
            icmp.body(),
        );
        assert_eq!(made, ip.payload());
    }

    #[test]
    fn errors_and_questions() {
        for kind in [3, 4, 5, 11, 12] {
            assert!(is_v4_error(kind));
        }
        for kind in [0, 8, 13, 14] {
            assert!(!is_v4_error(kind));
        }
        for kind in [1, 2, 3, 4, 127] {
            assert!(is_v6_error(kind));
        }
        for kind in [0, 128, 129, 133, 137] {
            assert!(!is_v6_error(kind));
        }
    }
}
