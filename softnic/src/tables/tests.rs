//! Tables by themselves: what may be written, what comes back, and what a key finds.

use flownic_pipeline::entity::{
    Action, Atomicity, Code, CounterData, Entity, FieldMatch, MatchValue, TableEntry, Update,
    UpdateError, UpdateKind,
};
use proptest::prelude::*;

use super::table::DefaultEntry;
use super::write::{Directory, Target};
use super::{ActionSchema, FieldSchema, MatchKind, ParamSchema, Table, TableSchema, validate};
use crate::exec::externs::Externs;
use crate::program::{Bits, CounterDef, RegisterDef};

/// A table whose fields have ids from 1, and actions `forward(port: 9, tag: 12)` (id 11),
/// `drop()` (12, entries only) and `nothing()` (13, default only).
fn table(fields: &[(MatchKind, u32)], size: u64) -> Table {
    let (mut list, mut at) = (Vec::new(), 0);
    for (position, &(kind, width)) in fields.iter().enumerate() {
        let id = position as u32 + 1;
        let field = FieldSchema {
            id,
            name: format!("f{id}"),
            kind,
            width,
            at,
        };
        at += field.bytes();
        list.push(field);
    }
    let bits = |at, width: u32| Bits {
        at,
        bytes: width.div_ceil(8),
        shift: 0,
        width,
        signed: false,
    };
    let param = |id, name: &str, bits| ParamSchema {
        id,
        name: name.into(),
        bits,
    };
    let action = |id, name: &str, params, data_bytes| ActionSchema {
        id,
        name: name.into(),
        action: 0,
        params,
        data_bytes,
        table_only: id == 12,
        default_only: id == 13,
    };
    let params = vec![param(1, "port", bits(0, 9)), param(2, "tag", bits(2, 12))];
    let schema = TableSchema {
        id: 7,
        name: "t".into(),
        fields: list,
        key_bytes: at,
        actions: vec![
            action(11, "forward", params, 4),
            action(12, "drop", Vec::new(), 0),
            action(13, "nothing", Vec::new(), 0),
        ],
        size,
        constant: false,
        constant_default: false,
        direct_counter: true,
    };
    let default = DefaultEntry {
        action: Some(2),
        data: Box::default(),
        counter: CounterData::default(),
    };
    Table::new(schema, default)
}

fn forward(port: u8) -> Option<Action> {
    Some(Action {
        id: 11,
        params: vec![(1, vec![port]), (2, vec![0x0f, 0xff])],
    })
}

fn entry(matches: Vec<MatchValue>, priority: i32, port: u8) -> TableEntry {
    let field = |(at, value)| FieldMatch {
        field: at as u32 + 1,
        value,
    };
    TableEntry {
        table: 7,
        matches: matches.into_iter().enumerate().map(field).collect(),
        priority,
        action: forward(port),
        ..TableEntry::default()
    }
}

fn exact(value: &[u8]) -> MatchValue {
    MatchValue::Exact(value.to_vec())
}

fn lpm(value: &[u8], prefix_len: u32) -> MatchValue {
    MatchValue::Lpm {
        value: value.to_vec(),
        prefix_len,
    }
}

/// A NIC with this table, a register and a counter of four cells each.
struct Nic {
    directory: Directory,
    tables: Vec<Table>,
    externs: Externs,
}

const REGISTER: u32 = 21;
const COUNTER: u32 = 31;

impl Nic {
    fn new(table: Table) -> Nic {
        let registers = [RegisterDef {
            name: "r".into(),
            width: 12,
            size: 4,
        }];
        let counters = [CounterDef {
            name: "c".into(),
            size: 4,
        }];
        Nic {
            directory: Directory {
                tables: vec![(7, 0)],
                registers: vec![(REGISTER, 0)],
                counters: vec![(COUNTER, 0)],
            },
            tables: vec![table],
            externs: Externs::new(&registers, &counters),
        }
    }

