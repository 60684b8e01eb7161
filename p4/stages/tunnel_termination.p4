// Tunnel termination: packets from the uplink that are addressed to this NIC's tunnel end lose
// their outer headers; what those said stays in metadata. Everything else that arrives on an
// uplink is dropped: the host's own traffic does not pass through this pipeline.

control TunnelTermination(inout headers_t hdr, inout metadata_t meta) {
    table tunnel_termination {
        key = { hdr.underlay_ipv4.dst: exact; }
        actions = { NoAction; }
        const default_action = NoAction();
        size = UNDERLAY_ADDRESSES;
    }

    action decapsulate(TunnelKind tunnel, bit<24> vni, bit<16> tunnel_bytes) {
        meta.ingress_tunnel = tunnel;
        meta.direction = INBOUND;
        meta.attach = hdr.underlay_ipv4.src;
        meta.vni = vni;
        meta.frame_length = hdr.underlay_udp.length - 8 - tunnel_bytes;
        hdr.underlay_ethernet.setInvalid();
        hdr.underlay_ipv4.setInvalid();
        hdr.underlay_udp.setInvalid();
        hdr.vxlan.setInvalid();
        hdr.geneve.setInvalid();
        hdr.geneve_options.setInvalid();
    }

    apply {
        if (meta.port_kind == PortKind.UPLINK && meta.drop_reason == DropReason.NONE) {
            if (!hdr.vxlan.isValid() && !hdr.geneve.isValid()) {
                meta.drop_reason = DropReason.NOT_A_TUNNEL;
            } else if (!tunnel_termination.apply().hit) {
                meta.drop_reason = DropReason.NOT_OUR_TUNNEL;
            } else if (hdr.underlay_ipv4.total_length < 50   // IPv4, UDP, tunnel, Ethernet
                       || hdr.underlay_ipv4.total_length > meta.frame_length - 14
                       || hdr.underlay_udp.length != hdr.underlay_ipv4.total_length - 20
                       || (hdr.geneve.isValid()
                           && hdr.underlay_udp.length
                              < 30 + ((bit<16>)hdr.geneve.options_length << 2))) {
                meta.drop_reason = DropReason.BAD_LENGTH;
            } else if (hdr.vxlan.isValid()) {
                if (hdr.vxlan.flags & 0x08 == 0) {
                    meta.drop_reason = DropReason.BAD_TUNNEL_HEADER;
                } else {
                    decapsulate(TunnelKind.VXLAN, hdr.vxlan.vni, 8);
                }
            } else {
                // A critical option that we do not know means drop, RFC 8926 §3.5.
                if (hdr.geneve.critical == 1 || hdr.geneve.control_packet == 1) {
                    meta.drop_reason = DropReason.BAD_TUNNEL_HEADER;
                } else {
                    decapsulate(TunnelKind.GENEVE, hdr.geneve.vni,
                                8 + ((bit<16>)hdr.geneve.options_length << 2));
                }
            }
            if (meta.drop_reason == DropReason.NONE && (hdr.vlan.isValid() || hdr.arp.isValid())) {
                meta.drop_reason = DropReason.UNEXPECTED_IN_TUNNEL;
            } else if (meta.drop_reason == DropReason.NONE
                       && !hdr.ipv4.isValid() && !hdr.ipv6.isValid()) {
                meta.drop_reason = DropReason.UNKNOWN_ETHERTYPE;
            }
        }
    }
}
