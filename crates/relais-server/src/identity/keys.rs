//! The keys that prove an app's tokens: a shared secret, a public key, a key set that its issuer serves, or several of these.
//!
//! Comes in: a token's text. Goes out: its claims, proved. Each key proves one family of algorithms only, whatever a token's header says:
//! a public key is never taken for a secret. What the claims mean is the app file's business.

use std::sync::Arc;

use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation};
use relais_core::error::Error;
use relais_core::ids::Timestamp;
use serde_json::{Map, Value};

use super::key_set::KeySet;
use super::refused::Refused;

/// Seconds by which clocks may differ.
const LEEWAY_SECONDS: f64 = 5.0;

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What a token is proved with.
#[derive(Default)]
pub struct Keys {
    proofs: Vec<Proof>,
    issuer: Option<String>,
    audience: Option<String>,
    explains: bool,
}

enum Proof {
    /// A key that was given at the start.
    Fixed(DecodingKey),
    /// Keys that the issuer serves.
    Set(Arc<KeySet>),
}

impl Keys {
    /// Tokens signed with a shared secret too: HS256, HS384 and HS512.
    pub fn and_secret(mut self, secret: &str) -> Self {
        let key = DecodingKey::from_secret(secret.as_bytes());
        self.proofs.push(Proof::Fixed(key));
        self
    }

    /// Tokens signed with the private half of this key too: RS and PS with an RSA key, ES with one on P-256 or P-384, EdDSA with Ed25519.
    /// `None`: it is no public key in PEM.
    pub fn and_public(mut self, pem: &str) -> Option<Self> {
        // A private key would do as well, and has no place in a server's settings.
        let pem = Some(pem)
            .filter(|pem| pem.contains("PUBLIC KEY"))?
            .as_bytes();
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .ok()?;
        self.proofs.push(Proof::Fixed(key));
        Some(self)
    }

    /// Tokens that a key of this set has signed too.
    pub fn and_set(mut self, set: Arc<KeySet>) -> Self {
        self.proofs.push(Proof::Set(set));
        self
    }

    /// Only tokens with this `iss` and this `aud`, where they are given.
    pub fn only(mut self, issuer: Option<String>, audience: Option<String>) -> Self {
        (self.issuer, self.audience) = (issuer, audience);
        self
    }

    /// Whether the log says at once why a token was refused, as in development mode; else only where it shows what is for debugging.
    pub fn explaining(mut self, explains: bool) -> Self {
        self.explains = explains;
        self
    }

    /// Proves a token and its times; `now` is wall-clock time. `app` is compared with the claim `app` where the token has one. Waits only
    /// where a key set has to be fetched.
    pub async fn prove(
        &self,
        token: &str,
        app: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Error> {
        let proved = self.proved(token, app, now).await;
        proved.map_err(|refused| {
            match self.explains {
                true => tracing::info!(app, why = %refused, "a token was refused"),
                false => tracing::debug!(app, why = %refused, "a token was refused"),
            }
            refused.answer()
        })
    }

    /// The same, with what the log is told where it proves nothing.
    pub(super) async fn proved(
        &self,
        token: &str,
        app: &str,
        now: Timestamp,
    ) -> Result<Map<String, Value>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong(TOKEN_BYTES_MAX));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::NoToken)?;
        let family = header.alg.family();
        let mut found = None;
        for proof in &self.proofs {
            found = match proof {
                Proof::Fixed(key) if key.family() == family => verified(token, key),
                Proof::Fixed(_) => None,
                Proof::Set(_) if family == AlgorithmFamily::Hmac => None,
                Proof::Set(set) => {
                    let key = set.key(header.kid.as_deref(), header.alg).await;
                    let key = key.map_err(Refused::NoKeySet)?;
                    key.and_then(|key| verified(token, &key))
                }
            };
            if found.is_some() {
                break;
            }
        }
        let claims = found.ok_or(Refused::ForeignKey)?;
        check_times(&claims, now)?;
        self.check_names(&claims)?;
        match claims.get("app") {
            None => Ok(claims),
            Some(Value::String(named)) if named == app => Ok(claims),
            Some(named) => Err(Refused::OtherApp(named.clone())),
        }
    }

    /// `iss` and `aud`.
    fn check_names(&self, claims: &Map<String, Value>) -> Result<(), Refused> {
        let says = |name: &str, wanted: &str| match claims.get(name) {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(many)) => many.iter().any(|one| one == wanted),
            _ => false,
        };
        let issuer = self.issuer.as_ref().map(|wanted| says("iss", wanted));
        let audience = self.audience.as_ref().map(|wanted| says("aud", wanted));
        match (issuer, audience) {
            (Some(false), _) => Err(Refused::OtherIssuer),
            (_, Some(false)) => Err(Refused::OtherAudience),
            _ => Ok(()),
        }
    }
}

/// The claims, if this key has signed them. Times are checked elsewhere, with the caller's clock.
fn verified(token: &str, key: &DecodingKey) -> Option<Map<String, Value>> {
    let mut validation = Validation::new_for_family(key.family());
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation);
    decoded.ok().map(|decoded| decoded.claims)
}

/// `exp`, `nbf` and `iat` are numbers where they are there; a time as text is a token that nobody checked.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refused> {
    let seconds = |name: &'static str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Refused::NoTime(name)),
    };
    let now = now.0 as f64 / 1_000.0;
    seconds("iat")?;
    if seconds("nbf")?.is_some_and(|nbf| now + LEEWAY_SECONDS < nbf) {
        return Err(Refused::NotYet);
    }
    if seconds("exp")?.is_some_and(|exp| now - LEEWAY_SECONDS >= exp) {
        return Err(Refused::Expired);
    }
    Ok(())
}
