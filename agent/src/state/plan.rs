//! The steps from what the NIC holds to what a configuration wants.
//!
//! ```text
//! 1 versions    registers: what changed becomes stale, what is gone as well, before anything else
//! 2 detach      VFs that leave, or change their network, are cut off
//! 3 clear       their guards, old routes
//! 4 guard       new guards, routes, tunnel ends
//! 5 attach      only now may new packets come in
//! 6 flows       entries of what is gone
//! 7 slots       are free again
//! ```
//!
//! Each step is written on its own and the next one starts when all of it is done: a batch may be
//! carried out in any order. So a VF is never attached without its guard, and nothing of a VNIC
//! that left is of use to the next one on its VF. A configuration that is there already needs no
//! step.

use std::collections::{BTreeSet, VecDeque};

use flownic_pipeline::entity::{Update, UpdateKind};
use flownic_versions::Versions;

use super::config::{Config, VnicId};
use super::contents::{Configuration, Entries, Mirror, Registers};
use super::slots::{NoSlot, Slots};
use crate::tables::versions::VersionRegister;
use crate::tables::{Table, Tables, flow};

/// A step: done as a whole before the next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes of entries and registers.
    Write(Vec<Update>),
    /// Removal of flow entries. Keys only: there may be a million.
    RemoveFlows(Vec<flow::Key>),
}

/// What to do, and which slots are free afterwards.
#[derive(Debug, Default)]
pub struct Plan {
    /// In order; none is empty.
    pub steps: VecDeque<Step>,
    /// Slots of virtual networks that nothing names any more when all steps are done.
    pub free_vns: BTreeSet<u16>,
    /// Likewise of VNICs.
    pub free_vnics: BTreeSet<u16>,
}

/// Where a plan is made.
pub struct Context<'a> {
    /// Ids.
    pub tables: &'a Tables,
    /// What the NIC holds.
    pub mirror: &'a Mirror,
    /// Ports of the underlay.
    pub uplinks: &'a [u16],
    /// Flow entries to remove in any case.
    pub orphans: &'a BTreeSet<flow::Key>,
}

