//! Tables.

use super::{Checker, Entity, control_plane_name};
use crate::ast::{self, ActionRef, KeyElement, Property, PropertyValue};
use crate::diagnostics::{Code, Diagnostic};
use crate::hir::{
    ActionId, Builtin, Callee, DefaultAction, Entries, Entry, Expr, ExprKind, InstanceId, Key,
    Object, Program, Table, TableAction, TableId,
};
use crate::types::{Function, Type};

impl Checker<'_> {
    pub(super) fn table(&mut self, table: &ast::TableDecl) -> Option<TableId> {
        self.check_annotations(&table.annotations);
        let mut made = Table {
            name: table.name.name.clone(),
            keys: Vec::new(),
            actions: Vec::new(),
            default: None,
            size: None,
            counters: None,
            meters: None,
            support_timeout: false,
            entries: None,
            annotations: table.annotations.clone(),
            span: table.name.span,
        };
        self.check_repeated(table);
        // Entries and the default action need keys and actions, whatever the order.
        let late = |p: &&Property| matches!(&*p.name.name, "entries" | "default_action");
        for property in table.properties.iter().filter(|p| !late(p)) {
            self.property(property, &mut made);
        }
        for property in table.properties.iter().filter(late) {
            self.property(property, &mut made);
        }
        if !table.properties.iter().any(|p| &*p.name.name == "actions") {
            let message = format!("the table `{}` has no actions", table.name.name);
            self.error(Code::Table, table.name.span, message);
            return None;
        }
        self.program.tables.push(made);
        Some(TableId(self.program.tables.len() as u32 - 1))
    }

    fn check_repeated(&mut self, table: &ast::TableDecl) {
        for (at, property) in table.properties.iter().enumerate() {
            let before = &table.properties[..at];
            if let Some(first) = before.iter().find(|p| p.name.name == property.name.name) {
                let message = format!("the property `{}` is given twice", property.name.name);
                let error = Diagnostic::error(Code::Duplicate, property.name.span, message);
                self.messages
                    .push(error.related(first.name.span, "first given here"));
            }
        }
    }

    fn property(&mut self, property: &Property, table: &mut Table) {
        let name = &*property.name.name;
        match (&property.value, name) {
            (PropertyValue::Key(elements), _) => {
                let keys = elements.iter().filter_map(|e| self.key(e));
                table.keys = keys.collect();
            }
            (PropertyValue::Actions(refs), _) => {
                let actions = refs.iter().filter_map(|r| self.table_action(r));
                table.actions = actions.collect();
            }
            (PropertyValue::Entries(entries), _) => self.entries(property, entries, table),
            (PropertyValue::Expr(value), "default_action") => {
                table.default = self.default_action(value, property.constant, table);
            }
            (PropertyValue::Expr(value), "size") => {
                table.size = self.constant_number(value, "the size of a table");
            }
            (PropertyValue::Expr(value), "counters") => {
                table.counters = self.resource(value, "direct_counter");
            }
            (PropertyValue::Expr(value), "meters") => {
                table.meters = self.resource(value, "direct_meter");
            }
            (PropertyValue::Expr(value), "support_timeout") => match self.expr(value, None).kind {
                ExprKind::Bool(given) => table.support_timeout = given,
                _ => self.error(Code::Table, value.span, "true or false is expected here"),
            },
            (PropertyValue::Expr(value), "implementation") => {
                self.unsupported(value.span, "an action profile or selector");
            }
            _ => {
                let message = format!("v1model tables have no property `{name}`");
                self.error(Code::Table, property.name.span, message);
            }
        }
    }

    fn resource(&mut self, value: &ast::Expr, kind: &str) -> Option<InstanceId> {
        let checked = self.expr(value, None);
        if let ExprKind::Object(id) = checked.kind
            && let Object::Extern(of, _) = &self.program.instance(id).object
            && &*of.name == kind
        {
            return Some(id);
        }
        if !checked.ty.is_bad() {
            let message = format!("an instance of `{kind}` is expected here");
            self.error(Code::Table, value.span, message);
        }
        None
    }

    fn key(&mut self, element: &KeyElement) -> Option<Key> {
        self.check_annotations(&element.annotations);
        let value = self.expr(&element.value, None);
        if value.ty.is_bad() {
            return None;
        }
        if !value.ty.is_scalar() || matches!(value.ty.base(), Type::Varbit(_)) {
            let message = format!("a value of type {} cannot be a key", value.ty);
            self.error(Code::Type, element.value.span, message);
            return None;
        }
        if !self.match_kinds.contains(&element.kind.name) {
            let known: Vec<&str> = self.match_kinds.iter().map(|k| &**k).collect();
            let note = format!("known are {}", known.join(", "));
            let message = format!("there is no match kind `{}`", element.kind.name);
            let error = Diagnostic::error(Code::UnknownName, element.kind.span, message);
            self.messages.push(error.note(note));
            return None;
        }
        if &*element.kind.name == "selector" {
            self.unsupported(element.kind.span, "a selector");
            return None;
        }
        let given = self.given_name(&element.annotations);
        let path = path_name(&self.program, &value);
        Some(Key {
            value,
            kind: element.kind.name.clone(),
            name: given.or_else(|| path.map(Into::into)),
            annotations: element.annotations.clone(),
        })
    }

    fn find_action(&mut self, name: &ast::Ident, global: bool) -> Option<ActionId> {
        match self.lookup(name, global) {
            Some(Entity::Action(action)) => Some(action),
            Some(other) => {
                let message = format!("`{}` is {}, not an action", name.name, other.kind());
                self.error(Code::WrongKind, name.span, message);
                None
            }
            None => {
                self.unknown(name, "action");
                None
            }
        }
    }

    fn table_action(&mut self, action: &ActionRef) -> Option<TableAction> {
        self.check_annotations(&action.annotations);
        let id = self.find_action(&action.name, action.global)?;
        let directed = self.program.action(id).params.iter();
        let directed = directed
            .filter(|p| p.direction != ast::Direction::None)
            .count();
        let given = action.arguments.as_ref().map_or(0, Vec::len);
        if directed > 0 {
            let what = "an action with `in` or `out` parameters in a table";
            self.unsupported(action.span, what);
            return None;
        }
        if given > 0 {
            let message = "the control plane gives these parameters, not the table";
            self.error(Code::Arguments, action.span, message);
            return None;
        }
        Some(TableAction {
            action: id,
            annotations: action.annotations.clone(),
            span: action.span,
        })
    }

    /// Arguments of a default action or of an entry's action.
    fn action_arguments(
        &mut self,
        action: ActionId,
        name: &ast::Ident,
        arguments: &[ast::Argument],
        span: crate::source::Span,
    ) -> Option<Vec<Expr>> {
        let params = self.program.action(action).params.clone();
        let signature = self.signature_of(name, &params);
        let plain = Function {
            span: self.program.action(action).span,
            name: signature.name.clone(),
            type_parameters: Vec::new(),
            parameters: signature.parameters.clone(),
            result: Type::Void,
        };
        let (arguments, _) = self.match_arguments(&plain, &[], arguments, span)?;
        let arguments: Vec<Expr> = arguments.into_iter().flatten().collect();
        let unknown = arguments
            .iter()
            .find(|a| !super::statements::is_constant(a));
        if let Some(unknown) = unknown {
            let message = "this argument must be known at compile time";
            self.error(Code::NotConstant, unknown.span, message);
            return None;
        }
        Some(arguments)
    }

    fn default_action(
        &mut self,
        value: &ast::Expr,
        constant: bool,
        table: &Table,
    ) -> Option<DefaultAction> {
        let (name, global, arguments) = match &value.kind {
            ast::ExprKind::Name(name, global) => (name, *global, &[][..]),
            ast::ExprKind::Call(callee, types, arguments) if types.is_empty() => match &callee.kind
            {
                ast::ExprKind::Name(name, global) => (name, *global, &arguments[..]),
                _ => return self.no_action(value.span),
            },
            _ => return self.no_action(value.span),
        };
        let action = self.find_action(name, global)?;
        self.check_listed(action, name, table, false)?;
        let arguments = self.action_arguments(action, name, arguments, value.span)?;
        Some(DefaultAction {
            action,
            arguments,
            constant,
        })
    }

    fn no_action<T>(&mut self, span: crate::source::Span) -> Option<T> {
        self.error(Code::Table, span, "an action is expected here");
        None
    }

    fn check_listed(
        &mut self,
        action: ActionId,
        name: &ast::Ident,
        table: &Table,
        entry: bool,
    ) -> Option<()> {
        let has = |a: &TableAction, annotation: &str| {
            a.annotations.iter().any(|x| &*x.name.name == annotation)
        };
        let Some(listed) = table.actions.iter().find(|a| a.action == action) else {
            let message = format!(
                "`{}` is not among the actions of `{}`",
                name.name, table.name
            );
            let error = Diagnostic::error(Code::Table, name.span, message);
            self.messages.push(error.related(table.span, "the table"));
            return None;
        };
        let wrong = if entry { "defaultonly" } else { "tableonly" };
        if has(listed, wrong) {
            let message = format!("`{}` is marked @{wrong}", name.name);
            let error = Diagnostic::error(Code::Table, name.span, message);
            self.messages.push(error.related(listed.span, "here"));
            return None;
        }
        Some(())
    }

    fn entries(&mut self, property: &Property, entries: &[ast::EntryDecl], table: &mut Table) {
        let types: Vec<Type> = table.keys.iter().map(|key| key.value.ty.clone()).collect();
        let mut list = Vec::new();
        for entry in entries {
            if entry.constant && !property.constant {
                self.unsupported(entry.span, "a constant entry among others");
                continue;
            }
            if entry.priority.is_some() {
                self.unsupported(entry.span, "an entry with a priority");
                continue;
            }
            let keys = self.sets(&entry.keys, &types);
            let name = &entry.action.name;
            let Some(action) = self.find_action(name, entry.action.global) else {
                continue;
            };
            let listed = self.check_listed(action, name, table, true);
            let given = entry.action.arguments.as_deref().unwrap_or_default();
            let arguments = self.action_arguments(action, name, given, entry.span);
            let (Some(keys), Some(()), Some(arguments)) = (keys, listed, arguments) else {
                continue;
            };
            list.push(Entry {
                keys,
                action,
                arguments,
                span: entry.span,
            });
        }
        table.entries = Some(Entries {
            constant: property.constant,
            list,
        });
    }
}

/// The name that a key has without `@name`: its path, when it is one.
fn path_name(program: &Program, expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Var(var) => Some(program.var(*var).name.to_string()),
        ExprKind::Field(base, at) => {
            let front = path_name(program, base)?;
            let field = base.ty.record()?.fields.get(*at)?;
            let name = control_plane_name(&field.name, &field.annotations);
            Some(format!("{front}.{name}"))
        }
        ExprKind::Element(base, index) => match &index.kind {
            ExprKind::Int(value) => Some(format!("{}[{value}]", path_name(program, base)?)),
            _ => None,
        },
        ExprKind::Slice(base, high, low) => {
            Some(format!("{}[{high}:{low}]", path_name(program, base)?))
        }
        ExprKind::Call(call) => match &call.callee {
            Callee::Builtin(Builtin::IsValid, base) => {
                Some(format!("{}.$valid$", path_name(program, base)?))
            }
            _ => None,
        },
        _ => None,
    }
}
