//! Why a file could not be opened as a dump.

use std::io;
use std::path::PathBuf;

/// A dump that could not be opened: which file and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", super::text::scrub(.path.as_os_str().as_encoded_bytes()))]
pub struct OpenError {
    /// The file, or the name of what was built in.
    pub path: PathBuf,
    /// The reason.
    pub why: WhyNot,
}

/// What keeps a file from being opened as a dump.
#[derive(Debug, thiserror::Error)]
pub enum WhyNot {
    /// The system does not let us read it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a directory.
    #[error("is a directory, not a crash dump")]
    Directory,
    /// It is a device, a pipe or a socket.
    #[error("is not a regular file; copy the dump into one first")]
    NotAFile,
    /// It holds nothing.
    #[error("is empty")]
    Empty,
    /// It does not start like any dump.
    #[error("not a crash dump: starts with {0}")]
    NotADump(String),
    /// It is something else that people hand over by mistake.
    #[error("{0}")]
    Mistaken(&'static str),
    /// It is a dump of a format, or of a machine, that cannot be read.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Its headers contradict themselves.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// Several files were given that are not the parts of one split dump.
    #[error("{0}")]
    NotOneDump(&'static str),
}
