//! A FlowNIC device behind the [`Nic`] trait.
//!
//! ```text
//!  write, read_*, … ──► AdminQueue ──► submission queue        ┐
//!  send ──────────────► InjectRing ──► descriptors, buffers    ├ shared memory; BAR0 only to wake
//!  receive ◄─────────── PuntRing  ◄─── descriptors, buffers    ┘ a sleeping device
//!                         ▲
//!  task `completions`: admin interrupt → wakes who waits for a command
//!  task `watch`: hang-up, event interrupt, a look at the registers each second → device lost
//! ```

mod setup;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flownic_device_abi::admin::{self as abi, CounterCell, Opcode};
use flownic_device_abi::batch::{self, Reader, Unwritable, Writer};
use flownic_pipeline::entity::{Atomicity, CounterData, TableEntry, Update, UpdateError};
use flownic_pipeline::p4info::P4Info;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use zerocopy::FromBytes;

use crate::admin::{AdminQueue, Request, name};
use crate::error::NicError;
use crate::hw::{HwError, PciFunction};
use crate::liveness::Liveness;
use crate::nic::{Nic, NicInfo, PacketIn, PacketOut, TableUse};
use crate::packet_io::{PacketCodec, PacketError};
use crate::rings::{InjectRing, PuntRing};
use setup::{Interrupts, Running};

/// How often a wait for a ring looks by itself, should an interrupt be lost.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Longest P4Info that is read from a device.
const MAX_P4INFO: usize = 64 << 20;

/// Sizes and times. The defaults are right for a host that runs one agent.
#[derive(Debug, Clone)]
pub struct Options {
    /// For each admin command, and for a packet to be taken.
    pub deadline: Duration,
    /// Between looks at the device's registers.
    pub watch_interval: Duration,
    /// Admin commands in flight, each with two buffers; 1 to 16.
    pub commands: usize,
    /// Bytes of such a buffer, as far as the device goes. Bounds atomic batches.
    pub data: usize,
    /// Bytes of a packet, as far as the device goes.
    pub packet: usize,
    /// Punted packets that wait for us, a power of two.
    pub punt_descriptors: u32,
    /// Packets that wait for the device, a power of two.
    pub inject_descriptors: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            watch_interval: Duration::from_secs(1),
            commands: 4,
            data: 4 << 20,
            packet: 16 << 10,
            punt_descriptors: 1024,
            inject_descriptors: 256,
        }
    }
}

/// A running device. Dropping it closes the way to the device, which resets the function; the
/// pipeline goes on.
#[derive(Debug)]
pub struct DeviceNic {
    info: NicInfo,
    p4info: P4Info,
    codec: PacketCodec,
    inner: Arc<Inner>,
    /// Ended when the NIC is dropped.
    _tasks: JoinSet<()>,
    _closer: Closer,
}

/// Gives the function up when it is dropped, so that another driver can attach at once, whatever
/// still holds on to this one.
#[derive(Debug)]
struct Closer(Arc<dyn PciFunction>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What calls and tasks share.
#[derive(Debug)]
struct Inner {
    running: Running,
    interrupts: Interrupts,
    liveness: Arc<Liveness>,
    admin: AdminQueue,
    punt: Mutex<PuntRing>,
    inject: Mutex<InjectRing>,
    options: Options,
}

impl DeviceNic {
    /// Resets and starts the device behind `function`. `address` is for people.
    ///
    /// # Errors
    /// [`NicError::NotFlowNic`], [`NicError::Incompatible`], [`NicError::Setup`], [`NicError::Open`], or
    /// as the first commands, which read the P4Info.
    pub async fn open(
        address: &str,
        function: Arc<dyn PciFunction>,
        options: Options,
    ) -> Result<Self, NicError> {
        let closer = Closer(function.clone());
        let inner = Arc::new(Inner::start(address, function, options).await?);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch::completions(inner.clone()));
        tasks.spawn(watch::watch(inner.clone()));
        let info = inner.running.info.clone();
        let p4info = inner.read_p4info(&info).await?;
        let codec = PacketCodec::new(&p4info)?;
        Ok(Self {
            info,
            p4info,
            codec,
            inner,
            _tasks: tasks,
            _closer: closer,
        })
    }
}

impl Inner {
    async fn start(
        address: &str,
        function: Arc<dyn PciFunction>,
        options: Options,
    ) -> Result<Self, NicError> {
        let system = |source: std::io::Error| {
            NicError::Hw(HwError::System {
                what: "prepare interrupts",
                source,
            })
        };
        let interrupts = Interrupts::new().map_err(system)?;
        let owned = (address.to_owned(), options.clone());
        let set_up = move || {
            let (address, options) = owned;
            let running = setup::run(&address, function, &interrupts, &options)?;
            Ok::<_, NicError>((running, interrupts))
        };
        let (running, interrupts) = tokio::task::spawn_blocking(set_up)
            .await
            .map_err(|error| system(error.into()))??;
        let liveness = Arc::new(Liveness::new(address.to_owned()));
        let (memory, doorbells, layout) = (&running.memory, &running.doorbells, running.layout);
        let deadline = options.deadline;
        let admin = AdminQueue::new(
            memory.clone(),
            doorbells.clone(),
            liveness.clone(),
            layout.admin,
            deadline,
        );
        let punt = PuntRing::start(memory.clone(), doorbells.clone(), layout.punt)?;
        let inject = InjectRing::new(memory.clone(), doorbells.clone(), layout.inject);
        let (punt, inject) = (Mutex::new(punt), Mutex::new(inject));
        Ok(Self {
            running,
            interrupts,
            liveness,
            admin,
            punt,
            inject,
            options,
        })
    }

