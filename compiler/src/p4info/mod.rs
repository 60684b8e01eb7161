//! What the control plane may know of the program (P4Runtime specification 1.4, section 6).

mod ids;
mod text;
mod types;
mod used;

use flownic_pipeline::p4info as out;

use crate::ast::{Annotations, Direction};
use crate::check::{annotation_number, annotation_text};
use crate::diagnostics::{Code, Diagnostics};
use crate::elaborate::{Design, ExternObject, TableObject};
use crate::hir::{Action, ActionId, Expr, ExprKind, Key, Param, Program, TableId};
use crate::types::Type;
use ids::{Ids, Prefix};
use used::Used;

/// The global action that does nothing.
pub(crate) fn no_action(program: &Program) -> Option<ActionId> {
    let found = program
        .actions
        .iter()
        .position(|action| action.global && &*action.name == "NoAction");
    found.map(|at| ActionId(at as u32))
}

/// Makes the P4Info. Errors are among the messages.
pub(crate) fn run(program: &Program, design: &Design, messages: &mut Diagnostics) -> out::P4Info {
    let mut builder = Builder {
        program,
        design,
        ids: Ids::default(),
        used: Used::of(program, design),
        info: out::P4Info::default(),
        types: out::TypeInfo::default(),
        messages,
    };
    builder.symbols();
    builder.ids.assign();
    builder.all();
    builder.info
}

struct Builder<'a> {
    program: &'a Program,
    design: &'a Design,
    ids: Ids,
    used: Used,
    info: out::P4Info,
    types: out::TypeInfo,
    messages: &'a mut Diagnostics,
}

/// Whether the control plane is not to see it.
fn is_hidden(annotations: &Annotations) -> bool {
    annotations.iter().any(|a| &*a.name.name == "hidden")
}

/// Kind of an extern object for its id.
fn extern_prefix(object: &ExternObject) -> Option<Prefix> {
    Some(match &*object.of.name {
        "counter" => Prefix::Counter,
        "direct_counter" => Prefix::DirectCounter,
        "meter" => Prefix::Meter,
        "direct_meter" => Prefix::DirectMeter,
        "register" => Prefix::Register,
        _ => return None,
    })
}

