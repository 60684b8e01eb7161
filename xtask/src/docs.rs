//! Documents: the index lists every page, links lead somewhere, top folders are explained.

use crate::report;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Longest README, lines.
const README_LINES: usize = 150;

/// Checks index, links, folders.
pub fn check(root: &Path) -> Result<Vec<String>, String> {
    let pages = report::files(root, &["md"])?;
    let mut findings = Vec::new();
    index(root, &pages, &mut findings)?;
    for page in &pages {
        links(root, page, &mut findings)?;
    }
    folders(root, &mut findings)?;
    let lines = report::read(root, Path::new("README.md"))?.lines().count();
    if lines > README_LINES {
        findings.push(format!(
            "README.md: {lines} lines, more than {README_LINES}"
        ));
    }
    Ok(findings)
}

fn index(root: &Path, pages: &[PathBuf], findings: &mut Vec<String>) -> Result<(), String> {
    let index = report::read(root, Path::new("docs/README.md"))?;
    for page in pages
        .iter()
        .filter(|p| p.starts_with("docs") && !p.ends_with("docs/README.md"))
    {
        let link = page
            .strip_prefix("docs")
            .map_err(|e| e.to_string())?
            .display()
            .to_string();
        if !index.contains(&format!("({link})")) {
            findings.push(format!("docs/README.md: no link to {link}"));
        }
    }
    Ok(())
}

fn links(root: &Path, page: &Path, findings: &mut Vec<String>) -> Result<(), String> {
    let text = report::read(root, page)?;
    let folder = page.parent().unwrap_or(Path::new(""));
    for (number, line) in text.lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains(' ') {
                continue;
            }
            if !root.join(normal(&folder.join(path))).exists() {
                findings.push(format!(
                    "{}:{}: no such file: {target}",
                    page.display(),
                    number + 1
                ));
            }
        }
    }
    Ok(())
}

/// Every top folder of the repository is named in the architecture page.
fn folders(root: &Path, findings: &mut Vec<String>) -> Result<(), String> {
    let page = report::read(root, Path::new("docs/architecture.md"))?;
    let listing = report::output(
        std::process::Command::new("git")
            .arg("ls-files")
            .current_dir(root),
    )?;
    let folders: BTreeSet<&str> = listing
        .lines()
        .filter_map(|l| l.split_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    for folder in folders.iter().filter(|f| !f.starts_with('.')) {
        if !page.contains(&format!("`{folder}/")) {
            findings.push(format!(
                "docs/architecture.md: folder `{folder}/` is not explained"
            ));
        }
    }
    Ok(())
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}
