//! Errors in a configuration, with their place in the text.

use std::fmt;
use std::ops::Range;

/// Everything that is wrong with a configuration, in the order of the text. `Display` is what a
/// person reads: each error with file, line, column, the line itself and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// File name, as given.
    pub source_name: String,
    /// At least one.
    pub errors: Vec<ConfigError>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// Where.
    pub place: Place,
    /// The other place that it contradicts, and what is there.
    pub other: Option<(Place, String)>,
}

/// A place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, without its end.
    pub text: String,
    /// Characters that are meant, at least 1.
    pub width: usize,
}

/// A part of the text, in bytes.
pub(super) type Span = Range<usize>;

/// Something wrong, before it is shown.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) other: Option<(Span, String)>,
}

/// Collects problems.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, span: &Span, message: String, help: impl Into<String>) {
        self.0.push(Problem {
            span: span.clone(),
            message,
            help: help.into(),
            other: None,
        });
    }

    /// A problem that lies between two places.
    pub(super) fn add_between(
        &mut self,
        span: &Span,
        other: (&Span, &str),
        message: String,
        help: impl Into<String>,
    ) {
        self.0.push(Problem {
            span: span.clone(),
            message,
            help: help.into(),
            other: Some((other.0.clone(), other.1.to_owned())),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_errors(mut self, source_name: &str, text: &str) -> ConfigErrors {
        self.0.sort_by_key(|problem| problem.span.start);
        let errors = self.0.into_iter().map(|problem| ConfigError {
            message: problem.message,
            help: problem.help,
            place: Place::find(text, &problem.span),
            other: problem
                .other
                .map(|(span, label)| (Place::find(text, &span), label)),
        });
        ConfigErrors {
            source_name: source_name.to_owned(),
            errors: errors.collect(),
        }
    }
}

impl Place {
    /// The place of a span; one that goes over several lines is shown by its first.
    fn find(text: &str, span: &Span) -> Place {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end).clamp(start, line_end);
        Place {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end().to_owned(),
            width: text[start..end].trim_end().chars().count().max(1),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, label: &str) -> fmt::Result {
        // Tabs stay in the line, so the caret line repeats them.
        let indent: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let number = self.line;
        writeln!(f, "{number:>5} | {}", self.text)?;
        let carets = "^".repeat(self.width);
        writeln!(
            f,
            "      | {}",
            format!("{indent}{carets} {label}").trim_end()
        )
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.source_name;
        for error in &self.errors {
            let place = &error.place;
            writeln!(f, "error: {}", error.message)?;
            writeln!(f, "  --> {name}:{}:{}", place.line, place.column)?;
            place.write(f, "")?;
            if let Some((other, label)) = &error.other {
                writeln!(f, "  ::: {name}:{}:{}", other.line, other.column)?;
                other.write(f, label)?;
            }
            if !error.help.is_empty() {
                writeln!(f, "      = help: {}", error.help)?;
            }
            writeln!(f)?;
        }
        match self.errors.len() {
            1 => write!(f, "1 error in {name}"),
            count => write!(f, "{count} errors in {name}"),
        }
    }
}

impl std::error::Error for ConfigErrors {}
