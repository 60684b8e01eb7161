//! Memory that another process maps, too: guest memory given by file descriptor, and BAR2.
//!
//! The other side may write at any time, so nothing here hands out references: bytes are copied in
//! and out with atomic accesses, within bounds that are checked each time.

#![expect(
    unsafe_code,
    reason = "maps shared memory and accesses it through raw pointers"
)]

use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use rustix::fs::{SealFlags, fcntl_add_seals, fcntl_get_seals, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A whole file, mapped shared.
#[derive(Debug)]
pub(super) struct SharedMemory {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, is not bound to a thread,
// and every access to it is atomic.
unsafe impl Send for SharedMemory {}
// SAFETY: as above; there is no unsynchronised state besides the mapping.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps all of a memfd. It must be sealed against shrinking, or allow us to do it: an access
    /// after the end of a file that shrank would kill the process (SIGBUS).
    ///
    /// # Errors
    /// `Unsupported`: the file cannot be sealed; `InvalidInput`: it is empty; else the system's.
    pub(super) fn map(file: impl AsFd) -> io::Result<Self> {
        forbid_shrinking(&file)?;
        let len = usize::try_from(fstat(&file)?.st_size).unwrap_or(0);
        if len == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the file is empty",
            ));
        }
        let map = |protection| {
            // SAFETY: a new mapping at an address of the kernel's choice replaces nothing. No Rust
            // reference to it is ever made.
            unsafe { mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, &file, 0) }
        };
        let (base, writable) = match map(ProtFlags::READ | ProtFlags::WRITE) {
            Ok(base) => (base, true),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {
                (map(ProtFlags::READ)?, false)
            }
            Err(error) => return Err(error.into()),
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            base,
            len,
            writable,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether `len` bytes from `offset` on are in the mapping.
    fn holds(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// Copies from the memory; `None`: out of bounds.
    pub(super) fn read(&self, offset: usize, into: &mut [u8]) -> Option<()> {
        if !self.holds(offset, into.len()) {
            return None;
        }
        let (head, words) = split(offset, into.len());
        let (first, rest) = into.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(words * 8);
        self.read_bytes(offset, first);
        for (i, word) in middle.chunks_exact_mut(8).enumerate() {
            // SAFETY: in bounds by the check above; aligned, as `split` ends `head` at a multiple of 8.
            let source = unsafe {
                &*self
                    .base
                    .as_ptr()
                    .add(offset + head + i * 8)
                    .cast::<AtomicU64>()
            };
            word.copy_from_slice(&source.load(Ordering::Relaxed).to_ne_bytes());
        }
        self.read_bytes(offset + head + words * 8, last);
        Some(())
    }

    /// Copies to the memory; `None`: out of bounds or not writable.
    pub(super) fn write(&self, offset: usize, from: &[u8]) -> Option<()> {
        if !self.holds(offset, from.len()) || !self.writable {
            return None;
        }
        let (head, words) = split(offset, from.len());
        let (first, rest) = from.split_at(head);
        let (middle, last) = rest.split_at(words * 8);
        self.write_bytes(offset, first);
        for (i, word) in middle.chunks_exact(8).enumerate() {
            // SAFETY: in bounds by the check above; aligned, as `split` ends `head` at a multiple of 8.
            let target = unsafe {
                &*self
                    .base
                    .as_ptr()
                    .add(offset + head + i * 8)
                    .cast::<AtomicU64>()
            };
            let word: [u8; 8] = word.try_into().unwrap_or_default();
            target.store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
        self.write_bytes(offset + head + words * 8, last);
        Some(())
    }

    /// Loads a little-endian word with acquire ordering; `None`: out of bounds or not aligned.
    pub(super) fn load_u32(&self, offset: usize) -> Option<u32> {
        let word = self.word_u32(offset)?;
        Some(u32::from_le(word.load(Ordering::Acquire)))
    }

    /// Stores a little-endian word with release ordering; `None`: also when not writable.
    pub(super) fn store_u32(&self, offset: usize, value: u32) -> Option<()> {
        let word = self.word_u32(offset).filter(|_| self.writable)?;
        word.store(value.to_le(), Ordering::Release);
        Some(())
    }

    /// Stores 8 bytes at once with release ordering; `None`: out of bounds, not aligned, not writable.
    pub(super) fn store_u64(&self, offset: usize, value: u64) -> Option<()> {
        if !self.holds(offset, 8) || !offset.is_multiple_of(8) || !self.writable {
            return None;
        }
        // SAFETY: in bounds and aligned (the base is page-aligned); the target outlives the reference.
        let word = unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() };
        word.store(value, Ordering::Release);
        Some(())
    }

    fn word_u32(&self, offset: usize) -> Option<&AtomicU32> {
        if !self.holds(offset, 4) || !offset.is_multiple_of(4) {
            return None;
        }
        // SAFETY: in bounds and aligned (the base is page-aligned); the mapping outlives `self`'s borrow.
        Some(unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU32>() })
    }

    /// Fewer than 8 bytes, checked by the caller to be in bounds.
    fn read_bytes(&self, offset: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            // SAFETY: `read` checked that the whole run is in bounds; bytes need no alignment.
            let source = unsafe { &*self.base.as_ptr().add(offset + i).cast::<AtomicU8>() };
            *byte = source.load(Ordering::Relaxed);
        }
    }

    /// Fewer than 8 bytes, checked by the caller to be in bounds and writable.
    fn write_bytes(&self, offset: usize, from: &[u8]) {
        for (i, byte) in from.iter().enumerate() {
            // SAFETY: `write` checked that the whole run is in bounds; bytes need no alignment.
            let target = unsafe { &*self.base.as_ptr().add(offset + i).cast::<AtomicU8>() };
            target.store(*byte, Ordering::Relaxed);
        }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `map`; no reference into it outlives a method call.
        // Failure would leave it mapped, which harms nobody.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Bytes up to the next multiple of 8, and whole words after them, in `len` bytes from `offset` on.
fn split(offset: usize, len: usize) -> (usize, usize) {
    let head = (offset.wrapping_neg() % 8).min(len);
    (head, (len - head) / 8)
}

fn forbid_shrinking(file: &impl AsFd) -> io::Result<()> {
    let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
    if sealed || fcntl_add_seals(file, SealFlags::SHRINK).is_ok() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the file may shrink and cannot be sealed",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use std::os::fd::OwnedFd;

    fn memfd(len: u64) -> OwnedFd {
        let fd =
            memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("memfd");
        ftruncate(&fd, len).expect("size");
        fd
    }

    #[test]
    fn bytes_at_every_alignment_arrive() {
        let memory = SharedMemory::map(memfd(64)).expect("map");
        let bytes: Vec<u8> = (1..=40).collect();
        for offset in 0..20 {
            for len in 0..bytes.len() {
                memory.write(0, &[0; 64]).expect("clear");
                memory.write(offset, &bytes[..len]).expect("in bounds");
                let mut all = [0; 64];
                memory.read(0, &mut all).expect("in bounds");
                let mut expected = [0; 64];
                expected[offset..offset + len].copy_from_slice(&bytes[..len]);
                assert_eq!(all, expected, "{len} bytes at {offset}");
                let mut part = vec![0; len];
                memory.read(offset, &mut part).expect("in bounds");
                assert_eq!(part, bytes[..len]);
            }
        }
    }

    /// R6.4: nothing outside of the mapping is touched.
    #[test]
    fn accesses_out_of_bounds_or_unaligned_are_refused() {
        let memory = SharedMemory::map(memfd(64)).expect("map");
        assert!(memory.read(60, &mut [0; 5]).is_none());
        assert!(memory.write(usize::MAX, &[0; 2]).is_none());
        assert!(memory.load_u32(62).is_none() && memory.load_u32(2).is_none());
        assert!(memory.store_u64(60, 1).is_none() && memory.store_u64(4, 1).is_none());
        assert_eq!(memory.read(64, &mut []), Some(()));
    }

    /// R6.4: a client cannot kill the device by shrinking its memory.
    #[test]
    fn mapped_memory_cannot_shrink() {
        let fd = memfd(8192);
        let _memory = SharedMemory::map(&fd).expect("map");
        assert!(ftruncate(&fd, 4096).is_err());
        assert!(SharedMemory::map(tempfile::tempfile().expect("file")).is_err());
        assert!(SharedMemory::map(memfd(0)).is_err());
    }
}
