//! What tasks share: outcomes, the repository's files, running commands.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A task ends well or with a message for a person.
pub type Outcome = Result<(), String>;

/// A check returns its findings, one line each; an error means that it could not look.
pub type Check = fn(&Path) -> Result<Vec<String>, String>;

/// Root of the repository.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Paths of the files that belong to the repository (tracked, or new and not ignored), relative
/// to its root, with one of the extensions.
pub fn files(root: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, String> {
    let listing = output(
        Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root),
    )?;
    Ok(listing
        .lines()
        .map(PathBuf::from)
        .filter(|path| {
            path.extension()
                .is_some_and(|e| extensions.iter().any(|x| e == *x))
        })
        .filter(|path| root.join(path).is_file())
        .collect())
}

/// Text of a file of the repository.
pub fn read(root: &Path, path: &Path) -> Result<String, String> {
    std::fs::read_to_string(root.join(path)).map_err(|e| format!("{}: {e}", path.display()))
}

/// Runs a command with inherited output; fails unless it ends with 0.
pub fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    let status = command
        .status()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: {status}", shown(command)))
    }
}

/// Runs a command and returns its standard output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|e| format!("{}: {e}", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{}: {}: {}",
            shown(command),
            output.status,
            stderr.trim()
        ));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("{}: {e}", shown(command)))
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}
