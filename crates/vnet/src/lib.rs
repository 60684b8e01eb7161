//! Virtual networks: configuration and its evaluation.

pub mod config;
mod drop_reason;
pub mod entry;
mod prefix;

pub use config::Config;
pub use drop_reason::DropReason;
pub use prefix::{ParsePrefixError, Prefix};
