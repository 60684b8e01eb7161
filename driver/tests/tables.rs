//! Table programming through the admin queue, against the software device.

mod support;

use std::sync::Arc;

use flownic_driver::{Nic, NicError, Options, TableUse};
use flownic_pipeline::entity::{
    Atomicity, Code, CounterData, Entity, TableEntry, Update, UpdateKind,
};
use support::{
    CELLS, COUNTER, P4INFO, REGISTER, Rig, Store, TABLE, TABLE_SIZE, delete, entry, insert, small,
    within,
};

fn codes(results: &[Result<(), flownic_pipeline::entity::UpdateError>]) -> Vec<Option<Code>> {
    results
        .iter()
        .map(|result| result.as_ref().err().map(|error| error.code))
        .collect()
}

/// R7.2: what the device says about itself arrives, over the address that a user writes.
#[tokio::test]
async fn identity_and_p4info_are_read_from_the_device() {
    within(async {
        let rig = Rig::new();
        let nic = flownic_driver::open(&rig.address()).await.expect("opens");
        let info = nic.info();
        let pci = info.pci.expect("is a PCI device");
        assert_eq!(
            (pci.vendor, pci.device, pci.serial),
            (0xf10c, 1, 0x0123_4567_89ab_cdef)
        );
        assert_eq!(
            (info.firmware.as_str(), info.pipeline_cookie),
            ("store 1.0", 77)
        );
        assert_eq!((info.limits.uplinks, info.limits.vfs), (1, 16));
        assert!(info.limits.batch >= 1 << 20);
        assert_eq!(nic.p4info().controller_packet_metadata.len(), 2);
        nic.health().await.expect("healthy");
    })
    .await;
}

/// R7.2: a P4Info of many pieces is whole.
#[tokio::test]
async fn a_long_p4info_is_read_in_pieces() {
    within(async {
        let mut p4info = P4INFO.as_bytes().to_vec();
        p4info.extend(std::iter::repeat_n(b' ', 300_000));
        let rig = Rig::with(Store {
            p4info,
            ..Store::default()
        });
        let nic = rig.open(small()).await.expect("opens");
        assert_eq!(nic.p4info().controller_packet_metadata.len(), 2);
    })
    .await;
}

/// R7.3: each update of a batch has a result of its own, and what was written is read back.
#[tokio::test]
async fn batches_are_applied_and_read_back() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let batch = [insert(1), insert(2), insert(1), delete(9), delete(2)];
        let results = nic
            .write(&batch, Atomicity::ContinueOnError)
            .await
            .expect("written");
        let expected = [
            None,
            None,
            Some(Code::AlreadyExists),
            Some(Code::NotFound),
            None,
        ];
        assert_eq!(codes(&results), expected);
        assert_eq!(
            results[2].as_ref().expect_err("refused").message,
            "is there"
        );
        assert_eq!(nic.read_table(TABLE).await.expect("read"), [entry(1)]);
        let table_use = TableUse {
            table: TABLE,
            used: 1,
            size: TABLE_SIZE as u64,
        };
        assert_eq!(nic.table_use().await.expect("read"), [table_use]);
        assert!(
            nic.write(&[], Atomicity::DataplaneAtomic)
                .await
                .expect("nothing to do")
                .is_empty()
        );
    })
    .await;
}

/// R7.3: the atomicity class reaches the pipeline, and a failed atomic batch leaves nothing.
#[tokio::test]
async fn atomic_batches_are_all_or_nothing() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        for atomicity in [Atomicity::RollbackOnError, Atomicity::DataplaneAtomic] {
            let batch = [insert(1), delete(9), insert(2)];
            let results = nic.write(&batch, atomicity).await.expect("sent");
            assert_eq!(
                codes(&results),
                [
                    Some(Code::Aborted),
                    Some(Code::NotFound),
                    Some(Code::Aborted)
                ]
            );
            assert_eq!(nic.read_table(TABLE).await.expect("read"), []);
            assert_eq!(
                rig.run(|_, store| store.batches.pop()),
                Some((3, atomicity))
            );
        }
    })
    .await;
}

/// R7.3: a long batch is cut only where cutting is allowed.
#[tokio::test]
async fn long_batches_are_split_or_refused() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let batch: Vec<_> = (0..5000).map(insert).collect();
        let results = nic
            .write(&batch, Atomicity::ContinueOnError)
            .await
            .expect("written");
        assert_eq!(results.len(), 5000);
        assert!(results.iter().all(Result::is_ok));
        let parts = rig.run(|_, store| std::mem::take(&mut store.batches));
        assert!(parts.len() > 1, "one buffer is too short: {parts:?}");
        assert_eq!(parts.iter().map(|(count, _)| count).sum::<usize>(), 5000);
        let read = nic.read_table(TABLE).await.expect("read");
        assert_eq!(read, (0..5000).map(entry).collect::<Vec<_>>());

        let batch: Vec<_> = (0..5000).map(delete).collect();
        let error = nic
            .write(&batch, Atomicity::DataplaneAtomic)
            .await
            .expect_err("too long");
        assert!(
            matches!(
                error,
                NicError::BatchTooLong {
                    updates: 5000,
                    fitting: 1..,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(nic.read_table(TABLE).await.expect("read").len(), 5000);
    })
    .await;
}

/// R7.3: the default buffers hold an atomic change of thousands of flows.
#[tokio::test]
async fn a_large_atomic_batch_fits_by_default() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(Options::default()).await.expect("opens");
        let batch: Vec<_> = (0..40_000).map(insert).collect();
        let results = nic
            .write(&batch, Atomicity::DataplaneAtomic)
            .await
            .expect("written");
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(rig.run(|_, store| store.entries.len()), 40_000);
        assert_eq!(nic.read_table(TABLE).await.expect("read").len(), 40_000);
    })
    .await;
}

