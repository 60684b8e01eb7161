//! Packets that the agent answers by itself: too big for the VNIC, or with a TTL that ran out.
//!
//! The pipeline has dropped and counted them. The answer comes from the VNIC's gateway and goes to
//! its VF. Answers are limited for each port, as RFC 1812 §4.3.2.8 and RFC 4443 §2.4 (f) require.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use flownic_api::v1;
use flownic_wire::answer::{self, Gateway};

use super::State;
use super::config::Vnic;
use super::install::{Install, Origin};
use super::jobs::Job;
use crate::tables::packet_io::{PuntHeader, PuntReason};

/// Answers to one port at once.
const BURST: u32 = 32;

/// Time in which one more answer is allowed.
const REFILL: Duration = Duration::from_millis(10);

/// Jobs that may wait before answers are left out.
const JOBS: usize = 1024;

/// What each port may still be answered.
#[derive(Debug, Default)]
pub(super) struct Budget(BTreeMap<u16, (Duration, u32)>);

impl Budget {
    /// Takes one answer; false when there is none left.
    fn take(&mut self, now: Duration, port: u16) -> bool {
        let (since, left) = self.0.entry(port).or_insert((now, BURST));
        let refills = now.saturating_sub(*since).as_nanos() / REFILL.as_nanos();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        if refills > 0 {
            *since = if refills >= BURST {
                now
            } else {
                *since + REFILL * refills
            };
            *left = left.saturating_add(refills).min(BURST);
        }
        match left.checked_sub(1) {
            Some(less) => *left = less,
            None => return false,
        }
        true
    }
}

impl State {
    /// Answers a packet that the pipeline dropped, if its sender is on this NIC.
    pub(super) fn answer_here(&mut self, now: Duration, header: &PuntHeader, frame: &[u8]) {
        let port = header.ingress_port;
        let config = self.config.clone();
        let Some(vnic) = config.as_ref().and_then(|c| c.attached(port, header.vlan)) else {
            return;
        };
        if header.tunnel.is_some() || self.jobs.len() >= JOBS || !self.local.take(now, port) {
            return;
        }
        let gateway = gateway(vnic);
        let answer = match header.reason {
            PuntReason::TooBig => answer::too_big(frame, &gateway, vnic.mtu),
            _ => answer::ttl_expired(frame, &gateway),
        };
        let Some(frame) = answer else {
            return;
        };
        self.counters.punts_answered_here += 1;
        let packet = v1::PacketOut {
            port: port.into(),
            vlan: header.vlan.into(),
            frame,
        };
        let install = Install::new(Origin::Own, Vec::new(), vec![packet], 0);
        self.jobs.push_back(Job::Install(install));
    }
}

/// Who answers: the VNIC's gateways, one of each IP version.
fn gateway(vnic: &Vnic) -> Gateway {
    let mut gateway = Gateway {
        mac: vnic.gateway_mac,
        ipv4: None,
        ipv6: None,
    };
    for address in &vnic.gateways {
        match address {
            IpAddr::V4(ip) => gateway.ipv4 = gateway.ipv4.or(Some(*ip)),
            IpAddr::V6(ip) => gateway.ipv6 = gateway.ipv6.or(Some(*ip)),
        }
    }
    gateway
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_gets_a_burst_and_then_a_rate() {
        let mut budget = Budget::default();
        let at = Duration::from_millis;
        assert_eq!((0..100).filter(|_| budget.take(at(0), 16)).count(), 32);
        assert!(budget.take(at(0), 17), "ports do not share");
        assert!(!budget.take(at(9), 16));
        assert!(budget.take(at(10), 16));
        assert!(!budget.take(at(10), 16));
        assert_eq!((0..100).filter(|_| budget.take(at(10_000), 16)).count(), 32);
    }
}
