//! What P4Info and the program say about a table.

use crate::program::Bits;

/// How a key field is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchKind {
    Exact,
    Lpm,
    Ternary,
    Range,
    Optional,
}

impl MatchKind {
    /// Name as in P4.
    pub(crate) fn name(self) -> &'static str {
        match self {
            MatchKind::Exact => "exact",
            MatchKind::Lpm => "lpm",
            MatchKind::Ternary => "ternary",
            MatchKind::Range => "range",
            MatchKind::Optional => "optional",
        }
    }

    /// Entries with such a field need a priority.
    pub(crate) fn needs_priority(self) -> bool {
        matches!(
            self,
            MatchKind::Ternary | MatchKind::Range | MatchKind::Optional
        )
    }
}

/// A key field.
#[derive(Debug, Clone)]
pub(crate) struct FieldSchema {
    /// P4Info id.
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kind: MatchKind,
    pub(crate) width: u32,
    /// Where the field lies in the key.
    pub(crate) at: usize,
}

impl FieldSchema {
    /// Bytes in the key.
    pub(crate) fn bytes(&self) -> usize {
        self.width.div_ceil(8) as usize
    }
}

/// A parameter of an action.
#[derive(Debug, Clone)]
pub(crate) struct ParamSchema {
    /// P4Info id.
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Where it lies in the action data.
    pub(crate) bits: Bits,
}

/// An action that a table may run.
#[derive(Debug, Clone)]
pub(crate) struct ActionSchema {
    /// P4Info id; 0 when P4Info does not list the table or the action.
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Index in the program.
    pub(crate) action: u16,
    pub(crate) params: Vec<ParamSchema>,
    /// Bytes of action data.
    pub(crate) data_bytes: usize,
    /// Not in the default entry (`@tableonly`).
    pub(crate) table_only: bool,
    /// Only in the default entry (`@defaultonly`).
    pub(crate) default_only: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct TableSchema {
    /// P4Info id; 0 for tables that the compiler made for itself.
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldSchema>,
    pub(crate) key_bytes: usize,
    /// In the order of the program's list: an entry names its action by index.
    pub(crate) actions: Vec<ActionSchema>,
    /// Largest number of entries.
    pub(crate) size: u64,
    /// Entries are in the program and cannot be written.
    pub(crate) constant: bool,
    /// The default entry cannot be written.
    pub(crate) constant_default: bool,
    pub(crate) direct_counter: bool,
}

impl TableSchema {
    /// The field that is matched by longest prefix, in a table without priorities.
    pub(crate) fn lpm_field(&self) -> Option<&FieldSchema> {
        self.fields
            .iter()
            .find(|field| field.kind == MatchKind::Lpm)
    }

    /// Whether entries have priorities.
    pub(crate) fn needs_priority(&self) -> bool {
        self.fields.iter().any(|field| field.kind.needs_priority())
    }
}
