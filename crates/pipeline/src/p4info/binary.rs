//! Protobuf binary format.

use serde_json::{Map, Value};

use super::FormatError;
use super::json;
use super::schema::{Field, Kind, P4INFO};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

/// Nesting that a message may have.
const MAX_DEPTH: usize = 64;

/// The message as bytes.
pub(super) fn write(message: &Value) -> Vec<u8> {
    encode(P4INFO, message)
}

/// Reads bytes into the JSON form of the message.
pub(super) fn read(bytes: &[u8]) -> Result<Value, FormatError> {
    decode(P4INFO, bytes, 0).map(Value::Object)
}

fn encode(shape: &[Field], message: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for field in shape {
        match message.get(field.json) {
            Some(Value::Array(items)) if matches!(field.kind, Kind::Number) => {
                let packed: Vec<u8> = items.iter().flat_map(|n| bytes_of(integer(n))).collect();
                delimited(&mut out, field.number, &packed);
            }
            Some(Value::Array(items)) => {
                for item in items {
                    one(&mut out, field, item);
                }
            }
            Some(Value::Object(entries)) if matches!(field.kind, Kind::Map(_)) => {
                map(&mut out, field, entries);
            }
            Some(value) => one(&mut out, field, value),
            None => {}
        }
    }
    out
}

fn map(out: &mut Vec<u8>, field: &Field, entries: &Map<String, Value>) {
    let Kind::Map(shape) = field.kind else { return };
    for (key, value) in entries {
        let mut entry = Vec::new();
        delimited(&mut entry, 1, key.as_bytes());
        delimited(&mut entry, 2, &encode(shape, value));
        delimited(out, field.number, &entry);
    }
}

fn one(out: &mut Vec<u8>, field: &Field, value: &Value) {
    let text = value.as_str().unwrap_or_default();
    if let Some(shape) = field.kind.message() {
        return delimited(out, field.number, &encode(shape, value));
    }
    match field.kind {
        Kind::Text => delimited(out, field.number, text.as_bytes()),
        Kind::Bytes => delimited(out, field.number, &json::decode(text)),
        Kind::Enum(names) => {
            let found = names.iter().find(|(name, _)| *name == text);
            varint(out, field.number, found.map_or(0, |(_, number)| *number));
        }
        Kind::Bool => varint(out, field.number, i64::from(value == &Value::Bool(true))),
        Kind::Number | Kind::Long => varint(out, field.number, integer(value)),
        Kind::Message(_) | Kind::DataType | Kind::Map(_) => {}
    }
}

fn integer(value: &Value) -> i64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_i64().or(text).unwrap_or(0)
}

fn bytes_of(number: i64) -> Vec<u8> {
    let mut rest = number.cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u64) {
    out.extend(bytes_of((i64::from(number) << 3) | wire.cast_signed()));
}

fn varint(out: &mut Vec<u8>, number: u32, value: i64) {
    tag(out, number, VARINT);
    out.extend(bytes_of(value));
}

fn delimited(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, DELIMITED);
    out.extend(bytes_of(i64::try_from(bytes.len()).unwrap_or(i64::MAX)));
    out.extend_from_slice(bytes);
}

fn error(message: impl std::fmt::Display) -> FormatError {
    FormatError {
        message: message.to_string(),
    }
}

/// Takes one number off the front.
fn take_varint(bytes: &mut &[u8]) -> Result<u64, FormatError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes
            .split_first()
            .ok_or_else(|| error("the message ends in a number"))?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(error("a number is longer than 64 bits"))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], FormatError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (taken, rest) = bytes
        .split_at_checked(length)
        .ok_or_else(|| error("the message ends in a field"))?;
    *bytes = rest;
    Ok(taken)
}

fn decode(
    shape: &'static [Field],
    mut bytes: &[u8],
    depth: usize,
) -> Result<Map<String, Value>, FormatError> {
    if depth > MAX_DEPTH {
        return Err(error("nested too deeply"));
    }
    let mut message = Map::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let field = shape.iter().find(|f| u64::from(f.number) == tag >> 3);
        match tag & 7 {
            VARINT => {
                let number = take_varint(&mut bytes)?;
                if let Some(field) = field {
                    insert(&mut message, field, scalar(field, number)?);
                }
            }
            DELIMITED => {
                let length = take_varint(&mut bytes)?;
                let content = take(&mut bytes, length)?;
                if let Some(field) = field {
                    content_of(&mut message, field, content, depth)?;
                }
            }
            FIXED64 => drop(take(&mut bytes, 8)?),
            FIXED32 => drop(take(&mut bytes, 4)?),
            other => return Err(error(format!("unknown wire type {other}"))),
        }
    }
    Ok(message)
}

fn scalar(field: &Field, number: u64) -> Result<Value, FormatError> {
    Ok(match field.kind {
        Kind::Bool => Value::Bool(number != 0),
        Kind::Number | Kind::Long | Kind::Enum(_) => Value::from(number.cast_signed()),
        _ => {
            let name = field.name;
            return Err(error(format!("the field {name:?} holds a number")));
        }
    })
}

fn content_of(
    message: &mut Map<String, Value>,
    field: &'static Field,
    mut content: &[u8],
    depth: usize,
) -> Result<(), FormatError> {
    let value = match field.kind {
        Kind::Message(_) | Kind::DataType => {
            let shape = field.kind.message().unwrap_or_default();
            Value::Object(decode(shape, content, depth + 1)?)
        }
        Kind::Text => Value::String(
            std::str::from_utf8(content)
                .map_err(|_| error(format!("the field {:?} is not UTF-8", field.name)))?
                .to_owned(),
        ),
        Kind::Bytes => Value::String(json::encode(content)),
        Kind::Map(shape) => return map_entry(message, field, shape, content, depth),
        _ => {
            while !content.is_empty() {
                let number = take_varint(&mut content)?;
                insert(message, field, scalar(field, number)?);
            }
            return Ok(());
        }
    };
    insert(message, field, value);
    Ok(())
}

fn map_entry(
    message: &mut Map<String, Value>,
    field: &Field,
    shape: &'static [Field],
    mut entry: &[u8],
    depth: usize,
) -> Result<(), FormatError> {
    let (mut key, mut value) = (String::new(), Map::new());
    while !entry.is_empty() {
        let tag = take_varint(&mut entry)?;
        let length = take_varint(&mut entry)?;
        match tag {
            0x0a => key = String::from_utf8_lossy(take(&mut entry, length)?).into_owned(),
            0x12 => value = decode(shape, take(&mut entry, length)?, depth + 1)?,
            _ => return Err(error(format!("bad entry in the map {:?}", field.name))),
        }
    }
    let map = message
        .entry(field.json)
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(entries) = map {
        entries.insert(key, Value::Object(value));
    }
    Ok(())
}

fn insert(message: &mut Map<String, Value>, field: &Field, value: Value) {
    if !field.repeated {
        message.insert(field.json.to_owned(), value);
        return;
    }
    let list = message
        .entry(field.json)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = list {
        items.push(value);
    }
}
