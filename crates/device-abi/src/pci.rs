//! Identity and configuration space of the function (PCI Local Bus 3.0 §6, PCI Express Base 6.0 §7).
//!
//! | offset | what |
//! | --- | --- |
//! | `0x000` | type 0 header: ids, BAR0, BAR2 |
//! | `0x040` | power management capability |
//! | `0x050` | MSI-X capability, table and pending bits in BAR0 |
//! | `0x060` | PCI Express capability with function level reset |
//! | `0x100` | device serial number |
//! | `0x140` | access control services, no bits: the function does no peer-to-peer |

/// Vendor id of the reference device. PCI-SIG has not assigned it; a vendor uses its own.
pub const VENDOR_ID: u16 = 0xf10c;
/// Device id of the physical function.
pub const DEVICE_ID: u16 = 0x0001;
/// Subsystem id; the subsystem's vendor is [`VENDOR_ID`].
pub const SUBSYSTEM_ID: u16 = 0x0001;
/// Class code: network controller, Ethernet.
pub const CLASS_CODE: u32 = 0x02_00_00;

/// Bytes of configuration space.
pub const CONFIG_LEN: usize = 4096;
/// Vendor id, 2 bytes; device id follows.
pub const CONFIG_VENDOR: usize = 0x00;
/// Command register, 2 bytes.
pub const CONFIG_COMMAND: usize = 0x04;
/// Status register, 2 bytes.
pub const CONFIG_STATUS: usize = 0x06;
/// Revision id, 1 byte: the major version of the interface. The class code follows.
pub const CONFIG_REVISION: usize = 0x08;
/// Base address register 0, 4 bytes each.
pub const CONFIG_BAR0: usize = 0x10;
/// Base address register 2 (64 bit: with register 3).
pub const CONFIG_BAR2: usize = 0x18;
/// Subsystem vendor id, 2 bytes; subsystem id follows.
pub const CONFIG_SUBSYSTEM: usize = 0x2c;
/// Offset of the first capability, 1 byte.
pub const CONFIG_CAPABILITIES: usize = 0x34;

/// Command: the function answers to memory accesses.
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// Command: the function may do DMA. Without it the device does none.
pub const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Status: there is a list of capabilities.
pub const STATUS_CAPABILITIES: u16 = 1 << 4;

/// Where the power management capability is.
pub const PM_OFFSET: usize = 0x40;
/// Its id.
pub const PM_ID: u8 = 0x01;
/// Where the MSI-X capability is.
pub const MSIX_OFFSET: usize = 0x50;
/// Its id.
pub const MSIX_ID: u8 = 0x11;
/// Where the PCI Express capability is.
pub const EXPRESS_OFFSET: usize = 0x60;
/// Its id.
pub const EXPRESS_ID: u8 = 0x10;
/// Device capabilities: function level reset.
pub const EXPRESS_CAP_FLR: u32 = 1 << 28;
/// Device control register, 2 bytes.
pub const EXPRESS_CONTROL: usize = EXPRESS_OFFSET + 0x08;
/// Device control: start a function level reset; reads zero.
pub const EXPRESS_CONTROL_FLR: u16 = 1 << 15;
/// Where the device serial number capability is.
pub const SERIAL_OFFSET: usize = 0x100;
/// Its id.
pub const SERIAL_ID: u16 = 0x0003;
/// Where the access control services capability is.
pub const ACS_OFFSET: usize = 0x140;
/// Its id.
pub const ACS_ID: u16 = 0x000d;

/// MSI-X vectors.
pub const VECTORS: u16 = 4;
/// Vector: completions of the admin queue.
pub const VECTOR_ADMIN: u16 = 0;
/// Vector: punted packets.
pub const VECTOR_PUNT: u16 = 1;
/// Vector: injected packets were taken.
pub const VECTOR_INJECT: u16 = 2;
/// Vector: STATUS changed without a command (errors).
pub const VECTOR_EVENT: u16 = 3;

/// BAR0: 32 bit, not prefetchable; every access is trapped by a device in software.
pub const BAR0: u32 = 0;
/// Bytes of BAR0.
pub const BAR0_LEN: u32 = 0x4000;
/// MSI-X table in BAR0, 16 bytes a vector.
pub const MSIX_TABLE: u32 = 0x2000;
/// MSI-X pending bits in BAR0.
pub const MSIX_PENDING: u32 = 0x3000;
/// BAR2: 64 bit, prefetchable, memory that can be mapped as a whole.
pub const BAR2: u32 = 2;
/// Bytes of BAR2: one page of the largest page size in use.
pub const BAR2_LEN: u32 = 0x1_0000;
