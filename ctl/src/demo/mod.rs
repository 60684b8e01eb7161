//! `flownic demo`.
mod capture;
mod replay;
mod script;
mod tenants;
mod vm;

use crate::cli::DemoOptions;
use crate::error::Error;
use crate::output::Output;
pub(crate) async fn run(_o: DemoOptions, _output: Output) -> Result<(), Error> {
    Err(Error::Failed("x".into()))
}
