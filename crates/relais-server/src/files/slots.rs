//! How many uploads are under way: of all, of one tenant, of one user.
//!
//! Comes in: who wants to send a file. Goes out: a [`Slot`], taken until it is dropped, or the refusal. Nobody can take all of them: not one
//! user, not one tenant. The team's backend counts as its tenant.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_core::error::{Code, Error};
use relais_core::ids::{TenantKey, UserId};

/// Uploads at once.
const ALL_MAX: usize = 32;
/// Of them, those of one tenant.
const TENANT_MAX: usize = 16;
/// Of them, those of one user.
const USER_MAX: usize = 4;
/// When to try again.
const RETRY_MS: u64 = 1_000;

/// Who has which; as many entries as there are uploads, at most.
#[derive(Default)]
struct Held {
    all: usize,
    tenants: HashMap<TenantKey, usize>,
    users: HashMap<(TenantKey, UserId), usize>,
}

/// All slots.
#[derive(Default)]
pub struct Slots(Arc<Mutex<Held>>);

/// One upload under way.
pub struct Slot {
    held: Arc<Mutex<Held>>,
    tenant: TenantKey,
    user: Option<UserId>,
}

impl Slots {
    /// Takes one for a user, or for the backend of a tenant.
    ///
    /// Errors: `RATE_LIMITED` (this user sends too many at once), `OVERLOADED` (the tenant or everybody does).
    pub fn take(&self, tenant: &TenantKey, user: Option<&UserId>) -> Result<Slot, Error> {
        let user = user.cloned();
        let of_user = user.clone().map(|user| (tenant.clone(), user));
        let mut held = locked(&self.0);
        let is_full = |taken: Option<&usize>, max| taken.is_some_and(|taken| *taken >= max);
        if let Some(of_user) = &of_user
            && is_full(held.users.get(of_user), USER_MAX)
        {
            let text = format!("unable to take the file; a user sends {USER_MAX} at once at most");
            return Err(Error::rate_limited(text, RETRY_MS));
        }
        if held.all >= ALL_MAX || is_full(held.tenants.get(tenant), TENANT_MAX) {
            let text = "unable to take the file; too many come at once";
            return Err(Error {
                retry_after_ms: Some(RETRY_MS),
                ..Error::new(Code::Overloaded, text)
            });
        }
        held.all += 1;
        *held.tenants.entry(tenant.clone()).or_default() += 1;
        if let Some(of_user) = of_user {
            *held.users.entry(of_user).or_default() += 1;
        }
        Ok(Slot {
            held: self.0.clone(),
            tenant: tenant.clone(),
            user,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        held.all -= 1;
        give_back(&mut held.tenants, self.tenant.clone());
        if let Some(user) = self.user.take() {
            give_back(&mut held.users, (self.tenant.clone(), user));
        }
    }
}

fn locked(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantKey {
        TenantKey::new("app", name)
    }

    #[test]
    fn neither_a_user_nor_a_tenant_takes_all_and_what_is_given_back_can_be_taken_again() {
        let slots = Slots::default();
        let take = |of: &str, user: &str| slots.take(&tenant(of), Some(&UserId::text(user)));
        let mut held: Vec<Slot> = (0..4)
            .map(|_| take("a", "ann").expect("her four"))
            .collect();
        let refused = take("a", "ann").map(drop).expect_err("a fifth");
        assert_eq!(refused.code, Code::RateLimited);
        assert_eq!(refused.retry_after_ms, Some(1_000));
        held.push(take("b", "ann").expect("of the same name, elsewhere"));
        for user in ["bob", "cid", "dan"] {
            held.extend((0..4).map(|_| take("a", user).expect("theirs")));
        }
        let refused = take("a", "eve").map(drop).expect_err("the tenant's 17th");
        assert_eq!(refused.code, Code::Overloaded);
        assert_eq!(
            slots
                .take(&tenant("a"), None)
                .map(drop)
                .expect_err("too")
                .code,
            Code::Overloaded
        );
        let backend = |of| slots.take(&tenant(of), None).expect("its own");
        held.extend((0..15).map(|_| backend("b")));
        assert!(take("c", "eve").is_err(), "32 of all");
        held.remove(0);
        held.push(take("a", "eve").expect("there is room again"));
        drop(held);
        let all = locked(&slots.0);
        assert!(all.all == 0 && all.tenants.is_empty() && all.users.is_empty());
    }
}
