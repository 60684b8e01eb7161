// Checksums and hashes.

#include <core.p4>
#include <v1model.p4>

header h_t {
    bit<8>  a;
    bit<8>  b;
    bit<16> c;
    bit<4>  d;
    bit<4>  e;
    bit<1>  f;
    bit<7>  g;
}

struct headers_t {
    h_t h; h_t g;
}

struct meta_t {
    bit<8> x; bit<8> y; bool flag;
}

parser P(packet_in packet, out headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.h);
        transition accept;
    }
}

control V(inout headers_t hdr, inout meta_t meta) {
    apply {
        verify_checksum(hdr.h.isValid(), { hdr.h.a, hdr.h.b, 16w5 }, hdr.h.c, HashAlgorithm.csum16);
    }
}

control I(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    apply {
        hash(meta.x, HashAlgorithm.crc16, 8w0, { hdr.h.a, hdr.h.b ++ hdr.h.a, 8w3 }, 8w16);
        hash(hdr.h.c[7:0], HashAlgorithm.crc32, 8w0, { hdr.h.c }, 8w255);
        random(meta.y, 8w0, 8w9);
        log_msg("x is {}", { meta.x });
        truncate(64);
    }
}

control E(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    apply { }
}

control C(inout headers_t hdr, inout meta_t meta) {
    apply {
        update_checksum(true, { hdr.h.a, hdr.h.b }, hdr.h.c, HashAlgorithm.csum16);
        update_checksum_with_payload(hdr.g.isValid() && hdr.h.a == 1, { hdr.g }, hdr.g.c, HashAlgorithm.csum16);
    }
}

control D(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr);
    }
}

V1Switch(P(), V(), I(), E(), C(), D()) main;
