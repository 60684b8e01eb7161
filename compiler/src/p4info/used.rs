//! What of a program runs.

use std::collections::HashSet;

use super::no_action;
use crate::elaborate::{BlockOf, Design};
use crate::hir::{ActionId, Callee, Expr, ExprKind, Program, Stmt, StmtKind, TableId};

/// Tables and actions that run: the others are left out.
#[derive(Default)]
pub(super) struct Used {
    pub(super) tables: HashSet<TableId>,
    pub(super) actions: HashSet<ActionId>,
    /// Actions that a table runs: the control plane gives their parameters.
    pub(super) in_tables: HashSet<ActionId>,
    /// Global actions in the order of their use.
    pub(super) global: Vec<ActionId>,
}

impl Used {
    pub(super) fn of(program: &Program, design: &Design) -> Used {
        let mut used = Used::default();
        for block in &design.blocks {
            if let BlockOf::Control(control) = block.of {
                used.body(program, &program.control(control).body);
            }
        }
        used
    }

    fn body(&mut self, program: &Program, body: &[Stmt]) {
        for statement in body {
            match &statement.kind {
                StmtKind::Block(body) => self.body(program, body),
                StmtKind::Declare(_, Some(value)) => self.expr(program, value),
                StmtKind::Assign(_, value) => self.expr(program, value),
                StmtKind::Call(call) => match call.callee {
                    Callee::Action(action) => self.action(program, action),
                    Callee::Table(table) => self.table(program, table),
                    _ => {}
                },
                StmtKind::If(condition, yes, no) => {
                    self.expr(program, condition);
                    self.body(program, yes);
                    self.body(program, no);
                }
                StmtKind::SwitchAction(table, cases) => {
                    self.table(program, *table);
                    cases.iter().for_each(|case| self.body(program, &case.body));
                }
                StmtKind::Declare(_, None) | StmtKind::Return | StmtKind::Exit => {}
            }
        }
    }

    fn expr(&mut self, program: &Program, expr: &Expr) {
        if let ExprKind::Hit(table, _) = expr.kind {
            self.table(program, table);
        }
        crate::lower::children(expr, &mut |child| self.expr(program, child));
    }

    fn table(&mut self, program: &Program, table: TableId) {
        if self.tables.insert(table) {
            let declared = program.table(table);
            for action in &declared.actions {
                self.in_tables.insert(action.action);
                self.action(program, action.action);
            }
            if declared.default.is_none()
                && let Some(nothing) = no_action(program)
            {
                self.action(program, nothing);
            }
        }
    }

    fn action(&mut self, program: &Program, action: ActionId) {
        if self.actions.insert(action) {
            let declared = program.action(action);
            if declared.global {
                self.global.push(action);
            }
            self.body(program, &declared.body);
        }
    }
}
