//! BAR0 and BAR2 of the device, by register.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use flownic_device_abi::bar0::{self, Fault, STATUS_ENABLED, STATUS_ERROR};
use flownic_device_abi::register::Register;
use flownic_device_abi::{bar2, pci};

use crate::error::NicError;
use crate::hw::{HwError, PciFunction, Width};
use crate::vfio::{OutOfBounds, SharedMemory};

/// The registers of BAR0. Accesses may block for the transport's deadline.
#[derive(Debug, Clone)]
pub(crate) struct Registers {
    function: Arc<dyn PciFunction>,
}

/// What the registers say about a function that should be running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    /// Reads all ones or something else than it should.
    Gone,
    /// Stopped by itself.
    Stopped(Option<Fault>),
    /// Somebody reset it.
    Reset,
}

impl Registers {
    pub(crate) fn new(function: Arc<dyn PciFunction>) -> Self {
        Self { function }
    }

    /// Reads a register of 4 or 8 bytes.
    pub(crate) fn read(&self, register: &Register) -> Result<u64, HwError> {
        self.function
            .bar_read(pci::BAR0, register.offset.into(), width(register))
    }

    /// Reads a register of 4 bytes.
    pub(crate) fn read_u32(&self, register: &Register) -> Result<u32, HwError> {
        self.read(register).map(|value| value as u32)
    }

    /// Writes a register of 4 or 8 bytes.
    pub(crate) fn write(&self, register: &Register, value: u64) -> Result<(), HwError> {
        self.function
            .bar_write(pci::BAR0, register.offset.into(), width(register), value)
    }

    /// Reads a text that is padded with zeros.
    pub(crate) fn read_text(&self, register: &Register) -> Result<String, HwError> {
        let mut bytes = Vec::new();
        for offset in (register.offset..register.end()).step_by(8) {
            let word = self
                .function
                .bar_read(pci::BAR0, offset.into(), Width::U64)?;
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let len = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }

    /// How the function is.
    pub(crate) fn state(&self) -> Result<State, HwError> {
        if self.read_u32(&bar0::MAGIC)? != bar0::MAGIC_VALUE {
            return Ok(State::Gone);
        }
        let status = self.read_u32(&bar0::STATUS)?;
        Ok(if status == u32::MAX {
            State::Gone
        } else if status & STATUS_ERROR != 0 {
            State::Stopped(Fault::from_status(status))
        } else if status & STATUS_ENABLED == 0 {
            State::Reset
        } else {
            State::Running
        })
    }
}

fn width(register: &Register) -> Width {
    if register.width == 4 {
        Width::U32
    } else {
        Width::U64
    }
}

/// The words of BAR2. Accesses are those of memory.
#[derive(Debug)]
pub(crate) struct Doorbells {
    memory: SharedMemory,
    registers: Registers,
}

impl Doorbells {
    pub(crate) fn new(memory: SharedMemory, registers: Registers) -> Self {
        Self { memory, registers }
    }

    /// Stores a word after everything that was stored before it.
    pub(crate) fn store(&self, word: &Register, value: u32) -> Result<(), OutOfBounds> {
        self.memory.store_u32(word.offset as usize, value)
    }

    /// Stores a doorbell and wakes the device if it sleeps.
    pub(crate) fn ring(&self, word: &Register, value: u32) -> Result<(), NicError> {
        self.store(word, value)?;
        // The device stores SLEEPING, then looks at the doorbell; we do it the other way round.
        fence(Ordering::SeqCst);
        if self.memory.load_u32(bar2::SLEEPING.offset as usize)? != 0 {
            self.registers.write(&bar0::KICK, 1)?;
        }
        Ok(())
    }

    /// Asks for an interrupt for entry `index`. The caller looks at the ring once more after this.
    pub(crate) fn arm(&self, word: &Register, index: u32) -> Result<(), OutOfBounds> {
        self.store(word, index)?;
        fence(Ordering::SeqCst);
        Ok(())
    }
}
