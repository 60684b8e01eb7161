//! The program after name resolution and type checking. Every expression has its type, every
//! conversion is written out, every name is a number.

use std::rc::Rc;

use num_bigint::BigInt;

use crate::ast::{Annotations, Binary, Direction, Name};
use crate::source::Span;
use crate::types::{BlockType, ExternType, Function, Type};

/// Number of a variable, parameter, or constructor parameter; unique in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VarId(pub(crate) u32);
/// Number of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ActionId(pub(crate) u32);
/// Number of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TableId(pub(crate) u32);
/// Number of an instance as declared; a declaration makes many objects when what it is in does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct InstanceId(pub(crate) u32);
/// Number of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ControlId(pub(crate) u32);
/// Number of a parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ParserId(pub(crate) u32);

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) ty: Type,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    /// Number, or value of a serializable enumeration.
    Int(BigInt),
    Bool(bool),
    Text(Name),
    /// Member of an enumeration, by position.
    EnumMember(usize),
    ErrorMember(Name),
    Var(VarId),
    /// Field of a structure, header or tuple, by position.
    Field(Box<Expr>, usize),
    /// Element of a stack.
    Element(Box<Expr>, Box<Expr>),
    /// `next`, `last`, `lastIndex`, `size` of a stack.
    StackMember(Box<Expr>, Name),
    Not(Box<Expr>),
    Complement(Box<Expr>),
    Minus(Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    /// To the type of the expression.
    Cast(Box<Expr>),
    /// Bits from `.1` down to `.2`.
    Slice(Box<Expr>, u32, u32),
    /// Parts of a structure, header or tuple, one for each field.
    Parts(Vec<Expr>),
    InvalidHeader,
    /// An object made in place, as argument of a constructor.
    Object(InstanceId),
    Call(Box<Call>),
    /// `hit`, `miss` of an applied table.
    Hit(TableId, bool),
    /// `a &&& b`
    Mask(Box<Expr>, Box<Expr>),
    /// `a .. b`
    Range(Box<Expr>, Box<Expr>),
    /// `_`, `default`
    Anything,
    Bad,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) callee: Callee,
    /// In the order of the parameters; `None` for an optional one that is left out.
    pub(crate) arguments: Vec<Option<Expr>>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum Callee {
    Action(ActionId),
    Table(TableId),
    /// `apply` of a control or parser instance.
    Apply(InstanceId),
    /// Extern function, with the types of its arguments.
    Extern(Rc<Function>),
    /// Method of an extern object that is a parameter (`packet`).
    ParameterMethod(Rc<ExternType>, Rc<Function>),
    /// Method of an extern instance.
    Method(InstanceId, Rc<ExternType>, Rc<Function>),
    /// Method of a header or stack.
    Builtin(Builtin, Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    IsValid,
    SetValid,
    SetInvalid,
    PushFront,
    PopFront,
}

#[derive(Debug, Clone)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum StmtKind {
    Block(Vec<Stmt>),
    Declare(VarId, Option<Expr>),
    Assign(Expr, Expr),
    Call(Call),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// By the action that a table ran.
    SwitchAction(TableId, Vec<ActionCase>),
    Return,
    Exit,
}

#[derive(Debug, Clone)]
pub(crate) struct ActionCase {
    /// `None`: default.
    pub(crate) labels: Vec<Option<ActionId>>,
    pub(crate) body: Vec<Stmt>,
}

/// A variable or parameter.
#[derive(Debug, Clone)]
pub(crate) struct Var {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    /// May be assigned to.
    pub(crate) writable: bool,
    pub(crate) span: Span,
}

/// A run-time parameter.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    pub(crate) var: VarId,
    pub(crate) direction: Direction,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) name: Name,
    pub(crate) params: Vec<Param>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) annotations: Annotations,
    pub(crate) span: Span,
    /// Declared outside of controls.
    pub(crate) global: bool,
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: Name,
    pub(crate) keys: Vec<Key>,
    pub(crate) actions: Vec<TableAction>,
    pub(crate) default: Option<DefaultAction>,
    pub(crate) size: Option<u64>,
    pub(crate) counters: Option<InstanceId>,
    pub(crate) meters: Option<InstanceId>,
    pub(crate) support_timeout: bool,
    pub(crate) entries: Option<Entries>,
    pub(crate) annotations: Annotations,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) value: Expr,
    pub(crate) kind: Name,
    /// Name for the control plane, when it has one.
    pub(crate) name: Option<Name>,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) struct TableAction {
    pub(crate) action: ActionId,
    pub(crate) annotations: Annotations,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct DefaultAction {
    pub(crate) action: ActionId,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) constant: bool,
}

#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) constant: bool,
    pub(crate) list: Vec<Entry>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) keys: Vec<Expr>,
    pub(crate) action: ActionId,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) span: Span,
}

/// An instance as declared.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) name: Name,
    pub(crate) object: Object,
    pub(crate) arguments: Vec<Option<Expr>>,
    pub(crate) annotations: Annotations,
    pub(crate) span: Span,
}

/// What an instance is of.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    Extern(Rc<ExternType>, Rc<[Type]>),
    Control(ControlId),
    Parser(ParserId),
    Package(Rc<BlockType>),
}

#[derive(Debug)]
pub(crate) enum Local {
    Var(VarId, Option<Expr>),
    Instance(InstanceId),
    Action(ActionId),
    Table(TableId),
}

#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) name: Name,
    pub(crate) params: Vec<Param>,
    pub(crate) constructor: Vec<VarId>,
    pub(crate) locals: Vec<Local>,
    pub(crate) body: Vec<Stmt>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Parser {
    pub(crate) name: Name,
    pub(crate) params: Vec<Param>,
    pub(crate) constructor: Vec<VarId>,
    pub(crate) locals: Vec<Local>,
    pub(crate) states: Vec<State>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Name,
    pub(crate) body: Vec<Stmt>,
    pub(crate) transition: Transition,
    pub(crate) span: Span,
}

/// Where a parser goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    State(usize),
    Accept,
    Reject,
}

#[derive(Debug)]
pub(crate) enum Transition {
    Direct(Target),
    Select {
        keys: Vec<Expr>,
        /// One set for each key.
        cases: Vec<(Vec<Expr>, Target, Span)>,
    },
}

/// All of a program.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) vars: Vec<Var>,
    pub(crate) actions: Vec<Action>,
    pub(crate) tables: Vec<Table>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) controls: Vec<Control>,
    pub(crate) parsers: Vec<Parser>,
    /// Names of errors in the order of declaration.
    pub(crate) errors: Vec<Name>,
    /// Headers between controller and pipeline, in the order of declaration.
    pub(crate) controller_headers: Vec<Rc<crate::types::Record>>,
    /// The instance `main`.
    pub(crate) main: Option<InstanceId>,
}

impl Program {
    pub(crate) fn var(&self, id: VarId) -> &Var {
        &self.vars[id.0 as usize]
    }
    pub(crate) fn action(&self, id: ActionId) -> &Action {
        &self.actions[id.0 as usize]
    }
    pub(crate) fn table(&self, id: TableId) -> &Table {
        &self.tables[id.0 as usize]
    }
    pub(crate) fn instance(&self, id: InstanceId) -> &Instance {
        &self.instances[id.0 as usize]
    }
    pub(crate) fn control(&self, id: ControlId) -> &Control {
        &self.controls[id.0 as usize]
    }
    pub(crate) fn parser(&self, id: ParserId) -> &Parser {
        &self.parsers[id.0 as usize]
    }
}
