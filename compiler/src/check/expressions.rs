//! Expressions: names, members, lists.

use super::conversions::part_types;
use super::{Checker, Entity};
use crate::ast::{self, Ident};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{Builtin, Callee, Expr, ExprKind};
use crate::source::Span;
use crate::types::{Type, TypeParameter};

impl Checker<'_> {
    /// Checks an expression; `wanted` helps lists, which have no type of their own.
    pub(super) fn expr(&mut self, expr: &ast::Expr, wanted: Option<&Type>) -> Expr {
        let span = expr.span;
        let make = |kind, ty| Expr { kind, ty, span };
        match &expr.kind {
            ast::ExprKind::Int(value, None) => make(ExprKind::Int(value.clone()), Type::Integer),
            ast::ExprKind::Int(value, Some((width, signed))) => {
                let ty = if *signed {
                    Type::Signed(*width)
                } else {
                    Type::Bit(*width)
                };
                let value = self.fit(value, &ty, span);
                make(ExprKind::Int(value), ty)
            }
            ast::ExprKind::Bool(value) => make(ExprKind::Bool(*value), Type::Bool),
            ast::ExprKind::Text(text) => make(ExprKind::Text(text.clone()), Type::Text),
            ast::ExprKind::Name(name, global) => self.name(name, *global),
            ast::ExprKind::Error(name) => self.error_member(name, span),
            ast::ExprKind::Member(base, member) => self.member(base, member, span),
            ast::ExprKind::Index(base, index) => self.index(base, index, span),
            ast::ExprKind::Slice(base, high, low) => self.slice(base, high, low, span),
            ast::ExprKind::Unary(op, operand) => self.unary(*op, operand, span),
            ast::ExprKind::Binary(op, a, b) => self.binary(*op, a, b, span),
            ast::ExprKind::Choice(c, a, b) => self.choice(c, a, b, wanted, span),
            ast::ExprKind::Cast(ty, operand) => {
                let ty = self.resolve(ty);
                let operand = self.expr(operand, Some(&ty));
                self.explicit_cast(operand, &ty, span)
            }
            ast::ExprKind::Call(callee, types, arguments) => {
                self.call_expr(callee, types, arguments, span)
            }
            ast::ExprKind::List(items) => self.list(items, wanted, span),
            ast::ExprKind::Record(fields) => self.record_literal(fields, wanted, span),
            ast::ExprKind::Mask(a, b) => {
                let (a, b) = self.pair(a, b);
                let ty = a.ty.clone();
                make(ExprKind::Mask(Box::new(a), Box::new(b)), ty)
            }
            ast::ExprKind::Range(a, b) => {
                let (a, b) = self.pair(a, b);
                let ty = a.ty.clone();
                make(ExprKind::Range(Box::new(a), Box::new(b)), ty)
            }
            ast::ExprKind::Any | ast::ExprKind::Default => make(ExprKind::Anything, Type::Void),
            ast::ExprKind::Invalid => match wanted.filter(|ty| ty.header().is_some()) {
                Some(ty) => make(ExprKind::InvalidHeader, ty.clone()),
                None => {
                    self.error(Code::Type, span, "no header is expected here");
                    Self::bad(span)
                }
            },
            ast::ExprKind::Rest => {
                self.unsupported(span, "`...` as a value");
                Self::bad(span)
            }
            ast::ExprKind::This => {
                self.unsupported(span, "`this`");
                Self::bad(span)
            }
            ast::ExprKind::Bad => Self::bad(span),
        }
    }

    fn name(&mut self, name: &Ident, global: bool) -> Expr {
        let span = name.span;
        match self.lookup(name, global) {
            Some(Entity::Var(var)) => Expr {
                kind: ExprKind::Var(var),
                ty: self.ty_of(var),
                span,
            },
            Some(Entity::Const(value)) => Expr { span, ..value },
            Some(Entity::Instance(instance)) => Expr {
                kind: ExprKind::Object(instance),
                ty: self.object_type(instance),
                span,
            },
            Some(other) => {
                let message = format!("`{}` is {}, not a value", name.name, other.kind());
                self.error(Code::WrongKind, span, message);
                Self::bad(span)
            }
            None => {
                self.unknown(name, "variable or constant");
                Self::bad(span)
            }
        }
    }

    fn error_member(&mut self, name: &Ident, span: Span) -> Expr {
        if !self.program.errors.contains(&name.name) {
            let message = format!("there is no error `{}`", name.name);
            self.error(Code::UnknownMember, name.span, message);
            return Self::bad(span);
        }
        Expr {
            kind: ExprKind::ErrorMember(name.name.clone()),
            ty: Type::Error,
            span,
        }
    }

    fn member(&mut self, base: &ast::Expr, member: &Ident, span: Span) -> Expr {
        if let ast::ExprKind::Name(name, global) = &base.kind
            && let Some(Entity::Type(ty)) = self.lookup(name, *global)
        {
            return self.type_member(&ty, member, span);
        }
        let base = self.expr(base, None);
        self.value_member(base, member, span)
    }

    /// `Type.MEMBER`
    fn type_member(&mut self, ty: &Type, member: &Ident, span: Span) -> Expr {
        let kind = match ty {
            Type::Enum(e) => {
                let position = e.members.iter().position(|m| *m == member.name);
                position.map(ExprKind::EnumMember)
            }
            Type::SerializableEnum(e) => {
                let found = e.members.iter().find(|(m, _)| *m == member.name);
                found.map(|(_, value)| ExprKind::Int(value.clone()))
            }
            Type::Bad => return Self::bad(span),
            _ => None,
        };
        match kind {
            Some(kind) => Expr {
                kind,
                ty: ty.clone(),
                span,
            },
            None => self.no_member(ty, member, span),
        }
    }

    fn no_member(&mut self, ty: &Type, member: &Ident, span: Span) -> Expr {
        let message = format!("{ty} has no member `{}`", member.name);
        let error = Diagnostic::error(Code::UnknownMember, member.span, message);
        let error = match ty {
            Type::Record(record) => error.related(record.span, "declared here"),
            _ => error,
        };
        self.messages.push(error.label("no such member"));
        Self::bad(span)
    }

    fn value_member(&mut self, base: Expr, member: &Ident, span: Span) -> Expr {
        let name = &*member.name;
        match base.ty.clone() {
            Type::Bad => Self::bad(span),
            Type::Record(record) => {
                let Some(at) = record.fields.iter().position(|f| f.name == member.name) else {
                    return self.no_member(&base.ty, member, span);
                };
                Expr {
                    ty: record.fields[at].ty.clone(),
                    kind: ExprKind::Field(Box::new(base), at),
                    span,
                }
            }
            Type::Stack(element, _) => {
                let ty = match name {
                    "next" | "last" => (*element).clone(),
                    "lastIndex" | "size" => Type::Bit(32),
                    _ => return self.no_member(&base.ty, member, span),
                };
                Expr {
                    kind: ExprKind::StackMember(Box::new(base), member.name.clone()),
                    ty,
                    span,
                }
            }
            Type::ApplyResult(table) if matches!(name, "hit" | "miss") => Expr {
                kind: ExprKind::Hit(table, name == "hit"),
                ty: Type::Bool,
                span,
            },
            Type::ApplyResult(table) if name == "action_run" => Expr {
                kind: base.kind,
                ty: Type::ActionRun(table),
                span,
            },
            other => self.no_member(&other, member, span),
        }
    }

    fn index(&mut self, base: &ast::Expr, index: &ast::Expr, span: Span) -> Expr {
        let base = self.expr(base, None);
        let index = self.expr(index, None);
        let Type::Stack(element, size) = base.ty.clone() else {
            if !base.ty.is_bad() {
                let message = format!("{} has no elements: only stacks do", base.ty);
                self.error(Code::Type, base.span, message);
            }
            return Self::bad(span);
        };
        if let ExprKind::Int(value) = &index.kind
            && !(num_bigint::BigInt::ZERO..size.into()).contains(value)
        {
            let message = format!("the stack has {size} elements, there is no element {value}");
            self.error(Code::Range, index.span, message);
            return Self::bad(span);
        }
        let whole = matches!(index.ty.base(), Type::Integer | Type::Bit(_) | Type::Bad);
        if !whole {
            let message = format!("an index is a number, not {}", index.ty);
            self.error(Code::Type, index.span, message);
        }
        Expr {
            kind: ExprKind::Element(Box::new(base), Box::new(index)),
            ty: (*element).clone(),
            span,
        }
    }

    fn slice(&mut self, base: &ast::Expr, high: &ast::Expr, low: &ast::Expr, span: Span) -> Expr {
        let base = self.expr(base, None);
        let high_bit = self.constant_number(high, "a bit number");
        let low_bit = self.constant_number(low, "a bit number");
        let (Some(high_bit), Some(low_bit)) = (high_bit, low_bit) else {
            return Self::bad(span);
        };
        let width = match base.ty.base() {
            Type::Bad => return Self::bad(span),
            Type::Bit(width) | Type::Signed(width) => u64::from(*width),
            other => {
                let message = format!("{other} has no bits that can be taken");
                self.error(Code::Type, base.span, message);
                return Self::bad(span);
            }
        };
        if low_bit > high_bit || high_bit >= width {
            let span = high.span.to(low.span);
            let message = format!("there are no bits {high_bit} to {low_bit} in {}", base.ty);
            self.error(Code::Range, span, message);
            return Self::bad(span);
        }
        let (high_bit, low_bit) = (high_bit as u32, low_bit as u32);
        let ty = Type::Bit(high_bit - low_bit + 1);
        if let ExprKind::Int(value) = &base.kind {
            let value = super::constants::cut(&(value >> low_bit), &ty);
            return Expr {
                kind: ExprKind::Int(value),
                ty,
                span,
            };
        }
        Expr {
            kind: ExprKind::Slice(Box::new(base), high_bit, low_bit),
            ty,
            span,
        }
    }

    fn list(&mut self, items: &[ast::Expr], wanted: Option<&Type>, span: Span) -> Expr {
        let types = wanted.and_then(part_types);
        if let Some(types) = &types
            && types.len() != items.len()
            && let Some(ty) = wanted
        {
            let (needed, given) = (types.len(), items.len());
            let message = format!("{ty} has {needed} parts, {given} are given");
            self.error(Code::Type, span, message);
            return Self::bad(span);
        }
        let mut parts = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let ty = types.as_ref().map(|types| &types[at]);
            let part = self.expr(item, ty);
            parts.push(match ty {
                Some(ty) => self.coerce(part, ty),
                None => part,
            });
        }
        let ty = match wanted.filter(|_| types.is_some()) {
            Some(ty) => ty.clone(),
            None => Type::Tuple(parts.iter().map(|p| p.ty.clone()).collect()),
        };
        Expr {
            kind: ExprKind::Parts(parts),
            ty,
            span,
        }
    }

    fn record_literal(
        &mut self,
        fields: &[(Ident, ast::Expr)],
        wanted: Option<&Type>,
        span: Span,
    ) -> Expr {
        let Some(ty @ Type::Record(record)) = wanted else {
            if wanted.is_none_or(|ty| !ty.is_bad()) {
                self.error(Code::Type, span, "no structure is expected here");
            }
            return Self::bad(span);
        };
        let record = record.clone();
        let mut parts: Vec<Option<Expr>> = record.fields.iter().map(|_| None).collect();
        for (name, value) in fields {
            let Some(at) = record.fields.iter().position(|f| f.name == name.name) else {
                self.no_member(ty, name, span);
                continue;
            };
            let field = record.fields[at].ty.clone();
            let value = self.expr(value, Some(&field));
            if parts[at].is_some() {
                let message = format!("the field `{}` is given twice", name.name);
                self.error(Code::Duplicate, name.span, message);
            }
            parts[at] = Some(self.coerce(value, &field));
        }
        let missing: Vec<&str> = (record.fields.iter().zip(&parts))
            .filter(|(_, part)| part.is_none())
            .map(|(field, _)| &*field.name)
            .collect();
        if !missing.is_empty() {
            let message = format!("fields of {ty} are not given: {}", missing.join(", "));
            self.error(Code::Type, span, message);
            return Self::bad(span);
        }
        Expr {
            kind: ExprKind::Parts(parts.into_iter().flatten().collect()),
            ty: ty.clone(),
            span,
        }
    }

    /// Whether the expression can be assigned to; says why not.
    pub(super) fn check_writable(&mut self, expr: &Expr) -> bool {
        let reason = match &expr.kind {
            ExprKind::Bad => return false,
            ExprKind::Var(var) if self.program.var(*var).writable => return true,
            ExprKind::Var(var) => {
                let var = self.program.var(*var);
                let message = format!("`{}` cannot be written", var.name);
                let error = Diagnostic::error(Code::NotWritable, expr.span, message);
                let error = error.related(var.span, "declared here, without `out` or `inout`");
                self.messages.push(error);
                return false;
            }
            ExprKind::Field(base, _) | ExprKind::Slice(base, ..) | ExprKind::Element(base, _) => {
                return self.check_writable(base);
            }
            ExprKind::StackMember(base, name) if matches!(&**name, "next" | "last") => {
                return self.check_writable(base);
            }
            ExprKind::Int(_) | ExprKind::Bool(_) => "a constant cannot be written",
            _ => "this is a value, not something that can be written",
        };
        self.error(Code::NotWritable, expr.span, reason);
        false
    }

    /// Whether a type parameter is among the open ones.
    pub(super) fn is_open(open: &[std::rc::Rc<TypeParameter>], ty: &Type) -> bool {
        matches!(ty, Type::Parameter(p) if open.iter().any(|o| o.id == p.id))
    }

    /// The built-in method of a header or stack.
    pub(super) fn builtin(&mut self, base: &Expr, method: &Ident) -> Option<Callee> {
        let builtin = match (&base.ty, &*method.name) {
            (Type::Record(r), "isValid") if r.kind != ast::RecordKind::Struct => Builtin::IsValid,
            (Type::Record(r), "setValid") if r.kind == ast::RecordKind::Header => Builtin::SetValid,
            (Type::Record(r), "setInvalid") if r.kind == ast::RecordKind::Header => {
                Builtin::SetInvalid
            }
            (Type::Stack(..), "push_front") => Builtin::PushFront,
            (Type::Stack(..), "pop_front") => Builtin::PopFront,
            _ => return None,
        };
        Some(Callee::Builtin(builtin, base.clone()))
    }
}
