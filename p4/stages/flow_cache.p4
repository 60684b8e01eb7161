// Flow cache: the entry of this packet's flow, if there is one and it is current.
//
//   key ─► entry ─► versions of entry == versions in registers? ─► what the entry says
//     │                       └─ no: punt STALE, with the parts that are behind (R1.5)
//     └─ none: punt MISS
//
// One register write makes every entry of a VN or VNIC stale; nothing is deleted for it. Some
// packets never have an entry and are told apart first: ARP, neighbour discovery, fragments.

#define ENTRY_VERSIONS \
    bit<12> vn_slot, bit<32> vn_security, bit<32> vn_mapping, bit<32> vn_route, \
    bit<32> vn_policy, bit<32> vn_lb, \
    bit<12> vnic_slot, bit<32> vnic_security, bit<32> vnic_mapping, bit<32> vnic_route, \
    bit<32> vnic_policy, bit<32> vnic_lb

#define KEEP_ENTRY_VERSIONS \
    meta.hit = true; \
    meta.vn_slot = vn_slot; \
    meta.vn_versions = { vn_security, vn_mapping, vn_route, vn_policy, vn_lb }; \
    meta.vnic_slot = vnic_slot; \
    meta.vnic_versions = { vnic_security, vnic_mapping, vnic_route, vnic_policy, vnic_lb }

// The cell of a part in a version register: slot × 8 + part.
#define CELL(slot, part) (bit<32>)(slot ++ 3w ## part)

