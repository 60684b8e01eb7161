//! A NIC in memory behind the driver's trait. Tests put packets into its punt queue, see what it
//! sends, and take it away.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use flownic_agent::daemon::nic::NicSource;
use flownic_agent::tables::Tables;
use flownic_agent::tables::packet_io::PuntHeader;
use flownic_driver::{Limits, Nic, NicError, NicInfo, PacketIn, PacketOut, TableUse};
use flownic_pipeline::entity::{Atomicity, CounterData, TableEntry, Update, UpdateError};
use flownic_pipeline::p4info::P4Info;
use tokio::sync::{mpsc, watch};

use super::store::Store;
use super::{p4info, tables};

/// A frame that left, with its port.
pub type Frame = (u16, Vec<u8>);

/// The hardware: outlives agents and openings.
#[derive(Clone)]
pub struct FakeHardware {
    pub tables: Arc<Tables>,
    store: Arc<Mutex<Store>>,
    present: watch::Sender<bool>,
    punts: mpsc::UnboundedSender<PacketIn>,
    punted: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<PacketIn>>>,
    sent: Arc<Mutex<Vec<Frame>>>,
}

impl FakeHardware {
    pub fn new() -> Self {
        let (punts, punted) = mpsc::unbounded_channel();
        FakeHardware {
            tables: tables(),
            store: Arc::new(Mutex::new(Store::new(p4info()))),
            present: watch::Sender::new(true),
            punts,
            punted: Arc::new(tokio::sync::Mutex::new(punted)),
            sent: Arc::default(),
        }
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no test panicked here")
    }

    /// Plugs it in or out. It keeps its memory.
    pub fn set_present(&self, present: bool) {
        self.present.send_replace(present);
    }

    pub fn punt(&self, header: &PuntHeader, frame: Vec<u8>) {
        let metadata = self.tables.packet_io.encode_in(header);
        let payload = frame;
        self.punts
            .send(PacketIn { metadata, payload })
            .expect("the queue is open");
    }

    /// Frames that left, with their ports.
    pub fn sent(&self) -> Vec<Frame> {
        self.sent.lock().expect("no test panicked here").clone()
    }

    fn check(&self) -> Result<(), NicError> {
        if *self.present.borrow() {
            return Ok(());
        }
        Err(NicError::DeviceGone {
            address: "fake".into(),
            reason: "unplugged".into(),
        })
    }
}

#[async_trait]
impl NicSource for FakeHardware {
    fn address(&self) -> &str {
        "fake"
    }

    async fn open(&self) -> Result<Box<dyn Nic>, NicError> {
        self.check()?;
        Ok(Box::new(FakeNic {
            hardware: self.clone(),
            p4info: p4info(),
            info: NicInfo {
                address: "fake".into(),
                pci: None,
                firmware: "in memory".into(),
                pipeline_cookie: 7,
                limits: Limits {
                    batch: 1 << 20,
                    packet: 2048,
                    uplinks: 1,
                    vfs: 256,
                },
            },
        }))
    }
}

struct FakeNic {
    hardware: FakeHardware,
    p4info: P4Info,
    info: NicInfo,
}

#[async_trait]
impl Nic for FakeNic {
    fn info(&self) -> &NicInfo {
        &self.info
    }

    fn p4info(&self) -> &P4Info {
        &self.p4info
    }

    async fn write(
        &self,
        updates: &[Update],
        _: Atomicity,
    ) -> Result<Vec<Result<(), UpdateError>>, NicError> {
        self.hardware.check()?;
        let mut store = self.hardware.store();
        Ok(updates.iter().map(|update| store.apply(update)).collect())
    }

    async fn read_table(&self, table: u32) -> Result<Vec<TableEntry>, NicError> {
        self.hardware.check()?;
        let counted = |entry: &TableEntry| TableEntry {
            counter: Some(CounterData {
                packets: 3,
                bytes: 300,
            }),
            ..entry.clone()
        };
        Ok(self.hardware.store().in_table(table).map(counted).collect())
    }

    async fn read_registers(
        &self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, NicError> {
        self.hardware.check()?;
        let store = self.hardware.store();
        let cell = |index| store.registers().get(&(register, index)).cloned();
        let cells = (first..first + count).map(|index| cell(index).unwrap_or(vec![0]));
        Ok(cells.collect())
    }

    /// Cell 16 × 64 + 1, of port 16 and reason 1, counted two packets.
    async fn read_counters(
        &self,
        _: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, NicError> {
        self.hardware.check()?;
        let cell = |index| match index {
            1025 => CounterData {
                packets: 2,
                bytes: 120,
            },
            _ => CounterData::default(),
        };
        Ok((first..first + count).map(cell).collect())
    }

    async fn table_use(&self) -> Result<Vec<TableUse>, NicError> {
        self.hardware.check()?;
        let store = self.hardware.store();
        let of = |table: &flownic_pipeline::p4info::Table| TableUse {
            table: table.preamble.id,
            used: store.in_table(table.preamble.id).count() as u64,
            size: 512,
        };
        Ok(self.p4info.tables.iter().map(of).collect())
    }

    async fn send(&self, packet: PacketOut) -> Result<(), NicError> {
        self.hardware.check()?;
        let io = &self.hardware.tables.packet_io;
        let port = io.decode_out(&packet.metadata).expect("an egress port");
        let mut sent = self.hardware.sent.lock().expect("no test panicked here");
        sent.push((port, packet.payload));
        Ok(())
    }

    async fn receive(&self) -> Result<PacketIn, NicError> {
        let mut present = self.hardware.present.subscribe();
        let mut punted = self.hardware.punted.lock().await;
        tokio::select! {
            _ = present.wait_for(|present| !present) => Err(NicError::DeviceGone {
                address: "fake".into(),
                reason: "unplugged".into(),
            }),
            Some(packet) = punted.recv() => Ok(packet),
        }
    }

    async fn health(&self) -> Result<(), NicError> {
        self.hardware.check()
    }
}
