//! Everything that can end a run, in one enum: a figure is either true or not printed.

use crate::wire::WireError;

/// Why a run ended without figures.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A system call failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The server sent what the generator does not understand.
    #[error("connection {index}: {source}")]
    Wire {
        /// Number of the connection.
        index: usize,
        /// What was wrong.
        source: WireError,
    },
    /// The server closed a connection, or refused it.
    #[error("connection {index} closed while {phase}: {reason}")]
    Closed {
        /// Number of the connection.
        index: usize,
        /// How far the connection had come.
        phase: &'static str,
        /// Close reason, status line or refusal, as the server wrote it.
        reason: String,
    },
    /// A step took longer than it may.
    #[error("gave up waiting for {what}: {have} of {want} after {seconds} s")]
    Stalled {
        /// What was awaited.
        what: &'static str,
        /// How many had come.
        have: u64,
        /// How many were wanted.
        want: u64,
        /// How long it waited.
        seconds: u64,
    },
    /// The server's process could not be started, built or read.
    #[error("{what}: {reason}")]
    Process {
        /// Which command or file.
        what: String,
        /// Why not.
        reason: String,
    },
}

impl LoadError {
    /// Names what was being done when a system call failed.
    pub fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
