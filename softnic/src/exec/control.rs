//! Control flow: conditions, tables and plain actions, from node to node.

use super::machine::Machine;
use super::parser::push_bits;
use super::phv::Phv;
use crate::program::{Bits, KeyPart, Next, Node, NodeId};
use crate::tables::Table;

impl Machine<'_> {
    /// Runs a pipeline from a node to its end, or until an action says `exit`. (Control flow has
    /// no loops.) `key` is room for keys.
    pub(crate) fn control(
        &mut self,
        start: Option<NodeId>,
        tables: &mut [Table],
        key: &mut Vec<u8>,
    ) {
        let program = self.program;
        let mut next = start;
        while let Some(node) = next {
            next = match &program.nodes[node as usize] {
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    *if self.truth(condition) {
                        then
                    } else {
                        otherwise
                    }
                }
                Node::Action { action, next } => {
                    self.run(&program.actions[usize::from(*action)].ops);
                    *next
                }
                Node::Table {
                    table,
                    key: parts,
                    color,
                    next,
                } => {
                    build_key(self.phv, parts, key);
                    let table = &mut tables[usize::from(*table)];
                    let (hit, action) = self.apply(table, key, *color);
                    after(next, hit, action)
                }
            };
            if std::mem::take(&mut self.requests.exit) {
                return;
            }
        }
    }

    /// Looks a key up and runs the action that is found; says whether it was a hit, and which of
    /// the table's actions ran.
    fn apply(
        &mut self,
        table: &mut Table,
        key: &mut [u8],
        color: Option<Bits>,
    ) -> (bool, Option<u16>) {
        let slot = table.find(key);
        if table.schema.direct_counter {
            table.count(slot, u64::from(self.ingress_length));
        }
        if let (Some(bits), Some(_)) = (color, slot) {
            // A meter without a configuration is green.
            self.phv.store(bits, 0);
        }
        let (action, data) = match slot {
            Some(slot) => {
                let entry = table.entry(slot);
                (Some(entry.action), &*entry.data)
            }
            None => (table.default.action, &*table.default.data),
        };
        if let Some(action) = action {
            let schema = &table.schema.actions[usize::from(action)];
            let ops = &self.program.actions[usize::from(schema.action)].ops;
            self.with_data(data).run(ops);
        }
        (slot.is_some(), action)
    }
}

/// The node after a table.
fn after(next: &Next, hit: bool, action: Option<u16>) -> Option<NodeId> {
    match next {
        Next::Always(node) => *node,
        Next::HitMiss { hit: node, .. } if hit => *node,
        Next::HitMiss { miss, .. } => *miss,
        Next::Action { by_action, miss } => match action {
            Some(action) => by_action[usize::from(action)],
            None => *miss,
        },
    }
}

/// Puts the fields of a key behind one another, each padded to whole bytes.
fn build_key(phv: &Phv, parts: &[KeyPart], key: &mut Vec<u8>) {
    key.clear();
    for part in parts {
        match part {
            KeyPart::Field(bits) => push_bits(&phv.bytes, *bits, key),
            KeyPart::Masked(bits, mask) => {
                let start = key.len();
                push_bits(&phv.bytes, *bits, key);
                for (byte, mask) in key[start..].iter_mut().zip(mask) {
                    *byte &= mask;
                }
            }
            KeyPart::Valid(header) => key.push(u8::from(phv.is_valid(*header))),
            // `load` makes these for parsers only.
            KeyPart::StackLast { .. } | KeyPart::Lookahead { .. } => {}
        }
    }
}
