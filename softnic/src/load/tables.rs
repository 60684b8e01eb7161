//! A table: the program's view from JSON, and the control plane's view from P4Info.

use flownic_pipeline::entity::CounterData;
use flownic_pipeline::p4info::{self, MatchType, Scope};

use super::json::{Json, LoadError};
use super::layout::FieldRef;
use super::pipelines::Context;
use crate::program::{Action, KeyPart};
use crate::tables::index::mask_prefix;
use crate::tables::table::{DefaultEntry, Entry};
use crate::tables::{ActionSchema, FieldSchema, MatchKind, ParamSchema, Table, TableSchema};

/// Loads a table with its default entry and the entries that the program gives, and its key.
pub(crate) fn table(
    json: &Json<'_>,
    context: &Context<'_>,
) -> Result<(Table, Vec<KeyPart>), LoadError> {
    let name = json.get("name")?.str()?.to_owned();
    let kind = json.get("type")?;
    if kind.str()? != "simple" {
        return kind.fail("action profiles and selectors are not supported");
    }
    let info = context
        .p4info
        .tables
        .iter()
        .find(|table| table.preamble.name == name);
    let (fields, key) = key(json, context, info)?;
    let actions = actions(json, context, info)?;
    let size = size(json, context, &name, info)?;
    let schema = TableSchema {
        id: info.map_or(0, |info| info.preamble.id),
        key_bytes: fields.iter().map(FieldSchema::bytes).sum(),
        constant: info.is_some_and(|info| info.is_const_table),
        constant_default: info.is_none_or(|info| info.const_default_action_id != 0),
        direct_counter: json.flag("with_counters")?,
        name,
        fields,
        actions,
        size,
    };
    let default = default_entry(json, &schema, context)?;
    let entries = json.list("entries")?;
    let mut loaded = Vec::new();
    for entry in &entries {
        loaded.push((entry, self::entry(entry, &schema, context)?));
    }
    // In the JSON the smallest number wins, in P4Runtime the largest.
    let last = loaded
        .iter()
        .map(|(_, entry)| entry.priority)
        .max()
        .unwrap_or(0);
    let mut table = Table::new(schema, default);
    for (json, mut entry) in loaded {
        if table.schema.needs_priority() {
            entry.priority = (i64::from(last) + 1 - i64::from(entry.priority)).max(1) as i32;
        } else {
            entry.priority = 0;
        }
        table
            .insert(entry)
            .map_err(|error| json.error(error.message))?;
    }
    Ok((table, key))
}

fn size(
    json: &Json<'_>,
    context: &Context<'_>,
    name: &str,
    info: Option<&p4info::Table>,
) -> Result<u64, LoadError> {
    if let Some((_, size)) = context
        .options
        .table_sizes
        .iter()
        .find(|(table, _)| table == name)
    {
        return Ok(*size);
    }
    let declared = info
        .and_then(|info| u64::try_from(info.size).ok())
        .filter(|&size| size > 0);
    match declared {
        Some(size) => Ok(size),
        None => json
            .opt("max_size")
            .map_or(Ok(1024), |size| size.number(u64::from(u32::MAX))),
    }
}

fn key(
    json: &Json<'_>,
    context: &Context<'_>,
    info: Option<&p4info::Table>,
) -> Result<(Vec<FieldSchema>, Vec<KeyPart>), LoadError> {
    let (mut fields, mut parts, mut at) = (Vec::new(), Vec::new(), 0);
    let list = json.list("key")?;
    if let Some(info) = info
        && info.match_fields.len() != list.len()
    {
        let count = info.match_fields.len();
        return json.fail(format!(
            "the key has {} fields, in P4Info {count}",
            list.len()
        ));
    }
    for (position, field) in list.iter().enumerate() {
        let part = key_part(field, context)?;
        let kind = match_kind(&field.get("match_type")?)?;
        let width = part.width();
        let name = field.opt("name").map_or(Ok(""), |name| name.str())?;
        let mut schema = FieldSchema {
            id: 0,
            name: name.to_owned(),
            kind,
            width,
            at,
        };
        if let Some(info) = info {
            let same = |known: &&p4info::MatchField| known.name == name;
            let known = info.match_fields.iter().find(same);
            describe(
                field,
                &mut schema,
                known.unwrap_or(&info.match_fields[position]),
            )?;
        }
        at += schema.bytes();
        fields.push(schema);
        parts.push(part);
    }
    let prefixes = fields
        .iter()
        .filter(|field| field.kind == MatchKind::Lpm)
        .count();
    if prefixes > 1 {
        return json.fail("a table can have one longest-prefix field only");
    }
    Ok((fields, parts))
}

