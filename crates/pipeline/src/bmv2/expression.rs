//! Values and expressions: parameters of primitives, conditions, keys.

use serde::{Deserialize, Serialize};

use super::{FieldRef, SourceInfo};

/// The type-value object of the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// Field of a header or of metadata. The field `$valid$` is the header's validity.
    Field(FieldRef),
    /// Number: `0x…`, big-endian, may begin with `-`.
    Hexstr(String),
    /// Truth value.
    Bool(bool),
    /// Header instance.
    Header(String),
    /// Header stack.
    HeaderStack(String),
    /// Header union.
    HeaderUnion(String),
    /// Stack of header unions.
    HeaderUnionStack(String),
    /// Calculation.
    Calculation(String),
    /// Register array.
    RegisterArray(String),
    /// Meter array.
    MeterArray(String),
    /// Counter array.
    CounterArray(String),
    /// Instance of an extern that is not built in.
    Extern(String),
    /// Text.
    String(String),
    /// Parser only: bits that lie `.0` bits ahead, `.1` bits wide.
    Lookahead([u32; 2]),
    /// Cell of a register array.
    Register((String, Box<Value>)),
    /// Field of the last extracted header of a stack.
    StackField(FieldRef),
    /// Stack, member, field: of the last valid union of a stack.
    UnionStackField([String; 3]),
    /// Parameter of the action, by position; as operand of an expression.
    Local(u32),
    /// Parameter of the action, by position; as argument of a primitive.
    RuntimeData(u32),
    /// Computed.
    Expression(Box<Expression>),
    /// Several values as one argument.
    ParametersVector(Vec<Value>),
    /// Extract: a header.
    Regular(String),
    /// Extract: the next header of a stack.
    Stack(String),
    /// Extract: a member of the next union of a stack.
    UnionStack([String; 2]),
    /// Calculation: everything after the last header of the input.
    Payload(Option<String>),
}

/// What a value of type `expression` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expression {
    /// An operation.
    Operation(Operation),
    /// Another value; compilers wrap values more than once.
    Value(Value),
}

/// Operator and operands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// `+`, `==`, `and`, `d2b`, `?`, `access_field` … as in the format's list.
    pub op: String,
    /// Left operand; absent for a unary operator.
    #[serde(default)]
    pub left: Option<Operand>,
    /// Right operand.
    #[serde(default)]
    pub right: Option<Operand>,
    /// Condition of `?`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cond: Option<Value>,
}

/// Operand of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Operand {
    /// A value.
    Value(Value),
    /// Position of a field or union member (`access_field`, `access_union_header`).
    Index(u32),
}

/// A step of an action, or of a parser state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Primitive {
    /// Name.
    pub op: String,
    /// Arguments.
    pub parameters: Vec<Value>,
    /// Position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
}

impl Value {
    /// An operation of two operands as a value.
    pub fn binary(op: &str, left: Value, right: Value) -> Value {
        Value::operation(op, Some(left), right)
    }

    /// An operation of one operand as a value.
    pub fn unary(op: &str, right: Value) -> Value {
        Value::operation(op, None, right)
    }

    /// `condition ? yes : no` as a value.
    pub fn choice(condition: Value, yes: Value, no: Value) -> Value {
        Value::Expression(Box::new(Expression::Operation(Operation {
            op: "?".to_owned(),
            left: Some(Operand::Value(yes)),
            right: Some(Operand::Value(no)),
            cond: Some(condition),
        })))
    }

    fn operation(op: &str, left: Option<Value>, right: Value) -> Value {
        Value::Expression(Box::new(Expression::Operation(Operation {
            op: op.to_owned(),
            left: left.map(Operand::Value),
            right: Some(Operand::Value(right)),
            cond: None,
        })))
    }

    /// The value in one more layer of `expression`, as some primitives want their arguments.
    pub fn wrapped(self) -> Value {
        Value::Expression(Box::new(Expression::Value(self)))
    }
}
