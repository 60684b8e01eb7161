//! Expressions, by precedence climbing.

use super::{Failed, MAX_DEPTH, Parsed, Parser, numbers};
use crate::ast::{Argument, Binary, Expr, ExprKind, Ident, Type, Unary};
use crate::diagnostics::Code;
use crate::lexer::{Kind, Token};
use crate::source::Span;

/// Binding strength of what stands between operands; larger binds tighter.
const CHOICE: u8 = 1;
const LEVELS: &[(&str, u8, Binary)] = &[
    ("||", 2, Binary::Or),
    ("&&", 3, Binary::And),
    ("==", 4, Binary::Eq),
    ("!=", 4, Binary::Ne),
    ("<=", 5, Binary::Le),
    (">=", 5, Binary::Ge),
    ("<", 5, Binary::Lt),
    (">", 5, Binary::Gt),
    ("|", 6, Binary::BitOr),
    ("^", 7, Binary::BitXor),
    ("&", 8, Binary::BitAnd),
    ("<<", 9, Binary::Shl),
    (">>", 9, Binary::Shr),
    ("++", 10, Binary::Concat),
    ("+", 10, Binary::Add),
    ("-", 10, Binary::Sub),
    ("|+|", 10, Binary::AddSat),
    ("|-|", 10, Binary::SubSat),
    ("*", 11, Binary::Mul),
    ("/", 11, Binary::Div),
    ("%", 11, Binary::Mod),
];
/// Inside `<…>` a `>` ends the expression.
const ABOVE_COMPARISON: u8 = 10;

