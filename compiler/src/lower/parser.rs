//! Parsers.

use flownic_pipeline::bmv2::{
    ParseState, Parser, ParserOp, ParserParameter, Transition, TransitionKind, Value,
};
use num_bigint::BigInt;

use super::Lowerer;
use super::code::{Code, Exits};
use super::numbers::{number, padded};
use super::storage::Place;
use super::values::argument;
use crate::diagnostics::{Code as MessageCode, Diagnostic};
use crate::elaborate::BlockOf;
use crate::hir::{self, Call, Callee, Expr, ExprKind, Local, Stmt, StmtKind, Target};
use crate::types::Type;

impl Lowerer<'_> {
    pub(super) fn parser(&mut self, block: usize) {
        let BlockOf::Parser(id) = self.design.blocks[block].of else {
            return;
        };
        let program = self.program;
        let parser = program.parser(id);
        let mut first = Vec::new();
        for local in &parser.locals {
            match local {
                Local::Var(var, value) => first.push(Stmt {
                    kind: StmtKind::Declare(*var, value.clone()),
                    span: program.var(*var).span,
                }),
                Local::Instance(instance) => {
                    let span = program.instance(*instance).span;
                    self.unsupported(span, "an instance inside of a parser");
                }
                Local::Action(_) | Local::Table(_) => {}
            }
        }
        for local in &parser.locals {
            if let Local::Var(var, _) = local {
                self.declare(*var);
            }
        }
        let mut states = Vec::new();
        for (at, state) in parser.states.iter().enumerate() {
            let mut ops = Vec::new();
            // Nothing leads back to `start` in a program that the checker let through, unless it
            // loops there: then its variables are set again, as the language wants for none.
            if &*state.name == "start" {
                self.parser_steps(&first, &mut ops);
            }
            self.parser_steps(&state.body, &mut ops);
            let (transition_key, transitions) = self.transition(state, &parser.states, &mut ops);
            states.push(ParseState {
                name: state.name.to_string(),
                id: at as u32,
                parser_ops: ops,
                transitions,
                transition_key,
            });
        }
        if first
            .iter()
            .any(|s| matches!(s.kind, StmtKind::Declare(_, Some(_))))
            && leads_to_start(&parser.states)
        {
            self.unsupported(
                parser.span,
                "a parser with initial values that returns to `start`",
            );
        }
        self.out.parsers.push(Parser {
            name: "parser".to_owned(),
            id: 0,
            init_state: "start".to_owned(),
            parse_states: states,
        });
    }

    fn parser_steps(&mut self, body: &[Stmt], ops: &mut Vec<ParserOp>) {
        for statement in body {
            match &statement.kind {
                StmtKind::Block(body) => self.parser_steps(body, ops),
                StmtKind::Call(call) => self.parser_call(call, statement, ops),
                StmtKind::Declare(..) | StmtKind::Assign(..) => self.plain_step(statement, ops),
                StmtKind::If(..) => self.unsupported(statement.span, "`if` in a parser"),
                StmtKind::SwitchAction(..) | StmtKind::Return | StmtKind::Exit => {
                    let message = "this statement is not possible in a parser";
                    self.error(MessageCode::Target, statement.span, message);
                }
            }
        }
    }

    /// bmv2 looks ahead only where the bits are stored as they are, or selected on.
    fn no_nested_lookahead(&mut self, expr: &Expr, nested: bool) {
        if let ExprKind::Call(call) = &expr.kind
            && matches!(&call.callee, Callee::ParameterMethod(..))
            && nested
        {
            self.unsupported(expr.span, "a look ahead inside of an expression");
        }
        let mut inner = Vec::new();
        super::children(expr, &mut |child| inner.push(child.clone()));
        for child in &inner {
            self.no_nested_lookahead(child, true);
        }
    }

    /// A statement that is the same in actions and parsers.
    fn plain_step(&mut self, statement: &Stmt, ops: &mut Vec<ParserOp>) {
        match &statement.kind {
            StmtKind::Assign(_, value) | StmtKind::Declare(_, Some(value)) => {
                self.no_nested_lookahead(value, false);
            }
            _ => {}
        }
        let mut code = Code::default();
        let end = code.label();
        self.step(statement, &mut code, Exits { leave: end, end });
        code.place(end);
        for primitive in code.finish() {
            let jump = primitive.op.starts_with("_jump");
            if jump || primitive.op == "exit" {
                return self.unsupported(statement.span, "this statement in a parser");
            }
            ops.push(match &*primitive.op {
                "assign" => op(
                    "set",
                    primitive.parameters.into_iter().map(ParserParameter::Value),
                ),
                _ => op("primitive", [ParserParameter::Primitive(primitive)]),
            });
        }
    }

    fn parser_call(&mut self, call: &Call, statement: &Stmt, ops: &mut Vec<ParserOp>) {
        match &call.callee {
            Callee::ParameterMethod(of, method) if &*of.name == "packet_in" => {
                match &*method.name {
                    "extract" => self.extract(call, ops),
                    "advance" => {
                        if let Some(Some(bits)) = call.arguments.first() {
                            let bits = argument(self.data(bits));
                            ops.push(op("advance", [ParserParameter::Value(bits)]));
                        }
                    }
                    other => {
                        let message = format!("`{other}` is no statement");
                        self.error(MessageCode::Target, call.span, message);
                    }
                }
            }
            Callee::Extern(function) if &*function.name == "verify" => {
                if let [Some(condition), Some(error)] = &call.arguments[..] {
                    self.no_nested_lookahead(condition, true);
                    let condition = match self.condition(condition) {
                        lone @ Value::Bool(_) => Value::unary("not", Value::unary("not", lone)),
                        other => other,
                    };
                    let error = self.data(error);
                    let parameters = [condition, error].map(ParserParameter::Value);
                    ops.push(op("verify", parameters));
                }
            }
            Callee::Builtin(..) | Callee::Extern(_) => self.plain_step(statement, ops),
            Callee::Apply(_) => self.unsupported(call.span, "a parser inside of a parser"),
            Callee::Action(_) | Callee::Table(_) => {
                let message = "a parser cannot call actions or apply tables";
                self.error(MessageCode::WrongKind, call.span, message);
            }
            _ => self.unsupported(call.span, "this call in a parser"),
        }
    }

    fn extract(&mut self, call: &Call, ops: &mut Vec<ParserOp>) {
        let Some(Some(target)) = call.arguments.first() else {
            return;
        };
        let Some(record) = target.ty.header().cloned() else {
            if !target.ty.is_bad() {
                let message = format!("only headers are extracted, this is {}", target.ty);
                self.error(MessageCode::Type, target.span, message);
            }
            return;
        };
        let place = self.place(target);
        let Some(Place::Header(name, _)) = place.as_deref() else {
            return self.unsupported(target.span, "an extract to this");
        };
        let regular = ParserParameter::Value(Value::Regular(name.clone()));
        let varying = record
            .fields
            .iter()
            .any(|f| matches!(f.ty.base(), Type::Varbit(_)));
        match (call.arguments.get(1), varying) {
            (None, false) => ops.push(op("extract", [regular])),
            (Some(Some(bits)), true) => {
                self.no_nested_lookahead(bits, true);
                let bits = self.data(bits).wrapped();
                ops.push(op("extract_VL", [regular, ParserParameter::Value(bits)]));
            }
            (Some(_), false) => {
                let message = format!("{} has no varbit field, but a length is given", record.name);
                let error = Diagnostic::error(MessageCode::Arguments, call.span, message);
                self.messages.push(error.related(record.span, "the header"));
            }
            _ => {
                let message = format!("{} has a varbit field: its length is missing", record.name);
                let error = Diagnostic::error(MessageCode::Arguments, call.span, message);
                let error = error.note("write `extract(header, bits)`");
                self.messages.push(error.related(record.span, "the header"));
            }
        }
    }

    fn target(target: Target, states: &[hir::State]) -> Option<String> {
        match target {
            Target::State(at) => states.get(at).map(|state| state.name.to_string()),
            // In v1model a rejected packet goes on, with the error that `verify` set.
            Target::Accept | Target::Reject => None,
        }
    }

    fn transition(
        &mut self,
        state: &hir::State,
        states: &[hir::State],
        ops: &mut Vec<ParserOp>,
    ) -> (Vec<Value>, Vec<Transition>) {
        let (keys, cases) = match &state.transition {
            hir::Transition::Direct(target) => {
                let last = default(Self::target(*target, states));
                return (Vec::new(), vec![last]);
            }
            hir::Transition::Select { keys, cases } => (keys, cases),
        };
        let values: Vec<Value> = keys
            .iter()
            .map(|key| self.transition_key(key, ops))
            .collect();
        let mut transitions = Vec::new();
        for (sets, target, _) in cases {
            let next = Self::target(*target, states);
            if sets
                .iter()
                .all(|set| matches!(set.kind, ExprKind::Anything))
            {
                transitions.push(default(next));
                break;
            }
            for (value, mask) in self.combinations(keys, sets) {
                transitions.push(Transition {
                    kind: TransitionKind::Hexstr,
                    value: Some(value),
                    mask,
                    next_state: next.clone(),
                });
            }
        }
        (values, transitions)
    }

    fn transition_key(&mut self, key: &Expr, ops: &mut Vec<ParserOp>) -> Value {
        self.no_nested_lookahead(key, false);
        let value = self.data(key);
        if matches!(value, Value::Field(_) | Value::Lookahead(_)) {
            return value;
        }
        let temporary = self.temporary(&key.ty, key.span);
        let Place::Field(field) = &*temporary else {
            return number(0);
        };
        let parameters = [field.value(), argument(value)].map(ParserParameter::Value);
        ops.push(op("set", parameters));
        field.value()
    }

    /// Value and mask over all keys; several where ranges are made of masks.
    fn combinations(&mut self, keys: &[Expr], sets: &[Expr]) -> Vec<(String, Option<String>)> {
        /// More than this many from one case is no sensible program.
        const MOST: usize = 4096;
        let mut found: Vec<(String, String, bool)> = vec![(String::new(), String::new(), true)];
        for (key, set) in keys.iter().zip(sets) {
            let width = key.ty.width().unwrap_or(1);
            let all = crate::check::mask(width);
            let choices = self.choices(set, width);
            if found.len() * choices.len() > MOST {
                self.error(
                    MessageCode::Limit,
                    set.span,
                    "the case stands for too many values",
                );
                return Vec::new();
            }
            let mut next = Vec::new();
            for (value, mask, exact) in &found {
                for (v, m) in &choices {
                    let piece = |n: &BigInt| padded(n, width)[2..].to_owned();
                    let value = format!("{value}{}", piece(&(v & m)));
                    let mask = format!("{mask}{}", piece(m));
                    next.push((value, mask, *exact && *m == all));
                }
            }
            found = next;
        }
        let finished = found.into_iter().map(|(value, mask, exact)| {
            let mask = (!exact).then(|| format!("0x{mask}"));
            (format!("0x{value}"), mask)
        });
        finished.collect()
    }

    /// Values and masks that a set stands for.
    fn choices(&mut self, set: &Expr, width: u32) -> Vec<(BigInt, BigInt)> {
        let all = crate::check::mask(width);
        let zero = BigInt::ZERO;
        match &set.kind {
            ExprKind::Anything => vec![(zero.clone(), zero)],
            ExprKind::Mask(value, mask) => match (self.constant(value), self.constant(mask)) {
                (Some(value), Some(mask)) => vec![(value & &all, mask & &all)],
                _ => Vec::new(),
            },
            ExprKind::Range(low, high) => match (self.constant(low), self.constant(high)) {
                (Some(low), Some(high)) => prefixes(low, &high, width),
                _ => Vec::new(),
            },
            _ => match self.constant(set) {
                Some(value) => vec![(value & &all, all)],
                None => Vec::new(),
            },
        }
    }
}