/// Takes over what P4Info says about a key field.
fn describe(
    json: &Json<'_>,
    field: &mut FieldSchema,
    info: &p4info::MatchField,
) -> Result<(), LoadError> {
    // P4Info has no width for types without one, as `error`.
    if info.bitwidth != field.width && info.bitwidth != 0 {
        let (here, there) = (field.width, info.bitwidth);
        return json.fail(format!(
            "field {} has {here} bits, in P4Info {there}",
            info.name
        ));
    }
    let kind = match info.match_type {
        Some(MatchType::Exact) => MatchKind::Exact,
        Some(MatchType::Lpm) => MatchKind::Lpm,
        Some(MatchType::Ternary) => MatchKind::Ternary,
        Some(MatchType::Range) => MatchKind::Range,
        Some(MatchType::Optional) => MatchKind::Optional,
        _ => {
            return json.fail(format!(
                "field {}: P4Info has no known match kind",
                info.name
            ));
        }
    };
    // bmv2 knows "optional" as ternary.
    let same =
        kind == field.kind || (kind == MatchKind::Optional && field.kind == MatchKind::Ternary);
    if !same {
        let (here, there) = (field.kind.name(), kind.name());
        return json.fail(format!("field {} is {here}, in P4Info {there}", info.name));
    }
    field.id = info.id;
    field.name.clone_from(&info.name);
    field.kind = kind;
    Ok(())
}

fn match_kind(json: &Json<'_>) -> Result<MatchKind, LoadError> {
    Ok(match json.str()? {
        "exact" | "valid" => MatchKind::Exact,
        "lpm" => MatchKind::Lpm,
        "ternary" => MatchKind::Ternary,
        "range" => MatchKind::Range,
        "optional" => MatchKind::Optional,
        other => return json.fail(format!("match kind {other:?} is not supported")),
    })
}

fn key_part(json: &Json<'_>, context: &Context<'_>) -> Result<KeyPart, LoadError> {
    let target = json.get("target")?;
    let layout = &context.symbols.layout;
    if target.str().is_ok() {
        return layout.header(&target).map(KeyPart::Valid);
    }
    let bits = match layout.field(&target)? {
        FieldRef::Valid(header) => return Ok(KeyPart::Valid(header)),
        FieldRef::Bits(bits) => bits,
        FieldRef::Varbit(_) => return target.fail("a variable-length field is no key"),
    };
    match json.opt("mask") {
        None => Ok(KeyPart::Field(bits)),
        Some(mask) => Ok(KeyPart::Masked(
            bits,
            mask.hex_bytes(bits.width.div_ceil(8) as usize)?,
        )),
    }
}

fn actions(
    json: &Json<'_>,
    context: &Context<'_>,
    info: Option<&p4info::Table>,
) -> Result<Vec<ActionSchema>, LoadError> {
    let mut actions = Vec::new();
    for id in json.list("action_ids")? {
        let Some(&action) = context.action_ids.get(&id.number(u64::MAX)?) else {
            return id.fail("there is no action with this id");
        };
        let definition = &context.actions[usize::from(action)];
        let mut schema = ActionSchema {
            id: 0,
            name: definition.name.clone(),
            action,
            params: Vec::new(),
            data_bytes: definition.data_bytes as usize,
            table_only: false,
            default_only: false,
        };
        if let Some(info) = info {
            describe_action(&id, &mut schema, definition, info, context)?;
        }
        actions.push(schema);
    }
    let names = json.list("actions")?;
    if names.len() != actions.len() {
        return json.fail("actions and action_ids are of different length");
    }
    Ok(actions)
}

/// Takes over what P4Info says about an action in a table.
fn describe_action(
    json: &Json<'_>,
    schema: &mut ActionSchema,
    definition: &Action,
    info: &p4info::Table,
    context: &Context<'_>,
) -> Result<(), LoadError> {
    let name = &definition.name;
    let found = info.action_refs.iter().find_map(|reference| {
        let action = context.p4info.action_by_id(reference.id)?;
        (action.preamble.name == *name).then_some((reference, action))
    });
    let Some((reference, action)) = found else {
        return json.fail(format!(
            "action {name}: P4Info does not list it for this table"
        ));
    };
    if action.params.len() != definition.params.len() {
        return json.fail(format!(
            "action {name} has {} parameters, in P4Info {}",
            definition.params.len(),
            action.params.len()
        ));
    }
    for (param, &bits) in action.params.iter().zip(&definition.params) {
        if param.bitwidth != bits.width && param.bitwidth != 0 {
            return json.fail(format!(
                "action {name}, parameter {} has {} bits, in P4Info {}",
                param.name, bits.width, param.bitwidth
            ));
        }
        schema.params.push(ParamSchema {
            id: param.id,
            name: param.name.clone(),
            bits,
        });
    }
    schema.id = action.preamble.id;
    schema.table_only = reference.scope == Scope::TableOnly;
    schema.default_only = reference.scope == Scope::DefaultOnly;
    Ok(())
}

