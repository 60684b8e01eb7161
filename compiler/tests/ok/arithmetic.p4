// Operators on numbers: each result has the width of its type.

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
        hdr.h.a = hdr.h.a + hdr.h.b;
        hdr.h.b = hdr.h.a - 3;
        hdr.h.c = (bit<16>)hdr.h.a * hdr.h.c;
        hdr.h.a = hdr.h.a |+| hdr.h.b;
        hdr.h.a = hdr.h.a |-| 1;
        hdr.h.c = hdr.h.c << 3;
        hdr.h.c = hdr.h.c >> hdr.h.a;
        hdr.h.a = ~hdr.h.a & 0x0f | hdr.h.b ^ 0xf0;
        hdr.h.a = -hdr.h.a;
        hdr.h.c = hdr.h.a ++ hdr.h.b;
        hdr.h.c = 4w5 ++ hdr.h.d ++ 8w1;
        hdr.h.a = hdr.h.c[11:4];
        hdr.h.c[7:4] = hdr.h.d;
        hdr.h.c[0:0] = 1;
        hdr.h.a = hdr.h.a > 4 ? hdr.h.b : 7;
        int<8> s = (int<8>)hdr.h.a;
        s = s + -1;
        hdr.h.b = (bit<8>)s;
        if (s < -2) { hdr.h.a = 0; }
        hdr.h.a += 2;
        hdr.h.a <<= 1;
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
