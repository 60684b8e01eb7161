//! Entities of the pipeline model as P4Runtime messages, and back.
//!
//! Byte strings leave in canonical form and come back in canonical form, whatever the target
//! sends; keys and parameters come back in the order of their ids. So equal entries compare equal.

use flownic_api::p4::v1 as proto;
use flownic_api::p4::v1::field_match::{self, FieldMatchType};
use flownic_api::p4::v1::{action, p4_data, table_action};
use flownic_pipeline::entity::{
    Action, Atomicity, Code, CounterData, Entity, FieldMatch, MatchValue, TableEntry, Update,
    UpdateError, UpdateKind, canonical,
};

/// A message that is no entity of the pipeline model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A part that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A number that cannot be.
    #[error("{what} is {value}")]
    Number {
        /// Of what.
        what: &'static str,
        /// The number.
        value: i64,
    },
    /// A part of P4Runtime that the pipeline model does not have.
    #[error("{0} are not part of the model")]
    NotModelled(&'static str),
}

// ── To the target ───────────────────────────────────────────────────────────────────────────────

/// One line of a batch.
///
/// # Errors
/// `InvalidArgument` when a number does not fit into its field of the message.
pub fn update_to_proto(update: &Update) -> Result<proto::Update, UpdateError> {
    let kind = match update.kind {
        UpdateKind::Insert => proto::update::Type::Insert,
        UpdateKind::Modify => proto::update::Type::Modify,
        UpdateKind::Delete => proto::update::Type::Delete,
    };
    Ok(proto::Update {
        r#type: kind as i32,
        entity: Some(entity_to_proto(&update.entity)?),
    })
}

/// An entity to write. An entry with a direct counter sets the counter.
///
/// # Errors
/// `InvalidArgument` when a number does not fit into its field of the message.
pub fn entity_to_proto(entity: &Entity) -> Result<proto::Entity, UpdateError> {
    let entity = match entity {
        Entity::TableEntry(entry) => {
            proto::entity::Entity::TableEntry(table_entry_to_proto(entry)?)
        }
        Entity::Register {
            register,
            index,
            value,
        } => proto::entity::Entity::RegisterEntry(proto::RegisterEntry {
            register_id: *register,
            index: Some(cell(*index)),
            data: Some(proto::P4Data {
                data: Some(p4_data::Data::Bitstring(canonical(value).to_vec())),
            }),
        }),
        Entity::Counter {
            counter,
            index,
            data,
        } => proto::entity::Entity::CounterEntry(proto::CounterEntry {
            counter_id: *counter,
            index: Some(cell(*index)),
            data: Some(counter_to_proto(data)?),
        }),
    };
    Ok(proto::Entity {
        entity: Some(entity),
    })
}

fn table_entry_to_proto(entry: &TableEntry) -> Result<proto::TableEntry, UpdateError> {
    let matches = entry.matches.iter().map(match_to_proto);
    Ok(proto::TableEntry {
        table_id: entry.table,
        r#match: matches.collect::<Result<_, _>>()?,
        action: entry.action.as_ref().map(action_to_proto),
        priority: entry.priority,
        is_default_action: entry.is_default,
        counter_data: entry.counter.as_ref().map(counter_to_proto).transpose()?,
        ..Default::default()
    })
}

fn match_to_proto(matching: &FieldMatch) -> Result<proto::FieldMatch, UpdateError> {
    let bytes = |value: &[u8]| canonical(value).to_vec();
    let kind = match &matching.value {
        MatchValue::Exact(value) => FieldMatchType::Exact(field_match::Exact {
            value: bytes(value),
        }),
        MatchValue::Lpm { value, prefix_len } => FieldMatchType::Lpm(field_match::Lpm {
            value: bytes(value),
            prefix_len: i32::try_from(*prefix_len)
                .map_err(|_| too_large("prefix length", u64::from(*prefix_len)))?,
        }),
        MatchValue::Ternary { value, mask } => FieldMatchType::Ternary(field_match::Ternary {
            value: bytes(value),
            mask: bytes(mask),
        }),
        MatchValue::Range { low, high } => FieldMatchType::Range(field_match::Range {
            low: bytes(low),
            high: bytes(high),
        }),
        MatchValue::Optional(value) => FieldMatchType::Optional(field_match::Optional {
            value: bytes(value),
        }),
    };
    Ok(proto::FieldMatch {
        field_id: matching.field,
        field_match_type: Some(kind),
    })
}

