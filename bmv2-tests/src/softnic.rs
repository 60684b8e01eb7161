//! The software NIC's engine in this process.

use std::time::Duration;

use flownic_pipeline::entity::{Atomicity, CounterData, Update};
use flownic_softnic::{Engine, LoadError, Options, Replica, Session};

use crate::program::Program;
use crate::target::{Output, Target, TargetError};

/// An engine, and what came out of it.
#[derive(Debug)]
pub struct Softnic {
    engine: Engine,
    outputs: Vec<Output>,
    packets: u64,
}

impl Softnic {
    /// Loads a program.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn load(program: &Program) -> Result<Softnic, LoadError> {
        let engine = Engine::load(&program.json, program.p4info.clone(), &Options::default())?;
        Ok(Softnic {
            engine,
            outputs: Vec::new(),
            packets: 0,
        })
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

impl Target for Softnic {
    fn name(&self) -> &str {
        "softnic"
    }

    fn write(&mut self, update: &Update) -> Result<(), TargetError> {
        let results = self
            .engine
            .write(std::slice::from_ref(update), Atomicity::ContinueOnError);
        let error = results.into_iter().find_map(Result::err);
        error.map_or(Ok(()), |error| {
            Err(TargetError(format!("{:?}: {error}", error.code)))
        })
    }

    fn send(&mut self, port: u16, packet: &[u8]) -> Result<(), TargetError> {
        // Time goes on by a millisecond a packet.
        self.packets += 1;
        let outputs = &mut self.outputs;
        self.engine.process(
            port,
            packet,
            Duration::from_millis(self.packets),
            &mut |port, bytes| {
                outputs.push(Output {
                    port,
                    bytes: bytes.to_vec(),
                });
            },
        );
        Ok(())
    }

    fn outputs(&mut self, _expected: usize) -> Result<Vec<Output>, TargetError> {
        Ok(std::mem::take(&mut self.outputs))
    }

    fn counter(&mut self, id: u32, index: u32) -> Result<CounterData, TargetError> {
        let cells = self.engine.read_counters(id, index, 1);
        let cells = cells.map_err(|error| TargetError(error.to_string()))?;
        cells
            .first()
            .copied()
            .ok_or_else(|| TargetError(format!("there is no cell {index}")))
    }

    fn register(&mut self, id: u32, index: u32) -> Result<Vec<u8>, TargetError> {
        let cells = self.engine.read_registers(id, index, 1);
        let cells = cells.map_err(|error| TargetError(error.to_string()))?;
        cells
            .into_iter()
            .next()
            .ok_or_else(|| TargetError(format!("there is no cell {index}")))
    }

    fn set_group(&mut self, group: u16, members: &[(u16, Vec<u16>)]) -> Result<(), TargetError> {
        let replicas = members.iter().flat_map(|(instance, ports)| {
            ports.iter().map(|&port| Replica {
                port,
                instance: *instance,
            })
        });
        self.engine
            .replication_mut()
            .groups
            .insert(group, replicas.collect());
        Ok(())
    }

    fn set_session(
        &mut self,
        session: u16,
        port: Option<u16>,
        group: Option<u16>,
    ) -> Result<(), TargetError> {
        self.engine
            .replication_mut()
            .sessions
            .insert(session, Session { port, group });
        Ok(())
    }
}
