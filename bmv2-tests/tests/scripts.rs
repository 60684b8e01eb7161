//! All scripts of `stf/` on the software NIC, and on the reference switch where it is installed.

use std::io::Write;
use std::path::PathBuf;

use flownic_bmv2_tests::bmv2::{self, Bmv2};
use flownic_bmv2_tests::program::{Program, repository};
use flownic_bmv2_tests::run::run;
use flownic_bmv2_tests::script::{self, Line};
use flownic_bmv2_tests::softnic::Softnic;
use flownic_bmv2_tests::target::Target;

fn scripts() -> Vec<(PathBuf, Vec<Line>)> {
    let directory = repository().join("bmv2-tests/stf");
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    assert!(files.len() >= 9, "scripts are missing: {files:?}");
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        let script =
            script::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file, script)
    };
    files.into_iter().map(read).collect()
}

/// Runs all scripts and tells all that is wrong at once.
fn run_all(mut start: impl FnMut(&[Line]) -> Box<dyn Target>, program: &Program) {
    let mut wrong = String::new();
    for (file, script) in scripts() {
        let mut target = start(&script);
        for failure in run(&mut *target, &program.p4info, &script) {
            wrong.push_str(&format!(
                "{}: {}: {failure}\n",
                target.name(),
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// R6.1, R6.3, R1.2, R1.3, R1.5, R2.6, R3.2: every stage of the firmware on softnic.
#[test]
fn scripts_on_softnic() {
    let program = Program::flownic().unwrap();
    run_all(|_| Box::new(Softnic::load(&program).unwrap()), &program);
}

/// R6.1: the same on bmv2's `simple_switch`.
#[test]
fn scripts_on_the_reference_switch() {
    if let Some(missing) = bmv2::missing() {
        // Straight to stderr: what goes through the print macros is hidden when a test passes.
        let notice = format!("\n=== NOT RUN: scripts on the reference switch: {missing} ===\n\n");
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
        return;
    }
    let program = Program::flownic().unwrap();
    let start = |script: &[Line]| -> Box<dyn Target> {
        Box::new(Bmv2::start(&program, &Line::ports(script)).unwrap())
    };
    run_all(start, &program);
}
