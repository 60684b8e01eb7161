//! From text to tokens, as the preprocessor wants them: numbers are not understood yet, so that
//! macros may paste them together.

use std::rc::Rc;

use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::source::{FileId, Span};

/// Kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Name or keyword.
    Name,
    /// Begins with a digit.
    Number,
    /// In double quotes; the text is what they enclose, escapes not resolved.
    Text,
    /// Operator or punctuation.
    Punctuation,
    /// End of the program.
    End,
}

/// A token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: Rc<str>,
    pub(crate) span: Span,
    /// White space or a comment stands before it.
    pub(crate) spaced: bool,
    /// It is the first one of its line.
    pub(crate) first: bool,
    /// A macro of this name made it: not expanded again.
    pub(crate) painted: bool,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Punctuation | Kind::Name) && &*self.text == text
    }
}

/// Operators, longest first. `>>` is left apart: it may close two type argument lists.
const OPERATORS: &[&str] = &[
    "&&&", "|+|=", "|-|=", "<<=", ">>=", "...", "|+|", "|-|", "&&", "||", "==", "!=", "<=", ">=",
    "<<", "++", "..", "##", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "+", "-", "*", "/",
    "%", "&", "|", "^", "~", "!", "<", ">", "=", "?", ":", ";", ",", ".", "(", ")", "[", "]", "{",
    "}", "@", "#",
];

/// Cuts a file into tokens.
pub(crate) fn tokens(file: FileId, text: &str, messages: &mut Diagnostics) -> Vec<Token> {
    let mut lexer = Lexer {
        file,
        text,
        at: 0,
        spaced: false,
        first: true,
        messages,
    };
    let mut list = Vec::new();
    while let Some(token) = lexer.next() {
        list.push(token);
    }
    list
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    spaced: bool,
    first: bool,
    messages: &'a mut Diagnostics,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize) -> Span {
        Span {
            file: self.file,
            start: start as u32,
            end: self.at as u32,
        }
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let bytes = rest.as_bytes();
            match bytes.first() {
                Some(b'\n') => {
                    self.first = true;
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\r' | 0x0c) => self.at += 1,
                Some(b'\\') if rest.starts_with("\\\n") => self.at += 2,
                Some(b'\\') if rest.starts_with("\\\r\n") => self.at += 3,
                Some(b'/') if rest.starts_with("//") => {
                    self.at += line_end(bytes);
                }
                Some(b'/') if rest.starts_with("/*") => self.block_comment(),
                _ => return,
            }
            self.spaced = true;
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        match self.rest()[2..].find("*/") {
            Some(end) => self.at += end + 4,
            None => {
                self.at += 2;
                let span = self.span(start);
                self.at = self.text.len();
                let error = Diagnostic::error(Code::Lexical, span, "the comment has no end");
                self.messages.push(error.label("begins here"));
            }
        }
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            self.spaced = false;
            self.skip_blank();
            let start = self.at;
            let byte = *self.rest().as_bytes().first()?;
            let kind = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(Kind::Name),
                b'0'..=b'9' => self.word(Kind::Number),
                b'"' => return Some(self.string()),
                _ => {
                    let rest = self.rest();
                    let found = OPERATORS.iter().find(|op| rest.starts_with(**op));
                    let Some(operator) = found else {
                        self.unknown();
                        continue;
                    };
                    self.at += operator.len();
                    Kind::Punctuation
                }
            };
            return Some(self.token(kind, start, start, self.at));
        }
    }

    fn token(&mut self, kind: Kind, start: usize, from: usize, to: usize) -> Token {
        Token {
            kind,
            text: self.text[from..to].into(),
            span: self.span(start),
            spaced: std::mem::take(&mut self.spaced),
            first: std::mem::take(&mut self.first),
            painted: false,
        }
    }

    fn word(&mut self, kind: Kind) -> Kind {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let bytes = self.rest().as_bytes();
        self.at += bytes.iter().take_while(|b| is_part(b)).count();
        kind
    }

    fn string(&mut self) -> Token {
        let start = self.at;
        let bytes = self.rest().as_bytes();
        let mut length = 1;
        while length < bytes.len() && bytes[length] != b'"' && bytes[length] != b'\n' {
            length += if bytes[length] == b'\\' { 2 } else { 1 };
        }
        let closed = bytes.get(length) == Some(&b'"');
        // A backslash may have stepped over the end or into a character.
        let mut end = (start + length).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        self.at = if closed { end + 1 } else { end };
        if !closed {
            let span = self.span(start);
            let error = Diagnostic::error(Code::Lexical, span, "the string has no end");
            self.messages.push(error.label("begins here"));
        }
        self.token(Kind::Text, start, start + 1, end)
    }

    fn unknown(&mut self) {
        let start = self.at;
        let character = self.rest().chars().next().unwrap_or(' ');
        self.at += character.len_utf8();
        let span = self.span(start);
        let message = format!("the character {character:?} has no meaning here");
        self.messages.error(Code::Lexical, span, message);
    }
}

/// Bytes up to the end of the line; a backslash before it continues the line.
fn line_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'\n' {
        at += if bytes[at] == b'\\' && bytes.get(at + 1) == Some(&b'\n') {
            2
        } else {
            1
        };
    }
    at.min(bytes.len())
}
