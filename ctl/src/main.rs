//! `flownic`: the command line of FlowNIC.

mod cli;
mod client;
mod commands;
mod demo;
mod error;
mod format;
mod names;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::client::Servers;
use crate::error::Error;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::Failed(format!("cannot start: {error}"))),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("flownic: {error}");
    error.exit_code()
}

async fn run(cli: Cli) -> Result<(), Error> {
    let servers = Servers {
        agent: cli.global.agent,
        nis: cli.global.nis,
        timeout: cli.global.timeout,
    };
    let output = Output::new(cli.global.json);
    match cli.command {
        Command::Device(command) => commands::device::run(command, &servers, output).await,
        Command::Table(command) => commands::table::run(command, &servers, output).await,
        Command::Flow(command) => commands::flow::run(command, &servers, output).await,
        Command::Vf(command) => commands::vf::run(command, &servers, output).await,
        Command::Vn(command) => commands::vn::run(command, &servers, output).await,
        Command::Stats(watch) => commands::stats::run(watch, &servers, output).await,
        Command::Demo(options) => demo::run(options, output).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "flownic", &mut script);
            output::write_stdout(&String::from_utf8_lossy(&script))
        }
    }
}
