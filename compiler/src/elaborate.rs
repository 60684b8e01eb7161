//! The objects that a program makes: controls and parsers inside of each other, tables, actions
//! and externs, each with its full name for the control plane.

use std::collections::HashMap;
use std::rc::Rc;

use crate::check::control_plane_name;
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::hir::{
    ActionId, ControlId, Expr, ExprKind, InstanceId, Local, Object, ParserId, Program, TableId,
    VarId,
};
use crate::source::Span;
use crate::types::{ExternType, Type};

/// Controls inside of controls.
const MAX_DEPTH: usize = 64;
/// Objects in all.
const MAX_OBJECTS: usize = 100_000;

/// All objects of a program.
#[derive(Debug, Default)]
pub(crate) struct Design {
    /// Controls and parsers; a block comes before those inside of it.
    pub(crate) blocks: Vec<Block>,
    pub(crate) tables: Vec<TableObject>,
    pub(crate) actions: Vec<ActionObject>,
    pub(crate) externs: Vec<ExternObject>,
    /// Blocks that the package was given, in the order of its parameters.
    pub(crate) roles: Vec<usize>,
}

/// Control or parser object.
#[derive(Debug)]
pub(crate) struct Block {
    /// Full name.
    pub(crate) name: String,
    pub(crate) of: BlockOf,
    /// Constructor arguments.
    pub(crate) constants: HashMap<VarId, Expr>,
    pub(crate) children: HashMap<InstanceId, usize>,
    pub(crate) externs: HashMap<InstanceId, usize>,
    pub(crate) tables: HashMap<TableId, usize>,
    pub(crate) actions: HashMap<ActionId, usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum BlockOf {
    Control(ControlId),
    Parser(ParserId),
}

#[derive(Debug)]
pub(crate) struct TableObject {
    pub(crate) name: String,
    pub(crate) table: TableId,
    pub(crate) block: usize,
}

#[derive(Debug)]
pub(crate) struct ActionObject {
    pub(crate) name: String,
    pub(crate) action: ActionId,
}

#[derive(Debug)]
pub(crate) struct ExternObject {
    pub(crate) name: String,
    pub(crate) of: Rc<ExternType>,
    pub(crate) args: Rc<[Type]>,
    /// Constants.
    pub(crate) arguments: Vec<Option<Expr>>,
    pub(crate) instance: InstanceId,
    pub(crate) span: Span,
}

/// Makes the objects of a program.
pub(crate) fn run(program: &Program, messages: &mut Diagnostics) -> Design {
    let mut elaborator = Elaborator {
        program,
        messages,
        design: Design::default(),
        objects: 0,
        depth: 0,
        names: HashMap::new(),
    };
    if let Some(main) = program.main {
        elaborator.package(main);
    }
    elaborator.design
}

struct Elaborator<'a> {
    program: &'a Program,
    messages: &'a mut Diagnostics,
    design: Design,
    objects: usize,
    depth: usize,
    names: HashMap<(&'static str, String), Span>,
}

impl Elaborator<'_> {
    fn package(&mut self, main: InstanceId) {
        let package = self.program.instance(main);
        let Object::Package(of) = &package.object else {
            return;
        };
        if &*of.name != "V1Switch" {
            let message = format!("the architecture of the package {} is not known", of.name);
            return self.messages.error(Code::Main, package.span, message);
        }
        for argument in package.arguments.iter().flatten() {
            let ExprKind::Object(id) = argument.kind else {
                continue;
            };
            let of = match &self.program.instance(id).object {
                Object::Control(control) => BlockOf::Control(*control),
                Object::Parser(parser) => BlockOf::Parser(*parser),
                _ => continue,
            };
            let name = match of {
                BlockOf::Control(c) => self.program.control(c).name.clone(),
                BlockOf::Parser(p) => self.program.parser(p).name.clone(),
            };
            let arguments = self.program.instance(id).arguments.clone();
            let role = self.block(name.to_string(), of, arguments, argument.span);
            self.design.roles.push(role);
        }
        let is_parser = |role: &usize| matches!(self.design.blocks[*role].of, BlockOf::Parser(_));
        let kinds: Vec<bool> = self.design.roles.iter().map(is_parser).collect();
        if kinds != [true, false, false, false, false, false] {
            let message = "this V1Switch is not that of v1model: a parser and five controls";
            self.messages.error(Code::Main, package.span, message);
        }
    }

    /// Reports two objects of a kind that the control plane could not tell apart.
    fn claim(&mut self, kind: &'static str, name: &str, span: Span) {
        if let Some(first) = self.names.insert((kind, name.to_owned()), span) {
            let message = format!("two {kind}s have the name `{name}` for the control plane");
            let error = Diagnostic::error(Code::Duplicate, span, message);
            self.messages.push(error.related(first, "the other one"));
        }
    }

