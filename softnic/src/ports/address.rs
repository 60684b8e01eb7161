//! Ports on the command line.

use std::path::PathBuf;
use std::str::FromStr;

/// Ports of a pipeline: `standard_metadata.ingress_port` has 9 bits, 510 is the host and 511 drops.
pub const MAX_PORT: u16 = 509;

/// `NUMBER=KIND:…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortAddress {
    /// Number in the pipeline.
    pub number: u16,
    /// What it is on this machine.
    pub endpoint: Endpoint,
}

/// What a port is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `unix:PATH[,peer=PATH]`: a datagram socket, one frame a datagram.
    Unix {
        /// Where our socket is bound.
        path: PathBuf,
        /// Where frames go; without it, to whoever sent last.
        peer: Option<PathBuf>,
    },
    /// `tap:NAME[@NAMESPACE]`: a TAP device.
    Tap {
        /// Name of the device, at most 15 bytes; it is created when it is not there.
        name: String,
        /// Network namespace: a path, or a name below `/run/netns`.
        namespace: Option<PathBuf>,
    },
}

/// `NUMBER=FILE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureAddress {
    /// Number of the port.
    pub number: u16,
    /// File to write, pcapng.
    pub file: PathBuf,
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `=`.
    #[error("NUMBER=… is expected")]
    NoNumber,
    /// Not a number, or too large.
    #[error("{0:?} is no port number from 0 to {MAX_PORT}")]
    Number(String),
    /// Neither `unix:` nor `tap:`.
    #[error("{0:?} is neither unix:PATH[,peer=PATH] nor tap:NAME[@NAMESPACE]")]
    Kind(String),
    /// Unknown option.
    #[error("{0:?} is no option of a unix port; there is peer=PATH")]
    Option(String),
    /// Empty, or too long for the kernel.
    #[error("{0:?} is no name of a device: it must have 1 to 15 bytes")]
    Name(String),
    /// Empty path.
    #[error("a path is missing")]
    NoPath,
}

fn number(text: &str) -> Result<(u16, &str), AddressError> {
    let (number, rest) = text.split_once('=').ok_or(AddressError::NoNumber)?;
    match number.parse() {
        Ok(number) if number <= MAX_PORT => Ok((number, rest)),
        _ => Err(AddressError::Number(number.to_owned())),
    }
}

fn path(text: &str) -> Result<PathBuf, AddressError> {
    if text.is_empty() {
        Err(AddressError::NoPath)
    } else {
        Ok(PathBuf::from(text))
    }
}

impl FromStr for PortAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<PortAddress, AddressError> {
        let (number, rest) = number(text)?;
        let endpoint = if let Some(rest) = rest.strip_prefix("unix:") {
            unix(rest)?
        } else if let Some(rest) = rest.strip_prefix("tap:") {
            tap(rest)?
        } else {
            return Err(AddressError::Kind(rest.to_owned()));
        };
        Ok(PortAddress { number, endpoint })
    }
}

fn unix(text: &str) -> Result<Endpoint, AddressError> {
    let (own, options) = match text.split_once(',') {
        Some((own, options)) => (own, Some(options)),
        None => (text, None),
    };
    let peer = match options {
        None => None,
        Some(options) => match options.strip_prefix("peer=") {
            Some(peer) => Some(path(peer)?),
            None => return Err(AddressError::Option(options.to_owned())),
        },
    };
    Ok(Endpoint::Unix {
        path: path(own)?,
        peer,
    })
}

fn tap(text: &str) -> Result<Endpoint, AddressError> {
    let (name, namespace) = match text.split_once('@') {
        Some((name, namespace)) => (name, Some(path(namespace)?)),
        None => (text, None),
    };
    if name.is_empty() || name.len() > 15 {
        return Err(AddressError::Name(name.to_owned()));
    }
    let namespace = namespace.map(|namespace| match namespace.components().count() {
        1 => PathBuf::from("/run/netns").join(namespace),
        _ => namespace,
    });
    Ok(Endpoint::Tap {
        name: name.to_owned(),
        namespace,
    })
}

impl FromStr for CaptureAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<CaptureAddress, AddressError> {
        let (number, rest) = number(text)?;
        Ok(CaptureAddress {
            number,
            file: path(rest)?,
        })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Endpoint::Unix { path, peer: None } => write!(f, "unix:{}", path.display()),
            Endpoint::Unix {
                path,
                peer: Some(peer),
            } => {
                write!(f, "unix:{},peer={}", path.display(), peer.display())
            }
            Endpoint::Tap {
                name,
                namespace: None,
            } => write!(f, "tap:{name}"),
            Endpoint::Tap {
                name,
                namespace: Some(namespace),
            } => {
                write!(f, "tap:{name}@{}", namespace.display())
            }
        }
    }
}
