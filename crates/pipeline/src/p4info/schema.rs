//! Shapes of the protobuf messages: what the text and binary forms need and JSON does not say.
//! Field numbers are those of `p4info.proto` and `p4types.proto`.

/// Type of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// `uint32`, `int32` as a JSON number.
    Number,
    /// `int64` as a JSON string.
    Long,
    /// `bool`.
    Bool,
    /// `string`.
    Text,
    /// `bytes`, base64 in JSON.
    Bytes,
    /// Enumeration: names and numbers.
    Enum(&'static [(&'static str, i64)]),
    /// Another message.
    Message(&'static [Field]),
    /// The message that describes a type, which may hold itself.
    DataType,
    /// `map<string, message>`: a JSON object.
    Map(&'static [Field]),
}

impl Kind {
    /// The fields of a message.
    pub(super) fn message(self) -> Option<&'static [Field]> {
        match self {
            Kind::Message(shape) => Some(shape),
            Kind::DataType => Some(DATA_TYPE),
            _ => None,
        }
    }
}

/// Field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// Name in the protobuf definition.
    pub(super) name: &'static str,
    /// Name in JSON.
    pub(super) json: &'static str,
    /// Number on the wire.
    pub(super) number: u32,
    /// A list.
    pub(super) repeated: bool,
    /// Type.
    pub(super) kind: Kind,
}

const fn one(name: &'static str, json: &'static str, number: u32, kind: Kind) -> Field {
    Field {
        name,
        json,
        number,
        repeated: false,
        kind,
    }
}

const fn many(name: &'static str, json: &'static str, number: u32, kind: Kind) -> Field {
    Field {
        name,
        json,
        number,
        repeated: true,
        kind,
    }
}

use Kind::{Bool, Bytes, DataType, Enum, Long, Map, Message, Number, Text};

/// The root: `p4.config.v1.P4Info`.
pub(super) static P4INFO: &[Field] = &[
    one("pkg_info", "pkgInfo", 1, Message(PKG_INFO)),
    many("tables", "tables", 2, Message(TABLE)),
    many("actions", "actions", 3, Message(ACTION)),
    many("action_profiles", "actionProfiles", 4, Message(PROFILE)),
    many("counters", "counters", 5, Message(COUNTER)),
    many(
        "direct_counters",
        "directCounters",
        6,
        Message(DIRECT_COUNTER),
    ),
    many("meters", "meters", 7, Message(METER)),
    many("direct_meters", "directMeters", 8, Message(DIRECT_METER)),
    many(
        "controller_packet_metadata",
        "controllerPacketMetadata",
        9,
        Message(CONTROLLER_HEADER),
    ),
    many("value_sets", "valueSets", 10, Message(VALUE_SET)),
    many("registers", "registers", 11, Message(REGISTER)),
    many("digests", "digests", 12, Message(DIGEST)),
    one("type_info", "typeInfo", 200, Message(TYPE_INFO)),
];

static PKG_INFO: &[Field] = &[
    one("name", "name", 1, Text),
    one("version", "version", 2, Text),
    one("doc", "doc", 3, Message(DOCUMENTATION)),
    many("annotations", "annotations", 4, Text),
    one("arch", "arch", 5, Text),
    one("organization", "organization", 6, Text),
    one("contact", "contact", 7, Text),
    one("url", "url", 8, Text),
    STRUCTURED_9,
];

static DOCUMENTATION: &[Field] = &[
    one("brief", "brief", 1, Text),
    one("description", "description", 2, Text),
];

const fn structured(number: u32) -> Field {
    many(
        "structured_annotations",
        "structuredAnnotations",
        number,
        Message(STRUCTURED),
    )
}

const STRUCTURED_9: Field = structured(9);

static STRUCTURED: &[Field] = &[
    one("name", "name", 1, Text),
    one(
        "expression_list",
        "expressionList",
        2,
        Message(EXPRESSION_LIST),
    ),
    one("kv_pair_list", "kvPairList", 3, Message(KV_PAIR_LIST)),
];

