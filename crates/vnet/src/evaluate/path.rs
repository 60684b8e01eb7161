//! How an allowed packet goes on, and the frame that its receiver gets.

use std::sync::Arc;

use flownic_wire::{ethernet, ipv4, ipv6, vlan};

use crate::DropReason;
use crate::entry::Routed;
use crate::fabric::Vnic;

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to its receiver.
    Allow(Path),
    /// It is dropped and counted.
    Deny(DropReason),
    /// It is an echo request to a gateway of its network: answer with
    /// [`flownic_wire::answer::echo_reply`], to where it came from.
    GatewayEcho,
}

/// Where an allowed packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Receiving VNIC, `network/vnic`.
    pub receiver: Arc<str>,
    /// The receiver's host.
    pub host: Arc<str>,
    /// The receiver's port on that host's NIC, 16 + VF.
    pub port: u16,
    /// VLAN tag that the receiver wants, 0: none.
    pub vlan: u16,
    /// The packet is on the receiver's host already.
    pub local: bool,
    /// Set when it changes subnet and has not been rewritten yet.
    pub routed: Option<Routed>,
}

impl Path {
    pub(super) fn outbound(sender: &Vnic, receiver: &Vnic, routed: Option<Routed>) -> Path {
        Path {
            local: sender.host == receiver.host,
            routed,
            ..Path::inbound(receiver)
        }
    }

    pub(super) fn inbound(receiver: &Vnic) -> Path {
        Path {
            receiver: receiver.name.clone(),
            host: receiver.host.clone(),
            port: receiver.port,
            vlan: receiver.vlan,
            local: true,
            routed: None,
        }
    }

    /// The frame that the receiver gets, without the VLAN tag that it may want: an untagged
    /// frame as it was punted, with MACs and TTL rewritten when it is routed.
    pub fn apply(&self, frame: &[u8]) -> Vec<u8> {
        let mut out = frame.to_vec();
        if let Some(routed) = self.routed {
            rewrite(&mut out, routed);
        }
        out
    }
}

/// What a router does to a frame. Frames that are not whole stay as they are.
fn rewrite(frame: &mut [u8], routed: Routed) {
    let Ok(mut ethernet) = ethernet::Frame::new_checked(&mut frame[..]) else {
        return;
    };
    ethernet.set_src(routed.src_mac);
    ethernet.set_dst(routed.dst_mac);
    let mut ether_type = ethernet.ether_type();
    let mut ip_offset = ethernet::HEADER_LEN;
    if ether_type == ethernet::VLAN || ether_type == ethernet::QINQ {
        let Ok(tag) = vlan::Packet::new_checked(ethernet.payload()) else {
            return;
        };
        ether_type = tag.ether_type();
        ip_offset += vlan::HEADER_LEN;
    }
    match ether_type {
        ethernet::IPV4 => {
            if let Ok(mut packet) = ipv4::Packet::new_header(&mut frame[ip_offset..]) {
                packet.decrement_ttl();
            }
        }
        ethernet::IPV6 => {
            if let Ok(mut packet) = ipv6::Packet::new_header(&mut frame[ip_offset..]) {
                packet.decrement_hop_limit();
            }
        }
        _ => {}
    }
}
