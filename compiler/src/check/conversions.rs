//! Conversions: implicit ones, and casts.

use super::{Checker, constants};
use crate::ast::RecordKind;
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{Expr, ExprKind};
use crate::source::Span;
use crate::types::Type;

impl Checker<'_> {
    /// The expression as a value of type `to`, or an error.
    pub(super) fn coerce(&mut self, expr: Expr, to: &Type) -> Expr {
        if expr.ty.is_bad() || to.is_bad() {
            return expr;
        }
        if matches!(expr.kind, ExprKind::Anything) {
            return Expr {
                ty: to.clone(),
                ..expr
            };
        }
        if expr.ty.same(to) && !matches!(expr.kind, ExprKind::Parts(_)) {
            return expr;
        }
        let span = expr.span;
        match (&expr.kind, &expr.ty, to) {
            (ExprKind::Int(value), Type::Integer, Type::Bit(_) | Type::Signed(_)) => {
                let value = self.fit(value, to, span);
                return Expr {
                    kind: ExprKind::Int(value),
                    ty: to.clone(),
                    span,
                };
            }
            (ExprKind::Parts(parts), Type::Tuple(_) | Type::Record(_), _) => {
                if let Some(fields) = part_types(to)
                    && fields.len() == parts.len()
                {
                    let ExprKind::Parts(parts) = expr.kind else {
                        return Self::bad(span);
                    };
                    let converted = parts.into_iter().zip(&fields);
                    let parts = converted.map(|(p, ty)| self.coerce(p, ty)).collect();
                    return Expr {
                        kind: ExprKind::Parts(parts),
                        ty: to.clone(),
                        span,
                    };
                }
            }
            // A set of values of that type.
            (ExprKind::Mask(..) | ExprKind::Range(..), ..) => return self.coerce_set(expr, to),
            (_, Type::SerializableEnum(e), _) if e.underlying.same(to) => {
                return cast(expr, to.clone(), span);
            }
            _ => {}
        }
        self.mismatch(&expr, to)
    }

    fn coerce_set(&mut self, expr: Expr, to: &Type) -> Expr {
        let span = expr.span;
        let kind = match expr.kind {
            ExprKind::Mask(value, mask) => {
                let value = self.coerce(*value, to);
                let plain = to.base().clone();
                let mask = match mask.ty {
                    Type::Integer => self.coerce(*mask, &plain),
                    _ => *mask,
                };
                ExprKind::Mask(Box::new(value), Box::new(mask))
            }
            ExprKind::Range(low, high) => {
                let (low, high) = (self.coerce(*low, to), self.coerce(*high, to));
                ExprKind::Range(Box::new(low), Box::new(high))
            }
            other => other,
        };
        Expr {
            kind,
            ty: to.clone(),
            span,
        }
    }

    fn mismatch(&mut self, expr: &Expr, to: &Type) -> Expr {
        let message = format!("{to} is expected here, this is {}", expr.ty);
        let error = Diagnostic::error(Code::Type, expr.span, message);
        let error = error.label(format!("this is {}", expr.ty));
        let castable = expr.ty.is_scalar() && to.is_scalar() && self.castable(&expr.ty, to);
        let error = if castable {
            error.note(format!("write `({to})…` to convert it"))
        } else {
            error
        };
        self.messages.push(error);
        Self::bad(expr.span)
    }

    fn castable(&self, from: &Type, to: &Type) -> bool {
        use Type::{Bit, Bool, Integer, New, SerializableEnum, Signed};
        match (from, to) {
            (Bit(_), Bit(_)) | (Signed(_), Signed(_)) => true,
            (Bit(a), Signed(b)) | (Signed(a), Bit(b)) => a == b,
            (Bit(1), Bool) | (Bool, Bit(1)) => true,
            (Integer, Bit(_) | Signed(_) | Integer | Bool) => true,
            (SerializableEnum(e), _) => e.underlying.same(to) || self.castable(&e.underlying, to),
            (_, SerializableEnum(e)) => self.castable(from, &e.underlying),
            (New(n), _) => n.original.same(to) || self.castable(&n.original, to),
            (_, New(n)) => from.same(&n.original) || self.castable(from, &n.original),
            _ => from.same(to),
        }
    }

    /// `(to)expr`.
    pub(super) fn explicit_cast(&mut self, expr: Expr, to: &Type, span: Span) -> Expr {
        if expr.ty.is_bad() || to.is_bad() {
            return Self::bad(span);
        }
        if matches!(expr.kind, ExprKind::Parts(_)) {
            return self.coerce(expr, to);
        }
        if expr.ty.same(to) {
            return Expr { span, ..expr };
        }
        if !self.castable(&expr.ty, to) {
            let message = format!("{} cannot be converted to {to}", expr.ty);
            self.error(Code::Type, span, message);
            return Self::bad(span);
        }
        if let ExprKind::Int(value) = &expr.kind {
            // A cast says that cutting is meant.
            let kind = match to.base() {
                Type::Bool if *value == 0.into() || *value == 1.into() => {
                    ExprKind::Bool(*value == 1.into())
                }
                Type::Bool => {
                    let message = format!("{value} cannot be converted to bool");
                    self.error(Code::Type, span, message);
                    return Self::bad(span);
                }
                _ => ExprKind::Int(constants::cut(value, to)),
            };
            return Expr {
                kind,
                ty: to.clone(),
                span,
            };
        }
        if let (ExprKind::Bool(value), Type::Bit(_)) = (&expr.kind, to.base()) {
            return Expr {
                kind: ExprKind::Int(u8::from(*value).into()),
                ty: to.clone(),
                span,
            };
        }
        cast(expr, to.clone(), span)
    }
}

fn cast(expr: Expr, ty: Type, span: Span) -> Expr {
    // A constant of an enumeration is its number.
    let kind = match expr.kind {
        ExprKind::Int(value) => ExprKind::Int(constants::cut(&value, &ty)),
        _ => ExprKind::Cast(Box::new(expr)),
    };
    Expr { kind, ty, span }
}

/// Types of the parts of a structure, header or tuple.
pub(super) fn part_types(ty: &Type) -> Option<Vec<Type>> {
    match ty {
        Type::Tuple(items) => Some(items.to_vec()),
        Type::Record(record) if record.kind != RecordKind::Union => {
            Some(record.fields.iter().map(|f| f.ty.clone()).collect())
        }
        _ => None,
    }
}
