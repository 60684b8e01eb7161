//! Any P4Runtime target as a NIC: the third back end, beside hardware and the device over vfio-user.
//!
//! A target such as bmv2's `simple_switch_grpc` runs the same program and takes the same entries.
//! What is different is what P4Runtime, or the target, does not offer; it shows as a typed error:
//!
//! - one controller may write, the primary one: opening fails where another one is it;
//! - atomic batches are the target's choice (bmv2: none of them): each update of one that the
//!   target does not do is refused as [`Unimplemented`](flownic_pipeline::entity::Code);
//! - so is access to registers (bmv2: none): [`P4RuntimeError::Unsupported`];
//! - a packet that the target refuses is reported later on the stream, if at all: it is counted
//!   and logged ([`P4RuntimeNic::stream_errors`]).
//!
//! Modules: `address` (where), `session` (connection, stream, arbitration), `config` (the program),
//! `write` and `read` (entities), `convert` (messages and the pipeline model), `error`.

mod address;
mod config;
pub mod convert;
mod error;
mod read;
mod session;
mod write;

use async_trait::async_trait;
use flownic_api::p4::v1 as proto;
use flownic_pipeline::entity::{
    Atomicity, CounterData, TableEntry, Update, UpdateError, canonical,
};
use flownic_pipeline::p4info::P4Info;
use tonic::Code;

pub use address::{SCHEME, Target};
pub use config::{cookie, p4info_from_proto, p4info_to_proto};
pub use error::P4RuntimeError;

use crate::error::NicError;
use crate::nic::{Limits, Nic, NicInfo, PacketIn, PacketOut, TableUse};
use crate::packet_io::PacketCodec;
use session::Session;

/// Largest message that gRPC servers take in their default settings.
const GRPC_MESSAGE: usize = 4 << 20;
/// Larger than any frame with a controller header.
const PACKET: usize = 64 << 10;

/// Opens a target that has a program, for example
/// `p4runtime:127.0.0.1:9559?device-id=1&election-id=2`; see [`Target`] for the parts.
///
/// # Errors
/// [`NicError::BadAddress`]; [`NicError::P4Runtime`], among them [`P4RuntimeError::NoPipeline`].
pub async fn open(address: &str) -> Result<P4RuntimeNic, NicError> {
    let session = open_session(address).await?;
    P4RuntimeNic::new(address, session).await
}

/// Opens a target and gives it a program. A target that has this very program already keeps it, and
/// its entries.
///
/// `device_config` is what the target loads; for bmv2 the JSON of the compiler.
///
/// # Errors
/// [`NicError::BadAddress`]; [`NicError::P4Runtime`].
pub async fn open_with_pipeline(
    address: &str,
    p4info: &P4Info,
    device_config: &[u8],
) -> Result<P4RuntimeNic, NicError> {
    let session = open_session(address).await?;
    let set = config::set(&session, p4info, device_config).await;
    set.map_err(|error| nic_error(address, error))?;
    P4RuntimeNic::new(address, session).await
}

async fn open_session(address: &str) -> Result<Session, NicError> {
    let target = Target::parse(address).map_err(|error| nic_error(address, error))?;
    let session = Session::open(target).await;
    session.map_err(|error| nic_error(address, error))
}

/// A P4Runtime target, opened as primary controller.
#[derive(Debug)]
pub struct P4RuntimeNic {
    session: Session,
    info: NicInfo,
    p4info: P4Info,
    codec: PacketCodec,
}

impl P4RuntimeNic {
    async fn new(address: &str, session: Session) -> Result<Self, NicError> {
        let error = |error| nic_error(address, error);
        let pipeline = config::get(&session).await.map_err(error)?;
        let version = api_version(&session).await.map_err(error)?;
        let info = NicInfo {
            address: address.to_owned(),
            pci: None,
            firmware: firmware(&pipeline.p4info, &version),
            pipeline_cookie: pipeline.cookie,
            limits: Limits {
                batch: GRPC_MESSAGE,
                packet: PACKET,
                uplinks: 0,
                vfs: 0,
            },
        };
        Ok(P4RuntimeNic {
            session,
            info,
            codec: PacketCodec::new(&pipeline.p4info)?,
            p4info: pipeline.p4info,
        })
    }

    /// Packets from the target that were dropped here because nobody received them in time.
    pub fn packets_dropped(&self) -> u64 {
        self.session.packets_dropped()
    }

    /// Packets to the target that it refused, as far as it said so.
    pub fn stream_errors(&self) -> u64 {
        self.session.stream_errors()
    }

