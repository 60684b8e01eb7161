//! Flow entries: what a NIC needs to forward one direction of a flow by itself. The same shapes
//! as in `flownic/v1/flow.proto`, with types instead of byte strings.

use std::net::Ipv4Addr;
use std::sync::Arc;

use flownic_versions::Versions;
use flownic_wire::MacAddr;
use flownic_wire::flow::FlowTuple;

use crate::DropReason;
use crate::config::Tunnel;

/// Direction of a flow as one NIC sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a VF of this NIC.
    Outbound,
    /// From a tunnel.
    Inbound,
}

/// Exact key of a flow on one NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// VNI of the virtual network, 24 bits.
    pub vni: u32,
    /// Where packets of it come from.
    pub direction: Direction,
    /// Outbound: VF port number (16 + VF). Inbound: tunnel source, IPv4 address as a number.
    pub attach: u32,
    /// Addresses, protocol and ports.
    pub tuple: FlowTuple,
}

/// MACs that a routed packet leaves with; its TTL is decremented as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The gateway of the destination's subnet.
    pub src_mac: MacAddr,
    /// The receiver.
    pub dst_mac: MacAddr,
}

/// What the pipeline does with a packet of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To another NIC.
    ToTunnel {
        /// Tunnel format of the virtual network.
        tunnel: Tunnel,
        /// The other NIC's tunnel end.
        remote_vtep: Ipv4Addr,
        /// Set when the packet changes subnet.
        routed: Option<Routed>,
    },
    /// To a VF of this NIC.
    ToVf {
        /// Port number, 16 + VF.
        port: u16,
        /// VLAN tag to put on, 0: none.
        vlan: u16,
        /// Set when the packet changes subnet here.
        routed: Option<Routed>,
    },
    /// Dropped and counted.
    Deny {
        /// What it is counted under.
        reason: DropReason,
    },
}

/// An entry of the flow cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowEntry {
    /// Which packets it is for.
    pub key: FlowKey,
    /// What becomes of them.
    pub action: Action,
    /// VNIC of this NIC that it belongs to, `network/vnic`.
    pub vnic: Arc<str>,
    /// Versions of the virtual network that it was made from.
    pub vn_versions: Versions,
    /// Versions of the VNIC that it was made from.
    pub vnic_versions: Versions,
    /// The flow is allowed because the other direction was.
    pub reply: bool,
}
