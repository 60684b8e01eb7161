//! Programs in files, and what they become: `ok/NAME.p4` with a listing and a P4Info beside it,
//! `err/NAME.p4` with the messages beside it. `UPDATE_EXPECT=1` writes them anew.

mod support;

use flownic_compiler::{Options, SourceSet, compile};
use support::{check, differs, listing, path, programs};

fn sources(file: &std::path::Path) -> SourceSet {
    // Messages show the file's name, not where the repository is.
    let name = file.file_name().unwrap();
    SourceSet::from_text(name, std::fs::read_to_string(file).unwrap())
}

/// R6.2: programs become what stands beside them.
#[test]
fn good_programs_compile_to_what_is_expected() {
    let mut differences = Vec::new();
    for file in programs("tests/ok") {
        let output = compile(&sources(&file), &Options::default())
            .unwrap_or_else(|messages| panic!("{}:\n{}", file.display(), messages.render()));
        let mut text = output.diagnostics.render();
        text.push_str(&listing(&output.program));
        differences.extend(differs(&file.with_extension("listing"), &text));
        let info = output.p4info.to_text();
        differences.extend(differs(&file.with_extension("p4info.txtpb"), &info));
    }
    check(differences);
}

/// R6.6: bad programs are refused with what is wrong and where.
#[test]
fn bad_programs_are_refused_with_the_expected_messages() {
    let mut differences = Vec::new();
    for file in programs("tests/err") {
        let text = match compile(&sources(&file), &Options::default()) {
            Ok(_) => panic!("{} compiles", file.display()),
            Err(messages) => messages.render(),
        };
        differences.extend(differs(&file.with_extension("stderr"), &text));
    }
    check(differences);
}

/// R6.1: the firmware compiles without a word, and its P4Info is the one that was reviewed.
#[test]
fn p4info_of_the_firmware_is_the_golden_one() {
    let program = path("../p4/flownic.p4");
    let output = compile(
        &SourceSet::from_path(program, Vec::new()),
        &Options::default(),
    );
    let output = output.unwrap_or_else(|messages| panic!("{}", messages.render()));
    assert_eq!(output.diagnostics.render(), "");
    let golden = path("../p4/golden/flownic.p4info.txtpb");
    check(
        differs(&golden, &output.p4info.to_text())
            .into_iter()
            .collect(),
    );
}

/// Outputs are the same each time: nothing depends on addresses or on the order of a hash.
#[test]
fn output_is_reproducible() {
    let sources = SourceSet::from_path(path("../p4/flownic.p4"), Vec::new());
    let run = || compile(&sources, &Options::default()).unwrap();
    let (first, second) = (run(), run());
    assert_eq!(first.program.to_json(), second.program.to_json());
    assert_eq!(first.p4info.to_text(), second.p4info.to_text());
}
