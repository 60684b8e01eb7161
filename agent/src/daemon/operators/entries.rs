//! Table entries between the pipeline's terms and messages.

use flownic_api::v1;
use flownic_api::v1::field_match::{Lpm, Match, Range, Ternary};
use flownic_pipeline::entity::{
    Action, Atomicity, Entity, FieldMatch, MatchValue, TableEntry, Update, UpdateKind,
};

/// An entry as a message.
pub(super) fn entry_message(entry: TableEntry) -> v1::TableEntry {
    let (action_id, params) = match entry.action {
        Some(action) => (action.id, action.params),
        None => (0, Vec::new()),
    };
    v1::TableEntry {
        table_id: entry.table,
        r#match: entry.matches.into_iter().map(match_message).collect(),
        priority: entry.priority,
        action_id,
        params: (params.into_iter())
            .map(|(param_id, value)| v1::ActionParam { param_id, value })
            .collect(),
        is_default: entry.is_default,
        packets: entry.counter.map(|counter| counter.packets),
        bytes: entry.counter.map(|counter| counter.bytes),
    }
}

fn match_message(field: FieldMatch) -> v1::FieldMatch {
    let value = match field.value {
        MatchValue::Exact(value) => Match::Exact(value),
        MatchValue::Lpm { value, prefix_len } => Match::Lpm(Lpm { value, prefix_len }),
        MatchValue::Ternary { value, mask } => Match::Ternary(Ternary { value, mask }),
        MatchValue::Range { low, high } => Match::Range(Range { low, high }),
        MatchValue::Optional(value) => Match::Optional(value),
    };
    v1::FieldMatch {
        field_id: field.field,
        r#match: Some(value),
    }
}

/// An update from its message; the error says what is missing.
pub(super) fn update(message: v1::Update) -> Result<Update, String> {
    let kind = match v1::UpdateType::try_from(message.r#type) {
        Ok(v1::UpdateType::Insert) => UpdateKind::Insert,
        Ok(v1::UpdateType::Modify) => UpdateKind::Modify,
        Ok(v1::UpdateType::Delete) => UpdateKind::Delete,
        _ => {
            return Err(format!(
                "type {} is none of insert, modify, delete",
                message.r#type
            ));
        }
    };
    let entry = message.entry.ok_or("it has no entry")?;
    let matches = entry
        .r#match
        .into_iter()
        .map(field_match)
        .collect::<Result<_, _>>()?;
    let params = entry
        .params
        .into_iter()
        .map(|param| (param.param_id, param.value));
    let action = (entry.action_id != 0).then(|| Action {
        id: entry.action_id,
        params: params.collect(),
    });
    Ok(Update {
        kind,
        entity: Entity::TableEntry(TableEntry {
            table: entry.table_id,
            matches,
            priority: entry.priority,
            action,
            is_default: entry.is_default,
            counter: None,
        }),
    })
}

fn field_match(message: v1::FieldMatch) -> Result<FieldMatch, String> {
    let field = message.field_id;
    let value = match message.r#match {
        Some(Match::Exact(value)) => MatchValue::Exact(value),
        Some(Match::Lpm(Lpm { value, prefix_len })) => MatchValue::Lpm { value, prefix_len },
        Some(Match::Ternary(Ternary { value, mask })) => MatchValue::Ternary { value, mask },
        Some(Match::Range(Range { low, high })) => MatchValue::Range { low, high },
        Some(Match::Optional(value)) => MatchValue::Optional(value),
        None => return Err(format!("field {field} has no value")),
    };
    Ok(FieldMatch { field, value })
}

/// The class of a batch.
pub(super) fn atomicity(class: i32) -> Result<Atomicity, String> {
    match v1::Atomicity::try_from(class) {
        Ok(v1::Atomicity::ContinueOnError) => Ok(Atomicity::ContinueOnError),
        Ok(v1::Atomicity::RollbackOnError) => Ok(Atomicity::RollbackOnError),
        Ok(v1::Atomicity::DataplaneAtomic) => Ok(Atomicity::DataplaneAtomic),
        Err(_) => Err(format!("atomicity {class} is unknown")),
    }
}
