//! A `Configure` message, checked: what this host's NIC must hold beside flow entries.
//!
//! Nothing of a message is used before all of it has been checked, so that a wrong one changes
//! nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use flownic_api::v1;
use flownic_versions::Versions;
use flownic_wire::MacAddr;

/// First VF port: VF n is port 16 + n.
const FIRST_VF_PORT: u16 = 16;

/// VFs that the pipeline has ports for.
const VFS: u32 = 256;

/// Smallest MTU that a VNIC may have: every IPv4 host takes 576 bytes, RFC 791 §3.1.
const SMALLEST_MTU: u32 = 576;

/// A host on the underlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Tunnel end.
    pub vtep: Ipv4Addr,
    /// MAC of the uplink.
    pub mac: MacAddr,
    /// Largest underlay IP packet, bytes.
    pub mtu: u16,
}

/// A VNIC on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vnic {
    /// "network/vnic".
    pub name: String,
    /// Virtual network.
    pub vni: u32,
    /// VF number.
    pub vf: u16,
    /// VLAN identifier, 0: untagged.
    pub vlan: u16,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Largest IP packet, bytes.
    pub mtu: u16,
    /// Current versions of its parts.
    pub versions: Versions,
    /// MAC of its gateways.
    pub gateway_mac: MacAddr,
    /// Addresses of its gateways.
    pub gateways: Vec<IpAddr>,
}

/// What a VNIC's slot is for: flows of a VNIC that moved to another VF or network are not its
/// flows any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VnicId {
    /// "network/vnic".
    pub name: String,
    /// Virtual network.
    pub vni: u32,
    /// VF port.
    pub port: u16,
}

impl Vnic {
    /// Port of its VF.
    pub fn port(&self) -> u16 {
        FIRST_VF_PORT + self.vf
    }

    /// What its slot is for.
    pub fn id(&self) -> VnicId {
        VnicId {
            name: self.name.clone(),
            vni: self.vni,
            port: self.port(),
        }
    }
}

/// A checked `Configure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This host.
    pub own: Host,
    /// The others, by tunnel end.
    pub peers: BTreeMap<Ipv4Addr, Host>,
    /// VNICs by name.
    pub vnics: BTreeMap<String, Vnic>,
    /// Current versions of their virtual networks.
    pub vns: BTreeMap<u32, Versions>,
    /// Names of VNICs by VF port and VLAN.
    by_attachment: BTreeMap<(u16, u16), String>,
}

/// Why a `Configure` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration refused, nothing changed: {place}: {what}")]
pub struct ConfigError {
    /// Field of the message.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

fn wrong(place: impl Into<String>, what: impl Into<String>) -> ConfigError {
    ConfigError {
        place: place.into(),
        what: what.into(),
    }
}

impl Config {
    /// Checks a message for the host `host`.
    pub fn check(message: &v1::Configure, host: &str) -> Result<Config, ConfigError> {
        let own = (message.self_.as_ref()).ok_or_else(|| wrong("self", "is missing"))?;
        let own = check_host(own).map_err(|what| wrong("self", what))?;
        if own.name != host {
            let what = format!("is for host \"{}\", this is \"{host}\"", own.name);
            return Err(wrong("self", what));
        }
        let mut config = Config {
            peers: check_peers(message, &own)?,
            own,
            vnics: BTreeMap::new(),
            vns: check_vns(message)?,
            by_attachment: BTreeMap::new(),
        };
        for (n, vnic) in message.vnics.iter().enumerate() {
            let place = format!("vnics[{n}] \"{}\"", vnic.name);
            let vnic = check_vnic(vnic).map_err(|what| wrong(&place, what))?;
            config.add(vnic).map_err(|what| wrong(&place, what))?;
        }
        Ok(config)
    }

    fn add(&mut self, vnic: Vnic) -> Result<(), String> {
        if !self.vns.contains_key(&vnic.vni) {
            return Err(format!(
                "vns has no versions of its network, vni {}",
                vnic.vni
            ));
        }
        let attachment = (vnic.port(), vnic.vlan);
        if let Some(other) = self.by_attachment.insert(attachment, vnic.name.clone()) {
            let (vf, vlan) = (vnic.vf, vnic.vlan);
            return Err(format!("vf {vf} vlan {vlan} is taken by \"{other}\""));
        }
        match self.vnics.insert(vnic.name.clone(), vnic) {
            None => Ok(()),
            Some(_) => Err("the name is there twice".into()),
        }
    }

    /// The VNIC on a VF port and VLAN.
    pub fn attached(&self, port: u16, vlan: u16) -> Option<&Vnic> {
        let name = self.by_attachment.get(&(port, vlan))?;
        self.vnics.get(name)
    }

