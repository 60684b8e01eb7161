// FlowNIC firmware: the order of the stages, and nothing else.
//
//            VF ──► port map ─► VF guard ─┐
//                                         ├─► flow cache ─► rewrite ─► encapsulation ─► underlay ─► out
//   uplink ──► port map ─► tunnel end ────┘        │             (or straight to a VF)
//                                                  └─ miss, stale, too big … ─► punt ─► agent
//
// What the program does not do: evaluate policy. It forwards by flow entries that the network
// interface service made, while the versions they were made from are current, and hands every
// other packet to the host with the reason.

#include <core.p4>
#include <v1model.p4>

#include "ids.p4"
#include "sizes.p4"
#include "drop_reasons.p4"
#include "headers.p4"
#include "parser.p4"
#include "checksums.p4"
#include "stages/port_map.p4"
#include "stages/vf_guard.p4"
#include "stages/tunnel_termination.p4"
#include "stages/flow_cache.p4"
#include "stages/rewrite.p4"
#include "stages/encapsulation.p4"
#include "stages/underlay.p4"
#include "stages/verdict.p4"

control ingress(inout headers_t hdr,
                inout metadata_t meta,
                inout standard_metadata_t std) {
    PortMap()           port_map;
    VfGuard()           vf_guard;
    TunnelTermination() tunnel_termination;
    FlowCache()         flow_cache;
    Rewrite()           rewrite;
    Encapsulation()     encapsulation;
    Underlay()          underlay;
    Verdict()           verdict;

    apply {
        meta.ingress_port = (bit<16>)std.ingress_port;
        meta.frame_length = (bit<16>)std.packet_length;
        meta.malformed = std.parser_error != error.NoError;
        meta.bad_checksum = std.checksum_error == 1;

        if (hdr.inject.isValid()) {
            meta.egress_port = hdr.inject.egress_port;
            hdr.inject.setInvalid();
        } else {
            port_map.apply(hdr, meta);
            vf_guard.apply(hdr, meta);
            tunnel_termination.apply(hdr, meta);
            flow_cache.apply(hdr, meta);
            rewrite.apply(hdr, meta);
            encapsulation.apply(hdr, meta);
            underlay.apply(hdr, meta);
        }

        verdict.apply(hdr, meta);
        if (meta.egress_port == NO_PORT) {
            mark_to_drop(std);
        } else {
            std.egress_spec = (bit<9>)meta.egress_port;
        }
    }
}

control egress(inout headers_t hdr,
               inout metadata_t meta,
               inout standard_metadata_t std) {
    apply { }
}

V1Switch(PacketParser(), VerifyHeaders(), ingress(), egress(), UpdateHeaders(), PacketDeparser()) main;
