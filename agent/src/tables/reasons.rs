//! Drop and punt reasons: their numbers and names, and the pipeline's counters of them.
//! The index of a counter is port × 64 + reason.

use super::names::{Mismatch, Names, Numbers};

/// Reasons of one kind.
#[derive(Debug)]
pub struct Reasons {
    counter: u32,
    cells: u32,
    numbers: Numbers,
}

/// Reasons that one port has counters for.
const REASONS_PER_PORT: u32 = 64;

impl Reasons {
    /// Looks up the counter array and the enum of its reasons.
    pub fn resolve(
        names: &Names<'_>,
        counter: &'static str,
        reasons: &'static str,
    ) -> Result<Self, Mismatch> {
        let (counter, cells) = names.counter(counter)?;
        Ok(Reasons {
            counter,
            cells,
            numbers: names.numbers(reasons)?,
        })
    }

    /// P4Info id of the counter array.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// Cells of the counter array.
    pub fn cells(&self) -> u32 {
        self.cells
    }

    /// Port and number of the reason that a cell counts.
    pub fn cell(index: u32) -> (u16, u8) {
        (
            (index / REASONS_PER_PORT) as u16,
            (index % REASONS_PER_PORT) as u8,
        )
    }

    /// Number of a reason; the error names it.
    pub fn number(&self, name: &'static str) -> Result<u8, Mismatch> {
        self.numbers.number(name)
    }

    /// Number of a reason that somebody else named.
    pub fn find(&self, name: &str) -> Option<u8> {
        self.numbers.find(name)
    }

    /// Name of a reason.
    pub fn name(&self, number: u8) -> Option<&str> {
        self.numbers.name(number)
    }
}
