//! What the compiler writes and a NIC runs, as plain Rust values.
//!
//! * [`p4info`]: the control plane's view of a program: tables, actions, ids, widths.
//! * [`bmv2`]: the program itself, in the JSON that `simple_switch` reads.
//! * [`entity`]: what a controller writes and reads, in the terms of P4Runtime.
//!
//! No I/O here and no checks of meaning: a reader that runs a program checks it for itself.

pub mod bmv2;
pub mod entity;
pub mod p4info;