    /// Reads the P4Info in pieces and checks that it is of the pipeline that the registers name.
    async fn read_p4info(&self, info: &NicInfo) -> Result<P4Info, NicError> {
        const WHAT: &str = "reading the P4Info";
        let malformed = |reason| NicError::Malformed { what: WHAT, reason };
        let response = self.admin.execute(Request::new(Opcode::Identify)).await?;
        let (identity, _) = abi::Identity::read_from_prefix(&response.output)
            .map_err(|_| malformed(format!("identity of {} bytes", response.output.len())))?;
        if identity.pipeline_cookie.get() != info.pipeline_cookie {
            return Err(malformed(
                "another pipeline was loaded while the NIC was opened".into(),
            ));
        }
        let mut json = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let request = Request {
                cursor: from,
                ..Request::new(Opcode::ReadP4Info)
            };
            let response = self.admin.execute(request).await?;
            json.extend_from_slice(&response.output);
            cursor = response.cursor;
            let stuck = cursor.is_some() && response.output.is_empty();
            if stuck || json.len() > MAX_P4INFO {
                return Err(malformed(format!("no end after {} bytes", json.len())));
            }
        }
        if json.len() != identity.p4info_len.get() as usize {
            return Err(malformed(format!(
                "{} bytes, not {}",
                json.len(),
                identity.p4info_len.get()
            )));
        }
        P4Info::from_json(&json).map_err(|error| malformed(error.to_string()))
    }

    /// Sends updates that fit in one buffer; one result for each.
    async fn write_part(
        &self,
        input: &[u8],
        updates: usize,
        atomicity: Atomicity,
    ) -> Result<Vec<Result<(), UpdateError>>, NicError> {
        const WHAT: &str = "writing a batch";
        let flags = batch::atomicity_code(atomicity);
        let request = Request {
            flags,
            input,
            ..Request::new(Opcode::WriteBatch)
        };
        let response = self.admin.execute(request).await?;
        let mut reader = Reader::new(&response.output).map_err(NicError::malformed(WHAT))?;
        let results = std::iter::from_fn(|| reader.result().transpose())
            .collect::<Result<Vec<_>, _>>()
            .map_err(NicError::malformed(WHAT))?;
        if results.len() != updates {
            let reason = format!("{} results for {updates} updates", results.len());
            return Err(NicError::Malformed { what: WHAT, reason });
        }
        Ok(results)
    }

    /// Reads cells piece by piece: `decode` gives the cells of one response.
    async fn read_cells<T>(
        &self,
        opcode: Opcode,
        object: u32,
        first: u32,
        count: u32,
        decode: impl Fn(&[u8]) -> Result<Vec<T>, NicError>,
    ) -> Result<Vec<T>, NicError> {
        let mut cells = Vec::new();
        while cells.len() < count as usize {
            let done = cells.len() as u32;
            let (first, count) = (first.saturating_add(done), count - done);
            let request = Request {
                object,
                first,
                count,
                ..Request::new(opcode)
            };
            let response = self.admin.execute(request).await?;
            let piece = decode(&response.output)?;
            if piece.is_empty()
                || piece.len() > count as usize
                || piece.len() != response.count as usize
            {
                let reason = format!(
                    "{} cells, {} announced, {count} asked for",
                    piece.len(),
                    response.count
                );
                return Err(NicError::Malformed {
                    what: name(opcode),
                    reason,
                });
            }
            cells.extend(piece);
        }
        Ok(cells)
    }

    /// The next punted packet as it is.
    async fn next_punt(&self) -> Result<Vec<u8>, NicError> {
        loop {
            {
                let mut ring = self.punt.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(packet) = ring.pop()? {
                    return Ok(packet);
                }
                self.running.doorbells.arm(PuntRing::EVENT, ring.next())?;
                if let Some(packet) = ring.pop()? {
                    return Ok(packet);
                }
            }
            // Also after a time without an interrupt.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.interrupts.punt.wait()).await;
        }
    }

    /// Hands a packet to the device as it is, as soon as there is room.
    async fn inject(&self, packet: &[u8]) -> Result<(), NicError> {
        let deadline = Instant::now() + self.options.deadline;
        loop {
            {
                let mut ring = self.inject.lock().unwrap_or_else(PoisonError::into_inner);
                if packet.len() > ring.limit() {
                    let (len, limit) = (packet.len(), ring.limit());
                    return Err(PacketError::TooLong { len, limit }.into());
                }
                if ring.push(packet)? {
                    return Ok(());
                }
                self.running.doorbells.arm(InjectRing::EVENT, ring.next())?;
                if ring.push(packet)? {
                    return Ok(());
                }
            }
            if Instant::now() >= deadline {
                let (what, after) = ("no room in the inject ring", self.options.deadline);
                return Err(NicError::Busy { what, after });
            }
            let look_again = (Instant::now() + LOOK_AGAIN).min(deadline);
            let _ = timeout_at(look_again, self.interrupts.inject.wait()).await;
        }
    }
}

