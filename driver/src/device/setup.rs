//! From a function that can be reached to one that runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flownic_device_abi::admin::{COMMAND_LEN, COMPLETION_LEN};
use flownic_device_abi::bar0::{self, Fault};
use flownic_device_abi::ring::{DESCRIPTOR_LEN, is_ring_size};
use flownic_device_abi::{ABI_VERSION, abi_major, pci};

use super::Options;
use crate::error::NicError;
use crate::events::Event;
use crate::hw::{DmaAccess, HwError, PciFunction};
use crate::nic::{Limits, NicInfo, PciInfo};
use crate::registers::{Doorbells, Registers};
use crate::vfio::DmaMemory;
use crate::{admin, rings};

/// Where the device finds our memory. Below it and above it is room for what platforms reserve
/// (x86: interrupts at 0xfee0_0000).
const IOVA: u64 = 0x1000_0000;

/// Entries of the admin queue.
const ADMIN_SIZE: u32 = 16;

/// How long a function may take to come out of a reset (PCI Express Base 6.0 §6.6.1 allows 1 s).
const RESET_DEADLINE: Duration = Duration::from_secs(2);

/// One interrupt for each vector.
#[derive(Debug)]
pub(super) struct Interrupts {
    pub(super) admin: Event,
    pub(super) punt: Event,
    pub(super) inject: Event,
    pub(super) event: Event,
}

impl Interrupts {
    /// Within a tokio runtime.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            admin: Event::new()?,
            punt: Event::new()?,
            inject: Event::new()?,
            event: Event::new()?,
        })
    }
}

/// A running function.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) function: Arc<dyn PciFunction>,
    pub(super) registers: Registers,
    pub(super) doorbells: Arc<Doorbells>,
    pub(super) memory: Arc<DmaMemory>,
    pub(super) layout: Layout,
    pub(super) info: NicInfo,
}

/// Where everything is in the DMA memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) admin: admin::Place,
    pub(super) punt: rings::Place,
    pub(super) inject: rings::Place,
    len: usize,
}

impl Layout {
    fn new(options: &Options, limits: &DeviceLimits) -> Self {
        let mut len = 0;
        // Each part begins on a page of its own.
        let mut take = |bytes: usize| {
            let offset = len;
            len += bytes.next_multiple_of(4096);
            offset
        };
        let (punt, inject) = (options.punt_descriptors, options.inject_descriptors);
        let admin = admin::Place {
            submissions: take(ADMIN_SIZE as usize * COMMAND_LEN),
            completions: take(ADMIN_SIZE as usize * COMPLETION_LEN),
            size: ADMIN_SIZE,
            data: take(options.commands * 2 * limits.data),
            data_len: limits.data,
            slots: options.commands,
        };
        let mut ring = |size: u32| rings::Place {
            ring: take(size as usize * DESCRIPTOR_LEN),
            buffers: take(size as usize * limits.packet),
            size,
            buffer_len: limits.packet,
        };
        let (punt, inject) = (ring(punt), ring(inject));
        Self {
            admin,
            punt,
            inject,
            len,
        }
    }
}

/// What the device allows, bounded by what we want.
#[derive(Debug, Clone, Copy)]
struct DeviceLimits {
    data: usize,
    packet: usize,
}

/// Resets the function, checks that it is ours, gives it memory and interrupts, and starts it.
/// Blocks for a bounded time.
pub(super) fn run(
    address: &str,
    function: Arc<dyn PciFunction>,
    interrupts: &Interrupts,
    options: &Options,
) -> Result<Running, NicError> {
    let open = |source| NicError::Open {
        address: address.into(),
        source,
    };
    let ids = config_u32(&*function, pci::CONFIG_VENDOR).map_err(open)?;
    let (vendor, device) = (ids as u16, (ids >> 16) as u16);
    if (vendor, device) != (pci::VENDOR_ID, pci::DEVICE_ID) {
        return Err(NicError::NotFlowNic {
            address: address.into(),
            vendor,
            device,
        });
    }
    function.reset().map_err(open)?;
    allow_dma(&*function).map_err(open)?;
    let registers = Registers::new(function.clone());
    wait_ready(address, &registers)?;
    let info = identify(address, &*function, &registers)?;
    let limits = device_limits(address, &registers, options)?;
    let layout = Layout::new(options, &limits);
    let bar2 = function.bar_map(pci::BAR2).map_err(open)?;
    if bar2.len() < pci::BAR2_LEN as usize {
        return Err(incompatible(
            address,
            format!("BAR2 has {} bytes only", bar2.len()),
        ));
    }
    let doorbells = Arc::new(Doorbells::new(bar2, registers.clone()));
    let system = |what| move |source| open(HwError::System { what, source });
    let memory = DmaMemory::new(layout.len, IOVA).map_err(system("allocate DMA memory"))?;
    function
        .dma_map(&memory, DmaAccess::ReadWrite)
        .map_err(open)?;
    if function.vectors() < pci::VECTORS.into() {
        return Err(incompatible(
            address,
            format!("{} interrupt vectors only", function.vectors()),
        ));
    }
    let Interrupts {
        admin,
        punt,
        inject,
        event,
    } = interrupts;
    function
        .enable_vectors(&[admin.fd(), punt.fd(), inject.fd(), event.fd()])
        .map_err(open)?;
    enable(&registers, &memory, &layout).map_err(open)?;
    let status = registers.read_u32(&bar0::STATUS).map_err(open)?;
    if status & bar0::STATUS_ENABLED == 0 {
        return Err(NicError::Setup {
            address: address.into(),
            fault: Fault::from_status(status),
        });
    }
    let info = NicInfo {
        limits: Limits {
            batch: limits.data,
            packet: limits.packet,
            ..info.limits
        },
        ..info
    };
    Ok(Running {
        function,
        registers,
        doorbells,
        memory: Arc::new(memory),
        layout,
        info,
    })
}

