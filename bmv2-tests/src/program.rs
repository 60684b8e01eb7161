//! The firmware, compiled.

use std::path::{Path, PathBuf};

use flownic_compiler::{Options, SourceSet, compile};
use flownic_pipeline::p4info::P4Info;

/// Environment variable: a directory with `flownic.json` and `flownic.p4info.json` to use in
/// place of what our compiler makes, as from the reference compiler.
pub const PROGRAM_VARIABLE: &str = "FLOWNIC_TEST_PROGRAM";

/// A compiled program.
#[derive(Debug, Clone)]
pub struct Program {
    /// bmv2 JSON.
    pub json: Vec<u8>,
    /// What the control plane sees.
    pub p4info: P4Info,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a P4Info.
    #[error(transparent)]
    P4Info(#[from] flownic_pipeline::p4info::FormatError),
    /// The compiler refuses the program.
    #[error("p4/flownic.p4 does not compile:\n{0}")]
    Compile(String),
}

impl Program {
    /// The firmware of this repository, by our compiler; or what [`PROGRAM_VARIABLE`] names.
    ///
    /// # Errors
    /// It does not compile, or the files cannot be read.
    pub fn flownic() -> Result<Program, ProgramError> {
        if let Some(directory) = std::env::var_os(PROGRAM_VARIABLE) {
            let directory = PathBuf::from(directory);
            return Program::read(
                &directory.join("flownic.json"),
                &directory.join("flownic.p4info.json"),
            );
        }
        let sources = SourceSet::from_path(repository().join("p4/flownic.p4"), Vec::new());
        let output = compile(&sources, &Options::default())
            .map_err(|problems| ProgramError::Compile(problems.render()))?;
        Ok(Program {
            json: output.program.to_json().into_bytes(),
            p4info: output.p4info,
        })
    }

    /// From files of any compiler.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(json: &Path, p4info: &Path) -> Result<Program, ProgramError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| ProgramError::File {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Program {
            json: read(json)?,
            p4info: P4Info::from_json(&read(p4info)?)?,
        })
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
