//! Enumerations of P4Info, documentation and annotations, and the type descriptions of
//! `p4types.proto`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json;

/// A message without fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Declares an enumeration with its protobuf names and numbers.
macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant = $number,)* }

        impl json::Enumeration for $name {
            const VARIANTS: &'static [(&'static str, i64, Self)] =
                &[$(($text, $number, $name::$variant),)*];
        }
    };
}

enumeration! {
    /// How a key field is matched.
    MatchType {
        /// Not a standard kind.
        #[default]
        Unspecified = 0 "UNSPECIFIED",
        /// Equal.
        Exact = 2 "EXACT",
        /// Longest prefix.
        Lpm = 3 "LPM",
        /// Value and mask.
        Ternary = 4 "TERNARY",
        /// From, to.
        Range = 5 "RANGE",
        /// Equal or anything.
        Optional = 6 "OPTIONAL",
    }
}

enumeration! {
    /// Where a table may use an action.
    Scope {
        /// Everywhere.
        #[default]
        TableAndDefault = 0 "TABLE_AND_DEFAULT",
        /// Entries only (`@tableonly`).
        TableOnly = 1 "TABLE_ONLY",
        /// Default entry only (`@defaultonly`).
        DefaultOnly = 2 "DEFAULT_ONLY",
        /// Selection of a group only.
        GroupAction = 3 "GROUP_ACTION",
    }
}

enumeration! {
    /// Whether entries of a table age.
    IdleTimeoutBehavior {
        /// They do not.
        #[default]
        NoTimeout = 0 "NO_TIMEOUT",
        /// The controller is told.
        NotifyControl = 1 "NOTIFY_CONTROL",
    }
}

enumeration! {
    /// What a counter counts.
    CounterUnit {
        /// Not said.
        #[default]
        Unspecified = 0 "UNSPECIFIED",
        /// Bytes.
        Bytes = 1 "BYTES",
        /// Packets.
        Packets = 2 "PACKETS",
        /// Both.
        Both = 3 "BOTH",
    }
}

enumeration! {
    /// What a meter measures.
    MeterUnit {
        /// Not said.
        #[default]
        Unspecified = 0 "UNSPECIFIED",
        /// Bytes.
        Bytes = 1 "BYTES",
        /// Packets.
        Packets = 2 "PACKETS",
    }
}

enumeration! {
    /// How a meter colours.
    MeterKind {
        /// RFC 2698.
        #[default]
        TwoRateThreeColor = 0 "TWO_RATE_THREE_COLOR",
        /// RFC 2697.
        SingleRateThreeColor = 1 "SINGLE_RATE_THREE_COLOR",
        /// One rate, green and red.
        SingleRateTwoColor = 2 "SINGLE_RATE_TWO_COLOR",
    }
}

/// What the package says of itself, from `@pkginfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PkgInfo {
    /// Name of the program.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// From `@brief` and `@description`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<Documentation>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
    /// Architecture: `v1model`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arch: String,
    /// Who made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub organization: String,
    /// Whom to ask.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact: String,
    /// Where to read more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Annotations of the form `@name[…]`.
    #[serde(
        alias = "structured_annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub structured_annotations: Vec<StructuredAnnotation>,
}

/// From `@brief` and `@description`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Documentation {
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub brief: String,
    /// More of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Annotation of the form `@name[…]`; at most one of the two lists is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StructuredAnnotation {
    /// Without the `@`.
    pub name: String,
    /// `@name[a, b]`.
    #[serde(alias = "expression_list", skip_serializing_if = "Option::is_none")]
    pub expression_list: Option<ExpressionList>,
    /// `@name[a = 1]`.
    #[serde(alias = "kv_pair_list", skip_serializing_if = "Option::is_none")]
    pub kv_pair_list: Option<KeyValuePairList>,
}

/// Values of an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpressionList {
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
}

/// Named values of an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyValuePairList {
    /// In order.
    #[serde(alias = "kv_pairs", skip_serializing_if = "Vec::is_empty")]
    pub kv_pairs: Vec<KeyValuePair>,
}

/// Named value of an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyValuePair {
    /// Name.
    pub key: String,
    /// Value.
    pub value: Expression,
}

/// Value in an annotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expression {
    /// Text.
    #[serde(alias = "string_value")]
    StringValue(String),
    /// Number.
    #[serde(alias = "int64_value", with = "json::int64")]
    Int64Value(i64),
    /// Truth value.
    #[serde(alias = "bool_value")]
    BoolValue(bool),
}

impl Default for Expression {
    fn default() -> Self {
        Expression::StringValue(String::new())
    }
}

/// Reference to a type in [`TypeInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedType {
    /// Name of the type.
    pub name: String,
}

/// The program's own types that its control plane meets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TypeInfo {
    /// Structures.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub structs: BTreeMap<String, StructSpec>,
    /// Headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderSpec>,
    /// Header unions.
    #[serde(alias = "header_unions", skip_serializing_if = "BTreeMap::is_empty")]
    pub header_unions: BTreeMap<String, HeaderUnionSpec>,
    /// Enumerations without values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub enums: BTreeMap<String, EnumSpec>,
    /// The `error` type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorSpec>,
    /// Enumerations whose members have values on the wire.
    #[serde(
        alias = "serializable_enums",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub serializable_enums: BTreeMap<String, SerializableEnumSpec>,
    /// Types made by `type`.
    #[serde(alias = "new_types", skip_serializing_if = "BTreeMap::is_empty")]
    pub new_types: BTreeMap<String, NewTypeSpec>,
}

