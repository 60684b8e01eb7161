//! Header types and instances.

use serde::{Deserialize, Serialize};

use super::Value;

/// Name of a header instance and name of its field.
pub type FieldRef = [String; 2];

/// Type of a header or of metadata.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HeaderType {
    /// Name in the source.
    pub name: String,
    /// Unique among header types.
    pub id: u32,
    /// In wire order.
    pub fields: Vec<FieldType>,
    /// Bits of the varying field, of P4_14 programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_exp: Option<Value>,
    /// Largest size in bytes, of a type with a varying field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
}

/// Field of a header type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FieldTuple", into = "FieldTuple")]
pub struct FieldType {
    /// Name.
    pub name: String,
    /// Bits; `None` for a varying field.
    pub width: Option<u32>,
    /// Two's complement.
    pub signed: bool,
}

/// The forms of a field in the file: `[name, width]`, `[name, width, signed]`, width may be `"*"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FieldTuple {
    Signed(String, FieldWidth, bool),
    Unsigned(String, FieldWidth),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FieldWidth {
    Fixed(u32),
    Varying(Star),
}

#[derive(Serialize, Deserialize)]
enum Star {
    #[serde(rename = "*")]
    Star,
}

impl From<FieldTuple> for FieldType {
    fn from(tuple: FieldTuple) -> Self {
        let (name, width, signed) = match tuple {
            FieldTuple::Signed(name, width, signed) => (name, width, signed),
            FieldTuple::Unsigned(name, width) => (name, width, false),
        };
        let width = match width {
            FieldWidth::Fixed(bits) => Some(bits),
            FieldWidth::Varying(_) => None,
        };
        FieldType {
            name,
            width,
            signed,
        }
    }
}

impl From<FieldType> for FieldTuple {
    fn from(field: FieldType) -> Self {
        match field.width {
            Some(bits) => FieldTuple::Signed(field.name, FieldWidth::Fixed(bits), field.signed),
            None => FieldTuple::Unsigned(field.name, FieldWidth::Varying(Star::Star)),
        }
    }
}

/// Instance of a header or of metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Header {
    /// Name that field references use.
    pub name: String,
    /// Unique among headers.
    pub id: u32,
    /// Name of its type.
    pub header_type: String,
    /// Always valid, never on the wire.
    pub metadata: bool,
    /// Not for P4Runtime servers.
    #[serde(default)]
    pub pi_omit: bool,
}

/// Header stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderStack {
    /// Name.
    pub name: String,
    /// Unique among stacks.
    pub id: u32,
    /// Name of the type of its elements.
    pub header_type: String,
    /// Elements: size of the stack, in bmv2's P4_14 form of the file only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Ids of its headers, first to last.
    pub header_ids: Vec<u32>,
}

/// Type of a header union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderUnionType {
    /// Name in the source.
    pub name: String,
    /// Unique among union types.
    pub id: u32,
    /// Member names and their header types.
    pub headers: Vec<(String, String)>,
}

/// Header union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderUnion {
    /// Name.
    pub name: String,
    /// Unique among unions.
    pub id: u32,
    /// Name of its type.
    pub union_type: String,
    /// Ids of the headers of its members, in the order of the type.
    pub header_ids: Vec<u32>,
    /// Not for P4Runtime servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pi_omit: Option<bool>,
}

/// Stack of header unions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderUnionStack {
    /// Name.
    pub name: String,
    /// Unique among union stacks.
    pub id: u32,
    /// Name of the type of its elements.
    pub union_type: String,
    /// Ids of its unions, first to last.
    pub header_union_ids: Vec<u32>,
}
