//! What commands print: tables for people, JSON for programs.

use std::io::{IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use crate::error::Error;

/// Version of the JSON that commands print. It grows when a field changes or goes away.
pub(crate) const SCHEMA: u32 = 1;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON instead of text.
    pub(crate) json: bool,
    /// Escape sequences are welcome.
    pub(crate) color: bool,
}

impl Output {
    /// Colours only on a terminal, and never with `NO_COLOR` (no-color.org).
    pub(crate) fn new(json: bool) -> Output {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Output {
            json,
            color: wanted && std::io::stdout().is_terminal(),
        }
    }

    /// Prints `value` as JSON, or what `text` makes of it.
    pub(crate) fn print<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        let mut out = if self.json {
            let document = Document {
                schema: SCHEMA,
                content: value,
            };
            serde_json::to_string_pretty(&document)
                .map_err(|error| Error::Failed(format!("cannot write JSON: {error}")))?
        } else {
            text(value)
        };
        if !out.ends_with('\n') {
            out.push('\n');
        }
        write_stdout(&out)
    }

    /// `text` in green (fine) or red (not fine), where colours are welcome.
    pub(crate) fn mark(&self, fine: bool, text: &str) -> String {
        match (self.color, fine) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\x1b[32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[31m{text}\x1b[0m"),
        }
    }
}

/// Every JSON document says its version beside its content.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: u32,
    #[serde(flatten)]
    content: &'a T,
}

/// A reader that went away (`flownic … | head`) is no failure.
pub(crate) fn write_stdout(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::Failed(
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// A table without frame. Columns whose title ends in `#` (not printed) are numbers: right-aligned.
pub(crate) fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(titles.iter().map(|title| title.trim_end_matches('#')));
    for row in rows {
        table.add_row(row);
    }
    for (column, title) in table.column_iter_mut().zip(titles) {
        column.set_padding((0, 2));
        if title.ends_with('#') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
