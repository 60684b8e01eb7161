// From bytes to headers, and back. Which headers may come depends on the port alone: a VM's own
// VXLAN packets are payload to us.

error {
    BadIpv4Header,
    BadIpv6Header,
    BadTcpHeader,
    BadGeneveHeader
}

parser PacketParser(packet_in packet,
                    out headers_t hdr,
                    inout metadata_t meta,
                    inout standard_metadata_t std) {
    state start {
        transition select(std.ingress_port) {
            CPU_PORT: parse_inject;
            UPLINK_PORTS &&& UPLINK_PORTS_MASK: parse_underlay;
            default: parse_ethernet;
        }
    }

    state parse_inject {
        packet.extract(hdr.inject);
        transition accept;
    }

    state parse_underlay {
        packet.extract(hdr.underlay_ethernet);
        transition select(hdr.underlay_ethernet.ether_type) {
            ETHERTYPE_IPV4: parse_underlay_ipv4;
            default: accept;
        }
    }

    // Options and fragments are not part of any tunnel of ours: they end here.
    state parse_underlay_ipv4 {
        packet.extract(hdr.underlay_ipv4);
        transition select(hdr.underlay_ipv4.version, hdr.underlay_ipv4.ihl,
                          hdr.underlay_ipv4.more_fragments, hdr.underlay_ipv4.fragment_offset,
                          hdr.underlay_ipv4.protocol) {
            (4, 5, 0, 0, IPPROTO_UDP): parse_underlay_udp;
            default: accept;
        }
    }

    state parse_underlay_udp {
        packet.extract(hdr.underlay_udp);
        transition select(hdr.underlay_udp.dst_port) {
            UDP_PORT_VXLAN: parse_vxlan;
            UDP_PORT_GENEVE: parse_geneve;
            default: accept;
        }
    }

    state parse_vxlan {
        packet.extract(hdr.vxlan);
        transition parse_ethernet;
    }

    state parse_geneve {
        packet.extract(hdr.geneve);
        verify(hdr.geneve.version == 0, error.BadGeneveHeader);
        verify(hdr.geneve.protocol_type == ETHERTYPE_TEB, error.BadGeneveHeader);
        transition select(hdr.geneve.options_length) {
            0: parse_ethernet;
            default: parse_geneve_options;
        }
    }

    state parse_geneve_options {
        packet.extract(hdr.geneve_options, (bit<32>)hdr.geneve.options_length << 5);
        transition parse_ethernet;
    }

    state parse_ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_VLAN: parse_vlan;
            ETHERTYPE_QINQ: parse_vlan;
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_ARP: parse_arp;
            default: accept;
        }
    }

    state parse_vlan {
        packet.extract(hdr.vlan);
        transition select(hdr.vlan.ether_type) {
            ETHERTYPE_VLAN: stacked_vlan;
            ETHERTYPE_QINQ: stacked_vlan;
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            ETHERTYPE_ARP: parse_arp;
            default: accept;
        }
    }

    state stacked_vlan {
        meta.stacked_vlan = true;
        transition accept;
    }

    state parse_arp {
        packet.extract(hdr.arp);
        transition accept;
    }

    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.version == 4, error.BadIpv4Header);
        verify(hdr.ipv4.ihl >= 5, error.BadIpv4Header);
        transition select(hdr.ipv4.ihl) {
            5: parse_ipv4_payload;
            default: parse_ipv4_options;
        }
    }

    state parse_ipv4_options {
        packet.extract(hdr.ipv4_options, ((bit<32>)hdr.ipv4.ihl - 5) << 5);
        transition parse_ipv4_payload;
    }

    state parse_ipv4_payload {
        meta.protocol = hdr.ipv4.protocol;
        transition select(hdr.ipv4.fragment_offset, hdr.ipv4.more_fragments, hdr.ipv4.protocol) {
            (0, 0, IPPROTO_TCP): parse_tcp;
            (0, 0, IPPROTO_UDP): parse_udp;
            (0, 0, IPPROTO_ICMP): parse_icmp;
            (0, 0, _): accept;
            default: fragment;
        }
    }

    state parse_ipv6 {
        packet.extract(hdr.ipv6);
        verify(hdr.ipv6.version == 6, error.BadIpv6Header);
        meta.protocol = hdr.ipv6.next_header;
        transition select(hdr.ipv6.next_header) {
            IPPROTO_TCP: parse_tcp;
            IPPROTO_UDP: parse_udp;
            IPPROTO_ICMPV6: parse_icmp;
            IPPROTO_FRAGMENT: parse_ipv6_fragment;
            default: accept;
        }
    }

    state parse_ipv6_fragment {
        packet.extract(hdr.ipv6_fragment);
        meta.protocol = hdr.ipv6_fragment.next_header;
        transition fragment;
    }

    state fragment {
        meta.fragment = true;
        transition accept;
    }

    state parse_tcp {
        packet.extract(hdr.tcp);
        verify(hdr.tcp.data_offset >= 5, error.BadTcpHeader);
        meta.src_port = hdr.tcp.src_port;
        meta.dst_port = hdr.tcp.dst_port;
        transition accept;
    }

    state parse_udp {
        packet.extract(hdr.udp);
        meta.src_port = hdr.udp.src_port;
        meta.dst_port = hdr.udp.dst_port;
        transition accept;
    }

    // Echo messages of one identifier are a flow; others are told apart by type and code only.
    state parse_icmp {
        packet.extract(hdr.icmp);
        meta.src_port = hdr.icmp.type ++ hdr.icmp.code;
        transition select(hdr.icmp.type) {
            0: parse_icmp_echo;      // ICMP echo reply
            8: parse_icmp_echo;      // ICMP echo request
            128: parse_icmp_echo;    // ICMPv6 echo request
            129: parse_icmp_echo;    // ICMPv6 echo reply
            default: accept;
        }
    }

    state parse_icmp_echo {
        meta.dst_port = hdr.icmp.identifier;
        transition accept;
    }
}

control PacketDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.punt);
        packet.emit(hdr.underlay_ethernet);
        packet.emit(hdr.underlay_ipv4);
        packet.emit(hdr.underlay_udp);
        packet.emit(hdr.vxlan);
        packet.emit(hdr.geneve);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.arp);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.ipv4_options);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.ipv6_fragment);
        packet.emit(hdr.tcp);
        packet.emit(hdr.udp);
        packet.emit(hdr.icmp);
    }
}