/// R7.4: a full table is told for each update, and the results fit whatever they say.
#[tokio::test]
async fn a_full_table_is_told_update_by_update() {
    within(async {
        let rig = Rig::with(Store {
            entries: (0..TABLE_SIZE as u32)
                .map(|n| (n.to_be_bytes().to_vec(), entry(n)))
                .collect(),
            ..Store::default()
        });
        let nic = rig.open(small()).await.expect("opens");
        let batch: Vec<_> = (60_000..62_000).map(insert).collect();
        let results = nic
            .write(&batch, Atomicity::ContinueOnError)
            .await
            .expect("sent");
        assert_eq!(codes(&results), vec![Some(Code::ResourceExhausted); 2000]);
    })
    .await;
}

/// R7.3: registers and counters, one and many, and across responses.
#[tokio::test]
async fn registers_and_counters_are_read_in_bulk() {
    within(async {
        let rig = Rig::new();
        let nic = rig
            .open(Options {
                data: 4096,
                ..small()
            })
            .await
            .expect("opens");
        let set = |index: u32| Update {
            kind: UpdateKind::Modify,
            entity: Entity::Register {
                register: REGISTER,
                index,
                value: index.to_be_bytes().to_vec(),
            },
        };
        let batch: Vec<_> = (0..CELLS as u32).map(set).collect();
        let results = nic
            .write(&batch, Atomicity::ContinueOnError)
            .await
            .expect("written");
        assert!(results.iter().all(Result::is_ok));
        let cells = nic
            .read_registers(REGISTER, 0, CELLS as u32)
            .await
            .expect("read");
        let expected: Vec<_> = (0..CELLS as u32)
            .map(|i| i.to_be_bytes().to_vec())
            .collect();
        assert_eq!(cells, expected);
        assert_eq!(
            nic.read_registers(REGISTER, 17, 1).await.expect("read"),
            [expected[17].clone()]
        );
        assert!(
            nic.read_registers(REGISTER, 17, 0)
                .await
                .expect("read")
                .is_empty()
        );
        let counters = nic.read_counters(COUNTER, 100, 2000).await.expect("read");
        let expected: Vec<_> = (100..2100)
            .map(|i| CounterData {
                packets: i,
                bytes: i << 33,
            })
            .collect();
        assert_eq!(counters, expected);
    })
    .await;
}

/// R6.6: what does not exist is refused with the pipeline's words.
#[tokio::test]
async fn unknown_objects_are_refused() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let errors = [
            nic.read_table(5).await.expect_err("unknown"),
            nic.read_registers(5, 0, 1).await.expect_err("unknown"),
            nic.read_registers(REGISTER, CELLS as u32 + 1, 1)
                .await
                .expect_err("beyond the end"),
            nic.read_counters(5, 0, 1).await.expect_err("unknown"),
        ];
        for error in errors {
            assert!(
                matches!(&error, NicError::Refused { message, .. } if message.contains("no such")),
                "{error}"
            );
        }
        assert_eq!(rig.statistics().admin_errors, 4);
    })
    .await;
}

/// R7.3: an update that cannot be encoded names itself, and nothing is sent.
#[tokio::test]
async fn an_update_that_cannot_be_encoded_is_named() {
    within(async {
        let rig = Rig::new();
        let nic = rig.open(small()).await.expect("opens");
        let value = vec![1; 70_000];
        let long = Update {
            kind: UpdateKind::Modify,
            entity: Entity::Register {
                register: REGISTER,
                index: 0,
                value,
            },
        };
        let error = nic
            .write(&[insert(1), long], Atomicity::ContinueOnError)
            .await
            .expect_err("too long");
        assert!(
            matches!(error, NicError::BadUpdate { index: 1, .. }),
            "{error}"
        );
        assert!(rig.run(|_, store| store.batches.is_empty()));
    })
    .await;
}

/// R7.3: many tasks program at once, more than there are slots in the queue; every one gets its own answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_calls_do_not_mix() {
    within(async {
        let rig = Rig::new();
        let nic = Arc::new(rig.open(small()).await.expect("opens"));
        let tasks = (0..32_u32).map(|task| {
            let nic = nic.clone();
            tokio::spawn(async move {
                for i in 0..20 {
                    let n = task * 100 + i;
                    let results = nic
                        .write(&[insert(n), insert(n)], Atomicity::ContinueOnError)
                        .await
                        .expect("written");
                    assert_eq!(codes(&results), [None, Some(Code::AlreadyExists)]);
                    let cell = nic.read_registers(REGISTER, task, 1).await.expect("read");
                    assert_eq!(cell, [vec![0; 4]]);
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
        let keys: Vec<TableEntry> = nic.read_table(TABLE).await.expect("read");
        assert_eq!(keys.len(), 32 * 20);
    })
    .await;
}

/// R7.4: a call that is given up does not disturb the next ones.
#[tokio::test]
async fn cancelled_calls_run_on_and_free_their_slot() {
    within(async {
        let rig = Rig::with(Store {
            slow: std::time::Duration::from_millis(30),
            ..Store::default()
        });
        let nic = rig
            .open(Options {
                commands: 1,
                ..small()
            })
            .await
            .expect("opens");
        for n in 0..5 {
            let batch = [insert(n)];
            let call = nic.write(&batch, Atomicity::ContinueOnError);
            let given_up = tokio::time::timeout(std::time::Duration::from_millis(5), call).await;
            assert!(given_up.is_err());
            // The one slot is still in use by the device; this waits for it.
            nic.health().await.expect("healthy");
        }
        assert_eq!(nic.read_table(TABLE).await.expect("read").len(), 5);
    })
    .await;
}
