// VF guard: a VF sends only what its VNIC owns (R2.6). MAC first, then IP; in ARP both the
// Ethernet and the ARP sender are held to it.
//
// It does not limit rates and does not look at destinations.

control VfGuard(inout headers_t hdr, inout metadata_t meta) {
    table vf_mac {
        key = {
            meta.ingress_port: exact;
            meta.vlan: exact;
            hdr.ethernet.src: exact;
        }
        actions = { NoAction; }
        const default_action = NoAction();
        size = VF_ADDRESSES;
    }

    table vf_arp {
        key = {
            meta.ingress_port: exact;
            meta.vlan: exact;
            hdr.arp.sender_mac: exact;
            hdr.arp.sender_ip: lpm;
        }
        actions = { NoAction; }
        const default_action = NoAction();
        size = VF_ADDRESSES;
    }

    table vf_ipv4 {
        key = {
            meta.ingress_port: exact;
            meta.vlan: exact;
            hdr.ipv4.src: lpm;
        }
        actions = { NoAction; }
        const default_action = NoAction();
        size = VF_ADDRESSES;
    }

    table vf_ipv6 {
        key = {
            meta.ingress_port: exact;
            meta.vlan: exact;
            hdr.ipv6.src: lpm;
        }
        actions = { NoAction; }
        const default_action = NoAction();
        size = VF_ADDRESSES;
    }

    apply {
        if (meta.port_kind == PortKind.VF && meta.drop_reason == DropReason.NONE) {
            if (!vf_mac.apply().hit) {
                meta.drop_reason = DropReason.SPOOFED_MAC;
            } else if (hdr.arp.isValid()) {
                if (!vf_arp.apply().hit) {
                    meta.drop_reason = DropReason.SPOOFED_IP;
                }
            } else if (hdr.ipv4.isValid()) {
                if (!vf_ipv4.apply().hit) {
                    meta.drop_reason = DropReason.SPOOFED_IP;
                }
            } else if (hdr.ipv6.isValid()) {
                if (!vf_ipv6.apply().hit) {
                    meta.drop_reason = DropReason.SPOOFED_IP;
                }
            } else {
                meta.drop_reason = DropReason.UNKNOWN_ETHERTYPE;
            }
        }
    }
}
