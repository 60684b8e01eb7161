//! Executes admin commands on the pipeline. No lock is held and no host memory is touched here.

use flownic_device_abi::ABI_VERSION;
use flownic_device_abi::admin::{self, CURSOR_END, Command, CounterCell, Opcode, Status};
use flownic_device_abi::batch::{self, Malformed, Reader, Unwritable, Writer};
use flownic_pipeline::entity::{Code, Update, UpdateError};
use zerocopy::IntoBytes;

use super::{DeviceBackend, Identity};

/// A command that was taken from the queue.
#[derive(Debug)]
pub(super) struct Job {
    /// Epoch of the rings that it belongs to.
    pub(super) epoch: u64,
    pub(super) command: Command,
    pub(super) input: Vec<u8>,
}

/// What a command's completion says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: Status,
    pub(super) output: Vec<u8>,
    pub(super) count: u32,
    pub(super) cursor: u64,
    pub(super) detail: u64,
}

impl Outcome {
    pub(super) fn error(status: Status) -> Self {
        Self {
            status,
            output: Vec::new(),
            count: 0,
            cursor: CURSOR_END,
            detail: 0,
        }
    }

    fn success(output: Vec<u8>, count: u32) -> Self {
        Self {
            status: Status::Success,
            output,
            count,
            cursor: CURSOR_END,
            detail: 0,
        }
    }

    /// The pipeline refused a read.
    fn refused(error: &UpdateError, capacity: usize) -> Self {
        let status = if error.code == Code::NotFound {
            Status::NotFound
        } else {
            Status::Refused
        };
        let end = error.message.floor_char_boundary(capacity);
        Self {
            output: error.message.as_bytes()[..end].to_vec(),
            ..Self::error(status)
        }
    }
}

/// Most entries that one READ_TABLE asks the pipeline for.
const ENTRIES_AT_ONCE: usize = 1024;

/// Shortest result of an update that was refused: size, code and an empty message.
const SHORT_RESULT_LEN: usize = 10;

/// Executes a command.
pub(super) fn execute(job: &Job, identity: &Identity, backend: &mut dyn DeviceBackend) -> Outcome {
    let command = &job.command;
    let Some(opcode) = Opcode::from_code(command.opcode.get()) else {
        tracing::debug!(opcode = command.opcode.get(), "unknown admin command");
        return Outcome::error(Status::BadOpcode);
    };
    if opcode != Opcode::WriteBatch && command.flags.get() != 0 {
        return Outcome::error(Status::BadField);
    }
    let capacity = command.output_len.get() as usize;
    match opcode {
        Opcode::Nop => Outcome::success(Vec::new(), 0),
        Opcode::Identify => fits(identify(identity, backend), 1, capacity),
        Opcode::ReadP4Info => read_p4info(command, capacity, backend.p4info_json()),
        Opcode::WriteBatch => write_batch(command, &job.input, capacity, backend),
        Opcode::ReadTable => read_table(command, capacity, backend),
        Opcode::ReadRegisters => read_registers(command, capacity, backend),
        Opcode::ReadCounters => read_counters(command, capacity, backend),
        Opcode::TableUse => table_use(capacity, backend),
    }
}

fn fits(output: Vec<u8>, count: u32, capacity: usize) -> Outcome {
    if output.len() > capacity {
        Outcome::error(Status::OutputTooShort)
    } else {
        Outcome::success(output, count)
    }
}

fn identify(identity: &Identity, backend: &dyn DeviceBackend) -> Vec<u8> {
    admin::Identity {
        abi_version: ABI_VERSION.into(),
        p4info_len: u32::try_from(backend.p4info_json().len())
            .unwrap_or(u32::MAX)
            .into(),
        pipeline_cookie: identity.pipeline_cookie.into(),
        serial: identity.serial.into(),
        uplinks: identity.uplinks.into(),
        vfs: identity.vfs.into(),
        reserved: [0; 32],
        firmware: identity.firmware_bytes(),
    }
    .as_bytes()
    .to_vec()
}

fn read_p4info(command: &Command, capacity: usize, json: &[u8]) -> Outcome {
    let rest = usize::try_from(command.cursor.get())
        .ok()
        .and_then(|start| json.get(start..));
    let Some(rest) = rest else {
        return Outcome::error(Status::BadField);
    };
    if capacity == 0 {
        return Outcome::error(Status::OutputTooShort);
    }
    let piece = &rest[..rest.len().min(capacity)];
    let next = command.cursor.get() + piece.len() as u64;
    let cursor = if piece.len() == rest.len() {
        CURSOR_END
    } else {
        next
    };
    Outcome {
        cursor,
        ..Outcome::success(piece.to_vec(), 1)
    }
}