fn action_to_proto(action: &Action) -> proto::TableAction {
    let params = action.params.iter().map(|(id, value)| action::Param {
        param_id: *id,
        value: canonical(value).to_vec(),
    });
    proto::TableAction {
        r#type: Some(table_action::Type::Action(proto::Action {
            action_id: action.id,
            params: params.collect(),
        })),
    }
}

fn counter_to_proto(data: &CounterData) -> Result<proto::CounterData, UpdateError> {
    let signed = |number: u64| i64::try_from(number).map_err(|_| too_large("counter", number));
    Ok(proto::CounterData {
        byte_count: signed(data.bytes)?,
        packet_count: signed(data.packets)?,
    })
}

/// Cell of an array.
pub fn cell(index: u32) -> proto::Index {
    proto::Index {
        index: i64::from(index),
    }
}

/// How a batch behaves when one of its updates fails.
pub fn atomicity_to_proto(atomicity: Atomicity) -> proto::write_request::Atomicity {
    match atomicity {
        Atomicity::ContinueOnError => proto::write_request::Atomicity::ContinueOnError,
        Atomicity::RollbackOnError => proto::write_request::Atomicity::RollbackOnError,
        Atomicity::DataplaneAtomic => proto::write_request::Atomicity::DataplaneAtomic,
    }
}

fn too_large(what: &str, number: u64) -> UpdateError {
    UpdateError {
        code: Code::InvalidArgument,
        message: format!("{what} {number} is larger than P4Runtime can say"),
    }
}

// ── From the target ─────────────────────────────────────────────────────────────────────────────

/// One line of a batch.
///
/// # Errors
/// [`ConvertError`].
pub fn update_from_proto(update: proto::Update) -> Result<Update, ConvertError> {
    let kind = match update.r#type() {
        proto::update::Type::Insert => UpdateKind::Insert,
        proto::update::Type::Modify => UpdateKind::Modify,
        proto::update::Type::Delete => UpdateKind::Delete,
        proto::update::Type::Unspecified => return Err(ConvertError::Missing("update type")),
    };
    let entity = update.entity.ok_or(ConvertError::Missing("entity"))?;
    Ok(Update {
        kind,
        entity: entity_from_proto(entity)?,
    })
}

/// An entity that was read.
///
/// # Errors
/// [`ConvertError`].
pub fn entity_from_proto(entity: proto::Entity) -> Result<Entity, ConvertError> {
    use proto::entity::Entity as Kind;
    match entity.entity.ok_or(ConvertError::Missing("entity"))? {
        Kind::TableEntry(entry) => table_entry_from_proto(entry).map(Entity::TableEntry),
        Kind::RegisterEntry(entry) => Ok(Entity::Register {
            register: entry.register_id,
            index: index_from_proto(entry.index)?,
            value: data_from_proto(entry.data)?,
        }),
        Kind::CounterEntry(entry) => Ok(Entity::Counter {
            counter: entry.counter_id,
            index: index_from_proto(entry.index)?,
            data: counter_from_proto(entry.data.ok_or(ConvertError::Missing("counter data"))?)?,
        }),
        Kind::ExternEntry(_) => Err(ConvertError::NotModelled("externs")),
        Kind::ActionProfileMember(_) | Kind::ActionProfileGroup(_) => {
            Err(ConvertError::NotModelled("action profiles"))
        }
        Kind::MeterEntry(_) | Kind::DirectMeterEntry(_) => Err(ConvertError::NotModelled("meters")),
        Kind::DirectCounterEntry(_) => Err(ConvertError::NotModelled("direct counters by entry")),
        Kind::PacketReplicationEngineEntry(_) => Err(ConvertError::NotModelled("packet copies")),
        Kind::ValueSetEntry(_) => Err(ConvertError::NotModelled("value sets")),
        Kind::DigestEntry(_) => Err(ConvertError::NotModelled("digests")),
    }
}

/// A table entry that was read; idle time-outs and controllers' marks are not kept.
///
/// # Errors
/// [`ConvertError`].
pub fn table_entry_from_proto(entry: proto::TableEntry) -> Result<TableEntry, ConvertError> {
    let matches = entry.r#match.into_iter().map(match_from_proto);
    let mut matches = matches.collect::<Result<Vec<_>, _>>()?;
    matches.sort_by_key(|matching| matching.field);
    Ok(TableEntry {
        table: entry.table_id,
        matches,
        priority: entry.priority,
        action: entry.action.map(action_from_proto).transpose()?,
        is_default: entry.is_default_action,
        counter: entry.counter_data.map(counter_from_proto).transpose()?,
    })
}

