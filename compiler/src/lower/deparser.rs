//! Deparsers: the order in which valid headers are written.

use flownic_pipeline::bmv2;

use super::Lowerer;
use super::storage::Place;
use crate::diagnostics::Code as MessageCode;
use crate::elaborate::BlockOf;
use crate::hir::{Callee, Stmt, StmtKind};

impl Lowerer<'_> {
    pub(super) fn deparser(&mut self, block: usize) {
        let BlockOf::Control(control) = self.design.blocks[block].of else {
            return;
        };
        let control = self.program.control(control);
        if !control.locals.is_empty() {
            self.unsupported(control.span, "a declaration in a deparser");
        }
        let mut order = Vec::new();
        self.emits(&control.body, &mut order);
        self.out.deparsers.push(bmv2::Deparser {
            name: "deparser".to_owned(),
            id: 0,
            source_info: self.source_info(control.span),
            order,
            primitives: Vec::new(),
        });
    }

    fn emits(&mut self, body: &[Stmt], order: &mut Vec<String>) {
        for statement in body {
            let call = match &statement.kind {
                StmtKind::Block(body) => {
                    self.emits(body, order);
                    continue;
                }
                StmtKind::Call(call) => call,
                _ => {
                    self.unsupported(statement.span, "this statement in a deparser");
                    continue;
                }
            };
            let is_emit = matches!(&call.callee, Callee::ParameterMethod(of, method)
                if &*of.name == "packet_out" && &*method.name == "emit");
            let Some(Some(data)) = call.arguments.first().filter(|_| is_emit) else {
                self.unsupported(statement.span, "this statement in a deparser");
                continue;
            };
            match self.place(data).as_deref() {
                Some(place) => {
                    if !emitted(place, order) {
                        let message = "only headers are emitted";
                        self.error(MessageCode::Type, data.span, message);
                    }
                }
                None => self.unsupported(data.span, "this as something to emit"),
            }
        }
    }
}

/// Headers of a place, in order; `false` when there is something else.
fn emitted(place: &Place, order: &mut Vec<String>) -> bool {
    match place {
        Place::Header(name, _) => {
            order.push(name.clone());
            true
        }
        Place::Parts(parts) => parts.iter().all(|part| emitted(part, order)),
        Place::Field(_) | Place::Nothing => false,
    }
}
