//! The store in one file: what is there after it was closed, or after the machine went down.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use flownic_store::{Embedded, KeyValue, Memory, Store, StoreError, Txn};

/// What a disk was told to do, in order.
#[derive(Clone, Debug)]
enum Action {
    SetLen(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// A disk in memory that records every action, so that a crash can be put between any two.
#[derive(Clone, Debug, Default)]
struct Disk {
    image: Arc<Mutex<Vec<u8>>>,
    actions: Arc<Mutex<Vec<Action>>>,
}

impl Disk {
    fn record(&self, action: Action) {
        act(&mut self.image.lock().unwrap(), &action);
        self.actions.lock().unwrap().push(action);
    }
}

fn act(image: &mut Vec<u8>, action: &Action) {
    match action {
        Action::SetLen(len) => image.resize(usize::try_from(*len).unwrap(), 0),
        Action::Write(offset, data) => {
            let offset = usize::try_from(*offset).unwrap();
            let end = offset + data.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[offset..end].copy_from_slice(data);
        }
        Action::Sync => {}
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.image.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let from = image
            .get(offset..offset + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(from);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.record(Action::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.record(Action::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.record(Action::Write(offset, data.to_vec()));
        Ok(())
    }
}

/// SplitMix64, so that a failing seed can be played again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn random_txn(random: &mut Random) -> Txn {
    let mut txn = Txn::new();
    for key in 0..6 {
        match random.below(4) {
            0 => {
                let length = usize::try_from(random.below(3000)).unwrap();
                txn = txn.put(&format!("key/{key}"), vec![random.below(256) as u8; length]);
            }
            1 => txn = txn.delete(&format!("key/{key}")),
            _ => {}
        }
    }
    txn
}

/// Everything that a reader can see.
type Content = (u64, Vec<KeyValue>, Vec<flownic_store::Change>);

fn content(store: &dyn Store) -> Content {
    let (all, revision) = store.range("").unwrap();
    let history = store.changes("", 1, 10_000).unwrap();
    assert_eq!(history.through, revision);
    (revision, all, history.changes)
}

fn open(path: &Path) -> Embedded {
    Embedded::open(path).unwrap()
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut random = Random(1);
    let model = Memory::new();
    for _ in 0..20 {
        let store = open(&path);
        assert_eq!(content(&store), content(&model));
        let txn = random_txn(&mut random);
        assert_eq!(store.txn(&txn).unwrap(), model.txn(&txn).unwrap());
    }
    let store = open(&path);
    store.compact(5).unwrap();
    drop(store);
    assert!(matches!(
        open(&path).changes("", 5, 1),
        Err(StoreError::Compacted { .. })
    ));
    assert_eq!(*open(&path).subscribe().borrow(), model.revision().unwrap());
}

/// R9.6: a crash between any two writes, with the writes since the last sync lost in part: the store
/// opens with the last acknowledged transaction, or with the one that was under way, whole.
#[test]
fn a_crash_at_any_write_leaves_a_whole_transaction() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(2);
    println!("SEED={seed}");
    let mut random = Random(seed);
    let disk = Disk::default();
    let model = Memory::new();
    let store = Embedded::open_backend(disk.clone()).unwrap();
    // Content after each transaction, and how many actions the disk had seen when it returned.
    let mut states = vec![(disk.actions.lock().unwrap().len(), content(&model))];
    for _ in 0..12 {
        let txn = random_txn(&mut random);
        store.txn(&txn).unwrap();
        model.txn(&txn).unwrap();
        states.push((disk.actions.lock().unwrap().len(), content(&model)));
    }
    let actions = disk.actions.lock().unwrap().clone();
    let created = states[0].0;
    let mut crashes = 0;
    for cut in created..=actions.len() {
        let image = after_crash(&actions[..cut], &mut random);
        let reopened = Disk {
            image: Arc::new(Mutex::new(image)),
            ..Disk::default()
        };
        let found = content(&Embedded::open_backend(reopened).unwrap());
        let acknowledged = states.iter().rposition(|(seen, _)| *seen <= cut).unwrap();
        let allowed = &states[acknowledged..states.len().min(acknowledged + 2)];
        assert!(
            allowed.iter().any(|(_, state)| *state == found),
            "SEED={seed}: crash after action {cut} of {}: revision {} was acknowledged, found {}",
            actions.len(),
            states[acknowledged].1.0,
            found.0,
        );
        crashes += 1;
    }
    assert!(crashes > 50, "only {crashes} places to crash at");
}

/// What is on the disk: everything before the last sync, and any part of what came after it.
fn after_crash(actions: &[Action], random: &mut Random) -> Vec<u8> {
    let synced = actions
        .iter()
        .rposition(|action| matches!(action, Action::Sync))
        .unwrap_or(0);
    let mut image = Vec::new();
    for (number, action) in actions.iter().enumerate() {
        let kept = match action {
            // A length is metadata that file systems journal in order.
            Action::SetLen(_) | Action::Sync => true,
            Action::Write(..) => number < synced || random.below(2) == 0,
        };
        if kept {
            act(&mut image, action);
        }
    }
    image
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let _first = open(&path);
    let error = Embedded::open(&path).unwrap_err();
    assert!(
        matches!(&error, StoreError::InUse(at) if *at == path),
        "{error}"
    );
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    std::fs::write(&path, b"a letter to a friend").unwrap();
    let error = Embedded::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter to a friend");
    let error = Embedded::open(&directory.path().join("no/such/store")).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}
