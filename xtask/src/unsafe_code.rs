//! Unsafe code stays in the modules that the architecture names, and every block says why it is
//! sound.

use crate::report;
use std::path::Path;

/// Where unsafe code may be.
const ALLOWED: &[&str] = &[
    "driver/src/vfio/",
    "softnic/src/device/",
    "softnic/src/ports/tap.rs",
];

/// How far above an unsafe block its `SAFETY:` comment may start, lines.
const REACH: usize = 10;

/// Looks at every Rust file.
pub fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    for path in report::files(root, &["rs"])? {
        let shown = path.display().to_string();
        if shown.starts_with("xtask/") {
            continue;
        }
        let text = report::read(root, &path)?;
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if is_unsafe(code) {
                if !ALLOWED.iter().any(|prefix| shown.starts_with(prefix)) {
                    findings.push(format!(
                        "{shown}:{}: unsafe code outside of {ALLOWED:?}",
                        index + 1
                    ));
                } else if !lines[index.saturating_sub(REACH)..=index]
                    .iter()
                    .any(|l| l.contains("SAFETY:") || l.contains("# Safety"))
                {
                    findings.push(format!("{shown}:{}: no SAFETY comment", index + 1));
                }
            }
            let opts_in = code.contains("(unsafe_code");
            if opts_in && !lines[index..].iter().take(4).any(|l| l.contains("reason")) {
                findings.push(format!(
                    "{shown}:{}: allows unsafe code without a reason",
                    index + 1
                ));
            }
        }
    }
    Ok(findings)
}

fn is_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"]
        .iter()
        .any(|form| code.contains(form))
}