fn match_from_proto(matching: proto::FieldMatch) -> Result<FieldMatch, ConvertError> {
    let bytes = |value: Vec<u8>| canonical(&value).to_vec();
    let kind = matching.field_match_type;
    let value = match kind.ok_or(ConvertError::Missing("match kind"))? {
        FieldMatchType::Exact(exact) => MatchValue::Exact(bytes(exact.value)),
        FieldMatchType::Lpm(lpm) => MatchValue::Lpm {
            value: bytes(lpm.value),
            prefix_len: u32::try_from(lpm.prefix_len).map_err(|_| ConvertError::Number {
                what: "prefix length",
                value: i64::from(lpm.prefix_len),
            })?,
        },
        FieldMatchType::Ternary(ternary) => MatchValue::Ternary {
            value: bytes(ternary.value),
            mask: bytes(ternary.mask),
        },
        FieldMatchType::Range(range) => MatchValue::Range {
            low: bytes(range.low),
            high: bytes(range.high),
        },
        FieldMatchType::Optional(optional) => MatchValue::Optional(bytes(optional.value)),
        FieldMatchType::Other(_) => return Err(ConvertError::NotModelled("other match kinds")),
    };
    Ok(FieldMatch {
        field: matching.field_id,
        value,
    })
}

fn action_from_proto(action: proto::TableAction) -> Result<Action, ConvertError> {
    let table_action::Type::Action(action) =
        action.r#type.ok_or(ConvertError::Missing("action"))?
    else {
        return Err(ConvertError::NotModelled("action profiles"));
    };
    let params = action.params.into_iter();
    let mut params: Vec<_> = params
        .map(|param| (param.param_id, canonical(&param.value).to_vec()))
        .collect();
    params.sort_by_key(|(id, _)| *id);
    Ok(Action {
        id: action.action_id,
        params,
    })
}

fn counter_from_proto(data: proto::CounterData) -> Result<CounterData, ConvertError> {
    let unsigned = |value: i64| {
        u64::try_from(value).map_err(|_| ConvertError::Number {
            what: "counter",
            value,
        })
    };
    Ok(CounterData {
        packets: unsigned(data.packet_count)?,
        bytes: unsigned(data.byte_count)?,
    })
}

fn index_from_proto(index: Option<proto::Index>) -> Result<u32, ConvertError> {
    let index = index.ok_or(ConvertError::Missing("index"))?.index;
    u32::try_from(index).map_err(|_| ConvertError::Number {
        what: "index",
        value: index,
    })
}

