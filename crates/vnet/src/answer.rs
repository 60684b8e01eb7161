//! Answers that the network gives for its VNICs and gateways: address resolution.

use std::net::IpAddr;

use flownic_wire::{MacAddr, answer, arp, ethernet, icmp, ipv6, nd};

use crate::fabric::{Fabric, Owner, Vnic};

/// What becomes of an ARP or neighbour discovery packet from a VNIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An untagged frame for the VNIC that asked.
    Reply {
        /// The frame.
        frame: Vec<u8>,
        /// Why, for people.
        explanation: String,
    },
    /// Nothing: ABSORBED.
    Absorbed {
        /// Why, for people.
        explanation: String,
    },
}

/// Answers an ARP or neighbour discovery frame (untagged) that came from this port and VLAN.
///
/// Requests for a VNIC or gateway of the asker's subnet get its MAC; all else is absorbed.
pub fn resolve(fabric: &Fabric, host: &str, port: u16, vlan: u16, frame: &[u8]) -> Answer {
    let Some(asker) = fabric.vnic_at(host, port, vlan) else {
        return absorbed(format!("no VNIC at port {port}, VLAN {vlan}"));
    };
    let Ok(ethernet) = ethernet::Frame::new_checked(frame) else {
        return absorbed("not a whole Ethernet frame".to_owned());
    };
    match ethernet.ether_type() {
        ethernet::ARP => resolve_arp(fabric, asker, ethernet.payload()),
        ethernet::IPV6 => resolve_nd(fabric, asker, ethernet.payload()),
        other => absorbed(format!("EtherType {other:#06x} asks for no address")),
    }
}

fn resolve_arp(fabric: &Fabric, asker: &Vnic, bytes: &[u8]) -> Answer {
    let request = match arp::Repr::parse(bytes) {
        Ok(repr) if repr.operation == arp::REQUEST => repr,
        Ok(repr) => return absorbed(format!("ARP operation {} asks nothing", repr.operation)),
        Err(error) => return absorbed(error.to_string()),
    };
    match target_mac(fabric, asker, request.target_ip.into()) {
        Ok(mac) => Answer::Reply {
            frame: answer::arp_reply(&request, mac),
            explanation: format!("ARP: {} is at {mac}", request.target_ip),
        },
        Err(explanation) => absorbed(explanation),
    }
}

fn resolve_nd(fabric: &Fabric, asker: &Vnic, bytes: &[u8]) -> Answer {
    let solicitation = match solicitation(bytes) {
        Ok(solicitation) => solicitation,
        Err(explanation) => return absorbed(explanation),
    };
    match target_mac(fabric, asker, solicitation.target.into()) {
        Ok(mac) => Answer::Reply {
            frame: answer::neighbour_advertisement(
                &solicitation,
                asker.mac,
                mac,
                is_gateway(fabric, asker, solicitation.target.into()),
            ),
            explanation: format!("ND: {} is at {mac}", solicitation.target),
        },
        Err(explanation) => absorbed(explanation),
    }
}

/// A neighbour solicitation, checked as RFC 4861 §7.1.1 requires.
fn solicitation(bytes: &[u8]) -> Result<nd::Solicitation, String> {
    let packet = ipv6::Packet::new_checked(bytes).map_err(|error| error.to_string())?;
    let message = icmp::Packet::new_checked(packet.payload()).map_err(|error| error.to_string())?;
    if message.kind() != icmp::v6::NEIGHBOUR_SOLICITATION {
        return Err(format!(
            "ICMPv6 type {} asks for no address",
            message.kind()
        ));
    }
    nd::Solicitation::parse(&packet).map_err(|error| error.to_string())
}

/// MAC of whoever in the asker's subnet has `target`.
fn target_mac(fabric: &Fabric, asker: &Vnic, target: IpAddr) -> Result<MacAddr, String> {
    let owner = fabric
        .network(asker.vni)
        .and_then(|network| network.owner(target));
    match owner {
        Some(Owner::Gateway(subnet)) if subnet == asker.subnet => fabric
            .subnet_of(asker)
            .map(|subnet| subnet.gateway.mac)
            .ok_or_else(|| format!("{target} has no MAC")),
        Some(Owner::Vnic(index)) => {
            let vnic = fabric.vnic(index);
            if std::ptr::eq(vnic, asker) {
                Err(format!("{target} is the asker's own"))
            } else if vnic.subnet != asker.subnet {
                Err(format!("{target} is in another subnet"))
            } else {
                Ok(vnic.mac)
            }
        }
        Some(Owner::Gateway(_)) => Err(format!("{target} is the gateway of another subnet")),
        None => Err(format!("nobody has {target}")),
    }
}

fn is_gateway(fabric: &Fabric, asker: &Vnic, target: IpAddr) -> bool {
    let owner = fabric
        .network(asker.vni)
        .and_then(|network| network.owner(target));
    matches!(owner, Some(Owner::Gateway(_)))
}

fn absorbed(explanation: String) -> Answer {
    Answer::Absorbed { explanation }
}

#[cfg(test)]
mod tests;
