//! From the checked program to bmv2: controls are joined into one graph for each pipeline,
//! structures become fields, calls become the steps of their actions.

mod actions;
mod checksums;
mod code;
mod control;
mod deparser;
mod entries;
mod externs;
mod numbers;
mod parser;
mod storage;
mod tables;
mod values;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use flownic_pipeline::bmv2;

use crate::diagnostics::{Code, Diagnostics};
use crate::elaborate::{BlockOf, Design};
use crate::hir::{ActionId, Param, Program, VarId};
use crate::source::Span;
use crate::types::Type;
pub(crate) use actions::children;
use storage::{Place, Slot};

/// Makes the bmv2 program. Errors are among the messages.
pub(crate) fn run(
    program: &Program,
    design: &Design,
    source: &str,
    messages: &mut Diagnostics,
) -> bmv2::Program {
    let mut lowerer = Lowerer {
        program,
        design,
        messages,
        out: bmv2::Program::default(),
        scalars: Vec::new(),
        names: HashSet::new(),
        type_names: HashSet::new(),
        pending_copies: 0,
        slots: HashMap::new(),
        storage: HashMap::new(),
        header_types: HashMap::new(),
        block: 0,
        mentions: HashMap::new(),
        inlining: Vec::new(),
        table_actions: HashMap::new(),
        table_nodes: HashMap::new(),
        nodes: Vec::new(),
        applied: HashSet::new(),
    };
    lowerer.program(source);
    lowerer.out
}

struct Lowerer<'a> {
    program: &'a Program,
    design: &'a Design,
    messages: &'a mut Diagnostics,
    out: bmv2::Program,
    /// Fields of the one metadata header that holds variables.
    scalars: Vec<bmv2::FieldType>,
    /// Names of fields, headers, actions and nodes that are taken.
    names: HashSet<String>,
    /// Names of header types that are taken.
    type_names: HashSet<String>,
    /// Calls around the current place whose results are copied when they end.
    pending_copies: usize,
    /// What variables and parameters are at the moment.
    slots: HashMap<VarId, Slot>,
    /// Where the variables of each block are.
    storage: HashMap<(usize, VarId), Rc<Place>>,
    /// Header types that are written, by the identity of the source type.
    header_types: HashMap<*const crate::types::Record, String>,
    /// The block whose statements are being lowered.
    block: usize,
    /// Variables that an action's body uses.
    mentions: HashMap<ActionId, Rc<HashSet<VarId>>>,
    /// Actions that are being inlined.
    inlining: Vec<ActionId>,
    /// Written actions: by object; `None` block for global ones.
    table_actions: HashMap<(Option<usize>, ActionId), (u32, String)>,
    /// Tables that are in the graph, with their next nodes.
    table_nodes: HashMap<usize, control::Applied>,
    nodes: Vec<control::Node>,
    /// Controls that are in the graph.
    applied: HashSet<usize>,
}

