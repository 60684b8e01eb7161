//! What the tests have in common: the pipeline's description, a NIC in memory, messages.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod bench;
pub mod fake_nic;
pub mod messages;
pub mod store;

use std::sync::Arc;

use flownic_agent::tables::Tables;
use flownic_pipeline::p4info::P4Info;

/// P4Info of p4/flownic.p4.
pub fn p4info() -> P4Info {
    let golden = include_str!("../../../p4/golden/flownic.p4info.txtpb");
    P4Info::from_text(golden).expect("P4Info is readable")
}

/// The tables of [`p4info`].
pub fn tables() -> Arc<Tables> {
    Arc::new(Tables::resolve(&p4info()).expect("P4Info has everything"))
}

/// A sequence of numbers that a seed determines (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
