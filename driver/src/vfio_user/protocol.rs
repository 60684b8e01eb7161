//! Messages of the vfio-user protocol, in the byte order of the machine.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Commands, "Commands" section of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Command {
    Version = 1,
    DmaMap = 2,
    DmaUnmap = 3,
    DeviceInfo = 4,
    RegionInfo = 5,
    IrqInfo = 7,
    SetIrqs = 8,
    RegionRead = 9,
    RegionWrite = 10,
    Reset = 13,
}

impl Command {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Command::Version => "version negotiation",
            Command::DmaMap => "DMA map",
            Command::DmaUnmap => "DMA unmap",
            Command::DeviceInfo => "device information",
            Command::RegionInfo => "region information",
            Command::IrqInfo => "interrupt information",
            Command::SetIrqs => "interrupt set-up",
            Command::RegionRead => "region read",
            Command::RegionWrite => "region write",
            Command::Reset => "reset",
        }
    }
}

/// Flags: bits 3:0 are 0 for a command, 1 for a reply.
pub(super) const FLAG_REPLY: u32 = 1;
/// Flags: bits that hold the type.
pub(super) const FLAG_TYPE: u32 = 0xf;
/// Flags: no reply is wanted.
pub(super) const FLAG_NO_REPLY: u32 = 1 << 4;
/// Flags: the reply tells an error.
pub(super) const FLAG_ERROR: u32 = 1 << 5;

/// First bytes of every message.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Header {
    pub(super) message_id: u16,
    pub(super) command: u16,
    /// Bytes of the message with this header.
    pub(super) size: u32,
    pub(super) flags: u32,
    pub(super) error: u32,
}

pub(super) const HEADER_LEN: usize = size_of::<Header>();

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Version {
    pub(super) major: u16,
    pub(super) minor: u16,
}

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct DmaMap {
    pub(super) argsz: u32,
    /// Bit 0: the device may read; bit 1: it may write.
    pub(super) flags: u32,
    /// In the file that comes with the message.
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct DmaUnmap {
    pub(super) argsz: u32,
    pub(super) flags: u32,
    pub(super) address: u64,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct DeviceInfo {
    pub(super) argsz: u32,
    /// Bit 1: a PCI device.
    pub(super) flags: u32,
    pub(super) regions: u32,
    pub(super) irqs: u32,
}

pub(super) const DEVICE_IS_PCI: u32 = 1 << 1;

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct RegionInfo {
    /// Bytes of this structure with its capabilities.
    pub(super) argsz: u32,
    pub(super) flags: u32,
    pub(super) index: u32,
    /// From the start of this structure; 0: no capabilities.
    pub(super) capabilities: u32,
    pub(super) size: u64,
    /// In the file that comes with the message.
    pub(super) offset: u64,
}

pub(super) const REGION_MMAP: u32 = 1 << 2;
/// Capability: the parts of a region that can be mapped.
pub(super) const CAPABILITY_SPARSE_MMAP: u16 = 1;

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct SparseMmap {
    pub(super) id: u16,
    pub(super) version: u16,
    /// Next capability, from the start of the region information; 0: none.
    pub(super) next: u32,
    pub(super) areas: u32,
    pub(super) reserved: u32,
}

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct Area {
    pub(super) offset: u64,
    pub(super) size: u64,
}

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub(super) struct RegionAccess {
    pub(super) offset: u64,
    pub(super) region: u32,
    pub(super) count: u32,
}

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct IrqInfo {
    pub(super) argsz: u32,
    pub(super) flags: u32,
    pub(super) index: u32,
    pub(super) count: u32,
}

#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(super) struct SetIrqs {
    pub(super) argsz: u32,
    pub(super) flags: u32,
    pub(super) index: u32,
    pub(super) start: u32,
    pub(super) count: u32,
}

/// [`SetIrqs`]: data are none.
pub(super) const IRQ_DATA_NONE: u32 = 1 << 0;
/// [`SetIrqs`]: data are event file descriptors.
pub(super) const IRQ_DATA_EVENTFD: u32 = 1 << 2;
/// [`SetIrqs`]: it is about what triggers.
pub(super) const IRQ_ACTION_TRIGGER: u32 = 1 << 5;

/// Region index of configuration space; BARs are 0 to 5.
pub(super) const REGION_CONFIG: u32 = 7;
/// Interrupt index of MSI-X.
pub(super) const IRQ_MSIX: u32 = 2;
