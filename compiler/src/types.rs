//! Types after name resolution.

use std::rc::Rc;

use num_bigint::BigInt;

use crate::ast::{Annotations, Direction, Name, RecordKind};
use crate::source::Span;

/// A type.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    /// An error was reported; fits everything.
    Bad,
    Void,
    Bool,
    /// `int` without width: compile-time numbers.
    Integer,
    Bit(u32),
    Signed(u32),
    Varbit(u32),
    Text,
    Error,
    MatchKind,
    /// Enumeration without values.
    Enum(Rc<EnumType>),
    /// Enumeration with values.
    SerializableEnum(Rc<SerializableEnum>),
    /// Structure, header, header union.
    Record(Rc<Record>),
    Stack(Rc<Type>, u32),
    Tuple(Rc<[Type]>),
    /// Made by `type`.
    New(Rc<NewType>),
    /// Object of an extern, with its type arguments.
    Extern(Rc<ExternType>, Rc<[Type]>),
    /// Type parameter.
    Parameter(Rc<TypeParameter>),
    /// What `table.apply()` returns.
    ApplyResult(crate::hir::TableId),
    /// `apply_result.action_run`
    ActionRun(crate::hir::TableId),
    /// Parser, control or package type with its type arguments.
    Block(Rc<BlockType>, Rc<[Type]>),
}

#[derive(Debug)]
pub(crate) struct EnumType {
    pub(crate) name: Name,
    pub(crate) members: Vec<Name>,
}

#[derive(Debug)]
pub(crate) struct SerializableEnum {
    pub(crate) name: Name,
    pub(crate) underlying: Type,
    pub(crate) members: Vec<(Name, BigInt)>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    pub(crate) name: Name,
    pub(crate) fields: Vec<Field>,
    pub(crate) annotations: Annotations,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) struct NewType {
    pub(crate) name: Name,
    pub(crate) original: Type,
    pub(crate) annotations: Annotations,
}

#[derive(Debug)]
pub(crate) struct TypeParameter {
    pub(crate) name: Name,
    /// Tells parameters of the same name apart.
    pub(crate) id: u32,
}

#[derive(Debug)]
pub(crate) struct ExternType {
    pub(crate) name: Name,
    pub(crate) parameters: Vec<Rc<TypeParameter>>,
    /// Constructors have the name of the type.
    pub(crate) methods: Vec<Rc<Function>>,
}

/// Function, method, action or constructor as its callers see it.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Name,
    pub(crate) type_parameters: Vec<Rc<TypeParameter>>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) result: Type,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) direction: Direction,
    pub(crate) optional: bool,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Parser,
    Control,
    Package,
}

/// Parser, control or package type.
#[derive(Debug)]
pub(crate) struct BlockType {
    pub(crate) kind: BlockKind,
    pub(crate) name: Name,
    pub(crate) type_parameters: Vec<Rc<TypeParameter>>,
    /// Run-time parameters; constructor parameters of a package.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) span: Span,
}

