//! Slots: this NIC's small numbers for virtual networks and VNICs, which name their cells in the
//! version registers.
//!
//! Slot 0 belongs to nobody; its cells stay 0. A slot is given out again only when no flow entry
//! names it any more, because an entry left over from its last owner would come alive under the
//! new one's versions.
//!
//! Slots are not stored anywhere but in the NIC: after a restart they are found again from the
//! flow entries that name them (see `recover`). A slot without entries needs no memory.

use std::collections::{BTreeMap, BTreeSet};

/// Numbers for owners of type `K`.
#[derive(Debug, Clone)]
pub struct Slots<K> {
    size: u16,
    by_owner: BTreeMap<K, u16>,
    by_slot: BTreeMap<u16, K>,
    /// Named by entries whose owner is unknown.
    blocked: BTreeSet<u16>,
}

/// Every slot is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("all {0} version slots of the pipeline are in use")]
pub struct NoSlot(u16);

impl<K: Ord + Clone> Slots<K> {
    /// Slots 1 to `size` − 1.
    pub fn new(size: u16) -> Self {
        Slots {
            size,
            by_owner: BTreeMap::new(),
            by_slot: BTreeMap::new(),
            blocked: BTreeSet::new(),
        }
    }

    /// The owner's slot, a new one if it has none: the lowest that is free.
    pub fn allocate(&mut self, owner: &K) -> Result<u16, NoSlot> {
        if let Some(&slot) = self.by_owner.get(owner) {
            return Ok(slot);
        }
        let slot = (1..self.size)
            .find(|slot| !self.by_slot.contains_key(slot) && !self.blocked.contains(slot))
            .ok_or(NoSlot(self.size))?;
        self.assign(slot, owner);
        Ok(slot)
    }

    /// Gives a certain slot to an owner, as it was before a restart.
    pub fn assign(&mut self, slot: u16, owner: &K) {
        self.blocked.remove(&slot);
        self.by_owner.insert(owner.clone(), slot);
        self.by_slot.insert(slot, owner.clone());
    }

    /// Keeps a slot from being given out.
    pub fn block(&mut self, slot: u16) {
        if slot != 0 && !self.by_slot.contains_key(&slot) {
            self.blocked.insert(slot);
        }
    }

    /// Frees a slot. No entry names it any more.
    pub fn release(&mut self, slot: u16) {
        self.blocked.remove(&slot);
        if let Some(owner) = self.by_slot.remove(&slot) {
            self.by_owner.remove(&owner);
        }
    }

    /// Slot of an owner.
    pub fn get(&self, owner: &K) -> Option<u16> {
        self.by_owner.get(owner).copied()
    }

    /// Owner of a slot.
    pub fn owner(&self, slot: u16) -> Option<&K> {
        self.by_slot.get(&slot)
    }

    /// Slots whose owner is not `wanted`, and blocked ones.
    pub fn unwanted<'s>(&'s self, wanted: impl Fn(&K) -> bool + 's) -> BTreeSet<u16> {
        let gone = (self.by_slot.iter())
            .filter(|(_, owner)| !wanted(owner))
            .map(|(&slot, _)| slot);
        gone.chain(self.blocked.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_zero_belongs_to_nobody_and_the_lowest_free_one_is_taken() {
        let mut slots = Slots::new(4);
        assert_eq!(slots.allocate(&"a"), Ok(1));
        assert_eq!(slots.allocate(&"b"), Ok(2));
        assert_eq!(slots.allocate(&"a"), Ok(1));
        slots.release(1);
        assert_eq!(slots.allocate(&"c"), Ok(1));
        assert_eq!(slots.allocate(&"d"), Ok(3));
        assert_eq!(slots.allocate(&"e"), Err(NoSlot(4)));
    }

    #[test]
    fn a_blocked_slot_is_not_given_out() {
        let mut slots = Slots::new(4);
        slots.block(1);
        assert_eq!(slots.allocate(&"a"), Ok(2));
        assert_eq!(slots.unwanted(|_| true), [1].into());
        slots.release(1);
        assert_eq!(slots.allocate(&"b"), Ok(1));
    }
}
