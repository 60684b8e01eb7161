//! Table entries as people write them, in the names of the pipeline's P4Info.
//!
//!   text ── grammar ──► words with names ── catalog ──► ids and byte strings ──► agent
//!
//! The catalog is made from the P4Info that the agent reads from its device, so names, widths and
//! enums are always those of the running program.

mod catalog;
mod grammar;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use catalog::{Catalog, match_kind, short_name};
pub(crate) use grammar::{Kind, Line, parse_line};
