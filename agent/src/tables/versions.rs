//! `vn_versions` and `vnic_versions`: registers with the current versions of each part, cell =
//! slot × 8 + part. The pipeline compares flow entries with them at every packet (R1.5).

use flownic_pipeline::entity::{Entity, Update, UpdateKind};
use flownic_versions::{CELLS_PER_SLOT, Part, Versions};

use super::entry::Value;
use super::names::{Mismatch, Names};

/// A version register.
#[derive(Debug)]
pub struct VersionRegister {
    id: u32,
    slots: u16,
}

impl VersionRegister {
    /// Slots of the pipeline that entries can name: they have 12 bits for it.
    const MAX_SLOTS: u32 = 4096;

    /// Looks the register up.
    pub fn resolve(names: &Names<'_>, name: &'static str) -> Result<Self, Mismatch> {
        let (id, cells) = names.register(name, 32)?;
        let slots = (cells / CELLS_PER_SLOT).min(Self::MAX_SLOTS);
        Ok(VersionRegister {
            id,
            slots: u16::try_from(slots).unwrap_or(u16::MAX),
        })
    }

    /// P4Info id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Number of slots, slot 0 included.
    pub fn slots(&self) -> u16 {
        self.slots
    }

    /// Number of cells that the slots take up.
    pub fn cells(&self) -> u32 {
        u32::from(self.slots) * CELLS_PER_SLOT
    }

    /// The writes that turn the versions of a slot from `from` into `to`.
    pub fn updates(&self, slot: u16, from: Versions, to: Versions) -> impl Iterator<Item = Update> {
        let id = self.id;
        from.stale(&to).iter().map(move |part| Update {
            kind: UpdateKind::Modify,
            entity: Entity::Register {
                register: id,
                index: part.register_index(u32::from(slot)),
                value: to.get(part).into_bytes(),
            },
        })
    }

    /// Which slot and part a cell is; `None` for cells that no part uses.
    pub fn part_of(index: u32) -> Option<(u16, Part)> {
        let slot = u16::try_from(index / CELLS_PER_SLOT).ok()?;
        let cell = index % CELLS_PER_SLOT;
        let part = Part::ALL.into_iter().find(|part| part.cell() == cell)?;
        Some((slot, part))
    }
}
