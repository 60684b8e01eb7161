//! What every back end of the store does, the same for each.

use std::sync::Arc;
use std::time::Duration;

use flownic_store::{
    Change, Compare, Embedded, Event, KeyValue, Memory, Store, StoreError, Txn, Watch,
};

/// Runs `test` on a fresh store of each kind.
fn on_each(test: impl Fn(Arc<dyn Store>)) {
    test(Arc::new(Memory::new()));
    let directory = tempfile::tempdir().unwrap();
    test(Arc::new(
        Embedded::open(&directory.path().join("store")).unwrap(),
    ));
}

fn commit(store: &dyn Store, txn: &Txn) -> u64 {
    let result = store.txn(txn).unwrap();
    assert!(result.succeeded);
    result.revision
}

fn value(store: &dyn Store, key: &str) -> Option<String> {
    store
        .get(key)
        .unwrap()
        .map(|kv| String::from_utf8(kv.value).unwrap())
}

fn put(key: &str, value: &str) -> Event {
    Event {
        key: key.to_owned(),
        value: Some(value.into()),
    }
}

fn deleted(key: &str) -> Event {
    Event {
        key: key.to_owned(),
        value: None,
    }
}

#[test]
fn a_key_knows_who_created_and_who_modified_it() {
    on_each(|store| {
        assert_eq!(store.revision().unwrap(), 0);
        assert_eq!(store.get("a").unwrap(), None);
        assert_eq!(commit(&*store, &Txn::new().put("a", "1")), 1);
        assert_eq!(commit(&*store, &Txn::new().put("b", "2")), 2);
        assert_eq!(commit(&*store, &Txn::new().put("a", "3")), 3);
        let a = KeyValue {
            key: "a".into(),
            value: "3".into(),
            created: 1,
            modified: 3,
        };
        assert_eq!(store.get("a").unwrap(), Some(a));

        commit(&*store, &Txn::new().delete("a"));
        assert_eq!(store.get("a").unwrap(), None);
        commit(&*store, &Txn::new().put("a", "4"));
        let again = store.get("a").unwrap().unwrap();
        assert_eq!(
            (again.created, again.modified),
            (5, 5),
            "a new life after a deletion"
        );
    });
}

#[test]
fn nothing_changed_is_no_revision() {
    on_each(|store| {
        commit(&*store, &Txn::new().put("a", "1"));
        assert_eq!(commit(&*store, &Txn::new()), 1);
        assert_eq!(commit(&*store, &Txn::new().delete("absent")), 1);
        assert_eq!(
            commit(&*store, &Txn::new().delete("absent").put("b", "")),
            2
        );
        assert_eq!(
            value(&*store, "b"),
            Some(String::new()),
            "an empty value is a value"
        );
    });
}

#[test]
fn a_range_is_a_prefix_in_byte_order() {
    on_each(|store| {
        let txn = Txn::new()
            .put("vn/b", "2")
            .put("vn", "0")
            .put("vn/a", "1")
            .put("vo", "3");
        commit(&*store, &txn);
        let keys = |prefix| -> Vec<String> {
            let (found, revision) = store.range(prefix).unwrap();
            assert_eq!(revision, 1);
            found.into_iter().map(|kv| kv.key).collect()
        };
        assert_eq!(keys("vn/"), ["vn/a", "vn/b"]);
        assert_eq!(keys("vn"), ["vn", "vn/a", "vn/b"]);
        assert_eq!(keys(""), ["vn", "vn/a", "vn/b", "vo"]);
        assert!(keys("w").is_empty());
    });
}

/// R9.6: the same on every back end.
#[test]
fn a_transaction_is_all_or_nothing() {
    on_each(|store| {
        commit(&*store, &Txn::new().put("a", "1"));
        let stale = Txn::new().when("a", 7).put("a", "2").put("b", "2");
        let result = store.txn(&stale).unwrap();
        assert!(!result.succeeded);
        assert_eq!(
            (result.revision, value(&*store, "a"), value(&*store, "b")),
            (1, Some("1".into()), None)
        );

        let create_only = Txn::new()
            .when("b", 0)
            .when("a", 1)
            .put("b", "2")
            .delete("a");
        assert_eq!(commit(&*store, &create_only), 2);
        assert!(!store.txn(&create_only).unwrap().succeeded, "b exists now");
        assert_eq!(
            (value(&*store, "a"), value(&*store, "b")),
            (None, Some("2".into()))
        );

        let mut by_value = Txn::new().put("b", "3");
        by_value.compares.push(Compare::Value {
            key: "b".into(),
            value: "2".into(),
        });
        assert!(store.txn(&by_value).unwrap().succeeded);
        assert!(!store.txn(&by_value).unwrap().succeeded);
    });
}

#[test]
fn a_wrong_transaction_is_refused_and_changes_nothing() {
    on_each(|store| {
        let twice = Txn::new().put("a", "1").delete("a");
        assert!(matches!(store.txn(&twice), Err(StoreError::DuplicateKey(key)) if key == "a"));
        let empty = Txn::new().put("x", "1").put("", "1");
        assert!(matches!(store.txn(&empty), Err(StoreError::EmptyKey)));
        assert_eq!(
            (store.revision().unwrap(), store.get("x").unwrap()),
            (0, None)
        );
    });
}

