//! Entries of an allowed flow, for both NICs and both directions.
//!
//! ```text
//!                 NIC of the sender                      NIC of the receiver
//! flow            outbound, sender's port ─► tunnel      inbound, sender's VTEP ─► receiver's VF
//! its reverse     inbound, receiver's VTEP ─► VF         outbound, receiver's port ─► tunnel
//! ```
//!
//! With both VNICs on one NIC each direction has one entry: outbound, straight to the VF.
//! Routed packets are rewritten by the NIC that they enter the network at.

use flownic_wire::flow::FlowTuple;

use super::security::Permission;
use crate::entry::{Action, Direction, FlowEntry, FlowKey, Routed};
use crate::fabric::{Fabric, Network, Vnic};

/// The two ends of a flow.
pub(super) struct Between<'a> {
    pub(super) fabric: &'a Fabric,
    pub(super) network: &'a Network,
    pub(super) sender: &'a Vnic,
    pub(super) receiver: &'a Vnic,
}

impl Between<'_> {
    /// Entries for the sender's and the receiver's NIC.
    pub(super) fn entries(
        &self,
        tuple: &FlowTuple,
        permission: &Permission,
    ) -> (Vec<FlowEntry>, Vec<FlowEntry>) {
        let (mut at_sender, mut at_receiver) = (Vec::new(), Vec::new());
        if !permission.cacheable {
            return (at_sender, at_receiver);
        }
        let reverse_is_reply = !permission.reply;
        let directions = [
            Some((*tuple, self.sender, self.receiver, permission.reply)),
            permission
                .reverse
                .map(|reverse| (reverse, self.receiver, self.sender, reverse_is_reply)),
        ];
        for (tuple, from, to, reply) in directions.into_iter().flatten() {
            let leaving = self.leaving(tuple, from, to, reply);
            if self.sender.host == self.receiver.host {
                at_sender.push(leaving);
                continue;
            }
            let arriving = self.arriving(tuple, from, to, reply);
            if std::ptr::eq(from, self.sender) {
                at_sender.push(leaving);
                at_receiver.push(arriving);
            } else {
                at_sender.push(arriving);
                at_receiver.push(leaving);
            }
        }
        (at_sender, at_receiver)
    }

    /// Rewrites of a packet from `from` to `to`; none within a subnet.
    pub(super) fn rewrite_to(&self, to: &Vnic, from: &Vnic) -> Option<Routed> {
        if from.subnet == to.subnet {
            return None;
        }
        let subnet = self.fabric.subnet_of(to)?;
        Some(Routed {
            src_mac: subnet.gateway.mac,
            dst_mac: to.mac,
        })
    }

    /// Entry of the NIC at which packets enter the network.
    fn leaving(&self, tuple: FlowTuple, from: &Vnic, to: &Vnic, reply: bool) -> FlowEntry {
        let routed = self.rewrite_to(to, from);
        let action = if from.host == to.host {
            Action::ToVf {
                port: to.port,
                vlan: to.vlan,
                routed,
            }
        } else {
            Action::ToTunnel {
                tunnel: self.network.tunnel,
                remote_vtep: to.vtep,
                routed,
            }
        };
        self.entry(
            Direction::Outbound,
            u32::from(from.port),
            tuple,
            action,
            from,
            reply,
        )
    }

    /// Entry of the NIC at which packets from the tunnel leave the network.
    fn arriving(&self, tuple: FlowTuple, from: &Vnic, to: &Vnic, reply: bool) -> FlowEntry {
        let action = Action::ToVf {
            port: to.port,
            vlan: to.vlan,
            routed: None,
        };
        self.entry(
            Direction::Inbound,
            from.vtep.to_bits(),
            tuple,
            action,
            to,
            reply,
        )
    }

    fn entry(
        &self,
        direction: Direction,
        attach: u32,
        tuple: FlowTuple,
        action: Action,
        vnic: &Vnic,
        reply: bool,
    ) -> FlowEntry {
        FlowEntry {
            key: FlowKey {
                vni: self.network.vni,
                direction,
                attach,
                tuple,
            },
            action,
            vnic: vnic.name.clone(),
            vn_versions: self.network.versions,
            vnic_versions: vnic.versions,
            reply,
        }
    }
}
