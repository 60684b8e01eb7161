//! Controls, parsers and actions.

use super::{Checker, Entity};
use crate::ast::{self, Direction};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{
    Action, ActionId, Control, ControlId, Local, Param, Parser, ParserId, State, Target,
    Transition, VarId,
};
use crate::types::Type;

impl Checker<'_> {
    fn params(&mut self, parameters: &[ast::Parameter], in_action: bool) -> Vec<Param> {
        let mut params = Vec::new();
        for parameter in parameters {
            self.check_annotations(&parameter.annotations);
            if parameter.default.is_some() {
                self.unsupported(parameter.name.span, "a parameter with a default value");
            }
            let ty = self.resolve(&parameter.ty);
            if parameter.direction != Direction::None && matches!(ty, Type::Extern(..)) {
                let message = "an extern object is passed without `in` or `out`";
                self.error(Code::Type, parameter.name.span, message);
            }
            if in_action
                && parameter.direction == Direction::None
                && !ty.is_bad()
                && !ty.is_scalar()
            {
                let message = format!("the control plane cannot give a value of type {ty}");
                self.error(Code::Type, parameter.ty.span, message);
            }
            let writable = matches!(parameter.direction, Direction::Out | Direction::InOut);
            params.push(Param {
                var: self.declare_var(&parameter.name, ty, writable),
                direction: parameter.direction,
                annotations: parameter.annotations.clone(),
            });
        }
        params
    }

    fn constructor(&mut self, parameters: &[ast::Parameter]) -> Vec<VarId> {
        let params = self.params(parameters, false);
        params.into_iter().map(|param| param.var).collect()
    }

    pub(super) fn action(&mut self, action: &ast::ActionDecl, global: bool) -> ActionId {
        self.check_annotations(&action.annotations);
        let checked = self.scoped(|checker| {
            let params = checker.params(&action.parameters, true);
            let directions = params.iter().map(|param| param.direction);
            if !directions.is_sorted_by_key(|direction| direction == Direction::None) {
                let message = "parameters without direction come after all others";
                checker.error(Code::Arguments, action.name.span, message);
            }
            checker.in_action = true;
            let body = checker.block(&action.body);
            checker.in_action = false;
            Action {
                name: action.name.name.clone(),
                params,
                body,
                annotations: action.annotations.clone(),
                span: action.name.span,
                global,
            }
        });
        self.program.actions.push(checked);
        ActionId(self.program.actions.len() as u32 - 1)
    }

    fn local(&mut self, local: &ast::Local) -> Option<Local> {
        match local {
            ast::Local::Var(variable) => {
                let (var, value) = self.variable(variable)?;
                Some(Local::Var(var, value))
            }
            ast::Local::Const(constant) => {
                self.constant(constant);
                None
            }
            ast::Local::Instance(instance) => {
                let id = self.instance(instance, instance.name.span)?;
                self.declare(&instance.name, Entity::Instance(id));
                Some(Local::Instance(id))
            }
            ast::Local::Action(action) => {
                let id = self.action(action, false);
                self.declare(&action.name, Entity::Action(id));
                Some(Local::Action(id))
            }
            ast::Local::Table(table) => {
                let id = self.table(table)?;
                self.declare(&table.name, Entity::Table(id));
                Some(Local::Table(id))
            }
            ast::Local::ValueSet(name) => {
                self.unsupported(name.span, "a parser value set");
                None
            }
        }
    }

    pub(super) fn control(&mut self, control: &ast::ControlDecl) {
        let signature = &control.signature;
        self.check_annotations(&signature.annotations);
        if !signature.type_parameters.is_empty() {
            return self.unsupported(signature.name.span, "a generic control");
        }
        let checked = self.scoped(|checker| {
            let constructor = checker.constructor(&control.constructor);
            let params = checker.params(&signature.parameters, false);
            let locals = control
                .locals
                .iter()
                .filter_map(|l| checker.local(l))
                .collect();
            let body = checker.block(&control.body);
            Control {
                name: signature.name.name.clone(),
                params,
                constructor,
                locals,
                body,
                span: signature.name.span,
            }
        });
        self.program.controls.push(checked);
        let id = ControlId(self.program.controls.len() as u32 - 1);
        self.declare(&signature.name, Entity::Control(id));
    }

    pub(super) fn parser(&mut self, parser: &ast::ParserDecl) {
        let signature = &parser.signature;
        self.check_annotations(&signature.annotations);
        if !signature.type_parameters.is_empty() {
            return self.unsupported(signature.name.span, "a generic parser");
        }
        let checked = self.scoped(|checker| {
            let constructor = checker.constructor(&parser.constructor);
            let params = checker.params(&signature.parameters, false);
            let locals = parser
                .locals
                .iter()
                .filter_map(|l| checker.local(l))
                .collect();
            let states = parser
                .states
                .iter()
                .map(|s| checker.state(s, &parser.states));
            let states: Vec<State> = states.collect();
            checker.check_states(parser, &states);
            Parser {
                name: signature.name.name.clone(),
                params,
                constructor,
                locals,
                states,
                span: signature.name.span,
            }
        });
        self.program.parsers.push(checked);
        let id = ParserId(self.program.parsers.len() as u32 - 1);
        self.declare(&signature.name, Entity::Parser(id));
    }

    fn check_states(&mut self, parser: &ast::ParserDecl, states: &[State]) {
        for (at, state) in states.iter().enumerate() {
            if let Some(first) = states[..at].iter().find(|other| other.name == state.name) {
                let message = format!("the state `{}` is declared twice", state.name);
                let error = Diagnostic::error(Code::Duplicate, state.span, message);
                self.messages
                    .push(error.related(first.span, "first declared here"));
            }
            if matches!(&*state.name, "accept" | "reject") {
                let message = format!("the state `{}` is built in", state.name);
                self.error(Code::State, state.span, message);
            }
        }
        if !states.iter().any(|state| &*state.name == "start") {
            let name = &parser.signature.name;
            let message = format!("the parser `{}` has no state `start`", name.name);
            self.error(Code::State, name.span, message);
        }
    }

    fn state(&mut self, state: &ast::State, all: &[ast::State]) -> State {
        self.scoped(|checker| {
            let body = checker.statements(&state.body);
            let transition = match &state.transition {
                None => Transition::Direct(Target::Reject),
                Some(ast::Transition::Direct(target)) => {
                    Transition::Direct(checker.target(target, all))
                }
                Some(ast::Transition::Select(keys, cases)) => checker.select(keys, cases, all),
            };
            State {
                name: state.name.name.clone(),
                body,
                transition,
                span: state.name.span,
            }
        })
    }

    fn target(&mut self, name: &ast::Ident, all: &[ast::State]) -> Target {
        match &*name.name {
            "accept" => return Target::Accept,
            "reject" => return Target::Reject,
            _ => {}
        }
        match all.iter().position(|state| state.name.name == name.name) {
            Some(at) => Target::State(at),
            None => {
                let message = format!("there is no state `{}`", name.name);
                let error = Diagnostic::error(Code::UnknownName, name.span, message);
                self.messages
                    .push(error.label("not a state of this parser"));
                Target::Reject
            }
        }
    }

    fn select(
        &mut self,
        keys: &[ast::Expr],
        cases: &[(ast::Expr, ast::Ident)],
        all: &[ast::State],
    ) -> Transition {
        let keys: Vec<_> = keys.iter().map(|key| self.expr(key, None)).collect();
        for key in &keys {
            if !key.ty.is_bad() && !key.ty.is_scalar() {
                let message = format!("a value of type {} cannot be selected on", key.ty);
                self.error(Code::Type, key.span, message);
            }
        }
        let mut checked = Vec::new();
        for (set, target) in cases {
            let state = self.target(target, all);
            let types: Vec<Type> = keys.iter().map(|key| key.ty.clone()).collect();
            if let Some(sets) = self.sets(set, &types) {
                checked.push((sets, state, set.span));
            }
        }
        Transition::Select {
            keys,
            cases: checked,
        }
    }

    /// One set for each key.
    pub(super) fn sets(
        &mut self,
        set: &ast::Expr,
        types: &[Type],
    ) -> Option<Vec<crate::hir::Expr>> {
        let items = match &set.kind {
            // One `_` or `default` stands for all.
            ast::ExprKind::Any | ast::ExprKind::Default => vec![set; types.len()],
            ast::ExprKind::List(items) => items.iter().collect(),
            _ => vec![set],
        };
        if items.len() != types.len() {
            let (wanted, given) = (types.len(), items.len());
            let message = format!("{wanted} values are needed here, {given} are given");
            self.error(Code::State, set.span, message);
            return None;
        }
        let mut sets = Vec::new();
        for (item, ty) in items.into_iter().zip(types) {
            let value = self.expr(item, Some(ty));
            let value = self.coerce(value, ty);
            if value.ty.is_bad() {
                return None;
            }
            if !is_constant_set(&value) {
                let message = "a case must be known at compile time";
                self.error(Code::NotConstant, item.span, message);
                return None;
            }
            sets.push(value);
        }
        Some(sets)
    }
}

fn is_constant_set(set: &crate::hir::Expr) -> bool {
    use super::statements::is_constant;
    match &set.kind {
        crate::hir::ExprKind::Anything => true,
        crate::hir::ExprKind::Mask(a, b) | crate::hir::ExprKind::Range(a, b) => {
            is_constant(a) && is_constant(b)
        }
        _ => is_constant(set),
    }
}
