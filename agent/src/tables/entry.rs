//! Building and reading of table entries by resolved ids.

use std::net::{Ipv4Addr, Ipv6Addr};

use flownic_pipeline::entity::{Action, FieldMatch, MatchValue, TableEntry, canonical};
use flownic_wire::MacAddr;

/// An entry that the device returned does not fit the pipeline that it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry of table \"{table}\" cannot be read: {what}")]
pub struct Unreadable {
    /// Name of the table.
    pub table: &'static str,
    /// What is missing or out of range.
    pub what: String,
}

/// A table, by id.
#[derive(Debug, Clone, Copy)]
pub struct TableRef {
    /// P4Info id.
    pub id: u32,
    /// Name, for messages.
    pub name: &'static str,
    /// Entries that it holds at most.
    pub size: u64,
}

/// A key field, by id.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// P4Info id of the match field.
    pub id: u32,
    /// Name, for messages.
    pub name: &'static str,
}

/// An action, by id.
#[derive(Debug, Clone)]
pub struct ActionRef {
    /// P4Info id.
    pub id: u32,
    /// Parameter ids in the order in which they were resolved.
    pub params: Vec<u32>,
}

/// A number or address that goes into a byte string and comes out of one.
pub trait Value: Sized {
    /// Canonical byte string.
    fn into_bytes(self) -> Vec<u8>;
    /// `None` when the byte string does not fit.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// The last N bytes of a byte string; `None` when something stands before them.
fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let bytes = canonical(bytes);
    let mut value = [0; N];
    let at = N.checked_sub(bytes.len())?;
    value[at..].copy_from_slice(bytes);
    Some(value)
}

macro_rules! value {
    ($type:ty, $to:expr, $from:expr) => {
        impl Value for $type {
            fn into_bytes(self) -> Vec<u8> {
                canonical(&$to(self)).to_vec()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                fixed(bytes).map($from)
            }
        }
    };
}

value!(u8, u8::to_be_bytes, u8::from_be_bytes);
value!(u16, u16::to_be_bytes, u16::from_be_bytes);
value!(u32, u32::to_be_bytes, u32::from_be_bytes);
value!(Ipv4Addr, |a: Ipv4Addr| a.octets(), |b: [u8; 4]| {
    Ipv4Addr::from(b)
});
value!(Ipv6Addr, |a: Ipv6Addr| a.octets(), |b: [u8; 16]| {
    Ipv6Addr::from(b)
});
value!(MacAddr, |a: MacAddr| a.0, MacAddr);

impl Field {
    /// The field must equal `value`.
    pub fn exact(&self, value: impl Value) -> FieldMatch {
        FieldMatch {
            field: self.id,
            value: MatchValue::Exact(value.into_bytes()),
        }
    }

    /// The first `prefix_len` bits must be those of `value`. `None` for a prefix of 0 bits:
    /// P4Runtime leaves the field out then.
    pub fn lpm(&self, value: impl Value, prefix_len: u32) -> Option<FieldMatch> {
        (prefix_len > 0).then(|| FieldMatch {
            field: self.id,
            value: MatchValue::Lpm {
                value: value.into_bytes(),
                prefix_len,
            },
        })
    }
}

impl TableRef {
    /// An entry of this table.
    pub fn entry(&self, matches: Vec<FieldMatch>, action: Action) -> TableEntry {
        TableEntry {
            table: self.id,
            matches,
            action: Some(action),
            ..TableEntry::default()
        }
    }

    /// An error about an entry of this table.
    pub fn unreadable(&self, what: impl Into<String>) -> Unreadable {
        Unreadable {
            table: self.name,
            what: what.into(),
        }
    }

    /// Value of an exact field.
    pub fn exact<V: Value>(&self, entry: &TableEntry, field: &Field) -> Result<V, Unreadable> {
        let value = match find(entry, field) {
            Some(MatchValue::Exact(bytes)) => V::from_bytes(bytes),
            _ => None,
        };
        value.ok_or_else(|| {
            self.unreadable(format!(
                "field \"{}\" has no exact value that fits",
                field.name
            ))
        })
    }

    /// Value and prefix length of a longest-prefix field; absent is a prefix of 0 bits.
    pub fn lpm<V: Value>(&self, entry: &TableEntry, field: &Field) -> Result<(V, u32), Unreadable> {
        let value = match find(entry, field) {
            Some(MatchValue::Lpm { value, prefix_len }) => {
                V::from_bytes(value).map(|v| (v, *prefix_len))
            }
            None => V::from_bytes(&[0]).map(|v| (v, 0)),
            _ => None,
        };
        value.ok_or_else(|| {
            self.unreadable(format!("field \"{}\" has no prefix that fits", field.name))
        })
    }

    /// The action of an entry.
    pub fn action<'e>(&self, entry: &'e TableEntry) -> Result<&'e Action, Unreadable> {
        if entry.table != self.id {
            return Err(self.unreadable(format!("it is of table {}", entry.table)));
        }
        entry
            .action
            .as_ref()
            .ok_or_else(|| self.unreadable("it has no action"))
    }

    /// Value of the n-th resolved parameter.
    pub fn param<V: Value>(
        &self,
        action: &Action,
        of: &ActionRef,
        n: usize,
    ) -> Result<V, Unreadable> {
        let id = of.params.get(n).copied();
        action
            .params
            .iter()
            .find(|(param, _)| Some(*param) == id)
            .and_then(|(_, bytes)| V::from_bytes(bytes))
            .ok_or_else(|| {
                self.unreadable(format!(
                    "parameter {} of action {} does not fit",
                    n + 1,
                    of.id
                ))
            })
    }

    /// Error for an action that this table does not have.
    pub fn unknown_action(&self, action: &Action) -> Unreadable {
        self.unreadable(format!("it has action {}", action.id))
    }
}

fn find<'e>(entry: &'e TableEntry, field: &Field) -> Option<&'e MatchValue> {
    let found = entry.matches.iter().find(|m| m.field == field.id)?;
    Some(&found.value)
}

impl ActionRef {
    /// The action with the values of its parameters, in the order of resolution.
    pub fn with(&self, values: Vec<Vec<u8>>) -> Action {
        debug_assert_eq!(values.len(), self.params.len());
        Action {
            id: self.id,
            params: self.params.iter().copied().zip(values).collect(),
        }
    }
}