/// Any type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DataTypeSpec {
    /// `bit`, `int`, `varbit`.
    Bitstring(BitstringSpec),
    /// `bool`.
    Bool(Empty),
    /// `tuple`.
    Tuple(TupleSpec),
    /// Structure.
    Struct(NamedType),
    /// Header.
    Header(NamedType),
    /// Header union.
    #[serde(alias = "header_union")]
    HeaderUnion(NamedType),
    /// Header stack.
    #[serde(alias = "header_stack")]
    HeaderStack(HeaderStackSpec),
    /// Stack of header unions.
    #[serde(alias = "header_union_stack")]
    HeaderUnionStack(HeaderUnionStackSpec),
    /// Enumeration.
    Enum(NamedType),
    /// `error`.
    Error(Empty),
    /// Serializable enumeration.
    #[serde(alias = "serializable_enum")]
    SerializableEnum(NamedType),
    /// Type made by `type`.
    #[serde(alias = "new_type")]
    NewType(NamedType),
}

/// A type that is a string of bits; exactly one of the first three is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BitstringSpec {
    /// `bit<W>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit: Option<BitSpec>,
    /// `int<W>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int: Option<BitSpec>,
    /// `varbit<W>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub varbit: Option<VarbitSpec>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

impl BitstringSpec {
    /// Width in bits, the largest one for `varbit`.
    pub fn width(&self) -> u32 {
        let fixed = self.bit.as_ref().or(self.int.as_ref());
        let varying = self.varbit.as_ref().map_or(0, |v| v.max_bitwidth);
        fixed.map_or(varying, |f| f.bitwidth)
    }
}

/// Width of `bit` or `int`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BitSpec {
    /// Bits.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub bitwidth: u32,
}

/// Width of `varbit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VarbitSpec {
    /// Largest number of bits.
    #[serde(
        alias = "max_bitwidth",
        deserialize_with = "json::number",
        skip_serializing_if = "json::zero"
    )]
    pub max_bitwidth: u32,
}

/// Tuple.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TupleSpec {
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<DataTypeSpec>,
}

/// Header stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderStackSpec {
    /// Type of an element.
    pub header: NamedType,
    /// Elements.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub size: u32,
}

/// Stack of header unions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderUnionStackSpec {
    /// Type of an element.
    #[serde(alias = "header_union")]
    pub header_union: NamedType,
    /// Elements.
    #[serde(deserialize_with = "json::number", skip_serializing_if = "json::zero")]
    pub size: u32,
}

/// Structure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StructSpec {
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<StructMember>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// Member of a structure.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StructMember {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(alias = "type_spec", skip_serializing_if = "Option::is_none")]
    pub type_spec: Option<DataTypeSpec>,
}

/// Header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderSpec {
    /// In wire order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<HeaderMember>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// Field of a header.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderMember {
    /// Name.
    pub name: String,
    /// Type.
    #[serde(alias = "type_spec", skip_serializing_if = "Option::is_none")]
    pub type_spec: Option<BitstringSpec>,
}

/// Header union.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderUnionSpec {
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<HeaderUnionMember>,
}

/// Member of a header union.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderUnionMember {
    /// Name.
    pub name: String,
    /// Its header type.
    pub header: NamedType,
}

/// Enumeration without values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnumSpec {
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<EnumMember>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// Member of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EnumMember {
    /// Name.
    pub name: String,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// The `error` type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorSpec {
    /// Names, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// Enumeration whose members have values on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SerializableEnumSpec {
    /// Type on the wire.
    #[serde(alias = "underlying_type", skip_serializing_if = "Option::is_none")]
    pub underlying_type: Option<BitSpec>,
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<SerializableEnumMember>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

impl SerializableEnumSpec {
    /// Name of the member with this value; leading zeros do not count.
    pub fn name_of(&self, value: &[u8]) -> Option<&str> {
        let wanted = crate::entity::canonical(value);
        let member = self
            .members
            .iter()
            .find(|m| crate::entity::canonical(&m.value) == wanted)?;
        Some(&member.name)
    }

    /// Value of the member with this name, canonical.
    pub fn value_of(&self, name: &str) -> Option<&[u8]> {
        let member = self.members.iter().find(|m| m.name == name)?;
        Some(crate::entity::canonical(&member.value))
    }
}

/// Member of a serializable enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SerializableEnumMember {
    /// Name.
    pub name: String,
    /// Big-endian value.
    #[serde(with = "json::bytes", skip_serializing_if = "Vec::is_empty")]
    pub value: Vec<u8>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// Type made by `type`; exactly one of the first two is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NewTypeSpec {
    /// The type it was made from.
    #[serde(alias = "original_type", skip_serializing_if = "Option::is_none")]
    pub original_type: Option<DataTypeSpec>,
    /// What `@p4runtime_translation` says.
    #[serde(alias = "translated_type", skip_serializing_if = "Option::is_none")]
    pub translated_type: Option<TranslationSpec>,
    /// Annotations as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

/// How a controller sees values of a translated type; exactly one of the last two is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TranslationSpec {
    /// Names the translation.
    pub uri: String,
    /// As a number of this width.
    #[serde(alias = "sdn_bitwidth", skip_serializing_if = "Option::is_none")]
    pub sdn_bitwidth: Option<u32>,
    /// As a string.
    #[serde(alias = "sdn_string", skip_serializing_if = "Option::is_none")]
    pub sdn_string: Option<Empty>,
}
