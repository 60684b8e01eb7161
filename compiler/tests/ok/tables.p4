// Tables: keys, entries, ways on.

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
    action set(bit<8> value) { hdr.h.b = value; }
    action drop() { mark_to_drop(std); }
    direct_counter(CounterType.packets) hits;
    table kinds {
        key = {
            hdr.h.a: ternary;
            hdr.h.c: range @name("c");
            hdr.h.isValid(): exact;
            hdr.h.c[3:0]: exact;
            meta.flag: exact;
        }
        actions = { set; drop; @defaultonly NoAction; }
        const default_action = NoAction();
        counters = hits;
        size = 64;
    }
    table fixed {
        key = { hdr.h.a: lpm; hdr.h.b: exact; }
        actions = { set; drop; }
        const entries = {
            (0x10 &&& 0xf0, 1): set(1);
            (8w7, 2): set(2);
            (_, 3): drop();
        }
        default_action = set(8w3);
    }
    table chooses {
        key = { hdr.h.a: optional; }
        actions = { set; drop; NoAction; }
    }
    table other {
        actions = { drop; }
        const default_action = drop();
    }
    table plain {
        key = { hdr.h.a: exact; }
        actions = { @tableonly set; drop; }
        default_action = drop();
    }

    apply {
        kinds.apply();
        if (fixed.apply().hit && hdr.h.a == 1) {
            plain.apply();
        } else {
            switch (chooses.apply().action_run) {
                set: { meta.x = 1; }
                drop:
                NoAction: { meta.x = 2; return; }
            }
            meta.y = 3;
        }
        bool missed = other.apply().miss;
        if (missed) { meta.y = 4; }
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
