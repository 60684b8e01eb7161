//! P4Info (`p4.config.v1.P4Info` of the P4Runtime specification 1.4, section 6): what a control
//! plane may know of a program.
//!
//! Names, numbers and the JSON form are those of the protobuf definition. Fields that P4Runtime
//! has for tools only (source locations) are not kept; fields of type `Any` are refused by the
//! binary and text readers and dropped by the JSON reader.

mod binary;
mod json;
mod lookup;
mod schema;
mod text;
mod text_reader;
mod types;

#[cfg(test)]
mod tests;

pub use lookup::{LookupError, Named, find};
pub use types::*;

use serde::{Deserialize, Serialize};

/// A program as its control plane sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct P4Info {
    /// Name, version and architecture.
    #[serde(alias = "pkg_info", skip_serializing_if = "Option::is_none")]
    pub pkg_info: Option<PkgInfo>,
    /// Match-action tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Actions of tables and action profiles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Action profiles and selectors.
    #[serde(alias = "action_profiles", skip_serializing_if = "Vec::is_empty")]
    pub action_profiles: Vec<ActionProfile>,
    /// Counter arrays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Counter>,
    /// Counters of table entries.
    #[serde(alias = "direct_counters", skip_serializing_if = "Vec::is_empty")]
    pub direct_counters: Vec<DirectCounter>,
    /// Meter arrays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<Meter>,
    /// Meters of table entries.
    #[serde(alias = "direct_meters", skip_serializing_if = "Vec::is_empty")]
    pub direct_meters: Vec<DirectMeter>,
    /// Headers between controller and pipeline: `packet_in`, `packet_out`.
    #[serde(
        alias = "controller_packet_metadata",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub controller_packet_metadata: Vec<ControllerPacketMetadata>,
    /// Parser value sets.
    #[serde(alias = "value_sets", skip_serializing_if = "Vec::is_empty")]
    pub value_sets: Vec<ValueSet>,
    /// Register arrays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registers: Vec<Register>,
    /// Digests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<Digest>,
    /// The program's own types, by name.
    #[serde(alias = "type_info", skip_serializing_if = "Option::is_none")]
    pub type_info: Option<TypeInfo>,
}

/// A text that is not a P4Info.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a P4Info: {message}")]
pub struct FormatError {
    /// Where and what, for a person.
    pub message: String,
}

impl P4Info {
    /// Reads protobuf JSON; both `camelCase` and original field names are understood.
    ///
    /// # Errors
    /// When the text is no JSON, or a known field has a value of the wrong kind.
    pub fn from_json(text: &[u8]) -> Result<P4Info, FormatError> {
        serde_json::from_slice(text).map_err(|error| FormatError {
            message: error.to_string(),
        })
    }

    /// Protobuf JSON, indented by one space as protobuf's own printer does.
    pub fn to_json(&self) -> String {
        json::indented(self)
    }

    /// Protobuf text format (`.txtpb`).
    pub fn to_text(&self) -> String {
        text::write(&json::value(self))
    }

    /// Reads protobuf text format.
    ///
    /// # Errors
    /// With line and column when the text is malformed or has an unknown field.
    pub fn from_text(text: &str) -> Result<P4Info, FormatError> {
        let value = text_reader::read(text)?;
        serde_json::from_value(value).map_err(|error| FormatError {
            message: error.to_string(),
        })
    }

    /// Protobuf binary format.
    pub fn to_binary(&self) -> Vec<u8> {
        binary::write(&json::value(self))
    }

    /// Reads protobuf binary format; unknown fields are skipped.
    ///
    /// # Errors
    /// When the bytes are no protobuf message of this shape.
    pub fn from_binary(bytes: &[u8]) -> Result<P4Info, FormatError> {
        let value = binary::read(bytes)?;
        serde_json::from_value(value).map_err(|error| FormatError {
            message: error.to_string(),
        })
    }
}

/// What all objects with an id share.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preamble {
    /// Unique in the program; the top byte is the kind (P4Runtime specification, 6.3).
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub id: u32,
    /// Full name, `control.instance.object`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Shortest suffix of the name that no other object has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// Annotations as written, `@name(body)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// From `@brief` and `@description`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<Documentation>,
    /// Annotations of the form `@name[…]`.
    #[serde(
        alias = "structured_annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub structured_annotations: Vec<StructuredAnnotation>,
}

