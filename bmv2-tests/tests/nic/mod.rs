//! A NIC with the firmware and a few tables, and what became of each packet by its counters.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod frames;

use flownic_bmv2_tests::program::Program;
use flownic_bmv2_tests::run::run;
use flownic_bmv2_tests::script;
use flownic_bmv2_tests::softnic::Softnic;
use flownic_bmv2_tests::target::{Output, Target};

/// Names of a serializable enumeration by value.
type Names = Vec<(String, u8)>;

pub struct Nic {
    target: Softnic,
    drops: u32,
    punts: u32,
    drop_reasons: Names,
    punt_reasons: Names,
}

/// What became of one packet: reasons as counted, and packets that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    pub dropped: Vec<String>,
    pub punted: Vec<String>,
    pub outputs: Vec<Output>,
}

impl Fate {
    /// `dropped/punted/ports`, short.
    pub fn text(&self) -> String {
        let ports: Vec<String> = self
            .outputs
            .iter()
            .map(|output| output.port.to_string())
            .collect();
        format!(
            "{}/{}/{}",
            self.dropped.join("+"),
            self.punted.join("+"),
            ports.join("+")
        )
    }
}

impl Nic {
    /// The firmware with the tables of `setup.stf`.
    pub fn new() -> Nic {
        let program = Program::flownic().unwrap();
        let mut target = Softnic::load(&program).unwrap();
        let setup = script::parse(include_str!("setup.stf")).unwrap();
        assert_eq!(run(&mut target, &program.p4info, &setup), []);
        let p4info = &program.p4info;
        let names = |name| {
            let members = &p4info.serializable_enum(name).unwrap().members;
            members
                .iter()
                .map(|member| (member.name.clone(), member.value[0]))
                .collect()
        };
        Nic {
            drops: p4info.counter("verdict.drops").unwrap().preamble.id,
            punts: p4info.counter("verdict.punts").unwrap().preamble.id,
            drop_reasons: names("DropReason"),
            punt_reasons: names("PuntReason"),
            target,
        }
    }

    fn counts(&mut self, counter: u32, port: u16) -> Vec<(u64, u64)> {
        let cells = self
            .target
            .engine()
            .read_counters(counter, u32::from(port) * 64, 64)
            .unwrap();
        cells
            .iter()
            .map(|cell| (cell.packets, cell.bytes))
            .collect()
    }

    /// Runs a packet. Every counter that moved must have counted exactly this packet.
    pub fn packet(&mut self, port: u16, packet: &[u8]) -> Fate {
        let before = [self.counts(self.drops, port), self.counts(self.punts, port)];
        self.target.send(port, packet).unwrap();
        let after = [self.counts(self.drops, port), self.counts(self.punts, port)];
        let mut moved = [Vec::new(), Vec::new()];
        for (kind, names) in [&self.drop_reasons, &self.punt_reasons]
            .into_iter()
            .enumerate()
        {
            for (reason, (before, after)) in before[kind].iter().zip(&after[kind]).enumerate() {
                if before != after {
                    let counted = (after.0 - before.0, after.1 - before.1);
                    assert_eq!(counted, (1, packet.len() as u64), "packets and bytes");
                    let name = names
                        .iter()
                        .find(|(_, value)| usize::from(*value) == reason);
                    moved[kind].push(name.unwrap().0.clone());
                }
            }
        }
        let [dropped, punted] = moved;
        Fate {
            dropped,
            punted,
            outputs: self.target.outputs(0).unwrap(),
        }
    }

    /// Runs a packet and compares its fate: `BAD_LENGTH//`, `/MISS/510`, `//17`.
    #[track_caller]
    pub fn check(&mut self, port: u16, packet: &[u8], fate: &str, what: &str) {
        let is = self.packet(port, packet);
        assert_eq!(is.text(), fate, "{what}\npacket: {packet:02x?}");
    }
}
