use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use flownic_pipeline::entity::{
    Action, Code, CounterData, Entity, FieldMatch, MatchValue, TableEntry, Update, UpdateError,
    UpdateKind,
};
use proptest::prelude::*;

use super::{EMPTY_LEN, MESSAGE_LEN, Malformed, RESULT_LEN, Reader, Reason, Unwritable, Writer};

fn updates(bytes: &[u8]) -> Result<Vec<Update>, Malformed> {
    let mut reader = Reader::new(bytes)?;
    core::iter::from_fn(|| reader.update().transpose()).collect()
}

fn written(updates: &[Update]) -> Vec<u8> {
    let mut writer = Writer::new(usize::MAX);
    for update in updates {
        writer.update(update).expect("no limit");
    }
    writer.finish()
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..20)
}

fn match_values() -> impl Strategy<Value = MatchValue> {
    prop_oneof![
        values().prop_map(MatchValue::Exact),
        (values(), any::<u32>())
            .prop_map(|(value, prefix_len)| MatchValue::Lpm { value, prefix_len }),
        (values(), values()).prop_map(|(value, mask)| MatchValue::Ternary { value, mask }),
        (values(), values()).prop_map(|(low, high)| MatchValue::Range { low, high }),
        values().prop_map(MatchValue::Optional),
    ]
}

fn counters() -> impl Strategy<Value = CounterData> {
    (any::<u64>(), any::<u64>()).prop_map(|(packets, bytes)| CounterData { packets, bytes })
}

fn entries() -> impl Strategy<Value = TableEntry> {
    let field =
        (any::<u32>(), match_values()).prop_map(|(field, value)| FieldMatch { field, value });
    let action = (
        any::<u32>(),
        proptest::collection::vec((any::<u32>(), values()), 0..4),
    )
        .prop_map(|(id, params)| Action { id, params });
    (
        any::<u32>(),
        any::<i32>(),
        proptest::collection::vec(field, 0..6),
        proptest::option::of(action),
        any::<bool>(),
        proptest::option::of(counters()),
    )
        .prop_map(
            |(table, priority, matches, action, is_default, counter)| TableEntry {
                table,
                matches,
                priority,
                action,
                is_default,
                counter,
            },
        )
}

fn any_update() -> impl Strategy<Value = Update> {
    let kind = prop_oneof![
        Just(UpdateKind::Insert),
        Just(UpdateKind::Modify),
        Just(UpdateKind::Delete)
    ];
    let entity = prop_oneof![
        entries().prop_map(Entity::TableEntry),
        (any::<u32>(), any::<u32>(), values()).prop_map(|(register, index, value)| {
            Entity::Register {
                register,
                index,
                value,
            }
        }),
        (any::<u32>(), any::<u32>(), counters()).prop_map(|(counter, index, data)| {
            Entity::Counter {
                counter,
                index,
                data,
            }
        }),
    ];
    (kind, entity).prop_map(|(kind, entity)| Update { kind, entity })
}

proptest! {
    /// R7.3: what is written is read back, whatever it is.
    #[test]
    fn updates_round_trip(list in proptest::collection::vec(any_update(), 0..20)) {
        prop_assert_eq!(updates(&written(&list)).expect("well formed"), list);
    }

    /// R7.4: a list cut anywhere is refused, and the offset is within it.
    #[test]
    fn truncated_lists_are_refused(list in proptest::collection::vec(any_update(), 1..5), cut in any::<prop::sample::Index>()) {
        let bytes = written(&list);
        let cut = cut.index(bytes.len());
        let error = updates(&bytes[..cut]).expect_err("cut");
        prop_assert!(error.offset <= cut);
    }

    /// R7.4: no bytes make a reader panic.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = updates(&bytes);
        let _ = Reader::new(&bytes).and_then(|mut reader| reader.entry());
        let _ = Reader::new(&bytes).and_then(|mut reader| reader.result());
        let _ = Reader::new(&bytes).and_then(|mut reader| reader.cell().map(drop));
    }

    /// R7.4: flipped bits in good lists neither; what still reads can be written again.
    #[test]
    fn flipped_bits_never_panic(list in proptest::collection::vec(any_update(), 1..5), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut bytes = written(&list);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(read) = updates(&bytes) {
            prop_assert_eq!(updates(&written(&read)).expect("well formed"), read);
        }
    }
}

#[test]
fn results_round_trip_and_long_messages_are_cut_at_a_character() {
    let error = |message: &str| {
        Err(UpdateError {
            code: Code::AlreadyExists,
            message: message.into(),
        })
    };
    let long: String = core::iter::repeat_n('é', MESSAGE_LEN).collect();
    let mut writer = Writer::new(EMPTY_LEN + 3 * RESULT_LEN);
    for result in [Ok(()), error("is there"), error(&long)] {
        writer.result(&result).expect("fits");
    }
    let bytes = writer.finish();
    let mut reader = Reader::new(&bytes).expect("list");
    assert_eq!(reader.result(), Ok(Some(Ok(()))));
    assert_eq!(reader.result(), Ok(Some(error("is there"))));
    assert_eq!(reader.result(), Ok(Some(error(&long[..MESSAGE_LEN]))));
    assert_eq!(reader.result(), Ok(None));
}

#[test]
fn cells_round_trip() {
    let mut writer = Writer::new(64);
    writer.cell(&[1, 2, 3]).expect("fits");
    writer.cell(&[]).expect("fits");
    let bytes = writer.finish();
    let mut reader = Reader::new(&bytes).expect("list");
    assert_eq!(reader.cell(), Ok(Some(&[1, 2, 3][..])));
    assert_eq!(reader.cell(), Ok(Some(&[][..])));
    assert_eq!(reader.cell(), Ok(None));
}

#[test]
fn an_item_over_the_limit_leaves_the_list_as_it_was() {
    let mut writer = Writer::new(20);
    writer.cell(&[7; 4]).expect("fits");
    assert_eq!(writer.cell(&[8; 5]), Err(Unwritable::Full));
    assert_eq!(writer.cell(&[8; 70_000]), Err(Unwritable::TooLong));
    assert_eq!(writer.count(), 1);
    let bytes = writer.finish();
    let mut reader = Reader::new(&bytes).expect("list");
    assert_eq!(reader.cell(), Ok(Some(&[7; 4][..])));
    assert_eq!(reader.cell(), Ok(None));
}

#[test]
fn wrong_codes_are_told_with_their_place() {
    let update = Update {
        kind: UpdateKind::Insert,
        entity: Entity::Register {
            register: 1,
            index: 2,
            value: vec![3],
        },
    };
    let good = written(core::slice::from_ref(&update));
    let wrong = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        updates(&bytes).expect_err("wrong")
    };
    assert_eq!(
        wrong(8, 9),
        Malformed {
            offset: 8,
            reason: Reason::UnknownCode
        }
    ); // kind
    assert_eq!(
        wrong(9, 9),
        Malformed {
            offset: 9,
            reason: Reason::UnknownCode
        }
    ); // entity
    assert_eq!(
        wrong(18, 0),
        Malformed {
            offset: 20,
            reason: Reason::Trailing
        }
    ); // shorter value
    assert_eq!(wrong(18, 2).reason, Reason::Truncated); // longer value
    assert_eq!(
        wrong(0, 0),
        Malformed {
            offset: 4,
            reason: Reason::Trailing
        }
    ); // fewer items
    assert_eq!(wrong(0, 2).reason, Reason::Truncated); // more items
    assert_eq!(wrong(3, 0xff).reason, Reason::Truncated); // very many items
}
