//! The interpreter: runs one packet to completion. It is written to be obviously right; the
//! semantics are those of bmv2's `simple_switch` (1.15), with these deliberate differences:
//!
//! * Fields of headers that were never valid read as zero; bmv2 leaves what an earlier packet had.
//! * Nothing aborts the switch: a failed `assert`, an index out of a stack, a division by zero or
//!   a parser that never ends drop or count the packet, or read as zero (see the places).
//! * A look-ahead beyond the end of the packet is `PacketTooShort` in `select` too.
//! * A packet may be recirculated, resubmitted and cloned `MAX_ROUNDS` times in all.

mod control;
pub(crate) mod deparser;
pub(crate) mod expr;
pub(crate) mod externs;
pub(crate) mod hash;
pub(crate) mod machine;
pub(crate) mod packet;
pub(crate) mod parser;
pub(crate) mod phv;
pub(crate) mod replication;
pub(crate) mod wide;
