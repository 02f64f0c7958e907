//! Tokens that Relais makes itself: `relais token create` and the demo users of development mode. HS256.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value};

/// What a new token says.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// Claims as they will stand in the token; `iat` and `exp` are added.
    pub claims: Map<String, Value>,
    /// How long it is good for, in seconds; `None`: for ever.
    pub ttl_seconds: Option<i64>,
}

/// Signs a token; `now` is in seconds since 1970.
pub fn sign(
    token: NewToken,
    secret: &str,
    now_seconds: i64,
) -> Result<String, jsonwebtoken::errors::Error> {
    let mut claims = token.claims;
    claims.insert("iat".to_owned(), now_seconds.into());
    if let Some(ttl) = token.ttl_seconds {
        claims.insert("exp".to_owned(), now_seconds.saturating_add(ttl).into());
    }
    jsonwebtoken::encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
}
