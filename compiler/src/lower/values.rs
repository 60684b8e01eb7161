//! Expressions as bmv2 computes them: with integers of any size, so that every result is cut to
//! its width.
//!
//! bmv2 keeps truth values and numbers apart: a truth value in a field is a number. `condition`
//! makes truth values, `data` makes numbers.

use flownic_pipeline::bmv2::Value;
use num_bigint::BigInt;

use super::Lowerer;
use super::numbers::{number, ones};
use super::storage::{Place, Slot};
use crate::ast::Binary;
use crate::diagnostics::Code;
use crate::hir::{Builtin, Call, Callee, Expr, ExprKind};
use crate::types::Type;

impl Lowerer<'_> {
    /// A number. A parameter of the action stays what it is; see [`operand`].
    pub(super) fn data(&mut self, expr: &Expr) -> Value {
        match &expr.kind {
            ExprKind::Int(value) => number(value.clone()),
            ExprKind::Bool(value) => number(u8::from(*value)),
            ExprKind::EnumMember(at) => number(*at),
            ExprKind::ErrorMember(name) => number(self.error_number(name)),
            ExprKind::Var(_) | ExprKind::Field(..) => self.stored(expr),
            ExprKind::Cast(inner) => self.cast(inner, &expr.ty),
            ExprKind::Slice(base, high, low) => {
                let base = operand(self.data(base));
                let shifted = match low {
                    0 => base,
                    _ => Value::binary(">>", base, number(*low)),
                };
                Value::binary("&", shifted, ones(high - low + 1))
            }
            ExprKind::Complement(inner) => {
                let inner = operand(self.data(inner));
                fit(Value::unary("~", inner), &expr.ty)
            }
            ExprKind::Minus(inner) => {
                let inner = operand(self.data(inner));
                fit(Value::binary("-", number(0), inner), &expr.ty)
            }
            ExprKind::Binary(op, a, b) if !matches!(expr.ty, Type::Bool) => {
                self.arithmetic(*op, a, b, &expr.ty)
            }
            ExprKind::Choice(condition, yes, no) => {
                let condition = self.condition(condition);
                let (yes, no) = (operand(self.data(yes)), operand(self.data(no)));
                Value::choice(condition, yes, no)
            }
            ExprKind::Call(call) => self.call_value(call, expr),
            ExprKind::Bad => number(0),
            _ if matches!(expr.ty, Type::Bool) => Value::unary("b2d", self.condition(expr)),
            _ => {
                self.unsupported(expr.span, "this expression");
                number(0)
            }
        }
    }

    /// A truth value.
    pub(super) fn condition(&mut self, expr: &Expr) -> Value {
        match &expr.kind {
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Not(inner) => {
                let inner = self.condition(inner);
                Value::unary("not", inner)
            }
            ExprKind::Binary(op @ (Binary::And | Binary::Or), a, b) => {
                let (a, b) = (self.condition(a), self.condition(b));
                Value::binary(if *op == Binary::And { "and" } else { "or" }, a, b)
            }
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (operand(self.data(a)), operand(self.data(b)));
                let name = match op {
                    Binary::Eq => "==",
                    Binary::Ne => "!=",
                    Binary::Lt => "<",
                    Binary::Le => "<=",
                    Binary::Gt => ">",
                    _ => ">=",
                };
                Value::binary(name, a, b)
            }
            ExprKind::Var(var) => match self.slots.get(var) {
                Some(Slot::Constant(value)) => {
                    let value = value.clone();
                    self.condition(&value)
                }
                _ => self.data_as_condition(expr),
            },
            ExprKind::Hit(..) => {
                self.unsupported(expr.span, "the result of a table in this place");
                Value::Bool(false)
            }
            _ => self.data_as_condition(expr),
        }
    }

    fn data_as_condition(&mut self, expr: &Expr) -> Value {
        Value::unary("d2b", operand(self.data(expr)))
    }

    /// Value of a variable or field.
    fn stored(&mut self, expr: &Expr) -> Value {
        if let ExprKind::Var(var) = &expr.kind {
            match self.slots.get(var) {
                Some(Slot::Constant(value)) => {
                    let value = value.clone();
                    return self.data(&value);
                }
                Some(Slot::RuntimeData(at)) => return Value::RuntimeData(*at),
                _ => {}
            }
        }
        match self.place(expr).as_deref() {
            Some(Place::Field(field)) => field.value(),
            Some(_) => {
                self.unsupported(expr.span, &format!("a value of type {} here", expr.ty));
                number(0)
            }
            None => {
                if !self.messages.has_errors() {
                    self.unsupported(expr.span, "a field of this value");
                }
                number(0)
            }
        }
    }

    fn call_value(&mut self, call: &Call, expr: &Expr) -> Value {
        match &call.callee {
            Callee::Builtin(Builtin::IsValid, header) => match self.place(header).as_deref() {
                Some(Place::Header(name, _)) => Value::Field([name.clone(), "$valid$".to_owned()]),
                _ => {
                    self.unsupported(expr.span, "the validity of this");
                    number(0)
                }
            },
            Callee::ParameterMethod(of, method)
                if &*of.name == "packet_in" && &*method.name == "lookahead" =>
            {
                match expr.ty.width() {
                    Some(width) => Value::Lookahead([0, width]),
                    None => {
                        self.unsupported(expr.span, "a look ahead at more than one field");
                        number(0)
                    }
                }
            }
            Callee::ParameterMethod(of, method) if &*of.name == "packet_in" => {
                let message = format!("bmv2 has no `{}` of a packet", method.name);
                self.error(Code::Target, expr.span, message);
                number(0)
            }
            _ => {
                self.unsupported(expr.span, "a call inside of an expression");
                number(0)
            }
        }
    }

    fn cast(&mut self, inner: &Expr, to: &Type) -> Value {
        let from = inner.ty.base().clone();
        let value = self.data(inner);
        let (to, wide) = (to.base(), to.width().unwrap_or(0));
        match (&from, to) {
            (Type::Bit(w), Type::Bit(_)) if *w <= wide => value,
            (Type::Signed(w), Type::Signed(_)) if *w <= wide => value,
            (Type::Bool, _) | (_, Type::Bool) => value,
            _ => fit(operand(value), to),
        }
    }

    fn arithmetic(&mut self, op: Binary, a: &Expr, b: &Expr, ty: &Type) -> Value {
        if op == Binary::Concat {
            return self.concat(a, b, ty);
        }
        let (left, right) = (operand(self.data(a)), operand(self.data(b)));
        let name = match op {
            Binary::Add | Binary::AddSat => "+",
            Binary::Sub | Binary::SubSat => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Mod => "%",
            Binary::Shl => "<<",
            Binary::Shr => ">>",
            Binary::BitAnd => "&",
            Binary::BitOr => "|",
            _ => "^",
        };
        let value = Value::binary(name, left, right);
        match op {
            Binary::AddSat | Binary::SubSat => {
                let cast = if ty.is_signed() {
                    "sat_cast"
                } else {
                    "usat_cast"
                };
                Value::binary(cast, value, number(ty.width().unwrap_or(0)))
            }
            // These never leave the width of their operands.
            Binary::Div
            | Binary::Mod
            | Binary::Shr
            | Binary::BitAnd
            | Binary::BitOr
            | Binary::BitXor
                if !ty.is_signed() =>
            {
                value
            }
            _ => fit(value, ty),
        }
    }

    fn concat(&mut self, a: &Expr, b: &Expr, ty: &Type) -> Value {
        let width = b.ty.width().unwrap_or(0);
        let high = match number_of(a) {
            Some(value) => number(value << width),
            None => {
                let high = operand(self.data(a));
                Value::binary("<<", high, number(width))
            }
        };
        let low = operand(self.data(b));
        let low = if b.ty.is_signed() {
            Value::binary("&", low, ones(width))
        } else {
            low
        };
        let joined = Value::binary("|", high, low);
        let signed = a.ty.is_signed() || ty.is_signed();
        if signed { fit(joined, ty) } else { joined }
    }
}

fn number_of(expr: &Expr) -> Option<BigInt> {
    match &expr.kind {
        ExprKind::Int(value) => Some(value.clone()),
        _ => None,
    }
}

/// The value cut to a type.
pub(super) fn fit(value: Value, ty: &Type) -> Value {
    match ty.base() {
        Type::Signed(width) => Value::binary("two_comp_mod", value, number(*width)),
        other => Value::binary("&", value, ones(other.width().unwrap_or(1))),
    }
}

/// As an operand of an operation, where parameters of actions have another name.
pub(super) fn operand(value: Value) -> Value {
    match value {
        Value::RuntimeData(at) => Value::Local(at),
        other => other,
    }
}

/// As an argument of a primitive, where operations stand in one more layer.
pub(super) fn argument(value: Value) -> Value {
    match value {
        Value::Expression(_) => value.wrapped(),
        other => other,
    }
}
