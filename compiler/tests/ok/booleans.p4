// Truth values and one-bit numbers are converted where they meet.

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
    apply {
        meta.flag = hdr.h.f == 1;
        meta.flag = meta.flag && !hdr.g.isValid() || hdr.h.a != 3;
        hdr.h.f = (bit<1>)meta.flag;
        meta.flag = (bool)hdr.h.f;
        bool other = hdr.h.a < 5;
        if (other == meta.flag) { hdr.h.a = 1; }
        if (meta.flag) { hdr.h.a = 2; } else if (true) { hdr.h.a = 3; } else { hdr.h.a = 4; }
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
