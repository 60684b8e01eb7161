//! Security rules of both ends of a packet.
//!
//! Each VNIC is asked for itself: egress rules of the sender, then ingress rules of the receiver.
//! A stateful rule that lets a packet start a connection lets the reverse direction through at
//! the same VNIC. That a connection was started once is not enough: the rules that let it start
//! must still do so, or a reply would outlive the rule that it rests on.

use flownic_wire::flow::FlowTuple;

use crate::DropReason;
use crate::config::Side;
use crate::evaluate::{Connection, Packet, Step};
use crate::fabric::Vnic;
use crate::rules::Rule;

/// The two ends of one packet.
pub(super) struct Security<'a> {
    tuple: FlowTuple,
    sender: &'a Vnic,
    receiver: &'a Vnic,
    /// The flow that started the connection, when this packet is not of it.
    initiator: Option<FlowTuple>,
    related: bool,
}

/// What an allowed packet permits beside itself.
#[derive(Debug)]
pub(super) struct Permission {
    /// The flow is allowed because its reverse is.
    pub(super) reply: bool,
    /// The reverse flow, when it may pass too.
    pub(super) reverse: Option<FlowTuple>,
    /// The flow that started the connection, when both directions may pass.
    pub(super) established: Option<FlowTuple>,
    /// Entries may be made.
    pub(super) cacheable: bool,
}

impl<'a> Security<'a> {
    pub(super) fn new(packet: &Packet, sender: &'a Vnic, receiver: &'a Vnic) -> Security<'a> {
        let tuple = packet.tuple;
        let initiator = match packet.connection {
            Connection::New => None,
            Connection::Reply => tuple.reverse(),
            Connection::Related(flow) => Some(flow),
        };
        // The other flow must be one between the same two addresses, and able to start.
        let initiator = initiator.filter(|flow| {
            let same_way = flow.src == tuple.src && flow.dst == tuple.dst;
            let other_way = flow.src == tuple.dst && flow.dst == tuple.src;
            flow.may_start() && (same_way || other_way)
        });
        Security {
            tuple,
            sender,
            receiver,
            initiator,
            related: matches!(packet.connection, Connection::Related(_)),
        }
    }

    /// Checks both ends, and says in `steps` what decided.
    pub(super) fn check(&self, steps: &mut Vec<Step>) -> Result<Permission, DropReason> {
        let lender = self.still_allowed();
        let mut leant = false;
        for (vnic, side, reason) in [
            (self.sender, Side::Egress, DropReason::SecurityEgress),
            (self.receiver, Side::Ingress, DropReason::SecurityIngress),
        ] {
            let other = self.other(vnic);
            let rule = lender.and_then(|flow| starter(&flow, vnic, other));
            if let Some(rule) = rule.filter(|rule| rule.stateful) {
                leant = true;
                steps.push(Step::Established {
                    side,
                    vnic: vnic.name.clone(),
                    rule: rule.label(),
                });
                continue;
            }
            let rule = first_match(&self.tuple, vnic, side, other);
            steps.push(Step::rule(side, vnic, rule));
            if !rule.is_some_and(|rule| rule.allow) {
                return Err(reason);
            }
        }
        Ok(self.permission(lender, leant))
    }

    fn permission(&self, lender: Option<FlowTuple>, leant: bool) -> Permission {
        if self.related && lender.is_some() {
            return Permission {
                reply: false,
                reverse: None,
                established: None,
                cacheable: false,
            };
        }
        if let Some(initiator) = lender.filter(|_| leant) {
            return Permission {
                reply: true,
                reverse: Some(initiator),
                established: Some(initiator),
                cacheable: true,
            };
        }
        let reverse = self.reverse_if_stateful();
        Permission {
            reply: false,
            reverse,
            established: reverse.map(|_| self.tuple),
            cacheable: true,
        }
    }

    /// The flow that started the connection, if both ends would let it start today.
    fn still_allowed(&self) -> Option<FlowTuple> {
        self.initiator.filter(|flow| {
            [self.sender, self.receiver]
                .iter()
                .all(|vnic| starter(flow, vnic, self.other(vnic)).is_some_and(|rule| rule.allow))
        })
    }

    /// The reverse of this packet's flow, if a stateful rule of one end at least lets it through
    /// and the other end does not object.
    fn reverse_if_stateful(&self) -> Option<FlowTuple> {
        let reverse = self.tuple.reverse().filter(|_| self.tuple.may_start())?;
        let stateful = |vnic: &Vnic| {
            starter(&self.tuple, vnic, self.other(vnic)).is_some_and(|rule| rule.stateful)
        };
        let by_rule = |vnic: &Vnic, side: Side| {
            first_match(&reverse, vnic, side, self.other(vnic)).is_some_and(|rule| rule.allow)
        };
        let at_sender = stateful(self.sender);
        let at_receiver = stateful(self.receiver);
        let passes = (at_sender || by_rule(self.sender, Side::Ingress))
            && (at_receiver || by_rule(self.receiver, Side::Egress));
        (passes && (at_sender || at_receiver)).then_some(reverse)
    }

    fn other(&self, vnic: &Vnic) -> &'a Vnic {
        if std::ptr::eq(vnic, self.sender) {
            self.receiver
        } else {
            self.sender
        }
    }
}

/// The rule of `vnic` that decides about a flow that starts: its egress rules when it sends it,
/// else its ingress rules.
fn starter<'v>(flow: &FlowTuple, vnic: &'v Vnic, other: &Vnic) -> Option<&'v Rule> {
    let side = if vnic.addresses.contains(&flow.src) {
        Side::Egress
    } else {
        Side::Ingress
    };
    first_match(flow, vnic, side, other)
}

fn first_match<'v>(
    tuple: &FlowTuple,
    vnic: &'v Vnic,
    side: Side,
    other: &Vnic,
) -> Option<&'v Rule> {
    let remote = match side {
        Side::Egress => tuple.dst,
        Side::Ingress => tuple.src,
    };
    vnic.rules.first_match(side, tuple, remote, &other.groups)
}

/// True when the egress rules of `sender` let a packet to a gateway pass. A gateway is in no
/// group and has no rules.
pub(super) fn gateway_egress(tuple: &FlowTuple, sender: &Vnic, steps: &mut Vec<Step>) -> bool {
    let rule = sender
        .rules
        .first_match(Side::Egress, tuple, tuple.dst, &[]);
    steps.push(Step::rule(Side::Egress, sender, rule));
    rule.is_some_and(|rule| rule.allow)
}
