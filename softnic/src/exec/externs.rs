//! State that packets and the control plane share: register arrays and indirect counters.

use flownic_pipeline::entity::CounterData;

use super::phv;
use crate::program::{Bits, CounterDef, RegisterDef};

/// Registers and counters of a program.
#[derive(Debug, Clone)]
pub(crate) struct Externs {
    registers: Vec<Register>,
    counters: Vec<Vec<CounterData>>,
}

#[derive(Debug, Clone)]
struct Register {
    /// Cells one after another, each big-endian in `cell` bytes.
    bytes: Vec<u8>,
    cell: usize,
    width: u32,
}

impl Register {
    fn at(&self, index: u32) -> Option<std::ops::Range<usize>> {
        let start = (index as usize).checked_mul(self.cell)?;
        (start + self.cell <= self.bytes.len()).then_some(start..start + self.cell)
    }

    fn bits(&self) -> Bits {
        // Cells are cut to their width when they are written; all bytes are the value.
        Bits {
            at: 0,
            bytes: self.cell as u32,
            shift: 0,
            width: self.width,
            signed: false,
        }
    }
}

impl Externs {
    /// All zero.
    pub(crate) fn new(registers: &[RegisterDef], counters: &[CounterDef]) -> Externs {
        let register = |def: &RegisterDef| {
            let cell = def.width.div_ceil(8) as usize;
            Register {
                bytes: vec![0; cell * def.size as usize],
                cell,
                width: def.width,
            }
        };
        Externs {
            registers: registers.iter().map(register).collect(),
            counters: counters
                .iter()
                .map(|def| vec![CounterData::default(); def.size as usize])
                .collect(),
        }
    }

    /// Low 128 bits of a cell; 0 when there is no such cell.
    pub(crate) fn read_register(&self, register: u16, index: u32) -> u128 {
        let register = &self.registers[usize::from(register)];
        register
            .at(index)
            .map_or(0, |at| phv::load(&register.bytes[at], register.bits()))
    }

    /// Bytes of a cell and its width; empty when there is no such cell.
    pub(crate) fn register_bytes(&self, register: u16, index: u32) -> (&[u8], u32) {
        let register = &self.registers[usize::from(register)];
        (
            register.at(index).map_or(&[][..], |at| &register.bytes[at]),
            register.width,
        )
    }

    /// Bytes of a cell for writing, `None` when there is no such cell, and where the value lies
    /// in them.
    pub(crate) fn register_cell(&mut self, register: u16, index: u32) -> Option<(&mut [u8], Bits)> {
        let register = &mut self.registers[usize::from(register)];
        let bits = register.bits();
        let width = register.width;
        let at = register.at(index)?;
        Some((&mut register.bytes[at], Bits { width, ..bits }))
    }

    /// Cells of a register.
    pub(crate) fn register_size(&self, register: u16) -> u32 {
        let register = &self.registers[usize::from(register)];
        register.bytes.len().checked_div(register.cell).unwrap_or(0) as u32
    }

    /// Counts one packet; nothing when there is no such cell.
    pub(crate) fn count(&mut self, counter: u16, index: u32, bytes: u64) {
        if let Some(cell) = self.counters[usize::from(counter)].get_mut(index as usize) {
            cell.packets = cell.packets.wrapping_add(1);
            cell.bytes = cell.bytes.wrapping_add(bytes);
        }
    }

    /// All cells of a counter.
    pub(crate) fn counter(&self, counter: u16) -> &[CounterData] {
        &self.counters[usize::from(counter)]
    }

    /// A cell of a counter for writing.
    pub(crate) fn counter_cell(&mut self, counter: u16, index: u32) -> Option<&mut CounterData> {
        self.counters[usize::from(counter)].get_mut(index as usize)
    }
}
