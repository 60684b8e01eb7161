//! What a controller writes to a pipeline and reads from it, in the terms of P4Runtime
//! (specification 1.4, sections 9 and 12): ids are those of P4Info, values are byte strings.
//!
//! Byte strings are big-endian. They are *canonical* when they are the shortest that hold the
//! value; zero is one zero byte. Readers accept leading zeros and refuse values that do not fit.

/// One entry of a table, or its default entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableEntry {
    /// P4Info id of the table.
    pub table: u32,
    /// Fields that the entry restricts; a field that is absent matches everything (not for exact).
    pub matches: Vec<FieldMatch>,
    /// Larger wins. Required (> 0) exactly when a key is ternary, range or optional.
    pub priority: i32,
    /// `None` only in reads and deletes, and to reset a default entry.
    pub action: Option<Action>,
    /// The entry used when nothing matches; `matches` is empty then.
    pub is_default: bool,
    /// Direct counter, in reads.
    pub counter: Option<CounterData>,
}

/// Restriction of one key field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMatch {
    /// P4Info id of the match field.
    pub field: u32,
    /// What it must be.
    pub value: MatchValue,
}

/// The value side of a match field, one variant for each match kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchValue {
    /// Equal to the value.
    Exact(Vec<u8>),
    /// The first `prefix_len` bits are those of `value`.
    Lpm {
        /// Value; bits after the prefix must be zero.
        value: Vec<u8>,
        /// 1 up to the width of the field.
        prefix_len: u32,
    },
    /// Equal where `mask` has ones.
    Ternary {
        /// Value; bits outside of the mask must be zero.
        value: Vec<u8>,
        /// Mask, not all zeros.
        mask: Vec<u8>,
    },
    /// From `low` to `high`, both included.
    Range {
        /// Lower bound.
        low: Vec<u8>,
        /// Upper bound.
        high: Vec<u8>,
    },
    /// Equal to the value; absent means anything.
    Optional(Vec<u8>),
}

/// An action with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// P4Info id of the action.
    pub id: u32,
    /// Parameter id and value; every parameter exactly once.
    pub params: Vec<(u32, Vec<u8>)>,
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CounterData {
    /// Packets counted.
    pub packets: u64,
    /// Bytes counted, of the packet as it entered.
    pub bytes: u64,
}

/// Something that a controller writes or reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entity {
    /// Table entry or default entry.
    TableEntry(TableEntry),
    /// Cell of a register array.
    Register {
        /// P4Info id of the register.
        register: u32,
        /// Cell.
        index: u32,
        /// Value, a byte string.
        value: Vec<u8>,
    },
    /// Cell of a counter array.
    Counter {
        /// P4Info id of the counter.
        counter: u32,
        /// Cell.
        index: u32,
        /// Its content.
        data: CounterData,
    },
}

/// What to do with an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateKind {
    /// Must not exist.
    Insert,
    /// Must exist. The only kind for registers, counters and default entries.
    Modify,
    /// Must exist.
    Delete,
}

/// One line of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// What to do.
    pub kind: UpdateKind,
    /// With what.
    pub entity: Entity,
}

/// How a batch behaves when one of its updates fails (P4Runtime specification, section 12.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Atomicity {
    /// Failed updates are reported, the others stay.
    #[default]
    ContinueOnError,
    /// All or nothing; packets may see intermediate states.
    RollbackOnError,
    /// All or nothing; every packet sees all of the batch or none of it.
    DataplaneAtomic,
}

/// Canonical gRPC code of a refused update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// Malformed: unknown field, wrong width, missing parameter …
    InvalidArgument = 3,
    /// No such entity.
    NotFound = 5,
    /// Insert of what is there.
    AlreadyExists = 6,
    /// Constant table or entry.
    PermissionDenied = 7,
    /// Table full.
    ResourceExhausted = 8,
    /// Not done because another update of an atomic batch failed.
    Aborted = 10,
    /// The target cannot do this.
    Unimplemented = 12,
    /// The target failed.
    Internal = 13,
}

/// Why one update was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpdateError {
    /// Kind of error.
    pub code: Code,
    /// Table, field and reason, for a person.
    pub message: String,
}

/// Shortest form of a big-endian byte string; zero is one byte.
pub fn canonical(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count();
    match bytes.len() {
        0 => &[0],
        len if zeros == len => &bytes[len - 1..],
        _ => &bytes[zeros..],
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn canonical_is_the_shortest_form() {
        assert_eq!(canonical(&[]), [0]);
        assert_eq!(canonical(&[0, 0]), [0]);
        assert_eq!(canonical(&[0, 1, 0]), [1, 0]);
        assert_eq!(canonical(&[7]), [7]);
    }
}