impl Lowerer<'_> {
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.messages.error(code, span, message);
    }

    fn unsupported(&mut self, span: Span, what: &str) {
        let message = format!("{what} is not supported yet");
        self.error(Code::Unsupported, span, message);
    }

    /// A name that nothing else has.
    fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 0;
        while !self.names.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }

    /// A name that no other header type has.
    fn unique_type(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 0;
        while !self.type_names.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }

    fn program(&mut self, source: &str) {
        let [parser, verify, ingress, egress, compute, deparser] = self.design.roles[..] else {
            return;
        };
        self.out.program = Some(source.to_owned());
        self.out.meta = bmv2::Meta {
            version: bmv2::VERSION,
            compiler: Some("flownic-p4c".to_owned()),
        };
        self.errors();
        for reserved in ["scalars", "standard_metadata", "userMetadata"] {
            self.names.insert(reserved.to_owned());
        }
        let design = self.design;
        let tables = design.tables.iter().map(|table| &table.name);
        let actions = design.actions.iter().map(|action| &action.name);
        self.names.extend(tables.chain(actions).cloned());
        let roots = self.roots(ingress);
        self.extern_arrays();
        self.bind_role(parser, &[None, Some(0), Some(1), Some(2)], &roots);
        self.parser(parser);
        self.bind_role(verify, &[Some(0), Some(1)], &roots);
        self.checksums(verify, false);
        self.bind_role(ingress, &[Some(0), Some(1), Some(2)], &roots);
        self.pipeline(ingress, "ingress");
        self.bind_role(egress, &[Some(0), Some(1), Some(2)], &roots);
        self.pipeline(egress, "egress");
        self.bind_role(compute, &[Some(0), Some(1)], &roots);
        self.checksums(compute, true);
        self.bind_role(deparser, &[None, Some(0)], &roots);
        self.deparser(deparser);
        self.finish_storage();
    }

    fn errors(&mut self) {
        let numbered = self.program.errors.iter().enumerate();
        self.out.errors = numbered
            .map(|(number, name)| (name.to_string(), number as u32))
            .collect();
    }

    /// Number of an error.
    fn error_number(&self, name: &str) -> u32 {
        let found = self.program.errors.iter().position(|e| &**e == name);
        found.unwrap_or(0) as u32
    }

    fn params(&self, block: usize) -> &[Param] {
        match self.design.blocks[block].of {
            BlockOf::Control(control) => &self.program.control(control).params,
            BlockOf::Parser(parser) => &self.program.parser(parser).params,
        }
    }

    /// Headers, user metadata and standard metadata, as the ingress control declares them.
    fn roots(&mut self, ingress: usize) -> Vec<Rc<Place>> {
        let params = self.params(ingress).to_vec();
        self.check_standard_metadata(&params);
        let mut roots = Vec::new();
        for (param, name) in params.iter().zip(["", "userMetadata", "standard_metadata"]) {
            let ty = self.program.var(param.var).ty.clone();
            self.check_root(&ty, self.program.var(param.var).span);
            roots.push(match name {
                "" => self.headers_root(&ty),
                _ => self.metadata_root(&ty, name),
            });
        }
        roots
    }

    /// Headers and metadata are structures: their fields have the names.
    fn check_root(&mut self, ty: &Type, span: Span) {
        let is_struct = matches!(ty.record(), Some(r) if r.kind == crate::ast::RecordKind::Struct);
        if !is_struct {
            let message = format!("bmv2 needs a struct here, not {ty}");
            self.error(Code::Target, span, message);
        }
    }

    /// The switch finds its metadata by the names of fields.
    fn check_standard_metadata(&mut self, params: &[Param]) {
        const NEEDED: [&str; 5] = [
            "ingress_port",
            "packet_length",
            "instance_type",
            "egress_spec",
            "egress_port",
        ];
        let Some(param) = params.get(2) else { return };
        let var = self.program.var(param.var);
        let fields = var.ty.record().map(|record| &record.fields[..]);
        let has =
            |name: &&&str| fields.is_some_and(|f| f.iter().any(|field| *field.name == ***name));
        if let Some(missing) = NEEDED.iter().find(|name| !has(name)) {
            let message = format!(
                "{} is not the standard metadata of v1model: it has no `{missing}`",
                var.ty
            );
            self.error(Code::Main, var.span, message);
        }
    }

    fn bind_role(&mut self, block: usize, which: &[Option<usize>], roots: &[Rc<Place>]) {
        self.slots.clear();
        let params = self.params(block).to_vec();
        for (param, root) in params.iter().zip(which) {
            let place = root.and_then(|at| roots.get(at).cloned());
            let place = place.unwrap_or_else(|| Rc::new(Place::Nothing));
            self.slots.insert(param.var, Slot::Place(place));
        }
        self.enter(block);
    }

    /// Makes a block's constants known and puts its variables in place.
    fn enter(&mut self, block: usize) {
        self.block = block;
        for (var, value) in &self.design.blocks[block].constants {
            self.slots
                .insert(*var, Slot::Constant(Rc::new(value.clone())));
        }
    }
}
