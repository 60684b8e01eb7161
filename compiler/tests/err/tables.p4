// Wrong tables.

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
    action set(bit<8> v) { hdr.h.a = v; }
    action other() { }
    table a { key = { hdr.h.a: exakt; } actions = { set; } }
    table b { key = { hdr.h.a: exact; } actions = { set; nothing; } default_action = other(); }
    table c { key = { hdr: exact; } actions = { other; } color = 7; }
    table d { key = { hdr.h.a: exact; } actions = { set; } default_action = set(hdr.h.a); }
    table e { key = { hdr.h.a: exact; } }
    table f { key = { hdr.h.a: exact; } actions = { set; } const entries = { (1, 2): set(1); 3: other(); } }

    apply {
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
