//! What can go wrong, and the exit code that a script sees for it.

use std::process::ExitCode;

/// A command failed. The text is one line: what failed, where, what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command was carried out and did not succeed.
    #[error("{0}")]
    Failed(String),
    /// The command line, or a value in it, is wrong.
    #[error("{0}")]
    Usage(String),
    /// Something that was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// It exists already, or is not in the state that the command needs.
    #[error("{0}")]
    Conflict(String),
    /// The agent or the service cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// Not permitted.
    #[error("{0}")]
    Denied(String),
}

impl Error {
    /// Stable exit codes; 0 is success.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Error::Failed(_) => 1,
            Error::Usage(_) => 2,
            Error::NotFound(_) => 3,
            Error::Conflict(_) => 4,
            Error::Unreachable(_) => 5,
            Error::Denied(_) => 6,
        })
    }

    /// The error that a canonical gRPC code stands for.
    pub(crate) fn from_code(code: tonic::Code, text: String) -> Error {
        use tonic::Code;
        match code {
            Code::NotFound => Error::NotFound(text),
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Error::Conflict(text),
            Code::Unavailable | Code::DeadlineExceeded => Error::Unreachable(text),
            Code::PermissionDenied | Code::Unauthenticated => Error::Denied(text),
            _ => Error::Failed(text),
        }
    }

    /// The same kind of error, with words in front.
    pub(crate) fn context(self, what: &str) -> Error {
        let add = |text: String| format!("{what}: {text}");
        match self {
            Error::Failed(text) => Error::Failed(add(text)),
            Error::Usage(text) => Error::Usage(add(text)),
            Error::NotFound(text) => Error::NotFound(add(text)),
            Error::Conflict(text) => Error::Conflict(add(text)),
            Error::Unreachable(text) => Error::Unreachable(add(text)),
            Error::Denied(text) => Error::Denied(add(text)),
        }
    }
}

/// An I/O error on a path.
pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Error {
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(text),
        std::io::ErrorKind::PermissionDenied => Error::Denied(text),
        _ => Error::Failed(text),
    }
}