    fn write(&mut self, updates: &[Update], atomicity: Atomicity) -> Vec<Result<(), UpdateError>> {
        let mut target = Target {
            directory: &self.directory,
            tables: &mut self.tables,
            externs: &mut self.externs,
        };
        target.write(updates, atomicity)
    }

    fn one(&mut self, kind: UpdateKind, entry: TableEntry) -> Result<(), UpdateError> {
        let updates = [update(kind, entry)];
        self.write(&updates, Atomicity::ContinueOnError).remove(0)
    }

    fn insert(&mut self, entry: TableEntry) -> Result<(), UpdateError> {
        self.one(UpdateKind::Insert, entry)
    }

    /// Port that a key is forwarded to.
    fn port(&self, key: &[u8]) -> Option<u8> {
        let table = &self.tables[0];
        let slot = table.find(&mut key.to_vec())?;
        Some(table.entry(slot).data[1])
    }

    fn read(&self) -> Vec<TableEntry> {
        let table = &self.tables[0];
        let entries = table.entries_from(0);
        entries
            .map(|(_, entry)| validate::to_runtime(&table.schema, entry))
            .collect()
    }
}

fn update(kind: UpdateKind, entry: TableEntry) -> Update {
    Update {
        kind,
        entity: Entity::TableEntry(entry),
    }
}

/// R7.3: exact entries are inserted, changed and deleted.
#[test]
fn exact_entries() {
    let mut nic = Nic::new(table(&[(MatchKind::Exact, 16), (MatchKind::Exact, 4)], 8));
    let key = |a: &[u8], b: u8| vec![exact(a), exact(&[b])];
    nic.insert(entry(key(&[1, 2], 3), 0, 5)).unwrap();
    assert_eq!(nic.port(&[1, 2, 3]), Some(5));
    assert_eq!(nic.port(&[1, 2, 4]), None);
    // Leading zeros do not make another value.
    let error = nic.insert(entry(key(&[0, 0, 1, 2], 3), 0, 6)).unwrap_err();
    assert_eq!(error.code, Code::AlreadyExists);
    nic.one(UpdateKind::Modify, entry(key(&[1, 2], 3), 0, 6))
        .unwrap();
    assert_eq!(nic.port(&[1, 2, 3]), Some(6));
    nic.one(UpdateKind::Delete, entry(key(&[1, 2], 3), 0, 0))
        .unwrap();
    assert_eq!(nic.port(&[1, 2, 3]), None);
    for kind in [UpdateKind::Delete, UpdateKind::Modify] {
        let error = nic.one(kind, entry(key(&[1, 2], 3), 0, 0)).unwrap_err();
        assert_eq!(error.code, Code::NotFound);
    }
}

/// The longest prefix wins; an absent field is the default route.
#[test]
fn longest_prefix_wins() {
    let mut nic = Nic::new(table(&[(MatchKind::Exact, 8), (MatchKind::Lpm, 12)], 8));
    let mut any = entry(vec![exact(&[1])], 0, 9);
    nic.insert(any.clone()).unwrap();
    nic.insert(entry(vec![exact(&[1]), lpm(&[0x0a, 0xb0], 8)], 0, 1))
        .unwrap();
    nic.insert(entry(vec![exact(&[1]), lpm(&[0x0a, 0xbc], 12)], 0, 2))
        .unwrap();
    nic.insert(entry(vec![exact(&[2]), lpm(&[0x08, 0x00], 1)], 0, 3))
        .unwrap();
    assert_eq!(nic.port(&[1, 0x0a, 0xbc]), Some(2));
    assert_eq!(nic.port(&[1, 0x0a, 0xbd]), Some(1));
    assert_eq!(nic.port(&[1, 0x0b, 0xbd]), Some(9));
    assert_eq!(nic.port(&[2, 0x0b, 0xbd]), Some(3));
    assert_eq!(nic.port(&[2, 0x01, 0xbd]), None);
    any.action = None;
    nic.one(UpdateKind::Delete, any).unwrap();
    assert_eq!(nic.port(&[1, 0x0b, 0xbd]), None);
    assert_eq!(nic.port(&[1, 0x0a, 0xbc]), Some(2));
}

