//! Inboxes of a tenant in memory: what comes in, what goes, what is read.

use relais_core::event::Notification;
use relais_core::ids::{Id, UserId};
use relais_core::ports::{InboxPage, InboxQuery, Notified, Recipients};

use super::state::State;

impl State {
    pub(super) fn notify(
        &mut self,
        to: Vec<Recipients>,
        except: Option<&UserId>,
        notification: &Notification,
        keep: u32,
    ) {
        for recipients in to {
            let users = match recipients {
                Recipients::User(user) => vec![user],
                Recipients::Members(room) => {
                    let members = self.members(&room).into_iter();
                    members.map(|member| member.user).collect()
                }
            };
            for user in users.into_iter().filter(|user| Some(user) != except) {
                let inbox = self.inboxes.entry(user).or_default();
                if inbox
                    .iter()
                    .any(|one| one.notification.id == notification.id)
                {
                    continue;
                }
                inbox.push_back(Notified {
                    notification: notification.clone(),
                    is_read: false,
                });
                while inbox.len() > keep.max(1) as usize {
                    inbox.pop_front();
                }
            }
        }
    }

    pub(super) fn read_notifications(&mut self, user: &UserId, id: Option<Id>) {
        for one in self.inboxes.get_mut(user).into_iter().flatten() {
            one.is_read |= id.is_none_or(|id| one.notification.id == id);
        }
    }

    pub(super) fn inbox(&self, query: &InboxQuery) -> InboxPage {
        let inbox = self.inboxes.get(&query.user);
        let older = inbox.into_iter().flatten().rev().skip_while(|one| {
            query
                .before
                .is_some_and(|before| one.notification.id != before)
        });
        let limit = crate::page_limit(query.limit);
        let skipped = usize::from(query.before.is_some());
        let mut notifications: Vec<_> = older.skip(skipped).take(limit + 1).cloned().collect();
        let has_more = notifications.len() > limit;
        notifications.truncate(limit);
        InboxPage {
            notifications,
            has_more,
            unread: self.unread_notifications(&query.user),
        }
    }

    pub(super) fn notification(&self, user: &UserId, id: Id) -> Option<Notified> {
        let mut inbox = self.inboxes.get(user).into_iter().flatten();
        inbox.find(|one| one.notification.id == id).cloned()
    }

    pub(super) fn unread_notifications(&self, user: &UserId) -> u64 {
        let inbox = self.inboxes.get(user).into_iter().flatten();
        inbox.filter(|one| !one.is_read).count() as u64
    }
}
