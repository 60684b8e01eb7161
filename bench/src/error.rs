//! Why there is no number.

use std::path::{Path, PathBuf};

/// A run that ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    P4Info(#[from] flownic_pipeline::p4info::FormatError),
    #[error("the program does not load: {0}")]
    Load(#[from] flownic_softnic::LoadError),
    #[error("the program has no {kind} \"{name}\": is it the right one?")]
    Missing { kind: &'static str, name: String },
    #[error("entry {entry} is refused: {message}")]
    Refused { entry: u64, message: String },
    #[error("packet of flow {flow}: {what}")]
    Wrong { flow: u64, what: String },
    #[error("{wrong} of {packets} measured packets did not leave as expected")]
    WrongPackets { wrong: u64, packets: u64 },
    #[error("the virtual network: {0}")]
    Network(String),
    #[error("simple_switch: {0}")]
    Peer(String),
}

impl BenchError {
    /// An error of the file system, with the path that it is about.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> BenchError {
        let path = path.to_owned();
        move |source| BenchError::File { path, source }
    }
}