impl Parser<'_> {
    pub(super) fn node(&mut self, kind: ExprKind, span: Span, below: &[&Expr]) -> Parsed<Expr> {
        let height = 1 + below.iter().map(|e| e.height).max().unwrap_or(0);
        self.checked(Expr { kind, span, height })
    }

    fn checked(&mut self, expr: Expr) -> Parsed<Expr> {
        if expr.height > MAX_DEPTH {
            let message = format!("the expression has more than {MAX_DEPTH} levels");
            self.messages.error(Code::Limit, expr.span, message);
            return Err(Failed);
        }
        Ok(expr)
    }

    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| parser.level(CHOICE))
    }

    /// A width: no comparison or shift outside of parentheses.
    pub(super) fn width_expr(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| parser.level(ABOVE_COMPARISON))
    }

    /// The operator at hand, its strength and its tokens.
    fn operator(&self) -> Option<(u8, Binary, usize)> {
        let token = self.token();
        if token.kind != Kind::Punctuation {
            return None;
        }
        let next = self.peek(1);
        if token.is(">") && next.is(">") && !next.spaced {
            return Some((9, Binary::Shr, 2));
        }
        let found = LEVELS.iter().find(|(text, _, _)| token.is(text))?;
        Some((found.1, found.2, 1))
    }

    fn level(&mut self, weakest: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        loop {
            if self.is("?") && weakest <= CHOICE {
                left = self.choice(left)?;
                continue;
            }
            let Some((strength, operator, length)) = self.operator() else {
                return Ok(left);
            };
            if strength < weakest {
                return Ok(left);
            }
            for _ in 0..length {
                self.advance();
            }
            let right = self.deeper(|parser| parser.level(strength + 1))?;
            let span = left.span.to(right.span);
            let height = 1 + left.height.max(right.height);
            left = self.checked(Expr {
                kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)),
                span,
                height,
            })?;
        }
    }

    fn choice(&mut self, condition: Expr) -> Parsed<Expr> {
        self.expect("?")?;
        let yes = self.expr()?;
        self.expect(":")?;
        let no = self.expr()?;
        let span = condition.span.to(no.span);
        let height = 1 + condition.height.max(yes.height).max(no.height);
        self.checked(Expr {
            kind: ExprKind::Choice(Box::new(condition), Box::new(yes), Box::new(no)),
            span,
            height,
        })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.token().span;
        let operator = match &*self.token().text {
            _ if self.token().kind != Kind::Punctuation => None,
            "!" => Some(Unary::Not),
            "~" => Some(Unary::Complement),
            "-" => Some(Unary::Minus),
            "+" => Some(Unary::Plus),
            _ => None,
        };
        if let Some(operator) = operator {
            self.advance();
            let operand = self.deeper(Self::unary)?;
            let span = start.to(operand.span);
            let height = operand.height + 1;
            return self.checked(Expr {
                kind: ExprKind::Unary(operator, Box::new(operand)),
                span,
                height,
            });
        }
        if self.is("(") && self.at_cast() {
            return self.cast();
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// Whether the parenthesis at hand encloses a type.
    fn at_cast(&self) -> bool {
        let inside = self.peek(1);
        if Self::is_base_type(inside) {
            // `(error.X == …)` is an expression.
            return !(inside.is("error") && self.peek(2).is("."));
        }
        if !Self::is_name(inside) {
            return false;
        }
        let known = self.is_type_name(inside);
        if known && self.peek(2).is("<") {
            return true;
        }
        if !self.peek(2).is(")") {
            return false;
        }
        let after = self.peek(3);
        let operand = match after.kind {
            Kind::Name | Kind::Number | Kind::Text => !after.is("in"),
            Kind::Punctuation => matches!(&*after.text, "(" | "~" | "!" | "{"),
            Kind::End => false,
        };
        operand || (known && (after.is("-") || after.is("+")))
    }

    fn cast(&mut self) -> Parsed<Expr> {
        let start = self.expect("(")?.span;
        let ty = self.ty()?;
        self.expect(")")?;
        let operand = self.deeper(Self::unary)?;
        let span = start.to(operand.span);
        let height = operand.height + 1;
        self.checked(Expr {
            kind: ExprKind::Cast(ty, Box::new(operand)),
            span,
            height,
        })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.token();
        let span = token.span;
        let kind = match token.kind {
            Kind::Number => return self.number(token),
            Kind::Text => {
                self.advance();
                ExprKind::Text(token.text.clone())
            }
            Kind::Name => match &*token.text {
                "true" | "false" => {
                    self.advance();
                    ExprKind::Bool(token.is("true"))
                }
                "_" => self.word_expr(ExprKind::Any),
                "default" => self.word_expr(ExprKind::Default),
                "this" => self.word_expr(ExprKind::This),
                "error" => {
                    self.advance();
                    self.expect(".")?;
                    let name = self.ident()?;
                    let span = self.since(span);
                    return self.node(ExprKind::Error(name), span, &[]);
                }
                _ if Self::is_base_type(token) => {
                    return self.fail("an expression");
                }
                _ => ExprKind::Name(self.ident()?, false),
            },
            Kind::Punctuation if token.is("(") => {
                self.advance();
                let inner = self.expr()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Kind::Punctuation if token.is("{") => return self.braces(),
            Kind::Punctuation if token.is(".") => {
                self.advance();
                ExprKind::Name(self.ident()?, true)
            }
            Kind::Punctuation if token.is("...") => self.word_expr(ExprKind::Rest),
            _ => return self.fail("an expression"),
        };
        self.node(kind, span, &[])
    }

    fn word_expr(&mut self, kind: ExprKind) -> ExprKind {
        self.advance();
        kind
    }

    fn number(&mut self, token: &Token) -> Parsed<Expr> {
        self.advance();
        match numbers::parse(&token.text) {
            Ok((value, width)) => self.node(ExprKind::Int(value, width), token.span, &[]),
            Err(problem) => {
                self.messages.error(Code::Lexical, token.span, problem);
                self.node(ExprKind::Bad, token.span, &[])
            }
        }
    }

    /// `{a, b}`, `{x = a, y = b}`, `{#}`.
    fn braces(&mut self) -> Parsed<Expr> {
        let start = self.expect("{")?.span;
        if self.accept("#") {
            self.expect("}")?;
            return self.node(ExprKind::Invalid, self.since(start), &[]);
        }
        let named = self.at_name() && self.peek(1).is("=");
        if named {
            let fields = self.list("}", |parser| {
                if parser.accept("...") {
                    let span = parser.since(parser.token().span);
                    let rest = parser.node(ExprKind::Rest, span, &[])?;
                    let name = Ident {
                        name: "...".into(),
                        span,
                    };
                    return Ok((name, rest));
                }
                let name = parser.ident()?;
                parser.expect("=")?;
                Ok((name, parser.expr()?))
            })?;
            let height = 1 + fields.iter().map(|(_, e)| e.height).max().unwrap_or(0);
            return self.checked(Expr {
                kind: ExprKind::Record(fields),
                span: self.since(start),
                height,
            });
        }
        let items = self.list("}", Self::expr)?;
        let height = 1 + items.iter().map(|e| e.height).max().unwrap_or(0);
        self.checked(Expr {
            kind: ExprKind::List(items),
            span: self.since(start),
            height,
        })
    }

    fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            let start = expr.span;
            let height = expr.height + 1;
            let kind = if self.is(".") {
                self.advance();
                ExprKind::Member(Box::new(expr), self.word()?)
            } else if self.is("[") {
                self.advance();
                let index = self.expr()?;
                let kind = if self.accept(":") {
                    let low = self.expr()?;
                    ExprKind::Slice(Box::new(expr), Box::new(index), Box::new(low))
                } else {
                    ExprKind::Index(Box::new(expr), Box::new(index))
                };
                self.expect("]")?;
                kind
            } else if self.is("(") {
                ExprKind::Call(Box::new(expr), Vec::new(), self.arguments()?)
            } else if self.is("<") && Self::may_be_generic(&expr) {
                let Some(types) = self.guess(Self::generic_arguments) else {
                    return Ok(expr);
                };
                ExprKind::Call(Box::new(expr), types, self.arguments()?)
            } else {
                return Ok(expr);
            };
            expr = self.checked(Expr {
                kind,
                span: self.since(start),
                height,
            })?;
        }
    }

    fn may_be_generic(expr: &Expr) -> bool {
        matches!(expr.kind, ExprKind::Name(..) | ExprKind::Member(..))
    }

    /// Type arguments that an argument list follows.
    fn generic_arguments(&mut self) -> Parsed<Vec<Type>> {
        let types = self.type_arguments()?;
        if self.is("(") { Ok(types) } else { Err(Failed) }
    }

    pub(super) fn arguments(&mut self) -> Parsed<Vec<Argument>> {
        self.expect("(")?;
        self.list(")", |parser| {
            let name = if parser.at_name() && parser.peek(1).is("=") {
                let name = parser.ident()?;
                parser.advance();
                Some(name)
            } else {
                None
            };
            let value = parser.expr()?;
            Ok(Argument { name, value })
        })
    }

    /// An element of a `select` case or of an entry's key: with masks, ranges and `_`.
    pub(super) fn set_element(&mut self) -> Parsed<Expr> {
        let value = self.expr()?;
        let mask = self.is("&&&");
        if !mask && !self.is("..") {
            return Ok(value);
        }
        self.advance();
        let other = self.expr()?;
        let span = value.span.to(other.span);
        let height = 1 + value.height.max(other.height);
        let (value, other) = (Box::new(value), Box::new(other));
        let kind = if mask {
            ExprKind::Mask(value, other)
        } else {
            ExprKind::Range(value, other)
        };
        self.checked(Expr { kind, span, height })
    }

    /// `x`, or `(x, y)` as a list.
    pub(super) fn set(&mut self) -> Parsed<Expr> {
        let start = self.token().span;
        if self.is("(")
            && !self.at_cast()
            && let Some(items) = self.guess(|parser| {
                parser.advance();
                let items = parser.list(")", Self::set_element)?;
                // `(a) + 1` and the like are no list.
                let ends = parser.is(":") || parser.is(",") || parser.is(";");
                if ends { Ok(items) } else { Err(Failed) }
            })
        {
            let height = 1 + items.iter().map(|e| e.height).max().unwrap_or(0);
            return self.checked(Expr {
                kind: ExprKind::List(items),
                span: self.since(start),
                height,
            });
        }
        self.set_element()
    }
}
