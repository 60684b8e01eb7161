// Rewrite: what a router does to a packet that changes subnet, and the VLAN tag that the
// receiving VNIC wants. Checksums follow in checksums.p4.

control Rewrite(inout headers_t hdr, inout metadata_t meta) {
    action route_ipv4() {
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
    }

    action route_ipv6() {
        hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
    }

    action push_vlan() {
        hdr.vlan.setValid();
        hdr.vlan.pcp = 0;
        hdr.vlan.dei = 0;
        hdr.vlan.vid = (bit<12>)meta.egress_vlan;
        hdr.vlan.ether_type = hdr.ethernet.ether_type;
        hdr.ethernet.ether_type = ETHERTYPE_VLAN;
        meta.frame_length = meta.frame_length + 4;
    }

    apply {
        if (meta.routed) {
            hdr.ethernet.src = meta.src_mac;
            hdr.ethernet.dst = meta.dst_mac;
            if (hdr.ipv4.isValid()) {
                route_ipv4();
            } else if (hdr.ipv6.isValid()) {
                route_ipv6();
            }
        }
        if (meta.egress_port != NO_PORT && meta.egress_vlan != 0) {
            push_vlan();
        }
    }
}
