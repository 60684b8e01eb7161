//! Entries that the program gives.

use flownic_pipeline::bmv2::{self, EntryKey};
use num_bigint::BigInt;

use super::Lowerer;
use super::numbers::padded;
use crate::diagnostics::Code as MessageCode;
use crate::hir::{Expr, ExprKind, Table};

impl Lowerer<'_> {
    pub(super) fn entries(&mut self, table: &Table) -> Vec<bmv2::Entry> {
        let Some(entries) = &table.entries else {
            return Vec::new();
        };
        if !entries.constant {
            self.unsupported(table.span, "entries that are not constant");
        }
        let mut made = Vec::new();
        for (at, entry) in entries.list.iter().enumerate() {
            let mut match_key = Vec::new();
            for (key, set) in table.keys.iter().zip(&entry.keys) {
                let width = key.value.ty.width().unwrap_or(1);
                match self.entry_key(&key.kind, set, width) {
                    Some(key) => match_key.push(key),
                    None => {
                        let message = format!("an {} key cannot be given like this", key.kind);
                        self.error(MessageCode::Table, set.span, message);
                    }
                }
            }
            let (action_id, _) = self.table_action(entry.action);
            made.push(bmv2::Entry {
                source_info: self.source_info(entry.span),
                match_key,
                action_entry: bmv2::EntryAction {
                    action_id,
                    action_data: self.action_data(&entry.arguments),
                },
                // The first entry that matches wins; smaller numbers win.
                priority: at as i32 + 1,
            });
        }
        made
    }

    fn entry_key(&mut self, kind: &str, set: &Expr, width: u32) -> Option<EntryKey> {
        let text = |value: &BigInt| padded(value, width);
        let all = crate::check::mask(width);
        let zero = BigInt::ZERO;
        let (value, mask) = match &set.kind {
            ExprKind::Anything => (zero.clone(), zero.clone()),
            ExprKind::Mask(value, mask) => (self.constant(value)?, self.constant(mask)?),
            ExprKind::Range(low, high) => {
                if kind != "range" {
                    return None;
                }
                return Some(EntryKey::Range {
                    start: text(&self.constant(low)?),
                    end: text(&self.constant(high)?),
                });
            }
            _ => (self.constant(set)?, all.clone()),
        };
        let mask = mask & &all;
        Some(match kind {
            "exact" if mask == all => EntryKey::Exact { key: text(&value) },
            "lpm" => {
                let inverted = &all ^ &mask;
                // A prefix: the zeros of the mask are its last bits.
                if (&inverted & (&inverted + 1)) != zero {
                    return None;
                }
                EntryKey::Lpm {
                    key: text(&(value & &mask)),
                    prefix_length: width - inverted.bits() as u32,
                }
            }
            "ternary" => EntryKey::Ternary {
                key: text(&(value & &mask)),
                mask: text(&mask),
            },
            "optional" if mask == all || mask == zero => EntryKey::Ternary {
                key: text(&(value & &mask)),
                mask: text(&mask),
            },
            "range" if mask == zero => EntryKey::Range {
                start: text(&zero),
                end: text(&all),
            },
            "range" if mask == all => EntryKey::Range {
                start: text(&value),
                end: text(&value),
            },
            _ => return None,
        })
    }
}
