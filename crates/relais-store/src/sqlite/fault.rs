//! What SQLite's failures mean to callers, and what can be wrong with a database when it is opened.
//!
//! No space is told apart from everything else, because it heals by itself and nothing was done.

use std::path::PathBuf;

use relais_core::ports::StoreError;
use rusqlite::{ErrorCode, ffi};

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite library that was linked has a bug that can lose a write-ahead log.
    #[error("SQLite {found} is too old; at least {needed} is needed")]
    LibraryTooOld {
        /// The version that was linked.
        found: &'static str,
        /// The oldest one without the bug.
        needed: &'static str,
    },
    /// Another process serves from this database: its heads live in that process's memory.
    #[error("unable to open {}; another process is using it", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A newer version of Relais wrote this database.
    #[error("unable to open {}; its schema is version {found}, this program knows {known}", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// What it says.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is a SQLite database of some other program.
    #[error("unable to open {}; it is not a database of Relais", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged or no database at all.
    #[error("unable to open {}; it is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The file or its folder cannot be used.
    #[error("unable to open {}; {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite failed in another way.
    #[error("unable to open {}; {reason}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl OpenError {
    /// What SQLite's error means while `path` is opened.
    pub(super) fn new(path: &std::path::Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, reason }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            _ => Self::Sqlite { path, reason },
        }
    }
}

/// What SQLite's error means to a caller of the store.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    if is_full(error) {
        return StoreError::Full;
    }
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure,
        ) => StoreError::Unavailable { reason },
        _ => StoreError::Failed { reason },
    }
}

/// A failed write has the same cure as a full disk, and as little effect: the frames of the transaction are not
/// followed by a commit. A failed sync is another matter, since they may be.
fn is_full(error: &rusqlite::Error) -> bool {
    let Some(failure) = error.sqlite_error() else {
        return false;
    };
    failure.code == ErrorCode::DiskFull
        || matches!(
            failure.extended_code,
            ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE
        )
}

/// A failure of our own, for the log.
pub(super) fn failed(reason: impl Into<String>) -> StoreError {
    StoreError::Failed {
        reason: reason.into(),
    }
}

/// The writer is gone, or is on its way.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable {
        reason: "the store is closed".to_owned(),
    }
}
