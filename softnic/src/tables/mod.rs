//! Match-action tables: what the control plane may write in them, and look-up by packets.
//!
//! * `schema`: what P4Info says about a table.
//! * `validate`: from a P4Runtime entry to a checked one, and back.
//! * `index`: look-up. Exact and longest-prefix keys by hash, one hash table for each prefix
//!   length; ternary, range and optional keys in a list ordered by priority.
//! * `table`: entries, default entry, direct counters, size limit.
//! * `write`: batches with the three atomicity classes.

pub(crate) mod index;
pub(crate) mod schema;
pub(crate) mod table;
pub(crate) mod validate;
pub(crate) mod write;

pub(crate) use schema::{ActionSchema, FieldSchema, MatchKind, ParamSchema, TableSchema};
pub(crate) use table::Table;

#[cfg(test)]
mod tests;