/// A range as values with masks.
fn prefixes(mut low: BigInt, high: &BigInt, width: u32) -> Vec<(BigInt, BigInt)> {
    let all = crate::check::mask(width);
    let mut found = Vec::new();
    while low <= *high && low >= BigInt::ZERO {
        // The largest block that begins at `low` and ends at or before `high`.
        let mut bits = low
            .trailing_zeros()
            .unwrap_or(u64::from(width))
            .min(u64::from(width));
        while bits > 0 && &low + (BigInt::from(1) << bits) - 1 > *high {
            bits -= 1;
        }
        let size = BigInt::from(1) << bits;
        found.push((low.clone(), &all ^ (&size - 1)));
        low += size;
    }
    found
}

fn leads_to_start(states: &[hir::State]) -> bool {
    let start = states.iter().position(|state| &*state.name == "start");
    let is_start =
        |target: &Target| matches!((target, start), (Target::State(at), Some(s)) if *at == s);
    states.iter().any(|state| match &state.transition {
        hir::Transition::Direct(target) => is_start(target),
        hir::Transition::Select { cases, .. } => {
            cases.iter().any(|(_, target, _)| is_start(target))
        }
    })
}

fn default(next_state: Option<String>) -> Transition {
    Transition {
        kind: TransitionKind::Default,
        value: None,
        mask: None,
        next_state,
    }
}

fn op(name: &str, parameters: impl IntoIterator<Item = ParserParameter>) -> ParserOp {
    ParserOp {
        op: name.to_owned(),
        parameters: parameters.into_iter().collect(),
    }
}
