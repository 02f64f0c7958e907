//! Pushes: who is not here is told on their devices, once; what they have read elsewhere is taken back.
//!
//! Comes in: records of the log, as errands that are kept first and carried out one by one. Goes out: pushes to browsers (Web Push), and requests to the
//! team's backend for telephones. Whether somebody is away, has read it, may still see it, is asked right before each attempt. What a
//! browser shows is remembered with its subscription, so that nothing older is shown after it, and nothing taken back that never was
//! there. A kill between the push service's answer and the store's repeats one push under its tag, where it takes its own place.

mod browser;
mod jobs;
mod matter;
mod telephone;
mod vapid;

use std::sync::Arc;

use async_trait::async_trait;
use relais_core::dispatch::Whereabouts;
use relais_core::event::{EventKind, Record};
use relais_core::ids::{AudienceKey, Monotonic, TenantKey, Timestamp, UserId};
use relais_core::outside::{Errand, OutsideChange, Shown, Subscription};
use relais_core::ports::{Membership, Outside, Store, StoreError};
use relais_core::vocabulary::When;

use super::{Backend, Teller, Told};
use crate::clock::Clock;
use crate::glue::apps::Served;
use browser::{Push, TTL_SECONDS, Taken};
use jobs::{Job, Planner, What, browser as browser_of, message_tag};
use matter::{Matter, withdrawal};

pub use browser::Browsers;
pub use vapid::{Vapid, VapidError};

/// How long the backend is not asked because somebody may still come back: the longest grace of a lost connection, and a bit.
const GRACE_MS: i64 = 10_000;

/// The pushes of one app.
pub struct Pushes {
    /// The app, with the door to it.
    pub served: Arc<Served>,
    /// What was said.
    pub store: Arc<dyn Store>,
    /// Who takes pushes where.
    pub outside: Arc<dyn Outside>,
    /// Where the server has a key to push to browsers with.
    pub browsers: Option<Arc<Browsers>>,
    /// Where the team's backend wants to push to telephones.
    pub backend: Option<Arc<Backend>>,
    /// Both clocks.
    pub clock: Clock,
}

#[async_trait]
impl Teller for Pushes {
    fn name(&self) -> &'static str {
        Self::QUEUE
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.served.app.push.follows(kind)
    }

    async fn errands(&self, records: &[Arc<Record>]) -> Result<Vec<Errand>, StoreError> {
        let oldest = self.clock.now().wall.0 - i64::from(TTL_SECONDS) * 1_000;
        let fresh = records.iter().filter(|record| record.at.0 > oldest);
        let Some(first) = records.first() else {
            return Ok(Vec::new());
        };
        let mut planner = Planner::new(self, &first.tenant);
        for record in fresh {
            planner.read(record).await?;
        }
        Ok(planner.finish())
    }

    async fn tell(&self, tenant: &TenantKey, errand: &Errand) -> Told {
        let age_ms = self.clock.now().wall.0 - errand.created_at.0;
        if age_ms > i64::from(TTL_SECONDS) * 1_000 {
            count("late");
            return Told::Done(Vec::new());
        }
        let done = match Job::of(errand) {
            None => return Told::Never("it is no job".to_owned()),
            Some(Job::Show {
                what,
                user,
                browser,
                tag,
                order,
            }) => {
                let shown = Shown { tag, order };
                self.show(tenant, (&user, &browser), &what, shown).await
            }
            Some(Job::Withdraw { user, browser, tag }) => {
                self.withdraw(tenant, (&user, &browser), tag).await
            }
            Some(Job::Request { what, to, except }) => {
                self.request(tenant, errand, &what, (&to, except.as_ref()))
                    .await
            }
        };
        done.unwrap_or_else(|error| Told::Later(error.to_string(), None))
    }

    fn keeps_first(&self) -> bool {
        true
    }

    fn pauses_until(&self) -> Option<Monotonic> {
        None
    }
}

impl Pushes {
    /// The name of the queue.
    pub const QUEUE: &'static str = "push";

    async fn show(
        &self,
        tenant: &TenantKey,
        whose: (&UserId, &str),
        what: &What,
        new: Shown,
    ) -> Result<Told, StoreError> {
        let nothing = Ok(Told::Done(Vec::new()));
        let Some(browsers) = &self.browsers else {
            return nothing;
        };
        let Some(kept) = self.subscription(tenant, whose).await? else {
            return nothing;
        };
        if kept.shown(&new.tag).is_some_and(|shown| shown >= new.order) {
            return nothing;
        }
        match self.whereabouts(tenant, &kept.user, kept.proved_at).await? {
            Whereabouts::Barred => return Ok(Told::Done(vec![forget(&kept)])),
            Whereabouts::Here if self.is_for_who_is_away() => return nothing,
            Whereabouts::Leaving if self.is_for_who_is_away() => return Ok(Told::NotNow),
            Whereabouts::Here | Whereabouts::Leaving | Whereabouts::Away => {}
        }
        let store = self.store.tenant(tenant).await?;
        let Some(matter) = Matter::find(&*store, what, &kept.user).await? else {
            return nothing;
        };
        let words = matter.words(&self.served.app);
        let push = Push {
            payload: words.payload(what, &new.tag),
            tag: &new.tag,
            is_urgent: words.is_urgent || what.kind == EventKind::MessageMentioned,
        };
        let taken = browsers.send(&kept, push).await;
        Ok(told(taken, &kept, "sent", || OutsideChange::Show {
            user: kept.user.clone(),
            endpoint: kept.endpoint.clone(),
            shown: new.clone(),
        }))
    }

