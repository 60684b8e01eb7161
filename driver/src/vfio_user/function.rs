//! [`PciFunction`] over a vfio-user connection.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use zerocopy::{FromBytes, IntoBytes};

use super::connection::{Connection, MAX_FDS, Reply, malformed};
use super::protocol::{
    Area, CAPABILITY_SPARSE_MMAP, Command, DEVICE_IS_PCI, DeviceInfo, DmaMap, DmaUnmap,
    IRQ_ACTION_TRIGGER, IRQ_DATA_EVENTFD, IRQ_DATA_NONE, IRQ_MSIX, IrqInfo, REGION_CONFIG,
    REGION_MMAP, RegionAccess, RegionInfo, SetIrqs, SparseMmap, Version,
};
use crate::hw::{DmaAccess, HwError, PciFunction, Width};
use crate::vfio::{DmaMemory, SharedMemory};

const BARS: usize = 6;

/// Longest answer but a region's content: region information with its capabilities.
const MAX_REPLY: usize = 4096;

/// What we tell the server about us. The version is the protocol's, the text is JSON with a final zero.
const CAPABILITIES: &[u8] =
    b"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}\0";

/// Where the bytes of a BAR can be mapped.
#[derive(Debug)]
struct Mappable {
    file: OwnedFd,
    offset: u64,
}

#[derive(Debug, Default)]
struct Bar {
    len: u64,
    mappable: Option<Mappable>,
}

/// A function served by another process over a UNIX socket.
#[derive(Debug)]
pub struct VfioUser {
    connection: Connection,
    bars: [Bar; BARS],
    vectors: u32,
}

impl VfioUser {
    /// Connects to the server at `path`; each request, now and later, is given `deadline`.
    ///
    /// A server serves one driver at a time: while another one is attached, this times out.
    ///
    /// # Errors
    /// [`HwError`]; `System`: nobody listens at `path`.
    pub fn connect(path: &Path, deadline: Duration) -> Result<Self, HwError> {
        let system = |source| HwError::System {
            what: "connect",
            source,
        };
        let socket = UnixStream::connect(path).map_err(system)?;
        let connection = Connection::new(socket, deadline)?;
        negotiate(&connection)?;
        let mut bars: [Bar; BARS] = Default::default();
        for (index, bar) in bars.iter_mut().enumerate() {
            *bar = region(&connection, index as u32)?;
        }
        let vectors = vectors(&connection)?;
        Ok(Self {
            connection,
            bars,
            vectors,
        })
    }

    fn read(&self, region: u32, offset: u64, into: &mut [u8]) -> Result<(), HwError> {
        let access = RegionAccess {
            offset,
            region,
            count: into.len() as u32,
        };
        let limit = size_of::<RegionAccess>() + into.len();
        let reply =
            self.connection
                .request(Command::RegionRead, &[access.as_bytes()], &[], limit)?;
        let (told, data) = reply.split::<RegionAccess>()?;
        if told != access || data.len() != into.len() {
            return malformed(
                Command::RegionRead,
                format!("{told:?} with {} bytes", data.len()),
            );
        }
        into.copy_from_slice(data);
        Ok(())
    }
}

fn negotiate(connection: &Connection) -> Result<(), HwError> {
    let ours = Version { major: 0, minor: 1 };
    let body: [&[u8]; 2] = [ours.as_bytes(), CAPABILITIES];
    let reply = connection.request(Command::Version, &body, &[], MAX_REPLY)?;
    let (theirs, _) = reply.split::<Version>()?;
    if theirs.major != ours.major || theirs.minor > ours.minor {
        return malformed(
            Command::Version,
            format!("version {}.{}", theirs.major, theirs.minor),
        );
    }
    let request = DeviceInfo {
        argsz: size_of::<DeviceInfo>() as u32,
        ..Default::default()
    };
    let reply = connection.request(Command::DeviceInfo, &[request.as_bytes()], &[], MAX_REPLY)?;
    let (info, _) = reply.split::<DeviceInfo>()?;
    if info.flags & DEVICE_IS_PCI == 0 || info.regions <= REGION_CONFIG || info.irqs <= IRQ_MSIX {
        return malformed(Command::DeviceInfo, format!("{info:?} is no PCI device"));
    }
    Ok(())
}

