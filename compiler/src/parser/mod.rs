//! From tokens to the program as written. Recursive descent with a bound on depth; after an
//! error it goes on with the next declaration or statement.

mod declarations;
mod expressions;
mod numbers;
mod statements;
mod types;

use std::collections::HashSet;

use crate::ast::{Annotation, Annotations, Decl, Ident, Name};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::lexer::{Kind, Token};
use crate::source::Span;

/// Depth of nested blocks, types and parentheses, and height of an expression.
pub(crate) const MAX_DEPTH: u32 = 200;
/// Tokens that may be read twice in all, where the grammar needs a guess.
const MAX_GUESSES: usize = 1_000_000;

/// An error was reported; the caller skips to where it can go on.
#[derive(Debug)]
pub(crate) struct Failed;

type Parsed<T> = Result<T, Failed>;

/// Words that are never names.
const KEYWORDS: &[&str] = &[
    "abstract",
    "action",
    "bit",
    "bool",
    "break",
    "const",
    "continue",
    "control",
    "default",
    "else",
    "enum",
    "error",
    "exit",
    "extern",
    "false",
    "for",
    "header",
    "header_union",
    "if",
    "in",
    "inout",
    "int",
    "match_kind",
    "out",
    "package",
    "parser",
    "return",
    "select",
    "string",
    "struct",
    "switch",
    "table",
    "this",
    "transition",
    "true",
    "tuple",
    "typedef",
    "value_set",
    "varbit",
    "void",
    "_",
];

/// Parses a program. Errors are among the messages.
pub(crate) fn run(tokens: &[Token], messages: &mut Diagnostics) -> Vec<Decl> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        guesses: 0,
        types: HashSet::new(),
        messages,
    };
    parser.program()
}

struct Parser<'a> {
    /// Ends with a token of kind `End`.
    tokens: &'a [Token],
    at: usize,
    depth: u32,
    guesses: usize,
    /// Names that were declared as types; the grammar cannot be read without them.
    types: HashSet<Name>,
    messages: &'a mut Diagnostics,
}

impl<'a> Parser<'a> {
    fn token(&self) -> &'a Token {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> &'a Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)]
    }

    fn at_end(&self) -> bool {
        self.token().kind == Kind::End
    }

    fn is(&self, text: &str) -> bool {
        self.token().is(text)
    }

    fn advance(&mut self) -> &'a Token {
        let token = self.token();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.is(text);
        if found {
            self.advance();
        }
        found
    }

    /// Span from a token on up to the last one that was read.
    fn since(&self, start: Span) -> Span {
        start.to(self.tokens[self.at.saturating_sub(1)].span)
    }

    fn fail<T>(&mut self, expected: &str) -> Parsed<T> {
        let token = self.token();
        let message = match token.kind {
            Kind::End => format!("{expected} is expected, but the program ends"),
            Kind::Text => format!("{expected} is expected, not a string"),
            _ => format!("{expected} is expected, not `{}`", token.text),
        };
        let error = Diagnostic::error(Code::Syntax, token.span, message);
        let label = format!("{expected} is expected here");
        self.messages.push(error.label(label));
        Err(Failed)
    }

    fn expect(&mut self, text: &str) -> Parsed<&'a Token> {
        if self.is(text) {
            Ok(self.advance())
        } else {
            self.fail(&format!("`{text}`"))
        }
    }

    fn unsupported<T>(&mut self, span: Span, what: &str) -> Parsed<T> {
        let message = format!("{what} is not supported yet");
        self.messages.error(Code::Unsupported, span, message);
        Err(Failed)
    }

    fn is_name(token: &Token) -> bool {
        token.kind == Kind::Name && !KEYWORDS.contains(&&*token.text)
    }

    fn at_name(&self) -> bool {
        Self::is_name(self.token())
    }

    fn ident(&mut self) -> Parsed<Ident> {
        if !self.at_name() {
            return self.fail("a name");
        }
        let token = self.advance();
        Ok(Ident {
            name: token.text.clone(),
            span: token.span,
        })
    }

    /// Any word, keywords too: names of members and annotations.
    fn word(&mut self) -> Parsed<Ident> {
        if self.token().kind != Kind::Name {
            return self.fail("a name");
        }
        let token = self.advance();
        Ok(Ident {
            name: token.text.clone(),
            span: token.span,
        })
    }

    /// Runs `part` one level deeper.
    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("the program is nested more than {MAX_DEPTH} deep");
            self.messages.error(Code::Limit, self.token().span, message);
            // Nothing sensible can follow.
            self.at = self.tokens.len() - 1;
            return Err(Failed);
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Runs `part`; when it fails, nothing was read and nothing was said.
    fn guess<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Option<T> {
        if self.guesses > MAX_GUESSES {
            return None;
        }
        let (at, said) = (self.at, self.messages.list.len());
        let result = part(self).ok();
        self.guesses += self.at.saturating_sub(at) + 1;
        if result.is_none() {
            self.at = at;
        }
        self.messages.list.truncate(said);
        result
    }

    /// Items with commas between them up to `close`, which is read; a comma at the end is allowed.
    fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while !self.accept(close) {
            items.push(item(self)?);
            if !self.is(close) && self.expect(",").is_err() {
                return Err(Failed);
            }
        }
        Ok(items)
    }

    fn annotations(&mut self) -> Parsed<Annotations> {
        let mut found = Vec::new();
        while self.accept("@") {
            let name = self.word()?;
            let (open, close) = match &*self.token().text {
                "(" => ("(", ")"),
                "[" => ("[", "]"),
                _ => {
                    found.push(Annotation {
                        name,
                        body: Vec::new(),
                        structured: false,
                        has_body: false,
                    });
                    continue;
                }
            };
            if self.token().kind != Kind::Punctuation {
                return self.fail("`(`");
            }
            self.advance();
            let mut depth = 1usize;
            let mut body = Vec::new();
            loop {
                if self.at_end() {
                    return self.fail(&format!("`{close}`"));
                }
                let token = self.advance();
                depth += usize::from(token.is(open));
                depth -= usize::from(token.is(close));
                if depth == 0 {
                    break;
                }
                body.push(token.clone());
            }
            found.push(Annotation {
                name,
                body,
                structured: open == "[",
                has_body: true,
            });
        }
        Ok(found.into())
    }

    /// Skips to the end of a declaration or statement: after `;` or a closed block, or before a
    /// brace that closes what is around it.
    fn recover(&mut self) {
        let mut depth = 0usize;
        while !self.at_end() {
            if self.is("{") {
                depth += 1;
            } else if self.is("}") {
                if depth == 0 {
                    return;
                }
                depth -= 1;
                if depth == 0 {
                    self.advance();
                    return;
                }
            } else if self.is(";") && depth == 0 {
                self.advance();
                return;
            }
            self.advance();
        }
    }
}
