//! Who somebody is: tokens proved, made and found in a request.
//!
//! Comes in: a token's text. Goes out: its claims, proved, or one of `TOKEN_MISSING`, `TOKEN_INVALID`, `TOKEN_EXPIRED`. What the
//! claims mean is the app file's business. Nothing here logs a token or puts one into an error.

mod pid;
mod token;

use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation};
use relais_core::error::{Code, Error};
use relais_core::ids::Timestamp;
use serde_json::{Map, Value};

pub use pid::{Pid, PidKey};
pub use token::{NewToken, sign};

/// Seconds by which clocks may differ.
const LEEWAY_SECONDS: f64 = 5.0;

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The key that proves tokens. Each variant allows one algorithm family only, whatever a token's header says.
pub enum Keys {
    /// A shared secret: HS256, HS384 and HS512.
    Secret(DecodingKey),
}

impl Keys {
    /// Tokens signed with a shared secret.
    pub fn secret(secret: &str) -> Self {
        Self::Secret(DecodingKey::from_secret(secret.as_bytes()))
    }

    /// Proves a token and its times; `now` is wall-clock time. `app` is compared with the claim `app` where the token has one.
    pub fn prove(
        &self,
        token: &str,
        app: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Error> {
        let invalid = || {
            Error::new(
                Code::TokenInvalid,
                "unable to identify; the token is not valid here",
            )
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid());
        }
        let Self::Secret(key) = self;
        let mut validation = Validation::new_for_family(AlgorithmFamily::Hmac);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation)
            .map_err(|_| invalid())?
            .claims;
        check_times(&claims, now)?;
        match claims.get("app") {
            None => Ok(claims),
            Some(Value::String(named)) if named == app => Ok(claims),
            Some(_) => Err(invalid()),
        }
    }
}

/// `exp`, `nbf` and `iat` are numbers where they are there; a time as text is a token that nobody checked.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Error> {
    let seconds = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Error::new(
                Code::TokenInvalid,
                format!("unable to identify; the token's {name} is not a number"),
            )),
        },
    };
    let now = now.0 as f64 / 1_000.0;
    seconds("iat")?;
    if seconds("nbf")?.is_some_and(|nbf| now + LEEWAY_SECONDS < nbf) {
        return Err(Error::new(
            Code::TokenInvalid,
            "unable to identify; the token is not valid yet",
        ));
    }
    if seconds("exp")?.is_some_and(|exp| now - LEEWAY_SECONDS >= exp) {
        return Err(Error::new(
            Code::TokenExpired,
            "unable to identify; the token has expired",
        ));
    }
    Ok(())
}

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
mod tests;