/// The highest priority wins among all that match; the older one among equals.
#[test]
fn priorities() {
    let fields = [
        (MatchKind::Ternary, 16),
        (MatchKind::Range, 8),
        (MatchKind::Optional, 4),
    ];
    let mut nic = Nic::new(table(&fields, 8));
    let ternary = |value: &[u8], mask: &[u8]| MatchValue::Ternary {
        value: value.to_vec(),
        mask: mask.to_vec(),
    };
    let range = |low, high| MatchValue::Range {
        low: vec![low],
        high: vec![high],
    };
    let everything = entry(Vec::new(), 1, 1);
    nic.insert(everything).unwrap();
    nic.insert(entry(vec![ternary(&[0x12, 0], &[0xff, 0])], 20, 2))
        .unwrap();
    nic.insert(entry(
        vec![ternary(&[0x12, 0x34], &[0xff, 0xff]), range(10, 20)],
        10,
        3,
    ))
    .unwrap();
    let mut optional = entry(Vec::new(), 20, 4);
    optional.matches = vec![FieldMatch {
        field: 3,
        value: MatchValue::Optional(vec![7]),
    }];
    nic.insert(optional).unwrap();
    assert_eq!(nic.port(&[0x12, 0x34, 15, 0]), Some(2));
    assert_eq!(nic.port(&[0x12, 0x34, 15, 7]), Some(2), "the older one");
    assert_eq!(nic.port(&[0x11, 0x34, 15, 7]), Some(4));
    assert_eq!(nic.port(&[0x11, 0x34, 15, 6]), Some(1));
    // The same restrictions with another priority are another entry.
    nic.insert(entry(vec![ternary(&[0x12, 0], &[0xff, 0])], 30, 5))
        .unwrap();
    assert_eq!(nic.port(&[0x12, 0x34, 15, 0]), Some(5));
    nic.one(
        UpdateKind::Delete,
        entry(vec![ternary(&[0x12, 0], &[0xff, 0])], 30, 0),
    )
    .unwrap();
    nic.one(
        UpdateKind::Delete,
        entry(vec![ternary(&[0x12, 0], &[0xff, 0])], 20, 0),
    )
    .unwrap();
    assert_eq!(nic.port(&[0x12, 0x34, 15, 0]), Some(3));
    assert_eq!(nic.port(&[0x12, 0x34, 21, 0]), Some(1));
}

