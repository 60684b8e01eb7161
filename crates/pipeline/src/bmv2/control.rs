//! Actions, tables and the graph of a control.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FieldRef, Primitive, SourceInfo, Value};

/// An action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Name; several actions may share one.
    pub name: String,
    /// Unique among actions.
    pub id: u32,
    /// Parameters, by position.
    pub runtime_data: Vec<RuntimeData>,
    /// Steps, in order.
    pub primitives: Vec<Primitive>,
}

/// Parameter of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeData {
    /// Name in the source.
    pub name: String,
    /// Bits.
    pub bitwidth: u32,
}

/// A control as a graph of tables and conditions, joined by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// `ingress` or `egress`.
    pub name: String,
    /// Unique among pipelines.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// First node; `None`: nothing to do.
    pub init_table: Option<String>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Action profiles and selectors.
    #[serde(default)]
    pub action_profiles: Vec<ActionProfile>,
    /// Conditions.
    #[serde(default)]
    pub conditionals: Vec<Conditional>,
    /// Direct calls of actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub action_calls: Vec<ActionCall>,
}

/// A table; one without key stands for a direct call of its default action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Unique among the tables of all pipelines.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Fields, in order.
    pub key: Vec<KeyField>,
    /// Most general kind of its fields.
    pub match_type: MatchKind,
    /// Where entries keep their actions.
    #[serde(rename = "type")]
    pub kind: TableKind,
    /// Action profile of an indirect table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_profile: Option<String>,
    /// Entries that fit.
    pub max_size: u64,
    /// Entries have counters.
    #[serde(default)]
    pub with_counters: bool,
    /// Entries age.
    #[serde(default)]
    pub support_timeout: bool,
    /// Meter array of entries.
    #[serde(default)]
    pub direct_meters: Option<String>,
    /// Ids of `actions`.
    #[serde(default)]
    pub action_ids: Vec<u32>,
    /// Names of actions that entries may use.
    pub actions: Vec<String>,
    /// Node after a table that has no default action.
    #[serde(default)]
    pub base_default_next: Option<String>,
    /// Node after each action, or after `__HIT__` and `__MISS__`.
    pub next_tables: BTreeMap<String, Option<String>>,
    /// Default entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_entry: Option<DefaultEntry>,
    /// Entries that the program gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

/// Where a table keeps its actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// In the entries.
    Simple,
    /// In an action profile.
    Indirect,
    /// In an action profile with groups.
    IndirectWs,
}

/// How a field, or a whole table, is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// Validity of a header, of P4_14 programs.
    Valid,
    /// Equal.
    Exact,
    /// Longest prefix.
    Lpm,
    /// Value and mask.
    Ternary,
    /// From, to.
    Range,
    /// Equal or anything.
    Optional,
}

/// Field of a table's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyField {
    /// How it is matched.
    pub match_type: MatchKind,
    /// What the control plane calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The field.
    pub target: KeyTarget,
    /// Bits of the field that count; `None`: all.
    #[serde(default)]
    pub mask: Option<String>,
}

/// What a key field looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyTarget {
    /// A field.
    Field(FieldRef),
    /// A header, for [`MatchKind::Valid`].
    Header(String),
}

/// Default entry of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultEntry {
    /// Id of the action.
    pub action_id: u32,
    /// The action cannot be changed.
    #[serde(default)]
    pub action_const: bool,
    /// Arguments, hexadecimal.
    #[serde(default)]
    pub action_data: Vec<String>,
    /// The arguments cannot be changed.
    #[serde(default)]
    pub action_entry_const: bool,
}

/// Entry that the program gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// One for each field of the key.
    pub match_key: Vec<EntryKey>,
    /// What it does.
    pub action_entry: EntryAction,
    /// Smaller wins.
    #[serde(default)]
    pub priority: i32,
}

/// Field of an entry's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "match_type", rename_all = "snake_case")]
pub enum EntryKey {
    /// Validity of a header.
    Valid {
        /// Valid or not.
        key: bool,
    },
    /// Equal.
    Exact {
        /// Number as wide as the field.
        key: String,
    },
    /// Longest prefix.
    Lpm {
        /// Number as wide as the field.
        key: String,
        /// Bits that count.
        prefix_length: u32,
    },
    /// Value and mask.
    Ternary {
        /// Number as wide as the field.
        key: String,
        /// Likewise.
        mask: String,
    },
    /// From, to, both included.
    Range {
        /// Number as wide as the field.
        start: String,
        /// Likewise.
        end: String,
    },
    /// Equal where the mask is all ones, anything where it is zero.
    Optional {
        /// Number as wide as the field.
        key: String,
        /// All ones or zero.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mask: Option<String>,
    },
}

/// Action of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryAction {
    /// Id of the action.
    pub action_id: u32,
    /// Arguments, hexadecimal.
    pub action_data: Vec<String>,
}

/// A condition of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conditional {
    /// Name.
    pub name: String,
    /// Unique among the conditions of all pipelines.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// What is asked.
    pub expression: Value,
    /// Node if true; `None`: the end.
    pub true_next: Option<String>,
    /// Node if false; `None`: the end.
    pub false_next: Option<String>,
}

/// A direct call of an action without parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCall {
    /// Name.
    pub name: String,
    /// Unique among the calls of all pipelines.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Id of the action.
    pub action_id: u32,
    /// Next node; `None`: the end.
    pub next_node: Option<String>,
}

/// Action profile or selector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionProfile {
    /// Name.
    pub name: String,
    /// Unique among the profiles of all pipelines.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Members that fit.
    pub max_size: u64,
    /// How a member of a group is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// How a member of a group is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selector {
    /// Hash algorithm.
    pub algo: String,
    /// What goes into it.
    pub input: Vec<Value>,
}
