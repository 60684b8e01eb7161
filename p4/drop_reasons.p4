// Every packet that the NIC does not forward is counted under one of these. Numbers are never
// reused; the names reach users unchanged through P4Info.

enum bit<8> DropReason {
    NONE                = 0,

    // What is wrong with the packet.
    MALFORMED           = 1,    // the parser ran out of bytes or met an impossible header
    BAD_LENGTH          = 2,    // a length field says more than the frame holds
    BAD_CHECKSUM        = 3,    // IPv4 header checksum
    UNKNOWN_ETHERTYPE   = 4,
    STACKED_VLAN        = 5,
    MULTICAST           = 6,    // multicast and broadcast are not carried, ARP and ND excepted

    // Where it came in.
    UNKNOWN_PORT        = 8,    // the port has no role
    VLAN_NOT_ALLOWED    = 9,    // no VNIC on this VF and VLAN
    SPOOFED_MAC         = 10,
    SPOOFED_IP          = 11,
    NOT_A_TUNNEL        = 12,   // underlay packet that is no VXLAN or Geneve
    NOT_OUR_TUNNEL      = 13,   // tunnel packet to an address that is not ours
    BAD_TUNNEL_HEADER   = 14,   // flags, version or critical options that we must not accept
    UNEXPECTED_IN_TUNNEL = 15,  // ARP, ND or VLAN inside a tunnel

    // What the flow entry or the path said.
    TTL_EXPIRED         = 20,
    TOO_BIG             = 21,
    NO_UNDERLAY_ROUTE   = 22,

    // What the network interface service said; these come in entries with the action `deny`.
    SECURITY_EGRESS     = 32,   // no rule of the sender's VNIC allows it
    SECURITY_INGRESS    = 33,   // no rule of the receiver's VNIC allows it
    NO_ROUTE            = 34,   // the destination is in no subnet
    NO_MAPPING          = 35,   // the destination is in a subnet, but no VNIC has it
    NO_NETWORK          = 36,   // the virtual network does not exist

    // What the host did with a punted packet; the pipeline never counts these.
    PUNT_QUEUE_FULL     = 48,   // the service is slow or away, and the queue has its bound
    SERVICE_TIMEOUT     = 49,   // no answer within the deadline
    ABSORBED            = 50,   // ARP and ND that need no answer
    FRAGMENT_ORPHAN     = 51    // a later fragment whose first one was never seen
}