    fn count(&mut self, span: Span) -> bool {
        self.objects += 1;
        if self.objects == MAX_OBJECTS {
            let message = format!("the program makes more than {MAX_OBJECTS} objects");
            self.messages.error(Code::Limit, span, message);
        }
        self.objects < MAX_OBJECTS
    }

    fn block(
        &mut self,
        name: String,
        of: BlockOf,
        arguments: Vec<Option<Expr>>,
        span: Span,
    ) -> usize {
        let (constructor, locals) = match of {
            BlockOf::Control(c) => {
                let control = self.program.control(c);
                (&control.constructor, &control.locals)
            }
            BlockOf::Parser(p) => {
                let parser = self.program.parser(p);
                (&parser.constructor, &parser.locals)
            }
        };
        let pairs = constructor.iter().zip(arguments);
        let constants = pairs.filter_map(|(var, value)| Some((*var, value?)));
        let at = self.design.blocks.len();
        self.design.blocks.push(Block {
            name,
            of,
            constants: constants.collect(),
            children: HashMap::new(),
            externs: HashMap::new(),
            tables: HashMap::new(),
            actions: HashMap::new(),
        });
        if self.depth >= MAX_DEPTH {
            let message = format!("controls are more than {MAX_DEPTH} deep in each other");
            self.messages.error(Code::Limit, span, message);
            return at;
        }
        self.depth += 1;
        for local in locals {
            self.local(at, local);
        }
        self.depth -= 1;
        at
    }

    /// Full name of something in a block.
    fn full_name(&self, block: usize, name: &str) -> String {
        match name.strip_prefix('.') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{}.{name}", self.design.blocks[block].name),
        }
    }

    fn local(&mut self, block: usize, local: &Local) {
        match local {
            Local::Var(..) => {}
            Local::Instance(id) => self.instance(block, *id),
            Local::Action(id) => {
                let action = self.program.action(*id);
                let name = control_plane_name(&action.name, &action.annotations);
                let name = self.full_name(block, &name);
                self.claim("action", &name, action.span);
                self.design.actions.push(ActionObject { name, action: *id });
                let at = self.design.actions.len() - 1;
                self.design.blocks[block].actions.insert(*id, at);
            }
            Local::Table(id) => {
                let table = self.program.table(*id);
                let name = control_plane_name(&table.name, &table.annotations);
                let name = self.full_name(block, &name);
                self.claim("table", &name, table.span);
                self.design.tables.push(TableObject {
                    name,
                    table: *id,
                    block,
                });
                let at = self.design.tables.len() - 1;
                self.design.blocks[block].tables.insert(*id, at);
            }
        }
    }

    fn instance(&mut self, block: usize, id: InstanceId) {
        let instance = self.program.instance(id);
        if !self.count(instance.span) {
            return;
        }
        let name = control_plane_name(&instance.name, &instance.annotations);
        let name = self.full_name(block, &name);
        let constants = &self.design.blocks[block].constants;
        let arguments = instance.arguments.iter().map(|argument| {
            let argument = argument.as_ref()?;
            Some(match &argument.kind {
                ExprKind::Var(var) => constants.get(var).unwrap_or(argument).clone(),
                _ => argument.clone(),
            })
        });
        let arguments: Vec<Option<Expr>> = arguments.collect();
        let of = match &instance.object {
            Object::Control(control) => BlockOf::Control(*control),
            Object::Parser(parser) => BlockOf::Parser(*parser),
            Object::Extern(of, args) => {
                self.claim("extern object", &name, instance.span);
                self.design.externs.push(ExternObject {
                    name,
                    of: of.clone(),
                    args: args.clone(),
                    arguments,
                    instance: id,
                    span: instance.span,
                });
                let at = self.design.externs.len() - 1;
                self.design.blocks[block].externs.insert(id, at);
                return;
            }
            Object::Package(_) => return,
        };
        let child = self.block(name, of, arguments, instance.span);
        self.design.blocks[block].children.insert(id, child);
    }
}

impl Design {
    /// The action object of a table's action.
    pub(crate) fn action_of(&self, block: usize, action: ActionId) -> Option<usize> {
        self.blocks[block].actions.get(&action).copied()
    }

    /// The extern object of an instance in a block.
    pub(crate) fn extern_of(&self, block: usize, instance: InstanceId) -> Option<&ExternObject> {
        let at = self.blocks.get(block)?.externs.get(&instance)?;
        self.externs.get(*at)
    }
}
