//! The checked, compact form of a pipeline: what `load` makes of bmv2 JSON and what `exec` runs.
//!
//! Everything is an index or an offset; no name is looked up while a packet is processed (names
//! are kept for messages only). Whatever an index refers to exists: `load` checked it, so that
//! `exec` has no error to report for it.
//!
//! Numbers. bmv2 computes with unbounded signed integers and cuts to the field's width on
//! assignment. Here every expression was analysed when it was loaded: as long as 128 bits are
//! enough for the same result (see `load::range`) it is computed in `u128`, two's complement;
//! otherwise `Arith::wide` is set and it is computed with big integers.

use num_bigint::BigInt;

/// Index of a header instance, of metadata structs too.
pub(crate) type HeaderId = u16;
/// Index of a control-flow node of all pipelines together.
pub(crate) type NodeId = u32;

/// Where a value lies in a byte area: the packet header vector, or an action's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bits {
    /// First byte.
    pub(crate) at: u32,
    /// Number of bytes that hold bits of the value.
    pub(crate) bytes: u32,
    /// Bits of the last byte that are below the value.
    pub(crate) shift: u8,
    /// Width in bits.
    pub(crate) width: u32,
    /// Two's complement.
    pub(crate) signed: bool,
}

impl Bits {
    /// The value fills whole bytes.
    pub(crate) fn is_aligned(&self) -> bool {
        self.shift == 0 && self.width == self.bytes * 8
    }
}

/// A header or metadata instance.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    /// Name, for messages.
    pub(crate) name: String,
    /// Index of its type: instances of one type have the same fields in the same order.
    pub(crate) kind: u16,
    /// Metadata are always valid and never on the wire.
    pub(crate) metadata: bool,
    /// First byte in the packet header vector.
    pub(crate) at: u32,
    /// Bytes without the variable-length field.
    pub(crate) fixed_bytes: u32,
    /// Fields in order; the variable-length one has width 0.
    pub(crate) fields: Vec<Bits>,
    /// Variable-length field, if the type has one.
    pub(crate) varbit: Option<Varbit>,
    /// Other members of the header union it belongs to.
    pub(crate) rivals: Vec<HeaderId>,
}

/// The variable-length field of a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Varbit {
    /// Which field.
    pub(crate) field: u16,
    /// First byte of its room in the packet header vector.
    pub(crate) at: u32,
    /// Size of that room, bytes.
    pub(crate) max_bytes: u32,
    /// Where it begins in the header, bits.
    pub(crate) offset_bits: u32,
}

/// A header stack.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// Elements, first one first; never empty.
    pub(crate) headers: Vec<HeaderId>,
}

/// Names a header, possibly at run time.
#[derive(Debug, Clone)]
pub(crate) enum HeaderRef {
    /// This one.
    Fixed(HeaderId),
    /// Element of a stack; out of range means a header that is never valid.
    Element { stack: u16, index: Box<Arith> },
}

/// A value, with how to compute it.
#[derive(Debug, Clone)]
pub(crate) struct Arith {
    /// What.
    pub(crate) expr: Expr,
    /// 128 bits are not enough.
    pub(crate) wide: bool,
}

/// Operations on two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// By zero is zero.
    Div,
    /// By zero is zero.
    Mod,
    ShiftLeft,
    /// The left side is never negative.
    ShiftRight,
    /// The left side may be negative.
    ShiftRightSigned,
    And,
    Or,
    Xor,
}

