// Packet headers and the metadata that stages hand to each other.
//
//   from a VF:      ethernet [vlan] ipv4|ipv6|arp …
//   on the uplink:  underlay_ethernet underlay_ipv4 underlay_udp vxlan|geneve, then the same

header ethernet_h {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header vlan_h {
    bit<3>  pcp;
    bit<1>  dei;
    bit<12> vid;
    bit<16> ether_type;
}

header ipv4_h {
    bit<4>  version;
    bit<4>  ihl;
    bit<6>  dscp;
    bit<2>  ecn;
    bit<16> total_length;
    bit<16> identification;
    bit<1>  reserved;
    bit<1>  dont_fragment;
    bit<1>  more_fragments;
    bit<13> fragment_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

header ipv4_options_h {
    varbit<320> options;
}

header ipv6_h {
    bit<4>   version;
    bit<6>   dscp;
    bit<2>   ecn;
    bit<20>  flow_label;
    bit<16>  payload_length;
    bit<8>   next_header;
    bit<8>   hop_limit;
    bit<128> src;
    bit<128> dst;
}

header ipv6_fragment_h {
    bit<8>  next_header;
    bit<8>  reserved;
    bit<13> offset;
    bit<2>  reserved2;
    bit<1>  more;
    bit<32> identification;
}

// ARP for IPv4 over Ethernet, RFC 826.
header arp_h {
    bit<16> hardware_type;
    bit<16> protocol_type;
    bit<8>  hardware_length;
    bit<8>  protocol_length;
    bit<16> operation;
    bit<48> sender_mac;
    bit<32> sender_ip;
    bit<48> target_mac;
    bit<32> target_ip;
}

header tcp_h {
    bit<16> src_port;
    bit<16> dst_port;
    bit<32> sequence;
    bit<32> acknowledgement;
    bit<4>  data_offset;
    bit<4>  reserved;
    bit<8>  flags;
    bit<16> window;
    bit<16> checksum;
    bit<16> urgent;
}

header udp_h {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

// ICMP and ICMPv6; `identifier` has a meaning in echo messages only.
header icmp_h {
    bit<8>  type;
    bit<8>  code;
    bit<16> checksum;
    bit<16> identifier;
    bit<16> sequence;
}

// RFC 7348 §5. The I flag says that the VNI is valid.
header vxlan_h {
    bit<8>  flags;
    bit<24> reserved;
    bit<24> vni;
    bit<8>  reserved2;
}

// RFC 8926 §3.4. `options_length` counts 4-byte words.
header geneve_h {
    bit<2>  version;
    bit<6>  options_length;
    bit<1>  control_packet;
    bit<1>  critical;
    bit<6>  reserved;
    bit<16> protocol_type;
    bit<24> vni;
    bit<8>  reserved2;
}

header geneve_options_h {
    varbit<2016> options;
}

// In front of every packet that goes to the host. The packet follows as the virtual network
// sees it: a tunnel's headers are taken off, what they said is here.
@controller_header("packet_in")
header punt_h {
    PuntReason reason;
    TunnelKind tunnel;          // NONE: from a VF
    bit<16>    ingress_port;
    bit<24>    vni;
    bit<8>     stale_vn;        // parts of the VN that an entry was behind in, one bit each
    bit<8>     stale_vnic;      // parts of the VNIC, likewise
    bit<16>    vlan;            // VLAN that was taken off, 0: untagged
    bit<32>    tunnel_src;      // who sent it through the tunnel
}

// In front of every packet that the host sends by itself.
@controller_header("packet_out")
header inject_h {
    bit<16> egress_port;
}

struct headers_t {
    punt_h           punt;
    inject_h         inject;
    ethernet_h       underlay_ethernet;
    ipv4_h           underlay_ipv4;
    udp_h            underlay_udp;
    vxlan_h          vxlan;
    geneve_h         geneve;
    geneve_options_h geneve_options;
    ethernet_h       ethernet;
    vlan_h           vlan;
    arp_h            arp;
    ipv4_h           ipv4;
    ipv4_options_h   ipv4_options;
    ipv6_h           ipv6;
    ipv6_fragment_h  ipv6_fragment;
    tcp_h            tcp;
    udp_h            udp;
    icmp_h           icmp;
}

// One version of each part of a configuration: order as in the version registers.
struct versions_t {
    bit<32> security;
    bit<32> mapping;
    bit<32> route;
    bit<32> policy;
    bit<32> lb;
}

struct metadata_t {
    // The packet.
    bit<16>    ingress_port;
    bit<16>    frame_length;    // bytes of the virtual network's Ethernet frame
    bool       malformed;
    bool       bad_checksum;
    bool       stacked_vlan;
    bool       fragment;
    bit<16>    src_port;        // TCP, UDP; ICMP: type and code
    bit<16>    dst_port;        // TCP, UDP; ICMP echo: identifier
    bit<8>     protocol;

    // Where it is.
    PortKind   port_kind;
    bit<24>    vni;
    bit<16>    vlan;
    TunnelKind ingress_tunnel;
    bit<32>    attach;          // flow key: VF port, or tunnel source address
    bit<1>     direction;
    bit<16>    mtu;             // largest IP packet of this VNIC, bytes

    // What the flow entry says.
    bool       hit;
    bit<12>    vn_slot;
    bit<12>    vnic_slot;
    versions_t vn_versions;
    versions_t vnic_versions;
    bit<8>     stale_vn;
    bit<8>     stale_vnic;
    bool       routed;          // rewrite MACs, decrement TTL
    bit<48>    src_mac;
    bit<48>    dst_mac;
    bit<16>    egress_vlan;
    TunnelKind egress_tunnel;
    bit<32>    remote_vtep;

    // What becomes of it.
    DropReason drop_reason;
    PuntReason punt_reason;
    bit<16>    egress_port;
}
