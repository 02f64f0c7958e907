//! What there is to do for pushes, as errands keep it, and which of it follows from the log.
//!
//! Comes in: records. Goes out: errands without a word of what was said: that is read when they are carried out, so that what was deleted or erased
//! meanwhile is not pushed. A browser has one errand for each tag, so that the newest takes the place of what waits, and a withdrawal
//! that of both.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relais_core::event::{EventKind, Facts, Record};
use relais_core::ids::{AudienceKey, Id, RoomKey, TenantKey, UserId};
use relais_core::outside::{Errand, Subscription};
use relais_core::ports::StoreError;
use relais_core::vocabulary::App;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use super::Pushes;
use crate::outside::schedule;

/// Before the id in the tag of a notification.
const NOTIFICATION: &str = "notification:";

/// Something that can be pushed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct What {
    /// A message, a mention in it, or a notification.
    pub kind: EventKind,
    /// Which message or notification.
    pub id: Id,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Job {
    /// Show something in a browser.
    Show {
        /// What.
        what: What,
        /// Whose browser.
        user: UserId,
        /// Which, as [`browser`] calls it.
        browser: Arc<str>,
        /// What it is about.
        tag: Arc<str>,
        /// Grows with what is newer.
        order: u64,
    },
    /// Take back what a browser shows.
    Withdraw {
        /// Whose.
        user: UserId,
        /// Which.
        browser: Arc<str>,
        /// What it is about.
        tag: Arc<str>,
    },
    /// Ask the backend to push something to telephones.
    Request {
        /// What.
        what: What,
        /// To whom.
        to: Vec<AudienceKey>,
        /// Without this one.
        except: Option<UserId>,
    },
}

impl Job {
    /// What an errand is about.
    pub fn of(errand: &Errand) -> Option<Self> {
        serde_json::from_value(Value::Object(errand.data.clone())).ok()
    }

    fn facts(&self) -> Facts {
        match serde_json::to_value(self) {
            Ok(Value::Object(facts)) => facts,
            _ => Facts::new(),
        }
    }
}

/// A subscription as errands call it: its address is nobody's business.
pub fn browser(subscription: &Subscription) -> Arc<str> {
    let hash = Sha256::digest(subscription.endpoint.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash[..12]).into()
}

/// What a message is about, for one who got it: the room, or the other one of the two.
pub fn message_tag(app: &App, room: Option<&RoomKey>, other: Option<&UserId>) -> Arc<str> {
    match (room, other) {
        (Some(room), _) => app.rooms.wire_name(room).into(),
        (None, Some(other)) => format!("direct:{other}").into(),
        (None, None) => "".into(),
    }
}

/// Something that a record says, and whom it is for.
struct News {
    what: What,
    /// The room or the notification; for a direct message, the sender.
    tag: Arc<str>,
    order: u64,
    to: Vec<AudienceKey>,
    except: Option<UserId>,
}

/// Makes the errands of one page of records.
pub struct Planner<'p> {
    pushes: &'p Pushes,
    tenant: &'p TenantKey,
    made: BTreeMap<Id, Errand>,
}

impl<'p> Planner<'p> {
    /// With nothing to do yet.
    pub fn new(pushes: &'p Pushes, tenant: &'p TenantKey) -> Self {
        let made = BTreeMap::new();
        Self {
            pushes,
            tenant,
            made,
        }
    }

    /// All that there is to do.
    pub fn finish(self) -> Vec<Errand> {
        self.made.into_values().collect()
    }

    /// What follows from a record.
    pub async fn read(&mut self, record: &Record) -> Result<(), StoreError> {
        match record.event.kind {
            EventKind::MessageSent | EventKind::MessageMentioned | EventKind::NotifySent => {
                match self.news(record).await? {
                    Some(news) => self.tell(record, news).await,
                    None => Ok(()),
                }
            }
            EventKind::MessageRead => self.message_read(record).await,
            EventKind::NotifyRead => self.notification_read(record).await,
            EventKind::MessageDeleted => self.message_deleted(record).await,
            _ => Ok(()),
        }
    }

