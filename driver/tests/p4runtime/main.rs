//! R7.2, R7.3: any P4Runtime target as a NIC. Tier 1 against a target in this process; tier 4
//! against `simple_switch_grpc` where it is on the PATH.

mod bmv2;
mod differences;
mod fake;
mod program;

use std::time::{Duration, Instant};

use fake::{Habits, Target};
use flownic_api::p4::v1::{self as proto, stream_message_response};
use flownic_driver::p4runtime::{self, P4RuntimeError, P4RuntimeNic};
use flownic_driver::{Nic, NicError, PacketIn, PacketOut};
use flownic_pipeline::entity::{
    Atomicity, Code, CounterData, Entity, TableEntry, Update, UpdateKind,
};
use program::{FLOWS, PACKETS, RULES, VERSIONS, action, exact, flow, p4info, rule, update};

async fn open(target: &Target) -> P4RuntimeNic {
    p4runtime::open_with_pipeline(&target.address(), &p4info(), b"{}")
        .await
        .unwrap()
}

fn reason(error: NicError) -> P4RuntimeError {
    match error {
        NicError::P4Runtime(error) => error,
        other => panic!("another error: {other:?}"),
    }
}

async fn insert(nic: &P4RuntimeNic, entries: &[TableEntry]) {
    let updates: Vec<_> = entries
        .iter()
        .map(|entry| update(UpdateKind::Insert, entry.clone()))
        .collect();
    let results = nic.write(&updates, Atomicity::ContinueOnError).await;
    assert!(results.unwrap().iter().all(Result::is_ok));
}

/// R7.2: the target is what its program says, and keeps it and its entries for the next driver.
#[tokio::test]
async fn r7_2_a_target_is_opened_with_a_program_and_keeps_it() {
    let target = Target::start(Habits::default());
    let error = p4runtime::open(&target.address()).await.unwrap_err();
    assert_eq!(reason(error), P4RuntimeError::NoPipeline);

    let nic = open(&target).await;
    assert_eq!(*nic.p4info(), p4info());
    assert_eq!(nic.info().firmware, "small 3 v1model (P4Runtime 1.4.1)");
    assert_eq!(
        nic.info().pipeline_cookie,
        p4runtime::cookie(&p4info(), b"{}")
    );
    assert_eq!(nic.info().address, target.address());
    insert(&nic, &[flow(1)]).await;
    nic.health().await.unwrap();
    drop(nic);

    for _ in 0..2 {
        let nic = reopen(&target, b"{}").await;
        assert_eq!(nic.read_table(FLOWS).await.unwrap().len(), 1);
    }
    assert_eq!(target.loads(), 1);
    let nic = reopen(&target, b"{ }").await;
    assert_eq!(target.loads(), 2);
    assert_eq!(nic.read_table(FLOWS).await.unwrap(), []);
}