static EXPRESSION_LIST: &[Field] = &[many("expressions", "expressions", 1, Message(EXPRESSION))];
static KV_PAIR_LIST: &[Field] = &[many("kv_pairs", "kvPairs", 1, Message(KV_PAIR))];
static KV_PAIR: &[Field] = &[
    one("key", "key", 1, Text),
    one("value", "value", 2, Message(EXPRESSION)),
];
static EXPRESSION: &[Field] = &[
    one("string_value", "stringValue", 1, Text),
    one("int64_value", "int64Value", 2, Long),
    one("bool_value", "boolValue", 3, Bool),
];

static PREAMBLE: &[Field] = &[
    one("id", "id", 1, Number),
    one("name", "name", 2, Text),
    one("alias", "alias", 3, Text),
    many("annotations", "annotations", 4, Text),
    one("doc", "doc", 5, Message(DOCUMENTATION)),
    structured(6),
];

const fn preamble() -> Field {
    one("preamble", "preamble", 1, Message(PREAMBLE))
}

static TABLE: &[Field] = &[
    preamble(),
    many("match_fields", "matchFields", 2, Message(MATCH_FIELD)),
    many("action_refs", "actionRefs", 3, Message(ACTION_REF)),
    one("const_default_action_id", "constDefaultActionId", 4, Number),
    one(
        "initial_default_action",
        "initialDefaultAction",
        5,
        Message(ACTION_CALL),
    ),
    one("implementation_id", "implementationId", 6, Number),
    many("direct_resource_ids", "directResourceIds", 7, Number),
    one("size", "size", 8, Long),
    one(
        "idle_timeout_behavior",
        "idleTimeoutBehavior",
        9,
        Enum(&[("NO_TIMEOUT", 0), ("NOTIFY_CONTROL", 1)]),
    ),
    one("is_const_table", "isConstTable", 10, Bool),
    one("has_initial_entries", "hasInitialEntries", 11, Bool),
];

static MATCH_FIELD: &[Field] = &[
    one("id", "id", 1, Number),
    one("name", "name", 2, Text),
    many("annotations", "annotations", 3, Text),
    one("bitwidth", "bitwidth", 4, Number),
    one(
        "match_type",
        "matchType",
        5,
        Enum(&[
            ("UNSPECIFIED", 0),
            ("EXACT", 2),
            ("LPM", 3),
            ("TERNARY", 4),
            ("RANGE", 5),
            ("OPTIONAL", 6),
        ]),
    ),
    one("doc", "doc", 6, Message(DOCUMENTATION)),
    one("other_match_type", "otherMatchType", 7, Text),
    one("type_name", "typeName", 8, Message(NAMED_TYPE)),
    STRUCTURED_9,
];

static NAMED_TYPE: &[Field] = &[one("name", "name", 1, Text)];

static ACTION_REF: &[Field] = &[
    one("id", "id", 1, Number),
    many("annotations", "annotations", 2, Text),
    one(
        "scope",
        "scope",
        3,
        Enum(&[
            ("TABLE_AND_DEFAULT", 0),
            ("TABLE_ONLY", 1),
            ("DEFAULT_ONLY", 2),
            ("GROUP_ACTION", 3),
        ]),
    ),
    structured(4),
];

static ACTION_CALL: &[Field] = &[
    one("action_id", "actionId", 1, Number),
    many("arguments", "arguments", 2, Message(ARGUMENT)),
];

static ARGUMENT: &[Field] = &[
    one("param_id", "paramId", 1, Number),
    one("value", "value", 2, Bytes),
];

static ACTION: &[Field] = &[preamble(), many("params", "params", 2, Message(PARAM))];

static PARAM: &[Field] = &[
    one("id", "id", 1, Number),
    one("name", "name", 2, Text),
    many("annotations", "annotations", 3, Text),
    one("bitwidth", "bitwidth", 4, Number),
    one("doc", "doc", 5, Message(DOCUMENTATION)),
    one("type_name", "typeName", 6, Message(NAMED_TYPE)),
    structured(7),
];