control FlowCache(inout headers_t hdr, inout metadata_t meta) {
    direct_counter(CounterType.packets_and_bytes) flow_ipv4_counter;
    direct_counter(CounterType.packets_and_bytes) flow_ipv6_counter;

    // Current version of each part, cell = slot × 8 + part: security 0, mapping 1, route 2,
    // policy 3, lb 4.
    register<bit<32>>(VERSION_CELLS) vn_versions;
    register<bit<32>>(VERSION_CELLS) vnic_versions;

    // Through a tunnel to another NIC. routed: rewrite both MACs and decrement the TTL.
    action to_tunnel(ENTRY_VERSIONS, TunnelKind tunnel, bit<32> remote_vtep,
                     bit<1> routed, bit<48> src_mac, bit<48> dst_mac) {
        KEEP_ENTRY_VERSIONS;
        meta.egress_tunnel = tunnel;
        meta.remote_vtep = remote_vtep;
        meta.routed = routed == 1;
        meta.src_mac = src_mac;
        meta.dst_mac = dst_mac;
    }

    // To a VF of this NIC; vlan 0: untagged.
    action to_vf(ENTRY_VERSIONS, bit<16> port, bit<16> vlan,
                 bit<1> routed, bit<48> src_mac, bit<48> dst_mac) {
        KEEP_ENTRY_VERSIONS;
        meta.egress_port = port;
        meta.egress_vlan = vlan;
        meta.routed = routed == 1;
        meta.src_mac = src_mac;
        meta.dst_mac = dst_mac;
    }

    action deny(ENTRY_VERSIONS, DropReason reason) {
        KEEP_ENTRY_VERSIONS;
        meta.drop_reason = reason;
    }

    table flow_ipv4 {
        key = {
            meta.vni: exact @name("vni");
            meta.direction: exact @name("direction");
            meta.attach: exact @name("attach");
            hdr.ipv4.src: exact @name("src");
            hdr.ipv4.dst: exact @name("dst");
            meta.protocol: exact @name("protocol");
            meta.src_port: exact @name("src_port");
            meta.dst_port: exact @name("dst_port");
        }
        actions = { to_tunnel; to_vf; deny; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = flow_ipv4_counter;
        size = FLOWS;
    }

    table flow_ipv6 {
        key = {
            meta.vni: exact @name("vni");
            meta.direction: exact @name("direction");
            meta.attach: exact @name("attach");
            hdr.ipv6.src: exact @name("src");
            hdr.ipv6.dst: exact @name("dst");
            meta.protocol: exact @name("protocol");
            meta.src_port: exact @name("src_port");
            meta.dst_port: exact @name("dst_port");
        }
        actions = { to_tunnel; to_vf; deny; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = flow_ipv6_counter;
        size = FLOWS;
    }

    action read_versions(out versions_t vn, out versions_t vnic) {
        vn_versions.read(vn.security, CELL(meta.vn_slot, 0));
        vn_versions.read(vn.mapping, CELL(meta.vn_slot, 1));
        vn_versions.read(vn.route, CELL(meta.vn_slot, 2));
        vn_versions.read(vn.policy, CELL(meta.vn_slot, 3));
        vn_versions.read(vn.lb, CELL(meta.vn_slot, 4));
        vnic_versions.read(vnic.security, CELL(meta.vnic_slot, 0));
        vnic_versions.read(vnic.mapping, CELL(meta.vnic_slot, 1));
        vnic_versions.read(vnic.route, CELL(meta.vnic_slot, 2));
        vnic_versions.read(vnic.policy, CELL(meta.vnic_slot, 3));
        vnic_versions.read(vnic.lb, CELL(meta.vnic_slot, 4));
    }

    // Bit n of a mask: part n is not what it was when the entry was made.
    action compare_versions(in versions_t vn, in versions_t vnic) {
        meta.stale_vn = 3w0
            ++ (vn.lb == meta.vn_versions.lb ? 1w0 : 1w1)
            ++ (vn.policy == meta.vn_versions.policy ? 1w0 : 1w1)
            ++ (vn.route == meta.vn_versions.route ? 1w0 : 1w1)
            ++ (vn.mapping == meta.vn_versions.mapping ? 1w0 : 1w1)
            ++ (vn.security == meta.vn_versions.security ? 1w0 : 1w1);
        meta.stale_vnic = 3w0
            ++ (vnic.lb == meta.vnic_versions.lb ? 1w0 : 1w1)
            ++ (vnic.policy == meta.vnic_versions.policy ? 1w0 : 1w1)
            ++ (vnic.route == meta.vnic_versions.route ? 1w0 : 1w1)
            ++ (vnic.mapping == meta.vnic_versions.mapping ? 1w0 : 1w1)
            ++ (vnic.security == meta.vnic_versions.security ? 1w0 : 1w1);
    }

    action punt(PuntReason reason) {
        meta.punt_reason = reason;
        meta.drop_reason = DropReason.NONE;
        meta.egress_port = NO_PORT;
        meta.egress_tunnel = TunnelKind.NONE;
        meta.routed = false;
    }

    bit<16> ip_length = 0;
    bit<16> header_length = 0;
    bit<8> ttl = 0;
    versions_t vn_current = { 0, 0, 0, 0, 0 };
    versions_t vnic_current = { 0, 0, 0, 0, 0 };

    apply {
        if (meta.drop_reason == DropReason.NONE) {
            if (hdr.ipv4.isValid()) {
                ip_length = hdr.ipv4.total_length;
                header_length = (bit<16>)hdr.ipv4.ihl << 2;
                ttl = hdr.ipv4.ttl;
            } else if (hdr.ipv6.isValid()) {
                // A payload near 64 KiB wraps around, and is then shorter than the header.
                ip_length = hdr.ipv6.payload_length + 40;
                header_length = 40;
                ttl = hdr.ipv6.hop_limit;
            }

            if (hdr.arp.isValid()) {
                punt(PuntReason.ARP);
            } else if (ip_length < header_length || ip_length > meta.frame_length - 14) {
                meta.drop_reason = DropReason.BAD_LENGTH;
            } else if (hdr.icmp.isValid() && hdr.ipv6.isValid()
                       && hdr.icmp.type >= 133 && hdr.icmp.type <= 137) {
                if (meta.direction == OUTBOUND) {
                    punt(PuntReason.ND);
                } else {
                    meta.drop_reason = DropReason.UNEXPECTED_IN_TUNNEL;
                }
            } else if (hdr.ethernet.dst & 0x010000000000 != 0) {
                meta.drop_reason = DropReason.MULTICAST;
            } else if (meta.direction == OUTBOUND && ip_length > meta.mtu) {
                punt(PuntReason.TOO_BIG);
                meta.drop_reason = DropReason.TOO_BIG;
            } else if (meta.fragment) {
                punt(PuntReason.FRAGMENT);
            } else {
                if (hdr.ipv4.isValid()) {
                    flow_ipv4.apply();
                } else {
                    flow_ipv6.apply();
                }
                if (!meta.hit) {
                    punt(PuntReason.MISS);
                } else {
                    read_versions(vn_current, vnic_current);
                    compare_versions(vn_current, vnic_current);
                    if (meta.stale_vn != 0 || meta.stale_vnic != 0) {
                        punt(PuntReason.STALE);
                    } else if (meta.routed && ttl <= 1) {
                        punt(PuntReason.TTL_EXPIRED);
                        meta.drop_reason = DropReason.TTL_EXPIRED;
                    }
                }
            }
        }
    }
}
