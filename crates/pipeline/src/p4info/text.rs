//! Protobuf text format, written.

use std::fmt::Write as _;

use serde_json::Value;

use super::json;
use super::schema::{Field, Kind, P4INFO};

/// The message as text, with the comment lines that name its type.
pub(super) fn write(message: &Value) -> String {
    let mut text = String::from(
        "# proto-file: p4/config/v1/p4info.proto\n# proto-message: p4.config.v1.P4Info\n\n",
    );
    fields(&mut text, 0, P4INFO, message);
    text
}

fn fields(text: &mut String, indent: usize, shape: &[Field], message: &Value) {
    for field in shape {
        match message.get(field.json) {
            Some(Value::Array(items)) => {
                for item in items {
                    one(text, indent, field, item);
                }
            }
            Some(Value::Object(entries)) if matches!(field.kind, Kind::Map(_)) => {
                map(text, indent, field, entries);
            }
            Some(value) => one(text, indent, field, value),
            None => {}
        }
    }
}

fn map(text: &mut String, indent: usize, field: &Field, entries: &serde_json::Map<String, Value>) {
    let Kind::Map(shape) = field.kind else { return };
    for (key, value) in entries {
        let pad = "  ".repeat(indent);
        let key = quoted(key.as_bytes());
        let _ = writeln!(
            text,
            "{pad}{} {{\n{pad}  key: {key}\n{pad}  value {{",
            field.name
        );
        fields(text, indent + 2, shape, value);
        let _ = writeln!(text, "{pad}  }}\n{pad}}}");
    }
}

fn one(text: &mut String, indent: usize, field: &Field, value: &Value) {
    let pad = "  ".repeat(indent);
    if let Some(shape) = field.kind.message() {
        let _ = writeln!(text, "{pad}{} {{", field.name);
        fields(text, indent + 1, shape, value);
        let _ = writeln!(text, "{pad}}}");
        return;
    }
    let plain = value.as_str().unwrap_or_default();
    let shown = match field.kind {
        Kind::Text => quoted(plain.as_bytes()),
        Kind::Bytes => quoted(&json::decode(plain)),
        Kind::Long | Kind::Enum(_) => plain.to_owned(),
        _ => value.to_string(),
    };
    let _ = writeln!(text, "{pad}{}: {shown}", field.name);
}

/// A string in quotes, other than printable ASCII in octal as protobuf's own printer does.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'"' | b'\'' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('"');
    text
}
