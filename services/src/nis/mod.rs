//! The network interface service (NIS): answers the misses of many NICs (R1.2, R1.3).
//!
//! ```text
//!  agent A ── Punt ──► service ─► tasks ─► events ─► punts ─► vnet::evaluate
//!                                            │
//!  agent B ◄─ Deliver{B's entries, packet} ──┤   the packet and B's entries first …
//!  agent B ── Ack ───────────────────────────┤
//!  agent A ◄─ PuntReply{A's entries} ────────┘   … then the entries that let A forward by itself
//! ```
//!
//! What holds, whatever agents, streams and timers do (`tests/simulation/`):
//! - each punt gets one answer, as long as its stream is there;
//! - a packet is handed out at most once, and packets of a flow in the order they were punted;
//! - a packet that the configuration forbids is not handed out;
//! - a malformed message ends its stream and changes nothing else.

pub mod configuration;
pub mod error;
pub mod events;
mod messages;
mod punts;
mod rollouts;
pub mod service;
pub mod tasks;
