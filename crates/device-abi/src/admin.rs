//! The admin queue: commands of 64 bytes, completions of 32, data in buffers of the driver.
//!
//! The driver writes command `i` to slot `i % ADMIN_SIZE` of the submission queue and stores `i + 1`
//! in the doorbell `ADMIN_TAIL`. Completion number `j` is in slot `j % ADMIN_SIZE` of the completion queue;
//! it is valid when its phase bit is [`crate::ring::phase`]`(j, ADMIN_SIZE)`. Completions may come in any order
//! and carry the command's id. At most `ADMIN_SIZE` commands are in flight; so neither queue overflows.
//! Queue memory is zero when the function is enabled.

use crate::codes::codes;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A command.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Command {
    /// [`Opcode`].
    pub opcode: U16,
    /// Chosen by the driver, unique among the commands in flight.
    pub id: U16,
    /// [`Opcode::WriteBatch`]: a code of [`atomicity`]. Otherwise 0.
    pub flags: U32,
    /// IOVA of the input.
    pub input: U64,
    /// IOVA of the output buffer.
    pub output: U64,
    /// Bytes of the input, at most `MAX_DATA`.
    pub input_len: U32,
    /// Bytes of the output buffer, at most `MAX_DATA`.
    pub output_len: U32,
    /// P4Info id of a table, register or counter.
    pub object: U32,
    /// First cell.
    pub first: U32,
    /// Cells, or the largest number of entries.
    pub count: U32,
    /// 0.
    pub reserved: U32,
    /// Where to go on: 0 at first, then from the last completion.
    pub cursor: U64,
    /// 0.
    pub reserved2: U64,
}

/// A completion.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Completion {
    /// Where to go on, [`CURSOR_END`]: that was all.
    pub cursor: U64,
    /// Bytes of output.
    pub output_len: U32,
    /// Items of output: entries, cells, results, tables.
    pub count: U32,
    /// Bad input: offset of the byte that is wrong.
    pub detail: U64,
    /// The word that makes the completion valid.
    pub tail: CompletionTail,
}

/// Last 8 bytes of a completion, written at once and last.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct CompletionTail {
    /// Commands that the device has taken from the submission queue (free-running).
    pub taken: U32,
    /// Id of the command.
    pub id: U16,
    /// Bit 0: phase. Bits 15:1: [`Status`].
    pub status_phase: U16,
}

/// Bytes of a command.
pub const COMMAND_LEN: usize = 64;
/// Bytes of a completion.
pub const COMPLETION_LEN: usize = 32;
/// Where a completion's tail is.
pub const TAIL_OFFSET: usize = 24;
const _: () = assert!(size_of::<Command>() == COMMAND_LEN);
const _: () = assert!(size_of::<Completion>() == COMPLETION_LEN);
const _: () = assert!(size_of::<CompletionTail>() == COMPLETION_LEN - TAIL_OFFSET);

/// Cursor of a read that reached the end.
pub const CURSOR_END: u64 = u64::MAX;

codes! {
    /// What a command does.
    Opcode: u16 {
        Nop = 0 "Nothing: shows that the device lives.";
        Identify = 1 "Output: `Identity`.";
        ReadP4Info = 2 "Output: bytes of the P4Info (protobuf JSON) from `cursor` on. Completion: next cursor.";
        WriteBatch = 3 "Input: updates. Output: one result for each. Flags: atomicity.";
        ReadTable = 4 "Entries of table `object` from `cursor` on, at most `count` (0: what fits). Completion: next cursor.";
        ReadRegisters = 5 "Cells `first` … of register `object`, at most `count`. Completion: how many are there.";
        ReadCounters = 6 "Cells `first` … of counter `object`, at most `count`. Completion: how many are there.";
        TableUse = 7 "Output: one `TableUse` for each table.";
    }
}

