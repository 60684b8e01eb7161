//! The admin queue, from the driver's side: commands in flight, each with a data buffer and a deadline.
//!
//! A command that gets no completion in time makes the device lost: its buffer may still be written
//! to, and nothing can be said about what it did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flownic_device_abi::admin::{
    COMMAND_LEN, COMPLETION_LEN, CURSOR_END, Command, Completion, CompletionTail, Opcode, Status,
    TAIL_OFFSET,
};
use flownic_device_abi::bar2;
use flownic_device_abi::ring::slot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use zerocopy::IntoBytes;

use crate::error::NicError;
use crate::events::Event;
use crate::liveness::Liveness;
use crate::registers::Doorbells;
use crate::vfio::DmaMemory;

/// How often a command looks for its completion by itself, should an interrupt be lost.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where the queue is in the DMA memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Offset of the submission queue.
    pub(crate) submissions: usize,
    /// Offset of the completion queue.
    pub(crate) completions: usize,
    /// Entries of both.
    pub(crate) size: u32,
    /// Offset of the first input buffer; each is followed by its output buffer.
    pub(crate) data: usize,
    /// Bytes of each buffer.
    pub(crate) data_len: usize,
    /// Commands in flight at most, each with its two buffers. At most `size` and at most 256.
    pub(crate) slots: usize,
}

/// A command for the device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) opcode: Opcode,
    pub(crate) flags: u32,
    pub(crate) object: u32,
    pub(crate) first: u32,
    pub(crate) count: u32,
    pub(crate) cursor: u64,
    /// At most the length of a data buffer.
    pub(crate) input: &'a [u8],
}

impl Request<'static> {
    /// A command without parameters.
    pub(crate) fn new(opcode: Opcode) -> Self {
        Self {
            opcode,
            flags: 0,
            object: 0,
            first: 0,
            count: 0,
            cursor: 0,
            input: &[],
        }
    }
}

/// What a successful command gave.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) output: Vec<u8>,
    pub(crate) count: u32,
    /// Where to go on.
    pub(crate) cursor: Option<u64>,
}

/// One of the slots: whoever holds it may use its buffers.
#[derive(Debug)]
struct Slot {
    index: u8,
    free: Arc<Mutex<Vec<u8>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.free).push(self.index); // before the permit, which is dropped after this
    }
}

/// A command in flight. It holds its slot even when nobody waits for it any more.
#[derive(Debug)]
struct InFlight {
    id: u16,
    slot: Slot,
    waiting: oneshot::Sender<(Completion, Slot)>,
}

#[derive(Debug, Default)]
struct State {
    /// Commands submitted so far.
    submitted: u32,
    /// Completions consumed so far.
    completed: u32,
    /// Upper byte of the next id, so that a late or doubled completion is noticed.
    generation: u8,
    in_flight: Vec<Option<InFlight>>,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct AdminQueue {
    memory: Arc<DmaMemory>,
    doorbells: Arc<Doorbells>,
    liveness: Arc<Liveness>,
    place: Place,
    deadline: Duration,
    permits: Arc<Semaphore>,
    free: Arc<Mutex<Vec<u8>>>,
    state: Mutex<State>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in this module panics with a lock held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AdminQueue {
    pub(crate) fn new(
        memory: Arc<DmaMemory>,
        doorbells: Arc<Doorbells>,
        liveness: Arc<Liveness>,
        place: Place,
        deadline: Duration,
    ) -> Self {
        let slots = place.slots.min(256);
        let in_flight = (0..slots).map(|_| None).collect();
        Self {
            memory,
            doorbells,
            liveness,
            place,
            deadline,
            permits: Arc::new(Semaphore::new(slots)),
            free: Arc::new(Mutex::new(
                (0..slots).rev().map(|slot| slot as u8).collect(),
            )),
            state: Mutex::new(State {
                in_flight,
                ..State::default()
            }),
        }
    }

    /// Longest input and output, bytes.
    pub(crate) fn data_len(&self) -> usize {
        self.place.data_len
    }

    fn input(&self, slot: u8) -> usize {
        self.place.data + usize::from(slot) * 2 * self.place.data_len
    }

    fn output(&self, slot: u8) -> usize {
        self.input(slot) + self.place.data_len
    }

    /// Gives a command to the device and waits for its completion. When the future is dropped, the
    /// command runs on.
    pub(crate) async fn execute(&self, request: Request<'_>) -> Result<Response, NicError> {
        let what = name(request.opcode);
        let deadline = Instant::now() + self.deadline;
        let (completion, slot) = self
            .liveness
            .guard(async {
                let slot = self.slot(what, deadline).await?;
                let done = self.submit(&request, slot)?;
                self.wait(what, done, deadline).await
            })
            .await?;
        self.response(what, &completion, &slot)
    }

    async fn slot(&self, what: &'static str, deadline: Instant) -> Result<Slot, NicError> {
        let busy = NicError::Busy {
            what,
            after: self.deadline,
        };
        let permit = timeout_at(deadline, self.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(busy);
        };
        // There are as many permits as slots.
        let index = lock(&self.free).pop().ok_or(busy)?;
        Ok(Slot {
            index,
            free: self.free.clone(),
            _permit: permit,
        })
    }

    fn submit(
        &self,
        request: &Request<'_>,
        slot: Slot,
    ) -> Result<oneshot::Receiver<(Completion, Slot)>, NicError> {
        let memory = self.memory.memory();
        let address = |offset: usize| self.memory.iova() + offset as u64;
        memory.write(self.input(slot.index), request.input)?;
        let (waiting, done) = oneshot::channel();
        let mut state = lock(&self.state);
        let id = u16::from_le_bytes([slot.index, state.generation]);
        let command = Command {
            opcode: (request.opcode as u16).into(),
            id: id.into(),
            flags: request.flags.into(),
            input: address(self.input(slot.index)).into(),
            output: address(self.output(slot.index)).into(),
            input_len: (request.input.len() as u32).into(),
            output_len: (self.place.data_len as u32).into(),
            object: request.object.into(),
            first: request.first.into(),
            count: request.count.into(),
            cursor: request.cursor.into(),
            ..Command::default()
        };
        let at = slot_of(state.submitted, self.place.size, COMMAND_LEN);
        memory.write(self.place.submissions + at, command.as_bytes())?;
        state.generation = state.generation.wrapping_add(1);
        state.submitted = state.submitted.wrapping_add(1);
        let index = usize::from(slot.index);
        if let Some(place) = state.in_flight.get_mut(index) {
            *place = Some(InFlight { id, slot, waiting });
        }
        // Under the lock, so that the doorbell never goes back.
        self.doorbells.ring(&bar2::ADMIN_TAIL, state.submitted)?;
        Ok(done)
    }

    async fn wait(
        &self,
        what: &'static str,
        mut done: oneshot::Receiver<(Completion, Slot)>,
        deadline: Instant,
    ) -> Result<(Completion, Slot), NicError> {
        loop {
            let look_again = (Instant::now() + LOOK_AGAIN).min(deadline);
            match timeout_at(look_again, &mut done).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(_)) => return Err(self.liveness.lost().await),
                Err(_) => {}
            }
            let found = self.reap()?;
            if found == 0 && Instant::now() >= deadline {
                self.liveness.fail(&format!(
                    "no completion of {what} within {:?}",
                    self.deadline
                ));
                return Err(self.liveness.lost().await);
            }
        }
    }

