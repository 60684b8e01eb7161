//! What the compiler says about a program, with the places it talks about.

use codespan_reporting::diagnostic as report;
use codespan_reporting::term;

use crate::source::{Files, Span};

/// Declares the codes: stable, never reused.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $title:literal;)*) => {
        /// Kind of a diagnostic. The text form is stable: `E0301`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// Stable text: `E0301`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// What it is about, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// A file cannot be read.
    File = "E0001" "a file cannot be read";
    /// Internal limit reached, or a defect.
    Limit = "E0002" "a limit of the compiler is reached";
    /// Unknown character, string or comment without end, malformed number.
    Lexical = "E0101" "text that is no token";
    /// Malformed or unknown directive.
    Directive = "E0102" "a preprocessor directive is malformed";
    /// Macro used wrongly.
    Macro = "E0103" "a macro is used wrongly";
    /// `#error`.
    ErrorDirective = "E0104" "the program stops the compilation by #error";
    /// Grammar.
    Syntax = "E0201" "the text does not follow the grammar";
    /// Unknown name.
    UnknownName = "E0301" "a name is not declared";
    /// Name declared twice.
    Duplicate = "E0302" "a name is declared twice";
    /// Name of the wrong kind.
    WrongKind = "E0303" "a name is not of the kind that is needed here";
    /// Unknown field or member.
    UnknownMember = "E0304" "a type has no such member";
    /// Types do not fit.
    Type = "E0401" "types do not fit";
    /// Arguments do not fit.
    Arguments = "E0402" "arguments do not fit parameters";
    /// Not a left-value.
    NotWritable = "E0403" "something that cannot be written is written";
    /// Not a compile-time constant.
    NotConstant = "E0404" "a value is not known at compile time";
    /// Constant out of range.
    Range = "E0405" "a number is out of range";
    /// Malformed table.
    Table = "E0406" "a table property is wrong";
    /// Malformed parser.
    State = "E0407" "a parser state is wrong";
    /// Malformed annotation.
    Annotation = "E0408" "an annotation is wrong";
    /// Part of the language that is not implemented.
    Unsupported = "E0501" "this part of the language is not supported yet";
    /// v1model or bmv2 cannot do it.
    Target = "E0502" "the target cannot do this";
    /// No `main`.
    Main = "E0503" "the program has no usable main package";
    /// Number that does not fit is cut.
    Truncated = "W0001" "a number is cut to its type";
    /// `#warning`.
    WarningDirective = "W0002" "the program warns by #warning";
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// No output is made.
    Error,
    /// Output is made.
    Warning,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// The place.
    pub span: Span,
    /// Text under the place.
    pub label: String,
    /// Other places, with what they have to do with it.
    pub related: Vec<(Span, String)>,
    /// Advice.
    pub notes: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            span,
            label: String::new(),
            related: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn warning(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, span, message)
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.related.push((span, label.into()));
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }
}

/// Messages of one compilation, with the texts that they show.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    pub(crate) list: Vec<Diagnostic>,
    pub(crate) files: Files,
}

/// More messages than this help nobody.
const MAX_ERRORS: usize = 100;

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_ERRORS && !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    pub(crate) fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.push(Diagnostic::error(code, span, message));
    }

    /// Whether one of the messages is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// The messages, in the order of their discovery.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// The messages with source excerpts, as text.
    pub fn render(&self) -> String {
        let config = term::Config::default();
        let mut text = String::new();
        for diagnostic in &self.list {
            // Writing to a string fails only for spans outside of their files; then the message
            // alone is shown.
            let report = self.report(diagnostic);
            if term::emit_to_string(&mut text, &config, &self.files, &report).is_err() {
                let (code, message) = (diagnostic.code.as_str(), &diagnostic.message);
                text.push_str(&format!("error[{code}]: {message}\n"));
            }
        }
        text
    }

    fn report(&self, diagnostic: &Diagnostic) -> report::Diagnostic<crate::source::FileId> {
        let severity = match diagnostic.severity {
            Severity::Error => report::Severity::Error,
            Severity::Warning => report::Severity::Warning,
        };
        let range = |span: &Span| {
            let length = self.files.get(span.file).map_or(0, |f| f.text.len());
            let start = (span.start as usize).min(length);
            start..(span.end as usize).clamp(start, length)
        };
        let mut labels = vec![
            report::Label::primary(diagnostic.span.file, range(&diagnostic.span))
                .with_message(&diagnostic.label),
        ];
        labels.extend(diagnostic.related.iter().map(|(span, text)| {
            report::Label::secondary(span.file, range(span)).with_message(text)
        }));
        report::Diagnostic::new(severity)
            .with_code(diagnostic.code.as_str())
            .with_message(&diagnostic.message)
            .with_labels(labels)
            .with_notes(diagnostic.notes.clone())
    }
}
