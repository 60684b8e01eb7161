//! Geneve, RFC 8926 §3.4, and its options, §3.5.
//!
//! ```text
//! | version 2 bits, options length 6 bits | O 1 bit, C 1 bit, reserved 6 bits | protocol type 2 |
//! | VNI 3 | reserved 1 | options … | payload …
//!
//! option: | class 2 | C 1 bit, type 7 bits | reserved 3 bits, length 5 bits | data … |
//! ```
//! Both lengths count words of 4 bytes.

use crate::{Error, ethernet, need, u16_at, u32_at};

mod field {
    pub(super) const VERSION_LENGTH: usize = 0;
    pub(super) const FLAGS: usize = 1;
    pub(super) const PROTOCOL_TYPE: usize = 2;
    pub(super) const VNI: usize = 4;
    pub(super) const OPTIONS: usize = 8;
}

/// Bytes of the header without options.
pub const HEADER_LEN: usize = field::OPTIONS;

/// UDP destination port.
pub const PORT: u16 = 6081;

const FLAG_CONTROL: u8 = 0x80;
const FLAG_CRITICAL: u8 = 0x40;
const OPTION_CRITICAL: u8 = 0x80;
const OPTION_HEADER_LEN: usize = 4;

/// A Geneve packet: the payload of its UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T>(T);

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneveOption<'a> {
    /// Who defines the type.
    pub class: u16,
    /// Type, 7 bits.
    pub kind: u8,
    /// Who does not know it must drop the packet.
    pub critical: bool,
    /// Its data, a multiple of 4 bytes.
    pub data: &'a [u8],
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks version and that header and options are there and fit together.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Error> {
        need("Geneve", bytes.as_ref(), HEADER_LEN)?;
        let malformed = |what| Error::Malformed {
            protocol: "Geneve",
            what,
        };
        if bytes.as_ref()[field::VERSION_LENGTH] >> 6 != 0 {
            return Err(malformed("version is not 0"));
        }
        let packet = Packet(bytes);
        need("Geneve", packet.0.as_ref(), packet.header_len())?;
        let mut options = packet.option_bytes();
        while !options.is_empty() {
            need("Geneve option", options, OPTION_HEADER_LEN)?;
            let length = option_len(options);
            need("Geneve option", options, length)?;
            options = &options[length..];
        }
        Ok(packet)
    }

    /// Bytes of the header with options, 8–260.
    pub fn header_len(&self) -> usize {
        HEADER_LEN + usize::from(self.0.as_ref()[field::VERSION_LENGTH] & 0x3f) * 4
    }

    /// O: a control message.
    pub fn is_control(&self) -> bool {
        self.0.as_ref()[field::FLAGS] & FLAG_CONTROL != 0
    }

    /// C: there are critical options.
    pub fn has_critical_options(&self) -> bool {
        self.0.as_ref()[field::FLAGS] & FLAG_CRITICAL != 0
    }

    /// EtherType of the payload; [`ethernet::TEB`] for Ethernet frames.
    pub fn protocol_type(&self) -> u16 {
        u16_at(self.0.as_ref(), field::PROTOCOL_TYPE)
    }

    /// Number of the virtual network, 24 bits.
    pub fn vni(&self) -> u32 {
        u32_at(self.0.as_ref(), field::VNI) >> 8
    }

    /// The options, in order.
    pub fn options(&self) -> impl Iterator<Item = GeneveOption<'_>> {
        let mut rest = self.option_bytes();
        std::iter::from_fn(move || {
            // `new_checked` has seen that the options fit.
            let (option, behind) = rest.split_at_checked(option_len_checked(rest)?)?;
            rest = behind;
            Some(GeneveOption {
                class: u16_at(option, 0),
                kind: option[2] & !OPTION_CRITICAL,
                critical: option[2] & OPTION_CRITICAL != 0,
                data: &option[OPTION_HEADER_LEN..],
            })
        })
    }

    /// Bytes behind header and options.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[self.header_len()..]
    }

    fn option_bytes(&self) -> &[u8] {
        &self.0.as_ref()[field::OPTIONS..self.header_len()]
    }
}

/// Bytes of the option at the start of `options`.
fn option_len(options: &[u8]) -> usize {
    OPTION_HEADER_LEN + usize::from(options[3] & 0x1f) * 4
}

fn option_len_checked(options: &[u8]) -> Option<usize> {
    (options.len() >= OPTION_HEADER_LEN).then(|| option_len(options))
}

/// Appends a header without options for an Ethernet frame of `vni` (24 bits) to `packet`.
pub fn emit(packet: &mut Vec<u8>, vni: u32) {
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&ethernet::TEB.to_be_bytes());
    packet.extend_from_slice(&(vni << 8).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header with two options, the first critical, and two bytes of payload.
    const WITH_OPTIONS: [u8; 22] = [
        0x03, 0x40, 0x65, 0x58, 0x00, 0x00, 0x64, 0x00, // header, VNI 100
        0x01, 0x02, 0x85, 0x01, 0xaa, 0xbb, 0xcc, 0xdd, // class 0x0102, type 5, one word
        0xff, 0xff, 0x01, 0x00, // no data
        0x02, 0x00,
    ];

    /// R3.2: a header is written as the RFC draws it, and read back.
    #[test]
    fn construct_and_deconstruct() {
        let mut bytes = Vec::new();
        emit(&mut bytes, 0xabcdef);
        assert_eq!(bytes, [0, 0, 0x65, 0x58, 0xab, 0xcd, 0xef, 0]);
        let packet = Packet::new_checked(&bytes).unwrap();
        assert_eq!(packet.vni(), 0xabcdef);
        assert_eq!(packet.protocol_type(), ethernet::TEB);
        assert!(!packet.is_control() && !packet.has_critical_options());
        assert_eq!(packet.options().count(), 0);
        assert!(packet.payload().is_empty());
    }

    /// R3.2: options are found one by one, critical ones marked.
    #[test]
    fn options() {
        let packet = Packet::new_checked(WITH_OPTIONS).unwrap();
        assert_eq!(packet.header_len(), 20);
        assert!(packet.has_critical_options());
        let options: Vec<_> = packet.options().collect();
        let first = GeneveOption {
            class: 0x0102,
            kind: 5,
            critical: true,
            data: &[0xaa, 0xbb, 0xcc, 0xdd],
        };
        assert_eq!(options[0], first);
        assert_eq!((options[1].class, options[1].kind), (0xffff, 1));
        assert_eq!(options.len(), 2);
        assert_eq!(packet.payload(), [2, 0]);
    }

    /// R3.2: headers that cannot be are refused.
    #[test]
    fn bad_headers() {
        let wrong = |at: usize, value: u8| {
            let mut bytes = WITH_OPTIONS;
            bytes[at] = value;
            Packet::new_checked(bytes).is_err()
        };
        assert!(wrong(0, 0x43), "version 1");
        assert!(wrong(0, 0x3f), "options longer than the packet");
        assert!(wrong(11, 0x1f), "option longer than the options");
        for length in 0..20 {
            assert!(Packet::new_checked(&WITH_OPTIONS[..length]).is_err());
        }
    }
}