impl Type {
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Type::Bad)
    }

    /// The type that values are represented in: of serializable enumerations and new types.
    pub(crate) fn base(&self) -> &Type {
        match self {
            Type::SerializableEnum(e) => e.underlying.base(),
            Type::New(n) => n.original.base(),
            other => other,
        }
    }

    /// Width in bits of a value that fits in one field.
    pub(crate) fn width(&self) -> Option<u32> {
        match self.base() {
            Type::Bit(w) | Type::Signed(w) | Type::Varbit(w) => Some(*w),
            Type::Bool => Some(1),
            Type::Error | Type::Enum(_) => Some(32),
            _ => None,
        }
    }

    pub(crate) fn is_scalar(&self) -> bool {
        self.width().is_some()
    }

    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.base(), Type::Signed(_))
    }

    pub(crate) fn header(&self) -> Option<&Rc<Record>> {
        match self {
            Type::Record(record) if record.kind == RecordKind::Header => Some(record),
            _ => None,
        }
    }

    pub(crate) fn record(&self) -> Option<&Rc<Record>> {
        match self {
            Type::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Whether the two are the same type.
    pub(crate) fn same(&self, other: &Type) -> bool {
        use Type::{
            Bad, Bit, Block, Bool, Enum, Error, Extern, Integer, MatchKind, New, Parameter,
            SerializableEnum, Signed, Stack, Text, Tuple, Varbit, Void,
        };
        match (self, other) {
            (Bad, _) | (_, Bad) => true,
            (Void, Void) | (Bool, Bool) | (Integer, Integer) | (Text, Text) => true,
            (Error, Error) | (MatchKind, MatchKind) => true,
            (Bit(a), Bit(b)) | (Signed(a), Signed(b)) | (Varbit(a), Varbit(b)) => a == b,
            (Enum(a), Enum(b)) => Rc::ptr_eq(a, b),
            (SerializableEnum(a), SerializableEnum(b)) => Rc::ptr_eq(a, b),
            (Type::Record(a), Type::Record(b)) => Rc::ptr_eq(a, b),
            (New(a), New(b)) => Rc::ptr_eq(a, b),
            (Stack(a, n), Stack(b, m)) => n == m && a.same(b),
            (Tuple(a), Tuple(b)) => all_same(a, b),
            (Extern(a, x), Extern(b, y)) => Rc::ptr_eq(a, b) && all_same(x, y),
            (Parameter(a), Parameter(b)) => a.id == b.id,
            (Block(a, x), Block(b, y)) => Rc::ptr_eq(a, b) && all_same(x, y),
            (Type::ApplyResult(a), Type::ApplyResult(b)) => a == b,
            (Type::ActionRun(a), Type::ActionRun(b)) => a == b,
            _ => false,
        }
    }

    /// The type with type parameters replaced.
    pub(crate) fn substitute(&self, with: &Substitution) -> Type {
        match self {
            Type::Parameter(parameter) => with.get(parameter).cloned().unwrap_or(self.clone()),
            Type::Stack(element, size) => Type::Stack(Rc::new(element.substitute(with)), *size),
            Type::Tuple(items) => Type::Tuple(items.iter().map(|t| t.substitute(with)).collect()),
            Type::Extern(of, args) => {
                let args = args.iter().map(|t| t.substitute(with)).collect();
                Type::Extern(of.clone(), args)
            }
            Type::Block(of, args) => {
                let args = args.iter().map(|t| t.substitute(with)).collect();
                Type::Block(of.clone(), args)
            }
            other => other.clone(),
        }
    }
}

fn all_same(a: &[Type], b: &[Type]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
}

/// What type parameters stand for.
#[derive(Debug, Default)]
pub(crate) struct Substitution {
    found: Vec<(u32, Type)>,
}

impl Substitution {
    pub(crate) fn new(parameters: &[Rc<TypeParameter>], arguments: &[Type]) -> Substitution {
        let pairs = parameters.iter().zip(arguments);
        Substitution {
            found: pairs.map(|(p, t)| (p.id, t.clone())).collect(),
        }
    }

    pub(crate) fn get(&self, parameter: &TypeParameter) -> Option<&Type> {
        let found = self.found.iter().find(|(id, _)| *id == parameter.id);
        found.map(|(_, ty)| ty)
    }

    /// Finds out what type parameters stand for, so that `pattern` becomes `actual`. Says
    /// nothing about types that cannot be made to fit: the caller compares afterwards.
    pub(crate) fn infer(&mut self, open: &[Rc<TypeParameter>], pattern: &Type, actual: &Type) {
        match (pattern, actual) {
            (Type::Parameter(p), actual) if open.iter().any(|o| o.id == p.id) => {
                match self.found.iter_mut().find(|(id, _)| *id == p.id) {
                    // A typed argument says more than a number without width.
                    Some((_, known)) if matches!(known, Type::Integer | Type::Bad) => {
                        *known = actual.clone();
                    }
                    Some(_) => {}
                    None => self.found.push((p.id, actual.clone())),
                }
            }
            (Type::Stack(p, _), Type::Stack(a, _)) => self.infer(open, p, a),
            (Type::Tuple(p), Type::Tuple(a))
            | (Type::Extern(_, p), Type::Extern(_, a))
            | (Type::Block(_, p), Type::Block(_, a)) => {
                for (p, a) in p.iter().zip(a.iter()) {
                    self.infer(open, p, a);
                }
            }
            _ => {}
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Bad => write!(f, "?"),
            Type::Void => write!(f, "void"),
            Type::Bool => write!(f, "bool"),
            Type::Integer => write!(f, "int"),
            Type::Bit(w) => write!(f, "bit<{w}>"),
            Type::Signed(w) => write!(f, "int<{w}>"),
            Type::Varbit(w) => write!(f, "varbit<{w}>"),
            Type::Text => write!(f, "string"),
            Type::Error => write!(f, "error"),
            Type::MatchKind => write!(f, "match_kind"),
            Type::Enum(e) => write!(f, "{}", e.name),
            Type::SerializableEnum(e) => write!(f, "{}", e.name),
            Type::Record(r) => write!(f, "{}", r.name),
            Type::Stack(element, size) => write!(f, "{element}[{size}]"),
            Type::Tuple(items) => write!(f, "tuple<{}>", Listed(items)),
            Type::New(n) => write!(f, "{}", n.name),
            Type::Extern(e, args) if args.is_empty() => write!(f, "{}", e.name),
            Type::Extern(e, args) => write!(f, "{}<{}>", e.name, Listed(args)),
            Type::Parameter(p) => write!(f, "{}", p.name),
            Type::ApplyResult(_) => write!(f, "the result of a table"),
            Type::ActionRun(_) => write!(f, "the action of a table"),
            Type::Block(b, args) if args.is_empty() => write!(f, "{}", b.name),
            Type::Block(b, args) => write!(f, "{}<{}>", b.name, Listed(args)),
        }
    }
}

struct Listed<'a>(&'a [Type]);

impl std::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, ty) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{ty}")?;
        }
        Ok(())
    }
}
