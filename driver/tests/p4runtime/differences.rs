//! Where the reference switch and our pipeline in software answer a write in different ways. Both
//! get the same updates in the same order; what differs is written down here, and nowhere else.

use flownic_driver::Nic;
use flownic_driver::p4runtime::P4RuntimeNic;
use flownic_pipeline::entity::{
    Atomicity, Code, CounterData, Entity, MatchValue, TableEntry, Update, UpdateKind,
};
use flownic_pipeline::p4info::P4Info;
use flownic_softnic::{Engine, Options};

use crate::bmv2::{VM_IP, VM_MAC, entry, update};

/// What both say, or what each says.
#[derive(Debug, PartialEq)]
enum Answer {
    Both(Option<Code>),
    Differ {
        switch: Option<Code>,
        ours: Option<Code>,
    },
}

use Answer::{Both, Differ};

struct Case {
    what: &'static str,
    update: Update,
    expected: Answer,
}

/// Runs all cases on both, and compares what they say with what is known.
pub async fn compare(nic: &P4RuntimeNic, json: &[u8], p4info: &P4Info) {
    let mut engine = Engine::load(json, p4info.clone(), &Options::default()).unwrap();
    // The switch has these already.
    for table in &p4info.tables {
        for mut entry in nic.read_table(table.preamble.id).await.unwrap() {
            entry.counter = None;
            let update = [update(UpdateKind::Insert, &entry)];
            let results = engine.write(&update, Atomicity::ContinueOnError);
            assert_eq!(results, [Ok(())]);
        }
    }
    let mut surprises = Vec::new();
    for case in cases(nic) {
        let update = [case.update];
        let code = |results: Vec<Result<(), flownic_pipeline::entity::UpdateError>>| {
            results[0].as_ref().err().map(|error| error.code)
        };
        let switch = nic
            .write(&update, Atomicity::ContinueOnError)
            .await
            .unwrap();
        let ours = engine.write(&update, Atomicity::ContinueOnError);
        let messages = format!("{switch:?} / {ours:?}");
        let answer = match (code(switch), code(ours)) {
            (switch, ours) if switch == ours => Both(switch),
            (switch, ours) => Differ { switch, ours },
        };
        if answer != case.expected {
            surprises.push(format!("{}: {messages}", case.what));
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
    for table in &p4info.tables {
        let id = table.preamble.id;
        let switch = nic.read_table(id).await.unwrap();
        let (ours, _) = engine.read_table(id, 0, usize::MAX).unwrap();
        assert_eq!(sorted(switch), sorted(ours), "{}", table.preamble.name);
    }
}

fn sorted(mut entries: Vec<TableEntry>) -> Vec<TableEntry> {
    entries.sort_by_key(|entry| format!("{entry:?}"));
    entries
}

fn cases(nic: &P4RuntimeNic) -> Vec<Case> {
    let mut cases = keys(nic);
    cases.extend(actions(nic));
    cases.extend(others(nic));
    cases
}

fn differ(switch: Option<Code>, ours: Code) -> Answer {
    Differ {
        switch,
        ours: Some(ours),
    }
}

fn insert(what: &'static str, entry: &TableEntry, expected: Answer) -> Case {
    Case {
        what,
        update: update(UpdateKind::Insert, entry),
        expected,
    }
}

fn keys(nic: &P4RuntimeNic) -> Vec<Case> {
    let source = |address| entry(nic, "vf_ipv4", &[18, 0, address], "NoAction", &[]);
    let prefix = |value: &[u8], prefix_len| {
        let mut entry = source(0);
        entry.matches[2].value = MatchValue::Lpm {
            value: value.to_vec(),
            prefix_len,
        };
        entry
    };
    let mac = entry(nic, "vf_mac", &[18, 0, VM_MAC], "NoAction", &[]);
    let change = |entry: &TableEntry, change: &dyn Fn(&mut TableEntry)| {
        let mut entry = entry.clone();
        change(&mut entry);
        entry
    };
    let refused = Some(Code::InvalidArgument);
    vec![
        insert("a host", &source(VM_IP), Both(None)),
        insert("a prefix", &prefix(&[10, 1, 0, 0], 16), Both(None)),
        insert(
            "the same prefix",
            &prefix(&[10, 1, 0, 0], 16),
            Both(Some(Code::AlreadyExists)),
        ),
        insert(
            "bits beyond the prefix",
            &prefix(&[10, 2, 0, 1], 16),
            Both(refused),
        ),
        insert("a prefix of no bits", &prefix(&[0], 0), Both(refused)),
        insert(
            "a prefix of too many bits",
            &prefix(&[10, 2, 0, 1], 33),
            Both(refused),
        ),
        insert(
            "no prefix: any",
            &change(&source(0), &|e| drop(e.matches.pop())),
            Both(None),
        ),
        insert(
            "a missing exact field",
            &change(&mac, &|e| drop(e.matches.pop())),
            Both(refused),
        ),
        insert(
            "a field twice",
            &change(&mac, &|e| e.matches[0] = e.matches[1].clone()),
            Both(refused),
        ),
        insert(
            "an unknown field",
            &change(&mac, &|e| e.matches[0].field = 9),
            Both(refused),
        ),
        insert(
            "fields in another order",
            &change(&mac, &|e| e.matches.reverse()),
            Both(None),
        ),
        insert(
            "a priority without need",
            &change(&source(1), &|e| e.priority = 3),
            Both(refused),
        ),
        insert(
            "another kind of match",
            &change(&source(1), &|e| {
                e.matches[2].value = MatchValue::Exact(vec![1])
            }),
            Both(refused),
        ),
        insert(
            "leading zeros",
            &change(&source(2), &|e| {
                e.matches[1].value = MatchValue::Exact(vec![0, 0, 0, 7]);
            }),
            Both(None),
        ),
    ]
}

/// Parameters of an action.
type Params = Vec<(u32, Vec<u8>)>;

fn actions(nic: &P4RuntimeNic) -> Vec<Case> {
    let attach = |key| entry(nic, "vf_attach", &[18, key], "attach", &[("vni", 7)]);
    let change = |key, change: &dyn Fn(&mut TableEntry)| {
        let mut entry = attach(key);
        change(&mut entry);
        entry
    };
    let params = |change: &dyn Fn(&mut Params)| {
        let mut entry = attach(1);
        change(&mut entry.action.as_mut().unwrap().params);
        entry
    };
    // The switch counts the parameters only; the other one is then 0.
    let mut twice = params(&|p| p[0] = p[1].clone());
    twice.matches[1].value = MatchValue::Exact(vec![5]);
    let refused = Some(Code::InvalidArgument);
    let action = |name: &str| nic.p4info().action(name).unwrap().preamble.id;
    let set = |name: &str, id| {
        let name = action(name);
        change(id, &|e| e.action.as_mut().unwrap().id = name)
    };
    let mut only_default = attach(1);
    only_default.action = Some(flownic_pipeline::entity::Action {
        id: action("NoAction"),
        params: Vec::new(),
    });
    vec![
        insert("no action", &change(1, &|e| e.action = None), Both(refused)),
        insert(
            "a missing parameter",
            &params(&|p| drop(p.pop())),
            Both(refused),
        ),
        insert(
            "an unknown parameter",
            &params(&|p| p[0].0 = 9),
            Both(refused),
        ),
        insert(
            "a parameter twice",
            &twice,
            differ(None, Code::InvalidArgument),
        ),
        Case {
            what: "delete what should not be there",
            update: update(UpdateKind::Delete, &twice),
            expected: differ(None, Code::NotFound),
        },
        insert(
            "a wide parameter",
            &params(&|p| p[0].1 = vec![1, 0, 0, 0]),
            Both(refused),
        ),
        insert("another table's action", &set("to_vf", 1), Both(refused)),
        insert(
            "an action for the default only",
            &only_default,
            Both(Some(Code::PermissionDenied)),
        ),
        Case {
            what: "delete without an action",
            update: update(UpdateKind::Delete, &change(1, &|e| e.action = None)),
            expected: Both(Some(Code::NotFound)),
        },
        insert(
            "parameters in another order",
            &params(&|p| p.reverse()),
            Both(None),
        ),
        Case {
            what: "modify without an action",
            update: update(UpdateKind::Modify, &change(1, &|e| e.action = None)),
            expected: Both(refused),
        },
    ]
}

fn others(nic: &P4RuntimeNic) -> Vec<Case> {
    let table = |name: &str| nic.p4info().table(name).unwrap().preamble.id;
    let default = |kind| {
        let entry = TableEntry {
            table: table("vf_attach"),
            is_default: true,
            action: entry(nic, "vf_attach", &[0, 0], "attach", &[]).action,
            ..Default::default()
        };
        update(kind, &entry)
    };
    let counter = |kind, index| Update {
        kind,
        entity: Entity::Counter {
            counter: nic.p4info().counter("drops").unwrap().preamble.id,
            index,
            data: CounterData::default(),
        },
    };
    let refused = Some(Code::InvalidArgument);
    let case = |what, update, expected| Case {
        what,
        update,
        expected,
    };
    let mut unknown = entry(nic, "port_map", &[1], "vf", &[]);
    unknown.table = 0x02ff_ffff;
    let mut cases = vec![
        insert(
            "an unknown table",
            &unknown,
            differ(refused, Code::NotFound),
        ),
        case(
            "insert a default entry",
            default(UpdateKind::Insert),
            Both(refused),
        ),
        case(
            "delete a default entry",
            default(UpdateKind::Delete),
            Both(refused),
        ),
        case(
            "a constant default entry",
            default(UpdateKind::Modify),
            Both(Some(Code::PermissionDenied)),
        ),
        case("a counter", counter(UpdateKind::Modify, 9), Both(None)),
        case(
            "insert a counter",
            counter(UpdateKind::Insert, 9),
            Both(refused),
        ),
        case(
            "delete a counter",
            counter(UpdateKind::Delete, 9),
            differ(None, Code::InvalidArgument),
        ),
        case(
            "a counter beyond the array",
            counter(UpdateKind::Modify, 1 << 20),
            differ(Some(Code::Internal), Code::InvalidArgument),
        ),
    ];
    // 64 entries fit.
    let own = nic.p4info().table("tunnel_termination").unwrap();
    assert_eq!(own.size, 64);
    let name = &own.preamble.name;
    let action = nic.p4info().action_by_id(own.action_refs[0].id).unwrap();
    for n in 1..=65 {
        let entry = entry(nic, name, &[n], &action.preamble.name, &[]);
        let expected = match n {
            65 => differ(Some(Code::Internal), Code::ResourceExhausted),
            _ => Both(None),
        };
        cases.push(insert("an entry of a small table", &entry, expected));
    }
    cases
}
