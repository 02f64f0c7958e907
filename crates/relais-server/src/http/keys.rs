//! API keys: kept as hashes, compared in constant time, and guarded against guessing by a delay that grows for each address (of
//! IPv6, for each network of 64 bits: who has one address has them all).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_core::error::{Code, Error};
use relais_core::limit::network;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::settings::Limits;

/// Addresses whose failures are remembered at once.
const ADDRESSES_MAX: usize = 4_096;

/// The keys of the team's backend.
pub struct ApiKeys {
    hashes: Vec<[u8; 32]>,
    /// Failures that cost nothing.
    guesses_max: u32,
    delay_ms_max: u64,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    /// Monotonic milliseconds before which nothing is compared.
    blocked_until_ms: u64,
}

impl ApiKeys {
    /// Keeps the hashes of `keys`.
    pub fn new(keys: &[String], limits: &Limits) -> Self {
        let hashes = keys
            .iter()
            .map(|key| Sha256::digest(key.as_bytes()).into())
            .collect();
        Self {
            hashes,
            guesses_max: limits.key_guesses_max,
            delay_ms_max: limits.key_delay_ms_max,
            failures: Mutex::new(HashMap::new()),
        }
    }

    /// Whether `presented` is a key. A wrong one is counted only by [`Self::failed`]: it may be a user's token.
    pub fn matches(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        self.hashes.iter().fold(false, |found, hash| {
            found | bool::from(hash.ct_eq(&presented))
        })
    }

    /// Refuses an address that has guessed too often, until its delay is over.
    pub fn check_delay(&self, peer: IpAddr, now_ms: u64) -> Result<(), Error> {
        match self.failures().get(&network(peer)) {
            Some(failure) if failure.blocked_until_ms > now_ms => Err(Error::rate_limited(
                "unable to identify; too many wrong credentials",
                failure.blocked_until_ms - now_ms,
            )),
            _ => Ok(()),
        }
    }

    /// Counts a wrong credential: after those that are free, each one doubles the delay, up to the longest.
    pub fn failed(&self, peer: IpAddr, now_ms: u64) -> Error {
        let peer = network(peer);
        let mut failures = self.failures();
        if failures.len() >= ADDRESSES_MAX && !failures.contains_key(&peer) {
            failures.retain(|_, failure| failure.blocked_until_ms + self.delay_ms_max > now_ms);
            if failures.len() >= ADDRESSES_MAX {
                failures.clear();
            }
        }
        let failure = failures.entry(peer).or_insert(Failures {
            count: 0,
            blocked_until_ms: now_ms,
        });
        failure.count = failure.count.saturating_add(1);
        let doublings = failure.count.saturating_sub(self.guesses_max).min(16);
        let delay_ms = if doublings == 0 {
            0
        } else {
            (250_u64 << doublings).min(self.delay_ms_max)
        };
        failure.blocked_until_ms = now_ms + delay_ms;
        Error::new(
            Code::TokenInvalid,
            "unable to identify; neither an API key nor a token",
        )
    }

    /// Forgets an address's failures after a right credential.
    pub fn succeeded(&self, peer: IpAddr) {
        self.failures().remove(&network(peer));
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE_FAILURES: u32 = 5;
    const DELAY_MS_MAX: u64 = 60_000;

    fn keys_of(keys: &[&str]) -> ApiKeys {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        ApiKeys::new(&keys, &Limits::defaults())
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn only_a_whole_key_matches() {
        let keys = keys_of(&["first-key-of-the-backend", "second-key-of-the-backend"]);
        assert!(
            keys.matches("first-key-of-the-backend") && keys.matches("second-key-of-the-backend")
        );
        for wrong in [
            "",
            "first-key-of-the-backen",
            "first-key-of-the-backend ",
            "third",
        ] {
            assert!(!keys.matches(wrong), "{wrong}");
        }
        assert!(!keys_of(&[]).matches(""));
    }

    #[test]
    fn another_address_of_the_same_ipv6_network_does_not_begin_anew() {
        let keys = keys_of(&[]);
        let peer = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        for guess in 0..10 {
            keys.failed(peer(guess), 0);
        }
        keys.check_delay(peer(99), 0).expect_err("delayed");
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1]);
        keys.check_delay(elsewhere, 0).expect("somebody else");
    }

    #[test]
    fn guessing_is_delayed_more_and_more_and_a_right_key_ends_it() {
        let keys = keys_of(&[]);
        for _ in 0..FREE_FAILURES {
            keys.failed(PEER, 0);
            keys.check_delay(PEER, 0).expect("the first ones are free");
        }
        let mut delays = Vec::new();
        for _ in 0..10 {
            keys.failed(PEER, 0);
            delays.push(
                keys.check_delay(PEER, 0)
                    .expect_err("delayed")
                    .retry_after_ms
                    .expect("says when"),
            );
        }
        assert_eq!(&delays[..4], &[500, 1_000, 2_000, 4_000]);
        assert_eq!(delays[9], DELAY_MS_MAX);
        keys.check_delay(PEER, DELAY_MS_MAX).expect("over");
        keys.succeeded(PEER);
        keys.check_delay(PEER, 0).expect("forgotten");
    }
}
