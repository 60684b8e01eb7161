//! Dependency directions between the crates: what docs/architecture.md draws, as a table.

use crate::report;
use serde_json::Value;
use std::path::Path;

/// Crate, and the crates of this workspace that it may use (dev-dependencies aside).
const MAY_USE: &[(&str, &[&str])] = &[
    ("flownic-device-abi", &["flownic-pipeline"]),
    ("flownic-wire", &[]),
    ("flownic-pipeline", &[]),
    ("flownic-api", &[]),
    ("flownic-versions", &[]),
    ("flownic-store", &[]),
    ("flownic-vnet", &["flownic-wire", "flownic-versions"]),
    ("flownic-compiler", &["flownic-pipeline"]),
    (
        "flownic-softnic",
        &[
            "flownic-device-abi",
            "flownic-wire",
            "flownic-pipeline",
            "flownic-api",
        ],
    ),
    (
        "flownic-driver",
        &["flownic-device-abi", "flownic-pipeline", "flownic-api"],
    ),
    (
        "flownic-agent",
        &[
            "flownic-driver",
            "flownic-pipeline",
            "flownic-api",
            "flownic-wire",
            "flownic-vnet",
            "flownic-versions",
            "flownic-store",
        ],
    ),
    (
        "flownic-services",
        &[
            "flownic-api",
            "flownic-wire",
            "flownic-vnet",
            "flownic-versions",
            "flownic-store",
        ],
    ),
    (
        "flownic-ctl",
        &["flownic-api", "flownic-wire", "flownic-pipeline"],
    ),
    (
        "flownic-bmv2-tests",
        &[
            "flownic-softnic",
            "flownic-compiler",
            "flownic-driver",
            "flownic-pipeline",
            "flownic-wire",
        ],
    ),
    (
        "flownic-bench",
        &[
            "flownic-softnic",
            "flownic-pipeline",
            "flownic-vnet",
            "flownic-wire",
        ],
    ),
    ("xtask", &[]),
];

/// Compares `cargo metadata` with the table.
pub fn check(_root: &Path) -> Result<Vec<String>, String> {
    let text =
        report::output(report::cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata: no packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            findings.push(format!("{name}: not in the table of xtask/src/layers.rs"));
            continue;
        };
        for used in workspace_dependencies(package) {
            if !allowed.contains(&used) {
                findings.push(format!(
                    "{name} uses {used}, against the layers of docs/architecture.md"
                ));
            }
        }
    }
    Ok(findings)
}

fn workspace_dependencies(package: &Value) -> impl Iterator<Item = &str> {
    package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|d| d["kind"].as_str() != Some("dev") && d["path"].is_string())
        .filter_map(|d| d["name"].as_str())
}
