//! Checksum controls: bmv2 has no steps there, only a list of checksums.

use flownic_pipeline::bmv2::{self, Value};

use super::Lowerer;
use super::storage::Place;
use crate::diagnostics::Code as MessageCode;
use crate::elaborate::BlockOf;
use crate::hir::{Call, Callee, ExprKind, Stmt, StmtKind};

impl Lowerer<'_> {
    /// The checksums of a control, written before deparsing or verified after parsing.
    pub(super) fn checksums(&mut self, block: usize, update: bool) {
        let BlockOf::Control(control) = self.design.blocks[block].of else {
            return;
        };
        let control = self.program.control(control);
        if !control.locals.is_empty() {
            self.unsupported(control.span, "a declaration in a checksum control");
        }
        self.checksum_statements(&control.body, update);
    }

    fn checksum_statements(&mut self, body: &[Stmt], update: bool) {
        for statement in body {
            match &statement.kind {
                StmtKind::Block(body) => self.checksum_statements(body, update),
                StmtKind::Call(call) => self.checksum(call, update),
                _ => {
                    let message = "a checksum control has only calls of checksum functions";
                    self.error(MessageCode::Target, statement.span, message);
                }
            }
        }
    }

    fn checksum(&mut self, call: &Call, update: bool) {
        let Callee::Extern(function) = &call.callee else {
            let message = "a checksum control has only calls of checksum functions";
            return self.error(MessageCode::Target, call.span, message);
        };
        let payload = function.name.ends_with("_with_payload");
        let plain = function.name.trim_end_matches("_with_payload");
        let wanted = if update {
            "update_checksum"
        } else {
            "verify_checksum"
        };
        if plain != wanted {
            let message = format!("`{}` is not possible in this control", function.name);
            return self.error(MessageCode::Target, call.span, message);
        }
        let [Some(condition), Some(data), Some(target), Some(algorithm)] = &call.arguments[..]
        else {
            return;
        };
        let Some(algorithm) = self.algorithm(algorithm) else {
            return;
        };
        let mut input = self.calculation_input(data, None);
        if payload {
            input.push(bmv2::CalculationInput {
                value: Value::Payload(None),
                bitwidth: None,
            });
        }
        let calculation = self.calculation(&algorithm, input);
        let place = self.place(target);
        let Some(Place::Field(field)) = place.as_deref() else {
            return self.unsupported(target.span, "a checksum that is no field");
        };
        let if_cond = match condition.kind {
            ExprKind::Bool(true) => None,
            _ => Some(self.condition(condition)),
        };
        let name = self.unique("cksum");
        self.out.checksums.push(bmv2::Checksum {
            name,
            id: self.out.checksums.len() as u32,
            source_info: self.source_info(call.span),
            target: [field.header.clone(), field.field.clone()],
            kind: "generic".to_owned(),
            calculation,
            verify: !update,
            update,
            if_cond,
        });
    }
}
