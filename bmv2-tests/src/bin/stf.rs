//! `stf`: runs scripts with a program of any compiler, on softnic or on the reference switch.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use flownic_bmv2_tests::bmv2::{self, Bmv2};
use flownic_bmv2_tests::program::Program;
use flownic_bmv2_tests::run::run;
use flownic_bmv2_tests::script::{self, Line};
use flownic_bmv2_tests::softnic::Softnic;
use flownic_bmv2_tests::target::Target;

/// Runs scripts, and says what was not as they say.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Program, bmv2 JSON
    #[arg(long)]
    program: PathBuf,
    /// P4Info of the same program, JSON
    #[arg(long)]
    p4info: PathBuf,
    /// What to run on
    #[arg(long, value_enum, default_value_t = Kind::Softnic)]
    target: Kind,
    /// Scripts
    #[arg(required = true)]
    scripts: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Softnic,
    Bmv2,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut code = ExitCode::SUCCESS;
    for path in &arguments.scripts {
        match one(&arguments, path) {
            Ok(()) => println!("{}: ok", path.display()),
            Err(what) => {
                println!("{}: {what}", path.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn one(arguments: &Arguments, path: &PathBuf) -> Result<(), String> {
    let program =
        Program::read(&arguments.program, &arguments.p4info).map_err(|error| error.to_string())?;
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let script = script::parse(&text).map_err(|error| error.to_string())?;
    let mut target: Box<dyn Target> = match arguments.target {
        Kind::Softnic => Box::new(Softnic::load(&program).map_err(|error| error.to_string())?),
        Kind::Bmv2 => {
            if let Some(missing) = bmv2::missing() {
                return Err(missing);
            }
            let ports = Line::ports(&script);
            Box::new(Bmv2::start(&program, &ports).map_err(|error| error.to_string())?)
        }
    };
    let failures = run(&mut *target, &program.p4info, &script);
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures
            .iter()
            .map(|failure| format!("\n  {failure}"))
            .collect()),
    }
}