fn vectors(connection: &Connection) -> Result<u32, HwError> {
    let argsz = size_of::<IrqInfo>() as u32;
    let request = IrqInfo {
        argsz,
        index: IRQ_MSIX,
        ..Default::default()
    };
    let reply = connection.request(Command::IrqInfo, &[request.as_bytes()], &[], MAX_REPLY)?;
    Ok(reply.split::<IrqInfo>()?.0.count)
}

/// Asks for a BAR: once for its size and for how long its capabilities are, then with them.
fn region(connection: &Connection, index: u32) -> Result<Bar, HwError> {
    let (info, _) = region_info(connection, index, size_of::<RegionInfo>() as u32)?;
    let mut bar = Bar {
        len: info.size,
        mappable: None,
    };
    if info.flags & REGION_MMAP == 0 || info.size == 0 {
        return Ok(bar);
    }
    let (info, mut reply) = region_info(connection, index, info.argsz.min(MAX_REPLY as u32))?;
    let file = reply.fds.pop();
    let (_, capabilities) = reply.split::<RegionInfo>()?;
    let whole = info.capabilities == 0 || covers_all(&info, capabilities)?;
    bar.mappable = file.filter(|_| whole).map(|file| Mappable {
        file,
        offset: info.offset,
    });
    Ok(bar)
}

fn region_info(
    connection: &Connection,
    index: u32,
    argsz: u32,
) -> Result<(RegionInfo, Reply), HwError> {
    let request = RegionInfo {
        argsz,
        index,
        ..Default::default()
    };
    let reply = connection.request(Command::RegionInfo, &[request.as_bytes()], &[], MAX_REPLY)?;
    let (info, _) = reply.split::<RegionInfo>()?;
    if info.index != index {
        return malformed(
            Command::RegionInfo,
            format!("region {} instead of {index}", info.index),
        );
    }
    Ok((info, reply))
}

