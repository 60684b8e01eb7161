//! Statements.

use super::{Checker, Entity};
use crate::ast::{self, Binary, SwitchCase};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{ActionCase, Expr, ExprKind, Stmt, StmtKind};
use crate::source::Span;
use crate::types::Type;

impl Checker<'_> {
    /// A block with a scope of its own.
    pub(super) fn block(&mut self, body: &[ast::Stmt]) -> Vec<Stmt> {
        self.scoped(|checker| checker.statements(body))
    }

    pub(super) fn statements(&mut self, body: &[ast::Stmt]) -> Vec<Stmt> {
        body.iter().filter_map(|s| self.statement(s)).collect()
    }

    fn statement(&mut self, statement: &ast::Stmt) -> Option<Stmt> {
        let span = statement.span;
        let kind = match &statement.kind {
            ast::StmtKind::Empty => return None,
            ast::StmtKind::Block(body) => StmtKind::Block(self.block(body)),
            ast::StmtKind::Var(variable) => {
                let (var, value) = self.variable(variable)?;
                StmtKind::Declare(var, value)
            }
            ast::StmtKind::Const(constant) => {
                self.constant(constant);
                return None;
            }
            ast::StmtKind::Assign(target, operator, value) => {
                self.assignment(target, *operator, value, span)?
            }
            ast::StmtKind::Call(call) => self.call_statement(call)?,
            ast::StmtKind::If(condition, yes, no) => {
                let condition = self.expr(condition, None);
                let condition = self.coerce(condition, &Type::Bool);
                let yes = self.branch(yes);
                let no = no.as_ref().map_or_else(Vec::new, |no| self.branch(no));
                StmtKind::If(condition, yes, no)
            }
            ast::StmtKind::Switch(value, cases) => self.switch(value, cases, span)?,
            ast::StmtKind::Return(None) => StmtKind::Return,
            ast::StmtKind::Return(Some(value)) => {
                self.error(Code::Type, value.span, "nothing is returned here");
                return None;
            }
            ast::StmtKind::Exit => StmtKind::Exit,
        };
        Some(Stmt { kind, span })
    }

    fn branch(&mut self, statement: &ast::Stmt) -> Vec<Stmt> {
        match &statement.kind {
            ast::StmtKind::Block(body) => self.block(body),
            _ => self.block(std::slice::from_ref(statement)),
        }
    }

    pub(super) fn variable(
        &mut self,
        variable: &ast::Variable,
    ) -> Option<(crate::hir::VarId, Option<Expr>)> {
        let ty = self.resolve(&variable.ty);
        self.check_annotations(&variable.annotations);
        // The value is read before the name is known: `bit<8> x = x;` means the outer one.
        let value = variable.value.as_ref().map(|value| {
            let value = self.expr(value, Some(&ty));
            self.coerce(value, &ty)
        });
        let storable = !matches!(
            ty,
            Type::Void | Type::Integer | Type::Text | Type::MatchKind | Type::Extern(..)
        );
        if !storable {
            let message = format!("a variable cannot be of type {ty}");
            self.error(Code::Type, variable.ty.span, message);
            return None;
        }
        let var = self.declare_var(&variable.name, ty, true);
        Some((var, value))
    }

    pub(super) fn constant(&mut self, constant: &ast::Constant) {
        let ty = self.resolve(&constant.ty);
        let value = self.expr(&constant.value, Some(&ty));
        let value = self.coerce(value, &ty);
        if !is_constant(&value) {
            let message = "the value of a constant must be known at compile time";
            self.error(Code::NotConstant, constant.value.span, message);
        }
        self.declare(&constant.name, Entity::Const(value));
    }

    fn assignment(
        &mut self,
        target: &ast::Expr,
        operator: Option<Binary>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        let place = self.expr(target, None);
        let writable = self.check_writable(&place);
        let ty = place.ty.clone();
        let value = match operator {
            None => {
                let value = self.expr(value, Some(&ty));
                self.coerce(value, &ty)
            }
            Some(operator) => {
                let value = self.binary(operator, target, value, span);
                self.coerce(value, &ty)
            }
        };
        (writable && !value.ty.is_bad()).then_some(StmtKind::Assign(place, value))
    }

    fn call_statement(&mut self, call: &ast::Expr) -> Option<StmtKind> {
        let ast::ExprKind::Call(callee, types, arguments) = &call.kind else {
            self.error(Code::Syntax, call.span, "this is no statement");
            return None;
        };
        let (call, _) = self.call(callee, types, arguments, call.span)?;
        Some(StmtKind::Call(call))
    }

    fn switch(&mut self, value: &ast::Expr, cases: &[SwitchCase], span: Span) -> Option<StmtKind> {
        let checked = self.expr(value, None);
        let Type::ActionRun(table) = checked.ty else {
            if !checked.ty.is_bad() {
                self.unsupported(span, "`switch` on a value");
            }
            return None;
        };
        let mut groups = Vec::new();
        let mut labels = Vec::new();
        let mut seen: Vec<(Option<crate::hir::ActionId>, Span)> = Vec::new();
        for case in cases {
            let label = self.action_label(&case.label, table)?;
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == label) {
                let error = Diagnostic::error(
                    Code::Duplicate,
                    case.label.span,
                    "this case was there before",
                );
                self.messages.push(error.related(*first, "first here"));
            }
            seen.push((label, case.label.span));
            labels.push(label);
            if let Some(body) = &case.body {
                let body = self.branch(body);
                let labels = std::mem::take(&mut labels);
                groups.push(ActionCase { labels, body });
            }
        }
        if !labels.is_empty() {
            let labels = std::mem::take(&mut labels);
            groups.push(ActionCase {
                labels,
                body: Vec::new(),
            });
        }
        Some(StmtKind::SwitchAction(table, groups))
    }

    fn action_label(
        &mut self,
        label: &ast::Expr,
        table: crate::hir::TableId,
    ) -> Option<Option<crate::hir::ActionId>> {
        let (name, global) = match &label.kind {
            ast::ExprKind::Default => return Some(None),
            ast::ExprKind::Name(name, global) => (name, *global),
            _ => {
                let message = "a case of this switch is the name of an action, or `default`";
                self.error(Code::WrongKind, label.span, message);
                return None;
            }
        };
        let found = self.lookup(name, global);
        let table = self.program.table(table);
        if let Some(Entity::Action(action)) = found
            && table.actions.iter().any(|a| a.action == action)
        {
            return Some(Some(action));
        }
        let message = format!("`{}` is no action of the table `{}`", name.name, table.name);
        let error = Diagnostic::error(Code::WrongKind, name.span, message);
        let error = error.related(table.span, "the table");
        self.messages.push(error);
        None
    }
}

/// Whether a value is known at compile time.
pub(super) fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Bool(_)
        | ExprKind::Text(_)
        | ExprKind::EnumMember(_)
        | ExprKind::ErrorMember(_)
        | ExprKind::Bad => true,
        ExprKind::Parts(parts) => parts.iter().all(is_constant),
        _ => false,
    }
}
