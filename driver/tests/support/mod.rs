//! A software device with a pipeline that only stores, and a driver on it.

#![allow(dead_code, reason = "every test file uses another part")]
#![allow(
    clippy::disallowed_methods,
    reason = "a device that hangs or is slow sleeps, and states of another thread are polled"
)]

pub mod tap;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use flownic_driver::vfio_user::VfioUser;
use flownic_driver::{DeviceNic, NicError, Options};
use flownic_pipeline::entity::{
    Action, Atomicity, Code, CounterData, Entity, FieldMatch, MatchValue, TableEntry, Update,
    UpdateError, UpdateKind,
};
use flownic_softnic::device::{Device, DeviceBackend, Identity, Statistics};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Every test ends within this.
pub const TEST_DEADLINE: Duration = Duration::from_secs(30);

pub const TABLE: u32 = 0x0200_0001;
pub const REGISTER: u32 = 0x1600_0001;
pub const COUNTER: u32 = 0x1200_0001;
pub const TABLE_SIZE: usize = 50_000;
pub const CELLS: usize = 3000;

/// The program: headers of 12 and 4 bits, and 16 bits.
pub const P4INFO: &str = r#"{
 "controllerPacketMetadata": [
  {"preamble": {"id": 67146229, "name": "packet_in"}, "metadata": [
   {"id": 1, "name": "reason", "bitwidth": 4}, {"id": 2, "name": "port", "bitwidth": 12}]},
  {"preamble": {"id": 67121543, "name": "packet_out"}, "metadata": [
   {"id": 1, "name": "egress_port", "bitwidth": 16}]}
 ]
}"#;

/// Runs a test with a deadline.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_DEADLINE, test)
        .await
        .expect("the test did not end in time")
}

/// A pipeline that stores what is written and gives it back.
#[derive(Debug, Clone)]
pub struct Store {
    pub entries: BTreeMap<Vec<u8>, TableEntry>,
    pub cells: Vec<Vec<u8>>,
    pub batches: Vec<(usize, Atomicity)>,
    pub injected: Vec<Vec<u8>>,
    pub p4info: Vec<u8>,
    /// The worker sleeps that long in each write.
    pub slow: Duration,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            cells: vec![vec![0; 4]; CELLS],
            batches: vec![],
            injected: vec![],
            p4info: P4INFO.into(),
            slow: Duration::ZERO,
        }
    }
}

fn refused(code: Code, message: &str) -> UpdateError {
    UpdateError {
        code,
        message: message.into(),
    }
}

impl Store {
    fn apply(&mut self, update: &Update) -> Result<(), UpdateError> {
        match &update.entity {
            Entity::TableEntry(entry) => self.apply_entry(update.kind, entry),
            Entity::Register {
                register,
                index,
                value,
            } => {
                let cell = self
                    .cells
                    .get_mut(*index as usize)
                    .filter(|_| *register == REGISTER);
                *cell.ok_or_else(|| refused(Code::NotFound, "no such cell"))? = value.clone();
                Ok(())
            }
            Entity::Counter { .. } => {
                Err(refused(Code::Unimplemented, "counters cannot be written"))
            }
        }
    }

    fn apply_entry(&mut self, kind: UpdateKind, entry: &TableEntry) -> Result<(), UpdateError> {
        let [
            FieldMatch {
                field: 1,
                value: MatchValue::Exact(key),
            },
        ] = &entry.matches[..]
        else {
            return Err(refused(Code::InvalidArgument, "the key is one exact field"));
        };
        if entry.table != TABLE {
            return Err(refused(Code::NotFound, "no such table"));
        }
        let exists = self.entries.contains_key(key);
        match (kind, exists) {
            (UpdateKind::Insert, true) => Err(refused(Code::AlreadyExists, "is there")),
            (UpdateKind::Insert, false) if self.entries.len() >= TABLE_SIZE => Err(refused(
                Code::ResourceExhausted,
                "the table is full, and this says so in so many words that the results of a long batch do not fit in its buffer",
            )),
            (UpdateKind::Modify | UpdateKind::Delete, false) => {
                Err(refused(Code::NotFound, "no such entry"))
            }
            (UpdateKind::Delete, true) => {
                self.entries.remove(key);
                Ok(())
            }
            _ => {
                self.entries.insert(key.clone(), entry.clone());
                Ok(())
            }
        }
    }
}

impl DeviceBackend for Store {
    fn write(&mut self, updates: &[Update], atomicity: Atomicity) -> Vec<Result<(), UpdateError>> {
        std::thread::sleep(self.slow);
        self.batches.push((updates.len(), atomicity));
        let before = (atomicity != Atomicity::ContinueOnError).then(|| self.entries.clone());
        let results: Vec<_> = updates.iter().map(|update| self.apply(update)).collect();
        match before {
            Some(before) if results.iter().any(Result::is_err) => {
                self.entries = before;
                let abort = |_| Err(refused(Code::Aborted, "another update failed"));
                results
                    .into_iter()
                    .map(|result| result.and_then(abort))
                    .collect()
            }
            _ => results,
        }
    }

    fn read_table(
        &mut self,
        table: u32,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<TableEntry>, Option<u64>), UpdateError> {
        if table != TABLE {
            return Err(refused(Code::NotFound, "no such table"));
        }
        let entries: Vec<_> = self
            .entries
            .values()
            .skip(cursor as usize)
            .take(limit)
            .cloned()
            .collect();
        let next = cursor + entries.len() as u64;
        Ok((entries, (next < self.entries.len() as u64).then_some(next)))
    }