/// Integer expressions.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// A signed 128-bit constant, two's complement.
    Const(u128),
    /// A constant from 2^127 to 2^128 − 1.
    BigUnsigned(u128),
    /// A constant that needs more than 128 bits.
    BigConst(Box<BigInt>),
    /// Field of the packet header vector.
    Field(Bits),
    /// Parameter of the running action.
    Param(Bits),
    /// 1 while the header is valid.
    Valid(HeaderId),
    /// Cell of a register array; 0 out of range.
    Register {
        register: u16,
        index: Box<Arith>,
    },
    /// Field of the newest element of a stack; 0 while it is empty.
    StackLast {
        stack: u16,
        field: u16,
    },
    /// Field of a header that is known at run time only.
    HeaderField {
        header: HeaderRef,
        field: u16,
    },
    /// Number of used elements, plus `add`.
    StackCount {
        stack: u16,
        add: i8,
    },
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// All bits inverted.
    Invert(Box<Expr>),
    /// Wraps to a signed width.
    SignedWrap(Box<Expr>, u32),
    /// Clamps to an unsigned width; `signed`: the value may be negative.
    ClampUnsigned {
        value: Box<Expr>,
        width: u32,
        signed: bool,
    },
    /// Clamps to a signed width.
    ClampSigned(Box<Expr>, u32),
    /// `cond ? a : b`.
    Choose(Box<BoolExpr>, Box<Expr>, Box<Expr>),
    /// 1 or 0.
    FromBool(Box<BoolExpr>),
}

/// Orders of two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// How two integers must be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompareAs {
    /// Neither is negative, both fit 128 bits.
    Unsigned,
    /// Both fit 128 bits with a sign.
    Signed,
    /// With big integers.
    Wide,
}

/// Truth expressions.
#[derive(Debug, Clone)]
pub(crate) enum BoolExpr {
    Const(bool),
    Compare {
        op: Compare,
        kind: CompareAs,
        left: Expr,
        right: Expr,
    },
    /// Both valid, and every field equal.
    SameHeader(HeaderRef, HeaderRef),
    /// Variable-length fields, compared as numbers, as on bmv2.
    SameVarbit(HeaderId, HeaderId),
    SameBool(Box<BoolExpr>, Box<BoolExpr>),
    And(Box<BoolExpr>, Box<BoolExpr>),
    Or(Box<BoolExpr>, Box<BoolExpr>),
    Not(Box<BoolExpr>),
    Valid(HeaderRef),
    /// One of these is valid.
    AnyValid(Vec<HeaderId>),
    /// Not zero.
    NotZero(Arith),
    Choose(Box<BoolExpr>, Box<BoolExpr>, Box<BoolExpr>),
}

/// What can be assigned to.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Field(Bits),
    /// Field of a header that is known at run time only; nowhere when out of range.
    HeaderField {
        header: HeaderRef,
        field: u16,
    },
    /// Field of the newest element of a stack; nowhere while it is empty.
    StackLast {
        stack: u16,
        field: u16,
    },
    /// Cell of a register array; nowhere when out of range.
    Register {
        register: u16,
        index: Arith,
    },
}

/// Which fields a copied packet keeps: list of (first byte, number of bytes) ranges of metadata.
pub(crate) type FieldList = Vec<Bits>;

/// Steps of actions.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Assign {
        to: Place,
        value: Arith,
    },
    /// Whole bytes, same number of them.
    CopyBytes {
        to: u32,
        from: u32,
        bytes: u32,
    },
    /// Variable-length field of one header to that of another.
    CopyVarbit {
        to: HeaderId,
        from: HeaderId,
    },
    CopyHeader {
        to: HeaderRef,
        from: HeaderRef,
    },
    CopyStack {
        to: u16,
        from: u16,
    },
    SetValid(HeaderRef),
    SetInvalid(HeaderRef),
    Push {
        stack: u16,
        count: Arith,
    },
    Pop {
        stack: u16,
        count: Arith,
    },
    MarkToDrop,
    Count {
        counter: u16,
        index: Arith,
    },
    RegisterRead {
        to: Place,
        register: u16,
        index: Arith,
    },
    RegisterWrite {
        register: u16,
        index: Arith,
        value: Arith,
    },
    Hash {
        to: Place,
        base: Arith,
        calculation: u16,
        size: Arith,
    },
    Random {
        to: Place,
        low: Arith,
        high: Arith,
    },
    /// Without a configuration a meter is green, and meters cannot be configured yet.
    Meter {
        to: Place,
    },
    Clone {
        session: Arith,
        fields: Option<u16>,
    },
    Resubmit {
        fields: Option<u16>,
    },
    Recirculate {
        fields: Option<u16>,
    },
    /// Nobody can subscribe yet.
    Digest,
    Truncate {
        bytes: Arith,
    },
    Jump(u32),
    JumpIfZero {
        value: Arith,
        to: u32,
    },
    Exit,
    Nothing,
    /// `assert` and `assume`: the packet is dropped when it does not hold.
    Assert(Arith),
    /// Message with values in place of `{}`.
    Log {
        format: String,
        values: Vec<Arith>,
    },
}