impl Builder<'_> {
    fn symbols(&mut self) {
        let (program, design) = (self.program, self.design);
        for action in self.used.global.clone() {
            let declared = program.action(action);
            let name = crate::check::control_plane_name(&declared.name, &declared.annotations);
            self.symbol(Prefix::Action, &name, &declared.annotations, declared.span);
        }
        for object in &design.actions {
            let declared = program.action(object.action);
            if self.shows_action(object.action) {
                self.symbol(
                    Prefix::Action,
                    &object.name,
                    &declared.annotations,
                    declared.span,
                );
            }
        }
        for object in &design.tables {
            let declared = program.table(object.table);
            if self.shows_table(object.table) {
                self.symbol(
                    Prefix::Table,
                    &object.name,
                    &declared.annotations,
                    declared.span,
                );
            }
        }
        for object in &design.externs {
            let declared = program.instance(object.instance);
            if let Some(prefix) = extern_prefix(object)
                && !self.is_orphan(prefix, object)
            {
                self.symbol(prefix, &object.name, &declared.annotations, object.span);
            }
        }
        for header in program
            .controller_headers
            .iter()
            .filter(|h| !is_hidden(&h.annotations))
        {
            self.symbol(
                Prefix::ControllerHeader,
                &header.name,
                &header.annotations,
                header.span,
            );
        }
    }

    fn shows_action(&self, action: ActionId) -> bool {
        let hidden = is_hidden(&self.program.action(action).annotations);
        self.used.actions.contains(&action) && !hidden
    }

    fn shows_table(&self, table: TableId) -> bool {
        let hidden = is_hidden(&self.program.table(table).annotations);
        self.used.tables.contains(&table) && !hidden
    }

    fn symbol(
        &mut self,
        prefix: Prefix,
        name: &str,
        annotations: &Annotations,
        span: crate::source::Span,
    ) {
        let wanted = annotation_number(annotations, "id");
        if let Err(problem) = self.ids.add(prefix, name, wanted) {
            self.messages.error(Code::Annotation, span, problem);
        }
    }

    fn preamble(&self, prefix: Prefix, name: &str, annotations: &Annotations) -> out::Preamble {
        out::Preamble {
            id: self.ids.get(prefix, name),
            name: name.to_owned(),
            alias: self.ids.alias(name),
            annotations: text::kept(annotations),
            doc: text::documentation(annotations),
            structured_annotations: Vec::new(),
        }
    }

    fn all(&mut self) {
        let (program, design) = (self.program, self.design);
        self.info.pkg_info = Some(self.package());
        for action in self.used.global.clone() {
            let declared = program.action(action);
            let name = crate::check::control_plane_name(&declared.name, &declared.annotations);
            self.action(&name, action, declared);
        }
        for object in &design.actions {
            if self.shows_action(object.action) {
                self.action(&object.name, object.action, program.action(object.action));
            }
        }
        for object in &design.tables {
            if self.shows_table(object.table) {
                let table = self.table(object);
                self.info.tables.push(table);
            }
        }
        for object in &design.externs {
            self.external(object);
        }
        for header in program
            .controller_headers
            .iter()
            .filter(|h| !is_hidden(&h.annotations))
        {
            self.controller_header(header);
        }
        self.info.type_info = Some(std::mem::take(&mut self.types));
    }

    fn package(&self) -> out::PkgInfo {
        let main = self.program.main.map(|main| self.program.instance(main));
        let annotations = main
            .map(|main| main.annotations.clone())
            .unwrap_or_else(|| [].into());
        let mut info = out::PkgInfo {
            arch: "v1model".to_owned(),
            doc: text::documentation(&annotations),
            ..out::PkgInfo::default()
        };
        for (key, value) in text::pairs(&annotations, "pkginfo") {
            match &*key {
                "name" => info.name = value,
                "version" => info.version = value,
                "organization" => info.organization = value,
                "contact" => info.contact = value,
                "url" => info.url = value,
                _ => {}
            }
        }
        let others: Vec<_> = annotations
            .iter()
            .filter(|a| &*a.name.name != "pkginfo")
            .cloned()
            .collect();
        info.annotations = text::kept(&others.into());
        info
    }

    /// Parameters that the control plane gives: not those with a direction, and none of an
    /// action that is only called.
    fn action(&mut self, name: &str, id: ActionId, action: &Action) {
        let in_table = self.used.in_tables.contains(&id);
        let given = |param: &&Param| in_table && param.direction == Direction::None;
        let params: Vec<&Param> = action.params.iter().filter(given).collect();
        let ids = ids::fields(
            params
                .iter()
                .map(|p| annotation_number(&p.annotations, "id")),
        );
        let mut made = Vec::new();
        for (param, id) in params.into_iter().zip(ids) {
            let var = self.program.var(param.var).clone();
            let type_name = self.type_name(&var.ty);
            made.push(out::Param {
                id,
                name: crate::check::control_plane_name(&var.name, &param.annotations).to_string(),
                annotations: text::kept(&param.annotations),
                bitwidth: self.field_width(&var.ty),
                doc: text::documentation(&param.annotations),
                type_name,
                structured_annotations: Vec::new(),
            });
        }
        self.info.actions.push(out::Action {
            preamble: self.preamble(Prefix::Action, name, &action.annotations),
            params: made,
        });
    }

    /// Id of a table's action.
    fn action_id(&self, block: usize, action: ActionId) -> u32 {
        match self.design.action_of(block, action) {
            Some(at) => self.ids.get(Prefix::Action, &self.design.actions[at].name),
            None => {
                let declared = self.program.action(action);
                let name = crate::check::control_plane_name(&declared.name, &declared.annotations);
                self.ids.get(Prefix::Action, &name)
            }
        }
    }

    fn table(&mut self, object: &TableObject) -> out::Table {
        let program = self.program;
        let table = program.table(object.table);
        let default = match &table.default {
            Some(default) => Some((default.action, &default.arguments[..], default.constant)),
            None => no_action(program).map(|nothing| (nothing, &[][..], false)),
        };
        let mut action_refs: Vec<out::ActionRef> = table
            .actions
            .iter()
            .map(|listed| out::ActionRef {
                id: self.action_id(object.block, listed.action),
                annotations: text::kept(&listed.annotations),
                scope: scope(&listed.annotations),
                structured_annotations: Vec::new(),
            })
            .collect();
        if let Some((action, _, _)) = default
            && !table.actions.iter().any(|listed| listed.action == action)
        {
            action_refs.push(out::ActionRef {
                id: self.action_id(object.block, action),
                annotations: vec!["@defaultonly".to_owned()],
                scope: out::Scope::DefaultOnly,
                structured_annotations: Vec::new(),
            });
        }
        let initial_default_action = default.map(|(action, arguments, _)| out::TableActionCall {
            action_id: self.action_id(object.block, action),
            arguments: self.arguments(action, arguments),
        });
        let constant = default.filter(|(_, _, constant)| *constant);
        let resources = [
            (table.counters, Prefix::DirectCounter),
            (table.meters, Prefix::DirectMeter),
        ];
        let resources = resources.into_iter().filter_map(|(instance, prefix)| {
            let object = self.design.extern_of(object.block, instance?)?;
            Some(self.ids.get(prefix, &object.name))
        });
        let direct_resource_ids = resources.collect();
        let entries = table.entries.as_ref();
        out::Table {
            preamble: self.preamble(Prefix::Table, &object.name, &table.annotations),
            match_fields: self.match_fields(&table.keys),
            action_refs,
            const_default_action_id: constant
                .map_or(0, |(action, _, _)| self.action_id(object.block, action)),
            initial_default_action,
            implementation_id: 0,
            direct_resource_ids,
            size: table
                .size
                .map_or(1024, |size| i64::try_from(size).unwrap_or(i64::MAX)),
            idle_timeout_behavior: if table.support_timeout {
                out::IdleTimeoutBehavior::NotifyControl
            } else {
                out::IdleTimeoutBehavior::NoTimeout
            },
            is_const_table: entries.is_some_and(|entries| entries.constant),
            has_initial_entries: entries.is_some_and(|entries| !entries.list.is_empty()),
        }
    }

    fn arguments(&self, action: ActionId, arguments: &[Expr]) -> Vec<out::Argument> {
        let params = &self.program.action(action).params;
        let ids = ids::fields(
            params
                .iter()
                .map(|p| annotation_number(&p.annotations, "id")),
        );
        let pairs = ids.into_iter().zip(arguments);
        let made = pairs.map(|(param_id, argument)| out::Argument {
            param_id,
            value: types::bytes(argument),
        });
        made.collect()
    }

    fn match_fields(&mut self, keys: &[Key]) -> Vec<out::MatchField> {
        let ids = ids::fields(keys.iter().map(|k| annotation_number(&k.annotations, "id")));
        let mut fields = Vec::new();
        for (key, id) in keys.iter().zip(ids) {
            let standard = match &*key.kind {
                "exact" => Some(out::MatchType::Exact),
                "lpm" => Some(out::MatchType::Lpm),
                "ternary" => Some(out::MatchType::Ternary),
                "range" => Some(out::MatchType::Range),
                "optional" => Some(out::MatchType::Optional),
                _ => None,
            };
            let type_name = self.type_name(&key.value.ty);
            fields.push(out::MatchField {
                id,
                name: key
                    .name
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                annotations: text::kept(&key.annotations),
                bitwidth: self.field_width(&key.value.ty),
                other_match_type: standard.is_none().then(|| key.kind.to_string()),
                match_type: standard,
                doc: text::documentation(&key.annotations),
                type_name,
                structured_annotations: Vec::new(),
            });
        }
        fields
    }

    fn external(&mut self, object: &ExternObject) {
        let Some(prefix) = extern_prefix(object) else {
            return;
        };
        if self.is_orphan(prefix, object) {
            return;
        }
        let annotations = &self.program.instance(object.instance).annotations;
        let preamble = self.preamble(prefix, &object.name, annotations);
        let number = |at: usize| match object.arguments.get(at).and_then(Option::as_ref) {
            Some(Expr {
                kind: ExprKind::Int(value),
                ..
            }) => i64::try_from(value).unwrap_or(0),
            _ => 0,
        };
        let member = |at: usize| match object.arguments.get(at).and_then(Option::as_ref) {
            Some(Expr {
                kind: ExprKind::EnumMember(member),
                ..
            }) => *member,
            _ => 0,
        };
        match prefix {
            Prefix::Counter => self.info.counters.push(out::Counter {
                preamble,
                spec: counter_spec(member(1)),
                size: number(0),
                index_type_name: None,
            }),
            Prefix::DirectCounter => {
                let direct_table_id = self.table_of(object);
                self.info.direct_counters.push(out::DirectCounter {
                    preamble,
                    spec: counter_spec(member(0)),
                    direct_table_id,
                });
            }
            Prefix::Meter => self.info.meters.push(out::Meter {
                preamble,
                spec: meter_spec(member(1)),
                size: number(0),
                index_type_name: None,
            }),
            Prefix::Register => {
                let type_spec = object.args.first().and_then(|ty| self.data_type(ty));
                self.info.registers.push(out::Register {
                    preamble,
                    type_spec,
                    size: u32::try_from(number(0)).unwrap_or(0),
                    index_type_name: None,
                });
            }
            _ => {}
        }
    }

    /// Whether this is a direct resource of no table.
    fn is_orphan(&self, prefix: Prefix, object: &ExternObject) -> bool {
        let direct = matches!(prefix, Prefix::DirectCounter | Prefix::DirectMeter);
        direct && self.owner(object).is_none()
    }

    /// Id of the table that a direct resource belongs to.
    fn table_of(&self, object: &ExternObject) -> u32 {
        self.owner(object)
            .map_or(0, |table| self.ids.get(Prefix::Table, &table.name))
    }

    fn owner(&self, object: &ExternObject) -> Option<&TableObject> {
        self.design.tables.iter().find(|table| {
            let declared = self.program.table(table.table);
            let same_block = self.design.blocks[table.block]
                .externs
                .contains_key(&object.instance)
                && self
                    .design
                    .extern_of(table.block, object.instance)
                    .is_some_and(|found| found.name == object.name);
            let named = [declared.counters, declared.meters].contains(&Some(object.instance));
            same_block && named
        })
    }

    fn controller_header(&mut self, header: &std::rc::Rc<crate::types::Record>) {
        let given = annotation_text(&header.annotations, "controller_header");
        let name = given.unwrap_or_else(|| header.name.clone()).to_string();
        let ids = header.fields.iter();
        let ids = ids::fields(ids.map(|f| annotation_number(&f.annotations, "id")));
        let mut metadata = Vec::new();
        for (field, id) in header.fields.iter().zip(ids) {
            let type_name = self.type_name(&field.ty);
            metadata.push(out::Metadata {
                id,
                name: crate::check::control_plane_name(&field.name, &field.annotations).to_string(),
                annotations: text::kept(&field.annotations),
                bitwidth: self.field_width(&field.ty),
                type_name,
                structured_annotations: Vec::new(),
            });
        }
        let mut preamble =
            self.preamble(Prefix::ControllerHeader, &header.name, &header.annotations);
        preamble.name.clone_from(&name);
        preamble.alias = name;
        self.info
            .controller_packet_metadata
            .push(out::ControllerPacketMetadata { preamble, metadata });
    }

    fn field_width(&mut self, ty: &Type) -> u32 {
        self.data_type(ty);
        // Errors and enumerations without values have no width that a controller may know.
        match ty.base() {
            Type::Error | Type::Enum(_) => 0,
            _ => ty.width().unwrap_or(0),
        }
    }
}

fn scope(annotations: &Annotations) -> out::Scope {
    let has = |name: &str| annotations.iter().any(|a| &*a.name.name == name);
    if has("tableonly") {
        out::Scope::TableOnly
    } else if has("defaultonly") {
        out::Scope::DefaultOnly
    } else {
        out::Scope::TableAndDefault
    }
}

/// Members of `CounterType`: packets, bytes, packets_and_bytes.
fn counter_spec(member: usize) -> out::CounterSpec {
    let unit = match member {
        0 => out::CounterUnit::Packets,
        1 => out::CounterUnit::Bytes,
        _ => out::CounterUnit::Both,
    };
    out::CounterSpec { unit }
}

/// Members of `MeterType`: packets, bytes.
fn meter_spec(member: usize) -> out::MeterSpec {
    let unit = match member {
        0 => out::MeterUnit::Packets,
        _ => out::MeterUnit::Bytes,
    };
    out::MeterSpec {
        unit,
        kind: out::MeterKind::TwoRateThreeColor,
    }
}
