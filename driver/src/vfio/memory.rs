//! Shared mappings, and memory for DMA made of them.

#![expect(
    unsafe_code,
    reason = "maps shared memory and accesses it through raw pointers"
)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// An access would leave the memory, or is not aligned to its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{len} bytes at offset {offset:#x} are not within the {size:#x} bytes of memory, or not aligned"
)]
pub struct OutOfBounds {
    /// First byte, from the start of the memory.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
    /// Bytes of the memory.
    pub size: usize,
}

/// Part of a file, mapped shared, readable and writable.
#[derive(Debug)]
pub struct SharedMemory {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, is not bound to a thread,
// and every access to it is atomic.
unsafe impl Send for SharedMemory {}
// SAFETY: as above; there is no unsynchronised state besides the mapping.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps `len` bytes of a memory file from `offset` (a multiple of the page size) on.
    ///
    /// # Errors
    /// `Unsupported`: the file can shrink and does not let us seal it; an access beyond the new end
    /// would kill the process. `UnexpectedEof`: the file is too short. Else the system's.
    pub fn map(file: impl AsFd, offset: u64, len: usize) -> io::Result<Self> {
        let sealed = fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        if !sealed && fcntl_add_seals(&file, SealFlags::SHRINK).is_err() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "memory that can shrink is not safe to map",
            ));
        }
        let end = offset.checked_add(len as u64);
        let size = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
        if len == 0 || end.is_none_or(|end| end > size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing. No Rust
        // reference to it is made but to atomics.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                protection,
                MapFlags::SHARED,
                file,
                offset,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { base, len })
    }

    /// Bytes. Never 0.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Checks bounds and alignment (a power of two).
    fn check(&self, offset: usize, len: usize, alignment: usize) -> Result<(), OutOfBounds> {
        let end = offset.checked_add(len);
        if end.is_some_and(|end| end <= self.len) && offset.is_multiple_of(alignment) {
            Ok(())
        } else {
            Err(OutOfBounds {
                offset,
                len,
                size: self.len,
            })
        }
    }

    /// Copies from the memory.
    ///
    /// # Errors
    /// When a byte is out of bounds; then `into` is unchanged.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), OutOfBounds> {
        self.check(offset, into.len(), 1)?;
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
        Ok(())
    }

    /// Copies `len` bytes from the memory.
    ///
    /// # Errors
    /// When a byte is out of bounds.
    pub fn read_vec(&self, offset: usize, len: usize) -> Result<Vec<u8>, OutOfBounds> {
        self.check(offset, len, 1)?; // before memory is reserved for it
        let mut bytes = vec![0; len];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies to the memory.
    ///
    /// # Errors
    /// When a byte is out of bounds; then nothing is written.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<(), OutOfBounds> {
        self.check(offset, from.len(), 1)?;
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
        Ok(())
    }

    /// Loads a little-endian word with acquire ordering.
    ///
    /// # Errors
    /// Out of bounds or not aligned.
    pub fn load_u32(&self, offset: usize) -> Result<u32, OutOfBounds> {
        Ok(u32::from_le(self.word_u32(offset)?.load(Ordering::Acquire)))
    }

    /// Stores a little-endian word with release ordering.
    ///
    /// # Errors
    /// Out of bounds or not aligned.
    pub fn store_u32(&self, offset: usize, value: u32) -> Result<(), OutOfBounds> {
        self.word_u32(offset)?
            .store(value.to_le(), Ordering::Release);
        Ok(())
    }

    /// Loads 8 bytes at once, as they are, with acquire ordering.
    ///
    /// # Errors
    /// Out of bounds or not aligned.
    pub fn load_u64(&self, offset: usize) -> Result<u64, OutOfBounds> {
        self.check(offset, 8, 8)?;
        // SAFETY: in bounds and aligned (the base is page-aligned); the mapping outlives the reference.
        let word = unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() };
        Ok(word.load(Ordering::Acquire))
    }

    fn word_u32(&self, offset: usize) -> Result<&AtomicU32, OutOfBounds> {
        self.check(offset, 4, 4)?;
        // SAFETY: in bounds and aligned (the base is page-aligned); the mapping outlives `self`'s borrow.
        Ok(unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU32>() })
    }

    /// Fewer than 8 bytes, checked by the caller to be in bounds.
    fn read_bytes(&self, offset: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            // SAFETY: `read` checked that the whole run is in bounds; bytes need no alignment.
            let source = unsafe { &*self.base.as_ptr().add(offset + i).cast::<AtomicU8>() };
            *byte = source.load(Ordering::Relaxed);
        }
    }

    /// Fewer than 8 bytes, checked by the caller to be in bounds.
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

