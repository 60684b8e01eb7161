//! Operators.

use super::Checker;
use super::constants::{self, arithmetic, comparison};
use crate::ast::{self, Binary, Unary};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{Expr, ExprKind};
use crate::source::Span;
use crate::types::Type;

impl Checker<'_> {
    /// Two operands, a number without width taking the type of the other one.
    pub(super) fn pair(&mut self, a: &ast::Expr, b: &ast::Expr) -> (Expr, Expr) {
        let a = self.expr(a, None);
        let wanted = a.ty.clone();
        let b = self.expr(b, Some(&wanted));
        self.align(a, b)
    }

    fn align(&mut self, a: Expr, b: Expr) -> (Expr, Expr) {
        let sized = |ty: &Type| matches!(ty, Type::Bit(_) | Type::Signed(_));
        // A serializable enumeration meets a number: the number decides.
        if let Type::SerializableEnum(e) = &a.ty
            && !a.ty.same(&b.ty)
        {
            let to = e.underlying.clone();
            let a = self.coerce(a, &to);
            return self.align(a, b);
        }
        if let Type::SerializableEnum(e) = &b.ty
            && !a.ty.same(&b.ty)
        {
            let to = e.underlying.clone();
            let b = self.coerce(b, &to);
            return self.align(a, b);
        }
        match (&a.ty, &b.ty) {
            (Type::Integer, to) if sized(to) => {
                let to = to.clone();
                (self.coerce(a, &to), b)
            }
            (to, Type::Integer) if sized(to) => {
                let to = to.clone();
                let b = self.coerce(b, &to);
                (a, b)
            }
            _ => (a, b),
        }
    }

    pub(super) fn unary(&mut self, operator: Unary, operand: &ast::Expr, span: Span) -> Expr {
        let operand = self.expr(operand, None);
        let ty = operand.ty.clone();
        let numeric = matches!(ty, Type::Bit(_) | Type::Signed(_) | Type::Integer);
        let kind = match (operator, operand.kind) {
            (_, ExprKind::Bad) => return Self::bad(span),
            (Unary::Not, ExprKind::Bool(value)) => ExprKind::Bool(!value),
            (Unary::Not, kind) if matches!(ty, Type::Bool) => ExprKind::Not(boxed(kind, &ty, span)),
            (Unary::Plus, kind) if numeric => kind,
            (Unary::Minus, ExprKind::Int(value)) if numeric => {
                ExprKind::Int(constants::cut(&-value, &ty))
            }
            (Unary::Minus, kind) if numeric => ExprKind::Minus(boxed(kind, &ty, span)),
            (Unary::Complement, ExprKind::Int(value)) if numeric && ty.is_scalar() => {
                ExprKind::Int(constants::cut(&(-value - 1), &ty))
            }
            (Unary::Complement, kind) if numeric && ty.is_scalar() => {
                ExprKind::Complement(boxed(kind, &ty, span))
            }
            _ => {
                let message = format!("this operator does not work on {ty}");
                self.error(Code::Type, span, message);
                return Self::bad(span);
            }
        };
        Expr { kind, ty, span }
    }

    pub(super) fn binary(
        &mut self,
        operator: Binary,
        a: &ast::Expr,
        b: &ast::Expr,
        span: Span,
    ) -> Expr {
        match operator {
            Binary::And | Binary::Or => self.logic(operator, a, b, span),
            Binary::Shl | Binary::Shr => self.shift(operator, a, b, span),
            Binary::Concat => self.concat(a, b, span),
            Binary::Eq | Binary::Ne => self.equality(operator, a, b, span),
            _ => {
                let (a, b) = self.pair(a, b);
                self.numeric(operator, a, b, span)
            }
        }
    }

    /// Operators on two numbers of the same type.
    pub(super) fn numeric(&mut self, operator: Binary, a: Expr, b: Expr, span: Span) -> Expr {
        if a.ty.is_bad() || b.ty.is_bad() {
            return Self::bad(span);
        }
        let ordered = matches!(operator, Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge);
        let numeric = matches!(a.ty, Type::Bit(_) | Type::Signed(_) | Type::Integer);
        let constant_only = matches!(operator, Binary::Div | Binary::Mod);
        let good = numeric && a.ty.same(&b.ty);
        if !good {
            return self.do_not_fit(&a, &b, span);
        }
        let ty = a.ty.clone();
        if let (ExprKind::Int(x), ExprKind::Int(y)) = (&a.kind, &b.kind) {
            if let Some(truth) = comparison(operator, x, y) {
                return truth_value(truth, span);
            }
            return match arithmetic(operator, x, y, &ty) {
                Ok(value) => Expr {
                    kind: ExprKind::Int(constants::cut(&value, &ty)),
                    ty,
                    span,
                },
                Err(problem) => {
                    self.error(Code::Range, span, problem);
                    Self::bad(span)
                }
            };
        }
        if matches!(ty, Type::Integer) {
            self.error(
                Code::NotConstant,
                span,
                "numbers without width are for compile time only",
            );
            return Self::bad(span);
        }
        if constant_only && ty.is_signed() {
            self.error(Code::Type, span, "int<…> cannot be divided at run time");
            return Self::bad(span);
        }
        Expr {
            kind: ExprKind::Binary(operator, Box::new(a), Box::new(b)),
            ty: if ordered { Type::Bool } else { ty },
            span,
        }
    }

    fn do_not_fit(&mut self, a: &Expr, b: &Expr, span: Span) -> Expr {
        let message = format!("the operator does not work on {} and {}", a.ty, b.ty);
        let error = Diagnostic::error(Code::Type, span, message);
        let error = error.related(a.span, format!("this is {}", a.ty));
        self.messages
            .push(error.related(b.span, format!("this is {}", b.ty)));
        Self::bad(span)
    }

    fn logic(&mut self, operator: Binary, a: &ast::Expr, b: &ast::Expr, span: Span) -> Expr {
        let a = self.expr(a, None);
        let a = self.coerce(a, &Type::Bool);
        let b = self.expr(b, None);
        let b = self.coerce(b, &Type::Bool);
        if let (ExprKind::Bool(x), ExprKind::Bool(y)) = (&a.kind, &b.kind) {
            let truth = if operator == Binary::And {
                *x && *y
            } else {
                *x || *y
            };
            return truth_value(truth, span);
        }
        Expr {
            kind: ExprKind::Binary(operator, Box::new(a), Box::new(b)),
            ty: Type::Bool,
            span,
        }
    }

    fn equality(&mut self, operator: Binary, a: &ast::Expr, b: &ast::Expr, span: Span) -> Expr {
        let (a, b) = self.pair(a, b);
        if a.ty.is_bad() || b.ty.is_bad() {
            return Self::bad(span);
        }
        let b = match (&a.ty, &b.kind) {
            (Type::Record(_), ExprKind::Parts(_)) => {
                let to = a.ty.clone();
                self.coerce(b, &to)
            }
            _ => b,
        };
        if !a.ty.same(&b.ty) {
            return self.do_not_fit(&a, &b, span);
        }
        let equal = match (&a.kind, &b.kind) {
            (ExprKind::Int(x), ExprKind::Int(y)) => Some(x == y),
            (ExprKind::Bool(x), ExprKind::Bool(y)) => Some(x == y),
            (ExprKind::EnumMember(x), ExprKind::EnumMember(y)) => Some(x == y),
            (ExprKind::ErrorMember(x), ExprKind::ErrorMember(y)) => Some(x == y),
            _ => None,
        };
        if let Some(equal) = equal {
            return truth_value(equal == (operator == Binary::Eq), span);
        }
        if !a.ty.is_scalar() || matches!(a.ty, Type::Varbit(_)) {
            self.unsupported(span, &format!("comparing two values of type {}", a.ty));
            return Self::bad(span);
        }
        Expr {
            kind: ExprKind::Binary(operator, Box::new(a), Box::new(b)),
            ty: Type::Bool,
            span,
        }
    }

    pub(super) fn shift(
        &mut self,
        operator: Binary,
        a: &ast::Expr,
        b: &ast::Expr,
        span: Span,
    ) -> Expr {
        let (a, b) = (self.expr(a, None), self.expr(b, None));
        if a.ty.is_bad() || b.ty.is_bad() {
            return Self::bad(span);
        }
        let a = match &a.ty {
            Type::SerializableEnum(e) => {
                let to = e.underlying.clone();
                self.coerce(a, &to)
            }
            _ => a,
        };
        let left = matches!(a.ty, Type::Bit(_) | Type::Signed(_) | Type::Integer);
        let right = matches!(b.ty.base(), Type::Bit(_) | Type::Integer);
        if !left || !right {
            return self.do_not_fit(&a, &b, span);
        }
        let ty = a.ty.clone();
        if let (ExprKind::Int(x), ExprKind::Int(y)) = (&a.kind, &b.kind) {
            return match arithmetic(operator, x, y, &ty) {
                Ok(value) => Expr {
                    kind: ExprKind::Int(constants::cut(&value, &ty)),
                    ty,
                    span,
                },
                Err(problem) => {
                    self.error(Code::Range, span, problem);
                    Self::bad(span)
                }
            };
        }
        if matches!(ty, Type::Integer) {
            let message = "a number without width cannot be shifted at run time";
            self.error(Code::NotConstant, a.span, message);
            return Self::bad(span);
        }
        if let ExprKind::Int(amount) = &b.kind
            && amount.sign() == num_bigint::Sign::Minus
        {
            self.error(Code::Range, b.span, "a shift amount is negative");
            return Self::bad(span);
        }
        Expr {
            kind: ExprKind::Binary(operator, Box::new(a), Box::new(b)),
            ty,
            span,
        }
    }

    fn concat(&mut self, a: &ast::Expr, b: &ast::Expr, span: Span) -> Expr {
        let (a, b) = (self.expr(a, None), self.expr(b, None));
        if a.ty.is_bad() || b.ty.is_bad() {
            return Self::bad(span);
        }
        let width = |ty: &Type| match ty.base() {
            Type::Bit(width) | Type::Signed(width) => Some(*width),
            _ => None,
        };
        let (Some(high), Some(low)) = (width(&a.ty), width(&b.ty)) else {
            return self.do_not_fit(&a, &b, span);
        };
        let ty = if a.ty.is_signed() {
            Type::Signed(high + low)
        } else {
            Type::Bit(high + low)
        };
        if let (ExprKind::Int(x), ExprKind::Int(y)) = (&a.kind, &b.kind) {
            let value = (x << low) | (y & constants::mask(low));
            return Expr {
                kind: ExprKind::Int(constants::cut(&value, &ty)),
                ty,
                span,
            };
        }
        Expr {
            kind: ExprKind::Binary(Binary::Concat, Box::new(a), Box::new(b)),
            ty,
            span,
        }
    }

    pub(super) fn choice(
        &mut self,
        condition: &ast::Expr,
        yes: &ast::Expr,
        no: &ast::Expr,
        wanted: Option<&Type>,
        span: Span,
    ) -> Expr {
        let condition = self.expr(condition, None);
        let condition = self.coerce(condition, &Type::Bool);
        let yes = self.expr(yes, wanted);
        let no = self.expr(no, wanted);
        let (mut yes, mut no) = self.align(yes, no);
        if let Some(to) = wanted
            && matches!((&yes.ty, &no.ty), (Type::Integer, Type::Integer))
        {
            yes = self.coerce(yes, to);
            no = self.coerce(no, to);
        }
        if yes.ty.is_bad() || no.ty.is_bad() || condition.ty.is_bad() {
            return Self::bad(span);
        }
        if !yes.ty.same(&no.ty) {
            return self.do_not_fit(&yes, &no, span);
        }
        if let ExprKind::Bool(truth) = condition.kind {
            return Expr {
                span,
                ..(if truth { yes } else { no })
            };
        }
        if matches!(yes.ty, Type::Integer) {
            let message = "the two values have no width, and nothing here gives them one";
            self.error(Code::Type, span, message);
            return Self::bad(span);
        }
        let ty = yes.ty.clone();
        let kind = ExprKind::Choice(Box::new(condition), Box::new(yes), Box::new(no));
        Expr { kind, ty, span }
    }
}

fn truth_value(truth: bool, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Bool(truth),
        ty: Type::Bool,
        span,
    }
}

fn boxed(kind: ExprKind, ty: &Type, span: Span) -> Box<Expr> {
    Box::new(Expr {
        kind,
        ty: ty.clone(),
        span,
    })
}