    /// What a record says that is to be pushed. Nothing is left of one that was erased.
    async fn news(&self, record: &Record) -> Result<Option<News>, StoreError> {
        let (event, push) = (&record.event, &self.pushes.served.app.push);
        let except = event.actor.as_ref().map(|actor| actor.id.clone());
        let news = |id: &str, tag, order, to| {
            let what = What {
                kind: event.kind,
                id: id_of(&event.body, id)?,
            };
            Some(News {
                what,
                tag,
                order,
                to,
                except: except.clone(),
            })
        };
        let tag = message_tag(
            &self.pushes.served.app,
            event.room.as_ref(),
            except.as_ref(),
        );
        let target = event.target.clone().map(AudienceKey::User);
        match event.kind {
            EventKind::MessageSent => {
                let to = target.or_else(|| event.room.clone().map(AudienceKey::Room));
                let order = record.seq.map_or(record.position.0, |seq| seq.0);
                Ok(news("id", tag, order, to.into_iter().collect()))
            }
            // Who gets every message gets the one that names them.
            EventKind::MessageMentioned if push.is_of(EventKind::MessageSent) => Ok(None),
            EventKind::MessageMentioned => {
                let Some(id) = id_of(&event.body, "messageId") else {
                    return Ok(None);
                };
                let store = self.pushes.store.tenant(self.tenant).await?;
                let message = store.message(id).await?;
                let to = target.into_iter().collect();
                Ok(message.and_then(|message| news("messageId", tag, message.seq.0, to)))
            }
            _ => {
                let kind = event.body.get("type").and_then(Value::as_str);
                if !push.is_of_notification(kind) {
                    return Ok(None);
                }
                let id = event.body.get("id").and_then(Value::as_str);
                let tag = format!("{NOTIFICATION}{}", id.unwrap_or_default()).into();
                let to = record.audience.to.clone();
                Ok(news("id", tag, record.position.0, to))
            }
        }
    }

    async fn tell(&mut self, record: &Record, news: News) -> Result<(), StoreError> {
        if self.pushes.browsers.is_some() {
            let found = self.subscriptions(&news.to, news.except.as_ref()).await?;
            for kept in found {
                let job = Job::Show {
                    what: news.what.clone(),
                    user: kept.user.clone(),
                    browser: browser(&kept),
                    tag: news.tag.clone(),
                    order: news.order,
                };
                self.put(record, job).await?;
            }
        }
        if self.pushes.backend.is_some() {
            let whom = news.what.id.to_string() + news.what.kind.name();
            let id = schedule::id(Pushes::QUEUE, record, &whom);
            let job = Job::Request {
                what: news.what,
                to: news.to,
                except: news.except,
            };
            self.made.insert(id, errand(id, record, &job));
        }
        Ok(())
    }

    /// Where these take pushes.
    async fn subscriptions(
        &self,
        to: &[AudienceKey],
        except: Option<&UserId>,
    ) -> Result<Vec<Subscription>, StoreError> {
        let outside = &self.pushes.outside;
        let mut found: Vec<Subscription> = Vec::new();
        for key in to {
            let more = match key {
                AudienceKey::Room(room) => outside.subscribed(self.tenant, room).await?,
                AudienceKey::User(user) => {
                    let user = std::slice::from_ref(user);
                    outside.subscriptions(self.tenant, user).await?
                }
                AudienceKey::Tenant | AudienceKey::Role(_) => continue,
            };
            let new = more.into_iter();
            found.extend(new.filter(|kept| Some(&kept.user) != except));
        }
        Ok(found)
    }

    async fn message_read(&mut self, record: &Record) -> Result<(), StoreError> {
        let event = &record.event;
        let (Some(actor), Some(seq)) = (&event.actor, seq_of(&event.body)) else {
            return Ok(());
        };
        let app = &self.pushes.served.app;
        let tag = message_tag(app, event.room.as_ref(), event.target.as_ref());
        let to = [AudienceKey::User(actor.id.clone())];
        for kept in self.subscriptions(&to, None).await? {
            if kept.shown(&tag).is_some_and(|shown| shown <= seq) {
                self.withdraw(record, &kept, &tag, seq).await?;
            }
        }
        Ok(())
    }

    async fn notification_read(&mut self, record: &Record) -> Result<(), StoreError> {
        let event = &record.event;
        let Some(actor) = &event.actor else {
            return Ok(());
        };
        let id = event.body.get("id").and_then(Value::as_str);
        let to = [AudienceKey::User(actor.id.clone())];
        for kept in self.subscriptions(&to, None).await? {
            let read = |tag: &str| {
                let shown = tag.strip_prefix(NOTIFICATION);
                shown.is_some_and(|shown| id.is_none_or(|id| id == shown))
            };
            for shown in kept.shown.iter().filter(|shown| read(&shown.tag)) {
                self.withdraw(record, &kept, &shown.tag, u64::MAX).await?;
            }
        }
        Ok(())
    }

