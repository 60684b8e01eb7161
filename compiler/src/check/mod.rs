//! Name resolution and type checking: from the program as written to [`crate::hir`].
//!
//! Declarations are checked in order; a name is known from its declaration on.

mod annotations;
mod blocks;
mod calls;
mod constants;
mod conversions;
mod declarations;
mod expressions;
mod instances;
mod operators;
mod statements;
mod tables;
mod types;

use std::collections::HashMap;
use std::rc::Rc;

pub(crate) use annotations::{
    control_plane_name, number as annotation_number, text as annotation_text,
};
pub(crate) use constants::mask;

use crate::ast::{Decl, Ident, Name};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::hir::{
    ActionId, ControlId, Expr, ExprKind, InstanceId, ParserId, Program, TableId, Var, VarId,
};
use crate::source::Span;
use crate::types::{BlockType, ExternType, Function, Type};

/// What a name stands for.
#[derive(Debug, Clone)]
enum Entity {
    Type(Type),
    Extern(Rc<ExternType>),
    Block(Rc<BlockType>),
    Const(Expr),
    Var(VarId),
    Action(ActionId),
    Table(TableId),
    Instance(InstanceId),
    Functions(Vec<Rc<Function>>),
    Control(ControlId),
    Parser(ParserId),
}

impl Entity {
    fn kind(&self) -> &'static str {
        match self {
            Entity::Type(_) => "a type",
            Entity::Extern(_) => "an extern type",
            Entity::Block(_) => "a parser, control or package type",
            Entity::Const(_) => "a constant",
            Entity::Var(_) => "a variable",
            Entity::Action(_) => "an action",
            Entity::Table(_) => "a table",
            Entity::Instance(_) => "an instance",
            Entity::Functions(_) => "a function",
            Entity::Control(_) => "a control",
            Entity::Parser(_) => "a parser",
        }
    }
}

/// Checks a program. Without errors among the messages, the result is sound.
pub(crate) fn run(program: &[Decl], messages: &mut Diagnostics) -> Program {
    let mut checker = Checker {
        program: Program::default(),
        scopes: vec![HashMap::new()],
        match_kinds: Vec::new(),
        error_spans: HashMap::new(),
        type_parameters: 0,
        in_action: false,
        messages,
    };
    for declaration in program {
        checker.declaration(declaration);
    }
    if checker.program.main.is_none() && !checker.messages.has_errors() {
        let span = program.last().map_or(Span::default(), |d| d.span);
        let error = Diagnostic::error(Code::Main, span, "the program has no package `main`");
        let note = "a v1model program ends with `V1Switch(…) main;`";
        checker.messages.push(error.note(note));
    }
    checker.program
}

struct Checker<'a> {
    program: Program,
    scopes: Vec<HashMap<Name, (Entity, Span)>>,
    match_kinds: Vec<Name>,
    error_spans: HashMap<Name, Span>,
    type_parameters: u32,
    /// The body of an action is being checked.
    in_action: bool,
    messages: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.messages.error(code, span, message);
    }

    fn unsupported(&mut self, span: Span, what: &str) {
        let message = format!("{what} is not supported yet");
        self.error(Code::Unsupported, span, message);
    }

    fn bad(span: Span) -> Expr {
        Expr {
            kind: ExprKind::Bad,
            ty: Type::Bad,
            span,
        }
    }

    fn scoped<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(HashMap::new());
        let result = part(self);
        self.scopes.pop();
        result
    }

    fn find(&self, name: &str) -> Option<&Entity> {
        let mut inner_first = self.scopes.iter().rev();
        let found = inner_first.find_map(|scope| scope.get(name));
        found.map(|(entity, _)| entity)
    }

    /// What a name with a leading dot stands for.
    fn find_global(&self, name: &str) -> Option<&Entity> {
        let found = self.scopes.first().and_then(|scope| scope.get(name));
        found.map(|(entity, _)| entity)
    }

    fn lookup(&self, name: &Ident, global: bool) -> Option<Entity> {
        let found = if global {
            self.find_global(&name.name)
        } else {
            self.find(&name.name)
        };
        found.cloned()
    }

    fn declare(&mut self, name: &Ident, entity: Entity) {
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        if let Some((_, before)) = scope.get(&name.name) {
            let before = *before;
            let message = format!("`{}` is declared twice", name.name);
            let error = Diagnostic::error(Code::Duplicate, name.span, message);
            let error = error.label("declared again here");
            return self
                .messages
                .push(error.related(before, "first declared here"));
        }
        scope.insert(name.name.clone(), (entity, name.span));
    }

    fn unknown(&mut self, name: &Ident, what: &str) {
        let message = format!("there is no {what} `{}`", name.name);
        let error = Diagnostic::error(Code::UnknownName, name.span, message);
        let error = error.label("not declared before here");
        let error = match self.similar(&name.name) {
            Some(other) => error.note(format!("did you mean `{other}`?")),
            None => error,
        };
        self.messages.push(error);
    }

    /// A known name that differs in case or in one or two letters.
    fn similar(&self, name: &str) -> Option<Name> {
        let known = self.scopes.iter().flat_map(|scope| scope.keys());
        let close = known
            .filter(|k| k.len().abs_diff(name.len()) <= 2 && k.len() < 64)
            .map(|k| (distance(name, k), k))
            .filter(|(d, _)| *d <= 2 && name.len() > 2 + d);
        close.min().map(|(_, known)| known.clone())
    }

    fn new_var(&mut self, name: &Ident, ty: Type, writable: bool) -> VarId {
        self.program.vars.push(Var {
            name: name.name.clone(),
            ty,
            writable,
            span: name.span,
        });
        VarId(self.program.vars.len() as u32 - 1)
    }

    fn declare_var(&mut self, name: &Ident, ty: Type, writable: bool) -> VarId {
        let id = self.new_var(name, ty, writable);
        self.declare(name, Entity::Var(id));
        id
    }

    fn ty_of(&self, var: VarId) -> Type {
        self.program.var(var).ty.clone()
    }
}

/// Letters to insert, delete or change to get from one name to the other; without case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.bytes().map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.bytes().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
