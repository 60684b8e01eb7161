//! From P4Runtime entries to checked ones, and back (P4Runtime specification 1.4, section 9.1).

use std::fmt::Display;

use flownic_pipeline::entity::{
    Action, Code, FieldMatch, MatchValue, TableEntry, UpdateError, canonical,
};

use super::index::mask_prefix;
use super::schema::{ActionSchema, FieldSchema, MatchKind, TableSchema};
use super::table::{DefaultEntry, Entry};

/// What an entry is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Insert or modify: the action is needed.
    Write,
    /// Delete: the action does not matter.
    Delete,
}

fn error(code: Code, table: &TableSchema, what: impl Display) -> UpdateError {
    UpdateError {
        code,
        message: format!("table {}: {what}", table.name),
    }
}

fn invalid(table: &TableSchema, what: impl Display) -> UpdateError {
    error(Code::InvalidArgument, table, what)
}

/// Checks an entry that is not the default entry.
pub(crate) fn entry(
    table: &TableSchema,
    entry: &TableEntry,
    purpose: Purpose,
) -> Result<Entry, UpdateError> {
    if table.constant {
        return Err(error(
            Code::PermissionDenied,
            table,
            "its entries are constant",
        ));
    }
    if table.fields.is_empty() {
        return Err(invalid(
            table,
            "it has no key, so that only its default entry can be written",
        ));
    }
    let mut checked = Entry {
        key: vec![0; table.key_bytes].into(),
        second: Box::default(),
        prefix: 0,
        priority: priority(table, entry)?,
        action: 0,
        data: Box::default(),
        counter: entry.counter.unwrap_or_default(),
    };
    fill_key(table, &entry.matches, &mut checked)?;
    if entry.counter.is_some() && !table.direct_counter {
        return Err(invalid(
            table,
            "counter data given, but it has no direct counter",
        ));
    }
    if purpose == Purpose::Write {
        let Some(action) = &entry.action else {
            return Err(invalid(table, "the entry has no action"));
        };
        let (index, data) = self::action(table, action, false)?;
        checked.action = index;
        checked.data = data;
    }
    Ok(checked)
}

/// Checks a default entry; `None` resets it.
pub(crate) fn default_entry(
    table: &TableSchema,
    entry: &TableEntry,
) -> Result<Option<DefaultEntry>, UpdateError> {
    if table.constant_default {
        return Err(error(
            Code::PermissionDenied,
            table,
            "its default entry is constant",
        ));
    }
    if !entry.matches.is_empty() || entry.priority != 0 {
        return Err(invalid(
            table,
            "a default entry has neither match fields nor priority",
        ));
    }
    let Some(action) = &entry.action else {
        return Ok(None);
    };
    let (index, data) = self::action(table, action, true)?;
    let counter = entry.counter.unwrap_or_default();
    Ok(Some(DefaultEntry {
        action: Some(index),
        data,
        counter,
    }))
}

fn priority(table: &TableSchema, entry: &TableEntry) -> Result<i32, UpdateError> {
    match (table.needs_priority(), entry.priority) {
        (true, ..=0) => Err(invalid(
            table,
            format!(
                "priority {}: it must be above 0, the key has fields that need one",
                entry.priority
            ),
        )),
        (false, priority) if priority != 0 => Err(invalid(
            table,
            format!("priority {priority}: the key allows none"),
        )),
        (_, priority) => Ok(priority),
    }
}

/// Puts all match fields in the key. Fields that are absent match everything.
fn fill_key(
    table: &TableSchema,
    matches: &[FieldMatch],
    checked: &mut Entry,
) -> Result<(), UpdateError> {
    let ordered = table.needs_priority();
    if ordered {
        checked.second = vec![0; table.key_bytes].into();
    }
    for (at, given) in matches.iter().enumerate() {
        let Some(field) = table.fields.iter().find(|field| field.id == given.field) else {
            return Err(invalid(
                table,
                format!("it has no match field {}", given.field),
            ));
        };
        if matches[..at].iter().any(|other| other.field == given.field) {
            return Err(invalid(
                table,
                format!("field {} is given twice", field.name),
            ));
        }
        fill_field(table, field, &given.value, checked)?;
    }
    for field in &table.fields {
        if matches.iter().any(|given| given.field == field.id) {
            continue;
        }
        match field.kind {
            MatchKind::Exact => {
                return Err(invalid(
                    table,
                    format!("exact field {} is missing", field.name),
                ));
            }
            MatchKind::Range => checked.second[range(field)].copy_from_slice(&ones(field)),
            MatchKind::Lpm | MatchKind::Ternary | MatchKind::Optional => {}
        }
    }
    Ok(())
}

