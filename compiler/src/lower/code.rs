//! Steps of an action: statements without tables.

use std::rc::Rc;

use flownic_pipeline::bmv2::{Primitive, Value};

use super::Lowerer;
use super::numbers::number;
use super::storage::{FieldPlace, Place, Slot};
use super::values::{argument, operand};
use crate::diagnostics::Code as MessageCode;
use crate::hir::{Builtin, Call, Callee, Expr, ExprKind, Stmt, StmtKind};
use crate::source::Span;
use crate::types::Type;

/// Steps, with jumps whose targets may not be known yet.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub(super) list: Vec<Primitive>,
    labels: Vec<Option<usize>>,
    /// Step whose last argument is the position of a label.
    jumps: Vec<(usize, Label)>,
}

/// A position that jumps go to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label(usize);

/// Where leaving statements go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exits {
    /// End of the action that is being inlined.
    pub(super) leave: Label,
    /// End of all steps.
    pub(super) end: Label,
}

impl Code {
    pub(super) fn push(&mut self, op: &str, parameters: Vec<Value>) {
        self.list.push(Primitive {
            op: op.to_owned(),
            parameters,
            source_info: None,
        });
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.list.len());
    }

    fn jump(&mut self, to: Label) {
        self.jumps.push((self.list.len(), to));
        self.push("_jump", vec![]);
    }

    fn jump_unless(&mut self, condition: Value, to: Label) {
        self.jumps.push((self.list.len(), to));
        self.push("_jump_if_zero", vec![argument(condition)]);
    }

    /// The steps with all jumps in place.
    pub(super) fn finish(mut self) -> Vec<Primitive> {
        // A jump to the step after it does nothing.
        for (at, label) in self.jumps {
            let target = self.labels[label.0].unwrap_or(self.list.len());
            self.list[at].parameters.push(number(target));
        }
        self.list
    }
}

