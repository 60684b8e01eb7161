// Encapsulation: VXLAN (RFC 7348) or Geneve (RFC 8926) over IPv4 in front of the frame. Addresses
// and MACs of the underlay come from the next stage.

control Encapsulation(inout headers_t hdr, inout metadata_t meta) {
    bit<16> entropy = 0;

    // Both tunnel headers are 8 bytes: one outer length serves both.
    action add_outer_headers(bit<16> udp_port, bit<6> dscp) {
        hdr.underlay_ethernet.setValid();
        hdr.underlay_ethernet.ether_type = ETHERTYPE_IPV4;

        hdr.underlay_ipv4.setValid();
        hdr.underlay_ipv4.version = 4;
        hdr.underlay_ipv4.ihl = 5;
        hdr.underlay_ipv4.dscp = dscp;
        hdr.underlay_ipv4.ecn = 0;                 // RFC 6040 §4.1, compatibility mode
        hdr.underlay_ipv4.total_length = meta.frame_length + 36;
        hdr.underlay_ipv4.identification = 0;      // atomic datagram, RFC 6864 §4.1
        hdr.underlay_ipv4.reserved = 0;
        hdr.underlay_ipv4.dont_fragment = 1;
        hdr.underlay_ipv4.more_fragments = 0;
        hdr.underlay_ipv4.fragment_offset = 0;
        hdr.underlay_ipv4.ttl = 64;
        hdr.underlay_ipv4.protocol = IPPROTO_UDP;
        hdr.underlay_ipv4.dst = meta.remote_vtep;

        hdr.underlay_udp.setValid();
        hdr.underlay_udp.src_port = entropy;
        hdr.underlay_udp.dst_port = udp_port;
        hdr.underlay_udp.length = meta.frame_length + 16;
        hdr.underlay_udp.checksum = 0;
    }

    action add_vxlan() {
        hdr.vxlan.setValid();
        hdr.vxlan.flags = 0x08;
        hdr.vxlan.reserved = 0;
        hdr.vxlan.vni = meta.vni;
        hdr.vxlan.reserved2 = 0;
    }

    action add_geneve() {
        hdr.geneve.setValid();
        hdr.geneve.version = 0;
        hdr.geneve.options_length = 0;
        hdr.geneve.control_packet = 0;
        hdr.geneve.critical = 0;
        hdr.geneve.reserved = 0;
        hdr.geneve.protocol_type = ETHERTYPE_TEB;
        hdr.geneve.vni = meta.vni;
        hdr.geneve.reserved2 = 0;
    }

    apply {
        if (meta.egress_tunnel != TunnelKind.NONE) {
            // Source port 49152–65535 by inner flow, so that the underlay's ECMP spreads flows.
            bit<6> dscp;
            if (hdr.ipv4.isValid()) {
                dscp = hdr.ipv4.dscp;
                hash(entropy, HashAlgorithm.crc16, 16w49152,
                     { hdr.ipv4.src, hdr.ipv4.dst, meta.protocol, meta.src_port, meta.dst_port },
                     16w16384);
            } else {
                dscp = hdr.ipv6.dscp;
                hash(entropy, HashAlgorithm.crc16, 16w49152,
                     { hdr.ipv6.src, hdr.ipv6.dst, meta.protocol, meta.src_port, meta.dst_port },
                     16w16384);
            }
            if (meta.egress_tunnel == TunnelKind.VXLAN) {
                add_outer_headers(UDP_PORT_VXLAN, dscp);
                add_vxlan();
            } else {
                add_outer_headers(UDP_PORT_GENEVE, dscp);
                add_geneve();
            }
        }
    }
}