/// R6.6: entries that are not right are refused, and the message says what is wrong.
#[test]
fn wrong_entries_are_refused() {
    let plain = || table(&[(MatchKind::Exact, 12), (MatchKind::Lpm, 16)], 8);
    let good = || entry(vec![exact(&[1]), lpm(&[0x12, 0], 8)], 0, 1);
    let with = |change: &dyn Fn(&mut TableEntry)| {
        let mut entry = good();
        change(&mut entry);
        entry
    };
    let cases: Vec<(TableEntry, Code, &str)> = vec![
        (
            with(&|entry| entry.matches[0].value = exact(&[0x10, 0])),
            Code::InvalidArgument,
            "field f1: value 0x1000 does not fit 12 bits",
        ),
        (
            with(&|entry| entry.matches[0].value = exact(&[])),
            Code::InvalidArgument,
            "field f1: value is empty",
        ),
        (
            with(&|entry| entry.matches[0].field = 9),
            Code::InvalidArgument,
            "it has no match field 9",
        ),
        (
            with(&|entry| entry.matches[1].field = 1),
            Code::InvalidArgument,
            "field f1 is given twice",
        ),
        (
            with(&|entry| drop(entry.matches.remove(0))),
            Code::InvalidArgument,
            "exact field f1 is missing",
        ),
        (
            with(&|entry| entry.matches[0].value = lpm(&[1], 1)),
            Code::InvalidArgument,
            "field f1: it is matched as exact, not as lpm",
        ),
        (
            with(&|entry| entry.matches[1].value = lpm(&[0x12, 1], 8)),
            Code::InvalidArgument,
            "field f2: value 0x1201 has bits after the prefix of 8",
        ),
        (
            with(&|entry| entry.matches[1].value = lpm(&[0], 0)),
            Code::InvalidArgument,
            "prefix length 0 is not from 1 to 16",
        ),
        (
            with(&|entry| entry.matches[1].value = lpm(&[0], 17)),
            Code::InvalidArgument,
            "prefix length 17 is not from 1 to 16",
        ),
        (
            with(&|entry| entry.priority = 1),
            Code::InvalidArgument,
            "priority 1: the key allows none",
        ),
        (
            with(&|entry| entry.action = None),
            Code::InvalidArgument,
            "the entry has no action",
        ),
        (
            with(&|entry| entry.action.as_mut().unwrap().id = 99),
            Code::InvalidArgument,
            "action 0x63 is none of its actions",
        ),
        (
            with(&|entry| entry.action.as_mut().unwrap().id = 13),
            Code::PermissionDenied,
            "action nothing is allowed in the default entry only",
        ),
        (
            with(&|entry| drop(entry.action.as_mut().unwrap().params.pop())),
            Code::InvalidArgument,
            "action forward: parameter tag is missing",
        ),
        (
            with(&|entry| entry.action.as_mut().unwrap().params[1].0 = 1),
            Code::InvalidArgument,
            "action forward: parameter port is given twice",
        ),
        (
            with(&|entry| entry.action.as_mut().unwrap().params[1].0 = 5),
            Code::InvalidArgument,
            "action forward: it has no parameter 5",
        ),
        (
            with(&|entry| entry.action.as_mut().unwrap().params[0].1 = vec![2, 0]),
            Code::InvalidArgument,
            "action forward: parameter port: value 0x0200 does not fit 9 bits",
        ),
        (
            with(&|entry| entry.table = 8),
            Code::NotFound,
            "there is no table 0x8",
        ),
    ];
    for (entry, code, message) in cases {
        let mut nic = Nic::new(plain());
        let error = nic.insert(entry.clone()).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(message), "{error}: {message}");
        assert!(nic.read().is_empty());
    }
    let mut nic = Nic::new(table(&[(MatchKind::Ternary, 8)], 8));
    let error = nic.insert(entry(Vec::new(), 0, 1)).unwrap_err();
    assert!(error.message.contains("priority 0"), "{error}");
    let ternary = |value, mask| MatchValue::Ternary {
        value: vec![value],
        mask: vec![mask],
    };
    let error = nic.insert(entry(vec![ternary(3, 1)], 1, 1)).unwrap_err();
    assert!(
        error.message.contains("0x03 has bits outside of mask 0x01"),
        "{error}"
    );
    let error = nic.insert(entry(vec![ternary(0, 0)], 1, 1)).unwrap_err();
    assert!(error.message.contains("mask is 0"), "{error}");
}

/// R7.3: a table takes as many entries as it says, and tells so.
#[test]
fn a_full_table_says_so() {
    let mut nic = Nic::new(table(&[(MatchKind::Exact, 8)], 2));
    for value in 0..2 {
        nic.insert(entry(vec![exact(&[value])], 0, 1)).unwrap();
    }
    let error = nic.insert(entry(vec![exact(&[2])], 0, 1)).unwrap_err();
    assert_eq!(error.code, Code::ResourceExhausted);
    assert_eq!(error.message, "table t: full: 2 of 2 entries are used");
    nic.one(UpdateKind::Delete, entry(vec![exact(&[0])], 0, 1))
        .unwrap();
    nic.insert(entry(vec![exact(&[2])], 0, 1)).unwrap();
}

