//! Captures in pcapng (draft-ietf-opsawg-pcapng): one interface, both directions, nanoseconds.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which way a frame went, seen from the NIC; value of the low bits of `epb_flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    In = 1,
    /// Sent.
    Out = 2,
}

/// A capture file.
#[derive(Debug)]
pub struct Capture<W: Write = BufWriter<File>> {
    out: W,
    dirty: bool,
}

impl Capture {
    /// Creates (or empties) a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(file: &Path, interface: &str) -> io::Result<Capture> {
        Capture::new(BufWriter::new(File::create(file)?), interface)
    }
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const LINKTYPE_ETHERNET: u16 = 1;

impl<W: Write> Capture<W> {
    /// Writes the file's head.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W, interface: &str) -> io::Result<Capture<W>> {
        let mut capture = Capture { out, dirty: true };
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4du32.to_le_bytes());
        section.extend(1u16.to_le_bytes());
        section.extend(0u16.to_le_bytes());
        section.extend(u64::MAX.to_le_bytes()); // length unknown
        let application = concat!("flownic softnic ", env!("CARGO_PKG_VERSION"));
        option(&mut section, 4, application.as_bytes());
        option(&mut section, 0, &[]);
        capture.block(SECTION_HEADER, &section)?;

        let mut description = Vec::new();
        description.extend(LINKTYPE_ETHERNET.to_le_bytes());
        description.extend(0u16.to_le_bytes());
        description.extend(0u32.to_le_bytes()); // no limit of length
        option(&mut description, 2, interface.as_bytes());
        option(&mut description, 9, &[9]); // if_tsresol: 10^-9 s
        option(&mut description, 0, &[]);
        capture.block(INTERFACE_DESCRIPTION, &description)?;
        Ok(capture)
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// What the writer says.
    pub fn frame(&mut self, frame: &[u8], direction: Direction, at: SystemTime) -> io::Result<()> {
        let nanoseconds = at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos() as u64);
        let length = frame.len() as u32;
        let mut block = Vec::with_capacity(frame.len() + 40);
        block.extend(0u32.to_le_bytes());
        block.extend(((nanoseconds >> 32) as u32).to_le_bytes());
        block.extend((nanoseconds as u32).to_le_bytes());
        block.extend(length.to_le_bytes());
        block.extend(length.to_le_bytes());
        block.extend(frame);
        pad(&mut block);
        option(&mut block, 2, &(direction as u32).to_le_bytes());
        option(&mut block, 0, &[]);
        self.dirty = true;
        self.block(ENHANCED_PACKET, &block)
    }

    /// Makes what was written visible to readers; cheap when there is nothing new.
    ///
    /// # Errors
    /// What the writer says.
    pub fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            self.out.flush()
        } else {
            Ok(())
        }
    }

    /// Type, length, content padded to 4 bytes, length.
    fn block(&mut self, kind: u32, content: &[u8]) -> io::Result<()> {
        let length = (content.len() as u32 + 12).to_le_bytes();
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(content)?;
        self.out.write_all(&length)
    }
}

/// Code, length, value padded to 4 bytes.
fn option(block: &mut Vec<u8>, code: u16, value: &[u8]) {
    block.extend(code.to_le_bytes());
    block.extend((value.len() as u16).to_le_bytes());
    block.extend(value);
    pad(block);
}

fn pad(block: &mut Vec<u8>) {
    block.resize(block.len().next_multiple_of(4), 0);
}