/// An action.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    /// Name, as in P4Info.
    pub(crate) name: String,
    /// Where each parameter lies in the action data.
    pub(crate) params: Vec<Bits>,
    /// Bytes of action data.
    pub(crate) data_bytes: u32,
    /// Steps.
    pub(crate) ops: Vec<Op>,
}

/// A control-flow node.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// `color`: where the table's meter puts its result.
    Table {
        table: u16,
        key: Vec<KeyPart>,
        color: Option<Bits>,
        next: Next,
    },
    If {
        condition: BoolExpr,
        then: Option<NodeId>,
        otherwise: Option<NodeId>,
    },
    Action {
        action: u16,
        next: Option<NodeId>,
    },
}

/// Where to go after a table.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    /// By hit and miss.
    HitMiss {
        hit: Option<NodeId>,
        miss: Option<NodeId>,
    },
    /// By the action that ran: index in the table's list of actions.
    Action {
        by_action: Vec<Option<NodeId>>,
        miss: Option<NodeId>,
    },
    /// Always the same.
    Always(Option<NodeId>),
}

/// A part of a parser's or table's key, padded to whole bytes.
#[derive(Debug, Clone)]
pub(crate) enum KeyPart {
    Field(Bits),
    /// With a constant mask, as long as the padded field.
    Masked(Bits, Vec<u8>),
    Valid(HeaderId),
    StackLast {
        stack: u16,
        field: u16,
        width: u32,
    },
    /// Bits of the packet after what was extracted.
    Lookahead {
        offset: u32,
        width: u32,
    },
}

impl KeyPart {
    /// Width in bits.
    pub(crate) fn width(&self) -> u32 {
        match self {
            KeyPart::Field(bits) | KeyPart::Masked(bits, _) => bits.width,
            KeyPart::Valid(_) => 1,
            KeyPart::StackLast { width, .. } | KeyPart::Lookahead { width, .. } => *width,
        }
    }
}

/// Steps of parser states.
#[derive(Debug, Clone)]
pub(crate) enum ParserOp {
    Extract(HeaderId),
    ExtractVarbit { header: HeaderId, bits: Arith },
    ExtractNext(u16),
    ExtractNextVarbit { stack: u16, bits: Arith },
    SetLookahead { to: Place, offset: u32, width: u32 },
    Verify { condition: BoolExpr, error: Arith },
    Advance { bits: Arith },
    Run(Op),
}

/// One line of a `select`.
#[derive(Debug, Clone)]
pub(crate) struct Transition {
    /// Already masked; as long as the state's key.
    pub(crate) value: Vec<u8>,
    /// `None`: all ones.
    pub(crate) mask: Option<Vec<u8>>,
    /// `None`: accept.
    pub(crate) next: Option<u16>,
}

/// A parser state.
#[derive(Debug, Clone)]
pub(crate) struct ParserState {
    pub(crate) ops: Vec<ParserOp>,
    pub(crate) key: Vec<KeyPart>,
    pub(crate) transitions: Vec<Transition>,
    /// When no transition matches; `None`: accept.
    pub(crate) default: Option<u16>,
}

