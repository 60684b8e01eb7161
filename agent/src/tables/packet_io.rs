//! The headers between pipeline and host: `packet_in` in front of a punted packet, `packet_out`
//! in front of one that the host sends. The driver cuts them into fields; here they get a meaning.

use std::net::Ipv4Addr;

use flownic_versions::Parts;

use super::entry::Value;
use super::flow::Tunnel;
use super::names::{Mismatch, Names};
use super::reasons::Reasons;

/// Why a packet came to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PuntReason {
    /// No flow entry.
    Miss,
    /// A flow entry made from older versions.
    Stale,
    /// ARP.
    Arp,
    /// IPv6 neighbour discovery.
    Nd,
    /// IP fragment.
    Fragment,
    /// Dropped: the sender needs to hear of the MTU.
    TooBig,
    /// Dropped: the sender needs to hear that the TTL ran out.
    TtlExpired,
}

/// What the pipeline says of a punted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PuntHeader {
    /// Why.
    pub reason: PuntReason,
    /// The tunnel that it came through; `None`: from a VF.
    pub tunnel: Option<Tunnel>,
    /// Port that it came in by.
    pub ingress_port: u16,
    /// Virtual network.
    pub vni: u32,
    /// Parts of the virtual network that its entry was behind in.
    pub stale_vn: Parts,
    /// Parts of the VNIC that its entry was behind in.
    pub stale_vnic: Parts,
    /// VLAN tag that was taken off, 0: none.
    pub vlan: u16,
    /// Sender through the tunnel.
    pub tunnel_src: Ipv4Addr,
}

/// A punted packet says something that the pipeline's description does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("punted packet: {0}")]
pub struct BadPunt(String);

/// Ids of the fields, numbers of the reasons.
#[derive(Debug)]
pub struct PacketIo {
    fields: [(u32, &'static str); 8],
    reasons: [(u8, PuntReason); 7],
    no_tunnel: u8,
    vxlan: u8,
    geneve: u8,
    egress_port: u32,
}

const REASON: usize = 0;
const TUNNEL: usize = 1;
const INGRESS_PORT: usize = 2;
const VNI: usize = 3;
const STALE_VN: usize = 4;
const STALE_VNIC: usize = 5;
const VLAN: usize = 6;
const TUNNEL_SRC: usize = 7;

impl PacketIo {
    /// Looks both headers up.
    pub fn resolve(names: &Names<'_>, punts: &Reasons) -> Result<Self, Mismatch> {
        let packet_in = names.packet_header("packet_in")?;
        let field = |name, width| Ok((packet_in.field(name, width)?, name));
        let kinds = names.numbers("TunnelKind")?;
        Ok(PacketIo {
            fields: [
                field("reason", 8)?,
                field("tunnel", 8)?,
                field("ingress_port", 16)?,
                field("vni", 24)?,
                field("stale_vn", 8)?,
                field("stale_vnic", 8)?,
                field("vlan", 16)?,
                field("tunnel_src", 32)?,
            ],
            reasons: [
                (punts.number("MISS")?, PuntReason::Miss),
                (punts.number("STALE")?, PuntReason::Stale),
                (punts.number("ARP")?, PuntReason::Arp),
                (punts.number("ND")?, PuntReason::Nd),
                (punts.number("FRAGMENT")?, PuntReason::Fragment),
                (punts.number("TOO_BIG")?, PuntReason::TooBig),
                (punts.number("TTL_EXPIRED")?, PuntReason::TtlExpired),
            ],
            no_tunnel: kinds.number("NONE")?,
            vxlan: kinds.number("VXLAN")?,
            geneve: kinds.number("GENEVE")?,
            egress_port: names
                .packet_header("packet_out")?
                .field("egress_port", 16)?,
        })
    }

    /// Gives the fields of a punted packet their meaning.
    pub fn decode(&self, metadata: &[(u32, Vec<u8>)]) -> Result<PuntHeader, BadPunt> {
        let reason: u8 = self.field(metadata, REASON)?;
        let tunnel: u8 = self.field(metadata, TUNNEL)?;
        Ok(PuntHeader {
            reason: (self.reasons.iter())
                .find(|(number, _)| *number == reason)
                .map(|&(_, reason)| reason)
                .ok_or_else(|| BadPunt(format!("unknown reason {reason}")))?,
            tunnel: match tunnel {
                kind if kind == self.no_tunnel => None,
                kind if kind == self.vxlan => Some(Tunnel::Vxlan),
                kind if kind == self.geneve => Some(Tunnel::Geneve),
                other => return Err(BadPunt(format!("unknown tunnel kind {other}"))),
            },
            ingress_port: self.field(metadata, INGRESS_PORT)?,
            vni: self.field(metadata, VNI)?,
            stale_vn: Parts::from_mask(self.field(metadata, STALE_VN)?),
            stale_vnic: Parts::from_mask(self.field(metadata, STALE_VNIC)?),
            vlan: self.field(metadata, VLAN)?,
            tunnel_src: self.field(metadata, TUNNEL_SRC)?,
        })
    }

    fn field<V: Value>(&self, metadata: &[(u32, Vec<u8>)], index: usize) -> Result<V, BadPunt> {
        let (id, name) = self.fields[index];
        metadata
            .iter()
            .find(|(field, _)| *field == id)
            .and_then(|(_, bytes)| V::from_bytes(bytes))
            .ok_or_else(|| BadPunt(format!("field \"{name}\" is missing or too wide")))
    }

    /// The header of a packet that leaves by `egress_port`.
    pub fn encode_out(&self, egress_port: u16) -> Vec<(u32, Vec<u8>)> {
        vec![(self.egress_port, egress_port.into_bytes())]
    }

    /// The fields of a punted packet, as the driver would deliver them. For simulated devices.
    pub fn encode_in(&self, header: &PuntHeader) -> Vec<(u32, Vec<u8>)> {
        let reason = (self.reasons.iter())
            .find(|(_, reason)| *reason == header.reason)
            .map_or(0, |&(number, _)| number);
        let tunnel = match header.tunnel {
            None => self.no_tunnel,
            Some(Tunnel::Vxlan) => self.vxlan,
            Some(Tunnel::Geneve) => self.geneve,
        };
        let values = [
            reason.into_bytes(),
            tunnel.into_bytes(),
            header.ingress_port.into_bytes(),
            header.vni.into_bytes(),
            header.stale_vn.mask().into_bytes(),
            header.stale_vnic.mask().into_bytes(),
            header.vlan.into_bytes(),
            header.tunnel_src.into_bytes(),
        ];
        let ids = self.fields.iter().map(|&(id, _)| id);
        ids.zip(values).collect()
    }

    /// Port that a packet with this header leaves by. For simulated devices.
    pub fn decode_out(&self, metadata: &[(u32, Vec<u8>)]) -> Option<u16> {
        let (_, bytes) = metadata.iter().find(|(id, _)| *id == self.egress_port)?;
        u16::from_bytes(bytes)
    }
}
