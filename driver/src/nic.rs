//! One NIC, whatever is behind it.

use async_trait::async_trait;
use flownic_pipeline::entity::{Atomicity, CounterData, TableEntry, Update, UpdateError};
use flownic_pipeline::p4info::P4Info;

use crate::error::NicError;

/// What a NIC says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicInfo {
    /// As given to [`crate::open`].
    pub address: String,
    /// Identity on the PCI bus; `None`: the NIC is no PCI device.
    pub pci: Option<PciInfo>,
    /// Name and version of the firmware.
    pub firmware: String,
    /// Identifies the loaded pipeline: changes when the program does. 0: not known.
    pub pipeline_cookie: u64,
    /// What fits.
    pub limits: Limits,
}

/// Identity on the PCI bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciInfo {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Device serial number.
    pub serial: u64,
    /// Version of the device interface, `major << 16 | minor`.
    pub abi_version: u32,
}

/// What fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an encoded batch of an atomic class, about 300 for a flow entry.
    pub batch: usize,
    /// Bytes of a packet to or from the pipeline, with its controller header.
    pub packet: usize,
    /// Uplink ports; pipeline ports 0 and up. 0: not known.
    pub uplinks: u32,
    /// Virtual functions; VF n is pipeline port 16 + n. 0: not known.
    pub vfs: u32,
}

/// How full a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableUse {
    /// P4Info id.
    pub table: u32,
    /// Entries, without the default entry.
    pub used: u64,
    /// Entries that the table was made for.
    pub size: u64,
}

/// A packet that the pipeline gave to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketIn {
    /// Fields of the controller header `packet_in`: id in the P4Info and value, a canonical byte
    /// string. In the order of the header.
    pub metadata: Vec<(u32, Vec<u8>)>,
    /// The frame.
    pub payload: Vec<u8>,
}

/// A packet for the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketOut {
    /// Every field of the controller header `packet_out`, in any order.
    pub metadata: Vec<(u32, Vec<u8>)>,
    /// The frame.
    pub payload: Vec<u8>,
}

/// A NIC that runs a P4 pipeline.
///
/// Every call ends within a deadline, [`Nic::receive`] excepted: it waits for a packet, but ends when
/// the NIC is lost. Once a call has returned [`NicError::DeviceGone`], all do; open the NIC again.
#[async_trait]
pub trait Nic: Send + Sync {
    /// What the NIC says about itself.
    fn info(&self) -> &NicInfo;

    /// The program's interface, as read from the NIC.
    fn p4info(&self) -> &P4Info;

    /// Applies updates in order; one result for each.
    ///
    /// A batch of [`Atomicity::ContinueOnError`] may be cut into parts.
    ///
    /// # Errors
    /// [`NicError::BatchTooLong`]: a batch of an atomic class does not fit in the NIC's buffer; nothing
    /// was done. Another error leaves open which updates were done: read back.
    async fn write(
        &self,
        updates: &[Update],
        atomicity: Atomicity,
    ) -> Result<Vec<Result<(), UpdateError>>, NicError>;

    /// All entries of a table.
    ///
    /// # Errors
    /// [`NicError::Refused`]: no such table.
    async fn read_table(&self, table: u32) -> Result<Vec<TableEntry>, NicError>;

    /// `count` cells of a register array.
    ///
    /// # Errors
    /// [`NicError::Refused`]: no such register or cell.
    async fn read_registers(
        &self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, NicError>;

    /// `count` cells of a counter array.
    ///
    /// # Errors
    /// [`NicError::Refused`]: no such counter or cell.
    async fn read_counters(
        &self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, NicError>;

    /// How full each table is.
    ///
    /// # Errors
    /// When the NIC is lost.
    async fn table_use(&self) -> Result<Vec<TableUse>, NicError>;

    /// Sends a packet. It was handed to the NIC when this returns; the pipeline decides what becomes of it.
    ///
    /// # Errors
    /// [`NicError::Packet`]: the metadata are not those of the header, or the packet is too long.
    /// [`NicError::Busy`]: the NIC took no packet for too long.
    async fn send(&self, packet: PacketOut) -> Result<(), NicError>;

    /// The next punted packet. Cancel-safe: dropping the future loses no packet.
    ///
    /// # Errors
    /// When the NIC is lost, or gave a packet that is shorter than its header ([`NicError::Packet`]).
    async fn receive(&self) -> Result<PacketIn, NicError>;

    /// Whether the NIC answers.
    ///
    /// # Errors
    /// When it does not.
    async fn health(&self) -> Result<(), NicError>;
}