    /// Takes what the device has completed and wakes who waits for it. Returns how many.
    fn reap(&self) -> Result<usize, NicError> {
        let mut state = lock(&self.state);
        let mut count = 0;
        while let Some(completion) = self.completion(state.completed)? {
            state.completed = state.completed.wrapping_add(1);
            count += 1;
            let id = completion.tail.id.get();
            let place = state.in_flight.get_mut(usize::from(id.to_le_bytes()[0]));
            let Some(done) = place.and_then(|place| place.take_if(|in_flight| in_flight.id == id))
            else {
                let reason = format!("completion of command {id:#06x}, which is not in flight");
                self.liveness.fail(&reason);
                return Err(NicError::Malformed {
                    what: "admin queue",
                    reason,
                });
            };
            // Nobody waits: the slot is free with this.
            let _ = done.waiting.send((completion, done.slot));
        }
        Ok(count)
    }

    /// Completion number `index`, if the device has written it.
    fn completion(&self, index: u32) -> Result<Option<Completion>, NicError> {
        let memory = self.memory.memory();
        let offset = self.place.completions + slot_of(index, self.place.size, COMPLETION_LEN);
        let tail = CompletionTail::from_word(memory.load_u64(offset + TAIL_OFFSET)?);
        if !tail.is_done(index, self.place.size) {
            return Ok(None);
        }
        let mut completion = Completion::default();
        memory.read(offset, completion.as_mut_bytes())?;
        completion.tail = tail;
        Ok(Some(completion))
    }

    /// Copies a command's output, or makes an error of its status.
    fn response(
        &self,
        what: &'static str,
        completion: &Completion,
        slot: &Slot,
    ) -> Result<Response, NicError> {
        let malformed = |reason| NicError::Malformed { what, reason };
        let len = completion.output_len.get() as usize;
        if len > self.place.data_len {
            return Err(malformed(format!(
                "{len} bytes of output in a buffer of {}",
                self.place.data_len
            )));
        }
        let output = self
            .memory
            .memory()
            .read_vec(self.output(slot.index), len)?;
        match completion.tail.status() {
            Ok(Status::Success) => Ok(Response {
                output,
                count: completion.count.get(),
                cursor: Some(completion.cursor.get()).filter(|&cursor| cursor != CURSOR_END),
            }),
            Ok(Status::BadInput) => {
                let message = format!(
                    "the device cannot read byte {} of the batch",
                    completion.detail.get()
                );
                Err(NicError::Refused {
                    what,
                    status: Status::BadInput,
                    message,
                })
            }
            Ok(status) => {
                let message = String::from_utf8_lossy(&output).into_owned();
                Err(NicError::Refused {
                    what,
                    status,
                    message,
                })
            }
            Err(code) => Err(malformed(format!("unknown status {code}"))),
        }
    }

    /// Takes completions whenever the device signals, for ever.
    pub(crate) async fn serve(&self, interrupt: &Event) -> Result<(), NicError> {
        loop {
            self.reap()?;
            let next = lock(&self.state).completed;
            self.doorbells.arm(&bar2::ADMIN_EVENT, next)?;
            if self.reap()? == 0
                && let Err(error) = interrupt.wait().await
            {
                tracing::warn!(%error, "cannot wait for interrupts of the admin queue");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }
}

/// Offset of entry `index` in a queue of entries of `len` bytes.
fn slot_of(index: u32, size: u32, len: usize) -> usize {
    slot(index, size) as usize * len
}

/// What a command is called in errors.
pub(crate) fn name(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Nop => "health check",
        Opcode::Identify => "identification",
        Opcode::ReadP4Info => "reading the P4Info",
        Opcode::WriteBatch => "writing a batch",
        Opcode::ReadTable => "reading a table",
        Opcode::ReadRegisters => "reading registers",
        Opcode::ReadCounters => "reading counters",
        Opcode::TableUse => "reading table use",
    }
}
