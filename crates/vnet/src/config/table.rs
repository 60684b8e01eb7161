//! Typed reading of TOML tables. A value that is wrong becomes a problem and `None`; reading goes
//! on, so that all problems are found at once.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Problems, Span};

/// A value and where it is.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// An array as far as it could be read.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    pub(super) items: Vec<At<T>>,
    pub(super) span: Span,
    /// No element was left out.
    pub(super) complete: bool,
}

/// What is wrong with a value, and what to do.
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) help: String,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Complaint {
        Complaint {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Reads one value.
pub(super) type Read<T> = fn(&DeValue<'_>) -> Result<T, Complaint>;

/// A table whose keys are taken one by one; what is left is unknown.
pub(super) struct Table<'a> {
    entries: &'a DeTable<'a>,
    /// What it describes, e.g. `host`.
    what: &'static str,
    pub(super) span: Span,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(entries: &'a DeTable<'a>, what: &'static str, span: Span) -> Table<'a> {
        Table {
            entries,
            what,
            span,
            known: Vec::new(),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries.get(key)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A value that must be there.
    pub(super) fn required<T>(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        read: Read<T>,
    ) -> Option<At<T>> {
        if !self.entries.contains_key(key) {
            let message = format!("{} without `{key}`", self.what);
            problems.add(&self.span, message, format!("add `{key} = …`"));
        }
        self.optional(problems, key, read)
    }

    /// A value that may be there.
    pub(super) fn optional<T>(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        read: Read<T>,
    ) -> Option<At<T>> {
        let value = self.take(key)?;
        read_at(problems, key, value, read)
    }

    /// An array, or `None` when it is missing or is none. Elements that are wrong are left out.
    pub(super) fn list<T>(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        read: Read<T>,
    ) -> Option<List<T>> {
        let value = self.take(key)?;
        let Some(items) = value.get_ref().as_array() else {
            let found = kind(value.get_ref());
            let message = format!("`{key}` must be an array, not {found}");
            problems.add(&value.span(), message, format!("write `{key} = [ … ]`"));
            return None;
        };
        let read: Vec<At<T>> = items
            .iter()
            .filter_map(|item| read_at(problems, key, item, read))
            .collect();
        Some(List {
            complete: read.len() == items.len(),
            items: read,
            span: value.span(),
        })
    }

    /// An array of tables, `[[…]]`; empty when there is none.
    pub(super) fn tables(
        &mut self,
        problems: &mut Problems,
        key: &'static str,
        what: &'static str,
    ) -> Vec<Table<'a>> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let help = format!("write `[[…{key}]]` above each {what}");
        let Some(items) = value.get_ref().as_array() else {
            let message = format!("`{key}` must be an array of tables");
            problems.add(&value.span(), message, help);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(entries) => tables.push(Table::new(entries, what, item.span())),
                None => {
                    let message = format!("a {what} must be a table");
                    problems.add(&item.span(), message, help.clone());
                }
            }
        }
        tables
    }

    /// Complains about keys that nobody asked for.
    pub(super) fn finish(self, problems: &mut Problems) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let message = format!("unknown key `{name}` in a {}", self.what);
            let help = match nearest(name, &self.known) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => format!("known keys: {}", self.known.join(", ")),
            };
            problems.add(&key.span(), message, help);
        }
    }
}

fn read_at<T>(
    problems: &mut Problems,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    read: Read<T>,
) -> Option<At<T>> {
    match read(value.get_ref()) {
        Ok(read) => Some(At {
            value: read,
            span: value.span(),
        }),
        Err(complaint) => {
            let message = format!("`{key}`: {}", complaint.message);
            problems.add(&value.span(), message, complaint.help);
            None
        }
    }
}

/// What kind of value it is, for messages.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A string.
pub(super) fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Complaint> {
    value.as_str().ok_or_else(|| {
        let message = format!("must be a string, not {}", kind(value));
        Complaint::new(message, "put it in double quotes")
    })
}

/// An integer within `range`.
pub(super) fn integer(
    value: &DeValue<'_>,
    range: RangeInclusive<u32>,
    unit: impl Display,
) -> Result<u32, Complaint> {
    let help = format!("{unit}: {} to {}", range.start(), range.end());
    let Some(integer) = value.as_integer() else {
        let message = format!("must be an integer, not {}", kind(value));
        return Err(Complaint::new(message, help));
    };
    let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
    parsed
        .ok()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| Complaint::new(format!("{integer} is out of range"), help))
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Complaint> {
    value.as_bool().ok_or_else(|| {
        let message = format!("must be a boolean, not {}", kind(value));
        Complaint::new(message, "write true or false")
    })
}

/// A string that is parsed; `example` shows how it looks.
pub(super) fn parsed<T: std::str::FromStr>(
    value: &DeValue<'_>,
    what: &str,
    example: &str,
) -> Result<T, Complaint> {
    let text = string(value)?;
    text.parse()
        .map_err(|_| Complaint::new(format!("{text:?} is no {what}"), format!("e.g. {example}")))
}

/// One of some words.
pub(super) fn one_of<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, Complaint> {
    let text = string(value)?;
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let help = format!("one of {}", words.join(", "));
        Complaint::new(format!("{text:?} is not known"), help)
    })
}

/// The word most like `name`, if one is near enough for a slip of the pen.
pub(super) fn nearest<'w>(name: &str, words: &[&'w str]) -> Option<&'w str> {
    words
        .iter()
        .map(|word| (distance(name, word), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Letters to insert, remove or replace to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
