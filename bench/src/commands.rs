//! What the commands about packets measure, in order.

use crate::error::BenchError;
use crate::peer;
use crate::report::Report;
use crate::run::{self, Compiled};
use crate::workload::Workload;
use crate::workload::nic::{Direction, Nic};
use crate::workload::router::Router;
use crate::{Measure, Program};

const BATCHES: [usize; 3] = [1, 16, 256];
/// Entries that each batch size is measured with; the whole table is filled in the largest one.
const BATCH_ENTRIES: u64 = 100_000;

/// flownic.p4.
pub(crate) fn pipeline(options: &crate::Pipeline) -> Result<Report, BenchError> {
    let compiled = Compiled::read(&options.program)?;
    let mut report = Report::new();
    let p4info = &compiled.p4info;
    for direction in [Direction::Transmit, Direction::Receive] {
        let workload = Nic::new(p4info, direction, options.vfs)?;
        if direction == Direction::Transmit {
            let most = options.flows.iter().copied().max().unwrap_or(0);
            batches(&compiled, &workload, most, &mut report)?;
        }
        for &flows in &options.flows {
            packets(&compiled, &workload, flows, &options.measure, &mut report)?;
        }
    }
    for direction in [Direction::Transmit, Direction::Receive] {
        // One VF: simple_switch reads one file for each port, and slows down with their number.
        let workload = Nic::new(p4info, direction, 1)?;
        compare(
            &options.program,
            &compiled,
            &workload,
            &options.measure,
            &mut report,
        )?;
    }
    Ok(report)
}

/// A plain router.
pub(crate) fn router(options: &crate::Router) -> Result<Report, BenchError> {
    let compiled = Compiled::read(&options.program)?;
    let mut report = Report::new();
    let workload = Router::new(&compiled.p4info)?;
    for &routes in &options.routes {
        packets(&compiled, &workload, routes, &options.measure, &mut report)?;
    }
    compare(
        &options.program,
        &compiled,
        &workload,
        &options.measure,
        &mut report,
    )?;
    Ok(report)
}

/// Inserts in batches of every size, each into an empty table.
fn batches(
    compiled: &Compiled,
    workload: &dyn Workload,
    most: u64,
    report: &mut Report,
) -> Result<(), BenchError> {
    for batch in BATCHES {
        let entries = most.min(BATCH_ENTRIES);
        eprintln!(
            "{}: {entries} inserts in batches of {batch}",
            workload.name()
        );
        let mut engine = compiled.engine(workload)?;
        let rate = run::fill(&mut engine, workload, entries, batch)?;
        report.writes.push(rate);
    }
    Ok(())
}

/// Fills a table, sends a packet of every flow, then packets of random ones.
fn packets(
    compiled: &Compiled,
    workload: &dyn Workload,
    entries: u64,
    measure: &Measure,
    report: &mut Report,
) -> Result<(), BenchError> {
    eprintln!("{}: {entries} entries", workload.name());
    let mut engine = compiled.engine(workload)?;
    let [.., batch] = BATCHES;
    let writes = run::fill(&mut engine, workload, entries, batch)?;
    report.writes.push(writes);
    run::check_every_flow(&mut engine, workload, entries)?;
    let (seconds, seed) = (measure.seconds, measure.seed);
    let rate = run::random_flows(&mut engine, workload, entries, seconds, seed)?;
    report.packets.push(rate);
    Ok(())
}

/// The same packets on softnic and on `simple_switch`.
fn compare(
    program: &Program,
    compiled: &Compiled,
    workload: &dyn Workload,
    measure: &Measure,
    report: &mut Report,
) -> Result<(), BenchError> {
    if measure.peer_packets == 0 {
        return Ok(());
    }
    if let Some(missing) = peer::missing() {
        let notice = format!("NOT COMPARED with simple_switch: {missing}");
        if !report.notices.contains(&notice) {
            report.notices.push(notice);
        }
        return Ok(());
    }
    eprintln!("{}: comparison with simple_switch", workload.name());
    report
        .comparisons
        .push(peer::compare(program, compiled, workload, measure)?);
    Ok(())
}