    /// All VNICs on a VF port.
    pub fn on_port(&self, port: u16) -> impl Iterator<Item = &Vnic> {
        self.by_attachment
            .range((port, 0)..=(port, u16::MAX))
            .filter_map(|(_, name)| self.vnics.get(name))
    }
}

fn check_host(host: &v1::Host) -> Result<Host, String> {
    let mtu = u16::try_from(host.mtu).map_err(|_| format!("mtu {} is too large", host.mtu))?;
    if mtu == 0 || host.vtep == 0 {
        return Err("mtu or vtep is 0".into());
    }
    Ok(Host {
        name: host.name.clone(),
        vtep: Ipv4Addr::from(host.vtep),
        mac: mac(&host.mac)?,
        mtu,
    })
}

fn check_peers(
    message: &v1::Configure,
    own: &Host,
) -> Result<BTreeMap<Ipv4Addr, Host>, ConfigError> {
    let mut peers = BTreeMap::new();
    for (n, peer) in message.peers.iter().enumerate() {
        let place = format!("peers[{n}] \"{}\"", peer.name);
        let peer = check_host(peer).map_err(|what| wrong(&place, what))?;
        let vtep = peer.vtep;
        if vtep == own.vtep || peers.insert(vtep, peer).is_some() {
            return Err(wrong(&place, format!("vtep {vtep} is there twice")));
        }
    }
    Ok(peers)
}

fn check_vns(message: &v1::Configure) -> Result<BTreeMap<u32, Versions>, ConfigError> {
    let mut vns = BTreeMap::new();
    for (n, vn) in message.vns.iter().enumerate() {
        let place = format!("vns[{n}] vni {}", vn.vni);
        check_vni(vn.vni).map_err(|what| wrong(&place, what))?;
        let versions = current(vn.versions.as_ref()).map_err(|what| wrong(&place, what))?;
        if vns.insert(vn.vni, versions).is_some() {
            return Err(wrong(&place, "is there twice"));
        }
    }
    Ok(vns)
}

fn check_vnic(vnic: &v1::Vnic) -> Result<Vnic, String> {
    if vnic.name.is_empty() {
        return Err("has no name".into());
    }
    check_vni(vnic.vni)?;
    if vnic.vf >= VFS {
        return Err(format!("vf {} is not below {VFS}", vnic.vf));
    }
    if vnic.vlan > 4094 {
        return Err(format!("vlan {} is not one of 0–4094", vnic.vlan));
    }
    if !(SMALLEST_MTU..=u32::from(u16::MAX)).contains(&vnic.mtu) {
        return Err(format!(
            "mtu {} is not one of {SMALLEST_MTU}–65535",
            vnic.mtu
        ));
    }
    Ok(Vnic {
        name: vnic.name.clone(),
        vni: vnic.vni,
        vf: vnic.vf as u16,
        vlan: vnic.vlan as u16,
        mac: mac(&vnic.mac)?,
        addresses: addresses(&vnic.addresses)?,
        mtu: vnic.mtu as u16,
        versions: current(vnic.versions.as_ref())?,
        gateway_mac: mac(&vnic.gateway_mac)?,
        gateways: addresses(&vnic.gateways)?,
    })
}

/// A 24-bit virtual network identifier.
pub(super) fn check_vni(vni: u32) -> Result<(), String> {
    if vni >> 24 != 0 {
        return Err(format!("vni {vni} has more than 24 bits"));
    }
    Ok(())
}

/// A unicast MAC of 6 bytes.
pub(super) fn mac(bytes: &[u8]) -> Result<MacAddr, String> {
    let octets = <[u8; 6]>::try_from(bytes)
        .map_err(|_| format!("a MAC has {} bytes, not 6", bytes.len()))?;
    let mac = MacAddr(octets);
    if mac.is_multicast() || mac.is_zero() {
        return Err(format!("MAC {mac} belongs to no station"));
    }
    Ok(mac)
}

/// An address of 4 or 16 bytes.
pub(super) fn address(bytes: &[u8]) -> Result<IpAddr, String> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(bytes)
        .map(IpAddr::from)
        .map_err(|_| format!("an address has {} bytes, not 4 or 16", bytes.len()))
}

fn addresses(list: &[Vec<u8>]) -> Result<Vec<IpAddr>, String> {
    list.iter().map(|bytes| address(bytes)).collect()
}

/// Versions as the pipeline keeps them; absent is all zeros.
pub(super) fn versions(versions: Option<&v1::Versions>) -> Versions {
    versions.map_or(Versions::default(), |v| {
        Versions([v.security, v.mapping, v.route, v.policy, v.lb])
    })
}

/// Versions that may be current: none is 0, since 0 in a register means "stale, all of it".
fn current(message: Option<&v1::Versions>) -> Result<Versions, String> {
    let versions = versions(message);
    if !versions.is_complete() {
        return Err(format!("version 0 is never current: {versions}"));
    }
    Ok(versions)
}