codes! {
    /// How a command ended. A batch whose updates were refused is a success: its results say so.
    Status: u16 {
        Success = 0 "Done; for a batch: the results say what was done.";
        BadOpcode = 1 "Unknown opcode.";
        BadField = 2 "A reserved field or flag is not zero, or a length is over its limit.";
        DmaFault = 3 "Input or output is not in memory that the device can reach with the rights it needs.";
        BadInput = 4 "The input is malformed; `detail` is the offset of what is wrong. Nothing was done.";
        OutputTooShort = 5 "Not one item fits in the output buffer; for a batch nothing was done.";
        NotFound = 6 "No such object, or no such cell.";
        Refused = 7 "The object cannot be read like this; output: UTF-8 text for a person.";
        Internal = 8 "The device failed.";
    }
}

/// How a batch behaves when one of its updates fails, in `flags` of [`Opcode::WriteBatch`]
/// (P4Runtime specification 1.4, section 12.2).
pub mod atomicity {
    /// Failed updates are reported, the others stay.
    pub const CONTINUE_ON_ERROR: u32 = 0;
    /// All or nothing; packets may see intermediate states.
    pub const ROLLBACK_ON_ERROR: u32 = 1;
    /// All or nothing; every packet sees all of the batch or none of it.
    pub const DATAPLANE_ATOMIC: u32 = 2;
}

/// Output of [`Opcode::Identify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Identity {
    /// As register `ABI_VERSION`.
    pub abi_version: U32,
    /// Bytes of the P4Info that [`Opcode::ReadP4Info`] reads.
    pub p4info_len: U32,
    /// As register `PIPELINE_COOKIE`.
    pub pipeline_cookie: U64,
    /// As in the device serial number capability.
    pub serial: U64,
    /// As register `UPLINKS`.
    pub uplinks: U32,
    /// As register `VFS`.
    pub vfs: U32,
    /// 0.
    pub reserved: [u8; 32],
    /// As register `FIRMWARE`.
    pub firmware: [u8; 64],
}
const _: () = assert!(size_of::<Identity>() == 128);

/// One table in the output of [`Opcode::TableUse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TableUse {
    /// P4Info id.
    pub table: U32,
    /// 0.
    pub reserved: U32,
    /// Entries, without the default entry.
    pub used: U64,
    /// Entries that the table was made for.
    pub size: U64,
}
const _: () = assert!(size_of::<TableUse>() == 24);

/// One cell in the output of [`Opcode::ReadCounters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CounterCell {
    /// Packets counted.
    pub packets: U64,
    /// Bytes counted.
    pub bytes: U64,
}
const _: () = assert!(size_of::<CounterCell>() == 16);

impl CompletionTail {
    /// What a device writes to make completion number `index` valid.
    pub fn new(index: u32, size: u32, taken: u32, id: u16, status: Status) -> Self {
        let phase = u16::from(crate::ring::phase(index, size));
        Self {
            taken: U32::new(taken),
            id: U16::new(id),
            status_phase: U16::new((status as u16) << 1 | phase),
        }
    }

    /// Whether completion number `index` is valid.
    pub fn is_done(&self, index: u32, size: u32) -> bool {
        (self.status_phase.get() & 1 != 0) == crate::ring::phase(index, size)
    }

    /// How the command ended; the code when it is none of [`Status`].
    pub fn status(&self) -> Result<Status, u16> {
        let code = self.status_phase.get() >> 1;
        Status::from_code(code).ok_or(code)
    }

    /// As the word that is stored at once.
    pub fn to_word(self) -> u64 {
        zerocopy::transmute!(self)
    }

    /// From a word that was loaded at once.
    pub fn from_word(word: u64) -> Self {
        zerocopy::transmute!(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_are_valid_in_their_lap_only() {
        let tail = CompletionTail::new(3, 4, 4, 0xbeef, Status::NotFound);
        assert!(tail.is_done(3, 4));
        assert!(!tail.is_done(7, 4));
        assert_eq!(tail.status(), Ok(Status::NotFound));
        assert_eq!(tail.id.get(), 0xbeef);
        assert_eq!(CompletionTail::from_word(tail.to_word()), tail);
    }

    #[test]
    fn unknown_codes_are_not_taken_for_known_ones() {
        assert_eq!(Opcode::from_code(99), None);
        let tail = CompletionTail {
            status_phase: U16::new(99 << 1),
            ..Default::default()
        };
        assert_eq!(tail.status(), Err(99));
    }
}
