//! Actions: those that tables run, and calls of actions, which are inlined.

use std::collections::HashSet;
use std::rc::Rc;

use flownic_pipeline::bmv2;

use super::Lowerer;
use super::code::{Code, Exits};
use super::storage::{Place, Slot};
use crate::ast::Direction;
use crate::diagnostics::Code as MessageCode;
use crate::hir::{ActionId, Call, Callee, Expr, ExprKind, Stmt, StmtKind, VarId};
use crate::types::Type;

/// Calls `visit` with the operands of an expression.
pub(crate) fn children(expr: &Expr, visit: &mut impl FnMut(&Expr)) {
    match &expr.kind {
        ExprKind::Field(a, _)
        | ExprKind::StackMember(a, _)
        | ExprKind::Not(a)
        | ExprKind::Complement(a)
        | ExprKind::Minus(a)
        | ExprKind::Cast(a)
        | ExprKind::Slice(a, ..) => visit(a),
        ExprKind::Element(a, b)
        | ExprKind::Binary(_, a, b)
        | ExprKind::Mask(a, b)
        | ExprKind::Range(a, b) => {
            visit(a);
            visit(b);
        }
        ExprKind::Choice(a, b, c) => {
            visit(a);
            visit(b);
            visit(c);
        }
        ExprKind::Parts(parts) => parts.iter().for_each(visit),
        ExprKind::Call(call) => call_operands(call, visit),
        _ => {}
    }
}

fn call_operands(call: &Call, visit: &mut impl FnMut(&Expr)) {
    if let Callee::Builtin(_, base) = &call.callee {
        visit(base);
    }
    call.arguments.iter().flatten().for_each(visit);
}

/// A copy that is made after a call.
struct CopyOut {
    target: Expr,
    from: VarId,
}

