//! Entries of one table with one action, by names of the P4 program that are looked up once.

use flownic_pipeline::entity::{
    Action, Entity, FieldMatch, MatchValue, TableEntry, Update, UpdateKind, canonical,
};
use flownic_pipeline::p4info::P4Info;

use crate::error::BenchError;

/// Ids of a table, some of its fields, one of its actions, and the action's parameters.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    table: u32,
    fields: Vec<u32>,
    action: u32,
    params: Vec<u32>,
}

impl Columns {
    /// Looks up all names.
    pub(crate) fn find(
        p4info: &P4Info,
        (table, fields): (&str, &[&str]),
        (action, params): (&str, &[&str]),
    ) -> Result<Columns, BenchError> {
        let table = p4info.table(table).ok_or_else(missing("table", table))?;
        let action = p4info
            .action(action)
            .ok_or_else(missing("action", action))?;
        let field = |name: &&str| {
            let field = table.match_field(name);
            field.map(|field| field.id).ok_or_else(missing("key", name))
        };
        let param = |name: &&str| {
            let param = action.param(name);
            param
                .map(|param| param.id)
                .ok_or_else(missing("parameter", name))
        };
        Ok(Columns {
            table: table.preamble.id,
            fields: fields.iter().map(field).collect::<Result<_, _>>()?,
            action: action.preamble.id,
            params: params.iter().map(param).collect::<Result<_, _>>()?,
        })
    }

    /// An entry to insert: values in the order of the names.
    pub(crate) fn insert(&self, keys: Vec<MatchValue>, params: &[u64]) -> Update {
        let matches = self.fields.iter().zip(keys);
        let params = self.params.iter().zip(params);
        Update {
            kind: UpdateKind::Insert,
            entity: Entity::TableEntry(TableEntry {
                table: self.table,
                matches: matches
                    .map(|(&field, value)| FieldMatch { field, value })
                    .collect(),
                action: Some(Action {
                    id: self.action,
                    params: params.map(|(&id, &value)| (id, bytes(value))).collect(),
                }),
                ..TableEntry::default()
            }),
        }
    }
}

/// The error for a name that the program does not have.
pub(crate) fn missing(kind: &'static str, name: &str) -> impl FnOnce() -> BenchError {
    let name = name.to_owned();
    move || BenchError::Missing { kind, name }
}

/// A number as a canonical byte string.
pub(crate) fn bytes(value: u64) -> Vec<u8> {
    canonical(&value.to_be_bytes()).to_vec()
}

/// Equal to a number.
pub(crate) fn exact(value: u64) -> MatchValue {
    MatchValue::Exact(bytes(value))
}

/// The first bits of a number.
pub(crate) fn prefix(value: u64, prefix_len: u32) -> MatchValue {
    MatchValue::Lpm {
        value: bytes(value),
        prefix_len,
    }
}

/// A register cell.
pub(crate) fn register(
    p4info: &P4Info,
    name: &str,
    index: u32,
    value: u64,
) -> Result<Update, BenchError> {
    let register = p4info
        .register(name)
        .ok_or_else(missing("register", name))?;
    Ok(Update {
        kind: UpdateKind::Modify,
        entity: Entity::Register {
            register: register.preamble.id,
            index,
            value: bytes(value),
        },
    })
}

/// Value of a member of a serializable enumeration.
pub(crate) fn member(p4info: &P4Info, kind: &str, name: &str) -> Result<u64, BenchError> {
    let spec = p4info
        .serializable_enum(kind)
        .ok_or_else(missing("enumeration", kind))?;
    let member = spec.members.iter().find(|member| member.name == name);
    let member = member.ok_or_else(missing("enumeration member", name))?;
    let value = member.value.iter();
    Ok(value.fold(0, |value, &byte| value << 8 | u64::from(byte)))
}
