//! What the driver allows the device to reach: I/O virtual addresses, mapped region by region.
//!
//! Behind an IOMMU each 4 KiB page may be a region of its own, so accesses cross regions freely and
//! a file is mapped once however many regions refer to it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Weak};

use super::memory::SharedMemory;

/// Rights of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// An access was refused: some byte is not mapped, or not with the rights, or without memory behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DMA {} of {len} bytes at {address:#x} is not allowed", if *.write { "write" } else { "read" })]
pub(super) struct DmaFault {
    pub(super) address: u64,
    pub(super) len: u64,
    pub(super) write: bool,
}

/// A region cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub(super) enum MapError {
    #[error("region is empty or goes beyond the address space")]
    BadRange,
    #[error("region overlaps the one at {0:#x}")]
    Overlap(u64),
    #[error("region goes beyond the end of its file")]
    BeyondFile,
    #[error("cannot map the file: {0}")]
    File(#[from] std::io::Error),
}

#[derive(Debug)]
struct Region {
    len: u64,
    rights: Rights,
    /// Where the bytes are. None: mapped without a file; the device cannot reach it.
    backing: Option<(Arc<SharedMemory>, u64)>,
}

/// All regions of the function, by first address.
#[derive(Debug, Default)]
pub(super) struct DmaTable {
    regions: BTreeMap<u64, Region>,
    /// Files by device and inode: one arrives under a new descriptor with each region.
    files: HashMap<(u64, u64), Weak<SharedMemory>>,
}

impl DmaTable {
    /// Adds a region of `len` bytes: those of `file` from `offset` on.
    pub(super) fn map(
        &mut self,
        address: u64,
        len: u64,
        rights: Rights,
        file: Option<(File, u64)>,
    ) -> Result<(), MapError> {
        let last = len
            .checked_sub(1)
            .and_then(|len| address.checked_add(len))
            .ok_or(MapError::BadRange)?;
        if let Some((&start, region)) = self.regions.range(..=last).next_back()
            && start + (region.len - 1) >= address
        {
            return Err(MapError::Overlap(start));
        }
        let backing = match file {
            Some((file, offset)) => {
                let end = offset.checked_add(len).ok_or(MapError::BeyondFile)?;
                Some((self.memory_of(&file, end)?, offset))
            }
            None => None,
        };
        self.regions.insert(
            address,
            Region {
                len,
                rights,
                backing,
            },
        );
        Ok(())
    }

    /// The mapping of a file that has at least `end` bytes.
    fn memory_of(&mut self, file: &File, end: u64) -> Result<Arc<SharedMemory>, MapError> {
        let stat = rustix::fs::fstat(file).map_err(std::io::Error::from)?;
        let key = (stat.st_dev, stat.st_ino);
        let fits = |memory: &Arc<SharedMemory>| end <= memory.len() as u64;
        if let Some(memory) = self.files.get(&key).and_then(Weak::upgrade).filter(fits) {
            return Ok(memory);
        }
        let memory = Some(Arc::new(SharedMemory::map(file)?))
            .filter(fits)
            .ok_or(MapError::BeyondFile)?;
        self.files.retain(|_, memory| memory.strong_count() > 0);
        self.files.insert(key, Arc::downgrade(&memory));
        Ok(memory)
    }

    /// Removes the regions that begin in the range.
    pub(super) fn unmap(&mut self, address: u64, len: u64) {
        let last = address.saturating_add(len.saturating_sub(1));
        if len > 0 {
            self.regions
                .retain(|start, _| !(address..=last).contains(start));
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.regions.clear();
        self.files.clear();
    }

    /// Whether every byte can be accessed.
    pub(super) fn check(&self, address: u64, len: u64, write: bool) -> Result<(), DmaFault> {
        self.walk(address, len, write, |_, _, _| Some(()))
    }

    /// Copies from host memory; all or nothing.
    pub(super) fn read(&self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let len = into.len() as u64;
        self.check(address, len, false)?;
        self.walk(address, len, false, |memory, offset, range| {
            memory.read(offset, &mut into[range])
        })
    }

    /// Copies to host memory; all or nothing.
    pub(super) fn write(&self, address: u64, from: &[u8]) -> Result<(), DmaFault> {
        let len = from.len() as u64;
        self.check(address, len, true)?;
        self.walk(address, len, true, |memory, offset, range| {
            memory.write(offset, &from[range])
        })
    }

    /// Stores an aligned word at once, after everything that was written before.
    pub(super) fn store_u64(&self, address: u64, value: u64) -> Result<(), DmaFault> {
        self.walk(address, 8, true, |memory, offset, range| {
            if range.len() == 8 {
                memory.store_u64(offset, value)
            } else {
                None
            }
        })
    }

    /// Visits the pieces of a range: memory, offset in it, and which bytes of the range they are.
    /// Stops with a fault where a piece is missing, lacks the right, or the visitor gives `None`.
    fn walk(
        &self,
        address: u64,
        len: u64,
        write: bool,
        mut visit: impl FnMut(&SharedMemory, usize, Range<usize>) -> Option<()>,
    ) -> Result<(), DmaFault> {
        let fault = DmaFault {
            address,
            len,
            write,
        };
        let mut done = 0;
        while done < len {
            let at = address.checked_add(done).ok_or(fault)?;
            let (start, region) = self.regions.range(..=at).next_back().ok_or(fault)?;
            let within = at - start;
            let piece = region
                .len
                .checked_sub(within)
                .filter(|&rest| rest > 0)
                .ok_or(fault)?
                .min(len - done);
            let allowed = if write {
                region.rights.write
            } else {
                region.rights.read
            };
            let (memory, offset) = region.backing.as_ref().filter(|_| allowed).ok_or(fault)?;
            if write && !memory.is_writable() {
                return Err(fault);
            }
            let range = usize::try_from(done)
                .ok()
                .zip(usize::try_from(done + piece).ok());
            let offset = usize::try_from(offset + within).ok();
            let ((from, to), offset) = range.zip(offset).ok_or(fault)?;
            visit(memory, offset, from..to).ok_or(fault)?;
            done += piece;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "dma_tests.rs"]
mod tests;