impl Lowerer<'_> {
    /// Variables that an action's body uses, those of the actions it calls included.
    fn mentioned(&mut self, action: ActionId) -> Rc<HashSet<VarId>> {
        if let Some(known) = self.mentions.get(&action) {
            return known.clone();
        }
        let mut found = HashSet::new();
        let program = self.program;
        self.mentioned_by(&program.action(action).body, &mut found);
        let found = Rc::new(found);
        self.mentions.insert(action, found.clone());
        found
    }

    fn mentioned_by(&mut self, body: &[Stmt], found: &mut HashSet<VarId>) {
        for statement in body {
            match &statement.kind {
                StmtKind::Block(body) => self.mentioned_by(body, found),
                StmtKind::Declare(_, value) => {
                    value.iter().for_each(|value| variables(value, found));
                }
                StmtKind::Assign(target, value) => {
                    variables(target, found);
                    variables(value, found);
                }
                StmtKind::Call(call) => {
                    call_operands(call, &mut |operand| variables(operand, found));
                    // Actions are declared before their callers: this ends.
                    if let Callee::Action(called) = call.callee {
                        found.extend(self.mentioned(called).iter());
                    }
                }
                StmtKind::If(condition, yes, no) => {
                    variables(condition, found);
                    self.mentioned_by(yes, found);
                    self.mentioned_by(no, found);
                }
                StmtKind::SwitchAction(..) | StmtKind::Return | StmtKind::Exit => {}
            }
        }
    }

    /// The steps of an action in place of its call: arguments are copied in, results out.
    pub(super) fn inline_action(
        &mut self,
        action: ActionId,
        arguments: &[Option<Expr>],
        code: &mut Code,
        exits: Exits,
    ) {
        if self.inlining.contains(&action) {
            let span = self.program.action(action).span;
            return self.error(MessageCode::Target, span, "an action calls itself");
        }
        let program = self.program;
        let declared = program.action(action);
        let pairs: Vec<_> = declared.params.iter().zip(arguments).collect();
        let mut bound = Vec::new();
        let mut copies = Vec::new();
        for (at, (param, value)) in pairs.iter().enumerate() {
            let Some(value) = value else { continue };
            let slot = match param.direction {
                Direction::None | Direction::In => self.bind_in(param.var, value, code),
                Direction::Out | Direction::InOut => {
                    let others = pairs.iter().enumerate().filter(|(other, _)| *other != at);
                    let others = others.filter_map(|(_, (_, value))| value.as_ref());
                    if self.by_reference(action, value, others) {
                        self.place(value).map(Slot::Place)
                    } else {
                        copies.push(CopyOut {
                            target: value.clone(),
                            from: param.var,
                        });
                        self.bind_copy(param.var, param.direction, value, code)
                    }
                }
            };
            match slot {
                Some(slot) => bound.push((param.var, slot)),
                None => self.unsupported(value.span, "this argument"),
            }
        }
        for (var, slot) in bound {
            self.bind(var, slot);
        }
        let leave = code.label();
        self.inlining.push(action);
        let inner = Exits {
            leave,
            end: exits.end,
        };
        let pending = usize::from(!copies.is_empty());
        self.pending_copies += pending;
        self.steps(&declared.body, code, inner);
        self.pending_copies -= pending;
        self.inlining.pop();
        code.place(leave);
        for CopyOut { target, from } in copies {
            let span = target.span;
            let value = Expr {
                kind: ExprKind::Var(from),
                ty: target.ty.clone(),
                span,
            };
            self.assign(&target, &value, code);
        }
    }

    fn bind_in(&mut self, var: VarId, value: &Expr, code: &mut Code) -> Option<Slot> {
        match &value.kind {
            ExprKind::Int(_)
            | ExprKind::Bool(_)
            | ExprKind::EnumMember(_)
            | ExprKind::ErrorMember(_) => return Some(Slot::Constant(Rc::new(value.clone()))),
            // Parameters of the outer action never change.
            ExprKind::Var(outer) => {
                if let Some(slot @ (Slot::Constant(_) | Slot::RuntimeData(_))) =
                    self.slots.get(outer)
                {
                    return Some(slot.clone());
                }
            }
            _ => {}
        }
        let place = self.parameter_place(var);
        self.store(&place, value, code);
        Some(Slot::Place(place))
    }

    /// Storage of a parameter that is copied.
    fn parameter_place(&mut self, var: VarId) -> Rc<Place> {
        let declared = self.program.var(var).clone();
        let name = format!("tmp.{}", self.var_name(var));
        self.allocate(&declared.ty, &name, declared.span)
    }

    fn bind_copy(
        &mut self,
        var: VarId,
        direction: Direction,
        value: &Expr,
        code: &mut Code,
    ) -> Option<Slot> {
        let place = self.parameter_place(var);
        if direction == Direction::InOut {
            self.store(&place, value, code);
        } else if let Place::Header(name, _) = &*place {
            code.push("remove_header", vec![bmv2::Value::Header(name.clone())]);
        }
        Some(Slot::Place(place))
    }

    /// Whether nobody can tell the parameter from the argument itself: the body does not use the
    /// variable under its own name, no other argument does, and its headers need no clearing.
    fn by_reference<'e>(
        &mut self,
        action: ActionId,
        value: &Expr,
        mut others: impl Iterator<Item = &'e Expr>,
    ) -> bool {
        let Some((var, _)) = Self::path(value) else {
            return false;
        };
        let plain = matches!(value.kind, ExprKind::Var(_) | ExprKind::Field(..));
        let has_header = value.ty.header().is_some();
        let shared = others.any(|other| {
            let mut used = HashSet::new();
            variables(other, &mut used);
            used.contains(&var)
        });
        plain && !has_header && !shared && !self.mentioned(action).contains(&var)
    }

    /// Number and name of an action that a table runs; it is written when it is first asked for.
    pub(super) fn table_action(&mut self, action: ActionId) -> (u32, String) {
        let program = self.program;
        let declared = program.action(action);
        let object = self.design.action_of(self.block, action);
        let block = object.map(|_| self.block);
        if let Some(known) = self.table_actions.get(&(block, action)) {
            return known.clone();
        }
        let name = match object {
            Some(at) => self.design.actions[at].name.clone(),
            None => {
                crate::check::control_plane_name(&declared.name, &declared.annotations).to_string()
            }
        };
        let mut runtime_data = Vec::new();
        for (at, param) in declared.params.iter().enumerate() {
            let var = program.var(param.var);
            if !matches!(var.ty.base(), Type::Bit(_) | Type::Signed(_)) {
                let message = format!(
                    "bmv2 cannot take a parameter of type {} from tables",
                    var.ty
                );
                self.error(MessageCode::Target, var.span, message);
            }
            runtime_data.push(bmv2::RuntimeData {
                name: var.name.to_string(),
                bitwidth: var.ty.width().unwrap_or(0),
            });
            self.bind(param.var, Slot::RuntimeData(at as u32));
        }
        let mut code = Code::default();
        let end = code.label();
        let exits = Exits { leave: end, end };
        self.steps(&declared.body, &mut code, exits);
        code.place(end);
        let id = self.write_action(&name, runtime_data, code);
        let made = (id, name);
        self.table_actions.insert((block, action), made.clone());
        made
    }

    pub(super) fn write_action(
        &mut self,
        name: &str,
        runtime_data: Vec<bmv2::RuntimeData>,
        code: Code,
    ) -> u32 {
        let id = self.out.actions.len() as u32;
        self.out.actions.push(bmv2::Action {
            name: name.to_owned(),
            id,
            runtime_data,
            primitives: code.finish(),
        });
        id
    }
}

/// Variables that an expression uses.
fn variables(expr: &Expr, found: &mut HashSet<VarId>) {
    if let ExprKind::Var(var) = expr.kind {
        found.insert(var);
    }
    children(expr, &mut |child| variables(child, found));
}