fn data_from_proto(data: Option<proto::P4Data>) -> Result<Vec<u8>, ConvertError> {
    let data = data.and_then(|data| data.data);
    match data.ok_or(ConvertError::Missing("register data"))? {
        p4_data::Data::Bitstring(value) | p4_data::Data::EnumValue(value) => {
            Ok(canonical(&value).to_vec())
        }
        p4_data::Data::Bool(value) => Ok(vec![u8::from(value)]),
        _ => Err(ConvertError::NotModelled("registers of structures")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..17).prop_map(|bytes| canonical(&bytes).to_vec())
    }

    fn match_value() -> impl Strategy<Value = MatchValue> {
        prop_oneof![
            value().prop_map(MatchValue::Exact),
            (value(), 0..129u32)
                .prop_map(|(value, prefix_len)| MatchValue::Lpm { value, prefix_len }),
            (value(), value()).prop_map(|(value, mask)| MatchValue::Ternary { value, mask }),
            (value(), value()).prop_map(|(low, high)| MatchValue::Range { low, high }),
            value().prop_map(MatchValue::Optional),
        ]
    }

    fn counter() -> impl Strategy<Value = CounterData> {
        let number = 0..=i64::MAX as u64;
        (number.clone(), number).prop_map(|(packets, bytes)| CounterData { packets, bytes })
    }

    fn entry() -> impl Strategy<Value = TableEntry> {
        let matches = proptest::collection::btree_map(any::<u32>(), match_value(), 0..5);
        let params = proptest::collection::btree_map(any::<u32>(), value(), 0..5);
        let action = proptest::option::of((any::<u32>(), params));
        let others = (any::<u32>(), any::<i32>(), any::<bool>());
        (matches, action, others, proptest::option::of(counter())).prop_map(
            |(matches, action, (table, priority, is_default), counter)| TableEntry {
                table,
                matches: matches
                    .into_iter()
                    .map(|(field, value)| FieldMatch { field, value })
                    .collect(),
                priority,
                action: action.map(|(id, params)| Action {
                    id,
                    params: params.into_iter().collect(),
                }),
                is_default,
                counter,
            },
        )
    }

    fn update() -> impl Strategy<Value = Update> {
        let entity = prop_oneof![
            entry().prop_map(Entity::TableEntry),
            (any::<u32>(), any::<u32>(), value()).prop_map(|(register, index, value)| {
                Entity::Register {
                    register,
                    index,
                    value,
                }
            }),
            (any::<u32>(), any::<u32>(), counter()).prop_map(|(counter, index, data)| {
                Entity::Counter {
                    counter,
                    index,
                    data,
                }
            }),
        ];
        let kinds = [UpdateKind::Insert, UpdateKind::Modify, UpdateKind::Delete];
        (proptest::sample::select(kinds.to_vec()), entity)
            .prop_map(|(kind, entity)| Update { kind, entity })
    }

    proptest! {
        /// R7.3: every update of the model survives the message.
        #[test]
        fn r7_3_updates_survive(update in update()) {
            let message = update_to_proto(&update).unwrap();
            prop_assert_eq!(update_from_proto(message).unwrap(), update);
        }
    }

    #[test]
    fn r7_3_values_are_canonical_in_both_directions() {
        let padded = |value: &[u8]| TableEntry {
            matches: vec![FieldMatch {
                field: 1,
                value: MatchValue::Exact(value.to_vec()),
            }],
            ..Default::default()
        };
        let message = table_entry_to_proto(&padded(&[0, 0, 5])).unwrap();
        let kind = message.r#match[0].field_match_type.clone();
        let exact = field_match::Exact { value: vec![5] };
        assert_eq!(kind, Some(FieldMatchType::Exact(exact)));
        let mut message = table_entry_to_proto(&padded(&[5])).unwrap();
        let exact = field_match::Exact { value: vec![0, 5] };
        message.r#match[0].field_match_type = Some(FieldMatchType::Exact(exact));
        assert_eq!(table_entry_from_proto(message), Ok(padded(&[5])));
    }

    #[test]
    fn r7_4_messages_that_are_no_entities_are_refused() {
        use proto::entity::Entity as Kind;
        let refuse = |kind| {
            let entity = Some(kind);
            entity_from_proto(proto::Entity { entity }).unwrap_err()
        };
        let error = entity_from_proto(proto::Entity { entity: None });
        assert_eq!(error, Err(ConvertError::Missing("entity")));
        let error = update_from_proto(proto::Update::default());
        assert_eq!(error, Err(ConvertError::Missing("update type")));
        let index = |index| Some(proto::Index { index });
        let register = |index, data| {
            let data = Some(proto::P4Data { data });
            let register_id = 1;
            Kind::RegisterEntry(proto::RegisterEntry {
                register_id,
                index,
                data,
            })
        };
        let what = "index";
        let far = register(index(1 << 32), None);
        assert_eq!(
            refuse(far),
            ConvertError::Number {
                what,
                value: 1 << 32
            }
        );
        assert_eq!(refuse(register(None, None)), ConvertError::Missing("index"));
        let empty = register(index(0), None);
        assert_eq!(refuse(empty), ConvertError::Missing("register data"));
        let tuple = p4_data::Data::Tuple(proto::P4StructLike::default());
        let structure = register(index(0), Some(tuple));
        assert!(matches!(refuse(structure), ConvertError::NotModelled(_)));
        let data = Some(proto::CounterData {
            byte_count: -1,
            packet_count: 0,
        });
        let negative = Kind::CounterEntry(proto::CounterEntry {
            counter_id: 1,
            index: index(0),
            data,
        });
        let what = "counter";
        assert_eq!(refuse(negative), ConvertError::Number { what, value: -1 });
        let member = proto::TableAction {
            r#type: Some(table_action::Type::ActionProfileMemberId(1)),
        };
        let entry = proto::TableEntry {
            action: Some(member),
            ..Default::default()
        };
        assert!(matches!(
            refuse(Kind::TableEntry(entry)),
            ConvertError::NotModelled(_)
        ));
        let meter = Kind::MeterEntry(proto::MeterEntry::default());
        assert!(matches!(refuse(meter), ConvertError::NotModelled(_)));
    }
}
