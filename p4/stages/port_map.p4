// Port map: what the ingress port is, and for a VF which VNIC of which virtual network its
// (VLAN-tagged or untagged) packets belong to. Takes the VLAN tag off.
//
// It also refuses what no later stage could make sense of: it is the first to see the packet.

control PortMap(inout headers_t hdr, inout metadata_t meta) {
    action uplink() {
        meta.port_kind = PortKind.UPLINK;
    }

    action vf() {
        meta.port_kind = PortKind.VF;
    }

    table port_map {
        key = { meta.ingress_port: exact; }
        actions = { uplink; vf; @defaultonly NoAction; }
        const default_action = NoAction();
        size = 512;
    }

    // mtu: the largest IP packet that the VNIC may send, bytes.
    action attach(bit<24> vni, bit<16> mtu) {
        meta.vni = vni;
        meta.mtu = mtu;
    }

    // VLAN 0 is "untagged".
    table vf_attach {
        key = {
            meta.ingress_port: exact;
            meta.vlan: exact;
        }
        actions = { attach; @defaultonly NoAction; }
        const default_action = NoAction();
        size = VF_ATTACHMENTS;
    }

    apply {
        meta.egress_port = NO_PORT;
        if (!port_map.apply().hit) {
            meta.drop_reason = DropReason.UNKNOWN_PORT;
        } else if (meta.malformed) {
            meta.drop_reason = DropReason.MALFORMED;
        } else if (meta.bad_checksum) {
            meta.drop_reason = DropReason.BAD_CHECKSUM;
        } else if (meta.stacked_vlan) {
            meta.drop_reason = DropReason.STACKED_VLAN;
        } else if (meta.port_kind == PortKind.VF) {
            meta.direction = OUTBOUND;
            meta.attach = (bit<32>)meta.ingress_port;
            if (hdr.vlan.isValid()) {
                meta.vlan = (bit<16>)hdr.vlan.vid;
                hdr.ethernet.ether_type = hdr.vlan.ether_type;
                hdr.vlan.setInvalid();
                meta.frame_length = meta.frame_length - 4;
            }
            if (!vf_attach.apply().hit) {
                meta.drop_reason = DropReason.VLAN_NOT_ALLOWED;
            }
        }
    }
}
