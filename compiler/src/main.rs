//! `flownic-p4c`: the compiler as a command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use flownic_compiler::{Options, SourceSet, compile, preprocess};
use flownic_pipeline::p4info::P4Info;

/// Compiles a P4_16 program for v1model to bmv2 JSON and P4Info.
#[derive(Debug, Parser)]
#[command(name = "flownic-p4c", version)]
struct Arguments {
    /// Program to compile.
    program: PathBuf,
    /// Writes the bmv2 JSON here.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Writes P4Info here; the format is that of the extension: .txtpb or .txt, .json, .bin.
    #[arg(long, value_name = "FILE,…", value_delimiter = ',')]
    p4runtime_files: Vec<PathBuf>,
    /// Adds a folder in which included files are looked for.
    #[arg(short = 'I', value_name = "DIR")]
    include: Vec<PathBuf>,
    /// Defines a macro.
    #[arg(short = 'D', value_name = "NAME[=TEXT]")]
    define: Vec<String>,
    /// Removes a macro that -D defined.
    #[arg(short = 'U', value_name = "NAME")]
    undefine: Vec<String>,
    /// Stops after preprocessing and prints the text.
    #[arg(short = 'E')]
    preprocess: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let sources = SourceSet::from_path(&arguments.program, arguments.include.clone());
    let definitions = arguments
        .define
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        });
    let options = Options {
        definitions: definitions.collect(),
        undefined: arguments.undefine.clone(),
    };
    if arguments.preprocess {
        let text = preprocess(&sources, &options).map_err(|messages| messages.render())?;
        print!("{text}");
        return Ok(());
    }
    let output = compile(&sources, &options).map_err(|messages| messages.render())?;
    eprint!("{}", output.diagnostics.render());
    if let Some(path) = &arguments.output {
        write(path, output.program.to_json().as_bytes())?;
    }
    for path in &arguments.p4runtime_files {
        write(path, &in_format_of(path, &output.p4info)?)?;
    }
    Ok(())
}

fn in_format_of(path: &Path, info: &P4Info) -> Result<Vec<u8>, String> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("txtpb" | "txt") => Ok(info.to_text().into_bytes()),
        Some("json") => Ok(info.to_json().into_bytes()),
        Some("bin") => Ok(info.to_binary()),
        _ => Err(format!(
            "error: the format of {} is not known: use .txtpb, .txt, .json or .bin",
            path.display()
        )),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes)
        .map_err(|error| format!("error: cannot write {}: {error}", path.display()))
}
