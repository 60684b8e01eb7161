//! The NIC in software: P4 pipeline, ports, PCIe device.
//!
//! * [`Engine`]: one pipeline. It is made from bmv2 JSON and P4Info (`load`), keeps tables, runs
//!   packets (`exec`). No I/O, no clock, no threads.
//! * [`ports`]: where packets come from and go to: sockets, TAP devices; captures.
//! * [`device`]: the PCIe device that the host's driver sees.
//! * [`worker`]: the loop that joins the three.

pub mod device;
mod engine;
mod exec;
mod load;
pub mod ports;
mod program;
mod tables;
pub mod worker;

pub use engine::{Engine, Options, Statistics};
pub use exec::replication::{Replica, Replication, Session};
pub use load::LoadError;
