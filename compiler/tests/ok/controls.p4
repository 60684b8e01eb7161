// Controls inside of controls: arguments by reference, or as copies when they overlap.

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

control Inner(inout headers_t hdr, inout meta_t meta)(bit<8> number) {
    counter(16, CounterType.bytes) packets;
    register<bit<8>>(4) last;
    bit<8> before = 0;
    action remember(bit<8> value) {
        last.read(before, (bit<32>)hdr.h.a);
        last.write((bit<32>)hdr.h.a, value + number);
    }
    table t {
        key = { hdr.h.a: exact; }
        actions = { remember; @defaultonly NoAction; }
    }
    apply {
        if (t.apply().miss) {
            packets.count((bit<32>)before);
            return;
        }
        hdr.h.b = number;
    }
}

control Scalar(in bit<8> from, out bit<8> to) {
    apply {
        to = from;
        to = from + to;
    }
}

control I(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {
    Inner(7) one;
    Inner(8) two;
    Scalar() scalar;

    apply {
        one.apply(hdr, meta);
        two.apply(hdr, meta);
        scalar.apply(meta.x, hdr.h.a);
        scalar.apply(hdr.h.a, hdr.h.a);
        scalar.apply(hdr.h.a + 1, meta.y);
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
