//! The words of an entry: `TABLE FIELD=VALUE… [priority=N] [action NAME PARAM=VALUE…]`.

use crate::error::Error;

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Must not be there.
    Insert,
    /// Must be there.
    Modify,
    /// Must be there.
    Delete,
}

impl Kind {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Insert => "insert",
            Kind::Modify => "modify",
            Kind::Delete => "delete",
        }
    }
}

/// An entry in words; nothing of it is checked against a program yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What to do.
    pub(crate) kind: Kind,
    /// Name of the table.
    pub(crate) table: String,
    /// Name and value of each field.
    pub(crate) fields: Vec<(String, String)>,
    /// Larger wins; needed for ternary, range and optional keys.
    pub(crate) priority: Option<i32>,
    /// Name of the action, and name and value of each parameter.
    pub(crate) action: Option<(String, Vec<(String, String)>)>,
}

impl Line {
    /// Reads the words after `insert`, `modify` or `delete`.
    pub(crate) fn parse<'a>(
        kind: Kind,
        words: impl IntoIterator<Item = &'a str>,
    ) -> Result<Line, Error> {
        let mut words = words.into_iter();
        let table = words
            .next()
            .ok_or_else(|| usage("the name of a table is missing"))?;
        if table.contains('=') {
            return Err(usage(&format!(
                "\"{table}\" stands where the name of the table belongs"
            )));
        }
        let mut line = Line {
            kind,
            table: table.to_owned(),
            fields: Vec::new(),
            priority: None,
            action: None,
        };
        while let Some(word) = words.next() {
            if word == "action" {
                let name = words
                    .next()
                    .ok_or_else(|| usage("the name of the action is missing"))?;
                let params = words.map(pair).collect::<Result<_, _>>()?;
                line.action = Some((name.to_owned(), params));
                break;
            }
            match pair(word)? {
                (name, value) if name == "priority" => {
                    line.priority = Some(parse_priority(&value)?)
                }
                field => line.fields.push(field),
            }
        }
        match (kind, &line.action) {
            (Kind::Insert | Kind::Modify, None) => Err(usage(&format!(
                "{} needs an action: … action NAME PARAM=VALUE…",
                kind.name()
            ))),
            _ => Ok(line),
        }
    }
}

/// One line of a file: `None` for an empty line or a comment.
pub(crate) fn parse_line(text: &str) -> Result<Option<Line>, Error> {
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_whitespace();
    let kind = match words.next() {
        None => return Ok(None),
        Some("insert") => Kind::Insert,
        Some("modify") => Kind::Modify,
        Some("delete") => Kind::Delete,
        Some(other) => {
            return Err(usage(&format!(
                "\"{other}\" where insert, modify or delete belongs"
            )));
        }
    };
    Line::parse(kind, words).map(Some)
}

fn pair(word: &str) -> Result<(String, String), Error> {
    match word.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(usage(&format!("\"{word}\" where NAME=VALUE belongs"))),
    }
}

fn parse_priority(value: &str) -> Result<i32, Error> {
    match value.parse() {
        Ok(priority) if priority > 0 => Ok(priority),
        _ => Err(usage(&format!(
            "priority \"{value}\" is no number from 1 to {}",
            i32::MAX
        ))),
    }
}

fn usage(text: &str) -> Error {
    Error::Usage(text.to_owned())
}