    fn read_registers(
        &mut self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, UpdateError> {
        let end = first as usize + count as usize;
        match self.cells.get(first as usize..end.min(CELLS)) {
            Some(cells) if register == REGISTER => Ok(cells.to_vec()),
            _ => Err(refused(Code::NotFound, "no such cell")),
        }
    }

    fn read_counters(
        &mut self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, UpdateError> {
        if counter != COUNTER || first as usize + count as usize > CELLS {
            return Err(refused(Code::NotFound, "no such counter cell"));
        }
        let cell = |i: u32| CounterData {
            packets: i.into(),
            bytes: u64::from(i) << 33,
        };
        Ok((first..first + count).map(cell).collect())
    }

    fn table_use(&mut self) -> Vec<(u32, u64, u64)> {
        vec![(TABLE, self.entries.len() as u64, TABLE_SIZE as u64)]
    }

    fn p4info_json(&self) -> &[u8] {
        &self.p4info
    }

    fn inject(&mut self, packet: &[u8]) {
        self.injected.push(packet.to_vec());
    }
}

/// Something to do in the worker's thread.
type Task = Box<dyn FnOnce(&mut Device, &mut Store) + Send>;

/// A served device with its worker.
pub struct Rig {
    pub socket: PathBuf,
    pub device: Device,
    tasks: mpsc::Sender<Task>,
    stop: Arc<AtomicBool>,
    /// Stops the worker from polling, as if it hung.
    pub hang: Arc<AtomicBool>,
    bell: Arc<std::os::fd::OwnedFd>,
    worker: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(Store::default())
    }

    pub fn with(store: Store) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let socket = dir.path().join("nic.sock");
        let device = Device::serve(&socket, identity()).expect("served");
        let (tasks, inbox) = mpsc::channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK).expect("eventfd"));
        let (stop, hang) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let state = (
            device.clone(),
            store,
            stop.clone(),
            hang.clone(),
            bell.clone(),
        );
        let worker = std::thread::spawn(move || {
            let (device, store, stop, hang, bell) = state;
            work(device, store, &inbox, &stop, &hang, &bell);
        });
        Self {
            socket,
            device,
            tasks,
            stop,
            hang,
            bell,
            worker: Some(worker),
            _dir: dir,
        }
    }

    pub fn address(&self) -> String {
        format!("vfio-user:{}", self.socket.display())
    }

    /// A driver on the device, with short deadlines.
    pub async fn open(&self, options: Options) -> Result<DeviceNic, NicError> {
        let function =
            VfioUser::connect(&self.socket, Duration::from_secs(2)).map_err(NicError::Hw)?;
        DeviceNic::open(&self.address(), Arc::new(function), options).await
    }

    /// Does something in the worker's thread and waits for the result.
    pub fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Device, &mut Store) -> T + Send + 'static,
    ) -> T {
        let (result, outcome) = mpsc::channel();
        let task: Task = Box::new(move |device, store| {
            let _ = result.send(task(device, store));
        });
        self.tasks.send(task).expect("the worker lives");
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).expect("bell");
        outcome
            .recv_timeout(TEST_DEADLINE)
            .expect("the worker answers")
    }

    pub fn statistics(&self) -> Statistics {
        self.device.statistics()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        // A test that failed may have left the worker stuck; it shall not be stuck itself.
        if let Some(worker) = self.worker.take()
            && !std::thread::panicking()
        {
            worker.join().expect("the worker did not panic");
        }
    }
}

pub fn identity() -> Identity {
    Identity {
        serial: 0x0123_4567_89ab_cdef,
        pipeline_cookie: 77,
        uplinks: 1,
        vfs: 16,
        firmware: "store 1.0".into(),
    }
}

/// What every worker does: poll while there is work, sleep until there is some.
pub fn work(
    mut device: Device,
    mut store: Store,
    inbox: &mpsc::Receiver<Task>,
    stop: &AtomicBool,
    hang: &AtomicBool,
    bell: &std::os::fd::OwnedFd,
) {
    while !stop.load(Ordering::Relaxed) {
        while let Ok(task) = inbox.try_recv() {
            task(&mut device, &mut store);
        }
        if hang.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        } else if device.poll(&mut store) == 0 && device.prepare_sleep() {
            let wait = Timespec {
                tv_sec: 5,
                tv_nsec: 0,
            };
            let wake = device.wake_fd();
            let mut fds = [
                PollFd::new(&wake, PollFlags::IN),
                PollFd::new(bell, PollFlags::IN),
            ];
            let _ = poll(&mut fds, Some(&wait));
            let _ = rustix::io::read(bell, &mut [0; 8]);
        }
    }
}

/// An entry with a key made of `n`.
pub fn entry(n: u32) -> TableEntry {
    TableEntry {
        table: TABLE,
        matches: vec![FieldMatch {
            field: 1,
            value: MatchValue::Exact(n.to_be_bytes().to_vec()),
        }],
        action: Some(Action {
            id: 0x0100_0001,
            params: vec![(1, vec![1, 2, 3, 4]), (2, vec![9])],
        }),
        ..TableEntry::default()
    }
}

pub fn insert(n: u32) -> Update {
    Update {
        kind: UpdateKind::Insert,
        entity: Entity::TableEntry(entry(n)),
    }
}

pub fn delete(n: u32) -> Update {
    Update {
        kind: UpdateKind::Delete,
        entity: Entity::TableEntry(entry(n)),
    }
}

/// Small rings, short deadlines.
pub fn small() -> Options {
    Options {
        deadline: Duration::from_secs(2),
        watch_interval: Duration::from_millis(200),
        punt_descriptors: 8,
        inject_descriptors: 8,
        data: 64 << 10,
        ..Options::default()
    }
}
