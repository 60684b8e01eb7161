//! From the names of a script to P4Info ids. Names match by suffix, as `vf_attach` for
//! `ingress.port_map.vf_attach`.

use flownic_pipeline::entity::{
    Action, Entity, FieldMatch, MatchValue, TableEntry, Update, UpdateKind,
};
use flownic_pipeline::p4info::{self, MatchField, MatchType, P4Info, find};
use num_bigint::BigUint;

use crate::script::{Call, Cell, Entry, EntryKind, Value};

/// A name or value that the program has no use for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub String);

fn fail<T>(what: String) -> Result<T, NameError> {
    Err(NameError(what))
}

/// The table of a name.
fn table<'a>(p4info: &'a P4Info, name: &str) -> Result<&'a p4info::Table, NameError> {
    find(&p4info.tables, name).map_err(|error| NameError(error.to_string()))
}

/// The update that a table statement means.
///
/// # Errors
/// A name is unknown or ambiguous, or a value does not suit its field.
pub fn entry(p4info: &P4Info, kind: EntryKind, entry: &Entry) -> Result<Update, NameError> {
    let table = table(p4info, &entry.table)?;
    let mut matches = Vec::new();
    for (name, value) in &entry.key {
        let field = match_field(table, name)?;
        if let Some(value) = match_value(field, value)? {
            matches.push(FieldMatch {
                field: field.id,
                value,
            });
        }
    }
    // Scripts count from 0; P4Runtime has no priority 0.
    let priority = match table.needs_priority() {
        true => entry.priority.unwrap_or(0).saturating_add(1),
        false => 0,
    };
    let action = entry
        .action
        .as_ref()
        .map(|call| action(p4info, table, call))
        .transpose()?;
    Ok(Update {
        kind: match kind {
            EntryKind::Add => UpdateKind::Insert,
            EntryKind::Modify => UpdateKind::Modify,
            EntryKind::Remove => UpdateKind::Delete,
        },
        entity: Entity::TableEntry(TableEntry {
            table: table.preamble.id,
            matches,
            priority,
            action,
            ..TableEntry::default()
        }),
    })
}

/// The update that `setdefault` means.
///
/// # Errors
/// A name is unknown or ambiguous.
pub fn default_entry(p4info: &P4Info, name: &str, call: &Call) -> Result<Update, NameError> {
    let table = table(p4info, name)?;
    let entry = TableEntry {
        table: table.preamble.id,
        action: Some(action(p4info, table, call)?),
        is_default: true,
        ..TableEntry::default()
    };
    Ok(Update {
        kind: UpdateKind::Modify,
        entity: Entity::TableEntry(entry),
    })
}

/// The update that `register_write` means.
///
/// # Errors
/// The name is unknown or ambiguous.
pub fn register_write(p4info: &P4Info, cell: &Cell) -> Result<Update, NameError> {
    let register = register(p4info, &cell.name)?;
    let value = cell.value.to_bytes_be();
    let entity = Entity::Register {
        register,
        index: cell.index,
        value,
    };
    Ok(Update {
        kind: UpdateKind::Modify,
        entity,
    })
}

/// Id of a register.
///
/// # Errors
/// The name is unknown or ambiguous.
pub fn register(p4info: &P4Info, name: &str) -> Result<u32, NameError> {
    let found = find(&p4info.registers, name);
    found
        .map(|register| register.preamble.id)
        .map_err(|error| NameError(error.to_string()))
}

/// Id of a counter.
///
/// # Errors
/// The name is unknown or ambiguous.
pub fn counter(p4info: &P4Info, name: &str) -> Result<u32, NameError> {
    let found = find(&p4info.counters, name);
    found
        .map(|counter| counter.preamble.id)
        .map_err(|error| NameError(error.to_string()))
}

fn ends(full: &str, name: &str) -> bool {
    full == name
        || full
            .strip_suffix(name)
            .is_some_and(|front| front.ends_with('.'))
}