impl Lowerer<'_> {
    pub(super) fn steps(&mut self, body: &[Stmt], code: &mut Code, exits: Exits) {
        for statement in body {
            self.step(statement, code, exits);
        }
    }

    pub(super) fn step(&mut self, statement: &Stmt, code: &mut Code, exits: Exits) {
        match &statement.kind {
            StmtKind::Block(body) => self.steps(body, code, exits),
            StmtKind::Declare(var, value) => {
                let place = self.declare(*var);
                match value {
                    Some(value) => self.store(&place, value, code),
                    // A header variable is invalid at its declaration, each time.
                    None => self.invalidate(&place, code),
                }
            }
            StmtKind::Assign(target, value) => self.assign(target, value, code),
            StmtKind::Call(call) => self.call(call, code, exits),
            StmtKind::If(condition, yes, no) => {
                let condition = self.condition(condition);
                let (otherwise, after) = (code.label(), code.label());
                code.jump_unless(Value::unary("b2d", condition), otherwise);
                self.steps(yes, code, exits);
                if !no.is_empty() {
                    code.jump(after);
                }
                code.place(otherwise);
                self.steps(no, code, exits);
                code.place(after);
            }
            StmtKind::Return => code.jump(exits.leave),
            StmtKind::Exit => {
                if self.pending_copies > 0 {
                    let what = "`exit` where results of a call are still to be copied";
                    self.unsupported(statement.span, what);
                }
                code.push("exit", vec![]);
                code.jump(exits.end);
            }
            StmtKind::SwitchAction(..) => {
                self.error(
                    MessageCode::WrongKind,
                    statement.span,
                    "an action cannot apply tables",
                );
            }
        }
    }

    fn invalidate(&mut self, place: &Place, code: &mut Code) {
        match place {
            Place::Header(name, _) => {
                code.push("remove_header", vec![Value::Header(name.clone())]);
            }
            Place::Parts(parts) => parts.iter().for_each(|part| self.invalidate(part, code)),
            _ => {}
        }
    }

    pub(super) fn assign(&mut self, target: &Expr, value: &Expr, code: &mut Code) {
        if let ExprKind::Slice(base, high, low) = &target.kind {
            return self.assign_slice(base, *high, *low, value, code);
        }
        let Some(place) = self.place(target) else {
            return self.unsupported(target.span, "an assignment to this");
        };
        self.store(&place, value, code);
    }

    /// `base[high:low] = value`: the other bits stay.
    fn assign_slice(&mut self, base: &Expr, high: u32, low: u32, value: &Expr, code: &mut Code) {
        if matches!(base.kind, ExprKind::Slice(..)) {
            return self.unsupported(base.span, "an assignment to a slice of a slice");
        }
        let place = self.place(base);
        let Some(Place::Field(field)) = place.as_deref() else {
            return self.unsupported(base.span, "an assignment to a slice of this");
        };
        let width = field.ty.width().unwrap_or(0);
        let hole = (crate::check::mask(high - low + 1)) << low;
        let kept = number(crate::check::mask(width) ^ hole.clone());
        let new = match &value.kind {
            ExprKind::Int(value) => number(value << low),
            _ => Value::binary("<<", operand(self.data(value)), number(low)),
        };
        let new = Value::binary("&", new, number(hole));
        let old = Value::binary("&", field.value(), kept);
        let mut joined = Value::binary("|", old, new);
        if field.ty.is_signed() {
            joined = super::values::fit(joined, &field.ty);
        }
        code.push("assign", vec![field.value(), argument(joined)]);
    }

    /// Stores a value at a place.
    pub(super) fn store(&mut self, place: &Rc<Place>, value: &Expr, code: &mut Code) {
        if let ExprKind::Choice(condition, yes, no) = &value.kind
            && !matches!(&**place, Place::Field(_))
        {
            let condition = self.condition(condition);
            let (otherwise, after) = (code.label(), code.label());
            code.jump_unless(Value::unary("b2d", condition), otherwise);
            self.store(place, yes, code);
            code.jump(after);
            code.place(otherwise);
            self.store(place, no, code);
            return code.place(after);
        }
        if let ExprKind::Cast(inner) = &value.kind
            && !value.ty.is_scalar()
        {
            return self.store(place, inner, code);
        }
        match &**place {
            Place::Field(field) => self.store_scalar(field, value, code),
            Place::Nothing => {}
            _ => match &value.kind {
                ExprKind::Parts(parts) => self.store_parts(place, parts, code),
                ExprKind::InvalidHeader => self.invalidate(place, code),
                ExprKind::Bad => {}
                _ => match self.place(value) {
                    Some(from) => self.copy(place, &from, value.span, code),
                    None => self.unsupported(value.span, "this value"),
                },
            },
        }
    }

    fn store_scalar(&mut self, field: &FieldPlace, value: &Expr, code: &mut Code) {
        if matches!(field.ty.base(), Type::Varbit(_)) {
            let Some(place) = self.place(value) else {
                return self.unsupported(value.span, "this value");
            };
            if let Place::Field(from) = &*place {
                code.push("assign_VL", vec![field.value(), from.value()]);
            }
            return;
        }
        let value = self.data(value);
        if value != field.value() {
            code.push("assign", vec![field.value(), argument(value)]);
        }
    }

    /// `{a, b, …}` into a structure or header. Parts may read what is being written: then they
    /// are all computed first.
    fn store_parts(&mut self, place: &Rc<Place>, parts: &[Expr], code: &mut Code) {
        let mut written = Vec::new();
        Self::leaves(place, &mut written);
        let written: Vec<Value> = written.iter().map(FieldPlace::value).collect();
        let overlapping = parts.iter().any(|part| self.reads(part, &written));
        let mut ready = Vec::new();
        for part in parts {
            if !overlapping {
                ready.push(None);
                continue;
            }
            let temporary = self.temporary(&part.ty, part.span);
            self.store(&temporary, part, code);
            ready.push(Some(temporary));
        }
        let targets: Vec<Rc<Place>> = match &**place {
            Place::Header(name, record) => {
                code.push("add_header", vec![Value::Header(name.clone())]);
                let fields = record.fields.iter().map(|field| {
                    Rc::new(Place::Field(FieldPlace {
                        header: name.clone(),
                        field: field.name.to_string(),
                        ty: field.ty.clone(),
                    }))
                });
                fields.collect()
            }
            Place::Parts(parts) => parts.clone(),
            _ => return,
        };
        for ((target, part), ready) in targets.iter().zip(parts).zip(ready) {
            match ready {
                Some(temporary) => self.copy(target, &temporary, part.span, code),
                None => self.store(target, part, code),
            }
        }
    }

    /// Whether an expression reads one of these fields.
    fn reads(&mut self, expr: &Expr, fields: &[Value]) -> bool {
        let mut read = Vec::new();
        self.fields_of(expr, &mut read);
        read.iter().any(|field| fields.contains(&field.value()))
    }

    fn fields_of(&mut self, expr: &Expr, found: &mut Vec<FieldPlace>) {
        match &expr.kind {
            ExprKind::Var(_) | ExprKind::Field(..) => {
                if let Some(place) = self.place(expr) {
                    Self::leaves(&place, found);
                }
            }
            _ => super::actions::children(expr, &mut |child| self.fields_of(child, found)),
        }
    }

    /// Copies from place to place.
    pub(super) fn copy(&mut self, to: &Rc<Place>, from: &Rc<Place>, span: Span, code: &mut Code) {
        match (&**to, &**from) {
            (Place::Field(to), Place::Field(from)) => {
                let op = match to.ty.base() {
                    Type::Varbit(_) => "assign_VL",
                    _ => "assign",
                };
                if to.value() != from.value() {
                    code.push(op, vec![to.value(), from.value()]);
                }
            }
            (Place::Header(to, _), Place::Header(from, _)) => {
                if to != from {
                    let parameters = vec![Value::Header(to.clone()), Value::Header(from.clone())];
                    code.push("assign_header", parameters);
                }
            }
            (Place::Parts(to), Place::Parts(from)) if to.len() == from.len() => {
                for (to, from) in to.iter().zip(from) {
                    self.copy(to, from, span, code);
                }
            }
            _ => self.unsupported(span, "an assignment between these"),
        }
    }

    fn call(&mut self, call: &Call, code: &mut Code, exits: Exits) {
        match &call.callee {
            Callee::Action(action) => self.inline_action(*action, &call.arguments, code, exits),
            Callee::Builtin(builtin, base) => self.builtin(*builtin, base, call.span, code),
            Callee::Extern(function) => self.extern_function(function, call, code),
            Callee::Method(instance, of, method) => {
                self.extern_method(*instance, of, method, call, code);
            }
            Callee::ParameterMethod(of, method) => {
                let message = format!("`{}` of {} is not possible here", method.name, of.name);
                self.error(MessageCode::Target, call.span, message);
            }
            Callee::Table(_) | Callee::Apply(_) => {
                let message = "an action cannot apply tables or controls";
                self.error(MessageCode::WrongKind, call.span, message);
            }
        }
    }

    fn builtin(&mut self, builtin: Builtin, base: &Expr, span: Span, code: &mut Code) {
        let op = match builtin {
            Builtin::SetValid => "add_header",
            Builtin::SetInvalid => "remove_header",
            Builtin::IsValid => return,
            Builtin::PushFront | Builtin::PopFront => {
                return self.unsupported(span, "a header stack");
            }
        };
        let place = self.place(base);
        match place.as_deref().and_then(Self::header_name) {
            Some(name) => code.push(op, vec![Value::Header(name.to_owned())]),
            None => self.unsupported(span, "this header"),
        }
    }

    /// A field that a primitive writes, and the place to copy it to afterwards.
    pub(super) fn out_field(&mut self, target: &Expr) -> Option<FieldPlace> {
        match self.place(target).as_deref() {
            Some(Place::Field(field)) => Some(field.clone()),
            _ => None,
        }
    }

    pub(super) fn bind(&mut self, var: crate::hir::VarId, slot: Slot) {
        self.slots.insert(var, slot);
    }
}
