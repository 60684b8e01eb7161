//! Neighbour discovery: solicitations and advertisements, RFC 4861 §4.3, §4.4, §4.6.1.
//!
//! ```text
//! solicitation:  | ICMPv6 type 135, code 0, checksum 4 | reserved 4 | target 16 | options …
//! advertisement: | ICMPv6 type 136, code 0, checksum 4 | R S O 3 bits, reserved | target 16 | options …
//! option:        | type 1 | length in 8 bytes 1 | value … |
//! ```

use std::net::Ipv6Addr;

use crate::{Error, MacAddr, array_at, icmp, ipv6, need, protocol};

mod field {
    pub(super) const FLAGS: usize = 4;
    pub(super) const TARGET: usize = 8;
    pub(super) const OPTIONS: usize = 24;
}

/// Hop limit that proves that a packet comes from the same link.
pub const HOP_LIMIT: u8 = 255;

const OPTION_SOURCE_LINK_LAYER: u8 = 1;
const OPTION_TARGET_LINK_LAYER: u8 = 2;

const FLAG_ROUTER: u8 = 0x80;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;

/// "Who has `target`?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// Who asks; `::` while it checks whether an address is free (RFC 4862 §5.4).
    pub src: Ipv6Addr,
    /// Solicited-node group, or the address that it knows already.
    pub dst: Ipv6Addr,
    /// The address asked for.
    pub target: Ipv6Addr,
    /// MAC of who asks.
    pub source_mac: Option<MacAddr>,
}

/// "I have `target`."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Who says so.
    pub src: Ipv6Addr,
    /// Who asked, or all nodes.
    pub dst: Ipv6Addr,
    /// The address it has.
    pub target: Ipv6Addr,
    /// Its MAC.
    pub target_mac: Option<MacAddr>,
    /// It is a router.
    pub router: bool,
    /// It was asked.
    pub solicited: bool,
    /// What others knew of it before is to be forgotten.
    pub overrides: bool,
}

/// The solicited-node group of an address, RFC 4291 §2.7.1.
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let o = address.octets();
    Ipv6Addr::from([
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, o[13], o[14], o[15],
    ])
}

impl Solicitation {
    /// Reads a solicitation, with all checks of RFC 4861 §7.1.1.
    pub fn parse<T: AsRef<[u8]>>(packet: &ipv6::Packet<T>) -> Result<Solicitation, Error> {
        let message = checked(packet, icmp::v6::NEIGHBOUR_SOLICITATION)?;
        let source_mac = find_mac(message, OPTION_SOURCE_LINK_LAYER)?;
        let (src, dst) = (packet.src(), packet.dst());
        if src.is_unspecified() {
            let to_group = dst.octets()[..13] == solicited_node(dst).octets()[..13];
            if !to_group || source_mac.is_some() {
                return Err(malformed("unspecified source where one is needed"));
            }
        }
        Ok(Solicitation {
            src,
            dst,
            target: target(message),
            source_mac,
        })
    }

    /// The ICMPv6 message with its checksum.
    pub fn emit(&self) -> Vec<u8> {
        let option = self.source_mac.map(|mac| (OPTION_SOURCE_LINK_LAYER, mac));
        let body = body(self.target, option);
        let kind = icmp::v6::NEIGHBOUR_SOLICITATION;
        icmp::message(self.src.into(), self.dst.into(), kind, 0, 0, &body)
    }
}

impl Advertisement {
    /// Reads an advertisement, with all checks of RFC 4861 §7.1.2.
    pub fn parse<T: AsRef<[u8]>>(packet: &ipv6::Packet<T>) -> Result<Advertisement, Error> {
        let message = checked(packet, icmp::v6::NEIGHBOUR_ADVERTISEMENT)?;
        let flags = message[field::FLAGS];
        let solicited = flags & FLAG_SOLICITED != 0;
        if solicited && packet.dst().is_multicast() {
            return Err(malformed("solicited, but to a group"));
        }
        Ok(Advertisement {
            src: packet.src(),
            dst: packet.dst(),
            target: target(message),
            target_mac: find_mac(message, OPTION_TARGET_LINK_LAYER)?,
            router: flags & FLAG_ROUTER != 0,
            solicited,
            overrides: flags & FLAG_OVERRIDE != 0,
        })
    }

    /// The ICMPv6 message with its checksum.
    pub fn emit(&self) -> Vec<u8> {
        let mut flags = 0;
        for (set, flag) in [
            (self.router, FLAG_ROUTER),
            (self.solicited, FLAG_SOLICITED),
            (self.overrides, FLAG_OVERRIDE),
        ] {
            if set {
                flags |= flag;
            }
        }
        let option = self.target_mac.map(|mac| (OPTION_TARGET_LINK_LAYER, mac));
        let body = body(self.target, option);
        let kind = icmp::v6::NEIGHBOUR_ADVERTISEMENT;
        let rest = u32::from(flags) << 24;
        icmp::message(self.src.into(), self.dst.into(), kind, 0, rest, &body)
    }
}

fn malformed(what: &'static str) -> Error {
    Error::Malformed {
        protocol: "neighbour discovery",
        what,
    }
}

/// Checks that both kinds of messages have in common.
fn checked<T: AsRef<[u8]>>(packet: &ipv6::Packet<T>, kind: u8) -> Result<&[u8], Error> {
    let message = packet.payload();
    need("neighbour discovery", message, field::OPTIONS)?;
    let icmp = icmp::Packet::new_checked(message)?;
    if packet.next_header() != protocol::ICMPV6 || icmp.kind() != kind || icmp.code() != 0 {
        return Err(malformed("another type or code"));
    }
    if packet.hop_limit() != HOP_LIMIT {
        return Err(malformed("hop limit is not 255"));
    }
    if !icmp.checksum_is_right(packet.src().into(), packet.dst().into()) {
        return Err(malformed("wrong checksum"));
    }
    if target(message).is_multicast() {
        return Err(malformed("target is a group"));
    }
    Ok(message)
}

