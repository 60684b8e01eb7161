//! Address prefixes (CIDR blocks).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 prefix. All bits behind the prefix length are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Text is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixError {
    /// No `/`.
    #[error("a prefix is an address, a slash and a length, e.g. 10.0.0.0/24 or fd00::/64")]
    NoLength,
    /// The part in front of the slash is no IP address.
    #[error("no IP address in front of the slash")]
    BadAddress,
    /// The part behind the slash is no number, or too large.
    #[error("the length behind the slash must be a number from 0 to {0}")]
    BadLength(u8),
    /// Bits behind the length are set; the proper prefix is in it.
    #[error("bits behind the prefix length are set; did you mean {0}?")]
    HostBits(Prefix),
}

/// Addresses as numbers, IPv4 ones in the low 32 bits.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Prefix {
    /// The prefix of `length` bits that `address` is in; a length beyond the address's is cut.
    pub fn containing(address: IpAddr, length: u8) -> Prefix {
        let (address, length) = match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                (Ipv4Addr::from_bits(v4.to_bits() & mask).into(), length)
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                (Ipv6Addr::from_bits(v6.to_bits() & mask).into(), length)
            }
        };
        Prefix { address, length }
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        self.address
    }

    /// Its last address.
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() | host).into()
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() | host).into()
            }
        }
    }

    /// Bits that addresses in it have in common.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// True when `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Prefix::containing(address, self.length) == *self
    }

    /// True when some address is in both.
    pub fn overlaps(&self, other: &Prefix) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Prefix, ParsePrefixError> {
        let (address, length) = text.split_once('/').ok_or(ParsePrefixError::NoLength)?;
        let address: IpAddr = address.parse().map_err(|_| ParsePrefixError::BadAddress)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        let length: u8 = length
            .parse()
            .ok()
            .filter(|&length| digits && length <= longest)
            .ok_or(ParsePrefixError::BadLength(longest))?;
        let prefix = Prefix::containing(address, length);
        if prefix.address != address {
            return Err(ParsePrefixError::HostBits(prefix));
        }
        Ok(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn text_round_trip() {
        for text in [
            "10.0.0.0/24",
            "0.0.0.0/0",
            "10.1.2.3/32",
            "fd00:0:0:1::/64",
            "::/0",
        ] {
            assert_eq!(prefix(text).to_string(), text);
        }
    }

    #[test]
    fn bad_text_says_what_is_wrong() {
        let error = |text: &str| text.parse::<Prefix>().unwrap_err();
        assert_eq!(error("10.0.0.0"), ParsePrefixError::NoLength);
        assert_eq!(error("10.0.0/24"), ParsePrefixError::BadAddress);
        assert_eq!(error("10.0.0.0/33"), ParsePrefixError::BadLength(32));
        assert_eq!(error("10.0.0.0/+8"), ParsePrefixError::BadLength(32));
        assert_eq!(error("fd00::/129"), ParsePrefixError::BadLength(128));
        assert_eq!(
            error("10.0.0.1/24"),
            ParsePrefixError::HostBits(prefix("10.0.0.0/24"))
        );
    }

    #[test]
    fn bounds() {
        assert_eq!(prefix("10.0.0.0/24").last().to_string(), "10.0.0.255");
        assert_eq!(prefix("0.0.0.0/0").last().to_string(), "255.255.255.255");
        assert_eq!(prefix("10.0.0.7/32").last().to_string(), "10.0.0.7");
        assert_eq!(prefix("fd00::/127").last().to_string(), "fd00::1");
    }

    #[test]
    fn contains_and_overlaps() {
        let net = prefix("10.0.0.0/24");
        assert!(net.contains("10.0.0.255".parse().unwrap()));
        assert!(!net.contains("10.0.1.0".parse().unwrap()));
        assert!(!net.contains("::10.0.0.1".parse().unwrap()));
        assert!(prefix("::/0").contains("fd00::1".parse().unwrap()));
        assert!(!prefix("0.0.0.0/0").contains("fd00::1".parse().unwrap()));
        assert!(net.overlaps(&prefix("10.0.0.128/25")));
        assert!(prefix("10.0.0.128/25").overlaps(&net));
        assert!(!net.overlaps(&prefix("10.0.1.0/24")));
    }
}
