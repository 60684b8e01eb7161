//! Types by name.

use std::rc::Rc;

use super::{Checker, Entity, constants};
use crate::ast::{self, Ident, RecordKind, TypeKind};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::ExprKind;
use crate::source::Span;
use crate::types::{Type, TypeParameter};

/// Widest value, bits; and longest stack.
const MAX_WIDTH: u32 = 2048;
const MAX_STACK: u32 = 1024;
/// Parts of a structure or tuple, those of its parts included; and depth.
const MAX_PARTS: u32 = 20_000;
const MAX_TYPE_DEPTH: u32 = 64;

fn within(ty: &Type, budget: &mut u32, depth: u32) -> bool {
    if *budget == 0 || depth > MAX_TYPE_DEPTH {
        return false;
    }
    *budget -= 1;
    match ty {
        Type::Tuple(items) => items.iter().all(|item| within(item, budget, depth + 1)),
        Type::Record(record) => {
            (record.fields.iter()).all(|field| within(&field.ty, budget, depth + 1))
        }
        Type::Stack(element, size) => (0..*size).all(|_| within(element, budget, depth + 1)),
        _ => true,
    }
}

impl Checker<'_> {
    pub(super) fn resolve(&mut self, ty: &ast::Type) -> Type {
        match &ty.kind {
            TypeKind::Bool => Type::Bool,
            TypeKind::Error => Type::Error,
            TypeKind::MatchKind => Type::MatchKind,
            TypeKind::Void => Type::Void,
            TypeKind::Text => Type::Text,
            TypeKind::Integer => Type::Integer,
            TypeKind::Bit(None) => Type::Bit(1),
            TypeKind::Bit(Some(width)) => self.sized(width, Type::Bit, 1),
            TypeKind::Signed(width) => self.sized(width, Type::Signed, 1),
            TypeKind::Varbit(width) => self.sized(width, Type::Varbit, 1),
            TypeKind::Named(name, arguments) => self.named(name, arguments, ty.span),
            TypeKind::Stack(element, size) => self.stack(element, size),
            TypeKind::Tuple(items) => {
                let made = Type::Tuple(items.iter().map(|item| self.resolve(item)).collect());
                self.bounded(made, ty.span)
            }
            TypeKind::List => {
                self.unsupported(ty.span, "the type `list`");
                Type::Bad
            }
            TypeKind::Any => {
                self.unsupported(ty.span, "a type that is left open");
                Type::Bad
            }
        }
    }

    /// The type, unless it has more parts than any program needs: types may share parts, so that
    /// a few lines make one of any size.
    pub(super) fn bounded(&mut self, ty: Type, span: Span) -> Type {
        let mut budget = MAX_PARTS;
        if within(&ty, &mut budget, 0) {
            return ty;
        }
        let message = format!("the type has more than {MAX_PARTS} parts, or is too deep");
        self.error(Code::Limit, span, message);
        Type::Bad
    }

    fn sized(&mut self, width: &ast::Expr, make: fn(u32) -> Type, least: u32) -> Type {
        match self.constant_number(width, "a width") {
            Some(bits) if (u64::from(least)..=u64::from(MAX_WIDTH)).contains(&bits) => {
                make(bits as u32)
            }
            Some(bits) => {
                let message = format!("a width of {bits} bits is not possible");
                let error = Diagnostic::error(Code::Range, width.span, message);
                let note = format!("widths are from {least} to {MAX_WIDTH} bits");
                self.messages.push(error.note(note));
                Type::Bad
            }
            None => Type::Bad,
        }
    }

    /// A number that must be known at compile time and must not be negative.
    pub(super) fn constant_number(&mut self, expr: &ast::Expr, what: &str) -> Option<u64> {
        let checked = self.expr(expr, None);
        if checked.ty.is_bad() {
            return None;
        }
        let ExprKind::Int(value) = &checked.kind else {
            let message = format!("{what} must be a number that is known at compile time");
            self.error(Code::NotConstant, expr.span, message);
            return None;
        };
        let number = Self::to_u64(value);
        if number.is_none() {
            let message = format!("{what} of {value} is not possible");
            self.error(Code::Range, expr.span, message);
        }
        number
    }

    fn stack(&mut self, element: &ast::Type, size: &ast::Expr) -> Type {
        let of = self.resolve(element);
        let Some(size_value) = self.constant_number(size, "the size of a stack") else {
            return Type::Bad;
        };
        let is_element = matches!(&of, Type::Record(r) if r.kind != RecordKind::Struct);
        if !is_element && !of.is_bad() {
            let message = format!("a stack holds headers, not {of}");
            self.error(Code::Type, element.span, message);
            return Type::Bad;
        }
        if size_value == 0 || size_value > u64::from(MAX_STACK) {
            let message = format!("a stack of {size_value} elements is not possible");
            self.error(Code::Range, size.span, message);
            return Type::Bad;
        }
        Type::Stack(Rc::new(of), size_value as u32)
    }

    fn named(&mut self, name: &Ident, arguments: &[ast::Type], span: Span) -> Type {
        let arguments: Vec<Type> = arguments.iter().map(|ty| self.resolve(ty)).collect();
        let (wanted, made) = match self.find(&name.name) {
            Some(Entity::Type(ty)) => (0, ty.clone()),
            Some(Entity::Extern(of)) => (
                of.parameters.len(),
                Type::Extern(of.clone(), arguments.clone().into()),
            ),
            Some(Entity::Block(of)) => {
                let open = arguments.is_empty();
                let count = if open { 0 } else { of.type_parameters.len() };
                (count, Type::Block(of.clone(), arguments.clone().into()))
            }
            Some(other) => {
                let message = format!("`{}` is {}, not a type", name.name, other.kind());
                self.error(Code::WrongKind, name.span, message);
                return Type::Bad;
            }
            None => {
                self.unknown(name, "type");
                return Type::Bad;
            }
        };
        if wanted != arguments.len() {
            let given = arguments.len();
            let message = format!("`{}` takes {wanted} type arguments, not {given}", name.name);
            self.error(Code::Arguments, span, message);
            return Type::Bad;
        }
        made
    }

    /// Type parameters as types, in the innermost scope.
    pub(super) fn declare_type_parameters(&mut self, names: &[Ident]) -> Vec<Rc<TypeParameter>> {
        let mut made = Vec::new();
        for name in names {
            self.type_parameters += 1;
            let parameter = Rc::new(TypeParameter {
                name: name.name.clone(),
                id: self.type_parameters,
            });
            let ty = Type::Parameter(parameter.clone());
            self.declare(name, Entity::Type(ty));
            made.push(parameter);
        }
        made
    }

    /// Reports a number that its type cannot hold, and cuts it.
    pub(super) fn fit(
        &mut self,
        value: &num_bigint::BigInt,
        ty: &Type,
        span: Span,
    ) -> num_bigint::BigInt {
        let cut = constants::cut(value, ty);
        if cut != *value {
            let message = format!("{value} does not fit in {ty} and becomes {cut}");
            let warning = Diagnostic::warning(Code::Truncated, span, message);
            self.messages.push(warning);
        }
        cut
    }
}
