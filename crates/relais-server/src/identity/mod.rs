//! Who somebody is: tokens proved, made and found in a request.
//!
//! Comes in: a token's text. Goes out: its claims, proved, or one of `TOKEN_MISSING`, `TOKEN_INVALID`, `TOKEN_EXPIRED`. What the
//! claims mean is the app file's business. Nothing here logs a token or puts one into an error.

mod key_set;
mod keys;
mod pid;
mod refused;
mod token;

use relais_core::error::{Code, Error};
use serde_json::Value;

pub use key_set::KeySet;
pub use keys::Keys;
pub use pid::{Pid, PidKey};
pub use token::{NewToken, sign};

/// Finds the token of a handshake or request: Socket.IO `auth.token`, then `Authorization: Bearer`, then `?token=`.
pub fn find_token(
    auth: Option<&Value>,
    authorization: Option<&str>,
    query: Option<&str>,
) -> Result<String, Error> {
    let from_auth = auth
        .and_then(|auth| auth.get("token"))
        .and_then(Value::as_str);
    let from_header = authorization.and_then(bearer);
    [from_auth, from_header, query]
        .into_iter()
        .flatten()
        .map(|token| token.strip_prefix("Bearer ").unwrap_or(token).trim())
        .find(|token| !token.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| Error::new(Code::TokenMissing, "unable to identify; no token was given"))
}

/// The credential of an `Authorization` header with the scheme `Bearer`, in any case.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, credential) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credential.trim())
}

#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod tests;
