//! The tables of the firmware as Rust types: one small module for each P4 table.
//!
//! ```text
//! key and action types  ◄─ encode / decode ─►  pipeline::entity::TableEntry  ◄─►  driver
//! ```
//!
//! Every id, width and number comes from P4Info by name, once, in [`Tables::resolve`]; a pipeline
//! that lacks something is refused there with the name of what it lacks. Nothing here decides what
//! an entry should say.

pub mod entry;
pub mod flow;
pub mod names;
pub mod packet_io;
pub mod port_map;
pub mod reasons;
pub mod tunnel_termination;
pub mod underlay_route;
pub mod versions;
pub mod vf_arp;
pub mod vf_attach;
pub mod vf_ipv4;
pub mod vf_ipv6;
pub mod vf_mac;

use std::fmt::Debug;

use flownic_pipeline::entity::{Entity, TableEntry, Update, UpdateKind};
use flownic_pipeline::p4info::P4Info;

pub use entry::Unreadable;
pub use names::Mismatch;

use names::Names;

/// A table: the coding between typed key and action, and P4Runtime's terms.
pub trait Table {
    /// What an entry is found by.
    type Key: Ord + Clone + Debug;
    /// What it says.
    type Action: Eq + Clone + Debug;

    /// Looks everything up that coding needs.
    fn resolve(names: &Names<'_>) -> Result<Self, Mismatch>
    where
        Self: Sized;

    /// P4Info id.
    fn id(&self) -> u32;

    /// The entry in P4Runtime's terms.
    fn encode(&self, key: &Self::Key, action: &Self::Action) -> TableEntry;

    /// The key of an entry of this table.
    fn read_key(&self, entry: &TableEntry) -> Result<Self::Key, Unreadable>;

    /// What an entry of this table says.
    fn read_action(&self, entry: &TableEntry) -> Result<Self::Action, Unreadable>;

    /// One line of a batch.
    fn update(&self, kind: UpdateKind, key: &Self::Key, action: &Self::Action) -> Update {
        Update {
            kind,
            entity: Entity::TableEntry(self.encode(key, action)),
        }
    }
}

/// Everything that the agent uses of the pipeline.
#[derive(Debug)]
pub struct Tables {
    /// What each port is.
    pub port_map: port_map::PortMap,
    /// Which VNIC a VF and VLAN belong to.
    pub vf_attach: vf_attach::VfAttach,
    /// MACs that a VF may send from.
    pub vf_mac: vf_mac::VfMac,
    /// ARP senders that a VF may claim.
    pub vf_arp: vf_arp::VfArp,
    /// IPv4 sources that a VF may send from.
    pub vf_ipv4: vf_ipv4::VfIpv4,
    /// IPv6 sources that a VF may send from.
    pub vf_ipv6: vf_ipv6::VfIpv6,
    /// Own tunnel ends.
    pub tunnel_termination: tunnel_termination::TunnelTermination,
    /// Ways to remote tunnel ends.
    pub underlay_route: underlay_route::UnderlayRoute,
    /// Flow entries of both IP versions.
    pub flows: flow::Flows,
    /// Version registers of virtual networks.
    pub vn_versions: versions::VersionRegister,
    /// Version registers of VNICs.
    pub vnic_versions: versions::VersionRegister,
    /// Why packets were dropped, with its counters.
    pub drops: reasons::Reasons,
    /// Why packets were punted, with its counters.
    pub punts: reasons::Reasons,
    /// Headers between pipeline and host.
    pub packet_io: packet_io::PacketIo,
}

impl Tables {
    /// Looks up everything by name; the error names what the pipeline lacks.
    pub fn resolve(p4info: &P4Info) -> Result<Tables, Mismatch> {
        let names = Names::new(p4info);
        let punts = reasons::Reasons::resolve(&names, "punts", "PuntReason")?;
        Ok(Tables {
            port_map: Table::resolve(&names)?,
            vf_attach: Table::resolve(&names)?,
            vf_mac: Table::resolve(&names)?,
            vf_arp: Table::resolve(&names)?,
            vf_ipv4: Table::resolve(&names)?,
            vf_ipv6: Table::resolve(&names)?,
            tunnel_termination: Table::resolve(&names)?,
            underlay_route: Table::resolve(&names)?,
            flows: flow::Flows::resolve(&names)?,
            vn_versions: versions::VersionRegister::resolve(&names, "vn_versions")?,
            vnic_versions: versions::VersionRegister::resolve(&names, "vnic_versions")?,
            drops: reasons::Reasons::resolve(&names, "drops", "DropReason")?,
            packet_io: packet_io::PacketIo::resolve(&names, &punts)?,
            punts,
        })
    }

    /// Ids of the tables that hold configuration, in the order of [`Tables`]; flows are apart.
    pub fn configuration_ids(&self) -> [u32; 8] {
        [
            self.port_map.id(),
            self.vf_attach.id(),
            self.vf_mac.id(),
            self.vf_arp.id(),
            self.vf_ipv4.id(),
            self.vf_ipv6.id(),
            self.tunnel_termination.id(),
            self.underlay_route.id(),
        ]
    }
}
