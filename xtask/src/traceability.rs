//! `docs/traceability.md`: requirement → code → test, each of which must exist, and each test must
//! name the requirement that it shows.
//!
//! A row reads `| R1.5 | what is done | code, code | file::test, file::test | what is not |`. Tests
//! are named by file and function; a file alone stands for a script of packets.

use crate::report;
use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = "docs/traceability.md";

/// Lines above a test function in which its requirement id may stand.
const REACH: usize = 12;

/// Requirements of the specification: area, and how many it has.
const REQUIREMENTS: &[(u32, u32)] = &[
    (1, 9),
    (2, 7),
    (3, 6),
    (4, 7),
    (5, 5),
    (6, 6),
    (7, 4),
    (8, 4),
    (9, 6),
];

/// Checks every row, and that every requirement has one.
pub fn check(root: &Path) -> Result<Vec<String>, String> {
    let page = report::read(root, Path::new(PAGE))?;
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for (number, line) in page.lines().enumerate() {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let [id, _, code, tests, ..] = cells[..] else {
            continue;
        };
        if !id.starts_with('R') || !id.contains('.') {
            continue;
        }
        seen.insert(id.to_owned());
        let place = format!("{PAGE}:{}", number + 1);
        for path in quoted(code) {
            if !root.join(path).exists() {
                findings.push(format!("{place}: {id}: no such code: {path}"));
            }
        }
        for test in quoted(tests) {
            if let Err(problem) = find_test(root, test, id) {
                findings.push(format!("{place}: {id}: {problem}"));
            }
        }
        if quoted(code).next().is_some() && quoted(tests).next().is_none() {
            findings.push(format!("{place}: {id}: code without a test"));
        }
    }
    for (area, count) in REQUIREMENTS {
        for n in 1..=*count {
            if !seen.contains(&format!("R{area}.{n}")) {
                findings.push(format!("{PAGE}: no row for R{area}.{n}"));
            }
        }
    }
    Ok(findings)
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn find_test(root: &Path, test: &str, id: &str) -> Result<(), String> {
    let (file, function) = test
        .split_once("::")
        .map_or((test, None), |(f, t)| (f, Some(t)));
    let text =
        report::read(root, Path::new(file)).map_err(|e| format!("no such test file: {e}"))?;
    let Some(function) = function else {
        return if text.contains(id) {
            Ok(())
        } else {
            Err(format!("{file} does not name {id}"))
        };
    };
    let lines: Vec<&str> = text.lines().collect();
    let at = lines
        .iter()
        .position(|l| l.contains(&format!("fn {function}(")))
        .ok_or_else(|| format!("no test {function} in {file}"))?;
    let in_name = id.to_lowercase().replace('.', "_");
    let named = function.contains(&in_name)
        || lines[at.saturating_sub(REACH)..=at]
            .iter()
            .any(|l| names(l, id));
    if named {
        Ok(())
    } else {
        Err(format!("{test} does not name {id}"))
    }
}

/// `line` has `id`, not merely a longer id that starts with it.
fn names(line: &str, id: &str) -> bool {
    line.match_indices(id)
        .any(|(at, _)| !line[at + id.len()..].starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_id_is_not_a_prefix_of_another() {
        assert!(names("/// R1.5, R1.50", "R1.5"));
        assert!(!names("/// R1.50", "R1.5"));
    }
}