/// A match-action table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Table {
    /// Id and names.
    pub preamble: Preamble,
    /// The key, in order.
    #[serde(alias = "match_fields", skip_serializing_if = "Vec::is_empty")]
    pub match_fields: Vec<MatchField>,
    /// Actions that entries may use.
    #[serde(alias = "action_refs", skip_serializing_if = "Vec::is_empty")]
    pub action_refs: Vec<ActionRef>,
    /// Action of a `const default_action`, else 0.
    #[serde(
        alias = "const_default_action_id",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub const_default_action_id: u32,
    /// Default action that the program gives.
    #[serde(
        alias = "initial_default_action",
        skip_serializing_if = "Option::is_none"
    )]
    pub initial_default_action: Option<TableActionCall>,
    /// Action profile, else 0.
    #[serde(
        alias = "implementation_id",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub implementation_id: u32,
    /// Direct counters and meters.
    #[serde(
        alias = "direct_resource_ids",
        deserialize_with = "json::numbers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub direct_resource_ids: Vec<u32>,
    /// Number of entries that are guaranteed to fit.
    #[serde(with = "json::int64", skip_serializing_if = "json::zero64")]
    pub size: i64,
    /// Whether entries age.
    #[serde(
        alias = "idle_timeout_behavior",
        deserialize_with = "json::enumeration",
        skip_serializing_if = "json::is_default"
    )]
    pub idle_timeout_behavior: IdleTimeoutBehavior,
    /// The table has `const entries`.
    #[serde(alias = "is_const_table", skip_serializing_if = "json::is_default")]
    pub is_const_table: bool,
    /// The program has entries for the table.
    #[serde(
        alias = "has_initial_entries",
        skip_serializing_if = "json::is_default"
    )]
    pub has_initial_entries: bool,
}

/// One field of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MatchField {
    /// Unique in the table, from 1.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub id: u32,
    /// As the control plane calls it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Width in bits; 0 for a string of a translated type.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub bitwidth: u32,
    /// Standard match kinds.
    #[serde(
        alias = "match_type",
        deserialize_with = "json::optional_enumeration",
        skip_serializing_if = "Option::is_none"
    )]
    pub match_type: Option<MatchType>,
    /// Name of any other match kind.
    #[serde(alias = "other_match_type", skip_serializing_if = "Option::is_none")]
    pub other_match_type: Option<String>,
    /// From `@brief` and `@description`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<Documentation>,
    /// Set when the field has a type made by `type`.
    #[serde(alias = "type_name", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<NamedType>,
    /// Annotations of the form `@name[…]`.
    #[serde(
        alias = "structured_annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub structured_annotations: Vec<StructuredAnnotation>,
}

/// An action that a table may use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionRef {
    /// Id of the action.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub id: u32,
    /// Annotations as written in the table's list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Entries, default entry, or both.
    #[serde(
        deserialize_with = "json::enumeration",
        skip_serializing_if = "json::is_default"
    )]
    pub scope: Scope,
    /// Annotations of the form `@name[…]`.
    #[serde(
        alias = "structured_annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub structured_annotations: Vec<StructuredAnnotation>,
}

/// An action with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TableActionCall {
    /// Id of the action.
    #[serde(
        alias = "action_id",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub action_id: u32,
    /// One for each parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
}

/// Value of one action parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Argument {
    /// Id of the parameter.
    #[serde(
        alias = "param_id",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub param_id: u32,
    /// Big-endian value.
    #[serde(with = "json::bytes", skip_serializing_if = "Vec::is_empty")]
    pub value: Vec<u8>,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Action {
    /// Id and names.
    pub preamble: Preamble,
    /// Parameters that the control plane fills.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Param>,
}

/// Parameter of an action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Param {
    /// Unique in the action, from 1.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub id: u32,
    /// As in the program.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Width in bits; 0 for a string of a translated type.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub bitwidth: u32,
    /// From `@brief` and `@description`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<Documentation>,
    /// Set when the parameter has a type made by `type`.
    #[serde(alias = "type_name", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<NamedType>,
    /// Annotations of the form `@name[…]`.
    #[serde(
        alias = "structured_annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub structured_annotations: Vec<StructuredAnnotation>,
}

