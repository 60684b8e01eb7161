//! Where the demo finds its programs, building them first when cargo runs it.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::cli::DemoOptions;
use crate::error::Error;

const PACKAGES: [&str; 4] = [
    "flownic-compiler",
    "flownic-softnic",
    "flownic-agent",
    "flownic-services",
];

/// The programs and the source of the firmware.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// The P4 compiler.
    pub(crate) compiler: PathBuf,
    /// The NIC.
    pub(crate) softnic: PathBuf,
    /// The agent.
    pub(crate) agent: PathBuf,
    /// The services.
    pub(crate) cloud: PathBuf,
    /// `flownic.p4`
    pub(crate) firmware: PathBuf,
}

/// Finds all of them; `say` tells people about a build.
pub(crate) async fn find(options: &DemoOptions, say: impl Fn(&str)) -> Result<Programs, Error> {
    let folder = match (&options.bin, std::env::var_os("CARGO")) {
        (Some(folder), _) => folder.clone(),
        (None, Some(cargo)) => {
            say("building softnic, flownicd, flownic-cloud and flownic-p4c (release)");
            build(Path::new(&cargo)).await?
        }
        (None, None) => own_folder()?,
    };
    let program = |name: &str| {
        let path = folder.join(name);
        match path.is_file() {
            true => Ok(path),
            false => Err(Error::NotFound(format!(
                "{name} is not in {}; build it with cargo build --release --workspace, or name its folder with --bin",
                folder.display()
            ))),
        }
    };
    Ok(Programs {
        compiler: program("flownic-p4c")?,
        softnic: program("softnic")?,
        agent: program("flownicd")?,
        cloud: program("flownic-cloud")?,
        firmware: firmware(options)?,
    })
}

fn own_folder() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().ok();
    let folder = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    folder.ok_or_else(|| Error::Failed("cannot tell where this program is; use --bin".into()))
}

async fn build(cargo: &Path) -> Result<PathBuf, Error> {
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--quiet", "--bins"]);
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        command
            .arg("--manifest-path")
            .arg(Path::new(&folder).join("Cargo.toml"));
    }
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    let status = command.kill_on_drop(true).status().await;
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => {
            return Err(Error::Failed(
                "cargo could not build the programs, see above".into(),
            ));
        }
        Err(error) => {
            return Err(Error::Failed(format!(
                "cannot start {}: {error}",
                cargo.display()
            )));
        }
    }
    // Beside our own profile's folder, whatever CARGO_TARGET_DIR says.
    let own = own_folder()?;
    Ok(own.parent().unwrap_or(&own).join("release"))
}

fn firmware(options: &DemoOptions) -> Result<PathBuf, Error> {
    let beside = |folder: &Path| folder.join("../p4");
    let folders = match &options.p4 {
        Some(folder) => vec![folder.clone()],
        None => {
            let run_by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
            let built_from = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            let mut folders: Vec<PathBuf> =
                run_by_cargo.iter().map(|folder| beside(folder)).collect();
            folders.extend([beside(&built_from), PathBuf::from("p4")]);
            folders
        }
    };
    let found = folders
        .iter()
        .map(|folder| folder.join("flownic.p4"))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        Error::NotFound("the P4 program is not there; name its folder with --p4".into())
    })
}
