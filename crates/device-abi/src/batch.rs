//! The bytes of updates, entries and results: input and output of the commands that touch tables.
//!
//! Everything is packed, without alignment, little-endian, except that the *values* of P4 (match
//! values, masks, parameters, register cells) are big-endian byte strings as in P4Runtime.
//!
//! ```text
//! list      := count:u32 item…                    item := size:u32 (of what follows) content
//! update    := kind:u8 entity                     kind: 1 insert, 2 modify, 3 delete
//! entity    := 1:u8 entry
//!            | 2:u8 register:u32 index:u32 value:bytes
//!            | 3:u8 counter:u32 index:u32 data
//! entry     := table:u32 priority:i32 flags:u8 matches:u16 match… [action] [data]
//!              flags: bit 0 default entry, bit 1 has an action, bit 2 has a counter
//! match     := field:u32 kind:u8 value            by kind: 1 exact    bytes
//!                                                          2 lpm      bytes prefix_len:u32
//!                                                          3 ternary  bytes bytes (value, mask)
//!                                                          4 range    bytes bytes (low, high)
//!                                                          5 optional bytes
//! action    := id:u32 params:u16 (id:u32 bytes)…
//! data      := packets:u64 bytes:u64
//! result    := code:u32 [message:bytes]           code 0: done, without a message; else gRPC's code and UTF-8
//! cell      := bytes                              of a register
//! bytes     := length:u16 byte…
//! ```
//!
//! Readers never panic: whatever the bytes are, they end in a value or in a [`Malformed`].

use alloc::vec::Vec;

#[cfg(feature = "entity")]
mod entity;
#[cfg(feature = "entity")]
pub use entity::*;

/// Bytes are not what the grammar asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Offset in the whole input.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The input ends within a value.
    Truncated,
    /// An item is longer than its content, or there are bytes after the last item.
    Trailing,
    /// A kind, a flag or a code that is not defined.
    UnknownCode,
    /// A message is not UTF-8.
    NotText,
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let reason = match self.reason {
            Reason::Truncated => "ends within a value",
            Reason::Trailing => "has bytes that belong to nothing",
            Reason::UnknownCode => "has an unknown code",
            Reason::NotText => "has a message that is not UTF-8",
        };
        write!(f, "malformed batch: {reason} at byte {}", self.offset)
    }
}

impl core::error::Error for Malformed {}

/// Something cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// The list would be longer than its limit; it is unchanged.
    Full,
    /// A byte string, or a list within the item, has more than 65,535 elements; the list is unchanged.
    TooLong,
}

impl core::fmt::Display for Unwritable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Unwritable::Full => "does not fit in the buffer",
            Unwritable::TooLong => "has more than 65535 bytes or elements",
        })
    }
}

impl core::error::Error for Unwritable {}

/// Writes a list, item by item, up to a limit.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    count: u32,
    limit: usize,
}

/// Bytes of an empty list.
pub const EMPTY_LEN: usize = 4;

impl Writer {
    /// An empty list that may grow to `limit` bytes; at least [`EMPTY_LEN`].
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::from([0; EMPTY_LEN]),
            count: 0,
            limit: limit.max(EMPTY_LEN),
        }
    }

    /// Items so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The list.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[..EMPTY_LEN].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }

    /// Adds one item; all or nothing.
    fn item(
        &mut self,
        content: impl FnOnce(&mut ItemWriter<'_>) -> Result<(), Unwritable>,
    ) -> Result<(), Unwritable> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        let written = content(&mut ItemWriter {
            bytes: &mut self.bytes,
        });
        let size = self.bytes.len() - start - 4;
        let outcome = match (written, u32::try_from(size)) {
            (Err(error), _) => Err(error),
            (Ok(()), Ok(size)) if self.bytes.len() <= self.limit => Ok(size),
            (Ok(()), _) => Err(Unwritable::Full),
        };
        match outcome {
            Ok(size) => {
                self.bytes[start..start + 4].copy_from_slice(&size.to_le_bytes());
                self.count += 1;
                Ok(())
            }
            Err(error) => {
                self.bytes.truncate(start);
                Err(error)
            }
        }
    }

    /// Adds a register cell.
    pub fn cell(&mut self, value: &[u8]) -> Result<(), Unwritable> {
        self.item(|item| item.bytes(value))
    }
}

/// Writes the content of one item.
struct ItemWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

#[cfg_attr(
    not(feature = "entity"),
    expect(dead_code, reason = "used by the codec of entities")
)]
impl ItemWriter<'_> {
    fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    fn u16(&mut self, value: usize) -> Result<(), Unwritable> {
        let value = u16::try_from(value).map_err(|_| Unwritable::TooLong)?;
        self.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, value: &[u8]) -> Result<(), Unwritable> {
        self.u16(value.len())?;
        self.bytes.extend_from_slice(value);
        Ok(())
    }
}

/// Reads a list, item by item.
#[derive(Debug)]
pub struct Reader<'a> {
    input: Cursor<'a>,
    left: u32,
}

impl<'a> Reader<'a> {
    /// The list in `bytes`, which must hold nothing else.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut input = Cursor { bytes, offset: 0 };
        let left = input.u32()?;
        Ok(Self { input, left })
    }

    /// Items that the list says are left. Do not reserve memory by it: an item may be missing.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Content of the next item; `None` at the end of the list.
    fn item(&mut self) -> Result<Option<Cursor<'a>>, Malformed> {
        if self.left == 0 {
            return self.input.end().map(|()| None);
        }
        self.left -= 1;
        let size = self.input.u32()? as usize;
        let offset = self.input.offset;
        let content = self.input.take(size)?;
        // The item's cursor counts from the start of the whole input.
        let through = offset + content.len();
        Ok(Some(Cursor {
            bytes: &self.input.bytes[..through],
            offset,
        }))
    }

    /// Next register cell; `None` at the end.
    pub fn cell(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(mut item) = self.item()? else {
            return Ok(None);
        };
        let value = item.bytes()?;
        item.end()?;
        Ok(Some(value))
    }
}

/// A place in bytes.
#[derive(Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

#[cfg_attr(
    not(feature = "entity"),
    expect(dead_code, reason = "used by the codec of entities")
)]
impl<'a> Cursor<'a> {
    fn fail<T>(&self, offset: usize, reason: Reason) -> Result<T, Malformed> {
        Err(Malformed { offset, reason })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.offset.checked_add(count);
        match end.and_then(|end| self.bytes.get(self.offset..end)) {
            Some(taken) => {
                self.offset += count;
                Ok(taken)
            }
            None => self.fail(self.offset, Reason::Truncated),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let offset = self.offset;
        let taken = self.take(N)?;
        taken
            .try_into()
            .or_else(|_| self.fail(offset, Reason::Truncated))
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// A code of one byte for which `decode` knows a value.
    fn code<T>(&mut self, decode: impl FnOnce(u8) -> Option<T>) -> Result<T, Malformed> {
        let offset = self.offset;
        let code = self.u8()?;
        decode(code).map_or_else(|| self.fail(offset, Reason::UnknownCode), Ok)
    }

    /// There is nothing more.
    fn end(&self) -> Result<(), Malformed> {
        if self.offset == self.bytes.len() {
            Ok(())
        } else {
            self.fail(self.offset, Reason::Trailing)
        }
    }
}

#[cfg(all(test, feature = "entity"))]
mod tests;
