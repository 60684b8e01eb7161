//! The gate: what must hold before a change lands.

use crate::report::{self, Outcome};
use crate::{check, end_to_end, setup};
use std::time::Instant;

/// One thing that must hold.
type Step = fn() -> Outcome;

/// Format, lints, documentation, checks, tests, end to end; stops at the first that fails.
pub fn run() -> Outcome {
    let steps: [(&str, Step); 7] = [
        ("setup", setup::run),
        ("format", format),
        ("checks", check),
        ("lints", lint),
        ("documentation", documentation),
        ("tests", test),
        ("end to end", end_to_end::run),
    ];
    for (name, step) in steps {
        println!("== {name}");
        let start = Instant::now();
        step().map_err(|e| format!("{name}: {e}"))?;
        println!("== {name}: {} s", start.elapsed().as_secs());
    }
    Ok(())
}

/// Tests of tiers 1 and 2.
pub fn test() -> Outcome {
    report::run(report::cargo().args(["test", "--locked", "--workspace"]))
}

fn format() -> Outcome {
    report::run(report::cargo().args(["fmt", "--all", "--check"]))
}

fn lint() -> Outcome {
    report::run(report::cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn documentation() -> Outcome {
    report::run(report::cargo().env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--locked",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]))
}
