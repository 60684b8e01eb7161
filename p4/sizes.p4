// Table and register sizes, in entries. A size is the limit that a write is refused at.

#define VF_PORTS            256        // VF ports, 16–271
#define VF_ATTACHMENTS      4096       // (VF, VLAN) pairs
#define VF_ADDRESSES        16384      // permitted (VF, MAC) and (VF, prefix) pairs, each table
#define UNDERLAY_ADDRESSES  64         // own tunnel end addresses
#define UNDERLAY_ROUTES     65536      // prefixes of remote tunnel ends
#define FLOWS               1048576    // flow entries of each IP version

// Version registers: a scope is a virtual network or a VNIC, a slot is this NIC's number for it.
// Each slot holds 8 cells, one for each part of the configuration (5 in use).
#define VERSION_SLOTS       4096
#define VERSION_CELLS       32768      // VERSION_SLOTS × 8

// Counters are indexed by port (512) and reason (64).
#define REASON_COUNTERS     32768