fn incompatible(address: &str, reason: String) -> NicError {
    NicError::Incompatible {
        address: address.into(),
        reason,
    }
}

fn config_u32(function: &dyn PciFunction, offset: usize) -> Result<u32, HwError> {
    let mut bytes = [0; 4];
    function.config_read(offset as u16, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Lets the function answer to memory accesses and do DMA.
fn allow_dma(function: &dyn PciFunction) -> Result<(), HwError> {
    let command = config_u32(function, pci::CONFIG_COMMAND)? as u16;
    let command = command | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER;
    function.config_write(pci::CONFIG_COMMAND as u16, &command.to_le_bytes())
}

fn wait_ready(address: &str, registers: &Registers) -> Result<(), NicError> {
    let open = |source| NicError::Open {
        address: address.into(),
        source,
    };
    let until = Instant::now() + RESET_DEADLINE;
    loop {
        let magic = registers.read_u32(&bar0::MAGIC).map_err(open)?;
        let status = registers.read_u32(&bar0::STATUS).map_err(open)?;
        if magic == bar0::MAGIC_VALUE && status & bar0::STATUS_READY != 0 {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(match magic {
                bar0::MAGIC_VALUE => incompatible(address, "no pipeline is loaded".into()),
                u32::MAX => open(HwError::Gone("registers read all ones".into())),
                other => incompatible(address, format!("register MAGIC is {other:#010x}")),
            });
        }
        pause();
    }
}

/// Between two looks at a register.
#[expect(
    clippy::disallowed_methods,
    reason = "no interrupt tells that a reset has completed"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

fn identify(
    address: &str,
    function: &dyn PciFunction,
    registers: &Registers,
) -> Result<NicInfo, NicError> {
    let open = |source| NicError::Open {
        address: address.into(),
        source,
    };
    let abi_version = registers.read_u32(&bar0::ABI_VERSION).map_err(open)?;
    if abi_major(abi_version) != abi_major(ABI_VERSION) {
        let (theirs, ours) = (abi_major(abi_version), abi_major(ABI_VERSION));
        return Err(incompatible(
            address,
            format!("device interface version {theirs}, ours is {ours}"),
        ));
    }
    let low = config_u32(function, pci::SERIAL_OFFSET + 4).map_err(open)?;
    let high = config_u32(function, pci::SERIAL_OFFSET + 8).map_err(open)?;
    let serial = u64::from(high) << 32 | u64::from(low);
    Ok(NicInfo {
        address: address.into(),
        pci: Some(PciInfo {
            vendor: pci::VENDOR_ID,
            device: pci::DEVICE_ID,
            serial,
            abi_version,
        }),
        firmware: registers.read_text(&bar0::FIRMWARE).map_err(open)?,
        pipeline_cookie: registers.read(&bar0::PIPELINE_COOKIE).map_err(open)?,
        limits: Limits {
            batch: 0,
            packet: 0,
            uplinks: registers.read_u32(&bar0::UPLINKS).map_err(open)?,
            vfs: registers.read_u32(&bar0::VFS).map_err(open)?,
        },
    })
}

fn device_limits(
    address: &str,
    registers: &Registers,
    options: &Options,
) -> Result<DeviceLimits, NicError> {
    let read = |register| {
        registers
            .read_u32(register)
            .map_err(|source| NicError::Open {
                address: address.into(),
                source,
            })
    };
    let (max_admin, max_ring) = (read(&bar0::MAX_ADMIN)?, read(&bar0::MAX_RING)?);
    let (data, packet) = (
        read(&bar0::MAX_DATA)? as usize,
        read(&bar0::MAX_PACKET)? as usize,
    );
    let rings = [options.punt_descriptors, options.inject_descriptors];
    if !is_ring_size(ADMIN_SIZE, max_admin)
        || !rings.iter().all(|&size| is_ring_size(size, max_ring))
    {
        return Err(incompatible(
            address,
            format!("queues of {max_admin} and {max_ring} entries at most"),
        ));
    }
    // Ethernet's shortest frame with a header, and a page for data, are the least that is of use.
    if data < 4096 || packet < 128 {
        return Err(incompatible(
            address,
            format!("data of {data} and packets of {packet} bytes at most"),
        ));
    }
    Ok(DeviceLimits {
        data: data.min(options.data),
        packet: packet.min(options.packet) & !63,
    })
}

fn enable(registers: &Registers, memory: &DmaMemory, layout: &Layout) -> Result<(), HwError> {
    let iova = |offset: usize| memory.iova() + offset as u64;
    registers.write(&bar0::DRIVER_FEATURES, 0)?;
    registers.write(&bar0::ADMIN_SQ_BASE, iova(layout.admin.submissions))?;
    registers.write(&bar0::ADMIN_CQ_BASE, iova(layout.admin.completions))?;
    registers.write(&bar0::ADMIN_SIZE, layout.admin.size.into())?;
    registers.write(&bar0::PUNT_BASE, iova(layout.punt.ring))?;
    registers.write(&bar0::PUNT_SIZE, layout.punt.size.into())?;
    registers.write(&bar0::INJECT_BASE, iova(layout.inject.ring))?;
    registers.write(&bar0::INJECT_SIZE, layout.inject.size.into())?;
    registers.write(&bar0::CONTROL, bar0::CONTROL_ENABLE.into())
}