impl Context<'_> {
    /// Plans the way to `config`, and allocates the slots that it needs.
    pub fn plan(
        &self,
        config: &Config,
        vns: &mut Slots<u32>,
        vnics: &mut Slots<VnicId>,
    ) -> Result<Plan, NoSlot> {
        let free_vns = vns.unwanted(|vni| config.vns.contains_key(vni));
        let free_vnics =
            vnics.unwanted(|id| (config.vnics.get(&id.name)).is_some_and(|vnic| vnic.id() == *id));
        let mut vn_versions = Registers::new();
        for (vni, versions) in &config.vns {
            vn_versions.insert(vns.allocate(vni)?, *versions);
        }
        let mut vnic_versions = Registers::new();
        for vnic in config.vnics.values() {
            vnic_versions.insert(vnics.allocate(&vnic.id())?, vnic.versions);
        }
        let mut plan = Plan::default();
        let (tables, mirror) = (self.tables, self.mirror);
        let mut versions = Vec::new();
        let vn = &tables.vn_versions;
        register_difference(vn, &mirror.vn_versions, &vn_versions, &mut versions);
        let vnic = &tables.vnic_versions;
        register_difference(vnic, &mirror.vnic_versions, &vnic_versions, &mut versions);
        plan.push(Step::Write(versions));
        self.push_tables(&Configuration::wanted(config, self.uplinks), &mut plan);
        plan.push(Step::RemoveFlows(self.flows_of(&free_vns, &free_vnics)));
        plan.free_vns = free_vns;
        plan.free_vnics = free_vnics;
        Ok(plan)
    }

    fn push_tables(&self, want: &Configuration, plan: &mut Plan) {
        let (tables, have) = (self.tables, &self.mirror.configuration);
        let mut detach = Difference::default();
        let mut attach = Difference::default();
        let mut rest = Difference::default();
        // A VF that changes its network is cut off in between.
        let moves = |have: &crate::tables::vf_attach::Action, want: &_| {
            let want: &crate::tables::vf_attach::Action = want;
            have.vni != want.vni
        };
        attach.add(&tables.vf_attach, &have.vf_attach, &want.vf_attach, moves);
        detach.add(&tables.port_map, &have.port_map, &want.port_map, |_, _| {
            true
        });
        rest.add(&tables.vf_mac, &have.vf_mac, &want.vf_mac, |(), ()| false);
        rest.add(&tables.vf_arp, &have.vf_arp, &want.vf_arp, |(), ()| false);
        rest.add(&tables.vf_ipv4, &have.vf_ipv4, &want.vf_ipv4, |(), ()| {
            false
        });
        rest.add(&tables.vf_ipv6, &have.vf_ipv6, &want.vf_ipv6, |(), ()| {
            false
        });
        let (ends, wanted_ends) = (&have.tunnel_termination, &want.tunnel_termination);
        rest.add(&tables.tunnel_termination, ends, wanted_ends, |(), ()| {
            false
        });
        let (routes, wanted_routes) = (&have.underlay_route, &want.underlay_route);
        rest.add(&tables.underlay_route, routes, wanted_routes, |_, _| false);

        let mut first = attach.remove;
        first.extend(detach.remove);
        let mut last = attach.put;
        last.extend(detach.put);
        plan.push(Step::Write(first));
        plan.push(Step::Write(rest.remove));
        plan.push(Step::Write(rest.put));
        plan.push(Step::Write(last));
    }

    /// Flow entries that name a slot which becomes free, and orphans.
    fn flows_of(&self, vns: &BTreeSet<u16>, vnics: &BTreeSet<u16>) -> Vec<flow::Key> {
        let mut keys: Vec<_> = if vns.is_empty() && vnics.is_empty() {
            self.orphans.iter().copied().collect()
        } else {
            let gone = |key: &flow::Key, action: &flow::Action| {
                vns.contains(&action.vn.slot)
                    || vnics.contains(&action.vnic.slot)
                    || self.orphans.contains(key)
            };
            (self.mirror.flows.iter())
                .filter(|(key, record)| gone(key, &record.action))
                .map(|(key, _)| *key)
                .collect()
        };
        keys.sort_unstable();
        keys
    }
}

impl Plan {
    fn push(&mut self, step: Step) {
        let empty = match &step {
            Step::Write(updates) => updates.is_empty(),
            Step::RemoveFlows(keys) => keys.is_empty(),
        };
        if !empty {
            self.steps.push_back(step);
        }
    }
}

/// Updates that turn what is there into what is wanted.
#[derive(Default)]
struct Difference {
    remove: Vec<Update>,
    put: Vec<Update>,
}

impl Difference {
    /// Adds one table. An entry whose action changes is modified in place, or where `apart` says
    /// so removed first and inserted again.
    fn add<T: Table>(
        &mut self,
        table: &T,
        have: &Entries<T>,
        want: &Entries<T>,
        apart: impl Fn(&T::Action, &T::Action) -> bool,
    ) {
        for (key, action) in have {
            let stays = match want.get(key) {
                Some(wanted) => action == wanted || !apart(action, wanted),
                None => false,
            };
            if !stays {
                let delete = table.update(UpdateKind::Delete, key, action);
                self.remove.push(delete);
            }
        }
        for (key, action) in want {
            let kind = match have.get(key) {
                Some(there) if there == action => continue,
                Some(there) if !apart(there, action) => UpdateKind::Modify,
                _ => UpdateKind::Insert,
            };
            self.put.push(table.update(kind, key, action));
        }
    }
}

/// Register writes; slots that nothing wants become zeros, which no entry is current under.
fn register_difference(
    register: &VersionRegister,
    have: &Registers,
    want: &Registers,
    updates: &mut Vec<Update>,
) {
    let slots: BTreeSet<u16> = have.keys().chain(want.keys()).copied().collect();
    for slot in slots {
        let from = have.get(&slot).copied().unwrap_or_default();
        let to = want.get(&slot).copied().unwrap_or(Versions([0; 5]));
        updates.extend(register.updates(slot, from, to));
    }
}
