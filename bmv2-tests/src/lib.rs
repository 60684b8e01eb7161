//! Packet-in, packet-out scripts for softnic and bmv2.
//!
//! A script is a text in the syntax of p4c's simple test framework (STF): table entries, packets
//! and the packets that are expected for them. The same scripts run on the software NIC in this
//! process and on the reference switch as a process of its own.
//!
//! * [`script`]: the text.
//! * [`names`]: from names to P4Info ids.
//! * [`target`]: what a script runs on; [`softnic`], [`bmv2`].
//! * [`run`]: runs a script and says what was different.
//! * [`program`]: the compiled firmware.

pub mod bmv2;
pub mod names;
pub mod program;
pub mod run;
pub mod script;
pub mod softnic;
pub mod target;
