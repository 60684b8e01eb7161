//! Multicast groups and clone sessions.

use std::collections::BTreeMap;

/// One copy of a multicast packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    /// Egress port.
    pub port: u16,
    /// `egress_rid` of the copy.
    pub instance: u16,
}

/// Where copies of packets go. A group or session that is not there has no copies.
#[derive(Debug, Clone, Default)]
pub struct Replication {
    /// Multicast groups.
    pub groups: BTreeMap<u16, Vec<Replica>>,
    /// Clone sessions.
    pub sessions: BTreeMap<u16, Session>,
}

/// Where the clones of a session go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Session {
    /// To this port.
    pub port: Option<u16>,
    /// To this multicast group.
    pub group: Option<u16>,
}