#[test]
fn history_is_read_in_pages_and_by_prefix() {
    on_each(|store| {
        for n in 0..5 {
            commit(
                &*store,
                &Txn::new()
                    .put(&format!("a/{n}"), "x")
                    .put("b", n.to_string()),
            );
        }
        commit(&*store, &Txn::new().delete("a/0"));
        let page = store.changes("a/", 2, 3).unwrap();
        assert_eq!(page.through, 4);
        let revisions: Vec<u64> = page.changes.iter().map(|change| change.revision).collect();
        assert_eq!(revisions, [2, 3, 4]);
        let rest = store.changes("a/", 5, 100).unwrap();
        assert_eq!(rest.through, 6);
        assert_eq!(
            rest.changes[1],
            Change {
                revision: 6,
                events: vec![deleted("a/0")]
            }
        );
        let none = store.changes("a/", 7, 100).unwrap();
        assert_eq!((none.changes, none.through), (vec![], 6));
        let both = &store.changes("", 1, 1).unwrap().changes;
        assert_eq!(
            both[..],
            [Change {
                revision: 1,
                events: vec![put("a/0", "x"), put("b", "0")]
            }]
        );
    });
}

#[test]
fn compacted_history_is_gone_and_says_so() {
    on_each(|store| {
        for n in 0..4 {
            commit(&*store, &Txn::new().put("a", n.to_string()));
        }
        store.compact(2).unwrap();
        let error = store.changes("", 2, 10).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Compacted {
                    requested: 2,
                    oldest: 3
                }
            ),
            "{error}"
        );
        assert_eq!(store.changes("", 3, 10).unwrap().changes.len(), 2);
        assert_eq!(value(&*store, "a"), Some("3".into()), "the present stays");
        let error = store.compact(9).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Future {
                    requested: 9,
                    revision: 4
                }
            ),
            "{error}"
        );
        store.compact(1).unwrap();
        assert!(
            store.changes("", 2, 10).is_err(),
            "compaction does not go back"
        );
        assert_eq!(commit(&*store, &Txn::new().put("b", "")), 5);
    });
}

/// Runs `test` with a timer, so that a wait that never ends fails.
fn within_seconds(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let limit = Duration::from_secs(20);
    runtime.block_on(async {
        tokio::time::timeout(limit, test)
            .await
            .expect("no deadlock")
    });
}

#[test]
fn a_watch_replays_and_then_follows() {
    on_each(|store| {
        within_seconds(async {
            for n in 0..600 {
                commit(&*store, &Txn::new().put(&format!("a/{n}"), "x"));
            }
            let mut watch = Watch::new(Arc::clone(&store), "a/", 3);
            for revision in 3..=600 {
                assert_eq!(watch.next().await.unwrap().revision, revision);
            }
            let writer = Arc::clone(&store);
            let task = tokio::task::spawn_blocking(move || {
                for n in 0..50 {
                    commit(&*writer, &Txn::new().put("b", "not watched"));
                    commit(&*writer, &Txn::new().put("a/live", n.to_string()));
                }
            });
            for n in 0..50 {
                let change = watch.next().await.unwrap();
                assert_eq!(change.events, [put("a/live", &n.to_string())]);
                assert_eq!(change.revision, 602 + 2 * n);
            }
            task.await.unwrap();
        });
    });
}

#[test]
fn a_watch_may_begin_in_the_future() {
    on_each(|store| {
        within_seconds(async {
            let mut watch = Watch::new(Arc::clone(&store), "", 3);
            for n in 1..=3 {
                commit(&*store, &Txn::new().put("a", n.to_string()));
            }
            assert_eq!(watch.next().await.unwrap().revision, 3);
        });
    });
}

#[test]
fn a_watch_that_history_ran_away_from_is_told() {
    on_each(|store| {
        within_seconds(async {
            commit(&*store, &Txn::new().put("a", "1"));
            let mut watch = Watch::new(Arc::clone(&store), "", 1);
            store.compact(1).unwrap();
            assert!(matches!(
                watch.next().await,
                Err(StoreError::Compacted { .. })
            ));
        });
    });
}

#[test]
fn writers_at_once_lose_nothing() {
    on_each(|store| {
        commit(&*store, &Txn::new().put("counter", "0"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut done = 0;
                    while done < 25 {
                        let now = store.get("counter").unwrap().unwrap();
                        let next = String::from_utf8(now.value)
                            .unwrap()
                            .parse::<u32>()
                            .unwrap()
                            + 1;
                        let txn = Txn::new()
                            .when("counter", now.modified)
                            .put("counter", next.to_string());
                        done += u32::from(store.txn(&txn).unwrap().succeeded);
                    }
                });
            }
        });
        assert_eq!(value(&*store, "counter"), Some("100".into()));
        assert_eq!(store.revision().unwrap(), 101);
    });
}
