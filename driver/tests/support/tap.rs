//! A way to the software device that a test can listen to and disturb.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flownic_device_abi::admin::{COMMAND_LEN, COMPLETION_LEN, Command, Completion, TAIL_OFFSET};
use flownic_device_abi::bar0;
use flownic_device_abi::register::Register;
use flownic_device_abi::ring::{COMPLETION_OFFSET, DESCRIPTOR_LEN, DescriptorCompletion};
use flownic_device_abi::{bar2, pci};
use flownic_driver::hw::{DmaAccess, HwError, PciFunction, Width};
use flownic_driver::vfio::{DmaMemory, SharedMemory};
use flownic_driver::vfio_user::VfioUser;
use zerocopy::{FromBytes, IntoBytes};

/// The device with faults. Everything that is not disturbed goes to the software device.
#[derive(Debug)]
pub struct Tap {
    inner: VfioUser,
    /// The driver's memory, mapped as a device would, and where the device sees it.
    memory: Mutex<Option<(SharedMemory, u64)>>,
    /// Interrupts do not arrive.
    pub lose_interrupts: AtomicBool,
    /// Registers read all ones, as those of a device that was pulled out.
    pub all_ones: AtomicBool,
    /// Writes fail, as on a connection that was closed this instant.
    pub broken: AtomicBool,
}

impl Tap {
    pub fn connect(socket: &Path) -> Self {
        Self {
            inner: VfioUser::connect(socket, Duration::from_secs(2)).expect("connects"),
            memory: Mutex::new(None),
            lose_interrupts: AtomicBool::new(false),
            all_ones: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    /// Content of a register of the device itself.
    fn register(&self, register: &Register) -> u64 {
        let width = if register.width == 4 {
            Width::U32
        } else {
            Width::U64
        };
        self.inner
            .bar_read(pci::BAR0, register.offset.into(), width)
            .expect("reads")
    }

    fn with_memory<T>(&self, base: &Register, access: impl FnOnce(&SharedMemory, usize) -> T) -> T {
        let offset = self.register(base);
        let memory = self.memory.lock().expect("lock");
        let (memory, iova) = memory.as_ref().expect("mapped");
        access(memory, (offset - iova) as usize)
    }

    /// Waits for command number `index`, which the device does not see, and gives it.
    pub fn command(&self, index: u32) -> Command {
        let bar2 = self.inner.bar_map(pci::BAR2).expect("maps");
        let until = Instant::now() + Duration::from_secs(5);
        while bar2
            .load_u32(bar2::ADMIN_TAIL.offset as usize)
            .expect("in BAR2")
            <= index
        {
            assert!(Instant::now() < until, "no command");
            std::thread::sleep(Duration::from_millis(1));
        }
        let slot = (u64::from(index) % self.register(&bar0::ADMIN_SIZE)) as usize;
        self.with_memory(&bar0::ADMIN_SQ_BASE, |memory, queue| {
            let bytes = memory
                .read_vec(queue + slot * COMMAND_LEN, COMMAND_LEN)
                .expect("in memory");
            Command::read_from_bytes(&bytes).expect("whole")
        })
    }

    /// Writes output and completion number `index` in the device's place.
    pub fn complete(&self, index: u32, command: &Command, output: &[u8], completion: Completion) {
        let slot = (u64::from(index) % self.register(&bar0::ADMIN_SIZE)) as usize;
        self.with_memory(&bar0::ADMIN_CQ_BASE, |memory, queue| {
            let iova = self.register(&bar0::ADMIN_CQ_BASE) - queue as u64;
            memory
                .write((command.output.get() - iova) as usize, output)
                .expect("in memory");
            let place = queue + slot * COMPLETION_LEN;
            memory
                .write(place, &completion.as_bytes()[..TAIL_OFFSET])
                .expect("in memory");
            memory
                .write(place + TAIL_OFFSET, completion.tail.as_bytes())
                .expect("in memory");
        });
    }

    /// Writes the completion of punt descriptor `slot` in the device's place.
    pub fn complete_punt(&self, slot: usize, completion: DescriptorCompletion) {
        self.with_memory(&bar0::PUNT_BASE, |memory, ring| {
            let place = ring + slot * DESCRIPTOR_LEN + COMPLETION_OFFSET;
            memory
                .write(place, completion.as_bytes())
                .expect("in memory");
        });
    }
}

impl PciFunction for Tap {
    fn config_read(&self, offset: u16, into: &mut [u8]) -> Result<(), HwError> {
        self.inner.config_read(offset, into)
    }

    fn config_write(&self, offset: u16, from: &[u8]) -> Result<(), HwError> {
        self.inner.config_write(offset, from)
    }

    fn bar_len(&self, bar: u32) -> u64 {
        self.inner.bar_len(bar)
    }

    fn bar_read(&self, bar: u32, offset: u64, width: Width) -> Result<u64, HwError> {
        if self.all_ones.load(Ordering::Relaxed) {
            return Ok(u64::MAX >> (64 - 8 * width.bytes()));
        }
        self.inner.bar_read(bar, offset, width)
    }

    fn bar_write(&self, bar: u32, offset: u64, width: Width, value: u64) -> Result<(), HwError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(HwError::Gone("broken pipe".into()));
        }
        self.inner.bar_write(bar, offset, width, value)
    }

    fn bar_map(&self, bar: u32) -> Result<SharedMemory, HwError> {
        self.inner.bar_map(bar)
    }

    fn dma_map(&self, memory: &DmaMemory, access: DmaAccess) -> Result<(), HwError> {
        let mapped = SharedMemory::map(memory.file(), 0, memory.memory().len()).expect("maps");
        *self.memory.lock().expect("lock") = Some((mapped, memory.iova()));
        self.inner.dma_map(memory, access)
    }

    fn dma_unmap(&self, memory: &DmaMemory) -> Result<(), HwError> {
        self.inner.dma_unmap(memory)
    }

    fn vectors(&self) -> u32 {
        self.inner.vectors()
    }

    fn enable_vectors(&self, events: &[BorrowedFd<'_>]) -> Result<(), HwError> {
        if self.lose_interrupts.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.enable_vectors(events)
    }

    fn disable_vectors(&self) -> Result<(), HwError> {
        self.inner.disable_vectors()
    }

    fn reset(&self) -> Result<(), HwError> {
        self.inner.reset()
    }

    fn close(&self) {
        self.inner.close();
    }

    fn hangup(&self) -> Option<BorrowedFd<'_>> {
        self.inner.hangup()
    }
}
