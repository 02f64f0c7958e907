//! What can go wrong with a store, as the core tells it apart. What the public hears of it is the dispatcher's.

/// Why a commit did not happen. Nothing of it is left behind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A precondition no longer holds.
    #[error("a precondition no longer holds")]
    Conflict,
    /// The key was used before with another body.
    #[error("the key was used before with another body")]
    IdempotencyConflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What can go wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More is queued than the store takes on; nothing was done.
    #[error("the store has too much queued")]
    Overloaded,
    /// No space is left; nothing was done.
    #[error("no space is left")]
    Full,
    /// The store cannot be reached now; whether a commit happened is unknown.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// Something else; whether a commit happened is unknown.
    #[error("the store failed: {reason}")]
    Failed {
        /// For the log.
        reason: String,
    },
}
