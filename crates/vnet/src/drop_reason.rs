//! Why a packet is not forwarded: names and numbers of `p4/drop_reasons.p4`.

use std::fmt;

macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// Reason for a drop, the same in the pipeline, the agent and the service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant = $number,)*
        }

        impl DropReason {
            /// All of them, by number.
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)*];

            /// Its name in P4Info, e.g. `SECURITY_INGRESS`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(DropReason::$variant => $name,)*
                }
            }
        }
    };
}

drop_reasons! {
    /// Out of bytes in a header, or an impossible header.
    Malformed = 1 "MALFORMED",
    /// A length field says more than the frame holds.
    BadLength = 2 "BAD_LENGTH",
    /// Wrong IPv4 header checksum.
    BadChecksum = 3 "BAD_CHECKSUM",
    /// Neither IP nor ARP.
    UnknownEthertype = 4 "UNKNOWN_ETHERTYPE",
    /// More than one VLAN tag.
    StackedVlan = 5 "STACKED_VLAN",
    /// To a group address.
    Multicast = 6 "MULTICAST",
    /// The port has no role.
    UnknownPort = 8 "UNKNOWN_PORT",
    /// No VNIC on this VF and VLAN.
    VlanNotAllowed = 9 "VLAN_NOT_ALLOWED",
    /// The source MAC is not the VNIC's.
    SpoofedMac = 10 "SPOOFED_MAC",
    /// The source address is not the VNIC's.
    SpoofedIp = 11 "SPOOFED_IP",
    /// An underlay packet that is no tunnel packet.
    NotATunnel = 12 "NOT_A_TUNNEL",
    /// A tunnel packet to somebody else.
    NotOurTunnel = 13 "NOT_OUR_TUNNEL",
    /// A tunnel header that must not be accepted.
    BadTunnelHeader = 14 "BAD_TUNNEL_HEADER",
    /// ARP, ND or VLAN inside a tunnel.
    UnexpectedInTunnel = 15 "UNEXPECTED_IN_TUNNEL",
    /// The TTL ran out.
    TtlExpired = 20 "TTL_EXPIRED",
    /// Larger than the MTU.
    TooBig = 21 "TOO_BIG",
    /// No way to the tunnel's end.
    NoUnderlayRoute = 22 "NO_UNDERLAY_ROUTE",
    /// No rule of the sender's VNIC allows it.
    SecurityEgress = 32 "SECURITY_EGRESS",
    /// No rule of the receiver's VNIC allows it.
    SecurityIngress = 33 "SECURITY_INGRESS",
    /// The destination is in no subnet.
    NoRoute = 34 "NO_ROUTE",
    /// The destination is in a subnet, but no VNIC has it.
    NoMapping = 35 "NO_MAPPING",
    /// The virtual network does not exist.
    NoNetwork = 36 "NO_NETWORK",
    /// The agent's punt queue is full.
    PuntQueueFull = 48 "PUNT_QUEUE_FULL",
    /// No answer from the service in time.
    ServiceTimeout = 49 "SERVICE_TIMEOUT",
    /// ARP or ND that needs no answer.
    Absorbed = 50 "ABSORBED",
    /// A later fragment whose first one was never seen.
    FragmentOrphan = 51 "FRAGMENT_ORPHAN",
}

impl DropReason {
    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<DropReason> {
        DropReason::ALL.iter().copied().find(|r| r.name() == name)
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The enumeration of the P4 program, as far as this one is concerned: every name and number.
    #[test]
    fn numbers_are_the_p4_programs() {
        let source = include_str!("../../../p4/drop_reasons.p4");
        let mut found = 0;
        for line in source.lines() {
            let Some((name, rest)) = line.split_once('=') else {
                continue;
            };
            let digits: String = rest
                .trim()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let number: u8 = digits.parse().unwrap();
            if number == 0 {
                continue;
            }
            let reason = DropReason::from_name(name.trim());
            assert_eq!(reason.map(|r| r as u8), Some(number), "{}", name.trim());
            found += 1;
        }
        assert_eq!(found, DropReason::ALL.len());
    }
}
