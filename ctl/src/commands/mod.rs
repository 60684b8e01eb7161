//! One file for each noun of the command line.

pub(crate) mod device;
pub(crate) mod flow;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod vf;
pub(crate) mod vn;

use std::io::IsTerminal;

use crate::cli::Watch;
use crate::error::Error;
use crate::output::write_stdout;

/// Runs `once`, or again and again with `--watch` until Ctrl-C.
async fn repeat(
    watch: Watch,
    mut once: impl AsyncFnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(interval) = watch.watch else {
        return once().await;
    };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = ticks.tick() => {}
        }
        if std::io::stdout().is_terminal() {
            write_stdout("\x1b[H\x1b[2J")?;
        }
        once().await?;
    }
}