/// Memory that a device may access: pages of a memfd, so that a device in another process can map
/// them, at an address that the device uses for them.
///
/// Dropping it does not take it from the device: unmap it there first, or reset the device. (Even
/// then a device cannot harm us: VFIO pins the pages, and over vfio-user it has its own mapping.)
#[derive(Debug)]
pub struct DmaMemory {
    memory: SharedMemory,
    file: OwnedFd,
    iova: u64,
}

impl DmaMemory {
    /// Zeroed memory of `len` bytes (rounded up to 4 KiB) that a device will reach at `iova`.
    ///
    /// # Errors
    /// The system refuses memory.
    pub fn new(len: usize, iova: u64) -> io::Result<Self> {
        let len = len.next_multiple_of(4096);
        let file = memfd_create(
            "flownic-dma",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&file, len as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let memory = SharedMemory::map(&file, 0, len)?;
        Ok(Self { memory, file, iova })
    }

    /// Its content.
    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// The file behind it, as large as the memory.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Address of the first byte for the device.
    pub fn iova(&self) -> u64 {
        self.iova
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_every_alignment_arrive() {
        let dma = DmaMemory::new(64, 0).expect("memory");
        let memory = dma.memory();
        let bytes: Vec<u8> = (1..=40).collect();
        for offset in 0..20 {
            for len in 0..bytes.len() {
                memory.write(0, &[0; 64]).expect("clear");
                memory.write(offset, &bytes[..len]).expect("in bounds");
                let mut expected = [0; 64];
                expected[offset..offset + len].copy_from_slice(&bytes[..len]);
                assert_eq!(
                    memory.read_vec(0, 64).expect("in bounds"),
                    expected,
                    "{len} at {offset}"
                );
                assert_eq!(
                    memory.read_vec(offset, len).expect("in bounds"),
                    bytes[..len]
                );
            }
        }
    }

    /// R7.4: no offset, wherever it comes from, reaches outside of the memory.
    #[test]
    fn accesses_out_of_bounds_or_unaligned_are_refused() {
        let dma = DmaMemory::new(1, 0).expect("memory");
        let memory = dma.memory();
        assert_eq!(memory.len(), 4096);
        assert!(memory.read(4095, &mut [0; 2]).is_err());
        assert!(memory.read_vec(0, usize::MAX).is_err());
        assert!(memory.write(usize::MAX, &[0; 2]).is_err());
        assert!(memory.load_u32(2).is_err() && memory.load_u32(4096).is_err());
        assert!(memory.load_u64(4).is_err() && memory.store_u32(4094, 1).is_err());
        memory.store_u32(4092, 0x0102_0304).expect("in bounds");
        assert_eq!(memory.read_vec(4092, 4).expect("in bounds"), [4, 3, 2, 1]);
    }

    /// R7.4: a device cannot kill us by shrinking memory that it gave us.
    #[test]
    fn memory_that_can_shrink_is_not_mapped() {
        let file = tempfile::tempfile().expect("file");
        file.set_len(4096).expect("size");
        let error = SharedMemory::map(&file, 0, 4096).expect_err("can shrink");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let dma = DmaMemory::new(4096, 0).expect("memory");
        assert!(SharedMemory::map(dma.file(), 0, 8192).is_err());
        assert!(ftruncate(dma.file(), 0).is_err());
    }
}