    /// What is shown of a message that is gone is taken back.
    async fn message_deleted(&mut self, record: &Record) -> Result<(), StoreError> {
        let event = &record.event;
        let Some(seq) = seq_of(&event.body) else {
            return Ok(());
        };
        let sender = event.body.get("sender").and_then(|sender| sender.get("id"));
        let sender = sender.and_then(UserId::from_json);
        let app = &self.pushes.served.app;
        let tag = message_tag(app, event.room.as_ref(), sender.as_ref());
        let target = event.target.clone().map(AudienceKey::User);
        let to = target.or_else(|| event.room.clone().map(AudienceKey::Room));
        let to: Vec<AudienceKey> = to.into_iter().collect();
        for kept in self.subscriptions(&to, sender.as_ref()).await? {
            if kept.shown(&tag) == Some(seq) {
                self.withdraw(record, &kept, &tag, seq).await?;
            }
        }
        Ok(())
    }

    /// Takes back what a browser shows under a tag, unless something newer than `read` is about to take its place.
    async fn withdraw(
        &mut self,
        record: &Record,
        kept: &Subscription,
        tag: &Arc<str>,
        read: u64,
    ) -> Result<(), StoreError> {
        let job = Job::Withdraw {
            user: kept.user.clone(),
            browser: browser(kept),
            tag: tag.clone(),
        };
        let waiting = self.waiting(self.place(&job)).await?;
        let newer = waiting.as_ref().and_then(Job::of);
        match newer {
            Some(Job::Show { order, .. }) if order > read => Ok(()),
            _ => self.put(record, job).await,
        }
    }

    /// Puts something to do into the place that its browser has for its tag. What waits there because it failed goes on waiting.
    async fn put(&mut self, record: &Record, job: Job) -> Result<(), StoreError> {
        let id = self.place(&job);
        let mut new = errand(id, record, &job);
        if let Some(waiting) = self.waiting(id).await? {
            (new.attempts, new.due_at) = (waiting.attempts, waiting.due_at);
        }
        self.made.insert(id, new);
        Ok(())
    }

    async fn waiting(&self, id: Id) -> Result<Option<Errand>, StoreError> {
        if let Some(made) = self.made.get(&id) {
            return Ok(Some(made.clone()));
        }
        let found = self.pushes.outside.errand(self.tenant, id).await?;
        Ok(found.filter(|errand| !errand.is_dead))
    }

    /// The one errand that a browser has for a tag.
    fn place(&self, job: &Job) -> Id {
        let (user, browser, tag) = match job {
            Job::Show {
                user, browser, tag, ..
            }
            | Job::Withdraw { user, browser, tag } => (user, browser, tag),
            Job::Request { .. } => return Id(Uuid::nil()),
        };
        let mut hash = Sha256::new();
        let TenantKey { app, tenant } = self.tenant;
        for part in [&**app, tenant, user.as_str(), browser, tag] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut chance = [0; 10];
        chance.copy_from_slice(&hash.finalize()[..10]);
        Id(Builder::from_unix_timestamp_millis(0, &chance).into_uuid())
    }
}

fn errand(id: Id, record: &Record, job: &Job) -> Errand {
    Errand {
        id,
        queue: Pushes::QUEUE.into(),
        due_at: record.at,
        attempts: 0,
        is_dead: false,
        created_at: record.at,
        reason: None,
        data: job.facts(),
    }
}

fn id_of(body: &Facts, name: &str) -> Option<Id> {
    body.get(name)?.as_str()?.parse().ok().map(Id)
}

fn seq_of(body: &Facts) -> Option<u64> {
    body.get("seq")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use relais_core::ids::Timestamp;

    #[test]
    fn a_job_is_kept_without_an_address_and_read_again() {
        let what = What {
            kind: EventKind::MessageSent,
            id: Id(Uuid::from_u128(7)),
        };
        let kept = Subscription {
            user: UserId::text("bob"),
            endpoint: "https://push.example/very-secret".into(),
            p256dh: "key".into(),
            auth: "secret".into(),
            created_at: Timestamp(0),
            proved_at: Timestamp(0),
            shown: Vec::new(),
        };
        let jobs = [
            Job::Show {
                what: what.clone(),
                user: kept.user.clone(),
                browser: browser(&kept),
                tag: "bam-1".into(),
                order: 3,
            },
            Job::Request {
                what,
                to: vec![AudienceKey::Room(RoomKey::new("bam", "1"))],
                except: Some(UserId::text("ann")),
            },
        ];
        for job in jobs {
            let text = Value::Object(job.facts()).to_string();
            assert!(!text.contains("secret"), "{text}");
            let read: Job = serde_json::from_str(&text).expect("a job");
            assert_eq!(read, job);
        }
    }
}
