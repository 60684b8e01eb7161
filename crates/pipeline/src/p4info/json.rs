//! The rules of protobuf's JSON mapping that serde does not know: 64-bit numbers are strings,
//! bytes are base64, enumerations come by name or number.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// An enumeration with protobuf names and numbers.
pub(super) trait Enumeration: Copy + 'static {
    /// Name, number, value.
    const VARIANTS: &'static [(&'static str, i64, Self)];
}

/// The message as a JSON tree.
pub(super) fn value<T: Serialize>(message: &T) -> Value {
    // Serialisation to a tree fails only for maps whose keys are no strings; ours are strings.
    serde_json::to_value(message).unwrap_or(Value::Null)
}

/// The message as indented text.
pub(super) fn indented<T: Serialize>(message: &T) -> String {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, format);
    // Neither writing to memory nor these types can fail.
    let _ = message.serialize(&mut serializer);
    text.push(b'\n');
    String::from_utf8(text).unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn zero64(number: &i64) -> bool {
    *number == 0
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(i64),
    Text(String),
}

impl NumberOrText {
    fn number<E: serde::de::Error>(self) -> Result<i64, E> {
        match self {
            NumberOrText::Number(number) => Ok(number),
            NumberOrText::Text(text) => text
                .parse()
                .map_err(|_| E::custom(format!("{text:?} is no 64-bit number"))),
        }
    }
}

fn to_u32<E: serde::de::Error>(number: NumberOrText) -> Result<u32, E> {
    let number = number.number()?;
    u32::try_from(number).map_err(|_| E::custom(format!("{number} is no 32-bit number")))
}

pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    to_u32(NumberOrText::deserialize(from)?)
}

pub(super) fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u32>, D::Error> {
    let numbers = Vec::<NumberOrText>::deserialize(from)?;
    numbers.into_iter().map(to_u32).collect()
}

pub(super) fn enumeration<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Enumeration,
{
    let given = NumberOrText::deserialize(from)?;
    let found = T::VARIANTS.iter().find(|(name, number, _)| match &given {
        NumberOrText::Number(n) => n == number,
        NumberOrText::Text(t) => t == name,
    });
    found.map(|(_, _, value)| *value).ok_or_else(|| {
        let names: Vec<_> = T::VARIANTS.iter().map(|(name, _, _)| *name).collect();
        let given = match given {
            NumberOrText::Number(n) => n.to_string(),
            NumberOrText::Text(t) => t,
        };
        D::Error::custom(format!("{given} is none of {}", names.join(", ")))
    })
}

pub(super) fn optional_enumeration<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Enumeration,
{
    enumeration(from).map(Some)
}

/// `int64` as a string, numbers are accepted.
pub(super) mod int64 {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(in super::super) fn serialize<S: Serializer>(n: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&n.to_string())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<i64, D::Error> {
        super::NumberOrText::deserialize(from)?.number()
    }
}

/// Byte strings as base64, any of its alphabets with or without padding.
pub(super) mod bytes {
    use super::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use base64::Engine as _;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &[u8],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let decoded = engines.iter().find_map(|e| e.decode(&text).ok());
        decoded.ok_or_else(|| D::Error::custom(format!("{text:?} is no base64")))
    }
}

/// Base64 of bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of base64 that [`encode`] made.
pub(super) fn decode(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}