/// Whether one area of the sparse mmap capability is the whole region.
fn covers_all(info: &RegionInfo, capabilities: &[u8]) -> Result<bool, HwError> {
    let outside = || HwError::Malformed {
        what: Command::RegionInfo.name(),
        reason: "a capability is outside of the message".into(),
    };
    let mut next = info.capabilities as usize;
    let mut last = 0;
    while next != 0 {
        if next <= last {
            return malformed(
                Command::RegionInfo,
                "capabilities go round in a circle".into(),
            );
        }
        last = next;
        let start = next
            .checked_sub(size_of::<RegionInfo>())
            .ok_or_else(outside)?;
        let bytes = capabilities.get(start..).ok_or_else(outside)?;
        let (header, mut rest) = SparseMmap::read_from_prefix(bytes).map_err(|_| outside())?;
        next = header.next as usize;
        if header.id != CAPABILITY_SPARSE_MMAP {
            continue;
        }
        for _ in 0..header.areas {
            let (area, after) = Area::read_from_prefix(rest).map_err(|_| outside())?;
            rest = after;
            if area.offset == 0 && area.size == info.size {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl PciFunction for VfioUser {
    fn config_read(&self, offset: u16, into: &mut [u8]) -> Result<(), HwError> {
        self.read(REGION_CONFIG, offset.into(), into)
    }

    fn config_write(&self, offset: u16, from: &[u8]) -> Result<(), HwError> {
        let access = RegionAccess {
            offset: offset.into(),
            region: REGION_CONFIG,
            count: from.len() as u32,
        };
        self.connection
            .request(
                Command::RegionWrite,
                &[access.as_bytes(), from],
                &[],
                MAX_REPLY,
            )
            .map(drop)
    }

    fn bar_len(&self, bar: u32) -> u64 {
        self.bars.get(bar as usize).map_or(0, |bar| bar.len)
    }

    fn bar_read(&self, bar: u32, offset: u64, width: Width) -> Result<u64, HwError> {
        let mut value = [0; 8];
        self.read(bar, offset, &mut value[..width.bytes()])?;
        Ok(u64::from_le_bytes(value))
    }

    fn bar_write(&self, bar: u32, offset: u64, width: Width, value: u64) -> Result<(), HwError> {
        let access = RegionAccess {
            offset,
            region: bar,
            count: width.bytes() as u32,
        };
        let value = value.to_le_bytes();
        self.connection.post(
            Command::RegionWrite,
            &[access.as_bytes(), &value[..width.bytes()]],
        )
    }

    fn bar_map(&self, bar: u32) -> Result<SharedMemory, HwError> {
        let missing = HwError::Missing("BAR that can be mapped");
        let Some(bar) = self.bars.get(bar as usize) else {
            return Err(missing);
        };
        let Some(place) = &bar.mappable else {
            return Err(missing);
        };
        let len = usize::try_from(bar.len).map_err(|_| missing)?;
        SharedMemory::map(&place.file, place.offset, len).map_err(|source| HwError::System {
            what: "map a BAR",
            source,
        })
    }

    fn dma_map(&self, memory: &DmaMemory, access: DmaAccess) -> Result<(), HwError> {
        let flags = match access {
            DmaAccess::Read => 0b01,
            DmaAccess::Write => 0b10,
            DmaAccess::ReadWrite => 0b11,
        };
        let request = DmaMap {
            argsz: size_of::<DmaMap>() as u32,
            flags,
            offset: 0,
            address: memory.iova(),
            size: memory.memory().len() as u64,
        };
        let body = [request.as_bytes()];
        self.connection
            .request(Command::DmaMap, &body, &[memory.file()], MAX_REPLY)
            .map(drop)
    }

    fn dma_unmap(&self, memory: &DmaMemory) -> Result<(), HwError> {
        let request = DmaUnmap {
            argsz: size_of::<DmaUnmap>() as u32,
            flags: 0,
            address: memory.iova(),
            size: memory.memory().len() as u64,
        };
        self.connection
            .request(Command::DmaUnmap, &[request.as_bytes()], &[], MAX_REPLY)
            .map(drop)
    }

    fn vectors(&self) -> u32 {
        self.vectors
    }

    fn enable_vectors(&self, events: &[BorrowedFd<'_>]) -> Result<(), HwError> {
        let argsz = size_of::<SetIrqs>() as u32;
        let flags = IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER;
        for (i, fds) in events.chunks(MAX_FDS).enumerate() {
            let (start, count) = ((i * MAX_FDS) as u32, fds.len() as u32);
            let request = SetIrqs {
                argsz,
                flags,
                index: IRQ_MSIX,
                start,
                count,
            };
            self.connection
                .request(Command::SetIrqs, &[request.as_bytes()], fds, MAX_REPLY)?;
        }
        Ok(())
    }

    fn disable_vectors(&self) -> Result<(), HwError> {
        let argsz = size_of::<SetIrqs>() as u32;
        let flags = IRQ_DATA_NONE | IRQ_ACTION_TRIGGER;
        let request = SetIrqs {
            argsz,
            flags,
            index: IRQ_MSIX,
            start: 0,
            count: 0,
        };
        self.connection
            .request(Command::SetIrqs, &[request.as_bytes()], &[], MAX_REPLY)
            .map(drop)
    }

    fn reset(&self) -> Result<(), HwError> {
        self.connection
            .request(Command::Reset, &[], &[], MAX_REPLY)
            .map(drop)
    }

    /// The server resets the function when the connection ends.
    fn close(&self) {
        self.connection.close();
    }

    fn hangup(&self) -> Option<BorrowedFd<'_>> {
        Some(self.connection.socket())
    }
}
