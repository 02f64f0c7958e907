//! How often: token buckets for sessions, users and addresses.
//!
//! In comes the monotonic time of each event, out go leave or the wait until it would be given. Pure, and bounded: a
//! [`Limiter`] holds so many buckets at most and forgets those that were not used lately, which can only be to the good
//! of who is forgotten. Written by hand instead of taken from a library because time comes from the caller here, and
//! because a bucket is then one number, which a session keeps for itself without any lock.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::ids::{Monotonic, TenantKey, UserId};

/// Users and events that are counted at the same time in one [`UserLimiter`].
const USER_BUCKETS_MAX: usize = 100_000;
/// Addresses that are counted at the same time in one [`ConnectionLimiter`].
const ADDRESS_BUCKETS_MAX: usize = 100_000;

/// So many in such a period, evenly, after a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub count: u32,
    /// In how many milliseconds; at least 1.
    pub period_ms: u64,
    /// How many at once, after a pause; at least 1.
    pub burst: u32,
}

impl Rate {
    /// `count` in `period_ms`, all of them at once if need be.
    pub const fn new(count: u32, period_ms: u64) -> Self {
        Self {
            count,
            period_ms,
            burst: count,
        }
    }

    /// `count` a second with a burst of twice that: 100 a second and 200 is the default of sessions.
    pub const fn per_second(count: u32) -> Self {
        Self {
            count,
            period_ms: 1_000,
            burst: count.saturating_mul(2),
        }
    }

    /// Microseconds in which one token comes back.
    const fn token_us(&self) -> u64 {
        let count = if self.count == 0 { 1 } else { self.count };
        let token_us = self.period_ms.saturating_mul(1_000) / count as u64;
        if token_us == 0 { 1 } else { token_us }
    }
}

/// The tokens of one bucket, kept as the time at which it will be full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tokens {
    full_at_us: u64,
}

impl Tokens {
    /// Gives one token back.
    fn give_back(&mut self, rate: &Rate) {
        self.full_at_us = self.full_at_us.saturating_sub(rate.token_us());
    }

    /// Takes one token, or says in how many milliseconds there will be one.
    fn take(&mut self, rate: &Rate, now: Monotonic) -> Result<(), u64> {
        let now_us = now.0.saturating_mul(1_000);
        let token_us = rate.token_us();
        let missing_us = self.full_at_us.saturating_sub(now_us);
        let capacity_us = token_us.saturating_mul(u64::from(rate.burst.max(1)));
        let missing_then_us = missing_us.saturating_add(token_us);
        if missing_then_us > capacity_us {
            return Err((missing_then_us - capacity_us).div_ceil(1_000));
        }
        self.full_at_us = now_us.saturating_add(missing_then_us);
        Ok(())
    }
}

/// One bucket on its own: a session has one for its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    rate: Rate,
    tokens: Tokens,
}

impl TokenBucket {
    /// A full bucket.
    pub const fn new(rate: Rate) -> Self {
        let tokens = Tokens { full_at_us: 0 };
        Self { rate, tokens }
    }

    /// Takes one token, or says in how many milliseconds there will be one.
    pub fn take(&mut self, now: Monotonic) -> Result<(), u64> {
        self.tokens.take(&self.rate, now)
    }
}

/// Buckets by key, at most `max` of them. When half of that many were used since the last turn, those that were not are
/// forgotten.
#[derive(Debug)]
pub struct Limiter<K> {
    recent: HashMap<K, Tokens>,
    older: HashMap<K, Tokens>,
    half: usize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// No buckets yet, and never more than `max`.
    pub fn new(max: usize) -> Self {
        Self {
            recent: HashMap::new(),
            older: HashMap::new(),
            half: (max / 2).max(1),
        }
    }

    /// Takes one token of the key's bucket, or says in how many milliseconds there will be one.
    pub fn take(&mut self, key: &K, rate: &Rate, now: Monotonic) -> Result<(), u64> {
        if let Some(tokens) = self.recent.get_mut(key) {
            return tokens.take(rate, now);
        }
        let mut tokens = self.older.remove(key).unwrap_or_default();
        let taken = tokens.take(rate, now);
        if self.recent.len() >= self.half {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(key.clone(), tokens);
        taken
    }

    /// Gives one token back that was taken; the bucket of a key that is forgotten is full anyway.
    pub fn give_back(&mut self, key: &K, rate: &Rate) {
        let known = self.recent.get_mut(key).or(self.older.get_mut(key));
        if let Some(tokens) = known {
            tokens.give_back(rate);
        }
    }

    /// How many buckets there are.
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Limits that an app declares for single events of one user, over all of the user's sessions and HTTP.
#[derive(Debug)]
pub struct UserLimiter {
    buckets: Mutex<Limiter<(TenantKey, UserId, Arc<str>)>>,
}

impl Default for UserLimiter {
    fn default() -> Self {
        Self {
            buckets: Mutex::new(Limiter::new(USER_BUCKETS_MAX)),
        }
    }
}

impl UserLimiter {
    /// Counts one `subject` (an event of the app) of a user, or refuses it with `RATE_LIMITED` and `retryAfterMs`.
    pub fn take(
        &self,
        tenant: &TenantKey,
        user: &UserId,
        subject: &Arc<str>,
        rate: &Rate,
        now: Monotonic,
    ) -> Result<(), Error> {
        let key = (tenant.clone(), user.clone(), subject.clone());
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(&key, rate, now).map_err(|retry_after_ms| {
            let text = format!("too many of {subject} from this user");
            Error::rate_limited(text, retry_after_ms)
        })
    }
}

/// Connections of one address. IPv6 addresses count by their first 64 bits, which is what one customer has.
#[derive(Debug)]
pub struct ConnectionLimiter {
    rate: Rate,
    buckets: Mutex<Limiter<IpAddr>>,
}

impl ConnectionLimiter {
    /// The default is [`Rate::new`]`(100, 60_000)`: 100 a minute.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::new(Limiter::new(ADDRESS_BUCKETS_MAX)),
        }
    }

