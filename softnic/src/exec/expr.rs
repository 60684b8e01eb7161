//! Evaluates expressions in 128-bit two's complement. `load` saw to it that this gives the same
//! as unbounded integers; expressions where it would not are left to `wide`.

use super::machine::Machine;
use super::phv::{extend, load};
use super::wide;
use crate::program::{Arith, BinaryOp, BoolExpr, Compare, CompareAs, Expr, HeaderId, HeaderRef};

impl Machine<'_> {
    /// Low 128 bits of a value.
    pub(crate) fn eval(&self, value: &Arith) -> u128 {
        if value.wide {
            wide::low_bits(&wide::eval(self, &value.expr))
        } else {
            self.narrow(&value.expr)
        }
    }

    /// As an index or a count: everything that does not fit is `u32::MAX`, which is never valid.
    pub(crate) fn eval_index(&self, value: &Arith) -> u32 {
        u32::try_from(self.eval(value)).unwrap_or(u32::MAX)
    }

    pub(crate) fn narrow(&self, expr: &Expr) -> u128 {
        match expr {
            Expr::Const(value) | Expr::BigUnsigned(value) => *value,
            Expr::BigConst(value) => wide::low_bits(value),
            Expr::Field(bits) => self.phv.load(*bits),
            Expr::Param(bits) => load(self.data, *bits),
            Expr::Valid(header) => u128::from(self.phv.is_valid(*header)),
            Expr::Register { register, index } => self
                .externs
                .read_register(*register, self.eval_index(index)),
            Expr::StackLast { stack, field } => match self.last_of(*stack) {
                Some(header) => self.field_of(header, *field),
                None => 0,
            },
            Expr::HeaderField { header, field } => match self.header(header) {
                Some(header) => self.field_of(header, *field),
                None => 0,
            },
            Expr::StackCount { stack, add } => {
                (i128::from(self.phv.stack_used[usize::from(*stack)]) + i128::from(*add)) as u128
            }
            Expr::Binary(op, left, right) => binary(*op, self.narrow(left), self.narrow(right)),
            Expr::Invert(value) => !self.narrow(value),
            Expr::SignedWrap(value, width) => extend(self.narrow(value), *width, true),
            Expr::ClampUnsigned {
                value,
                width,
                signed,
            } => {
                let value = self.narrow(value);
                if *signed && (value as i128) < 0 {
                    0
                } else {
                    value.min(max_unsigned(*width))
                }
            }
            Expr::ClampSigned(value, width) => {
                let max = (max_unsigned(*width) >> 1) as i128;
                (self.narrow(value) as i128).clamp(-max - 1, max) as u128
            }
            Expr::Choose(condition, then, otherwise) => self.narrow(if self.truth(condition) {
                then
            } else {
                otherwise
            }),
            Expr::FromBool(value) => u128::from(self.truth(value)),
        }
    }

    pub(crate) fn truth(&self, expr: &BoolExpr) -> bool {
        match expr {
            BoolExpr::Const(value) => *value,
            BoolExpr::Compare {
                op,
                kind,
                left,
                right,
            } => {
                let order = match kind {
                    CompareAs::Unsigned => self.narrow(left).cmp(&self.narrow(right)),
                    CompareAs::Signed => {
                        (self.narrow(left) as i128).cmp(&(self.narrow(right) as i128))
                    }
                    CompareAs::Wide => wide::eval(self, left).cmp(&wide::eval(self, right)),
                };
                match op {
                    Compare::Equal => order.is_eq(),
                    Compare::NotEqual => order.is_ne(),
                    Compare::Less => order.is_lt(),
                    Compare::LessEqual => order.is_le(),
                    Compare::Greater => order.is_gt(),
                    Compare::GreaterEqual => order.is_ge(),
                }
            }
            BoolExpr::SameHeader(a, b) => match (self.header(a), self.header(b)) {
                (Some(a), Some(b)) => self.phv.same_header(self.program, a, b),
                _ => false,
            },
            BoolExpr::SameVarbit(a, b) => self.phv.same_varbit(self.program, *a, *b),
            BoolExpr::SameBool(a, b) => self.truth(a) == self.truth(b),
            BoolExpr::And(a, b) => self.truth(a) && self.truth(b),
            BoolExpr::Or(a, b) => self.truth(a) || self.truth(b),
            BoolExpr::Not(value) => !self.truth(value),
            BoolExpr::Valid(header) => self
                .header(header)
                .is_some_and(|header| self.phv.is_valid(header)),
            BoolExpr::AnyValid(headers) => headers.iter().any(|&header| self.phv.is_valid(header)),
            BoolExpr::NotZero(value) => {
                if value.wide {
                    wide::is_not_zero(&wide::eval(self, &value.expr))
                } else {
                    self.narrow(&value.expr) != 0
                }
            }
            BoolExpr::Choose(condition, then, otherwise) => self.truth(if self.truth(condition) {
                then
            } else {
                otherwise
            }),
        }
    }

    /// The header that a reference means now; `None` when an index is out of range.
    pub(crate) fn header(&self, header: &HeaderRef) -> Option<HeaderId> {
        match header {
            HeaderRef::Fixed(header) => Some(*header),
            HeaderRef::Element { stack, index } => {
                let headers = &self.program.stacks[usize::from(*stack)].headers;
                headers.get(self.eval_index(index) as usize).copied()
            }
        }
    }

    /// The newest element of a stack.
    pub(crate) fn last_of(&self, stack: u16) -> Option<HeaderId> {
        let used = usize::from(self.phv.stack_used[usize::from(stack)]);
        let headers = &self.program.stacks[usize::from(stack)].headers;
        used.checked_sub(1)
            .and_then(|last| headers.get(last))
            .copied()
    }

    fn field_of(&self, header: HeaderId, field: u16) -> u128 {
        self.phv
            .load(self.program.headers[usize::from(header)].fields[usize::from(field)])
    }
}

/// The largest value of an unsigned width up to 128.
fn max_unsigned(width: u32) -> u128 {
    if width >= 128 {
        u128::MAX
    } else {
        (1 << width) - 1
    }
}

fn binary(op: BinaryOp, left: u128, right: u128) -> u128 {
    match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Sub => left.wrapping_sub(right),
        BinaryOp::Mul => left.wrapping_mul(right),
        BinaryOp::Div => left.checked_div(right).unwrap_or(0),
        BinaryOp::Mod => left.checked_rem(right).unwrap_or(0),
        BinaryOp::ShiftLeft if right < 128 => left << right,
        BinaryOp::ShiftRight if right < 128 => left >> right,
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight => 0,
        BinaryOp::ShiftRightSigned => ((left as i128) >> right.min(127)) as u128,
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
    }
}
