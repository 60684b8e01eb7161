//! The tables of `docs/device-interface.md` are those of this crate.
//!
//! After a change here: `UPDATE_DOCS=1 cargo test -p flownic-device-abi --test data_sheet`.

use std::fmt::Write as _;
use std::path::Path;

use flownic_device_abi::admin::{Opcode, Status};
use flownic_device_abi::bar0::Fault;
use flownic_device_abi::register::Register;
use flownic_device_abi::ring::DescriptorStatus;
use flownic_device_abi::{bar0, bar2};

fn registers(registers: &[Register]) -> String {
    let mut table = String::from(
        "| offset | name | bytes | access | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for r in registers {
        let access = r.access.abbreviation();
        writeln!(
            table,
            "| `{:#06x}` | {} | {} | {access} | {} |",
            r.offset, r.name, r.width, r.meaning
        )
        .expect("a string");
    }
    table
}

/// `ReadP4Info` as `READ_P4INFO`.
fn shouted(name: &str) -> String {
    let mut shouted = String::new();
    let mut last = 'A';
    for c in name.replace("P4Info", "P4info").chars() {
        if c.is_uppercase() && !last.is_uppercase() {
            shouted.push('_');
        }
        shouted.extend(c.to_uppercase());
        last = c;
    }
    shouted
}

fn codes(lines: impl Iterator<Item = (u16, String, &'static str)>) -> String {
    let mut table = String::from("| code | name | meaning |\n| --- | --- | --- |\n");
    for (code, name, meaning) in lines {
        writeln!(table, "| {code} | {} | {meaning} |", shouted(&name)).expect("a string");
    }
    table
}

macro_rules! codes_of {
    ($enumeration:ident) => {
        codes(
            $enumeration::ALL
                .iter()
                .map(|&v| (v as u16, format!("{v:?}"), v.meaning())),
        )
    };
}

/// Puts a text between the marks of a section.
fn replace(document: &str, section: &str, text: &str) -> String {
    let begin = format!("<!-- generated: {section} -->\n");
    let end = "<!-- end of generated -->";
    let (before, rest) = document
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no section {section}"));
    let (_, after) = rest
        .split_once(end)
        .unwrap_or_else(|| panic!("section {section} has no end"));
    format!("{before}{begin}{text}{end}{after}")
}

/// R7.1: the interface is specified in docs, and the specification is what the code does.
#[test]
fn tables_of_the_document_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/device-interface.md");
    let document = std::fs::read_to_string(&path).expect("the document");
    let sections = [
        ("bar0", registers(bar0::REGISTERS)),
        ("bar2", registers(bar2::REGISTERS)),
        ("faults", codes_of!(Fault)),
        ("descriptor statuses", codes_of!(DescriptorStatus)),
        ("opcodes", codes_of!(Opcode)),
        ("statuses", codes_of!(Status)),
    ];
    let expected = sections
        .iter()
        .fold(document.clone(), |document, (section, text)| {
            replace(&document, section, text)
        });
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).expect("written");
    } else {
        assert!(
            document == expected,
            "docs/device-interface.md is not up to date; \
             run UPDATE_DOCS=1 cargo test -p flownic-device-abi --test data_sheet"
        );
    }
}

/// The first block of grammar in a text, without comment marks.
fn grammar(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .map(|line| line.strip_prefix("//! ").unwrap_or(line));
    lines
        .skip_while(|line| !line.starts_with("list "))
        .take_while(|line| *line != "```")
        .collect()
}

/// R7.1: the grammar of batches in the document is the one that the code was written to.
#[test]
fn the_grammar_of_the_document_is_that_of_the_code() {
    let document = include_str!("../../../docs/device-interface.md");
    let code = grammar(include_str!("../src/batch.rs"));
    assert!(code.len() > 10);
    assert_eq!(grammar(document), code);
}

/// R7.1: every field of a structure in memory stands in the document where it is in the code.
#[test]
fn layouts_of_the_document_are_those_of_the_code() {
    use flownic_device_abi::admin::{Command, Completion, CompletionTail};
    use flownic_device_abi::ring::{Descriptor, DescriptorCompletion};
    use std::mem::offset_of;
    let document = include_str!("../../../docs/device-interface.md");
    let tail = offset_of!(Completion, tail);
    let done = offset_of!(Descriptor, completion);
    let fields = [
        (offset_of!(Command, opcode), "opcode"),
        (offset_of!(Command, id), "id"),
        (offset_of!(Command, flags), "flags"),
        (offset_of!(Command, input), "input"),
        (offset_of!(Command, output), "output"),
        (offset_of!(Command, input_len), "input length"),
        (offset_of!(Command, output_len), "output length"),
        (offset_of!(Command, object), "object"),
        (offset_of!(Command, first), "first"),
        (offset_of!(Command, count), "count"),
        (offset_of!(Command, cursor), "cursor"),
        (offset_of!(Completion, cursor), "cursor"),
        (offset_of!(Completion, output_len), "output length"),
        (offset_of!(Completion, count), "count"),
        (offset_of!(Completion, detail), "detail"),
        (tail + offset_of!(CompletionTail, taken), "taken"),
        (tail + offset_of!(CompletionTail, id), "id"),
        (
            tail + offset_of!(CompletionTail, status_phase),
            "status, phase",
        ),
        (offset_of!(Descriptor, address), "address"),
        (done + offset_of!(DescriptorCompletion, length), "length"),
        (done + offset_of!(DescriptorCompletion, status), "status"),
        (done + offset_of!(DescriptorCompletion, flags), "flags"),
    ];
    for (offset, name) in fields {
        assert!(
            document.contains(&format!("\n| {offset} | {name} | ")),
            "{name} at {offset}"
        );
    }
}
