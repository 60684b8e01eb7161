//! Ids and aliases, as the reference compiler gives them: the top byte says the kind, the rest is
//! a hash of the full name; a taken id moves on to the next one.

use std::collections::{BTreeMap, HashMap, HashSet};

/// Kind of an object: top byte of its id (P4Runtime specification, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Prefix {
    Action = 0x01,
    Table = 0x02,
    ControllerHeader = 0x04,
    Counter = 0x12,
    DirectCounter = 0x13,
    Meter = 0x14,
    DirectMeter = 0x15,
    Register = 0x16,
}

/// Objects and their ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// 0: not given yet.
    known: BTreeMap<(Prefix, String), u32>,
    taken: HashSet<u32>,
    names: HashSet<String>,
    /// How many names end with these parts.
    suffixes: HashMap<String, usize>,
}

impl Ids {
    /// Adds an object; `wanted` is the number of its `@id`.
    pub(super) fn add(
        &mut self,
        prefix: Prefix,
        name: &str,
        wanted: Option<u32>,
    ) -> Result<(), String> {
        let key = (prefix, name.to_owned());
        if self.known.contains_key(&key) {
            return Ok(());
        }
        if self.names.insert(name.to_owned()) {
            for suffix in suffixes(name) {
                *self.suffixes.entry(suffix.to_owned()).or_default() += 1;
            }
        }
        let top = u32::from(prefix as u8) << 24;
        let id = match wanted {
            None => 0,
            Some(id) if id >> 24 != 0 && id & 0xff00_0000 != top => {
                return Err(format!(
                    "the top byte of @id {id:#x} is not that of its kind"
                ));
            }
            Some(id) => id | top,
        };
        if id != 0 && !self.taken.insert(id) {
            return Err(format!("@id {id:#x} is given twice"));
        }
        self.known.insert(key, id);
        Ok(())
    }

    /// Gives ids to all objects that have none, in the order of kind and name.
    pub(super) fn assign(&mut self) {
        for ((prefix, name), id) in &mut self.known {
            let mut hash = hash(name.as_bytes());
            while *id == 0 {
                let candidate = (u32::from(*prefix as u8) << 24) | (hash & 0x00ff_ffff);
                if self.taken.insert(candidate) {
                    *id = candidate;
                }
                hash = hash.wrapping_add(1);
            }
        }
    }

    pub(super) fn get(&self, prefix: Prefix, name: &str) -> u32 {
        let found = self.known.get(&(prefix, name.to_owned()));
        found.copied().unwrap_or(0)
    }

    /// The shortest end of a name that no other name has.
    pub(super) fn alias(&self, name: &str) -> String {
        let mut shortest_first = suffixes(name);
        let unique = shortest_first.find(|suffix| self.suffixes.get(*suffix) == Some(&1));
        unique.unwrap_or(name).to_owned()
    }
}

/// Ends of a name at its dots, the shortest first.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    let dots = name.rmatch_indices('.').map(|(at, _)| &name[at + 1..]);
    dots.chain(std::iter::once(name))
}

/// Bob Jenkins' one-at-a-time hash.
fn hash(bytes: &[u8]) -> u32 {
    let mut hash = 0u32;
    for byte in bytes {
        hash = hash.wrapping_add(u32::from(*byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

/// Ids of fields and parameters: given ones, the others counted from 1.
pub(super) fn fields(given: impl Iterator<Item = Option<u32>>) -> Vec<u32> {
    let given: Vec<Option<u32>> = given.collect();
    let mut taken: HashSet<u32> = given.iter().flatten().copied().collect();
    let mut next = 1;
    let mut ids = Vec::new();
    for id in given {
        ids.push(match id {
            Some(id) => {
                next += 1;
                id
            }
            None => {
                while !taken.insert(next) {
                    next += 1;
                }
                next
            }
        });
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::{Ids, Prefix, fields, hash};

    #[test]
    fn ids_are_those_of_the_specification() {
        // `NoAction` has this id in every program.
        assert_eq!(0x0100_0000 | (hash(b"NoAction") & 0x00ff_ffff), 21_257_015);
        let mut ids = Ids::default();
        ids.add(Prefix::Table, "a.t", None).unwrap();
        ids.add(Prefix::Table, "b.t", Some(7)).unwrap();
        ids.add(Prefix::Action, "a.x", None).unwrap();
        assert!(ids.add(Prefix::Action, "a.y", Some(0x0200_0001)).is_err());
        assert!(ids.add(Prefix::Table, "c.t", Some(7)).is_err());
        ids.assign();
        assert_eq!(ids.get(Prefix::Table, "b.t"), 0x0200_0007);
        assert_eq!(ids.alias("a.t"), "a.t");
        assert_eq!(ids.alias("a.x"), "x");
    }

    #[test]
    fn fields_keep_given_ids() {
        assert_eq!(fields([None, None].into_iter()), [1, 2]);
        assert_eq!(fields([None, Some(1), None].into_iter()), [2, 1, 3]);
    }
}