#[test]
fn default_entries() {
    let mut nic = Nic::new(table(&[(MatchKind::Exact, 8)], 2));
    let default = |action| TableEntry {
        table: 7,
        action,
        is_default: true,
        ..TableEntry::default()
    };
    let error = nic.insert(default(forward(1))).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
    let table_only = Some(Action {
        id: 12,
        params: Vec::new(),
    });
    let error = nic
        .one(UpdateKind::Modify, default(table_only))
        .unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    nic.one(UpdateKind::Modify, default(forward(3))).unwrap();
    assert_eq!(nic.tables[0].default.action, Some(0));
    nic.one(UpdateKind::Modify, default(None)).unwrap();
    assert_eq!(nic.tables[0].default.action, Some(2), "as the program says");

    nic.tables[0].schema.constant_default = true;
    let error = nic
        .one(UpdateKind::Modify, default(forward(3)))
        .unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    nic.tables[0].schema.constant = true;
    let error = nic.insert(entry(vec![exact(&[0])], 0, 1)).unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
}

fn register(index: u32, value: &[u8]) -> Update {
    let entity = Entity::Register {
        register: REGISTER,
        index,
        value: value.to_vec(),
    };
    Update {
        kind: UpdateKind::Modify,
        entity,
    }
}

fn counter(index: u32, packets: u64) -> Update {
    let data = CounterData { packets, bytes: 1 };
    let entity = Entity::Counter {
        counter: COUNTER,
        index,
        data,
    };
    Update {
        kind: UpdateKind::Modify,
        entity,
    }
}

#[test]
fn registers_and_counters() {
    let mut nic = Nic::new(table(&[(MatchKind::Exact, 8)], 2));
    let good = [register(3, &[0, 0x0f, 0xff]), counter(3, 9)];
    for result in nic.write(&good, Atomicity::ContinueOnError) {
        result.unwrap();
    }
    assert_eq!(nic.externs.read_register(0, 3), 0xfff);
    assert_eq!(nic.externs.counter(0)[3].packets, 9);
    let mut insert = register(0, &[1]);
    insert.kind = UpdateKind::Insert;
    for bad in [
        register(4, &[1]),
        register(0, &[0x10, 0]),
        counter(4, 1),
        insert,
    ] {
        let error = nic.write(&[bad], Atomicity::ContinueOnError).remove(0);
        assert_eq!(error.unwrap_err().code, Code::InvalidArgument);
    }
}

/// R7.3: all classes of atomicity, with updates of every kind before the one that fails.
#[test]
fn batches() {
    let key = |value: u8| vec![exact(&[value])];
    let default = TableEntry {
        table: 7,
        action: forward(3),
        is_default: true,
        ..TableEntry::default()
    };
    let batch = [
        update(UpdateKind::Insert, entry(key(2), 0, 2)),
        update(UpdateKind::Modify, entry(key(1), 0, 9)),
        update(UpdateKind::Delete, entry(key(1), 0, 0)),
        update(UpdateKind::Insert, entry(key(1), 0, 8)),
        update(UpdateKind::Modify, default),
        register(1, &[7]),
        counter(1, 7),
        update(UpdateKind::Insert, entry(key(2), 0, 2)),
        update(UpdateKind::Insert, entry(key(3), 0, 3)),
    ];
    for atomicity in [
        Atomicity::ContinueOnError,
        Atomicity::RollbackOnError,
        Atomicity::DataplaneAtomic,
    ] {
        let mut nic = Nic::new(table(&[(MatchKind::Exact, 8)], 8));
        let mut first = entry(key(1), 0, 1);
        first.counter = Some(CounterData {
            packets: 5,
            bytes: 6,
        });
        nic.insert(first).unwrap();
        let (before, default_before) = (nic.read(), nic.tables[0].default.clone());

        let results = nic.write(&batch, atomicity);
        let codes: Vec<Option<Code>> = results
            .iter()
            .map(|result| result.as_ref().err().map(|error| error.code))
            .collect();
        assert_eq!(codes[7], Some(Code::AlreadyExists));
        if atomicity == Atomicity::ContinueOnError {
            assert!(
                codes
                    .iter()
                    .enumerate()
                    .all(|(at, code)| at == 7 || code.is_none())
            );
            assert_eq!((nic.port(&[1]), nic.port(&[3])), (Some(8), Some(3)));
            assert_eq!(nic.externs.read_register(0, 1), 7);
        } else {
            let aborted = Some(Code::Aborted);
            assert!(
                codes
                    .iter()
                    .enumerate()
                    .all(|(at, code)| at == 7 || *code == aborted)
            );
            assert_eq!(nic.read(), before);
            assert_eq!(nic.tables[0].default, default_before);
            assert_eq!(nic.externs.read_register(0, 1), 0);
            assert_eq!(nic.externs.counter(0)[1], CounterData::default());
            let results = nic.write(&batch[..7], atomicity);
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        }
    }
}

