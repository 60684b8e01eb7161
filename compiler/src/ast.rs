//! The program as written.

use std::rc::Rc;

use num_bigint::BigInt;

use crate::lexer::Token;
use crate::source::Span;

/// A name.
pub(crate) type Name = Rc<str>;

/// A name at its place.
#[derive(Debug, Clone)]
pub(crate) struct Ident {
    pub(crate) name: Name,
    pub(crate) span: Span,
}

/// `@name`, `@name(body)` or `@name[body]`.
#[derive(Debug, Clone)]
pub(crate) struct Annotation {
    pub(crate) name: Ident,
    /// What stands between the brackets.
    pub(crate) body: Vec<Token>,
    pub(crate) structured: bool,
    pub(crate) has_body: bool,
}

pub(crate) type Annotations = Rc<[Annotation]>;

#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) kind: TypeKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum TypeKind {
    Bool,
    Error,
    MatchKind,
    Void,
    Text,
    /// `int` without width.
    Integer,
    Bit(Option<Box<Expr>>),
    Signed(Box<Expr>),
    Varbit(Box<Expr>),
    /// Name, with type arguments when it is generic.
    Named(Ident, Vec<Type>),
    Stack(Box<Type>, Box<Expr>),
    Tuple(Vec<Type>),
    List,
    /// `_`
    Any,
}

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
    /// Height of the tree, for the bound on recursion.
    pub(crate) height: u32,
}

/// Argument of a call.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    /// `name = value`
    pub(crate) name: Option<Ident>,
    pub(crate) value: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Complement,
    Minus,
    Plus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    AddSat,
    SubSat,
    Mul,
    Div,
    Mod,
    Shl,
    Shr,
    BitAnd,
    BitOr,
    BitXor,
    Concat,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    /// Number; width and signedness when it has a prefix.
    Int(BigInt, Option<(u32, bool)>),
    Bool(bool),
    Text(Name),
    /// Name; `true`: with a leading dot.
    Name(Ident, bool),
    Member(Box<Expr>, Ident),
    /// `error.X`
    Error(Ident),
    Index(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<Expr>, Box<Expr>),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    Cast(Type, Box<Expr>),
    Call(Box<Expr>, Vec<Type>, Vec<Argument>),
    List(Vec<Expr>),
    Record(Vec<(Ident, Expr)>),
    /// `a &&& b`
    Mask(Box<Expr>, Box<Expr>),
    /// `a .. b`
    Range(Box<Expr>, Box<Expr>),
    /// `_`
    Any,
    /// `default`
    Default,
    /// `...`
    Rest,
    /// `{#}`
    Invalid,
    /// `this`
    This,
    /// What could not be read; it was reported.
    Bad,
}

#[derive(Debug, Clone)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum StmtKind {
    Block(Vec<Stmt>),
    Var(Variable),
    Const(Constant),
    /// Target, operator of a combined assignment, value.
    Assign(Expr, Option<Binary>, Expr),
    Call(Expr),
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    Switch(Expr, Vec<SwitchCase>),
    Return(Option<Expr>),
    Exit,
    Empty,
}

/// Labels, and the block they share; without one the next case's.
#[derive(Debug, Clone)]
pub(crate) struct SwitchCase {
    pub(crate) label: Expr,
    pub(crate) body: Option<Stmt>,
}

#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) value: Option<Expr>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug, Clone)]
pub(crate) struct Constant {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) value: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    None,
    In,
    Out,
    InOut,
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) direction: Direction,
    pub(crate) default: Option<Expr>,
    pub(crate) optional: bool,
    pub(crate) annotations: Annotations,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Struct,
    Header,
    Union,
}

#[derive(Debug, Clone)]
pub(crate) struct FieldDecl {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) annotations: Annotations,
}

/// Head of a function, method, parser or control.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) name: Ident,
    pub(crate) type_parameters: Vec<Ident>,
    pub(crate) parameters: Vec<Parameter>,
    /// `None` for what returns nothing by nature.
    pub(crate) result: Option<Type>,
    pub(crate) annotations: Annotations,
    /// `abstract`
    pub(crate) is_abstract: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Decl {
    pub(crate) kind: DeclKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum DeclKind {
    Const(Constant),
    Typedef(Ident, Type),
    NewType(Ident, Type, Annotations),
    Enum(Ident, Vec<Ident>),
    SerializableEnum(Ident, Type, Vec<(Ident, Expr)>),
    Error(Vec<Ident>),
    MatchKind(Vec<Ident>),
    Record(RecordKind, Ident, Vec<Ident>, Vec<FieldDecl>, Annotations),
    Extern(Ident, Vec<Ident>, Vec<Signature>),
    ExternFunction(Signature),
    Function(Signature),
    ParserType(Signature),
    ControlType(Signature),
    PackageType(Signature),
    Parser(Box<ParserDecl>),
    Control(Box<ControlDecl>),
    Instance(Instance),
    Action(ActionDecl),
}

#[derive(Debug, Clone)]
pub(crate) struct ParserDecl {
    pub(crate) signature: Signature,
    pub(crate) constructor: Vec<Parameter>,
    pub(crate) locals: Vec<Local>,
    pub(crate) states: Vec<State>,
}

#[derive(Debug, Clone)]
pub(crate) struct ControlDecl {
    pub(crate) signature: Signature,
    pub(crate) constructor: Vec<Parameter>,
    pub(crate) locals: Vec<Local>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Debug, Clone)]
pub(crate) enum Local {
    Var(Variable),
    Const(Constant),
    Instance(Instance),
    Action(ActionDecl),
    Table(TableDecl),
    ValueSet(Ident),
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug, Clone)]
pub(crate) struct ActionDecl {
    pub(crate) name: Ident,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) name: Ident,
    pub(crate) body: Vec<Stmt>,
    pub(crate) transition: Option<Transition>,
}

#[derive(Debug, Clone)]
pub(crate) enum Transition {
    Direct(Ident),
    Select(Vec<Expr>, Vec<(Expr, Ident)>),
}

#[derive(Debug, Clone)]
pub(crate) struct TableDecl {
    pub(crate) name: Ident,
    pub(crate) properties: Vec<Property>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug, Clone)]
pub(crate) struct Property {
    pub(crate) name: Ident,
    pub(crate) constant: bool,
    pub(crate) value: PropertyValue,
}

#[derive(Debug, Clone)]
pub(crate) enum PropertyValue {
    Key(Vec<KeyElement>),
    Actions(Vec<ActionRef>),
    Entries(Vec<EntryDecl>),
    Expr(Expr),
}

#[derive(Debug, Clone)]
pub(crate) struct KeyElement {
    pub(crate) value: Expr,
    pub(crate) kind: Ident,
    pub(crate) annotations: Annotations,
}

#[derive(Debug, Clone)]
pub(crate) struct ActionRef {
    /// With a leading dot.
    pub(crate) global: bool,
    pub(crate) name: Ident,
    /// `None`: no parentheses.
    pub(crate) arguments: Option<Vec<Argument>>,
    pub(crate) annotations: Annotations,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct EntryDecl {
    pub(crate) constant: bool,
    pub(crate) priority: Option<Expr>,
    pub(crate) keys: Expr,
    pub(crate) action: ActionRef,
    pub(crate) span: Span,
}
