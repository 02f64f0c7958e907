//! A key set (JWKS, RFC 7517) that an issuer serves at an address: fetched when it is first needed, kept, and fetched again when it is old
//! or when a token names a key that is not in it.
//!
//! One set belongs to one app's issuer and address, so that no key of one ever proves a token of another. Whoever sends tokens with
//! made-up key ids causes one fetch in [`ASK_AGAIN`] at most. An issuer that cannot be reached does not end what is known. Fetching
//! runs on the runtime of HTTP, never on a shard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use relais_core::error::{Code, Error};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::outgoing::{Ask, Outgoing};

/// A set this old is fetched again, while what is known goes on counting.
const FRESH: Duration = Duration::from_secs(600);
/// What is known counts no longer than this without its issuer.
const KEPT: Duration = Duration::from_secs(86_400);
/// Between two fetches at least.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Until the issuer has answered.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest set.
const SET_BYTES_MAX: usize = 256 * 1024;
/// Keys of a set that are looked at.
const KEYS_MAX: usize = 64;

/// The keys of one issuer.
pub struct KeySet {
    address: String,
    outgoing: Outgoing,
    runtime: Handle,
    known: Mutex<Known>,
    /// Held while it is fetched, so that all who wait for a key wait for one fetch.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Keys,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// By key id; keys without one under the empty id.
type Keys = Arc<HashMap<String, Vec<Key>>>;

struct Key {
    decoding: Arc<DecodingKey>,
    /// The one algorithm that the issuer uses it with, where it says so.
    only: Option<String>,
}

impl KeySet {
    /// The set at an address. Nothing is fetched yet.
    pub fn new(address: &str, outgoing: Outgoing, runtime: Handle) -> Self {
        Self {
            address: address.to_owned(),
            outgoing,
            runtime,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The key with this id, or the only one that fits where the token names none. `None`: the issuer has no such key.
    ///
    /// Errors: `UNAVAILABLE` where nothing is known and the issuer does not answer.
    pub async fn key(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<DecodingKey>>, Error> {
        let now = Instant::now();
        let (found, age) = self.look(id, algorithm, now);
        match (found, age) {
            (Some(key), Some(age)) if age < FRESH => return Ok(Some(key)),
            (Some(key), Some(age)) if age < KEPT => {
                // Somebody may be at it already; this one need not wait for it.
                let set = self.clone();
                self.runtime.spawn(async move { set.fetch(now).await });
                return Ok(Some(key));
            }
            _ => {}
        }
        let set = self.clone();
        let fetched = self.runtime.spawn(async move { set.fetch(now).await });
        let _ = fetched.await;
        match self.look(id, algorithm, now) {
            (_, None) => Err(Error::new(
                Code::Unavailable,
                "unable to identify; the issuer's keys cannot be reached now",
            )),
            (_, Some(age)) if age >= KEPT => Err(Error::new(
                Code::Unavailable,
                "unable to identify; the issuer's keys are too old",
            )),
            (found, _) => Ok(found),
        }
    }

    fn look(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Instant,
    ) -> (Option<Arc<DecodingKey>>, Option<Duration>) {
        let known = self.known();
        let age = known.fetched.map(|at| now.saturating_duration_since(at));
        let fits = |key: &&Key| {
            let named = format!("{algorithm:?}");
            key.decoding.family() == algorithm.family()
                && key.only.as_ref().is_none_or(|only| *only == named)
        };
        let found = match id {
            Some(id) => known.keys.get(id).and_then(|keys| keys.iter().find(fits)),
            None => {
                let mut fitting = known.keys.values().flatten().filter(fits);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        (found.map(|key| key.decoding.clone()), age)
    }

    /// Fetches the set, unless that was tried a moment ago.
    async fn fetch(&self, asked: Instant) {
        let _one = self.fetching.lock().await;
        {
            let mut known = self.known();
            let recently = known.tried.is_some_and(|at| {
                at >= asked || Instant::now().saturating_duration_since(at) < ASK_AGAIN
            });
            if recently {
                return;
            }
            known.tried = Some(Instant::now());
        }
        match self.read().await {
            Ok(keys) => {
                let mut known = self.known();
                known.keys = Arc::new(keys);
                known.fetched = Some(Instant::now());
            }
            Err(reason) => tracing::warn!(%reason, "unable to fetch the issuer's keys"),
        }
    }

    async fn read(&self) -> Result<HashMap<String, Vec<Key>>, String> {
        let ask = Ask {
            method: Method::GET,
            url: &self.address,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: ANSWER_TIMEOUT,
            bytes_max: SET_BYTES_MAX,
        };
        let answer = self
            .outgoing
            .ask(ask)
            .await
            .map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status));
        }
        let set: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("the answer is not JSON: {error}"))?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or("the answer is no key set")?;
        Ok(public_keys(keys))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The public keys for signatures. Whatever else an issuer serves is left alone: a secret has no place in a public set.
fn public_keys(keys: &[Value]) -> HashMap<String, Vec<Key>> {
    let mut found: HashMap<String, Vec<Key>> = HashMap::new();
    for key in keys.iter().take(KEYS_MAX) {
        let Ok(jwk) = serde_json::from_value::<Jwk>(key.clone()) else {
            continue;
        };
        let signs = matches!(
            jwk.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        let Some(decoding) = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs) else {
            continue;
        };
        if decoding.family() == AlgorithmFamily::Hmac {
            continue;
        }
        let key = Key {
            decoding: Arc::new(decoding),
            only: key.get("alg").and_then(Value::as_str).map(str::to_owned),
        };
        let id = jwk.common.key_id.unwrap_or_default();
        found.entry(id).or_default().push(key);
    }
    found
}