#[test]
fn direct_counters_count_hits_and_misses() {
    let mut nic = Nic::new(table(&[(MatchKind::Exact, 8)], 8));
    nic.insert(entry(vec![exact(&[1])], 0, 1)).unwrap();
    let slot = nic.tables[0].find(&mut [1]);
    nic.tables[0].count(slot, 60);
    nic.tables[0].count(slot, 40);
    nic.tables[0].count(None, 9);
    let counted = CounterData {
        packets: 2,
        bytes: 100,
    };
    assert_eq!(nic.read()[0].counter, Some(counted));
    assert_eq!(nic.tables[0].default.counter.bytes, 9);
    // A change of the action keeps the count.
    nic.one(UpdateKind::Modify, entry(vec![exact(&[1])], 0, 2))
        .unwrap();
    assert_eq!(nic.read()[0].counter, Some(counted));
}

/// One restriction of a field of 12 bits for each kind; small values, so that entries meet.
fn restriction(kind: MatchKind) -> BoxedStrategy<Option<MatchValue>> {
    let bytes = |value: u16| value.to_be_bytes().to_vec();
    let value = prop_oneof![0u16..4, 0xffcu16..0x1000];
    match kind {
        MatchKind::Exact => value
            .prop_map(move |v| Some(MatchValue::Exact(bytes(v))))
            .boxed(),
        MatchKind::Optional => {
            proptest::option::of(value.prop_map(move |v| MatchValue::Optional(bytes(v)))).boxed()
        }
        MatchKind::Lpm => (value, 0u32..=12)
            .prop_map(move |(v, prefix_len)| {
                let mask = 0xfffu16 & !(0xfffu16 >> prefix_len);
                let value = bytes(v & mask);
                (prefix_len > 0).then_some(MatchValue::Lpm { value, prefix_len })
            })
            .boxed(),
        MatchKind::Ternary => (value.clone(), value)
            .prop_map(move |(v, mask)| {
                let value = bytes(v & mask);
                (mask > 0).then(|| MatchValue::Ternary {
                    value,
                    mask: bytes(mask),
                })
            })
            .boxed(),
        MatchKind::Range => (value.clone(), value)
            .prop_map(move |(a, b)| {
                let (low, high) = (a.min(b), a.max(b));
                let all = (low, high) == (0, 0xfff);
                (!all).then(|| MatchValue::Range {
                    low: bytes(low),
                    high: bytes(high),
                })
            })
            .boxed(),
    }
}

fn number(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u16::from(byte))
}

/// Whether a value satisfies a restriction: the definition, without any table.
fn satisfies(value: u16, restriction: &MatchValue) -> bool {
    match restriction {
        MatchValue::Exact(v) | MatchValue::Optional(v) => value == number(v),
        MatchValue::Lpm {
            value: v,
            prefix_len,
        } => value >> (12 - prefix_len) == number(v) >> (12 - prefix_len),
        MatchValue::Ternary { value: v, mask } => value & number(mask) == number(v),
        MatchValue::Range { low, high } => (number(low)..=number(high)).contains(&value),
    }
}

fn prefix(entry: &TableEntry) -> u32 {
    let prefixes = entry.matches.iter().map(|given| match given.value {
        MatchValue::Lpm { prefix_len, .. } => prefix_len,
        _ => 0,
    });
    prefixes.max().unwrap_or(0)
}