fn target(message: &[u8]) -> Ipv6Addr {
    Ipv6Addr::from(array_at::<16>(message, field::TARGET))
}

/// The MAC in the first option of this type. Options of length zero make the whole message
/// invalid; unknown ones are skipped.
fn find_mac(message: &[u8], wanted: u8) -> Result<Option<MacAddr>, Error> {
    let mut found = None;
    let mut options = &message[field::OPTIONS..];
    while !options.is_empty() {
        need("neighbour discovery option", options, 2)?;
        let length = usize::from(options[1]) * 8;
        if length == 0 {
            return Err(malformed("option of length 0"));
        }
        need("neighbour discovery option", options, length)?;
        if options[0] == wanted && found.is_none() {
            found = Some(MacAddr(array_at(options, 2)));
        }
        options = &options[length..];
    }
    Ok(found)
}

fn body(target: Ipv6Addr, option: Option<(u8, MacAddr)>) -> Vec<u8> {
    let mut body = target.octets().to_vec();
    if let Some((kind, mac)) = option {
        body.extend_from_slice(&[kind, 1]);
        body.extend_from_slice(&mac.0);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn sample() -> ipv6::Packet<Vec<u8>> {
        ipv6::Packet::new_checked(samples::ND_SOLICITATION[14..].to_vec()).unwrap()
    }

    #[test]
    fn deconstruct_and_construct_solicitation() {
        let solicitation = Solicitation::parse(&sample()).unwrap();
        let target: Ipv6Addr = "fd00:0:0:1::b".parse().unwrap();
        assert_eq!(
            solicitation,
            Solicitation {
                src: "fd00:0:0:1::a".parse().unwrap(),
                dst: solicited_node(target),
                target,
                source_mac: Some(MacAddr([2, 0, 0, 0, 0, 0x0a])),
            }
        );
        assert_eq!(solicitation.emit(), sample().payload());
    }

    #[test]
    fn advertisement_round_trip() {
        let advertisement = Advertisement {
            src: "fd00::1".parse().unwrap(),
            dst: "fd00::a".parse().unwrap(),
            target: "fd00::1".parse().unwrap(),
            target_mac: Some(MacAddr([2, 0, 0x5e, 0, 0, 1])),
            router: true,
            solicited: true,
            overrides: false,
        };
        let packet = packet(
            advertisement.src,
            advertisement.dst,
            255,
            advertisement.emit(),
        );
        assert_eq!(Advertisement::parse(&packet), Ok(advertisement));
        let to_group = Advertisement {
            dst: "ff02::1".parse().unwrap(),
            ..advertisement
        };
        let packet = self::packet(to_group.src, to_group.dst, 255, to_group.emit());
        assert!(Advertisement::parse(&packet).is_err());
    }

    fn packet(src: Ipv6Addr, dst: Ipv6Addr, hops: u8, message: Vec<u8>) -> ipv6::Packet<Vec<u8>> {
        let mut bytes = Vec::new();
        let repr = ipv6::Repr {
            src,
            dst,
            next_header: protocol::ICMPV6,
            hop_limit: hops,
            payload_len: message.len() as u16,
        };
        ipv6::emit(&mut bytes, &repr);
        bytes.extend_from_slice(&message);
        ipv6::Packet::new_checked(bytes).unwrap()
    }

    /// RFC 4861 §7.1.1, check by check.
    #[test]
    fn invalid_solicitations_are_refused() {
        let good = Solicitation::parse(&sample()).unwrap();
        let parse = |s: &Solicitation, hops| {
            Solicitation::parse(&packet(s.src, s.dst, hops, s.emit())).is_ok()
        };
        assert!(parse(&good, 255));
        assert!(!parse(&good, 254), "from another link");
        let group = Solicitation {
            target: "ff02::1".parse().unwrap(),
            ..good
        };
        assert!(!parse(&group, 255), "target is a group");
        let unspecified = Solicitation {
            src: Ipv6Addr::UNSPECIFIED,
            ..good
        };
        assert!(!parse(&unspecified, 255), "no source, but its MAC");
        let probe = Solicitation {
            source_mac: None,
            ..unspecified
        };
        assert!(parse(&probe, 255), "duplicate address detection");
        let unicast_probe = Solicitation {
            dst: good.target,
            ..probe
        };
        assert!(!parse(&unicast_probe, 255), "no source, not to the group");

        let mut zero_option = good.emit();
        zero_option[25] = 0;
        assert!(Solicitation::parse(&packet(good.src, good.dst, 255, zero_option)).is_err());
        let mut bad_sum = good.emit();
        bad_sum[2] ^= 1;
        assert!(Solicitation::parse(&packet(good.src, good.dst, 255, bad_sum)).is_err());
        let short = good.emit()[..23].to_vec();
        assert!(Solicitation::parse(&packet(good.src, good.dst, 255, short)).is_err());
    }

    #[test]
    fn unknown_options_are_skipped() {
        let good = Solicitation::parse(&sample()).unwrap();
        let mut body = good.target.octets().to_vec();
        body.extend_from_slice(&[14, 1, 9, 9, 9, 9, 9, 9, 1, 1, 2, 0, 0, 0, 0, 0x0a]);
        let message = icmp::message(good.src.into(), good.dst.into(), 135, 0, 0, &body);
        let parsed = Solicitation::parse(&packet(good.src, good.dst, 255, message));
        assert_eq!(parsed, Ok(good));
    }
}
