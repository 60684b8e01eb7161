//! What is sent, and what must come out. Expected packets are made here by hand, from the RFCs,
//! not by the pipeline that is measured.

mod frame;
pub(crate) mod nic;
pub(crate) mod router;

use flownic_pipeline::entity::Update;

/// Bytes of a packet that enters as a VM would send it: Ethernet without its check sequence.
pub(crate) const INNER_BYTES: usize = 64;

/// A kind of traffic. Flow numbers run from 0 to one less than the number of entries, and each
/// flow hits an entry of its own.
pub(crate) trait Workload {
    /// For reports.
    fn name(&self) -> &'static str;

    /// What must be written once, beside the entries that are counted.
    fn setup(&self) -> &[Update];

    /// The entry of a flow.
    fn entry(&self, flow: u64) -> Update;

    /// Writes a packet of a flow; gives the port that it enters at.
    fn packet(&self, flow: u64, packet: &mut Vec<u8>) -> u16;

    /// Writes what must come of it; gives the port that it leaves at.
    fn expected(&self, flow: u64, packet: &mut Vec<u8>) -> u16;
}

#[cfg(test)]
mod tests;