    /// Counts one connection, or says in how many milliseconds one more is let in.
    pub fn take(&self, address: IpAddr, now: Monotonic) -> Result<(), u64> {
        let key = network(address);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(&key, &self.rate, now)
    }

    /// The connection was none that counts: a session has come back over it.
    pub fn give_back(&self, address: IpAddr) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.give_back(&network(address), &self.rate);
    }
}

/// What is counted as one address: IPv6 addresses by their first 64 bits, mapped IPv4 as IPv4.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut TokenBucket, times: usize, at_ms: u64) -> usize {
        (0..times)
            .filter(|_| bucket.take(Monotonic(at_ms)).is_ok())
            .count()
    }

    #[test]
    fn a_session_has_a_burst_of_200_and_then_100_events_a_second() {
        let mut bucket = TokenBucket::new(Rate::per_second(100));
        assert_eq!(taken(&mut bucket, 500, 1_000), 200);
        assert_eq!(taken(&mut bucket, 500, 2_000), 100);
        assert_eq!(taken(&mut bucket, 500, 2_010), 1);
        assert_eq!(taken(&mut bucket, 500, 60_000), 200);
    }

    #[test]
    fn a_refusal_says_when_to_try_again_and_then_it_works() {
        let mut bucket = TokenBucket::new(Rate::new(50, 60_000));
        assert_eq!(taken(&mut bucket, 50, 0), 50);
        let wait = bucket.take(Monotonic(0)).unwrap_err();
        assert_eq!(wait, 1_200);
        assert_eq!(bucket.take(Monotonic(wait - 1)), Err(1));
        assert_eq!(bucket.take(Monotonic(wait)), Ok(()));
    }

    #[test]
    fn one_users_limit_is_not_anothers_nor_another_events_nor_another_tenants() {
        let limiter = UserLimiter::default();
        let rate = Rate::new(1, 60_000);
        let take = |tenant: &str, user: &str, subject: &str| {
            let tenant = TenantKey::new("wedding", tenant);
            let (user, subject) = (UserId::text(user), Arc::from(subject));
            limiter.take(&tenant, &user, &subject, &rate, Monotonic(5))
        };
        assert!(take("t1", "alice", "send_message").is_ok());
        assert!(take("t1", "bob", "send_message").is_ok());
        assert!(take("t1", "alice", "typing").is_ok());
        assert!(take("t2", "alice", "send_message").is_ok());
        let refused = take("t1", "alice", "send_message").unwrap_err();
        assert_eq!(refused.to_json()["code"], "RATE_LIMITED");
        assert_eq!(refused.to_json()["retryAfterMs"], 60_000);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_limit_and_mapped_ipv4_is_ipv4() {
        let limiter = ConnectionLimiter::new(Rate::new(1, 60_000));
        let take = |address: &str| limiter.take(address.parse().unwrap(), Monotonic(0));
        assert!(take("2001:db8::1").is_ok());
        assert!(take("2001:db8::2").is_err());
        assert!(take("2001:db8:0:1::1").is_ok());
        assert!(take("10.0.0.1").is_ok());
        assert!(take("::ffff:10.0.0.1").is_err());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_never_makes_more_than_a_full_bucket() {
        let limiter = ConnectionLimiter::new(Rate::new(2, 60_000));
        let (address, now) = ("10.0.0.1".parse().unwrap(), Monotonic(0));
        assert_eq!(limiter.take(address, now), Ok(()));
        assert_eq!(limiter.take(address, now), Ok(()));
        assert!(limiter.take(address, now).is_err());
        limiter.give_back(address);
        assert_eq!(limiter.take(address, now), Ok(()));
        (0..9).for_each(|_| limiter.give_back(address));
        let taken = (0..9).filter(|_| limiter.take(address, now).is_ok());
        assert_eq!(taken.count(), 2);
    }

    #[test]
    fn a_flood_of_keys_does_not_grow_the_limiter_and_busy_keys_are_not_forgotten() {
        let mut limiter = Limiter::new(100);
        let rate = Rate::new(10, 60_000);
        let mut granted = 0;
        for other in 1..10_000_u32 {
            granted += usize::from(limiter.take(&0, &rate, Monotonic(0)).is_ok());
            let _ = limiter.take(&other, &rate, Monotonic(0));
            assert!(limiter.len() <= 101);
        }
        assert_eq!(granted, 10);
    }
}
