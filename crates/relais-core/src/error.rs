//! The one table of public error codes, and the error that carries one to a client.
//!
//! Each code has its retry advice, HTTP status and (where a connection ends with it) WebSocket close code here and
//! nowhere else; the match has no wildcard, so a new code cannot be forgotten.

use serde::Serialize;

/// A public error code, as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The payload does not fit the event's schema.
    InvalidPayload,
    /// The app declares no such event.
    UnknownEvent,
    /// The role may not do that.
    Forbidden,
    /// The user is not a participant of the room.
    NotAMember,
    /// The session has not joined the room.
    NotInRoom,
    /// There is no such thing, or none that this user may see.
    NotFound,
    /// The address is there, and does not know this HTTP method; the header `allow` has those that it knows.
    MethodNotAllowed,
    /// The thing is in a state that does not allow it.
    InvalidState,
    /// The temporary id was used before with another body.
    IdempotencyConflict,
    /// Too many of these in a short time; `retryAfterMs` says when to try again.
    RateLimited,
    /// The payload is larger than a limit.
    TooLarge,
    /// The server has more work queued than it takes on.
    Overloaded,
    /// The disk is full: reads work, writes do not.
    StorageFull,
    /// A part of the server that this needs is not there now.
    Unavailable,
    /// Something that should not happen; the log has it.
    Internal,
    /// No token came with the connection or request.
    TokenMissing,
    /// The token is not one of ours.
    TokenInvalid,
    /// The token was good and has run out.
    TokenExpired,
    /// The app has tenants, and the token names none.
    TenantRequired,
}

/// What follows from a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name on the wire.
    pub name: &'static str,
    /// Whether sending the same again may succeed.
    pub retryable: bool,
    /// Status of an HTTP answer.
    pub http_status: u16,
    /// WebSocket close code where the connection ends with it.
    pub close_code: Option<u16>,
}

impl Code {
    /// All codes, for documents and tests.
    pub const ALL: [Code; 19] = [
        Code::InvalidPayload,
        Code::UnknownEvent,
        Code::Forbidden,
        Code::NotAMember,
        Code::NotInRoom,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::InvalidState,
        Code::IdempotencyConflict,
        Code::RateLimited,
        Code::TooLarge,
        Code::Overloaded,
        Code::StorageFull,
        Code::Unavailable,
        Code::Internal,
        Code::TokenMissing,
        Code::TokenInvalid,
        Code::TokenExpired,
        Code::TenantRequired,
    ];

    /// The table.
    pub const fn row(self) -> Row {
        const fn row(
            name: &'static str,
            retryable: bool,
            http_status: u16,
            close_code: Option<u16>,
        ) -> Row {
            Row {
                name,
                retryable,
                http_status,
                close_code,
            }
        }
        match self {
            Code::InvalidPayload => row("INVALID_PAYLOAD", false, 400, None),
            Code::UnknownEvent => row("UNKNOWN_EVENT", false, 404, None),
            Code::Forbidden => row("FORBIDDEN", false, 403, None),
            Code::NotAMember => row("NOT_A_MEMBER", false, 403, None),
            Code::NotInRoom => row("NOT_IN_ROOM", false, 409, None),
            Code::NotFound => row("NOT_FOUND", false, 404, None),
            Code::MethodNotAllowed => row("METHOD_NOT_ALLOWED", false, 405, None),
            Code::InvalidState => row("INVALID_STATE", false, 409, None),
            Code::IdempotencyConflict => row("IDEMPOTENCY_CONFLICT", false, 409, None),
            Code::RateLimited => row("RATE_LIMITED", true, 429, Some(1008)),
            Code::TooLarge => row("TOO_LARGE", false, 413, Some(1009)),
            Code::Overloaded => row("OVERLOADED", true, 503, Some(1013)),
            Code::StorageFull => row("STORAGE_FULL", true, 507, None),
            Code::Unavailable => row("UNAVAILABLE", true, 503, Some(1013)),
            Code::Internal => row("INTERNAL", false, 500, Some(1011)),
            Code::TokenMissing => row("TOKEN_MISSING", false, 401, Some(1008)),
            Code::TokenInvalid => row("TOKEN_INVALID", false, 401, Some(1008)),
            Code::TokenExpired => row("TOKEN_EXPIRED", false, 401, Some(1008)),
            Code::TenantRequired => row("TENANT_REQUIRED", false, 401, Some(1008)),
        }
    }
}

/// Why a command was refused, in the form that a client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The public code.
    pub code: Code,
    /// A sentence such as "unable to join room; not a member". It never holds a secret or another tenant's data.
    pub message: String,
    /// For [`Code::RateLimited`] and [`Code::Overloaded`]: when to try again, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

/// When to try again what an overloaded server refused: about twice as long as it lets work wait.
const OVERLOADED_RETRY_MS: u64 = 1_000;

impl Error {
    /// An error with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: (code == Code::Overloaded).then_some(OVERLOADED_RETRY_MS),
        }
    }

    /// A refusal by a rate limit.
    pub fn rate_limited(message: impl Into<String>, retry_after_ms: u64) -> Self {
        Self {
            code: Code::RateLimited,
            message: message.into(),
            retry_after_ms: Some(retry_after_ms),
        }
    }

    /// The JSON object of acks and `error` events: `{code, message, retryable, retryAfterMs?}`.
    pub fn to_json(&self) -> serde_json::Value {
        let row = self.code.row();
        let mut object = serde_json::json!({ "code": row.name, "message": self.message, "retryable": row.retryable });
        if let Some(ms) = self.retry_after_ms {
            object["retryAfterMs"] = ms.into();
        }
        object
    }
}
