//! The preprocessor: includes, macros, conditional text. Works on tokens, so that every token
//! that reaches the parser still knows where it was written; tokens of a macro's body know where
//! the macro was used.

mod condition;
mod expansion;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::lexer::{Kind, Token, tokens};
use crate::source::{FileId, SourceSet, Span};

/// Files that may include each other, one inside the other.
const MAX_INCLUDE_DEPTH: usize = 64;
/// Files that one program may be made of.
const MAX_FILES: usize = 2000;
/// Tokens that a program may have after expansion, and that macros may make.
const MAX_TOKENS: usize = 4_000_000;

/// A macro.
#[derive(Debug, Clone)]
struct Macro {
    /// `None`: it takes no argument list.
    parameters: Option<Vec<Rc<str>>>,
    body: Vec<Token>,
    span: Span,
}

/// Preprocesses a program. Errors are among the messages.
pub(crate) fn run(
    sources: &SourceSet,
    definitions: &[(String, Option<String>)],
    undefined: &[String],
    messages: &mut Diagnostics,
) -> Vec<Token> {
    let mut preprocessor = Preprocessor {
        sources,
        macros: HashMap::new(),
        out: Vec::new(),
        conditions: Vec::new(),
        depth: 0,
        made: 0,
        stopped: false,
        messages,
    };
    preprocessor.define_from_command_line(definitions, undefined);
    let end = preprocessor.main();
    let mut out = preprocessor.out;
    out.push(Token {
        kind: Kind::End,
        text: "end of the program".into(),
        span: end,
        spaced: true,
        first: true,
        painted: false,
    });
    out
}

/// State of one `#if`.
struct Condition {
    /// Text is taken now.
    active: bool,
    /// A branch was taken, or the whole `#if` is inside text that is left out.
    done: bool,
    /// `#else` was seen.
    last: bool,
    span: Span,
}

struct Preprocessor<'a> {
    sources: &'a SourceSet,
    macros: HashMap<Rc<str>, Macro>,
    out: Vec<Token>,
    conditions: Vec<Condition>,
    depth: usize,
    made: usize,
    stopped: bool,
    messages: &'a mut Diagnostics,
}