/// Encodes as many updates as fit; returns the bytes and how many.
fn encode(updates: &[Update], first: usize, limit: usize) -> Result<(Vec<u8>, usize), NicError> {
    let mut writer = Writer::new(limit);
    for (i, update) in updates.iter().enumerate() {
        match writer.update(update) {
            Ok(()) => {}
            Err(Unwritable::Full) if i > 0 => return Ok((writer.finish(), i)),
            Err(error) => {
                return Err(NicError::BadUpdate {
                    index: first + i,
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok((writer.finish(), updates.len()))
}

#[async_trait]
impl Nic for DeviceNic {
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
        let limit = self.inner.admin.data_len();
        let mut results = Vec::with_capacity(updates.len());
        while results.len() < updates.len() {
            let rest = &updates[results.len()..];
            let (input, count) = encode(rest, results.len(), limit)?;
            if count < updates.len() && atomicity != Atomicity::ContinueOnError {
                return Err(NicError::BatchTooLong {
                    updates: updates.len(),
                    fitting: count,
                    limit,
                });
            }
            results.extend(self.inner.write_part(&input, count, atomicity).await?);
        }
        Ok(results)
    }

    async fn read_table(&self, table: u32) -> Result<Vec<TableEntry>, NicError> {
        let what = name(Opcode::ReadTable);
        let mut entries = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let request = Request {
                object: table,
                cursor: from,
                ..Request::new(Opcode::ReadTable)
            };
            let response = self.inner.admin.execute(request).await?;
            let mut reader = Reader::new(&response.output).map_err(NicError::malformed(what))?;
            let before = entries.len();
            while let Some(entry) = reader.entry().map_err(NicError::malformed(what))? {
                entries.push(entry);
            }
            cursor = response.cursor;
            if cursor.is_some() && entries.len() == before {
                let reason = "a part without entries that is not the last".into();
                return Err(NicError::Malformed { what, reason });
            }
        }
        Ok(entries)
    }

    async fn read_registers(
        &self,
        register: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<Vec<u8>>, NicError> {
        let what = name(Opcode::ReadRegisters);
        let decode = |output: &[u8]| {
            let mut reader = Reader::new(output).map_err(NicError::malformed(what))?;
            std::iter::from_fn(|| reader.cell().transpose())
                .map(|cell| cell.map(<[u8]>::to_vec).map_err(NicError::malformed(what)))
                .collect()
        };
        self.inner
            .read_cells(Opcode::ReadRegisters, register, first, count, decode)
            .await
    }

    async fn read_counters(
        &self,
        counter: u32,
        first: u32,
        count: u32,
    ) -> Result<Vec<CounterData>, NicError> {
        let decode = |output: &[u8]| {
            let cells =
                <[CounterCell]>::ref_from_bytes(output).map_err(|_| NicError::Malformed {
                    what: name(Opcode::ReadCounters),
                    reason: format!("{} bytes are no whole cells", output.len()),
                })?;
            let data = |cell: &CounterCell| CounterData {
                packets: cell.packets.get(),
                bytes: cell.bytes.get(),
            };
            Ok(cells.iter().map(data).collect())
        };
        self.inner
            .read_cells(Opcode::ReadCounters, counter, first, count, decode)
            .await
    }

    async fn table_use(&self) -> Result<Vec<TableUse>, NicError> {
        let response = self
            .inner
            .admin
            .execute(Request::new(Opcode::TableUse))
            .await?;
        let tables = <[abi::TableUse]>::ref_from_bytes(&response.output).map_err(|_| {
            NicError::Malformed {
                what: name(Opcode::TableUse),
                reason: format!("{} bytes are no whole lines", response.output.len()),
            }
        })?;
        let line = |line: &abi::TableUse| TableUse {
            table: line.table.get(),
            used: line.used.get(),
            size: line.size.get(),
        };
        Ok(tables.iter().map(line).collect())
    }

    async fn send(&self, packet: PacketOut) -> Result<(), NicError> {
        let bytes = self.codec.encode(&packet)?;
        self.inner.liveness.guard(self.inner.inject(&bytes)).await
    }

    async fn receive(&self) -> Result<PacketIn, NicError> {
        let liveness = &self.inner.liveness;
        let packet = liveness.guard(self.inner.next_punt()).await;
        // A ring that makes no sense once will not make sense again.
        let packet = packet.inspect_err(|error| liveness.fail(&error.to_string()))?;
        Ok(self.codec.decode(&packet)?)
    }

    async fn health(&self) -> Result<(), NicError> {
        watch::look(&self.inner).await?;
        self.inner
            .admin
            .execute(Request::new(Opcode::Nop))
            .await
            .map(drop)
    }
}
