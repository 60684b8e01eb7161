//! Protobuf text format, read: as much of it as printers write. Strings, numbers, names,
//! `field: value`, `field { … }`, `field: { … }`, `field: [ … ]`, comments.

use serde_json::{Map, Value};

use super::FormatError;
use super::json;
use super::schema::{Field, Kind, P4INFO};

/// Nesting that a text may have; the types of P4Info nest without bound through tuples.
const MAX_DEPTH: usize = 64;

/// Reads a text into the JSON form of the message.
pub(super) fn read(text: &str) -> Result<Value, FormatError> {
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
    };
    let message = reader.message(P4INFO, None, 0)?;
    Ok(Value::Object(message))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, message: impl std::fmt::Display) -> FormatError {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&b| b != b'\n').count();
        FormatError {
            message: format!("line {line}, column {column}: {message}"),
        }
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | b';') => self.at += 1,
                Some(b'#') => {
                    let rest = &self.text[self.at..];
                    self.at += rest.iter().take_while(|&&b| b != b'\n').count();
                }
                other => return other.copied(),
            }
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Result<String, FormatError> {
        self.peek();
        let rest = &self.text[self.at..];
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+');
        let length = rest.iter().take_while(|&b| is_part(b)).count();
        if length == 0 {
            return Err(self.error("a name or a number is expected"));
        }
        let word = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length;
        Ok(word)
    }

    /// Fields up to the closing brace, or up to the end when there is none.
    fn message(
        &mut self,
        shape: &'static [Field],
        close: Option<u8>,
        depth: usize,
    ) -> Result<Map<String, Value>, FormatError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let mut message = Map::new();
        loop {
            match (self.peek(), close) {
                (None, None) => return Ok(message),
                (None, Some(_)) => return Err(self.error("a closing brace is missing")),
                (byte, close) if byte == close => {
                    self.at += 1;
                    return Ok(message);
                }
                _ => self.field(shape, &mut message, depth)?,
            }
        }
    }

    fn field(
        &mut self,
        shape: &'static [Field],
        message: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), FormatError> {
        let name = self.word()?;
        let Some(field) = shape.iter().find(|field| field.name == name) else {
            return Err(self.error(format!("there is no field {name:?} here")));
        };
        let colon = self.accept(b':');
        if let Kind::Map(of) = field.kind {
            return self.map_entry(field, of, message, depth);
        }
        if colon && field.repeated && self.accept(b'[') {
            while !self.accept(b']') {
                let value = self.value(field, true, depth)?;
                push(message, field, value);
            }
            return Ok(());
        }
        let value = self.value(field, colon, depth)?;
        if field.repeated {
            push(message, field, value);
        } else {
            message.insert(field.json.to_owned(), value);
        }
        Ok(())
    }

    fn map_entry(
        &mut self,
        field: &Field,
        of: &'static [Field],
        message: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), FormatError> {
        if !self.accept(b'{') {
            return Err(self.error("'{' is expected"));
        }
        let (mut key, mut value) = (String::new(), Map::new());
        while !self.accept(b'}') {
            let name = self.word()?;
            self.accept(b':');
            match name.as_str() {
                "key" => key = String::from_utf8_lossy(&self.string()?).into_owned(),
                "value" if self.accept(b'{') => value = self.message(of, Some(b'}'), depth + 1)?,
                _ => return Err(self.error("a map entry has only `key` and `value { … }`")),
            }
        }
        let entries = message
            .entry(field.json)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(entries) = entries {
            entries.insert(key, Value::Object(value));
        }
        Ok(())
    }

    fn value(
        &mut self,
        field: &'static Field,
        colon: bool,
        depth: usize,
    ) -> Result<Value, FormatError> {
        if let Some(of) = field.kind.message() {
            let close = match self.peek() {
                Some(b'{') => b'}',
                Some(b'<') => b'>',
                _ => return Err(self.error(format!("'{{' is expected after {:?}", field.name))),
            };
            self.at += 1;
            return Ok(Value::Object(self.message(of, Some(close), depth + 1)?));
        }
        if !colon {
            return Err(self.error(format!("':' is expected after {:?}", field.name)));
        }
        match field.kind {
            Kind::Text => {
                let bytes = self.string()?;
                let text = String::from_utf8(bytes);
                text.map(Value::String)
                    .map_err(|_| self.error("the string is not UTF-8"))
            }
            Kind::Bytes => Ok(Value::String(json::encode(&self.string()?))),
            Kind::Bool => match self.word()?.as_str() {
                "true" | "t" | "True" | "1" => Ok(Value::Bool(true)),
                "false" | "f" | "False" | "0" => Ok(Value::Bool(false)),
                other => Err(self.error(format!("{other:?} is neither true nor false"))),
            },
            Kind::Enum(_) => {
                let word = self.word()?;
                Ok(word.parse::<i64>().map_or(Value::String(word), Value::from))
            }
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Result<Value, FormatError> {
        let word = self.word()?;
        let parsed = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let number = parsed.map_err(|_| self.error(format!("{word:?} is no number")))?;
        Ok(Value::from(number))
    }

    /// One string, or several side by side.
    fn string(&mut self) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        let mut found = false;
        while let Some(quote @ (b'"' | b'\'')) = self.peek() {
            found = true;
            self.at += 1;
            self.quoted(quote, &mut bytes)?;
        }
        if found {
            Ok(bytes)
        } else {
            Err(self.error("a string is expected"))
        }
    }

    fn quoted(&mut self, quote: u8, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
        loop {
            let Some(&byte) = self.text.get(self.at) else {
                return Err(self.error("the string has no end"));
            };
            self.at += 1;
            match byte {
                b'\\' => self.escape(bytes)?,
                b'\n' => return Err(self.error("the string has no end on its line")),
                _ if byte == quote => return Ok(()),
                _ => bytes.push(byte),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        bytes.push(match byte {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'a') => 7,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'v') => 11,
            Some(b'x' | b'X') => self.digits(16, 2)?,
            Some(b'0'..=b'7') => {
                self.at -= 1;
                self.digits(8, 3)?
            }
            Some(other @ (b'"' | b'\'' | b'\\' | b'?')) => other,
            _ => return Err(self.error("unknown escape in a string")),
        });
        Ok(())
    }

    fn digits(&mut self, radix: u32, most: usize) -> Result<u8, FormatError> {
        let mut number = 0;
        let mut count = 0;
        while count < most {
            let byte = self.text.get(self.at).copied().unwrap_or(b' ');
            let Some(digit) = char::from(byte).to_digit(radix) else {
                break;
            };
            number = number * radix + digit;
            self.at += 1;
            count += 1;
        }
        match u8::try_from(number) {
            Ok(number) if count > 0 => Ok(number),
            _ => Err(self.error("bad number in an escape")),
        }
    }
}

fn push(message: &mut Map<String, Value>, field: &Field, value: Value) {
    let list = message
        .entry(field.json)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = list {
        items.push(value);
    }
}
