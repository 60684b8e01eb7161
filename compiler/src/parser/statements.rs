//! Statements.

use super::{Failed, Parsed, Parser};
use crate::ast::{Binary, Constant, Expr, Stmt, StmtKind, SwitchCase, Variable};

/// Operators that may stand before `=`.
const COMBINED: &[(&str, Binary)] = &[
    ("+=", Binary::Add),
    ("-=", Binary::Sub),
    ("|+|=", Binary::AddSat),
    ("|-|=", Binary::SubSat),
    ("*=", Binary::Mul),
    ("/=", Binary::Div),
    ("%=", Binary::Mod),
    ("<<=", Binary::Shl),
    (">>=", Binary::Shr),
    ("&=", Binary::BitAnd),
    ("|=", Binary::BitOr),
    ("^=", Binary::BitXor),
];

impl Parser<'_> {
    /// Statements in braces. A broken one is left out.
    pub(super) fn block(&mut self) -> Parsed<Vec<Stmt>> {
        self.annotations()?;
        self.expect("{")?;
        let body = self.statements();
        self.expect("}")?;
        Ok(body)
    }

    /// Statements up to a closing brace, a `transition`, or the end.
    pub(super) fn statements(&mut self) -> Vec<Stmt> {
        let mut body = Vec::new();
        while !self.is("}") && !self.at_end() && !self.is("transition") {
            let before = self.at;
            match self.statement() {
                Ok(statement) => body.push(statement),
                Err(Failed) => {
                    self.recover();
                    if self.at == before {
                        self.advance();
                    }
                }
            }
        }
        body
    }

    pub(super) fn statement(&mut self) -> Parsed<Stmt> {
        self.deeper(|parser| {
            let start = parser.token().span;
            let kind = parser.statement_kind()?;
            Ok(Stmt {
                kind,
                span: parser.since(start),
            })
        })
    }

    fn statement_kind(&mut self) -> Parsed<StmtKind> {
        let annotations = self.annotations()?;
        let token = self.token();
        match &*token.text {
            _ if token.kind == crate::lexer::Kind::Text => self.fail("a statement"),
            "{" => Ok(StmtKind::Block(self.block()?)),
            ";" => {
                self.advance();
                Ok(StmtKind::Empty)
            }
            "if" => self.if_statement(),
            "switch" => self.switch(),
            "const" => Ok(StmtKind::Const(self.constant()?)),
            "exit" => {
                self.advance();
                self.expect(";")?;
                Ok(StmtKind::Exit)
            }
            "return" => {
                self.advance();
                let value = if self.is(";") {
                    None
                } else {
                    Some(self.expr()?)
                };
                self.expect(";")?;
                Ok(StmtKind::Return(value))
            }
            "for" | "break" | "continue" => {
                let span = token.span;
                self.unsupported(span, "a loop")
            }
            _ if self.at_declaration() => Ok(StmtKind::Var(self.variable(annotations)?)),
            _ => self.assignment_or_call(),
        }
    }

    /// Whether a type and a name follow.
    pub(super) fn at_declaration(&mut self) -> bool {
        let token = self.token();
        if Self::is_base_type(token) {
            return !(token.is("error") && self.peek(1).is("."));
        }
        if !Self::is_name(token) {
            return false;
        }
        let next = self.peek(1);
        if Self::is_name(next) {
            return true;
        }
        if !self.is_type_name(token) || !(next.is("<") || next.is("[")) {
            return false;
        }
        let at = self.at;
        let found = self.guess(|parser| {
            parser.ty()?;
            parser.ident()
        });
        self.at = at;
        found.is_some()
    }

    pub(super) fn variable(&mut self, annotations: crate::ast::Annotations) -> Parsed<Variable> {
        let ty = self.ty()?;
        let name = self.ident()?;
        let value = if self.accept("=") {
            Some(self.expr()?)
        } else {
            None
        };
        self.expect(";")?;
        Ok(Variable {
            name,
            ty,
            value,
            annotations,
        })
    }

    pub(super) fn constant(&mut self) -> Parsed<Constant> {
        self.expect("const")?;
        let ty = self.ty()?;
        let name = self.ident()?;
        self.expect("=")?;
        let value = self.expr()?;
        self.expect(";")?;
        Ok(Constant { name, ty, value })
    }

    fn if_statement(&mut self) -> Parsed<StmtKind> {
        self.expect("if")?;
        self.expect("(")?;
        let condition = self.expr()?;
        self.expect(")")?;
        let yes = Box::new(self.statement()?);
        let no = if self.accept("else") {
            Some(Box::new(self.statement()?))
        } else {
            None
        };
        Ok(StmtKind::If(condition, yes, no))
    }

    fn switch(&mut self) -> Parsed<StmtKind> {
        self.expect("switch")?;
        self.expect("(")?;
        let value = self.expr()?;
        self.expect(")")?;
        self.expect("{")?;
        let mut cases = Vec::new();
        while !self.accept("}") {
            let label = self.expr()?;
            self.expect(":")?;
            let body = if self.is("{") {
                Some(self.statement()?)
            } else {
                None
            };
            cases.push(SwitchCase { label, body });
        }
        Ok(StmtKind::Switch(value, cases))
    }

    fn assignment_or_call(&mut self) -> Parsed<StmtKind> {
        let target: Expr = self.expr()?;
        if self.accept("=") {
            let value = self.expr()?;
            self.expect(";")?;
            return Ok(StmtKind::Assign(target, None, value));
        }
        if let Some((_, operator)) = COMBINED.iter().find(|(text, _)| self.is(text)) {
            self.advance();
            let value = self.expr()?;
            self.expect(";")?;
            return Ok(StmtKind::Assign(target, Some(*operator), value));
        }
        // `>>=` comes in pieces, because `>>` does.
        if self.is(">") && self.peek(1).is(">=") && !self.peek(1).spaced {
            self.advance();
            self.advance();
            let value = self.expr()?;
            self.expect(";")?;
            return Ok(StmtKind::Assign(target, Some(Binary::Shr), value));
        }
        if !matches!(target.kind, crate::ast::ExprKind::Call(..)) {
            return self.fail("`=` or an argument list");
        }
        if !self.is(";") {
            return self.fail("`;`");
        }
        self.advance();
        Ok(StmtKind::Call(target))
    }
}
