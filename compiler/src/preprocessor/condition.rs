//! Value of the expression of `#if`.

use crate::lexer::{Kind, Token};

/// Nesting of parentheses and unary operators.
const MAX_DEPTH: usize = 100;

/// Replaces `defined X` and `defined(X)` by 0 or 1.
pub(super) fn resolve_defined(list: &[Token], defined: impl Fn(&str) -> bool) -> Vec<Token> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let token = &list[at];
        let (name, length) = match &list[at + 1..] {
            [open, name, close, ..] if open.is("(") && close.is(")") => (Some(name), 4),
            [name, ..] => (Some(name), 2),
            [] => (None, 1),
        };
        match name.filter(|name| token.is("defined") && name.kind == Kind::Name) {
            Some(name) => {
                let value = if defined(&name.text) { "1" } else { "0" };
                out.push(Token {
                    kind: Kind::Number,
                    text: value.into(),
                    ..token.clone()
                });
                at += length;
            }
            None => {
                out.push(token.clone());
                at += 1;
            }
        }
    }
    out
}

/// The value; names that are no macros count as 0.
pub(super) fn value(list: &[Token]) -> Result<i64, String> {
    let mut parser = Parser {
        list,
        at: 0,
        depth: 0,
    };
    let value = parser.choice()?;
    match parser.list.get(parser.at) {
        None => Ok(value),
        Some(token) => Err(format!("{} is not expected in the condition", token.text)),
    }
}

/// Binary operators by precedence, weakest first.
const LEVELS: &[&[&str]] = &[
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

struct Parser<'a> {
    list: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn accept(&mut self, text: &str) -> bool {
        let found = self.list.get(self.at).is_some_and(|t| t.is(text));
        self.at += usize::from(found);
        found
    }

    fn choice(&mut self) -> Result<i64, String> {
        let condition = self.level(0)?;
        if !self.accept("?") {
            return Ok(condition);
        }
        self.deeper()?;
        let yes = self.choice()?;
        if !self.accept(":") {
            return Err("':' is missing in the condition".to_owned());
        }
        let no = self.choice()?;
        self.depth -= 1;
        Ok(if condition != 0 { yes } else { no })
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the condition is nested too deeply".to_owned());
        }
        Ok(())
    }

    fn level(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        loop {
            // `>>` comes as two tokens, see the lexer.
            let shift = level == 7
                && matches!(&self.list[self.at..], [a, b, ..] if a.is(">") && b.is(">") && !b.spaced);
            let found = operators.iter().find(|op| {
                let next = self.list.get(self.at + 1);
                let double = **op == ">" && next.is_some_and(|t| t.is(">") && !t.spaced);
                !double && self.list.get(self.at).is_some_and(|t| t.is(op))
            });
            let operator = match found {
                Some(operator) => {
                    self.at += 1;
                    *operator
                }
                None if shift => {
                    self.at += 2;
                    ">>"
                }
                None => return Ok(left),
            };
            let right = self.level(level + 1)?;
            left = apply(operator, left, right)?;
        }
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.deeper()?;
        let value = if self.accept("!") {
            i64::from(self.unary()? == 0)
        } else if self.accept("-") {
            self.unary()?.wrapping_neg()
        } else if self.accept("+") {
            self.unary()?
        } else if self.accept("~") {
            !self.unary()?
        } else if self.accept("(") {
            let value = self.choice()?;
            if !self.accept(")") {
                return Err("')' is missing in the condition".to_owned());
            }
            value
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Result<i64, String> {
        let Some(token) = self.list.get(self.at) else {
            return Err("the condition is incomplete".to_owned());
        };
        self.at += 1;
        match token.kind {
            Kind::Name if token.is("true") => Ok(1),
            Kind::Name => Ok(0),
            Kind::Number => number(&token.text),
            _ => Err(format!("{} is not expected in the condition", token.text)),
        }
    }
}

fn number(text: &str) -> Result<i64, String> {
    let plain = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let (digits, radix) = match plain.get(..2) {
        Some("0x" | "0X") => (&plain[2..], 16),
        Some("0b" | "0B") => (&plain[2..], 2),
        _ => (plain, 10),
    };
    i64::from_str_radix(&digits.replace('_', ""), radix)
        .map_err(|_| format!("{text} is no number that a condition may use"))
}

fn apply(operator: &str, left: i64, right: i64) -> Result<i64, String> {
    Ok(match operator {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<<" => left.wrapping_shl(right as u32),
        ">>" => left.wrapping_shr(right as u32),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" | "%" if right == 0 => return Err("the condition divides by zero".to_owned()),
        "/" => left.wrapping_div(right),
        _ => left.wrapping_rem(right),
    })
}