fn range(field: &FieldSchema) -> std::ops::Range<usize> {
    field.at..field.at + field.bytes()
}

/// The largest value of a field.
fn ones(field: &FieldSchema) -> Vec<u8> {
    let mut ones = vec![0xff; field.bytes()];
    let spare = field.bytes() as u32 * 8 - field.width;
    if let Some(first) = ones.first_mut() {
        *first >>= spare;
    }
    ones
}

fn fill_field(
    table: &TableSchema,
    field: &FieldSchema,
    given: &MatchValue,
    checked: &mut Entry,
) -> Result<(), UpdateError> {
    let ordered = !checked.second.is_empty();
    let fail = |what: String| Err(invalid(table, format!("field {}: {what}", field.name)));
    let parse = |bytes: &[u8], what: &str| {
        value(bytes, field.width)
            .map_err(|problem| invalid(table, format!("field {}: {what} {problem}", field.name)))
    };
    match (field.kind, given) {
        (MatchKind::Exact, MatchValue::Exact(bytes))
        | (MatchKind::Optional, MatchValue::Optional(bytes)) => {
            checked.key[range(field)].copy_from_slice(&parse(bytes, "value")?);
            if ordered {
                checked.second[range(field)].copy_from_slice(&ones(field));
            }
        }
        (MatchKind::Lpm, MatchValue::Lpm { value, prefix_len }) => {
            let value = parse(value, "value")?;
            if *prefix_len == 0 || *prefix_len > field.width {
                let what = "omit the field to match everything";
                return fail(format!(
                    "prefix length {prefix_len} is not from 1 to {}; {what}",
                    field.width
                ));
            }
            let mut masked = value.clone();
            mask_prefix(&mut masked, field.width, *prefix_len);
            if masked != value {
                return fail(format!(
                    "value {} has bits after the prefix of {prefix_len}",
                    hex(&value)
                ));
            }
            checked.key[range(field)].copy_from_slice(&value);
            if ordered {
                let mut mask = ones(field);
                mask_prefix(&mut mask, field.width, *prefix_len);
                checked.second[range(field)].copy_from_slice(&mask);
            } else {
                checked.prefix = *prefix_len;
            }
        }
        (MatchKind::Ternary, MatchValue::Ternary { value, mask }) => {
            let (value, mask) = (parse(value, "value")?, parse(mask, "mask")?);
            if mask.iter().all(|&byte| byte == 0) {
                return fail("mask is 0; omit the field to match everything".into());
            }
            if value
                .iter()
                .zip(&mask)
                .any(|(value, mask)| value & !mask != 0)
            {
                return fail(format!(
                    "value {} has bits outside of mask {}",
                    hex(&value),
                    hex(&mask)
                ));
            }
            checked.key[range(field)].copy_from_slice(&value);
            checked.second[range(field)].copy_from_slice(&mask);
        }
        (MatchKind::Range, MatchValue::Range { low, high }) => {
            let (low, high) = (parse(low, "low bound")?, parse(high, "high bound")?);
            if low > high {
                return fail(format!(
                    "low bound {} is above high bound {}",
                    hex(&low),
                    hex(&high)
                ));
            }
            checked.key[range(field)].copy_from_slice(&low);
            checked.second[range(field)].copy_from_slice(&high);
        }
        _ => {
            return fail(format!(
                "it is matched as {}, not as {}",
                field.kind.name(),
                kind_of(given)
            ));
        }
    }
    Ok(())
}

fn kind_of(value: &MatchValue) -> &'static str {
    match value {
        MatchValue::Exact(_) => "exact",
        MatchValue::Lpm { .. } => "lpm",
        MatchValue::Ternary { .. } => "ternary",
        MatchValue::Range { .. } => "range",
        MatchValue::Optional(_) => "optional",
    }
}

/// Index in the table's list, and action data.
fn action(
    table: &TableSchema,
    action: &Action,
    default: bool,
) -> Result<(u16, Box<[u8]>), UpdateError> {
    let found = table
        .actions
        .iter()
        .position(|known| known.id == action.id && action.id != 0);
    let Some(index) = found else {
        return Err(invalid(
            table,
            format!("action {:#x} is none of its actions", action.id),
        ));
    };
    let known = &table.actions[index];
    if default && known.table_only {
        let what = format!("action {} is not allowed in the default entry", known.name);
        return Err(error(Code::PermissionDenied, table, what));
    }
    if !default && known.default_only {
        let what = format!("action {} is allowed in the default entry only", known.name);
        return Err(error(Code::PermissionDenied, table, what));
    }
    Ok((index as u16, action_data(table, known, action)?))
}