    /// The default entry of a table; `None`: the target told of none.
    ///
    /// # Errors
    /// As [`Nic::read_table`].
    pub async fn read_default_entry(&self, table: u32) -> Result<Option<TableEntry>, NicError> {
        self.result(read::default_entry(&self.session, table).await)
    }

    fn result<T>(&self, result: Result<T, P4RuntimeError>) -> Result<T, NicError> {
        result.map_err(|error| nic_error(&self.info.address, error))
    }
}

/// Errors that every kind of NIC has are the same for all of them.
fn nic_error(address: &str, error: P4RuntimeError) -> NicError {
    match error {
        P4RuntimeError::Address { address, reason } => NicError::BadAddress { address, reason },
        P4RuntimeError::Gone { reason } => NicError::DeviceGone {
            address: address.to_owned(),
            reason,
        },
        P4RuntimeError::Malformed { what, reason } => NicError::Malformed { what, reason },
        error => NicError::P4Runtime(error),
    }
}

/// What the target says of itself; older ones cannot be asked.
async fn api_version(session: &Session) -> Result<String, P4RuntimeError> {
    const WHAT: &str = "the request for capabilities";
    let deadline = session.target().deadline;
    let request = proto::CapabilitiesRequest {
        device_id: session.target().device_id,
    };
    let mut client = session.client();
    let call = client.capabilities(request);
    match session.try_call(WHAT, deadline, call).await? {
        Ok(response) => Ok(response.p4runtime_api_version),
        Err(status) if status.code() == Code::Unimplemented => Ok("1.0".to_owned()),
        Err(status) => Err(session.failure(WHAT, &status)),
    }
}

fn firmware(p4info: &P4Info, version: &str) -> String {
    let package = p4info.pkg_info.as_ref();
    let parts = package.map(|package| [&package.name, &package.version, &package.arch]);
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    let mut name: Vec<&str> = parts.map(String::as_str).collect();
    let version = format!("(P4Runtime {version})");
    name.push(&version);
    name.join(" ")
}

#[async_trait]
impl Nic for P4RuntimeNic {
    fn info(&self) -> &NicInfo {
        &self.info
    }

    fn p4info(&self) -> &P4Info {
        &self.p4info
    }

    async fn write(
        &self,
        updates: &[Update],
        atomicity: Atomicity,
    ) -> Result<Vec<Result<(), UpdateError>>, NicError> {
        self.result(write::write(&self.session, updates, atomicity).await)
    }

    async fn read_table(&self, table: u32) -> Result<Vec<TableEntry>, NicError> {
        self.result(read::table(&self.session, &self.p4info, table).await)
    }

    async fn read_registers(
        &self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, NicError> {
        self.result(read::registers(&self.session, register, first, count).await)
    }

    async fn read_counters(
        &self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, NicError> {
        self.result(read::counters(&self.session, counter, first, count).await)
    }

    async fn table_use(&self) -> Result<Vec<TableUse>, NicError> {
        let tables = &self.p4info.tables;
        let ids: Vec<u32> = tables.iter().map(|table| table.preamble.id).collect();
        let used = self.result(read::table_use(&self.session, &ids).await)?;
        let uses = tables.iter().zip(used).map(|(table, used)| TableUse {
            table: table.preamble.id,
            used,
            size: u64::try_from(table.size).unwrap_or(0),
        });
        Ok(uses.collect())
    }

    async fn send(&self, packet: PacketOut) -> Result<(), NicError> {
        // Targets need not say what is wrong with a packet; bmv2 does not.
        self.codec.encode(&packet)?;
        let metadata = packet.metadata.iter();
        let metadata = metadata.map(|(id, value)| proto::PacketMetadata {
            metadata_id: *id,
            value: canonical(value).to_vec(),
        });
        let message = proto::PacketOut {
            metadata: metadata.collect(),
            payload: packet.payload,
        };
        self.result(self.session.send(message).await)
    }

    async fn receive(&self) -> Result<PacketIn, NicError> {
        let packet = self.result(self.session.receive().await)?;
        let metadata = packet.metadata.into_iter();
        let mut metadata: Vec<_> = metadata
            .map(|field| (field.metadata_id, canonical(&field.value).to_vec()))
            .collect();
        metadata.sort_by_key(|(id, _)| *id);
        Ok(PacketIn {
            metadata,
            payload: packet.payload,
        })
    }

    async fn health(&self) -> Result<(), NicError> {
        self.result(api_version(&self.session).await.map(drop))
    }
}