static PROFILE: &[Field] = &[
    preamble(),
    many("table_ids", "tableIds", 2, Number),
    one("with_selector", "withSelector", 3, Bool),
    one("size", "size", 4, Long),
    one("max_group_size", "maxGroupSize", 5, Number),
    one("sum_of_weights", "sumOfWeights", 6, Message(&[])),
    one("sum_of_members", "sumOfMembers", 7, Message(SUM_OF_MEMBERS)),
];

static SUM_OF_MEMBERS: &[Field] = &[one("max_member_weight", "maxMemberWeight", 1, Number)];

static COUNTER: &[Field] = &[
    preamble(),
    one("spec", "spec", 2, Message(COUNTER_SPEC)),
    one("size", "size", 3, Long),
    one("index_type_name", "indexTypeName", 4, Message(NAMED_TYPE)),
];

static DIRECT_COUNTER: &[Field] = &[
    preamble(),
    one("spec", "spec", 2, Message(COUNTER_SPEC)),
    one("direct_table_id", "directTableId", 3, Number),
];

static COUNTER_SPEC: &[Field] = &[one(
    "unit",
    "unit",
    1,
    Enum(&[
        ("UNSPECIFIED", 0),
        ("BYTES", 1),
        ("PACKETS", 2),
        ("BOTH", 3),
    ]),
)];

static METER: &[Field] = &[
    preamble(),
    one("spec", "spec", 2, Message(METER_SPEC)),
    one("size", "size", 3, Long),
    one("index_type_name", "indexTypeName", 4, Message(NAMED_TYPE)),
];

static DIRECT_METER: &[Field] = &[
    preamble(),
    one("spec", "spec", 2, Message(METER_SPEC)),
    one("direct_table_id", "directTableId", 3, Number),
];

static METER_SPEC: &[Field] = &[
    one(
        "unit",
        "unit",
        1,
        Enum(&[("UNSPECIFIED", 0), ("BYTES", 1), ("PACKETS", 2)]),
    ),
    one(
        "type",
        "type",
        2,
        Enum(&[
            ("TWO_RATE_THREE_COLOR", 0),
            ("SINGLE_RATE_THREE_COLOR", 1),
            ("SINGLE_RATE_TWO_COLOR", 2),
        ]),
    ),
];

static CONTROLLER_HEADER: &[Field] = &[
    preamble(),
    many("metadata", "metadata", 2, Message(METADATA)),
];

static METADATA: &[Field] = &[
    one("id", "id", 1, Number),
    one("name", "name", 2, Text),
    many("annotations", "annotations", 3, Text),
    one("bitwidth", "bitwidth", 4, Number),
    one("type_name", "typeName", 5, Message(NAMED_TYPE)),
    structured(6),
];

static VALUE_SET: &[Field] = &[
    preamble(),
    many("match", "match", 2, Message(MATCH_FIELD)),
    one("size", "size", 3, Number),
];

static REGISTER: &[Field] = &[
    preamble(),
    one("type_spec", "typeSpec", 2, DataType),
    one("size", "size", 3, Number),
    one("index_type_name", "indexTypeName", 4, Message(NAMED_TYPE)),
];

static DIGEST: &[Field] = &[preamble(), one("type_spec", "typeSpec", 2, DataType)];

static TYPE_INFO: &[Field] = &[
    one("structs", "structs", 1, Map(STRUCT)),
    one("headers", "headers", 2, Map(HEADER)),
    one("header_unions", "headerUnions", 3, Map(UNION)),
    one("enums", "enums", 4, Map(ENUM)),
    one("error", "error", 5, Message(ERROR)),
    one(
        "serializable_enums",
        "serializableEnums",
        6,
        Map(SERIALIZABLE_ENUM),
    ),
    one("new_types", "newTypes", 7, Map(NEW_TYPE)),
];

