// IPv4 header checksums: checked on the way in, and written where the pipeline made or changed a
// header. Transport checksums are the VMs' business; outer UDP checksums are zero, as RFC 7348 §5
// and RFC 8926 §3.3 permit over IPv4.

#define IPV4_FIELDS(ip) \
    ip.version, ip.ihl, ip.dscp, ip.ecn, ip.total_length, ip.identification, ip.reserved, \
    ip.dont_fragment, ip.more_fragments, ip.fragment_offset, ip.ttl, ip.protocol, ip.src, ip.dst

control VerifyHeaders(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.underlay_ipv4.isValid() && hdr.underlay_ipv4.ihl == 5,
            { IPV4_FIELDS(hdr.underlay_ipv4) },
            hdr.underlay_ipv4.checksum, HashAlgorithm.csum16);
        verify_checksum(hdr.ipv4.isValid() && !hdr.ipv4_options.isValid() && hdr.ipv4.ihl == 5,
            { IPV4_FIELDS(hdr.ipv4) },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        verify_checksum(hdr.ipv4.isValid() && hdr.ipv4_options.isValid(),
            { IPV4_FIELDS(hdr.ipv4), hdr.ipv4_options.options },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}

control UpdateHeaders(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.underlay_ipv4.isValid(),
            { IPV4_FIELDS(hdr.underlay_ipv4) },
            hdr.underlay_ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(meta.routed && hdr.ipv4.isValid() && !hdr.ipv4_options.isValid(),
            { IPV4_FIELDS(hdr.ipv4) },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum(meta.routed && hdr.ipv4.isValid() && hdr.ipv4_options.isValid(),
            { IPV4_FIELDS(hdr.ipv4), hdr.ipv4_options.options },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}
