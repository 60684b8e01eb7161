// Underlay: which uplink leads to the remote tunnel end, with which addresses.

control Underlay(inout headers_t hdr, inout metadata_t meta) {
    // mtu: the largest IP packet of the uplink, bytes.
    action to_uplink(bit<16> port, bit<48> src_mac, bit<48> next_hop_mac, bit<32> src_vtep, bit<16> mtu) {
        meta.egress_port = port;
        hdr.underlay_ethernet.src = src_mac;
        hdr.underlay_ethernet.dst = next_hop_mac;
        hdr.underlay_ipv4.src = src_vtep;
        meta.mtu = mtu;
    }

    table underlay_route {
        key = { hdr.underlay_ipv4.dst: lpm; }
        actions = { to_uplink; @defaultonly NoAction; }
        const default_action = NoAction();
        size = UNDERLAY_ROUTES;
    }

    apply {
        if (meta.egress_tunnel != TunnelKind.NONE
            && hdr.underlay_ethernet.isValid() && hdr.underlay_ipv4.isValid()) {
            if (!underlay_route.apply().hit) {
                meta.drop_reason = DropReason.NO_UNDERLAY_ROUTE;
            } else if (hdr.underlay_ipv4.total_length > meta.mtu) {
                // Only a misconfigured VNIC gets here: its own MTU stops larger packets earlier,
                // with an answer to the sender.
                meta.drop_reason = DropReason.TOO_BIG;
            }
        }
    }
}
