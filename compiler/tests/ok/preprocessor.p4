// Macros, conditional text, and a truncated number that is warned of.
#define CONCAT(a, b) a ## b
#define TEXT(x) #x
#define TWICE(x) ((x) + (x))
#define EMPTY
#define LIST(x) x, x
#if defined(EMPTY) && !defined(NOTHING) && (1 << 2 >= 4 ? 1 : 0)
#define VALUE CONCAT(0x, 7f)
#elif 1
#error not here
#else
#error nor here
#endif
#ifndef VALUE
#error nor here
#endif

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
        hdr.h.a = TWICE(VALUE) EMPTY;
        hdr.h.b = CONCAT(8w, 5);

        log_msg(TEXT(a "b"), { LIST(hdr.h.a) });
        hdr.h.b = 300;
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
