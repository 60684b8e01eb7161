//! Slots found again after a restart of the agent.
//!
//! The NIC keeps forwarding while no agent runs, by flow entries that name slots. Nothing else
//! remembers the slots, and nothing else needs to: for a slot without entries any number will do.
//! So the owner of a slot is the virtual network or VNIC that the entries with this slot belong
//! to: the network is in their key; the VNIC is the one of the first configuration that sits on
//! the VF (outbound) or has the address (inbound). An entry that fits to nothing, or that
//! disagrees with the majority of its slot, is an orphan, to be removed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::config::{Config, Vnic, VnicId};
use super::contents::{FlowRecord, Mirror};
use super::slots::Slots;
use crate::tables::flow::{Direction, Key, Verdict};

/// Slots of everything that has flow entries, and entries that fit to nothing.
#[derive(Debug)]
pub struct Recovered {
    /// Slots of virtual networks.
    pub vns: Slots<u32>,
    /// Slots of VNICs.
    pub vnics: Slots<VnicId>,
    /// Entries to remove.
    pub orphans: Vec<Key>,
}

/// Finds out whose slots the entries of `mirror` name. The slots given are empty.
pub fn recover(
    mirror: &Mirror,
    config: &Config,
    mut vns: Slots<u32>,
    mut vnics: Slots<VnicId>,
) -> Recovered {
    let owners = Owners::new(config);
    let mut vn_votes = Votes::default();
    let mut vnic_votes = Votes::default();
    for (key, record) in &mirror.flows {
        let (vn_slot, vnic_slot) = (record.action.vn.slot, record.action.vnic.slot);
        if config.vns.contains_key(&key.vni) {
            vn_votes.add(vn_slot, key.vni);
            if let Some(vnic) = owners.of(key, record) {
                vnic_votes.add(vnic_slot, vnic.id());
            }
        }
        vns.block(vn_slot);
        vnics.block(vnic_slot);
    }
    vn_votes.settle(&mut vns);
    vnic_votes.settle(&mut vnics);
    let fits = |key: &Key, record: &FlowRecord| {
        let vn = vns.owner(record.action.vn.slot) == Some(&key.vni);
        let vnic = match record.action.vnic.slot {
            0 => true,
            slot => {
                let owner = owners.of(key, record).map(Vnic::id);
                owner.is_some() && owner.as_ref() == vnics.owner(slot)
            }
        };
        vn && vnic
    };
    let orphans = (mirror.flows.iter())
        .filter(|(key, record)| !fits(key, record))
        .map(|(key, _)| *key)
        .collect();
    Recovered {
        vns,
        vnics,
        orphans,
    }
}

/// VNICs of a configuration by what flow entries say of them.
struct Owners<'c> {
    config: &'c Config,
    by_address: BTreeMap<(u32, IpAddr), &'c Vnic>,
}

impl<'c> Owners<'c> {
    fn new(config: &'c Config) -> Self {
        let vnics = config.vnics.values();
        let by_address = vnics
            .flat_map(|vnic| (vnic.addresses.iter()).map(move |ip| ((vnic.vni, *ip), vnic)))
            .collect();
        Owners { config, by_address }
    }

    /// The VNIC of this host that an entry belongs to.
    fn of(&self, key: &Key, record: &FlowRecord) -> Option<&'c Vnic> {
        if key.direction == Direction::Outbound {
            let port = u16::try_from(key.attach).ok()?;
            let here = |vnic: &&Vnic| vnic.vni == key.vni;
            let by_address = self.by_address.get(&(key.vni, key.tuple.src));
            let owner = by_address.filter(|vnic| vnic.port() == port);
            // Link-local sources are nobody's address.
            return owner.copied().or_else(|| {
                let mut candidates = self.config.on_port(port).filter(here);
                candidates.next().filter(|_| candidates.next().is_none())
            });
        }
        match record.action.verdict {
            Verdict::ToVf { port, vlan, .. } => {
                let vnic = self.config.attached(port, vlan)?;
                (vnic.vni == key.vni).then_some(vnic)
            }
            _ => self.by_address.get(&(key.vni, key.tuple.dst)).copied(),
        }
    }
}

/// Who claims which slot, with how many entries.
struct Votes<K>(BTreeMap<(u16, K), u64>);

impl<K> Default for Votes<K> {
    fn default() -> Self {
        Votes(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Votes<K> {
    fn add(&mut self, slot: u16, owner: K) {
        if slot != 0 {
            *self.0.entry((slot, owner)).or_default() += 1;
        }
    }

    /// Gives each slot to who has the most entries in it; one slot for each owner.
    fn settle(self, slots: &mut Slots<K>) {
        let mut claims: Vec<_> = self.0.into_iter().collect();
        claims.sort_by(|(a, votes_a), (b, votes_b)| votes_b.cmp(votes_a).then(a.cmp(b)));
        for ((slot, owner), _) in claims {
            if slots.owner(slot).is_none() && slots.get(&owner).is_none() {
                slots.assign(slot, &owner);
            }
        }
    }
}