/// Action profile or selector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionProfile {
    /// Id and names.
    pub preamble: Preamble,
    /// Tables that share it.
    #[serde(
        alias = "table_ids",
        deserialize_with = "json::numbers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub table_ids: Vec<u32>,
    /// It has groups.
    #[serde(alias = "with_selector", skip_serializing_if = "json::is_default")]
    pub with_selector: bool,
    /// Members, or sum of weights.
    #[serde(with = "json::int64", skip_serializing_if = "json::zero64")]
    pub size: i64,
    /// Largest group, 0 when not limited.
    #[serde(
        alias = "max_group_size",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub max_group_size: u32,
    /// `size` and `max_group_size` count weights.
    #[serde(alias = "sum_of_weights", skip_serializing_if = "Option::is_none")]
    pub sum_of_weights: Option<Empty>,
    /// `size` and `max_group_size` count members.
    #[serde(alias = "sum_of_members", skip_serializing_if = "Option::is_none")]
    pub sum_of_members: Option<SumOfMembers>,
}

/// Selector whose sizes count members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SumOfMembers {
    /// Largest weight of a member, 0 when not limited.
    #[serde(
        alias = "max_member_weight",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub max_member_weight: u32,
}

/// Counter array.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counter {
    /// Id and names.
    pub preamble: Preamble,
    /// What is counted.
    pub spec: CounterSpec,
    /// Cells.
    #[serde(with = "json::int64", skip_serializing_if = "json::zero64")]
    pub size: i64,
    /// Set when the index has a type made by `type`.
    #[serde(alias = "index_type_name", skip_serializing_if = "Option::is_none")]
    pub index_type_name: Option<NamedType>,
}

/// Counter of each entry of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectCounter {
    /// Id and names.
    pub preamble: Preamble,
    /// What is counted.
    pub spec: CounterSpec,
    /// The table.
    #[serde(
        alias = "direct_table_id",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub direct_table_id: u32,
}

/// What a counter counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CounterSpec {
    /// Packets, bytes or both.
    #[serde(
        deserialize_with = "json::enumeration",
        skip_serializing_if = "json::is_default"
    )]
    pub unit: CounterUnit,
}

/// Meter array.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meter {
    /// Id and names.
    pub preamble: Preamble,
    /// What is measured.
    pub spec: MeterSpec,
    /// Cells.
    #[serde(with = "json::int64", skip_serializing_if = "json::zero64")]
    pub size: i64,
    /// Set when the index has a type made by `type`.
    #[serde(alias = "index_type_name", skip_serializing_if = "Option::is_none")]
    pub index_type_name: Option<NamedType>,
}

/// Meter of each entry of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectMeter {
    /// Id and names.
    pub preamble: Preamble,
    /// What is measured.
    pub spec: MeterSpec,
    /// The table.
    #[serde(
        alias = "direct_table_id",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub direct_table_id: u32,
}

/// What a meter measures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeterSpec {
    /// Packets or bytes.
    #[serde(
        deserialize_with = "json::enumeration",
        skip_serializing_if = "json::is_default"
    )]
    pub unit: MeterUnit,
    /// Rates and colours.
    #[serde(
        rename = "type",
        deserialize_with = "json::enumeration",
        skip_serializing_if = "json::is_default"
    )]
    pub kind: MeterKind,
}

/// Header of packets between controller and pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControllerPacketMetadata {
    /// Id and names; the name is `packet_in` or `packet_out`.
    pub preamble: Preamble,
    /// Fields of the header, in wire order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<Metadata>,
}

/// Field of a controller header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Unique in the header, from 1.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub id: u32,
    /// As in the program.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Width in bits.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub bitwidth: u32,
    /// Set when the field has a type made by `type`.
    #[serde(alias = "type_name", skip_serializing_if = "Option::is_none")]
    pub type_name: Option<NamedType>,
    /// Annotations of the form `@name[…]`.
    #[serde(
        alias = "structured_annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub structured_annotations: Vec<StructuredAnnotation>,
}

/// Parser value set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueSet {
    /// Id and names.
    pub preamble: Preamble,
    /// Fields of a member.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub match_fields: Vec<MatchField>,
    /// Members that fit.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub size: u32,
}

/// Register array.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Register {
    /// Id and names.
    pub preamble: Preamble,
    /// Type of a cell.
    #[serde(alias = "type_spec", skip_serializing_if = "Option::is_none")]
    pub type_spec: Option<DataTypeSpec>,
    /// Cells.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub size: u32,
    /// Set when the index has a type made by `type`.
    #[serde(alias = "index_type_name", skip_serializing_if = "Option::is_none")]
    pub index_type_name: Option<NamedType>,
}

/// Digest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Digest {
    /// Id and names.
    pub preamble: Preamble,
    /// Type of a message.
    #[serde(alias = "type_spec", skip_serializing_if = "Option::is_none")]
    pub type_spec: Option<DataTypeSpec>,
}
