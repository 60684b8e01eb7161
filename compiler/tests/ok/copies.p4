// Structures and headers are copied part by part; overlapping lists through variables.

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
    }
}

control I(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    meta_t saved = { 1, 2, false };

    apply {
        saved = meta;
        meta = { saved.y, saved.x, true };
        meta = { meta.y, meta.x, meta.flag };
        hdr.g = hdr.h;
        hdr.h = { 1, 2, 3, 4, 5, 1, 7 };
        h_t local;
        local = hdr.g;
        local.setValid();
        hdr.g.setInvalid();
    }
}

control E(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    apply { }
}

control C(inout headers_t hdr, inout meta_t meta) {
    apply {
    }
}

control D(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr);
    }
}

V1Switch(P(), V(), I(), E(), C(), D()) main;
