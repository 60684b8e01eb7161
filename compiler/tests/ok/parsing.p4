// Parser states: masks, ranges, lists, variables, verify, lookahead, varying length.

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

error { Bad }

header options_t {
    varbit<64> data;
}

struct headers_t {
    h_t h; h_t g; options_t options;
}

struct meta_t {
    bit<8> x; bit<8> y; bool flag;
}

parser P(packet_in packet, out headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    bit<8> counted = 0;
    state start {
        counted = counted + 1;
        transition select(packet.lookahead<bit<8>>()) {
            0x10 &&& 0xf0: first;
            1 .. 6: first;
            default: reject;
        }
    }
    state first {
        packet.extract(hdr.h);
        verify(hdr.h.a != 0, error.Bad);
        meta.x = packet.lookahead<bit<8>>();
        transition select(hdr.h.a, hdr.h.d, hdr.h.a + 1) {
            (1, 2, 3): second;
            (1, _, 4 &&& 5): accept;
            (_, _, _): options;
        }
    }
    state second {
        packet.extract(hdr.g);
        hdr.g.a = counted;
        hdr.h.setInvalid();
        packet.advance(16);
        transition accept;
    }
    state options {
        packet.extract(hdr.options, (bit<32>)hdr.h.a << 3);
        transition accept;
    }
}

control V(inout headers_t hdr, inout meta_t meta) {
    apply {
    }
}

control I(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
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
