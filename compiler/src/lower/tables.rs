//! Tables as nodes of the graph.

use flownic_pipeline::bmv2::{self, MatchKind};

use super::Lowerer;
use super::code::Code;
use super::control::{After, Next, Node, Ways};
use super::numbers::padded;
use super::storage::Place;
use crate::diagnostics::Code as MessageCode;
use crate::elaborate::TableObject;
use crate::hir::{ActionId, Builtin, Callee, Expr, ExprKind, Key, Table};

impl Lowerer<'_> {
    /// Adds a table to the graph; the result is the node before it when its key is computed.
    pub(super) fn table_node(&mut self, object: usize, ways: &Ways) -> Next {
        let design = self.design;
        let TableObject { name, table, .. } = &design.tables[object];
        let program = self.program;
        let table = program.table(*table);
        let mut code = Code::default();
        let keys: Vec<bmv2::KeyField> = table
            .keys
            .iter()
            .map(|key| self.key_field(key, table, &mut code))
            .collect();
        let match_type = self.match_type(table);
        let (action_ids, actions, ids) = self.table_actions_of(table);
        let default_entry = self.default_entry(table);
        let with_counters = self.direct_counter(table, name);
        if table.meters.is_some() {
            self.unsupported(table.span, "a direct meter");
        }
        let entries = self.entries(table);
        let made = bmv2::Table {
            name: name.clone(),
            id: 0,
            source_info: self.source_info(table.span),
            key: keys,
            match_type,
            kind: bmv2::TableKind::Simple,
            action_profile: None,
            max_size: table.size.unwrap_or(1024),
            with_counters,
            support_timeout: table.support_timeout,
            direct_meters: None,
            action_ids,
            actions: actions.clone(),
            base_default_next: None,
            next_tables: Default::default(),
            default_entry,
            entries,
        };
        let after = match ways {
            Ways::Hit(hit, miss) => After::Hit(*hit, *miss),
            Ways::Action(special, rest) => {
                let to = |id: &ActionId| {
                    let found = special.iter().find(|(action, _)| action == id);
                    found.map_or(*rest, |(_, next)| *next)
                };
                let ways = actions
                    .into_iter()
                    .zip(&ids)
                    .map(|(name, id)| (name, to(id)));
                After::Action(ways.collect(), *rest)
            }
        };
        self.nodes.push(Node::Table(Box::new(made), after));
        let node = self.nodes.len() - 1;
        if code.list.is_empty() {
            return Some(node);
        }
        self.code_node(code, table.span, Some(node))
    }

    fn key_field(&mut self, key: &Key, table: &Table, code: &mut Code) -> bmv2::KeyField {
        let match_type = match &*key.kind {
            "exact" => MatchKind::Exact,
            "lpm" => MatchKind::Lpm,
            "range" => MatchKind::Range,
            // bmv2 has no optional keys; a ternary one with a full or an empty mask is the same.
            "ternary" | "optional" => MatchKind::Ternary,
            other => {
                let message = format!("bmv2 does not match by `{other}`");
                self.error(MessageCode::Target, key.value.span, message);
                MatchKind::Exact
            }
        };
        if key.name.is_none() {
            let message = "this key needs a name for the control plane";
            let error =
                crate::diagnostics::Diagnostic::error(MessageCode::Table, key.value.span, message);
            let note = "write `@name(\"…\")` after the match kind";
            self.messages
                .push(error.note(note).related(table.span, "in this table"));
        }
        bmv2::KeyField {
            match_type,
            name: key.name.as_ref().map(ToString::to_string),
            target: bmv2::KeyTarget::Field(self.key_target(&key.value, code)),
            mask: None,
        }
    }

    /// The field that holds the value of a key.
    fn key_target(&mut self, value: &Expr, code: &mut Code) -> bmv2::FieldRef {
        if let ExprKind::Call(call) = &value.kind
            && let Callee::Builtin(Builtin::IsValid, header) = &call.callee
            && let Some(Place::Header(name, _)) = self.place(header).as_deref()
        {
            return [name.clone(), "$valid$".to_owned()];
        }
        let direct = match value.kind {
            ExprKind::Var(_) | ExprKind::Field(..) => self.place(value),
            _ => None,
        };
        let place = direct.unwrap_or_else(|| {
            let temporary = self.temporary(&value.ty, value.span);
            self.store(&temporary, value, code);
            temporary
        });
        match &*place {
            Place::Field(field) => [field.header.clone(), field.field.clone()],
            _ => {
                self.unsupported(value.span, "this key");
                Default::default()
            }
        }
    }

    fn match_type(&mut self, table: &Table) -> MatchKind {
        let has = |kind: &str| table.keys.iter().any(|key| &*key.kind == kind);
        if table.keys.iter().filter(|key| &*key.kind == "lpm").count() > 1 {
            let message = format!("the table `{}` has more than one lpm key", table.name);
            self.error(MessageCode::Target, table.span, message);
        }
        if has("range") {
            MatchKind::Range
        } else if has("ternary") || has("optional") {
            MatchKind::Ternary
        } else if has("lpm") {
            MatchKind::Lpm
        } else {
            MatchKind::Exact
        }
    }

    /// The action that does nothing, which every table may fall back to.
    pub(super) fn no_action(&self) -> Option<ActionId> {
        crate::p4info::no_action(self.program)
    }

    fn table_actions_of(&mut self, table: &Table) -> (Vec<u32>, Vec<String>, Vec<ActionId>) {
        let mut listed: Vec<ActionId> = table.actions.iter().map(|a| a.action).collect();
        if table.default.is_none()
            && let Some(nothing) = self.no_action()
            && !listed.contains(&nothing)
        {
            listed.push(nothing);
        }
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for action in &listed {
            let (id, name) = self.table_action(*action);
            ids.push(id);
            names.push(name);
        }
        (ids, names, listed)
    }

    fn default_entry(&mut self, table: &Table) -> Option<bmv2::DefaultEntry> {
        let (action, arguments, constant) = match &table.default {
            Some(default) => (default.action, &default.arguments[..], default.constant),
            None => (self.no_action()?, &[][..], false),
        };
        let (action_id, _) = self.table_action(action);
        Some(bmv2::DefaultEntry {
            action_id,
            action_const: constant,
            action_data: self.action_data(arguments),
            action_entry_const: constant,
        })
    }

    /// Constant arguments as the file has them.
    pub(super) fn action_data(&mut self, arguments: &[Expr]) -> Vec<String> {
        let mut data = Vec::new();
        for argument in arguments {
            let width = argument.ty.width().unwrap_or(1);
            match self.constant(argument) {
                Some(value) => data.push(padded(&value, width)),
                None => self.unsupported(argument.span, "this argument of an action"),
            }
        }
        data
    }

    /// Number of a constant.
    pub(super) fn constant(&self, expr: &Expr) -> Option<num_bigint::BigInt> {
        Some(match &expr.kind {
            ExprKind::Int(value) => value.clone(),
            ExprKind::Bool(value) => u8::from(*value).into(),
            ExprKind::EnumMember(at) => (*at).into(),
            ExprKind::ErrorMember(name) => self.error_number(name).into(),
            _ => return None,
        })
    }

    fn direct_counter(&mut self, table: &Table, name: &str) -> bool {
        let Some(instance) = table.counters else {
            return false;
        };
        let Some(object) = self.design.extern_of(self.block, instance) else {
            return false;
        };
        if self
            .out
            .counter_arrays
            .iter()
            .any(|array| array.name == object.name)
        {
            let message = format!("the counter `{}` is used by two tables", object.name);
            self.error(MessageCode::Target, table.span, message);
        }
        self.out.counter_arrays.push(bmv2::CounterArray {
            name: object.name.clone(),
            id: self.out.counter_arrays.len() as u32,
            source_info: None,
            size: None,
            is_direct: true,
            binding: Some(name.to_owned()),
        });
        true
    }
}
