// Port numbers and protocol numbers. Ports are queues of functions as well as wires, so that
// steering is visible on every target. Numbers are never reused.

// Ports 0–15 are uplinks, 16–271 are VFs (VF n is port 16 + n), 510 is the host CPU.
const bit<9>  UPLINK_PORTS      = 9w0x000;
const bit<9>  UPLINK_PORTS_MASK = 9w0x1f0;
const bit<9>  CPU_PORT          = 510;
const bit<16> NO_PORT           = 0xffff;

const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<16> ETHERTYPE_ARP  = 0x0806;
const bit<16> ETHERTYPE_VLAN = 0x8100;   // IEEE 802.1Q C-tag
const bit<16> ETHERTYPE_QINQ = 0x88a8;   // IEEE 802.1ad S-tag
const bit<16> ETHERTYPE_IPV6 = 0x86dd;
const bit<16> ETHERTYPE_TEB  = 0x6558;   // Transparent Ethernet Bridging, Geneve's payload

const bit<8> IPPROTO_ICMP     = 1;
const bit<8> IPPROTO_TCP      = 6;
const bit<8> IPPROTO_UDP      = 17;
const bit<8> IPPROTO_FRAGMENT = 44;      // RFC 8200 §4.5
const bit<8> IPPROTO_ICMPV6   = 58;

const bit<16> UDP_PORT_VXLAN  = 4789;    // RFC 7348 §5
const bit<16> UDP_PORT_GENEVE = 6081;    // RFC 8926 §3.3

// What a port is (port_map).
enum bit<8> PortKind {
    NONE   = 0,
    UPLINK = 1,
    VF     = 2
}

// Tunnel formats.
enum bit<8> TunnelKind {
    NONE   = 0,
    VXLAN  = 1,
    GENEVE = 2
}

// Why a packet went to the host. The agent answers by this number.
enum bit<8> PuntReason {
    NONE        = 0,
    MISS        = 1,   // no flow entry
    STALE       = 2,   // a flow entry, but made from older versions than the registers hold
    ARP         = 3,   // the service answers for the virtual network
    ND          = 4,   // IPv6 neighbour discovery, likewise
    FRAGMENT    = 5,   // an IP fragment: ports are not in every one
    TOO_BIG     = 6,   // dropped, the agent sends ICMP "fragmentation needed" / "packet too big"
    TTL_EXPIRED = 7    // dropped, the agent sends ICMP "time exceeded"
}

// Direction of a flow as this NIC sees it.
const bit<1> OUTBOUND = 0;   // from a VF
const bit<1> INBOUND  = 1;   // from a tunnel
