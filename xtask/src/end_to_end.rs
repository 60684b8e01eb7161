//! The README's main command, run as a user runs it, and its captures under the eyes of tshark.

use crate::report::{self, Outcome};
use crate::setup;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the demo on the recorded traffic and, as root, with live programs.
pub fn run() -> Outcome {
    let folder = demo("recorded", &[])?;
    for uplink in ["host-a", "host-b"] {
        inspect(&folder.join(format!("uplink-{uplink}.pcapng")))?;
    }
    if setup::is_root() {
        // A gentle rate: the gate asks whether it works, on a machine that may be busy.
        demo("live", &["--live", "--seconds", "5", "--udp-rate", "5"])?;
    } else {
        println!("NOT RUN: `demo --live`, which needs root");
    }
    Ok(())
}

/// Runs the demo in a folder of its own, and says in which.
fn demo(name: &str, options: &[&str]) -> Result<PathBuf, String> {
    let folder = report::root().join("target/end-to-end").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    report::run(
        report::cargo()
            .args(["run", "--locked", "--release", "--", "demo"])
            .args(options)
            .arg("--dir")
            .arg(&folder),
    )?;
    Ok(folder)
}

/// Every packet is a tunnel packet of one of the two formats, both occur, and none is malformed.
fn inspect(capture: &Path) -> Outcome {
    let packets = count(capture, "frame")?;
    let vxlan = count(capture, "vxlan")?;
    let geneve = count(capture, "geneve")?;
    // Wrong checksums count as malformed: ours are never offloaded.
    let bad = count(capture, "_ws.malformed || ip.checksum.status == \"Bad\"")?;
    println!(
        "{}: {packets} packets, {vxlan} VXLAN, {geneve} Geneve, {bad} malformed",
        capture.display()
    );
    if bad > 0 {
        return Err(format!("{}: {bad} malformed packets", capture.display()));
    }
    if vxlan == 0 || geneve == 0 || vxlan + geneve != packets {
        return Err(format!(
            "{}: not all packets are tunnel packets of both formats",
            capture.display()
        ));
    }
    Ok(())
}

fn count(capture: &Path, filter: &str) -> Result<usize, String> {
    let text = report::output(
        Command::new("tshark")
            .args(["-n", "-o", "ip.check_checksum:TRUE", "-r"])
            .arg(capture)
            .args(["-Y", filter, "-T", "fields", "-e", "frame.number"]),
    )?;
    Ok(text.lines().count())
}
