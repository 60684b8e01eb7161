//! Virtual networks: configuration and its evaluation.
//!
//! ```text
//! TOML ─► Config ─► Fabric ─┐
//!           │               ├─► evaluate ─► verdict, path, flow entries, why
//!  Config ──┴─► diff ─► VersionTable
//!                    packet ┘
//! ```
//!
//! Everything here is pure: no I/O, no clock. What must be remembered between packets
//! ([`ConnTrack`], [`Fragments`]) takes the time as an argument.

mod answer;
pub mod config;
mod conntrack;
mod diff;
mod drop_reason;
pub mod entry;
mod evaluate;
mod fabric;
mod fragments;
mod prefix;
mod rules;
#[cfg(test)]
mod testing;

pub use answer::{Answer, resolve};
pub use config::Config;
pub use conntrack::{ConnLimits, ConnTrack};
pub use diff::{Changes, VersionTable, diff};
pub use drop_reason::DropReason;
pub use evaluate::{Connection, Evaluation, Origin, Packet, Path, Step, Verdict, evaluate};
pub use fabric::{Fabric, Host, Network, Subnet, Vnic};
pub use fragments::{Fragments, Orphan};
pub use prefix::{ParsePrefixError, Prefix};
pub use rules::RuleLabel;
