//! Reads recorded traffic: a pcapng file with one interface for each VM.

use std::borrow::Cow;
use std::io::Read;

use pcap_file::PcapError;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};

/// Largest packet that a recording may hold, bytes.
const LARGEST: usize = 65_535;

/// Which way a packet went, seen from the interface (`epb_flags`, bits 0–1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// A recorded packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Name of the interface.
    pub(crate) interface: String,
    /// Sent or received.
    pub(crate) direction: Direction,
    /// The frame.
    pub(crate) frame: Vec<u8>,
}

/// What is wrong with a recording, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    /// Not pcapng, or cut off.
    #[error("the recording is not readable after {after} packets: {source}")]
    Format {
        /// Packets read before.
        after: usize,
        /// What the reader said.
        source: PcapError,
    },
    /// A packet lacks what a replay needs.
    #[error("packet {number} of the recording {what}")]
    Packet {
        /// Counted from 1.
        number: usize,
        /// What it lacks.
        what: &'static str,
    },
}

/// All packets in the order of the file.
pub(crate) fn read(source: impl Read) -> Result<Vec<Record>, CaptureError> {
    let format = |after| move |source| CaptureError::Format { after, source };
    let mut reader = PcapNgReader::new(source).map_err(format(0))?;
    let mut interfaces: Vec<String> = Vec::new();
    let mut records = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.map_err(format(records.len()))? {
            Block::InterfaceDescription(interface) => {
                let name = interface.options.iter().find_map(|option| match option {
                    InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
                    _ => None,
                });
                interfaces.push(name.unwrap_or_default());
            }
            Block::EnhancedPacket(packet) => {
                let number = records.len() + 1;
                let wrong = |what| CaptureError::Packet { number, what };
                if packet.data.len() != packet.original_len as usize || packet.data.len() > LARGEST
                {
                    return Err(wrong("is not there in full"));
                }
                let interface = interfaces
                    .get(packet.interface_id as usize)
                    .ok_or_else(|| wrong("is of an interface that is not described"))?;
                records.push(Record {
                    interface: interface.clone(),
                    direction: direction(&packet.options)
                        .ok_or_else(|| wrong("has no direction"))?,
                    frame: Cow::into_owned(packet.data),
                });
            }
            _ => {}
        }
    }
    Ok(records)
}

fn direction(options: &[EnhancedPacketOption<'_>]) -> Option<Direction> {
    let flags = options.iter().find_map(|option| match option {
        EnhancedPacketOption::Flags(flags) => Some(*flags),
        _ => None,
    })?;
    match flags & 3 {
        1 => Some(Direction::In),
        2 => Some(Direction::Out),
        _ => None,
    }
}
