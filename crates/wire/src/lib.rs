//! Packet formats: checked views of bytes and parsed values, one file for each protocol.
//!
//! - A view (`ipv4::Packet<T>`) proves by its type that its accessors cannot run out of bytes.
//!   `new_checked` is the only way to get one, so malformed input is refused in one place.
//! - A parsed value (`arp::Repr`) is plain data and can be written back.
//! - [`flow`] tells which flow a frame belongs to, in exactly the sense of the P4 program.
//! - [`answer`] makes the packets that the network sends by itself: ARP and neighbour discovery
//!   answers, echo replies of gateways, ICMP errors.
//!
//! Nothing here does I/O, allocates more than the packet that it returns, or panics on any input.

pub mod answer;
pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod flow;
pub mod geneve;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
mod mac;
pub mod nd;
pub mod tcp;
pub mod udp;
pub mod vlan;
pub mod vxlan;

#[cfg(test)]
mod samples;

pub use mac::{MacAddr, ParseMacError};

/// Numbers of IP protocols, as IANA assigns them.
pub mod protocol {
    /// ICMP for IPv4, RFC 792.
    pub const ICMP: u8 = 1;
    /// TCP, RFC 9293.
    pub const TCP: u8 = 6;
    /// UDP, RFC 768.
    pub const UDP: u8 = 17;
    /// IPv6 fragment header, RFC 8200 §4.5.
    pub const IPV6_FRAGMENT: u8 = 44;
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: u8 = 58;
}

/// A packet is not what its type requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Fewer bytes than the header, or than a length field in it says.
    #[error("truncated {protocol}: {have} bytes, {need} needed")]
    Truncated {
        /// Protocol whose header does not fit.
        protocol: &'static str,
        /// Bytes that it needs.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// A field has a value that its protocol does not allow.
    #[error("malformed {protocol}: {what}")]
    Malformed {
        /// Protocol whose header is wrong.
        protocol: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Checks that `bytes` has at least `need` bytes of `protocol`.
fn need(protocol: &'static str, bytes: &[u8], need: usize) -> Result<(), Error> {
    if bytes.len() < need {
        return Err(Error::Truncated {
            protocol,
            need,
            have: bytes.len(),
        });
    }
    Ok(())
}

/// Big-endian 16-bit field; the caller's type proves that it is there.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Big-endian 32-bit field; the caller's type proves that it is there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fixed-size field; the caller's type proves that it is there.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
