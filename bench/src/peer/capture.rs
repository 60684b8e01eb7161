//! Classic pcap files, just enough for `simple_switch`: it wants each packet whole, and writes
//! files with link type 0 and snap length 0, which libraries refuse.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Bytes in front of the first packet.
pub(crate) const FILE_BYTES: u64 = 24;
/// Bytes in front of each packet.
pub(crate) const RECORD_BYTES: u64 = 16;

const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;

/// A packet of a file.
pub(crate) struct Record {
    /// Since 1970.
    pub(crate) time: Duration,
    pub(crate) bytes: Vec<u8>,
}

/// Writes packets, all of one time: they are to be sent as fast as can be.
pub(crate) fn write<'a>(path: &Path, packets: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for word in [MAGIC_MICROSECONDS, 4 << 16 | 2, 0, 0, 65535, ETHERNET] {
        file.write_all(&word.to_le_bytes())?;
    }
    for packet in packets {
        let length = packet.len() as u32;
        for word in [1, 0, length, length] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(packet)?;
    }
    file.flush()
}

/// Reads what was written on this machine; an incomplete last packet is left out.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Record>> {
    let bytes = std::fs::read(path)?;
    let Some((header, mut rest)) = bytes.split_at_checked(FILE_BYTES as usize) else {
        return Ok(Vec::new());
    };
    if word(header, 0) != MAGIC_MICROSECONDS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no pcap file with microseconds in this machine's byte order",
        ));
    }
    let mut records = Vec::new();
    while let Some((header, data)) = rest.split_at_checked(RECORD_BYTES as usize) {
        let Some((packet, next)) = data.split_at_checked(word(header, 8) as usize) else {
            break;
        };
        let (seconds, micros) = (u64::from(word(header, 0)), u64::from(word(header, 4)));
        records.push(Record {
            time: Duration::from_secs(seconds) + Duration::from_micros(micros),
            bytes: packet.to_vec(),
        });
        rest = next;
    }
    Ok(records)
}

/// Four bytes of a header that is long enough.
fn word(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(test)]
mod tests;