fn action_data(
    table: &TableSchema,
    known: &ActionSchema,
    action: &Action,
) -> Result<Box<[u8]>, UpdateError> {
    let fail = |what: String| Err(invalid(table, format!("action {}: {what}", known.name)));
    let mut data = vec![0; known.data_bytes];
    for (at, (id, bytes)) in action.params.iter().enumerate() {
        let Some(param) = known.params.iter().find(|param| param.id == *id) else {
            return fail(format!("it has no parameter {id}"));
        };
        if action.params[..at].iter().any(|(other, _)| other == id) {
            return fail(format!("parameter {} is given twice", param.name));
        }
        match value(bytes, param.bits.width) {
            Ok(value) => {
                let at = param.bits.at as usize;
                data[at..at + value.len()].copy_from_slice(&value);
            }
            Err(problem) => return fail(format!("parameter {}: value {problem}", param.name)),
        }
    }
    let missing = known
        .params
        .iter()
        .find(|param| !action.params.iter().any(|(id, _)| *id == param.id));
    match missing {
        Some(param) => fail(format!("parameter {} is missing", param.name)),
        None => Ok(data.into()),
    }
}

/// A byte string as a value of a width, padded to whole bytes; leading zeros do not matter.
pub(crate) fn value(bytes: &[u8], width: u32) -> Result<Vec<u8>, String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    let short = match canonical(bytes) {
        [0] => &[],
        short => short,
    };
    let size = width.div_ceil(8) as usize;
    let bits = match short {
        [] => 0,
        [first, rest @ ..] => rest.len() as u32 * 8 + 8 - first.leading_zeros(),
    };
    if bits > width {
        return Err(format!("{} does not fit {width} bits", hex(short)));
    }
    let mut value = vec![0; size];
    value[size - short.len()..].copy_from_slice(short);
    Ok(value)
}

/// For messages.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// An entry in P4Runtime's terms, canonical.
pub(crate) fn to_runtime(table: &TableSchema, entry: &Entry) -> TableEntry {
    let matches = table.fields.iter().filter_map(|field| {
        let value = match_value(field, entry)?;
        Some(FieldMatch {
            field: field.id,
            value,
        })
    });
    TableEntry {
        table: table.id,
        matches: matches.collect(),
        priority: entry.priority,
        action: Some(action_to_runtime(
            &table.actions[usize::from(entry.action)],
            &entry.data,
        )),
        is_default: false,
        counter: table.direct_counter.then_some(entry.counter),
    }
}

/// The default entry in P4Runtime's terms.
pub(crate) fn default_to_runtime(table: &TableSchema, entry: &DefaultEntry) -> TableEntry {
    let action = entry
        .action
        .map(|action| action_to_runtime(&table.actions[usize::from(action)], &entry.data));
    TableEntry {
        table: table.id,
        action,
        is_default: true,
        counter: table.direct_counter.then_some(entry.counter),
        ..TableEntry::default()
    }
}

fn action_to_runtime(action: &ActionSchema, data: &[u8]) -> Action {
    let params = action.params.iter().map(|param| {
        let at = param.bits.at as usize;
        (
            param.id,
            canonical(&data[at..at + param.bits.bytes as usize]).to_vec(),
        )
    });
    Action {
        id: action.id,
        params: params.collect(),
    }
}

fn match_value(field: &FieldSchema, entry: &Entry) -> Option<MatchValue> {
    let value = &entry.key[range(field)];
    let short = canonical(value).to_vec();
    let ordered = !entry.second.is_empty();
    let second = if ordered {
        &entry.second[range(field)]
    } else {
        &[]
    };
    let open = second.iter().all(|&byte| byte == 0);
    match field.kind {
        MatchKind::Exact => Some(MatchValue::Exact(short)),
        MatchKind::Lpm => {
            let prefix_len = match ordered {
                true => second.iter().map(|byte| byte.count_ones()).sum(),
                false => entry.prefix,
            };
            (prefix_len > 0).then_some(MatchValue::Lpm {
                value: short,
                prefix_len,
            })
        }
        MatchKind::Optional => (!open).then_some(MatchValue::Optional(short)),
        MatchKind::Ternary => (!open).then(|| MatchValue::Ternary {
            value: short,
            mask: canonical(second).to_vec(),
        }),
        MatchKind::Range => {
            let all = value.iter().all(|&byte| byte == 0) && second == ones(field);
            (!all).then(|| MatchValue::Range {
                low: short,
                high: canonical(second).to_vec(),
            })
        }
    }
}