    async fn withdraw(
        &self,
        tenant: &TenantKey,
        whose: (&UserId, &str),
        tag: Arc<str>,
    ) -> Result<Told, StoreError> {
        let kept = self.subscription(tenant, whose).await?;
        let shown = kept.filter(|kept| kept.shown(&tag).is_some());
        let (Some(browsers), Some(kept)) = (&self.browsers, shown) else {
            return Ok(Told::Done(Vec::new()));
        };
        let push = Push {
            payload: withdrawal(&tag),
            tag: &tag,
            is_urgent: false,
        };
        let taken = browsers.send(&kept, push).await;
        Ok(told(taken, &kept, "withdrawn", || OutsideChange::Hide {
            user: kept.user.clone(),
            endpoint: kept.endpoint.clone(),
            tag: tag.clone(),
        }))
    }

    async fn subscription(
        &self,
        tenant: &TenantKey,
        (user, browser): (&UserId, &str),
    ) -> Result<Option<Subscription>, StoreError> {
        let users = std::slice::from_ref(user);
        let kept = self.outside.subscriptions(tenant, users).await?;
        let mut kept = kept.into_iter();
        Ok(kept.find(|kept| *browser_of(kept) == *browser))
    }

    fn is_for_who_is_away(&self) -> bool {
        self.served.app.push.when == When::Away
    }

    async fn whereabouts(
        &self,
        tenant: &TenantKey,
        user: &UserId,
        proved_at: Timestamp,
    ) -> Result<Whereabouts, StoreError> {
        let (dispatcher, now) = (&self.served.dispatcher, self.clock.now());
        let found = dispatcher.whereabouts(tenant, user, proved_at, now).await;
        found.map_err(|error| StoreError::Unavailable {
            reason: error.message,
        })
    }

    /// Asks the backend to push to the telephones of those who are away.
    async fn request(
        &self,
        tenant: &TenantKey,
        errand: &Errand,
        what: &What,
        (to, except): (&[AudienceKey], Option<&UserId>),
    ) -> Result<Told, StoreError> {
        let Some(backend) = &self.backend else {
            return Ok(Told::Done(Vec::new()));
        };
        let now = self.clock.now().wall;
        let may_wait = now.0 - errand.created_at.0 < GRACE_MS;
        let store = self.store.tenant(tenant).await?;
        let (mut users, mut first) = (Vec::new(), None);
        for user in self.people(tenant, to, except).await? {
            // Nothing was proved here: who is barred has no telephone that counts, and the backend knows it.
            match self.whereabouts(tenant, &user, now).await? {
                Whereabouts::Here if self.is_for_who_is_away() => continue,
                Whereabouts::Leaving if self.is_for_who_is_away() && may_wait => {
                    return Ok(Told::NotNow);
                }
                _ => {}
            }
            if let Some(matter) = Matter::find(&*store, what, &user).await? {
                first.get_or_insert(matter);
                users.push(user);
            }
        }
        let Some(matter) = first else {
            return Ok(Told::Done(Vec::new()));
        };
        let tag = self.tag(&matter);
        let mut words = matter.words(&self.served.app);
        words.is_urgent |= what.kind == EventKind::MessageMentioned;
        for (part, users) in users.chunks(telephone::USERS_MAX).enumerate() {
            let id = format!("msg_{}_{part}", errand.id.0.simple());
            let body = telephone::request(tenant, users, (what, &words, &tag), now);
            match backend.tell(&id, &body).await {
                Told::Done(_) => count("requested"),
                other => return Ok(other),
            }
        }
        Ok(Told::Done(Vec::new()))
    }

    fn tag(&self, matter: &Matter) -> Arc<str> {
        match matter {
            Matter::Notification(found) => format!("notification:{}", found.notification.id).into(),
            Matter::Message(message) => {
                let room = message.conversation.room();
                message_tag(&self.served.app, room, Some(&message.sender.id))
            }
        }
    }

    /// Everybody whom these keys name, as far as they are known.
    async fn people(
        &self,
        tenant: &TenantKey,
        to: &[AudienceKey],
        except: Option<&UserId>,
    ) -> Result<Vec<UserId>, StoreError> {
        let store = self.store.tenant(tenant).await?;
        let mut users = Vec::new();
        for key in to {
            match key {
                AudienceKey::User(user) => users.push(user.clone()),
                AudienceKey::Room(room) => {
                    let people = store.people(room).await?.into_iter();
                    let belong = people.filter(|one| one.membership != Membership::Removed);
                    users.extend(belong.map(|one| one.person.id));
                }
                AudienceKey::Tenant | AudienceKey::Role(_) => {}
            }
        }
        users.sort();
        users.dedup();
        users.retain(|user| Some(user) != except);
        Ok(users)
    }
}

/// What is to be kept of what a push service made of a push.
fn told(
    taken: Taken,
    kept: &Subscription,
    outcome: &'static str,
    change: impl FnOnce() -> OutsideChange,
) -> Told {
    match taken {
        Taken::Yes => {
            count(outcome);
            Told::Done(vec![change()])
        }
        Taken::Gone => {
            count("gone");
            Told::Done(vec![forget(kept)])
        }
        Taken::Later(reason, wait) => {
            count("failed");
            Told::Later(reason, wait)
        }
        Taken::Never(reason) => {
            count("failed");
            Told::Never(reason)
        }
    }
}

fn forget(kept: &Subscription) -> OutsideChange {
    OutsideChange::Unsubscribe {
        user: kept.user.clone(),
        endpoint: kept.endpoint.clone(),
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("relais_pushes_total", "outcome" => outcome).increment(1);
}