/// Random entries of a table with two fields against a list that is searched from end to end.
fn check_against_list(
    kinds: [MatchKind; 2],
    entries: &[([Option<MatchValue>; 2], i32, bool)],
) -> Result<(), TestCaseError> {
    let mut nic = Nic::new(table(&kinds.map(|kind| (kind, 12)), 1000));
    let ordered = kinds.iter().any(|kind| kind.needs_priority());
    let mut list: Vec<TableEntry> = Vec::new();
    for (port, (fields, priority, delete)) in entries.iter().enumerate() {
        let mut new = entry(Vec::new(), if ordered { *priority } else { 0 }, port as u8);
        for (at, value) in fields.iter().enumerate() {
            if let Some(value) = value.clone() {
                new.matches.push(FieldMatch {
                    field: at as u32 + 1,
                    value,
                });
            }
        }
        let same = |old: &TableEntry| old.matches == new.matches && old.priority == new.priority;
        let known = list.iter().position(same);
        if *delete {
            let result = nic.one(UpdateKind::Delete, new.clone());
            prop_assert_eq!(result.is_ok(), known.is_some());
            if let Some(at) = known {
                list.remove(at);
            }
        } else {
            let result = nic.insert(new.clone());
            prop_assert_eq!(result.is_ok(), known.is_none());
            if known.is_none() {
                list.push(new);
            }
        }
    }
    for a in [0u16, 1, 2, 3, 5, 0x800, 0xffb, 0xffc, 0xffd, 0xffe, 0xfff] {
        for b in [0u16, 1, 3, 7, 0x7ff, 0xffc, 0xfff] {
            let hits = list.iter().filter(|entry| {
                let value = |field| if field == 1 { a } else { b };
                entry
                    .matches
                    .iter()
                    .all(|given| satisfies(value(given.field), &given.value))
            });
            // Of equals the first: `max_by_key` gives the last, so the order is turned.
            let hits: Vec<&TableEntry> = hits.collect();
            let best = hits.iter().rev().max_by_key(|entry| match ordered {
                true => entry.priority,
                false => prefix(entry) as i32,
            });
            let expected = best.map(|entry| entry.action.as_ref().unwrap().params[0].1[0]);
            let key = [a.to_be_bytes(), b.to_be_bytes()].concat();
            prop_assert_eq!(nic.port(&key), expected, "key {:#x} {:#x}", a, b);
        }
    }
    // What was written comes back, in canonical form.
    let canonical = |mut entries: Vec<TableEntry>| {
        for entry in &mut entries {
            entry.counter = None;
            for given in &mut entry.matches {
                let short = |bytes: &mut Vec<u8>| {
                    *bytes = flownic_pipeline::entity::canonical(bytes).to_vec();
                };
                match &mut given.value {
                    MatchValue::Exact(v) | MatchValue::Optional(v) => short(v),
                    MatchValue::Lpm { value, .. } => short(value),
                    MatchValue::Ternary { value: v, mask: w }
                    | MatchValue::Range { low: v, high: w } => {
                        short(v);
                        short(w);
                    }
                }
            }
        }
        entries.sort_by_key(|entry| format!("{entry:?}"));
        entries
    };
    prop_assert_eq!(canonical(nic.read()), canonical(list));
    Ok(())
}

fn entries(
    kinds: [MatchKind; 2],
) -> impl Strategy<Value = Vec<([Option<MatchValue>; 2], i32, bool)>> {
    let [a, b] = kinds.map(restriction);
    let entry = ((a, b), 1..4, proptest::bool::weighted(0.3));
    let entry = entry.prop_map(|((a, b), priority, delete)| ([a, b], priority, delete));
    proptest::collection::vec(entry, 0..60)
}

macro_rules! against_list {
    ($($name:ident: $a:ident $b:ident;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(150))]
            $(
                #[test]
                fn $name(entries in entries([MatchKind::$a, MatchKind::$b])) {
                    check_against_list([MatchKind::$a, MatchKind::$b], &entries)?;
                }
            )*
        }
    };
}

against_list! {
    exact_and_lpm_find_what_a_list_finds: Exact Lpm;
    ternary_and_exact_find_what_a_list_finds: Ternary Exact;
    range_and_optional_find_what_a_list_finds: Range Optional;
    lpm_and_ternary_find_what_a_list_finds: Lpm Ternary;
}