impl Preprocessor<'_> {
    fn define_from_command_line(
        &mut self,
        definitions: &[(String, Option<String>)],
        undefined: &[String],
    ) {
        for (name, value) in definitions {
            let value = value.as_deref().unwrap_or("1").to_owned();
            let path = PathBuf::from(format!("<-D {name}>"));
            let file = self.messages.files.add((path, value.clone()));
            let body = tokens(file, &value, self.messages);
            let span = Span {
                file,
                ..Span::default()
            };
            let definition = Macro {
                parameters: None,
                body,
                span,
            };
            self.macros.insert(name.as_str().into(), definition);
        }
        for name in undefined {
            self.macros.remove(name.as_str());
        }
    }

    fn main(&mut self) -> Span {
        match self.sources.read(self.sources.main()) {
            Ok(loaded) => {
                let id = self.messages.files.add(loaded);
                self.file(id);
                let end = self
                    .messages
                    .files
                    .get(id)
                    .map_or(0, |f| f.text.len() as u32);
                Span {
                    file: id,
                    start: end.saturating_sub(1),
                    end,
                }
            }
            Err(error) => {
                let path = self.sources.main().display().to_string();
                let file = self
                    .messages
                    .files
                    .add((path.clone().into(), String::new()));
                let span = Span {
                    file,
                    ..Span::default()
                };
                let message = format!("cannot read {path}: {error}");
                self.messages.error(Code::File, span, message);
                span
            }
        }
    }

    fn file(&mut self, id: FileId) {
        let Some(file) = self.messages.files.get(id) else {
            return;
        };
        let (text, path) = (file.text.clone(), file.path.clone());
        if text.len() > (u32::MAX / 2) as usize {
            let span = Span {
                file: id,
                ..Span::default()
            };
            return self
                .messages
                .error(Code::Limit, span, "the file is too large");
        }
        let list = tokens(id, &text, self.messages);
        let open_before = self.conditions.len();
        let mut at = 0;
        while at < list.len() && !self.stopped {
            let directive = list[at].first && list[at].is("#");
            let end = if directive {
                line_end(&list, at)
            } else {
                directive_start(&list, at)
            };
            let piece = &list[at..end];
            if directive {
                self.directive(piece, &path);
            } else if self.active() {
                let expanded = self.expand(piece);
                self.emit(expanded);
            }
            at = end;
        }
        while self.conditions.len() > open_before {
            if let Some(condition) = self.conditions.pop() {
                let error = Diagnostic::error(Code::Directive, condition.span, "#endif is missing");
                self.messages.push(error.label("begins here"));
            }
        }
    }

    fn emit(&mut self, list: Vec<Token>) {
        if self.out.len() + list.len() > MAX_TOKENS {
            self.stop(list.first().map_or(Span::default(), |t| t.span));
        } else {
            self.out.extend(list);
        }
    }

    fn stop(&mut self, span: Span) {
        if !self.stopped {
            self.stopped = true;
            let message = format!("the program has more than {MAX_TOKENS} tokens after expansion");
            self.messages.error(Code::Limit, span, message);
        }
    }

    fn active(&self) -> bool {
        self.conditions.iter().all(|condition| condition.active)
    }

    fn directive(&mut self, line: &[Token], path: &Path) {
        let Some(name) = line.get(1) else { return };
        let rest = &line[2..];
        match &*name.text {
            "if" | "ifdef" | "ifndef" => self.open(name, rest),
            "elif" | "else" => self.branch(name, rest),
            "endif" => {
                if self.conditions.pop().is_none() {
                    self.without_if(name);
                }
            }
            _ if !self.active() => {}
            "define" => self.define(name.span, rest),
            "undef" => match rest.first().filter(|t| t.kind == Kind::Name) {
                Some(token) => drop(self.macros.remove(&token.text)),
                None => self.malformed(name.span, "#undef needs the name of a macro"),
            },
            "include" => self.include(name.span, rest, path),
            "error" => self.said(Code::ErrorDirective, name.span, rest),
            "warning" => self.said(Code::WarningDirective, name.span, rest),
            // Positions stay those of the text at hand; a generator's `#line` is only checked.
            "line" => {
                let expanded = self.expand(rest);
                if expanded.first().is_none_or(|t| t.kind != Kind::Number) {
                    self.malformed(name.span, "#line needs a number");
                }
            }
            "pragma" => {}
            // `# 12 "file"`: what other preprocessors leave behind.
            _ if name.kind == Kind::Number => {}
            other => {
                let message = format!("there is no directive #{other}");
                self.malformed(name.span, &message);
            }
        }
    }

    fn malformed(&mut self, span: Span, message: &str) {
        self.messages.error(Code::Directive, span, message);
    }

    fn without_if(&mut self, name: &Token) {
        let message = format!("#{} without #if", name.text);
        self.malformed(name.span, &message);
    }

    fn said(&mut self, code: Code, span: Span, rest: &[Token]) {
        let words: Vec<&str> = rest.iter().map(|token| &*token.text).collect();
        let message = format!("the program says: {}", words.join(" "));
        let make = match code {
            Code::WarningDirective => Diagnostic::warning,
            _ => Diagnostic::error,
        };
        self.messages.push(make(code, span, message));
    }

    fn open(&mut self, name: &Token, rest: &[Token]) {
        let enclosing = self.active();
        let holds = enclosing && self.holds(name, rest);
        self.conditions.push(Condition {
            active: holds,
            done: holds || !enclosing,
            last: false,
            span: name.span,
        });
    }

    fn branch(&mut self, name: &Token, rest: &[Token]) {
        let is_else = name.is("else");
        let Some(condition) = self.conditions.last() else {
            return self.without_if(name);
        };
        if condition.last {
            return self.malformed(name.span, "#else was here before");
        }
        let holds = !condition.done && (is_else || self.holds(name, rest));
        if let Some(condition) = self.conditions.last_mut() {
            condition.active = holds;
            condition.done |= holds;
            condition.last = is_else;
        }
    }

    fn holds(&mut self, name: &Token, rest: &[Token]) -> bool {
        if name.is("ifdef") || name.is("ifndef") {
            let Some(token) = rest.first().filter(|t| t.kind == Kind::Name) else {
                self.malformed(name.span, "the name of a macro is missing");
                return false;
            };
            return self.macros.contains_key(&token.text) == name.is("ifdef");
        }
        let resolved = condition::resolve_defined(rest, |name| self.macros.contains_key(name));
        let expanded = self.expand(&resolved);
        match condition::value(&expanded) {
            Ok(value) => value != 0,
            Err(problem) => {
                let span = rest.first().map_or(name.span, |t| t.span);
                self.malformed(span, &problem);
                false
            }
        }
    }

    fn define(&mut self, directive: Span, rest: &[Token]) {
        let Some(name) = rest.first().filter(|t| t.kind == Kind::Name) else {
            return self.malformed(directive, "#define needs the name of a macro");
        };
        let mut body = &rest[1..];
        let mut parameters = None;
        if body.first().is_some_and(|t| t.is("(") && !t.spaced) {
            let Some(close) = body.iter().position(|t| t.is(")")) else {
                return self.malformed(name.span, "the parameter list of the macro has no end");
            };
            let list = &body[1..close];
            let good = list.iter().enumerate().all(|(i, t)| {
                if i % 2 == 0 {
                    t.kind == Kind::Name
                } else {
                    t.is(",")
                }
            });
            if !good || (list.len().is_multiple_of(2) && !list.is_empty()) {
                return self.malformed(name.span, "the parameter list of the macro is malformed");
            }
            parameters = Some(list.iter().step_by(2).map(|t| t.text.clone()).collect());
            body = &body[close + 1..];
        }
        let definition = Macro {
            parameters,
            body: body.to_vec(),
            span: name.span,
        };
        let same = |old: &Macro| {
            old.parameters == definition.parameters
                && old.body.len() == definition.body.len()
                && old
                    .body
                    .iter()
                    .zip(&definition.body)
                    .all(|(a, b)| a.text == b.text)
        };
        if let Some(old) = self.macros.get(&name.text).filter(|old| !same(old)) {
            let message = format!("the macro {} is defined again, differently", name.text);
            let error = Diagnostic::error(Code::Macro, name.span, message);
            self.messages
                .push(error.related(old.span, "first definition"));
        }
        self.macros.insert(name.text.clone(), definition);
    }

    fn include(&mut self, directive: Span, rest: &[Token], path: &Path) {
        let expanded;
        let rest = match rest.first() {
            Some(token) if token.kind == Kind::Name => {
                expanded = self.expand(rest);
                &expanded[..]
            }
            _ => rest,
        };
        let (name, angled) = match rest {
            [token, ..] if token.kind == Kind::Text => (token.text.to_string(), false),
            [open, middle @ .., close] if open.is("<") && close.is(">") => {
                (middle.iter().map(|t| &*t.text).collect(), true)
            }
            _ => return self.malformed(directive, "#include needs \"file\" or <file>"),
        };
        let span = rest.iter().fold(rest[0].span, |span, t| span.to(t.span));
        if self.depth >= MAX_INCLUDE_DEPTH {
            let message = format!("files include each other more than {MAX_INCLUDE_DEPTH} deep");
            return self.messages.error(Code::Limit, span, message);
        }
        let Some(loaded) = self.sources.find(path, &name, angled) else {
            let message = format!("the file {name} is not found");
            let error = Diagnostic::error(Code::File, span, message);
            let note = "`-I DIR` adds a folder in which included files are looked for";
            return self.messages.push(error.note(note));
        };
        let id = self.messages.files.add(loaded);
        if id.0 as usize > MAX_FILES {
            return self.stop(span);
        }
        self.depth += 1;
        self.file(id);
        self.depth -= 1;
    }
}

fn line_end(list: &[Token], from: usize) -> usize {
    let next = list[from + 1..].iter().position(|t| t.first);
    next.map_or(list.len(), |offset| from + 1 + offset)
}

fn directive_start(list: &[Token], from: usize) -> usize {
    let next = list[from..].iter().position(|t| t.first && t.is("#"));
    next.map_or(list.len(), |offset| from + offset)
}

/// Tokens as text again, one line for each line they were written in (`-E`).
pub(crate) fn text(list: &[Token]) -> String {
    let mut text = String::new();
    for token in list.iter().filter(|t| t.kind != Kind::End) {
        if token.first && !text.is_empty() {
            text.push('\n');
        } else if token.spaced && !text.is_empty() {
            text.push(' ');
        }
        if token.kind == Kind::Text {
            text.push('"');
            text.push_str(&token.text);
            text.push('"');
        } else {
            text.push_str(&token.text);
        }
    }
    text.push('\n');
    text
}
