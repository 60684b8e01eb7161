//! Repository tasks and checks: `cargo xtask help`.

mod ci;
mod docs;
mod end_to_end;
mod layers;
mod report;
mod setup;
mod size;
mod traceability;
mod unsafe_code;

use clap::{Parser, Subcommand};
use report::Outcome;
use std::process::ExitCode;

/// Repository tasks and checks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need from the distribution's packages (Debian; needs root)
    Setup,
    /// Tests of tiers 1 and 2: in-process and simulated; processes on this machine
    Test,
    /// Layer directions, unsafe code, documents, traceability, file sizes
    Check,
    /// Run the demo and look at its captures with tshark
    EndToEnd,
    /// Everything the gate asks for: setup, format, lints, checks, tests, end to end
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Setup => setup::run(),
        Task::Test => setup::run().and_then(|()| ci::test()),
        Task::Check => check(),
        Task::EndToEnd => end_to_end::run(),
        Task::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// All static checks; reports every finding of every check before it fails.
fn check() -> Outcome {
    let root = report::root();
    let checks: [(&str, report::Check); 5] = [
        ("layers", layers::check),
        ("unsafe code", unsafe_code::check),
        ("documents", docs::check),
        ("traceability", traceability::check),
        ("file sizes", size::check),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        let findings = check(&root)?;
        println!(
            "check {name}: {}",
            if findings.is_empty() { "ok" } else { "FAILED" }
        );
        for finding in &findings {
            println!("  {finding}");
        }
        if !findings.is_empty() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")))
    }
}
