//! Version vectors: which state of each part of a configuration something was made from.
//!
//! A flow entry carries the versions of its virtual network and of its VNIC. The pipeline
//! compares them with the current ones in registers at every packet; one that differs makes the
//! entry stale (R1.5). Here are the vector, its parts and the comparison, as the pipeline does it.
//!
//! ```text
//! register cell  =  slot × 8 + part       slot: this NIC's number for a network or VNIC
//! ```
//!
//! Pure values: no I/O, no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a configuration that changes by itself. The discriminant is the number of its
/// register cell within a slot, and of its bit in a stale mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Part {
    /// Security groups, their rules and who is in them.
    Security = 0,
    /// Where a VNIC is: its addresses, MAC, host and VF.
    Mapping = 1,
    /// Subnets and gateways.
    Route = 2,
    /// Paths and marks that the policy service gives.
    Policy = 3,
    /// Balanced services.
    Lb = 4,
}

impl Part {
    /// All parts, in the order of their cells.
    pub const ALL: [Part; 5] = [
        Part::Security,
        Part::Mapping,
        Part::Route,
        Part::Policy,
        Part::Lb,
    ];

    /// Number of this part's cell within a slot, 0–4.
    pub const fn cell(self) -> u32 {
        self as u32
    }

    /// Index of this part's cell in a version register of the pipeline.
    pub const fn register_index(self, slot: u32) -> u32 {
        slot * CELLS_PER_SLOT + self.cell()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Security => "security",
            Part::Mapping => "mapping",
            Part::Route => "route",
            Part::Policy => "policy",
            Part::Lb => "lb",
        })
    }
}

/// Cells of one slot of a version register; those behind the last part are unused.
pub const CELLS_PER_SLOT: u32 = 8;

/// One version for each part, in the order of [`Part::ALL`]. A current version is never 0, so
/// that 0 in an entry or register makes stale whatever meets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versions(pub [u32; 5]);

impl Versions {
    /// The same version for each part.
    pub const fn all(version: u32) -> Versions {
        Versions([version; 5])
    }

    /// Version of one part.
    pub const fn get(&self, part: Part) -> u32 {
        self.0[part as usize]
    }

    /// Sets the version of one part.
    pub fn set(&mut self, part: Part, version: u32) {
        self.0[part as usize] = version;
    }

    /// Gives every part in `parts` the version `version`.
    pub fn advance(&mut self, parts: Parts, version: u32) {
        for part in parts.iter() {
            self.set(part, version);
        }
    }

    /// Parts in which `self`, kept in an entry, is not what is current now. Any difference
    /// counts, in either direction: the pipeline compares for equality.
    pub fn stale(&self, current: &Versions) -> Parts {
        Part::ALL
            .into_iter()
            .filter(|&part| self.get(part) != current.get(part))
            .collect()
    }

    /// True when no part is 0: every one has been set.
    pub fn is_complete(&self) -> bool {
        self.0.iter().all(|&version| version != 0)
    }

    /// The later version of each part. Versions only grow, so that vectors learnt from two
    /// sources join to what is known at least (R1.6).
    #[must_use]
    pub fn join(&self, other: &Versions) -> Versions {
        let mut joined = *self;
        for part in Part::ALL {
            joined.set(part, self.get(part).max(other.get(part)));
        }
        joined
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in Part::ALL.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{part} {}", self.get(part))?;
        }
        Ok(())
    }
}

/// A set of parts; bit n is the part with cell n, as in the pipeline's stale masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parts(u8);

impl Parts {
    /// No part.
    pub const NONE: Parts = Parts(0);
    /// Every part.
    pub const ALL: Parts = Parts(0b1_1111);

    /// The set with this mask; bits that stand for no part are left out.
    pub const fn from_mask(mask: u8) -> Parts {
        Parts(mask & Parts::ALL.0)
    }

    /// The mask, one bit for each part.
    pub const fn mask(self) -> u8 {
        self.0
    }

    /// True when no part is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when `part` is in it.
    pub const fn contains(self, part: Part) -> bool {
        self.0 & (1 << part as u8) != 0
    }

    /// Puts `part` into it.
    pub fn insert(&mut self, part: Part) {
        self.0 |= 1 << part as u8;
    }

    /// Parts that are in either set.
    #[must_use]
    pub const fn union(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }

    /// The parts, in the order of their cells.
    pub fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL
            .into_iter()
            .filter(move |&part| self.contains(part))
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Parts {
        let mut set = Parts::NONE;
        for part in parts {
            set.insert(part);
        }
        set
    }
}

impl From<Part> for Parts {
    fn from(part: Part) -> Parts {
        Parts(1 << part as u8)
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (index, part) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{part}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
