//! Checks of an operator's update against P4Info, for dry runs: what the NIC would say of its
//! form. Whether an entry is there, and whether there is room, only the NIC knows.

use flownic_pipeline::entity::{Action, Code, Entity, MatchValue, TableEntry, Update, UpdateError};
use flownic_pipeline::entity::{UpdateKind, canonical};
use flownic_pipeline::p4info::{MatchField, MatchType, P4Info, Table};

/// Checks the form of an update.
pub(super) fn check(p4info: &P4Info, update: &Update) -> Result<(), UpdateError> {
    let Entity::TableEntry(entry) = &update.entity else {
        return Ok(());
    };
    let table = (p4info.table_by_id(entry.table)).ok_or_else(|| UpdateError {
        code: Code::NotFound,
        message: format!("there is no table {}", entry.table),
    })?;
    let name = &table.preamble.name;
    check_entry(p4info, table, entry, update.kind).map_err(|what| UpdateError {
        code: Code::InvalidArgument,
        message: format!("table \"{name}\": {what}"),
    })
}

fn check_entry(
    p4info: &P4Info,
    table: &Table,
    entry: &TableEntry,
    kind: UpdateKind,
) -> Result<(), String> {
    if entry.is_default {
        if kind != UpdateKind::Modify {
            return Err("a default entry can be modified only".into());
        }
        if !entry.matches.is_empty() {
            return Err("a default entry has no match".into());
        }
    } else {
        check_matches(table, entry)?;
    }
    match &entry.action {
        Some(action) => check_action(p4info, table, action),
        None if kind == UpdateKind::Delete || entry.is_default => Ok(()),
        None => Err("the entry has no action".into()),
    }
}

fn check_matches(table: &Table, entry: &TableEntry) -> Result<(), String> {
    let mut seen = Vec::new();
    for found in &entry.matches {
        let field = table.match_field_by_id(found.field);
        let field = field.ok_or_else(|| format!("there is no key field {}", found.field))?;
        if seen.contains(&found.field) {
            return Err(format!("key field \"{}\" is there twice", field.name));
        }
        seen.push(found.field);
        check_match(field, &found.value)
            .map_err(|what| format!("key field \"{}\": {what}", field.name))?;
    }
    let missing = (table.match_fields.iter())
        .find(|field| field.match_type == Some(MatchType::Exact) && !seen.contains(&field.id));
    if let Some(field) = missing {
        return Err(format!("exact key field \"{}\" is missing", field.name));
    }
    match (table.needs_priority(), entry.priority > 0) {
        (true, false) => Err("the entry needs a priority above 0".into()),
        (false, true) => Err("entries of this table have no priority".into()),
        _ => Ok(()),
    }
}

fn check_match(field: &MatchField, value: &MatchValue) -> Result<(), String> {
    let width = field.bitwidth;
    let (kind, values): (_, Vec<&[u8]>) = match value {
        MatchValue::Exact(value) => (MatchType::Exact, vec![value]),
        MatchValue::Lpm { value, prefix_len } => {
            if *prefix_len == 0 || *prefix_len > width {
                return Err(format!(
                    "prefix length {prefix_len} is not one of 1–{width}"
                ));
            }
            (MatchType::Lpm, vec![value])
        }
        MatchValue::Ternary { value, mask } => (MatchType::Ternary, vec![value, mask]),
        MatchValue::Range { low, high } => (MatchType::Range, vec![low, high]),
        MatchValue::Optional(value) => (MatchType::Optional, vec![value]),
    };
    if field.match_type != Some(kind) {
        return Err(format!("a {kind:?} value was given"));
    }
    values.into_iter().try_for_each(|value| fits(value, width))
}

fn check_action(p4info: &P4Info, table: &Table, action: &Action) -> Result<(), String> {
    if !table
        .action_refs
        .iter()
        .any(|reference| reference.id == action.id)
    {
        return Err(format!("it has no action {}", action.id));
    }
    let Some(spec) = p4info.action_by_id(action.id) else {
        return Err(format!("there is no action {}", action.id));
    };
    let name = &spec.preamble.name;
    for param in &spec.params {
        let mut given = action.params.iter().filter(|(id, _)| *id == param.id);
        let (Some((_, value)), None) = (given.next(), given.next()) else {
            let what = format!("parameter \"{}\" is not there once", param.name);
            return Err(format!("action \"{name}\": {what}"));
        };
        fits(value, param.bitwidth)
            .map_err(|what| format!("action \"{name}\": parameter \"{}\": {what}", param.name))?;
    }
    if action.params.len() != spec.params.len() {
        let (given, all) = (action.params.len(), spec.params.len());
        return Err(format!(
            "action \"{name}\" has {all} parameters, not {given}"
        ));
    }
    Ok(())
}

fn fits(value: &[u8], width: u32) -> Result<(), String> {
    if value.is_empty() {
        return Err("the value is empty".into());
    }
    let value = canonical(value);
    let bits = value.len() as u32 * 8 - value[0].leading_zeros().min(8);
    if value != [0] && bits > width {
        return Err(format!("the value has {bits} bits, {width} fit"));
    }
    Ok(())
}