/// Input of a hash or checksum.
#[derive(Debug, Clone)]
pub(crate) enum HashInput {
    /// Bits of the packet header vector, skipped while the header is invalid.
    Bits {
        header: HeaderId,
        at_bits: u32,
        bits: u32,
    },
    /// Variable-length field, skipped while the header is invalid.
    Varbit(HeaderId),
    /// As on the wire, skipped while invalid.
    Header(HeaderId),
    Const {
        value: Vec<u8>,
        bits: u32,
    },
    /// What follows the parsed headers.
    Payload,
}

/// Hash algorithms, names as in bmv2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Crc8,
    Crc16,
    Crc32,
    Crc64,
    CrcCcitt,
    Csum16,
    Xor16,
    Xor32,
    Identity,
}

/// A named calculation.
#[derive(Debug, Clone)]
pub(crate) struct Calculation {
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) input: Vec<HashInput>,
}

/// A checksum that is verified after the parser, or written before the deparser.
#[derive(Debug, Clone)]
pub(crate) struct Checksum {
    /// Header of the target field.
    pub(crate) header: HeaderId,
    pub(crate) target: Bits,
    pub(crate) calculation: u16,
    pub(crate) condition: Option<BoolExpr>,
}

/// A register array.
#[derive(Debug, Clone)]
pub(crate) struct RegisterDef {
    pub(crate) name: String,
    pub(crate) width: u32,
    pub(crate) size: u32,
}

/// A counter array.
#[derive(Debug, Clone)]
pub(crate) struct CounterDef {
    pub(crate) name: String,
    pub(crate) size: u32,
}

/// Fields that the target itself reads and writes.
#[derive(Debug, Clone)]
pub(crate) struct StandardMetadata {
    pub(crate) ingress_port: Bits,
    pub(crate) packet_length: Bits,
    pub(crate) instance_type: Bits,
    pub(crate) egress_spec: Bits,
    pub(crate) egress_port: Bits,
    pub(crate) parser_error: Option<Bits>,
    pub(crate) checksum_error: Option<Bits>,
    pub(crate) ingress_timestamp: Option<Bits>,
    pub(crate) egress_timestamp: Option<Bits>,
    pub(crate) multicast_group: Option<Bits>,
    pub(crate) egress_rid: Option<Bits>,
    pub(crate) enqueue_timestamp: Option<Bits>,
}

/// Values that parser errors have in this program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorCodes {
    pub(crate) no_error: u32,
    pub(crate) packet_too_short: u32,
    pub(crate) stack_out_of_bounds: u32,
    pub(crate) header_too_short: u32,
    pub(crate) invalid_argument: u32,
}

/// A pipeline, ready to run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Size of the packet header vector without the room of variable-length fields, bytes.
    pub(crate) fixed_bytes: u32,
    /// Size of the packet header vector, bytes.
    pub(crate) phv_bytes: u32,
    pub(crate) headers: Vec<Header>,
    /// Metadata are, headers are not.
    pub(crate) initially_valid: Vec<bool>,
    pub(crate) stacks: Vec<Stack>,
    pub(crate) standard: StandardMetadata,
    pub(crate) errors: ErrorCodes,
    pub(crate) states: Vec<ParserState>,
    pub(crate) start: Option<u16>,
    pub(crate) verify: Vec<Checksum>,
    pub(crate) update: Vec<Checksum>,
    pub(crate) deparser: Vec<HeaderId>,
    pub(crate) deparser_ops: Vec<Op>,
    pub(crate) actions: Vec<Action>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) ingress: Option<NodeId>,
    pub(crate) egress: Option<NodeId>,
    pub(crate) calculations: Vec<Calculation>,
    pub(crate) registers: Vec<RegisterDef>,
    pub(crate) counters: Vec<CounterDef>,
    pub(crate) field_lists: Vec<FieldList>,
}
