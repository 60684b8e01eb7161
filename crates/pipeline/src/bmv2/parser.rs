//! Parsers and deparsers.

use serde::{Deserialize, Serialize};

use super::{Primitive, SourceInfo, Value};

/// A parser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parser {
    /// Name.
    pub name: String,
    /// Unique among parsers.
    pub id: u32,
    /// Name of the first state.
    pub init_state: String,
    /// States.
    pub parse_states: Vec<ParseState>,
}

/// State of a parser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParseState {
    /// Name.
    pub name: String,
    /// Unique among the states of all parsers.
    pub id: u32,
    /// Steps, in order.
    pub parser_ops: Vec<ParserOp>,
    /// The first that matches wins; none: the packet is done with error `NoMatch`.
    pub transitions: Vec<Transition>,
    /// Values that transitions compare, concatenated, each padded to whole bytes.
    pub transition_key: Vec<Value>,
}

/// Step of a parser state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParserOp {
    /// `extract`, `extract_VL`, `set`, `verify`, `shift`, `advance` or `primitive`.
    pub op: String,
    /// Arguments, by kind of step.
    pub parameters: Vec<ParserParameter>,
}

/// Argument of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParserParameter {
    /// The only argument of `primitive`.
    Primitive(Primitive),
    /// Any other.
    Value(Value),
    /// Bytes, of `shift`.
    Bytes(u32),
}

/// Transition of a parser state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// What `value` is.
    #[serde(rename = "type")]
    pub kind: TransitionKind,
    /// Number as wide as the padded key, or name of a value set.
    pub value: Option<String>,
    /// Bits of the key that count.
    pub mask: Option<String>,
    /// `None`: accept.
    pub next_state: Option<String>,
}

/// Kind of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// Always taken.
    Default,
    /// Compared with a number.
    Hexstr,
    /// Looked up in a value set.
    ParseVset,
}

/// Parser value set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParseVset {
    /// Name.
    pub name: String,
    /// Unique among value sets.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Width of a member without padding, bits.
    pub compressed_bitwidth: u32,
    /// Members that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u32>,
}

/// A deparser: the order in which valid headers are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deparser {
    /// Name.
    pub name: String,
    /// Unique among deparsers.
    pub id: u32,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Names of headers.
    pub order: Vec<String>,
    /// Steps before writing.
    #[serde(default)]
    pub primitives: Vec<Primitive>,
}
