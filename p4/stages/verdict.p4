// Verdict: counts, and turns drop and punt reasons into an egress port. A packet may have both:
// one that is too big is dropped, and goes to the host for the answer to its sender.

control Verdict(inout headers_t hdr, inout metadata_t meta) {
    // Index: port × 64 + reason. Ports are 9 bits, reasons 6.
    counter(REASON_COUNTERS, CounterType.packets_and_bytes) drops;
    counter(REASON_COUNTERS, CounterType.packets_and_bytes) punts;

    action to_host() {
        meta.egress_port = (bit<16>)CPU_PORT;
        hdr.punt.setValid();
        hdr.punt.reason = meta.punt_reason;
        hdr.punt.tunnel = meta.ingress_tunnel;
        hdr.punt.ingress_port = meta.ingress_port;
        hdr.punt.vni = meta.vni;
        hdr.punt.stale_vn = meta.stale_vn;
        hdr.punt.stale_vnic = meta.stale_vnic;
        hdr.punt.vlan = meta.vlan;
        hdr.punt.tunnel_src = 0;
    }

    apply {
        bit<9> port = (bit<9>)meta.ingress_port;
        if (meta.drop_reason != DropReason.NONE) {
            bit<8> reason = meta.drop_reason;
            meta.egress_port = NO_PORT;
            drops.count((bit<32>)(port ++ reason[5:0]));
        }
        if (meta.punt_reason != PuntReason.NONE) {
            bit<8> reason = meta.punt_reason;
            punts.count((bit<32>)(port ++ reason[5:0]));
            to_host();
            if (meta.direction == INBOUND) {
                hdr.punt.tunnel_src = meta.attach;
            }
        }
    }
}
