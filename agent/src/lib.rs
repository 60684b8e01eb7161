//! flownicd: the agent beside the NIC.
//!
//! ```text
//!   service (NIS) ◄── gRPC ──► ┐                        ┌ ◄── gRPC ── flownic (CLI)
//!                              │  state: pure machine   │
//!   NIC ◄── driver ──────────► ┘  tables: typed entries └
//! ```
//!
//! - [`tables`]: the firmware's tables as Rust types; ids come from P4Info by name.
//! - [`state`]: what is decided. No I/O, no clock.
//! - [`daemon`]: I/O and time as messages to the state: NIC, service, operators.

pub mod daemon;
pub mod state;
pub mod tables;
