//! The graph of a pipeline. It is made from its end: each part is told which node comes after.

use flownic_pipeline::bmv2;

use super::Lowerer;
use super::code::{Code, Exits};
use super::storage::{Place, Slot};
use crate::ast::{Binary, Direction};
use crate::diagnostics::Code as MessageCode;
use crate::elaborate::BlockOf;
use crate::hir::{
    ActionId, Call, Callee, Expr, ExprKind, InstanceId, Local, Param, Stmt, StmtKind, TableId,
};
use crate::source::Span;

/// A node of the graph, or the end.
pub(super) type Next = Option<usize>;

/// A node; its name is made when the graph is complete.
#[derive(Debug)]
pub(super) enum Node {
    Table(Box<bmv2::Table>, After),
    Condition(bmv2::Value, Next, Next, Span),
}

/// Where a table leads.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum After {
    /// Hit, miss.
    Hit(Next, Next),
    /// By action name; the rest.
    Action(Vec<(String, Next)>, Next),
}

/// A table in the graph.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) node: usize,
    pub(super) after: Ways,
    pub(super) span: Span,
}

/// What the program does with the result of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ways {
    Hit(Next, Next),
    Action(Vec<(ActionId, Next)>, Next),
}

impl Lowerer<'_> {
    pub(super) fn pipeline(&mut self, block: usize, name: &str) {
        let (tables, conditionals) = self.out.pipelines.iter().fold((0, 0), |(t, c), p| {
            (t + p.tables.len(), c + p.conditionals.len())
        });
        self.nodes.clear();
        self.table_nodes.clear();
        let first = self.control_body(block, None);
        let mut pipeline = bmv2::Pipeline {
            name: name.to_owned(),
            id: self.out.pipelines.len() as u32,
            source_info: None,
            init_table: None,
            tables: Vec::new(),
            action_profiles: Vec::new(),
            conditionals: Vec::new(),
            action_calls: Vec::new(),
        };
        let nodes = std::mem::take(&mut self.nodes);
        let names: Vec<String> = nodes.iter().map(|node| self.node_name(node)).collect();
        let name_of = |next: Next| next.map(|at| names[at].clone());
        pipeline.init_table = name_of(first);
        // Nodes were made from the end; the file has them in the order of the program.
        for (at, node) in nodes.into_iter().enumerate().rev() {
            match node {
                Node::Table(table, after) => {
                    let id = (tables + pipeline.tables.len()) as u32;
                    pipeline.tables.push(joined(*table, id, after, &name_of));
                }
                Node::Condition(expression, yes, no, span) => {
                    let id = (conditionals + pipeline.conditionals.len()) as u32;
                    pipeline.conditionals.push(bmv2::Conditional {
                        name: names[at].clone(),
                        id,
                        source_info: self.source_info(span),
                        expression,
                        true_next: name_of(yes),
                        false_next: name_of(no),
                    });
                }
            }
        }
        self.out.pipelines.push(pipeline);
    }

    fn node_name(&mut self, node: &Node) -> String {
        match node {
            Node::Table(table, _) => table.name.clone(),
            Node::Condition(..) => self.unique("node"),
        }
    }

    pub(super) fn source_info(&self, span: Span) -> Option<bmv2::SourceInfo> {
        let (line, column) = self.messages.files.position(span);
        let text = self.messages.files.text(span);
        let first = text.lines().next().unwrap_or_default();
        let fragment: String = first.chars().take(80).collect();
        Some(bmv2::SourceInfo {
            filename: self.messages.files.name(span.file),
            line,
            column,
            source_fragment: fragment,
        })
    }

    /// The statements of a control, its variables set up first.
    fn control_body(&mut self, block: usize, next: Next) -> Next {
        let BlockOf::Control(control) = self.design.blocks[block].of else {
            return next;
        };
        let outer = self.block;
        self.enter(block);
        let control = self.program.control(control);
        let mut setup = Vec::new();
        for local in &control.locals {
            if let Local::Var(var, value) = local {
                self.declare(*var);
                setup.push(Stmt {
                    kind: StmtKind::Declare(*var, value.clone()),
                    span: self.program.var(*var).span,
                });
            }
        }
        setup.extend(control.body.iter().cloned());
        self.declare_all(&setup);
        let first = self.sequence(&setup, next, next);
        self.enter(outer);
        first
    }

    /// Variables are in place before the statements are lowered, which goes backwards.
    fn declare_all(&mut self, body: &[Stmt]) {
        for statement in body {
            match &statement.kind {
                StmtKind::Declare(var, _) => drop(self.declare(*var)),
                StmtKind::Block(body) => self.declare_all(body),
                StmtKind::If(_, yes, no) => {
                    self.declare_all(yes);
                    self.declare_all(no);
                }
                StmtKind::SwitchAction(_, cases) => {
                    cases.iter().for_each(|case| self.declare_all(&case.body));
                }
                _ => {}
            }
        }
    }

    /// Statements in order; `leave` is where `return` goes.
    fn sequence(&mut self, body: &[Stmt], mut next: Next, leave: Next) -> Next {
        let mut end = body.len();
        while end > 0 {
            let simple = body[..end]
                .iter()
                .rev()
                .take_while(|s| is_simple(s))
                .count();
            if simple > 0 {
                next = self.steps_node(&body[end - simple..end], next);
                end -= simple;
                continue;
            }
            end -= 1;
            next = self.statement(&body[end], next, leave);
        }
        next
    }

    /// Consecutive steps become one action, in a table without key.
    fn steps_node(&mut self, body: &[Stmt], next: Next) -> Next {
        let mut code = Code::default();
        let end = code.label();
        self.steps(body, &mut code, Exits { leave: end, end });
        code.place(end);
        if code.list.is_empty() {
            return next;
        }
        let span = body.first().map_or(Span::default(), |s| s.span);
        self.code_node(code, span, next)
    }

    pub(super) fn code_node(&mut self, code: Code, span: Span, next: Next) -> Next {
        let (line, _) = self.messages.files.position(span);
        let path = self.messages.files.name(span.file);
        let stem = std::path::Path::new(&path).file_stem();
        let stem = stem.map_or("act".into(), |stem| stem.to_string_lossy().into_owned());
        let action_name = self.unique(&format!("{stem}{line}"));
        let table_name = self.unique(&format!("tbl_{action_name}"));
        let id = self.write_action(&action_name, Vec::new(), code);
        let table = bmv2::Table {
            name: table_name,
            id: 0,
            source_info: self.source_info(span),
            key: Vec::new(),
            match_type: bmv2::MatchKind::Exact,
            kind: bmv2::TableKind::Simple,
            action_profile: None,
            max_size: 1024,
            with_counters: false,
            support_timeout: false,
            direct_meters: None,
            action_ids: vec![id],
            actions: vec![action_name.clone()],
            base_default_next: None,
            next_tables: Default::default(),
            default_entry: Some(bmv2::DefaultEntry {
                action_id: id,
                action_const: true,
                action_data: Vec::new(),
                action_entry_const: true,
            }),
            entries: Vec::new(),
        };
        let after = After::Action(vec![(action_name, next)], next);
        self.nodes.push(Node::Table(Box::new(table), after));
        Some(self.nodes.len() - 1)
    }

    fn statement(&mut self, statement: &Stmt, next: Next, leave: Next) -> Next {
        match &statement.kind {
            StmtKind::Block(body) => self.sequence(body, next, leave),
            StmtKind::If(condition, yes, no) => {
                let yes = self.sequence(yes, next, leave);
                let no = self.sequence(no, next, leave);
                self.branch(condition, yes, no)
            }
            StmtKind::Return => leave,
            StmtKind::Call(call) => match call.callee {
                Callee::Table(table) => {
                    let ways = Ways::Action(Vec::new(), next);
                    self.apply_table(table, ways, call.span)
                }
                Callee::Apply(instance) => self.apply_control(instance, call, next),
                _ => self.steps_node(std::slice::from_ref(statement), next),
            },
            StmtKind::SwitchAction(table, cases) => {
                let mut ways = Vec::new();
                let mut rest = next;
                for case in cases {
                    let to = self.sequence(&case.body, next, leave);
                    for label in &case.labels {
                        match label {
                            Some(action) => ways.push((*action, to)),
                            None => rest = to,
                        }
                    }
                }
                self.apply_table(*table, Ways::Action(ways, rest), statement.span)
            }
            // `x = t.apply().hit;` and the like.
            StmtKind::Assign(target, value) => {
                let value = value.clone();
                self.store_result(statement, &value, next, |value, span| Stmt {
                    kind: StmtKind::Assign(target.clone(), value),
                    span,
                })
            }
            StmtKind::Declare(var, Some(value)) => {
                let value = value.clone();
                self.store_result(statement, &value, next, |value, span| Stmt {
                    kind: StmtKind::Declare(*var, Some(value)),
                    span,
                })
            }
            _ => self.steps_node(std::slice::from_ref(statement), next),
        }
    }

    /// A truth value that comes from a table is stored by two ways through the graph.
    fn store_result(
        &mut self,
        statement: &Stmt,
        value: &Expr,
        next: Next,
        store: impl Fn(Expr, Span) -> Stmt,
    ) -> Next {
        if !matches!(value.ty, crate::types::Type::Bool) {
            self.unsupported(value.span, "the result of a table inside of a number");
            return next;
        }
        let mut way = |truth| {
            let constant = Expr {
                kind: ExprKind::Bool(truth),
                ty: value.ty.clone(),
                span: value.span,
            };
            self.steps_node(&[store(constant, statement.span)], next)
        };
        let (yes, no) = (way(true), way(false));
        self.branch(value, yes, no)
    }

    /// Goes one of two ways. Tables in the condition are applied as its evaluation demands.
    fn branch(&mut self, condition: &Expr, yes: Next, no: Next) -> Next {
        match &condition.kind {
            ExprKind::Bool(truth) => {
                if *truth {
                    yes
                } else {
                    no
                }
            }
            ExprKind::Not(inner) => self.branch(inner, no, yes),
            ExprKind::Hit(table, hit) => {
                let ways = if *hit { (yes, no) } else { (no, yes) };
                self.apply_table(*table, Ways::Hit(ways.0, ways.1), condition.span)
            }
            ExprKind::Binary(op @ (Binary::And | Binary::Or), a, b) if has_hit(condition) => {
                let right = self.branch(b, yes, no);
                if *op == Binary::And {
                    self.branch(a, right, no)
                } else {
                    self.branch(a, yes, right)
                }
            }
            _ => {
                let expression = self.condition(condition);
                // bmv2 wants an operation here, not a lone value.
                let expression = match expression {
                    bmv2::Value::Expression(_) => expression,
                    other => bmv2::Value::unary("d2b", bmv2::Value::unary("b2d", other)),
                };
                let node = Node::Condition(expression, yes, no, condition.span);
                self.nodes.push(node);
                Some(self.nodes.len() - 1)
            }
        }
    }

    fn apply_table(&mut self, table: TableId, ways: Ways, span: Span) -> Next {
        let Some(object) = self.design.blocks[self.block].tables.get(&table).copied() else {
            self.unsupported(span, "a table from outside of this control");
            return None;
        };
        if let Some(applied) = self.table_nodes.get(&object) {
            if applied.after == ways {
                return Some(applied.node);
            }
            let first = applied.span;
            let name = self.program.table(table).name.clone();
            let message = format!("the table `{name}` is applied twice, with different ways on");
            let error = crate::diagnostics::Diagnostic::error(MessageCode::Target, span, message);
            let error = error.related(first, "also applied here");
            self.messages
                .push(error.note("bmv2 has one node for each table"));
            return None;
        }
        let entry = self.table_node(object, &ways)?;
        let applied = Applied {
            node: entry,
            after: ways,
            span,
        };
        self.table_nodes.insert(object, applied);
        Some(entry)
    }

    fn apply_control(&mut self, instance: InstanceId, call: &Call, next: Next) -> Next {
        let Some(&child) = self.design.blocks[self.block].children.get(&instance) else {
            self.unsupported(call.span, "a control from outside of this one");
            return next;
        };
        if !self.applied.insert(child) && self.has_tables(child) {
            let message = "a control with tables is applied twice";
            let error =
                crate::diagnostics::Diagnostic::error(MessageCode::Target, call.span, message);
            let note = "bmv2 has one node for each table: give each application its own instance";
            self.messages.push(error.note(note));
            return next;
        }
        let params = self.params(child).to_vec();
        let mut copy_in = Code::default();
        let mut copy_out = Code::default();
        let mut bound = Vec::new();
        for (at, param) in params.iter().enumerate() {
            let Some(Some(value)) = call.arguments.get(at) else {
                continue;
            };
            let shared = shares(&params, &call.arguments, at);
            let slot = self.bind_control(param, value, shared, &mut copy_in, &mut copy_out);
            bound.push((param.var, slot));
        }
        for (var, slot) in bound {
            self.bind(var, slot);
        }
        let pending = usize::from(!copy_out.list.is_empty());
        let after = self.nonempty(copy_out, call.span, next);
        self.pending_copies += pending;
        let body = self.control_body(child, after);
        self.pending_copies -= pending;
        self.nonempty(copy_in, call.span, body)
    }

    fn has_tables(&self, block: usize) -> bool {
        let block = &self.design.blocks[block];
        !block.tables.is_empty() || block.children.values().any(|child| self.has_tables(*child))
    }

    fn nonempty(&mut self, code: Code, span: Span, next: Next) -> Next {
        if code.list.is_empty() {
            return next;
        }
        self.code_node(code, span, next)
    }

    /// An argument of a control: the thing itself when nothing else in the call names it, a copy
    /// otherwise.
    fn bind_control(
        &mut self,
        param: &Param,
        value: &Expr,
        shared: bool,
        copy_in: &mut Code,
        copy_out: &mut Code,
    ) -> Slot {
        let constant = matches!(
            value.kind,
            ExprKind::Int(_)
                | ExprKind::Bool(_)
                | ExprKind::EnumMember(_)
                | ExprKind::ErrorMember(_)
        );
        if constant {
            return Slot::Constant(std::rc::Rc::new(value.clone()));
        }
        let clears = param.direction == Direction::Out && value.ty.header().is_some();
        if !shared
            && !clears
            && let Some(place) = self.place_quietly(value)
        {
            return Slot::Place(place);
        }
        let declared = self.program.var(param.var).clone();
        let place = self.allocate(
            &declared.ty,
            &format!("tmp.{}", declared.name),
            declared.span,
        );
        if param.direction == Direction::Out {
            if let Place::Header(name, _) = &*place {
                let header = bmv2::Value::Header(name.clone());
                copy_in.push("remove_header", vec![header]);
            }
        } else {
            self.store(&place, value, copy_in);
        }
        if matches!(param.direction, Direction::Out | Direction::InOut) {
            self.bind(param.var, Slot::Place(place.clone()));
            let result = Expr {
                kind: ExprKind::Var(param.var),
                ty: value.ty.clone(),
                span: value.span,
            };
            self.assign(value, &result, copy_out);
        }
        Slot::Place(place)
    }

    fn place_quietly(&mut self, value: &Expr) -> Option<std::rc::Rc<Place>> {
        match value.kind {
            ExprKind::Var(_) | ExprKind::Field(..) => self.place(value),
            _ => None,
        }
    }
}

