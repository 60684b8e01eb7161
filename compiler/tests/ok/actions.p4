// Calls of actions: what goes in is copied, what comes out too, unless nobody can tell.

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
    action swap(inout bit<8> p, inout bit<8> q) {
        bit<8> keep = p;
        p = q;
        q = keep;
    }
    action touch(in bit<8> value, out bit<8> result) {
        hdr.h.a = 9;
        result = value + hdr.h.a;
    }
    action early(bit<8> limit) {
        if (hdr.h.a > limit) {
            hdr.h.b = 1;
            return;
        }
        hdr.h.b = 2;
        if (hdr.h.b == 3) {
            exit;
        }
    }
    action outer(bit<8> limit) {
        early(limit);
        early(5);
    }
    table t {
        key = { hdr.h.a: exact; }
        actions = { early; outer; NoAction; }
        default_action = early(17);
    }

    apply {
        bit<8> r;
        swap(meta.x, meta.y);
        swap(hdr.h.a, hdr.h.b);
        touch(hdr.h.a, r);
        touch(r, hdr.h.b);
        early(4);
        t.apply();
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
