//! bmv2 JSON, format 2.23: a program as `simple_switch` reads it and as the reference compiler
//! writes it. The meaning of each part is in behavioral-model's `docs/JSON_format.md`.
//!
//! The model keeps every part that has a meaning at run time, and source positions. References
//! between parts are names or ids, as in the file: whoever runs the program resolves them.

mod control;
mod expression;
mod headers;
mod load;
mod parser;

#[cfg(test)]
mod tests;

pub use control::*;
pub use expression::*;
pub use headers::*;
pub use load::LoadError;
pub use parser::*;

use serde::{Deserialize, Serialize};

/// Version that the compiler writes, major and minor.
pub const VERSION: [u32; 2] = [2, 23];

/// A whole program.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Program {
    /// Types of headers and of metadata.
    pub header_types: Vec<HeaderType>,
    /// Instances of headers and of metadata.
    pub headers: Vec<Header>,
    /// Header stacks.
    pub header_stacks: Vec<HeaderStack>,
    /// Types of header unions.
    pub header_union_types: Vec<HeaderUnionType>,
    /// Header unions.
    pub header_unions: Vec<HeaderUnion>,
    /// Stacks of header unions.
    pub header_union_stacks: Vec<HeaderUnionStack>,
    /// Fields that survive resubmit, recirculate and clone.
    pub field_lists: Vec<FieldList>,
    /// Error names and their numbers.
    pub errors: Vec<(String, u32)>,
    /// Enumerations without values.
    pub enums: Vec<Enumeration>,
    /// Parsers; v1model has one, `parser`.
    pub parsers: Vec<Parser>,
    /// Parser value sets.
    pub parse_vsets: Vec<ParseVset>,
    /// Deparsers; v1model has one, `deparser`.
    pub deparsers: Vec<Deparser>,
    /// Meter arrays.
    pub meter_arrays: Vec<MeterArray>,
    /// Counter arrays.
    pub counter_arrays: Vec<CounterArray>,
    /// Register arrays.
    pub register_arrays: Vec<RegisterArray>,
    /// Named inputs of hashes and checksums.
    pub calculations: Vec<Calculation>,
    /// Messages of digests.
    pub learn_lists: Vec<LearnList>,
    /// Actions.
    pub actions: Vec<Action>,
    /// Controls; v1model has `ingress` and `egress`.
    pub pipelines: Vec<Pipeline>,
    /// What is verified after parsing and updated before deparsing.
    pub checksums: Vec<Checksum>,
    /// Fields that must be kept as numbers.
    pub force_arith: Vec<FieldRef>,
    /// Instances of externs that are not built in.
    pub extern_instances: Vec<ExternInstance>,
    /// Names that the target expects, and the fields that have them.
    pub field_aliases: Vec<(String, FieldRef)>,
    /// Source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Version and compiler.
    #[serde(rename = "__meta__")]
    pub meta: Meta,
}

/// Version and compiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Format version, major and minor.
    pub version: [u32; 2],
    /// Who made the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
}

impl Default for Meta {
    fn default() -> Self {
        Meta {
            version: VERSION,
            compiler: None,
        }
    }
}

/// Where in the source something comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceInfo {
    /// File as given to the compiler.
    pub filename: String,
    /// From 1.
    pub line: u32,
    /// From 0 or 1, by compiler.
    pub column: u32,
    /// Beginning of the source text.
    pub source_fragment: String,
}

/// Enumeration without values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enumeration {
    /// Name in the source.
    pub name: String,
    /// Members and the numbers that stand for them.
    pub entries: Vec<(String, u32)>,
}

/// Meter array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterArray {
    /// Name.
    pub name: String,
    /// Unique among meter arrays.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// One for each entry of a table.
    #[serde(default)]
    pub is_direct: bool,
    /// The table of a direct meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// Cells; absent for a direct meter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Rates: 2 for two-rate three-colour.
    pub rate_count: u32,
    /// What is measured.
    #[serde(rename = "type")]
    pub kind: MeterKind,
    /// Where a direct meter puts the colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_target: Option<FieldRef>,
}

/// What a meter measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeterKind {
    /// Bytes.
    Bytes,
    /// Packets.
    Packets,
}

/// Counter array; counters count packets and bytes always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterArray {
    /// Name.
    pub name: String,
    /// Unique among counter arrays.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Cells; absent for a direct counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// One for each entry of a table.
    #[serde(default)]
    pub is_direct: bool,
    /// The table of a direct counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
}

/// Register array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterArray {
    /// Name.
    pub name: String,
    /// Unique among register arrays.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Cells.
    pub size: u32,
    /// Width of a cell, bits.
    pub bitwidth: u32,
}

/// A hash algorithm and what goes into it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calculation {
    /// Name.
    pub name: String,
    /// Unique among calculations.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// `csum16`, `crc16`, `crc32`, `identity` …
    pub algo: String,
    /// In order.
    pub input: Vec<CalculationInput>,
}

/// One part of the input of a calculation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalculationInput {
    /// Field, header, number or payload.
    #[serde(flatten)]
    pub value: Value,
    /// Width of a number, bits; set exactly for numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitwidth: Option<u32>,
}

/// A checksum field that is kept right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checksum {
    /// Name.
    pub name: String,
    /// Unique among checksums.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// The checksum field.
    pub target: FieldRef,
    /// Always `generic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the calculation.
    pub calculation: String,
    /// Compared after parsing.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Written before deparsing.
    #[serde(default = "yes")]
    pub update: bool,
    /// Only when this is true.
    #[serde(default)]
    pub if_cond: Option<Value>,
}

fn yes() -> bool {
    true
}

/// Message of a digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnList {
    /// Unique among learn lists.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Parts of the message, in order.
    pub elements: Vec<Value>,
}

/// Fields that survive resubmit, recirculate and clone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldList {
    /// Number that the primitives name it by.
    pub id: u32,
    /// Name.
    pub name: String,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// The fields.
    pub elements: Vec<Value>,
}

/// Instance of an extern that is not built in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternInstance {
    /// Name.
    pub name: String,
    /// Unique among extern instances.
    pub id: u32,
    /// Name of the extern type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Constructor arguments.
    #[serde(default)]
    pub attribute_values: Vec<ExternAttribute>,
}

/// Constructor argument of an extern instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternAttribute {
    /// Name of the parameter.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub value: Value,
}