static DATA_TYPE: &[Field] = &[
    one("bitstring", "bitstring", 1, Message(BITSTRING)),
    one("bool", "bool", 2, Message(&[])),
    one("tuple", "tuple", 3, Message(TUPLE)),
    one("struct", "struct", 4, Message(NAMED_TYPE)),
    one("header", "header", 5, Message(NAMED_TYPE)),
    one("header_union", "headerUnion", 6, Message(NAMED_TYPE)),
    one("header_stack", "headerStack", 7, Message(STACK)),
    one(
        "header_union_stack",
        "headerUnionStack",
        8,
        Message(UNION_STACK),
    ),
    one("enum", "enum", 9, Message(NAMED_TYPE)),
    one("error", "error", 10, Message(&[])),
    one(
        "serializable_enum",
        "serializableEnum",
        11,
        Message(NAMED_TYPE),
    ),
    one("new_type", "newType", 12, Message(NAMED_TYPE)),
];

static BITSTRING: &[Field] = &[
    one("bit", "bit", 1, Message(BIT)),
    one("int", "int", 2, Message(BIT)),
    one("varbit", "varbit", 3, Message(VARBIT)),
    many("annotations", "annotations", 4, Text),
];

static BIT: &[Field] = &[one("bitwidth", "bitwidth", 1, Number)];
static VARBIT: &[Field] = &[one("max_bitwidth", "maxBitwidth", 1, Number)];
static TUPLE: &[Field] = &[many("members", "members", 1, DataType)];

static STACK: &[Field] = &[
    one("header", "header", 1, Message(NAMED_TYPE)),
    one("size", "size", 2, Number),
];

static UNION_STACK: &[Field] = &[
    one("header_union", "headerUnion", 1, Message(NAMED_TYPE)),
    one("size", "size", 2, Number),
];

static STRUCT: &[Field] = &[
    many("members", "members", 1, Message(STRUCT_MEMBER)),
    many("annotations", "annotations", 2, Text),
];

static STRUCT_MEMBER: &[Field] = &[
    one("name", "name", 1, Text),
    one("type_spec", "typeSpec", 2, DataType),
];

static HEADER: &[Field] = &[
    many("members", "members", 1, Message(HEADER_MEMBER)),
    many("annotations", "annotations", 2, Text),
];

static HEADER_MEMBER: &[Field] = &[
    one("name", "name", 1, Text),
    one("type_spec", "typeSpec", 2, Message(BITSTRING)),
];

static UNION: &[Field] = &[many("members", "members", 1, Message(UNION_MEMBER))];

static UNION_MEMBER: &[Field] = &[
    one("name", "name", 1, Text),
    one("header", "header", 2, Message(NAMED_TYPE)),
];

static ENUM: &[Field] = &[
    many("members", "members", 1, Message(ENUM_MEMBER)),
    many("annotations", "annotations", 2, Text),
];

static ENUM_MEMBER: &[Field] = &[
    one("name", "name", 1, Text),
    many("annotations", "annotations", 2, Text),
];

static ERROR: &[Field] = &[many("members", "members", 1, Text)];

static SERIALIZABLE_ENUM: &[Field] = &[
    one("underlying_type", "underlyingType", 1, Message(BIT)),
    many("members", "members", 2, Message(SERIALIZABLE_MEMBER)),
    many("annotations", "annotations", 3, Text),
];

static SERIALIZABLE_MEMBER: &[Field] = &[
    one("name", "name", 1, Text),
    one("value", "value", 2, Bytes),
    many("annotations", "annotations", 3, Text),
];

static NEW_TYPE: &[Field] = &[
    one("original_type", "originalType", 1, DataType),
    one("translated_type", "translatedType", 2, Message(TRANSLATION)),
    many("annotations", "annotations", 3, Text),
];

static TRANSLATION: &[Field] = &[
    one("uri", "uri", 1, Text),
    one("sdn_bitwidth", "sdnBitwidth", 2, Number),
    one("sdn_string", "sdnString", 3, Message(&[])),
];