/// Opens a target that may not have noticed yet that the last session has ended.
async fn reopen(target: &Target, device_config: &[u8]) -> P4RuntimeNic {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let address = target.address();
        let opened = p4runtime::open_with_pipeline(&address, &p4info(), device_config).await;
        match opened {
            Ok(nic) => return nic,
            Err(NicError::P4Runtime(P4RuntimeError::ElectionId { .. }))
                if Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// R7.3: what is written is read back equal, even from a target that pads and reorders.
#[tokio::test]
async fn r7_3_entries_are_read_back_as_they_were_written() {
    let target = Target::start(Habits {
        padded: true,
        ..Default::default()
    });
    let nic = open(&target).await;
    insert(&nic, &[flow(1), flow(300), rule(10)]).await;

    let mut flows = nic.read_table(FLOWS).await.unwrap();
    let counted = Some(CounterData {
        packets: 10,
        bytes: 640,
    });
    flows.sort_by_key(|entry| format!("{:?}", entry.matches));
    assert_eq!(flows.len(), 2);
    for entry in [flow(1), flow(300)] {
        let counter = counted;
        let expected = TableEntry { counter, ..entry };
        assert!(flows.contains(&expected), "{flows:?}");
    }
    assert_eq!(nic.read_table(RULES).await.unwrap(), [rule(10)]);

    let changed = TableEntry {
        action: Some(action(9)),
        ..flow(1)
    };
    let updates = [
        update(UpdateKind::Modify, changed.clone()),
        update(
            UpdateKind::Delete,
            TableEntry {
                action: None,
                ..flow(300)
            },
        ),
    ];
    let results = nic
        .write(&updates, Atomicity::ContinueOnError)
        .await
        .unwrap();
    assert_eq!(results, [Ok(()), Ok(())]);
    let flows = nic.read_table(FLOWS).await.unwrap();
    let expected = TableEntry {
        counter: counted,
        ..changed
    };
    assert_eq!(flows, [expected]);

    let uses = nic.table_use().await.unwrap();
    let uses: Vec<_> = uses.iter().map(|u| (u.table, u.used, u.size)).collect();
    assert_eq!(uses, [(FLOWS, 1, 4000), (RULES, 1, 4)]);
}

/// R7.3: the default entry is set, read, and no entry of the table.
#[tokio::test]
async fn r7_3_default_entries() {
    let target = Target::start(Habits::default());
    let nic = open(&target).await;
    let default = TableEntry {
        table: RULES,
        action: Some(action(1)),
        is_default: true,
        ..Default::default()
    };
    let set = [update(UpdateKind::Modify, default.clone())];
    let results = nic.write(&set, Atomicity::ContinueOnError).await.unwrap();
    assert_eq!(results, [Ok(())]);
    assert_eq!(nic.read_default_entry(RULES).await.unwrap(), Some(default));
    assert_eq!(nic.read_table(RULES).await.unwrap(), []);
    assert_eq!(nic.table_use().await.unwrap()[1].used, 0);
}

/// R7.3: each update of a large batch has its own result, in its place.
#[tokio::test]
async fn r7_3_each_update_has_its_result() {
    let target = Target::start(Habits::default());
    let nic = open(&target).await;
    insert(&nic, &[flow(77)]).await;
    let mut updates: Vec<_> = (0..2500)
        .map(|n| update(UpdateKind::Insert, flow(n)))
        .collect();
    updates[5].kind = UpdateKind::Delete;
    updates[1500] = update(
        UpdateKind::Insert,
        TableEntry {
            table: 9,
            ..flow(0)
        },
    );
    updates[2499] = update(
        UpdateKind::Insert,
        TableEntry {
            matches: vec![exact(1, &[1, 2, 3])],
            ..flow(0)
        },
    );
    updates.push(Update {
        kind: UpdateKind::Modify,
        entity: Entity::Counter {
            counter: PACKETS,
            index: 0,
            data: CounterData {
                packets: u64::MAX,
                bytes: 0,
            },
        },
    });
    let results = nic
        .write(&updates, Atomicity::ContinueOnError)
        .await
        .unwrap();
    assert_eq!(results.len(), updates.len());
    let failed: Vec<_> = results
        .iter()
        .enumerate()
        .filter_map(|(place, result)| Some((place, result.as_ref().err()?.code)))
        .collect();
    let expected = [
        (5, Code::NotFound),
        (77, Code::AlreadyExists),
        (1500, Code::NotFound),
        (2499, Code::InvalidArgument),
        (2500, Code::InvalidArgument),
    ];
    assert_eq!(failed, expected);
    assert_eq!(target.entries(), 2500 - 3);
    assert!(target.largest_batch() <= 1000);
    let error = results[77].clone().unwrap_err();
    assert_eq!(error.message, "it is there [fake]");

    let rules: Vec<_> = (1..=6)
        .map(|n| update(UpdateKind::Insert, rule(n)))
        .collect();
    let results = nic.write(&rules, Atomicity::ContinueOnError).await.unwrap();
    let codes = results.iter().map(|r| r.as_ref().err().map(|e| e.code));
    let full = Some(Code::ResourceExhausted);
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [None, None, None, None, full, full]
    );
}

/// R7.3: an atomic batch is done or not, and a target without atomic batches says so.
#[tokio::test]
async fn r7_3_atomic_batches_are_all_or_nothing() {
    let target = Target::start(Habits {
        atomic: true,
        ..Default::default()
    });
    let nic = open(&target).await;
    let good = [
        update(UpdateKind::Insert, flow(1)),
        update(UpdateKind::Insert, flow(2)),
    ];
    let bad = [
        update(UpdateKind::Insert, flow(3)),
        update(UpdateKind::Insert, flow(1)),
    ];
    for atomicity in [Atomicity::RollbackOnError, Atomicity::DataplaneAtomic] {
        let results = nic.write(&good, atomicity).await.unwrap();
        assert_eq!(results, [Ok(()), Ok(())]);
        let results = nic.write(&bad, atomicity).await.unwrap();
        let codes = results.into_iter().map(|result| result.unwrap_err().code);
        assert_eq!(
            codes.collect::<Vec<_>>(),
            [Code::Aborted, Code::AlreadyExists]
        );
        assert_eq!(target.entries(), 2);
        let undo = good.clone().map(|mut update| {
            update.kind = UpdateKind::Delete;
            update
        });
        let results = nic.write(&undo, atomicity).await.unwrap();
        assert_eq!(results, [Ok(()), Ok(())]);
    }
    target.set_habits(Habits::default());
    let results = nic.write(&good, Atomicity::RollbackOnError).await.unwrap();
    let codes = results.into_iter().map(|result| result.unwrap_err().code);
    assert_eq!(codes.collect::<Vec<_>>(), [Code::Unimplemented; 2]);
    assert_eq!(target.entries(), 0);
    assert_eq!(
        nic.write(&[], Atomicity::DataplaneAtomic).await.unwrap(),
        []
    );
}

/// R7.3: cells of counters and registers, more than fit into one request.
#[tokio::test]
async fn r7_3_counters_and_registers() {
    let target = Target::start(Habits {
        registers: true,
        ..Default::default()
    });
    let nic = open(&target).await;
    target.set_counter(PACKETS, 3000, 5, 700);
    let counters = nic.read_counters(PACKETS, 1000, 2500).await.unwrap();
    assert_eq!(counters.len(), 2500);
    let expected = CounterData {
        packets: 5,
        bytes: 700,
    };
    assert_eq!(counters[2000], expected);
    assert_eq!(counters.iter().filter(|c| c.packets != 0).count(), 1);

    let register = |index, value: &[u8]| Update {
        kind: UpdateKind::Modify,
        entity: Entity::Register {
            register: VERSIONS,
            index,
            value: value.to_vec(),
        },
    };
    let updates = [register(8, &[1, 0]), register(9, &[0, 0, 0, 7])];
    let results = nic
        .write(&updates, Atomicity::ContinueOnError)
        .await
        .unwrap();
    assert_eq!(results, [Ok(()), Ok(())]);
    let cells = nic.read_registers(VERSIONS, 7, 3).await.unwrap();
    assert_eq!(cells, [vec![0], vec![1, 0], vec![7]]);

    target.set_habits(Habits::default());
    let error = reason(nic.read_registers(VERSIONS, 0, 1).await.unwrap_err());
    assert!(error.to_string().contains("no registers here"), "{error}");
    assert!(matches!(error, P4RuntimeError::Unsupported { .. }));
    let results = nic
        .write(&updates, Atomicity::ContinueOnError)
        .await
        .unwrap();
    let error = results[0].clone().unwrap_err();
    assert_eq!(error.code, Code::Unimplemented);
}

fn packet_out(port: u8, payload: &[u8]) -> PacketOut {
    PacketOut {
        metadata: vec![(2, vec![0]), (1, vec![0, port])],
        payload: payload.to_vec(),
    }
}

/// R7.2: packets go out and come in with their metadata; what does not fit the header does not.
#[tokio::test]
async fn r7_2_packets_with_metadata() {
    let target = Target::start(Habits::default());
    let nic = open(&target).await;
    nic.send(packet_out(16, b"frame")).await.unwrap();
    let expected = PacketIn {
        metadata: vec![(1, vec![16]), (2, vec![0])],
        payload: b"frame".to_vec(),
    };
    assert_eq!(nic.receive().await.unwrap(), expected);

    let mut wrong = packet_out(16, b"");
    wrong.metadata.pop();
    let error = nic.send(wrong).await.unwrap_err();
    assert!(matches!(error, NicError::Packet(_)), "{error:?}");

    nic.send(packet_out(16, b"refuse me")).await.unwrap();
    nic.send(packet_out(17, b"after")).await.unwrap();
    assert_eq!(nic.receive().await.unwrap().payload, b"after");
    assert_eq!(nic.stream_errors(), 1);
}

/// R7.2: giving up a receive loses no packet; packets that nobody takes are bounded and counted.
#[tokio::test]
async fn r7_2_receive_is_cancel_safe_and_bounded() {
    let target = Target::start(Habits::default());
    let nic = open(&target).await;
    for n in 0..50 {
        nic.send(packet_out(n, &[n])).await.unwrap();
        let mut got = None;
        while got.is_none() {
            let brief = tokio::time::timeout(Duration::from_micros(50), nic.receive());
            got = brief.await.ok();
        }
        assert_eq!(got.unwrap().unwrap().payload, [n]);
    }
    for _ in 0..1100 {
        let packet = proto::PacketIn::default();
        target.push(stream_message_response::Update::Packet(packet));
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while nic.packets_dropped() < 1100 - 1024 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(nic.packets_dropped(), 1100 - 1024);
}

/// R7.2: one controller writes; who is not it, or not any more, is told so.
#[tokio::test]
async fn r7_2_arbitration() {
    let target = Target::start(Habits::default());
    let address = format!("{}&election-id=5", target.address());
    let first = p4runtime::open_with_pipeline(&address, &p4info(), b"{}")
        .await
        .unwrap();

    let smaller = format!("{}&election-id=4", target.address());
    let error = reason(p4runtime::open(&smaller).await.unwrap_err());
    let primary = "election-id 5".to_owned();
    assert_eq!(error, P4RuntimeError::NotPrimary { primary });
    let error = reason(p4runtime::open(&address).await.unwrap_err());
    assert!(matches!(
        error,
        P4RuntimeError::ElectionId { election_id: 5, .. }
    ));

    let larger = format!("{}&election-id=36893488147419103232", target.address());
    let second = p4runtime::open(&larger).await.unwrap();
    insert(&second, &[flow(1)]).await;
    let updates = [update(UpdateKind::Insert, flow(2))];
    let result = first.write(&updates, Atomicity::ContinueOnError).await;
    let primary = format!("election-id {}", 1u128 << 65);
    assert_eq!(
        reason(result.unwrap_err()),
        P4RuntimeError::NotPrimary { primary }
    );
    let error = first.send(packet_out(1, b"")).await.unwrap_err();
    assert!(matches!(reason(error), P4RuntimeError::NotPrimary { .. }));
    assert_eq!(first.read_table(FLOWS).await.unwrap().len(), 1);
}

/// R7.4: a target that goes away is noticed by every call, and for good.
#[tokio::test]
async fn r7_4_a_lost_target_is_gone() {
    let target = Target::start(Habits::default());
    let nic = open(&target).await;
    nic.send(packet_out(1, b"last")).await.unwrap();
    let waiting = async {
        assert_eq!(nic.receive().await.unwrap().payload, b"last");
        nic.receive().await.unwrap_err()
    };
    let lost = tokio::time::timeout(Duration::from_secs(5), async {
        tokio::join!(waiting, async { drop_soon(target).await }).0
    });
    let error = lost.await.unwrap();
    assert!(matches!(error, NicError::DeviceGone { .. }), "{error:?}");
    let updates = [update(UpdateKind::Insert, flow(2))];
    let errors = [
        nic.write(&updates, Atomicity::ContinueOnError).await.err(),
        nic.read_table(FLOWS).await.err(),
        nic.read_counters(PACKETS, 0, 1).await.err(),
        nic.table_use().await.err(),
        nic.send(packet_out(1, b"")).await.err(),
        nic.health().await.err(),
        nic.receive().await.err(),
    ];
    for error in errors {
        assert!(
            matches!(error, Some(NicError::DeviceGone { .. })),
            "{error:?}"
        );
    }
}

/// Lets the other half of a test get into its waiting first.
async fn drop_soon(target: Target) {
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(target);
}

/// R7.4: a target that does not answer holds nobody up.
#[tokio::test]
async fn r7_4_every_call_has_a_deadline() {
    let target = Target::start(Habits::default());
    drop(open(&target).await);
    let address = format!("{}&election-id=2", target.impatient_address());
    let nic = p4runtime::open(&address).await.unwrap();
    target.set_habits(Habits {
        silent: true,
        undecided: true,
        ..Default::default()
    });
    let start = Instant::now();
    let updates = [update(UpdateKind::Insert, flow(2))];
    let another = format!("{}&election-id=3", target.impatient_address());
    let errors = tokio::join!(
        async { nic.write(&updates, Atomicity::ContinueOnError).await.err() },
        async { nic.read_table(FLOWS).await.err() },
        async { nic.read_registers(VERSIONS, 0, 1).await.err() },
        async { nic.table_use().await.err() },
        async { nic.health().await.err() },
        async { p4runtime::open(&another).await.err() },
    );
    let (a, b, c, d, e, f) = errors;
    for error in [a, b, c, d, e, f] {
        let error = reason(error.unwrap());
        assert!(matches!(error, P4RuntimeError::Timeout { .. }), "{error:?}");
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

/// R7.4: answers that make no sense are errors, not entries.
#[tokio::test]
async fn r7_4_malformed_answers_are_refused() {
    let target = Target::start(Habits {
        confused: true,
        ..Default::default()
    });
    let nic = open(&target).await;
    let errors = [
        nic.read_table(FLOWS).await.err(),
        nic.read_registers(VERSIONS, 0, 1).await.err(),
        nic.read_counters(PACKETS, 5, 1).await.err(),
        nic.table_use().await.err(),
    ];
    for error in errors {
        assert!(
            matches!(error, Some(NicError::Malformed { .. })),
            "{error:?}"
        );
    }
    target.set_habits(Habits {
        short_details: true,
        ..Default::default()
    });
    let updates = [2, 3].map(|n| update(UpdateKind::Delete, flow(n)));
    let error = nic.write(&updates, Atomicity::ContinueOnError).await.err();
    assert!(
        matches!(error, Some(NicError::Malformed { .. })),
        "{error:?}"
    );

    target.set_habits(Habits {
        no_details: true,
        ..Default::default()
    });
    let results = nic.write(&updates, Atomicity::ContinueOnError).await;
    let error = results.unwrap()[1].clone().unwrap_err();
    assert_eq!(error.message, "something of it is wrong");
    target.set_habits(Habits::default());
    let error = reason(nic.read_table(99).await.unwrap_err());
    assert!(error.to_string().contains("no such table"), "{error}");
}

/// R7.2: nobody there, and a program that the target does not take.
#[tokio::test]
async fn r7_2_opening_fails_with_the_reason() {
    let target = Target::start(Habits::default());
    let address = target.address();
    let error = p4runtime::open_with_pipeline(&address, &p4info(), b"").await;
    let error = reason(error.unwrap_err()).to_string();
    assert!(error.contains("an empty program"), "{error}");
    drop(target);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let error = p4runtime::open(&format!("p4runtime:{free}")).await;
    let error = reason(error.unwrap_err());
    assert!(
        matches!(error, P4RuntimeError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    let error = p4runtime::open("p4runtime:nowhere").await.unwrap_err();
    assert!(matches!(error, NicError::BadAddress { .. }), "{error:?}");
}
