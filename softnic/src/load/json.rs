//! bmv2 JSON, read with the place of every value at hand: errors say where they are.
//!
//! The typed model of `flownic_pipeline::bmv2` is for writers; a reader that must judge programs
//! of other compilers wants to know in which table of which pipeline a reference is broken.

use num_bigint::BigInt;
use serde_json::Value;

/// Why a program cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct LoadError {
    /// Where in the JSON, as `pipelines[0].tables[3].key[1]`; empty: the document.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

/// Nesting of values in a document, at most. Deeper expressions are not written by people.
const MAX_DEPTH: usize = 1000;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Json<'a> {
    value: &'a Value,
    at: String,
}

/// Parses a document.
pub(crate) fn parse(text: &[u8]) -> Result<Value, LoadError> {
    let fail = |what: String| LoadError {
        at: "document".into(),
        what,
    };
    if depth(text) > MAX_DEPTH {
        return Err(fail(format!("values are nested deeper than {MAX_DEPTH}")));
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let value = serde::Deserialize::deserialize(&mut reader)
        .map_err(|error| fail(format!("no JSON: {error}")))?;
    reader
        .end()
        .map_err(|error| fail(format!("no JSON: {error}")))?;
    Ok(value)
}

/// How deep brackets are nested outside of strings.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut string, mut escaped) = (0usize, 0, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'[' | b'{' if !string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'a> Json<'a> {
    /// The whole document.
    pub(crate) fn root(value: &'a Value) -> Json<'a> {
        Json {
            value,
            at: String::new(),
        }
    }

    /// An error at this place.
    pub(crate) fn error(&self, what: impl Into<String>) -> LoadError {
        let at = if self.at.is_empty() {
            "document".into()
        } else {
            self.at.clone()
        };
        LoadError {
            at,
            what: what.into(),
        }
    }

    /// An error of this place as a result.
    pub(crate) fn fail<T>(&self, what: impl Into<String>) -> Result<T, LoadError> {
        Err(self.error(what))
    }

    /// Member of an object; absent and `null` are an error.
    pub(crate) fn get(&self, key: &str) -> Result<Json<'a>, LoadError> {
        self.opt(key)
            .ok_or_else(|| self.error(format!("{key:?} is missing")))
    }

    /// Member of an object; `None` when it is absent or `null`.
    pub(crate) fn opt(&self, key: &str) -> Option<Json<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        let at = if self.at.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.at)
        };
        Some(Json { value, at })
    }

    /// Elements of a member that is an array; none when it is absent.
    pub(crate) fn list(&self, key: &str) -> Result<Vec<Json<'a>>, LoadError> {
        self.opt(key).map_or(Ok(Vec::new()), |list| list.items())
    }

    /// Elements of an array.
    pub(crate) fn items(&self) -> Result<Vec<Json<'a>>, LoadError> {
        let Value::Array(items) = self.value else {
            return self.fail("an array is expected");
        };
        let item = |(at, value)| Json {
            value,
            at: format!("{}[{at}]", self.at),
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// An array of two.
    pub(crate) fn pair(&self) -> Result<(Json<'a>, Json<'a>), LoadError> {
        match <[Json<'a>; 2]>::try_from(self.items()?) {
            Ok([first, second]) => Ok((first, second)),
            Err(items) => self.fail(format!("two values are expected, not {}", items.len())),
        }
    }

    /// Whether it is an object with such a member, `null` included.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value.get(key).is_some()
    }

    pub(crate) fn str(&self) -> Result<&'a str, LoadError> {
        self.value
            .as_str()
            .ok_or_else(|| self.error("a string is expected"))
    }

    pub(crate) fn bool(&self) -> Result<bool, LoadError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.error("true or false is expected"))
    }

    /// A number from 0 to `max`.
    pub(crate) fn number(&self, max: u64) -> Result<u64, LoadError> {
        match self.value.as_u64() {
            Some(number) if number <= max => Ok(number),
            _ => self.fail(format!("a number from 0 to {max} is expected")),
        }
    }

    /// A truth value; p4c writes 0 or 1 in some places.
    pub(crate) fn truth(&self) -> Result<bool, LoadError> {
        self.value
            .as_u64()
            .map_or_else(|| self.bool(), |number| Ok(number != 0))
    }

    /// `true` only if present and true.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, LoadError> {
        self.opt(key).map_or(Ok(false), |flag| flag.bool())
    }

    /// Hexadecimal digits after an optional sign and `0x`.
    pub(crate) fn hex(&self) -> Result<BigInt, LoadError> {
        let text = self.str()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let value = BigInt::parse_bytes(digits.as_bytes(), 16)
            .filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .ok_or_else(|| self.error("hexadecimal digits are expected"))?;
        Ok(if negative { -value } else { value })
    }

    /// A hexadecimal number as so many bytes.
    pub(crate) fn hex_bytes(&self, bytes: usize) -> Result<Vec<u8>, LoadError> {
        let value = self.hex()?;
        let (sign, short) = value.to_bytes_be();
        let short = if sign == num_bigint::Sign::NoSign {
            Vec::new()
        } else {
            short
        };
        if sign == num_bigint::Sign::Minus || short.len() > bytes {
            return self.fail(format!("the value does not fit {bytes} bytes"));
        }
        let mut padded = vec![0; bytes - short.len()];
        padded.extend(short);
        Ok(padded)
    }
}
