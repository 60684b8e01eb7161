//! Files that grew without a rule are where code goes to hide.

use crate::report;
use std::path::Path;

/// Longest source file, lines. Tests have files of their own and are not counted.
const RUST_LINES: usize = 800;
const P4_LINES: usize = 300;

/// Counts the lines of every source file.
pub fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for path in report::files(root, &["rs", "p4"])? {
        let shown = path.display().to_string();
        if shown.contains("/tests/") || shown.ends_with("tests.rs") {
            continue;
        }
        let limit = if shown.ends_with(".p4") {
            P4_LINES
        } else {
            RUST_LINES
        };
        let text = report::read(root, &path)?;
        let lines = text
            .lines()
            .take_while(|l| !l.starts_with("mod tests {"))
            .count();
        if lines > limit {
            findings.push(format!(
                "{shown}: {lines} lines, more than {limit}: split it by idea"
            ));
        }
    }
    Ok(findings)
}