/// Whether another argument names something of this one, and one of the two is written.
fn shares(params: &[Param], arguments: &[Option<Expr>], at: usize) -> bool {
    let writes = |p: &Param| matches!(p.direction, Direction::Out | Direction::InOut);
    let Some(own) = arguments[at].as_ref().and_then(Lowerer::path) else {
        return true;
    };
    params
        .iter()
        .zip(arguments)
        .enumerate()
        .any(|(other, (param, value))| {
            if other == at || !(writes(param) || writes(&params[at])) {
                return false;
            }
            let mut meets = false;
            if let Some(value) = value {
                overlaps(value, &own, &mut meets);
            }
            meets
        })
}

fn overlaps(expr: &Expr, own: &(crate::hir::VarId, Vec<usize>), meets: &mut bool) {
    match Lowerer::path(expr) {
        Some((var, path)) => {
            let common = path.iter().zip(&own.1).all(|(a, b)| a == b);
            *meets |= var == own.0 && common;
        }
        None => super::actions::children(expr, &mut |child| overlaps(child, own, meets)),
    }
}

/// Whether a statement is made of steps only: no tables, no controls.
fn is_simple(statement: &Stmt) -> bool {
    match &statement.kind {
        StmtKind::Block(body) => body.iter().all(is_simple),
        StmtKind::Declare(_, value) => value.as_ref().is_none_or(|value| !has_hit(value)),
        StmtKind::Assign(_, value) => !has_hit(value),
        StmtKind::Call(call) => !matches!(call.callee, Callee::Table(_) | Callee::Apply(_)),
        StmtKind::Exit => true,
        StmtKind::If(..) | StmtKind::SwitchAction(..) | StmtKind::Return => false,
    }
}

fn has_hit(expr: &Expr) -> bool {
    let mut found = matches!(expr.kind, ExprKind::Hit(..));
    super::actions::children(expr, &mut |child| found |= has_hit(child));
    found
}

/// The table with its ways on.
fn joined(
    mut table: bmv2::Table,
    id: u32,
    after: After,
    name_of: &impl Fn(Next) -> Option<String>,
) -> bmv2::Table {
    table.id = id;
    match after {
        After::Hit(hit, miss) => {
            table.next_tables.insert("__HIT__".to_owned(), name_of(hit));
            table
                .next_tables
                .insert("__MISS__".to_owned(), name_of(miss));
        }
        After::Action(ways, rest) => {
            for (action, next) in ways {
                table.next_tables.insert(action, name_of(next));
            }
            table.base_default_next = name_of(rest);
        }
    }
    table
}