/// A field by the end of its name; p4c's scripts write `h$0` for `h[0]` and `h.$valid` for
/// `h.isValid()`.
fn match_field<'a>(table: &'a p4info::Table, name: &str) -> Result<&'a MatchField, NameError> {
    let mut name = name.to_owned();
    if let Some((front, rest)) = name.split_once('$')
        && let Some(end) = rest
            .find(|c: char| !c.is_ascii_digit())
            .or(Some(rest.len()))
        && end > 0
    {
        name = format!("{front}[{}]{}", &rest[..end], &rest[end..]);
    }
    let is_valid = name
        .strip_suffix("$valid$")
        .or_else(|| name.strip_suffix("$valid"));
    let name = match is_valid {
        Some(front) => format!("{front}isValid()"),
        None => name,
    };
    let name = name
        .strip_suffix(".valid")
        .map_or(name.clone(), |front| match front {
            _ if table
                .match_fields
                .iter()
                .any(|field| ends(&field.name, &name)) =>
            {
                name.clone()
            }
            _ => format!("{front}.$valid$"),
        });
    let mut found = table
        .match_fields
        .iter()
        .filter(|field| ends(&field.name, &name));
    match (found.next(), found.next()) {
        (Some(field), None) => Ok(field),
        (None, _) => {
            let known: Vec<&str> = table.match_fields.iter().map(|f| f.name.as_str()).collect();
            let table = &table.preamble.name;
            fail(format!(
                "table {table} has no key field {name:?}; it has {}",
                known.join(", ")
            ))
        }
        _ => fail(format!(
            "table {} has several fields {name:?}",
            table.preamble.name
        )),
    }
}

/// `None`: the field may be anything.
fn match_value(field: &MatchField, value: &Value) -> Result<Option<MatchValue>, NameError> {
    let bytes = BigUint::to_bytes_be;
    let ones = (BigUint::from(1u8) << field.bitwidth) - 1u8;
    let zero = BigUint::ZERO;
    Ok(match (field.match_type, value) {
        (Some(MatchType::Exact), Value::Exact(value)) => Some(MatchValue::Exact(bytes(value))),
        (Some(MatchType::Optional), Value::Exact(value)) => {
            Some(MatchValue::Optional(bytes(value)))
        }
        (Some(MatchType::Optional), Value::Ternary(_, mask)) if *mask == zero => None,
        (Some(MatchType::Lpm), Value::Prefix(_, 0)) => None,
        (Some(MatchType::Lpm), Value::Prefix(value, length)) => Some(MatchValue::Lpm {
            value: bytes(value),
            prefix_len: *length,
        }),
        (Some(MatchType::Lpm), Value::Exact(value)) => Some(MatchValue::Lpm {
            value: bytes(value),
            prefix_len: field.bitwidth,
        }),
        (Some(MatchType::Lpm), Value::Ternary(value, mask)) => {
            let length = field.bitwidth - (&ones - mask).bits() as u32;
            Some(MatchValue::Lpm {
                value: bytes(value),
                prefix_len: length,
            })
        }
        (Some(MatchType::Ternary), Value::Ternary(_, mask)) if *mask == zero => None,
        (Some(MatchType::Ternary), Value::Ternary(value, mask)) => Some(MatchValue::Ternary {
            value: bytes(&(value & mask)),
            mask: bytes(mask),
        }),
        (Some(MatchType::Ternary), Value::Exact(value)) => Some(MatchValue::Ternary {
            value: bytes(value),
            mask: bytes(&ones),
        }),
        (Some(MatchType::Range), Value::Range(low, high)) => Some(MatchValue::Range {
            low: bytes(low),
            high: bytes(high),
        }),
        (Some(MatchType::Range), Value::Exact(value)) => Some(MatchValue::Range {
            low: bytes(value),
            high: bytes(value),
        }),
        (kind, value) => {
            return fail(format!(
                "field {} is matched as {kind:?}, not as {value:?}",
                field.name
            ));
        }
    })
}

fn action(p4info: &P4Info, table: &p4info::Table, call: &Call) -> Result<Action, NameError> {
    let actions = table
        .action_refs
        .iter()
        .filter_map(|known| p4info.action_by_id(known.id));
    let mut found = actions.filter(|action| ends(&action.preamble.name, &call.name));
    let action = match (found.next(), found.next()) {
        (Some(action), None) => action,
        (None, _) => {
            let table = &table.preamble.name;
            return fail(format!("table {table} has no action {:?}", call.name));
        }
        _ => {
            return fail(format!(
                "table {} has several {:?}",
                table.preamble.name, call.name
            ));
        }
    };
    let mut params = Vec::new();
    for (name, value) in &call.arguments {
        let Some(param) = action.param(name) else {
            return fail(format!(
                "action {} has no parameter {name:?}",
                action.preamble.name
            ));
        };
        params.push((param.id, value.to_bytes_be()));
    }
    Ok(Action {
        id: action.preamble.id,
        params,
    })
}
