//! A router: `bench/programs/router.p4`, a /24 for each route, spread over 64 next hops.

use flownic_pipeline::entity::Update;
use flownic_pipeline::p4info::P4Info;

use super::frame::{self, Segment};
use super::{INNER_BYTES, Workload};
use crate::columns::{Columns, exact, prefix};
use crate::error::BenchError;

const IN_PORT: u16 = 1;
const OUT_PORT: u16 = 2;
const NEXT_HOPS: u64 = 64;
const ROUTER_MAC: u64 = 0x0200_0000_0001;
const NEXT_HOP_MAC: u64 = 0x0200_0c00_0000;
/// Routes are 16.0.0.0/24, 16.0.1.0/24 and so on.
const FIRST_ROUTE: u32 = 0x1000_0000;

/// Routed traffic.
#[derive(Debug)]
pub(crate) struct Router {
    setup: Vec<Update>,
    routes: Columns,
}

impl Router {
    pub(crate) fn new(p4info: &P4Info) -> Result<Router, BenchError> {
        let hops = Columns::find(
            p4info,
            ("next_hop", &["next_hop"]),
            ("send", &["port", "src_mac", "dst_mac"]),
        )?;
        let hop = |number| {
            let params = [u64::from(OUT_PORT), ROUTER_MAC, NEXT_HOP_MAC + number];
            hops.insert(vec![exact(number)], &params)
        };
        Ok(Router {
            setup: (0..NEXT_HOPS).map(hop).collect(),
            routes: Columns::find(p4info, ("route", &["ipv4.dst"]), ("via", &["next_hop"]))?,
        })
    }

    fn segment(flow: u64) -> Segment {
        Segment {
            dst_mac: ROUTER_MAC,
            src_mac: 0x0200_0000_0002,
            src: 0x0a00_0001,
            // Hosts differ too, so that a table of single addresses would not do.
            dst: FIRST_ROUTE + ((flow as u32) << 8) + (flow % 251) as u32,
            src_port: 40_000,
            dst_port: 443,
            ttl: 64,
        }
    }
}

impl Workload for Router {
    fn name(&self) -> &'static str {
        "router"
    }

    fn setup(&self) -> &[Update] {
        &self.setup
    }

    fn entry(&self, flow: u64) -> Update {
        let route = u64::from(FIRST_ROUTE) + (flow << 8);
        self.routes
            .insert(vec![prefix(route, 24)], &[flow % NEXT_HOPS])
    }

    fn packet(&self, flow: u64, packet: &mut Vec<u8>) -> u16 {
        frame::tcp(&Router::segment(flow), INNER_BYTES, packet);
        IN_PORT
    }

    fn expected(&self, flow: u64, packet: &mut Vec<u8>) -> u16 {
        let segment = Segment {
            dst_mac: NEXT_HOP_MAC + flow % NEXT_HOPS,
            src_mac: ROUTER_MAC,
            ttl: 63,
            ..Router::segment(flow)
        };
        frame::tcp(&segment, INNER_BYTES, packet);
        OUT_PORT
    }
}