fn write_batch(
    command: &Command,
    input: &[u8],
    capacity: usize,
    backend: &mut dyn DeviceBackend,
) -> Outcome {
    let Some(atomicity) = batch::atomicity_from_code(command.flags.get()) else {
        return Outcome::error(Status::BadField);
    };
    let updates = match read_updates(input) {
        Ok(updates) => updates,
        Err(malformed) => {
            tracing::debug!(%malformed, "batch refused");
            return Outcome {
                detail: malformed.offset as u64,
                ..Outcome::error(Status::BadInput)
            };
        }
    };
    if batch::EMPTY_LEN + updates.len() * SHORT_RESULT_LEN > capacity {
        return Outcome::error(Status::OutputTooShort);
    }
    let results = backend.write(&updates, atomicity);
    let count = results.len() as u32;
    let output = results_with_messages(&results, capacity)
        .or_else(|_| results_with_messages(&without_messages(results), capacity));
    match output {
        Ok(output) => Outcome::success(output, count),
        Err(_) => Outcome::error(Status::Internal),
    }
}

fn read_updates(input: &[u8]) -> Result<Vec<Update>, Malformed> {
    let mut reader = Reader::new(input)?;
    std::iter::from_fn(|| reader.update().transpose()).collect()
}

fn results_with_messages(
    results: &[Result<(), UpdateError>],
    capacity: usize,
) -> Result<Vec<u8>, Unwritable> {
    let mut writer = Writer::new(capacity);
    results
        .iter()
        .try_for_each(|result| writer.result(result))?;
    Ok(writer.finish())
}

fn without_messages(results: Vec<Result<(), UpdateError>>) -> Vec<Result<(), UpdateError>> {
    let short = |error: UpdateError| UpdateError {
        message: String::new(),
        ..error
    };
    results
        .into_iter()
        .map(|result| result.map_err(short))
        .collect()
}

/// Entries from the cursor on. How many fit is known only when they are written, and a cursor is
/// the pipeline's secret; so when they do not fit, fewer are asked for.
fn read_table(command: &Command, capacity: usize, backend: &mut dyn DeviceBackend) -> Outcome {
    let (table, cursor) = (command.object.get(), command.cursor.get());
    let mut limit = match command.count.get() as usize {
        0 => ENTRIES_AT_ONCE,
        count => count.min(ENTRIES_AT_ONCE),
    };
    loop {
        let (entries, next) = match backend.read_table(table, cursor, limit) {
            Ok(read) => read,
            Err(error) => return Outcome::refused(&error, capacity),
        };
        let mut writer = Writer::new(capacity);
        let written = entries.iter().try_for_each(|entry| writer.entry(entry));
        match written {
            Ok(()) if capacity >= batch::EMPTY_LEN => {
                let count = writer.count();
                let cursor = next.unwrap_or(CURSOR_END);
                return Outcome {
                    cursor,
                    ..Outcome::success(writer.finish(), count)
                };
            }
            Err(Unwritable::Full) if limit > 1 => limit /= 2,
            Err(Unwritable::TooLong) => return Outcome::error(Status::Internal),
            _ => return Outcome::error(Status::OutputTooShort),
        }
    }
}

/// As many cells as fit; every cell of a register has the same width.
fn read_registers(command: &Command, capacity: usize, backend: &mut dyn DeviceBackend) -> Outcome {
    let most = capacity.saturating_sub(batch::EMPTY_LEN) / (4 + 2);
    let count = command
        .count
        .get()
        .min(u32::try_from(most).unwrap_or(u32::MAX));
    let cells = match backend.read_registers(command.object.get(), command.first.get(), count) {
        Ok(cells) => cells,
        Err(error) => return Outcome::refused(&error, capacity),
    };
    let mut writer = Writer::new(capacity);
    for cell in &cells {
        match writer.cell(cell) {
            Ok(()) => {}
            Err(Unwritable::Full) => break,
            Err(Unwritable::TooLong) => return Outcome::error(Status::Internal),
        }
    }
    if writer.count() == 0 && command.count.get() > 0 {
        return Outcome::error(Status::OutputTooShort);
    }
    let count = writer.count();
    fits(writer.finish(), count, capacity)
}

fn read_counters(command: &Command, capacity: usize, backend: &mut dyn DeviceBackend) -> Outcome {
    let most = capacity / size_of::<CounterCell>();
    let count = command
        .count
        .get()
        .min(u32::try_from(most).unwrap_or(u32::MAX));
    if count == 0 && command.count.get() > 0 {
        return Outcome::error(Status::OutputTooShort);
    }
    let cells = match backend.read_counters(command.object.get(), command.first.get(), count) {
        Ok(cells) => cells,
        Err(error) => return Outcome::refused(&error, capacity),
    };
    let cell = |data: &flownic_pipeline::entity::CounterData| CounterCell {
        packets: data.packets.into(),
        bytes: data.bytes.into(),
    };
    let cells: Vec<CounterCell> = cells.iter().map(cell).collect();
    fits(cells.as_bytes().to_vec(), cells.len() as u32, capacity)
}

fn table_use(capacity: usize, backend: &mut dyn DeviceBackend) -> Outcome {
    let line = |(table, used, size): (u32, u64, u64)| admin::TableUse {
        table: table.into(),
        reserved: 0.into(),
        used: used.into(),
        size: size.into(),
    };
    let lines: Vec<admin::TableUse> = backend.table_use().into_iter().map(line).collect();
    fits(lines.as_bytes().to_vec(), lines.len() as u32, capacity)
}
