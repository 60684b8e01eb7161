// Names, ids and types for the control plane.

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

type bit<9> port_t;

enum bit<8> Color { RED = 1, GREEN = 2 }

@controller_header("packet_in")
header in_t {
    port_t port;
    @id(7) bit<7> rest;
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
    @name("renamed") @id(5)
    action set(@id(3) port_t port, Color color) { meta.x = (bit<8>)color; std.egress_spec = (bit<9>)port; }
    @name(".absolute")
    action other() { }
    @brief("Chooses") @description("a port") @custom(1, "two")
    table choose {
        key = { hdr.h.a: exact @id(4) @name("a"); hdr.h.b: ternary; (port_t)std.ingress_port: exact @name("port"); }
        actions = { set; other; @defaultonly NoAction; }
        size = 0x100;
    }

    apply {
        choose.apply();
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

@pkginfo(name="test.p4", version="1")
V1Switch(P(), V(), I(), E(), C(), D()) main;