/// Index in the table's list, and data, of `{action_id, action_data}`.
fn action_entry(
    json: &Json<'_>,
    schema: &TableSchema,
    context: &Context<'_>,
) -> Result<(u16, Box<[u8]>), LoadError> {
    let id = json.get("action_id")?;
    let action = context.action_ids.get(&id.number(u64::MAX)?);
    let index = schema
        .actions
        .iter()
        .position(|known| Some(&known.action) == action);
    let Some(index) = index else {
        return id.fail("the table has no action with this id");
    };
    let definition = &context.actions[usize::from(schema.actions[index].action)];
    let values = json.list("action_data")?;
    if values.len() != definition.params.len() {
        let (given, needed) = (values.len(), definition.params.len());
        return json.fail(format!(
            "action {} has {needed} parameters, not {given}",
            definition.name
        ));
    }
    let mut data = Vec::with_capacity(definition.data_bytes as usize);
    for (value, param) in values.iter().zip(&definition.params) {
        data.extend(value.hex_bytes(param.bytes as usize)?);
    }
    Ok((index as u16, data.into()))
}

fn default_entry(
    json: &Json<'_>,
    schema: &TableSchema,
    context: &Context<'_>,
) -> Result<DefaultEntry, LoadError> {
    let (action, data) = match json.opt("default_entry") {
        None => (None, Box::default()),
        Some(entry) => {
            let (action, data) = action_entry(&entry, schema, context)?;
            (Some(action), data)
        }
    };
    Ok(DefaultEntry {
        action,
        data,
        counter: CounterData::default(),
    })
}

/// An entry of the program.
fn entry(json: &Json<'_>, schema: &TableSchema, context: &Context<'_>) -> Result<Entry, LoadError> {
    let keys = json.list("match_key")?;
    if keys.len() != schema.fields.len() {
        let (given, needed) = (keys.len(), schema.fields.len());
        return json.fail(format!("the table has {needed} key fields, not {given}"));
    }
    let (action, data) = action_entry(&json.get("action_entry")?, schema, context)?;
    let priority = json
        .opt("priority")
        .map_or(Ok(1), |priority| priority.number(1 << 30))?;
    let mut entry = Entry {
        key: Box::default(),
        second: Box::default(),
        prefix: 0,
        priority: priority as i32,
        action,
        data,
        counter: CounterData::default(),
    };
    let (mut values, mut seconds) = (Vec::new(), Vec::new());
    for (key, field) in keys.iter().zip(&schema.fields) {
        let (value, second) = entry_field(key, field, schema, &mut entry.prefix)?;
        values.extend(value);
        seconds.extend(second);
    }
    entry.key = values.into();
    if schema.needs_priority() {
        entry.second = seconds.into();
    }
    Ok(entry)
}

/// Value (or low bound) and mask (or high bound) of one field.
fn entry_field(
    json: &Json<'_>,
    field: &FieldSchema,
    schema: &TableSchema,
    prefix: &mut u32,
) -> Result<(Vec<u8>, Vec<u8>), LoadError> {
    let bytes = field.bytes();
    let mut ones = vec![0xff; bytes];
    if let Some(first) = ones.first_mut() {
        *first >>= bytes as u32 * 8 - field.width;
    }
    let kind = json.get("match_type")?;
    Ok(match kind.str()? {
        "valid" => (vec![u8::from(json.get("key")?.bool()?)], ones),
        "exact" => (json.get("key")?.hex_bytes(bytes)?, ones),
        "lpm" => {
            let length = json.get("prefix_length")?.number(u64::from(field.width))? as u32;
            let mut value = json.get("key")?.hex_bytes(bytes)?;
            mask_prefix(&mut value, field.width, length);
            mask_prefix(&mut ones, field.width, length);
            if !schema.needs_priority() {
                *prefix = length;
            }
            (value, ones)
        }
        "ternary" | "optional" => {
            let mask = match json.opt("mask") {
                Some(mask) => mask.hex_bytes(bytes)?,
                None => ones,
            };
            let mut value = json.get("key")?.hex_bytes(bytes)?;
            value
                .iter_mut()
                .zip(&mask)
                .for_each(|(value, mask)| *value &= mask);
            (value, mask)
        }
        "range" => (
            json.get("start")?.hex_bytes(bytes)?,
            json.get("end")?.hex_bytes(bytes)?,
        ),
        other => return kind.fail(format!("match kind {other:?} is not supported")),
    })
}
