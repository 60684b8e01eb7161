//! Macro expansion: arguments, `#`, `##`, and no macro inside itself.

use std::rc::Rc;

use super::{MAX_TOKENS, Macro, Preprocessor};
use crate::diagnostics::{Code, Diagnostic};
use crate::lexer::{Kind, Token};
use crate::source::Span;

/// Macros whose bodies use each other.
const MAX_DEPTH: usize = 200;

impl Preprocessor<'_> {
    /// The tokens with all macros expanded.
    pub(super) fn expand(&mut self, list: &[Token]) -> Vec<Token> {
        let mut out = Vec::with_capacity(list.len());
        self.expand_into(list, &mut Vec::new(), &mut out);
        out
    }

    fn expand_into(&mut self, list: &[Token], active: &mut Vec<Rc<str>>, out: &mut Vec<Token>) {
        let mut at = 0;
        while at < list.len() && !self.stopped {
            let token = &list[at];
            at += 1;
            let known = token.kind == Kind::Name && !token.painted;
            let found = self.macros.get(&token.text).filter(|_| known);
            let Some(found) = found.cloned() else {
                out.push(token.clone());
                continue;
            };
            if active.contains(&token.text) {
                out.push(Token {
                    painted: true,
                    ..token.clone()
                });
                continue;
            }
            let mut body = match &found.parameters {
                None => self.substitute(&found, &[], token, active),
                Some(parameters) => {
                    if list.get(at).is_none_or(|next| !next.is("(")) {
                        out.push(token.clone());
                        continue;
                    }
                    let Some((arguments, end)) = arguments(list, at) else {
                        let message =
                            format!("the arguments of the macro {} have no end", token.text);
                        self.messages.error(Code::Macro, token.span, message);
                        return;
                    };
                    at = end;
                    if !self.arity(token, parameters, &arguments, found.span) {
                        continue;
                    }
                    self.substitute(&found, &arguments, token, active)
                }
            };
            self.count(body.len(), token.span);
            if active.len() >= MAX_DEPTH {
                let message = format!("macros use each other more than {MAX_DEPTH} deep");
                self.messages.error(Code::Limit, token.span, message);
                self.stopped = true;
                return;
            }
            if let Some(first) = body.first_mut() {
                first.spaced = token.spaced;
                first.first = token.first;
            }
            active.push(token.text.clone());
            // A function-like macro's name at the end takes its arguments from what follows.
            let takes_more = body.last().is_some_and(|last| self.wants_arguments(last))
                && list.get(at).is_some_and(|next| next.is("("));
            if takes_more && let Some((_, end)) = arguments(list, at) {
                body.extend_from_slice(&list[at..end]);
                at = end;
            }
            self.expand_into(&body, active, out);
            active.pop();
        }
    }

    fn wants_arguments(&self, token: &Token) -> bool {
        let found = self.macros.get(&token.text);
        token.kind == Kind::Name && found.is_some_and(|m| m.parameters.is_some())
    }

    fn count(&mut self, made: usize, span: Span) {
        self.made += made + 1;
        if self.made > MAX_TOKENS {
            self.stop(span);
        }
    }

    fn arity(
        &mut self,
        token: &Token,
        parameters: &[Rc<str>],
        arguments: &[&[Token]],
        defined: Span,
    ) -> bool {
        let given = match arguments {
            [only] if only.is_empty() && parameters.is_empty() => 0,
            list => list.len(),
        };
        if given == parameters.len() {
            return true;
        }
        let (name, wanted) = (&token.text, parameters.len());
        let message = format!("the macro {name} takes {wanted} arguments, {given} are given");
        let error = Diagnostic::error(Code::Macro, token.span, message);
        self.messages.push(error.related(defined, "defined here"));
        false
    }

    /// The body with arguments in place; every token of it is at the place of use.
    fn substitute(
        &mut self,
        found: &Macro,
        arguments: &[&[Token]],
        site: &Token,
        active: &mut Vec<Rc<str>>,
    ) -> Vec<Token> {
        let parameters = found.parameters.as_deref().unwrap_or_default();
        let argument = |token: &Token| {
            let position = parameters.iter().position(|p| *p == token.text);
            let position = position.filter(|_| token.kind == Kind::Name);
            position.and_then(|p| arguments.get(p).copied())
        };
        let body = &found.body;
        let mut out: Vec<Token> = Vec::new();
        let mut at = 0;
        while at < body.len() {
            let token = &body[at];
            let pasted = at > 0 && body[at - 1].is("##");
            let pastes = body.get(at + 1).is_some_and(|t| t.is("##"));
            at += 1;
            if token.is("##") {
                continue;
            }
            let mut piece = if token.is("#") && body.get(at).and_then(argument).is_some() {
                let text = body.get(at).and_then(argument).map(stringified);
                at += 1;
                vec![Token {
                    kind: Kind::Text,
                    text: text.unwrap_or_default().into(),
                    ..placed(token, site.span)
                }]
            } else if let Some(argument) = argument(token) {
                let mut list = Vec::new();
                if pasted || pastes {
                    list.extend_from_slice(argument);
                } else {
                    self.expand_into(argument, active, &mut list);
                }
                if let Some(first) = list.first_mut() {
                    first.spaced = token.spaced;
                }
                list
            } else {
                vec![placed(token, site.span)]
            };
            if pasted && !piece.is_empty() && !out.is_empty() {
                self.paste(&mut out, &mut piece, site.span);
            }
            out.append(&mut piece);
            if self.stopped {
                break;
            }
            self.count(0, site.span);
            if out.len() > MAX_TOKENS {
                self.stop(site.span);
            }
        }
        out
    }

    /// Joins the last token of `out` and the first one of `piece`.
    fn paste(&mut self, out: &mut Vec<Token>, piece: &mut Vec<Token>, site: Span) {
        let Some(left) = out.pop() else { return };
        let right = piece.remove(0);
        let text = format!("{}{}", left.text, right.text);
        let mut scratch = crate::diagnostics::Diagnostics::default();
        let made = crate::lexer::tokens(site.file, &text, &mut scratch);
        if let [token] = &made[..]
            && !scratch.has_errors()
        {
            out.push(Token {
                spaced: left.spaced,
                first: left.first,
                ..placed(token, site)
            });
            return;
        }
        let message = format!("{} and {} make no token together", left.text, right.text);
        self.messages.error(Code::Macro, site, message);
        out.push(left);
        piece.insert(0, right);
    }
}

fn placed(token: &Token, span: Span) -> Token {
    Token {
        span,
        first: false,
        ..token.clone()
    }
}

fn stringified(argument: &[Token]) -> String {
    let mut text = String::new();
    for (at, token) in argument.iter().enumerate() {
        if at > 0 && (token.spaced || token.first) {
            text.push(' ');
        }
        if token.kind == Kind::Text {
            let escaped = token.text.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!("\\\"{escaped}\\\""));
        } else {
            text.push_str(&token.text);
        }
    }
    text
}

/// Arguments in the parentheses that open at `open`, and the position after them.
fn arguments(list: &[Token], open: usize) -> Option<(Vec<&[Token]>, usize)> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut start = open + 1;
    for (offset, token) in list[open..].iter().enumerate() {
        let at = open + offset;
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                found.push(&list[start..at]);
                return Some((found, at + 1));
            }
        } else if token.is(",") && depth == 1 {
            found.push(&list[start..at]);
            start = at + 1;
        }
    }
    None
}
