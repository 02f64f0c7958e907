//! What is stored about one user, through the door: exported page by page, erased piece by piece.
//!
//! An erasure is many small transactions, so that nobody else waits for it. Done again it does what is left: it ends where nothing of the
//! user is found any more.

use super::Dispatcher;
use super::settle::{store_error, too_many_conflicts};
use super::tenant::{Tenant, read, write};
use crate::capability::personal::{self, Erased, Stored};
use crate::capability::{message, presence, push};
use crate::command::{ExportMark, Invocation, ItemAction, PersonalCommand};
use crate::error::Error;
use crate::event::Facts;
use crate::ids::{Moment, Position, UserId};
use crate::ports::{Change, CommitError, InboxQuery, Notified, Transaction};
use crate::restriction::{Against, Closing};

/// Records that are read at once.
const LOG_PAGE: u32 = 1_000;
/// Ids that are made from one for what is told of one item: more than there are.
const IDS_OF_ONE_ITEM: u32 = 1 << 8;

impl Dispatcher {
    pub(super) async fn personal(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        asked: PersonalCommand,
    ) -> Result<Facts, Error> {
        personal::may(invocation)?;
        match asked {
            PersonalCommand::Disconnect { whose } => {
                let sessions = &self.ports.sessions;
                sessions.close(&tenant.key, &whose, Closing::Asked).await;
                Ok(Facts::new())
            }
            PersonalCommand::Export { user, after } => {
                self.export_user(tenant, &user, after, invocation.now).await
            }
            PersonalCommand::Erase { user } => self.erase_user(tenant, invocation, &user).await,
        }
    }

    async fn export_user(
        &self,
        tenant: &Tenant,
        user: &UserId,
        after: Option<ExportMark>,
        now: Moment,
    ) -> Result<Facts, Error> {
        let store = &tenant.store;
        let items_after = match after {
            None => {
                let stored = self.stored_of(tenant, user, now).await?;
                return Ok(personal::state(user, stored));
            }
            Some(ExportMark::State) => None,
            Some(ExportMark::Item(number)) => Some(number),
            Some(ExportMark::Items | ExportMark::Message(_)) => {
                let after = match after {
                    Some(ExportMark::Message(id)) => Some(id),
                    _ => None,
                };
                let found = store.messages_of(user, after).await.map_err(store_error)?;
                return Ok(personal::messages(&found));
            }
        };
        let found = store.items_of(user, items_after).await;
        Ok(personal::items(&found.map_err(store_error)?))
    }

    async fn stored_of(
        &self,
        tenant: &Tenant,
        user: &UserId,
        now: Moment,
    ) -> Result<Stored, Error> {
        let (shown, unsaved) = {
            let roster = read(&tenant.roster);
            (roster.user(user), roster.unsaved(user))
        };
        let store = &tenant.store;
        let stored = store.presence(user).await.map_err(store_error)?.or(unsaved);
        let is_known = shown.is_some() || stored.is_some();
        Ok(Stored {
            person: store.person(user).await.map_err(store_error)?,
            presence: is_known.then(|| presence::one(user, shown, stored, now.wall)),
            rooms: store.rooms_of(user).await.map_err(store_error)?,
            marks: store.marks_of(user).await.map_err(store_error)?,
            inbox: inbox_of(tenant, user).await?,
            restrictions: store.restrictions().await.map_err(store_error)?,
            subscriptions: {
                let kept = store.subscriptions(user).await.map_err(store_error)?;
                kept.iter().map(push::subscription).collect()
            },
        })
    }

    async fn erase_user(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        user: &UserId,
    ) -> Result<Facts, Error> {
        let now = invocation.now;
        let whose = Against::User(user.clone());
        let sessions = &self.ports.sessions;
        sessions.close(&tenant.key, &whose, Closing::Asked).await;
        {
            let mut roster = write(&tenant.roster);
            let told = roster.forget(user, now);
            tenant.tell(&self.ports, &told);
        }
        write(&tenant.directory).erase(user);
        let rooms = tenant.store.rooms_of(user).await.map_err(store_error)?;
        for room in &rooms {
            tenant.publish(&self.ports, personal::left(room, user), now.wall);
        }
        // Before the records: what is told of an item that somebody else owns is a record as well.
        let (items, assignments) = self.erase_items(tenant, invocation, user).await?;
        let messages = erase_messages(tenant, user, now).await?;
        let records = erase_records(tenant, user, now).await?;
        let rest = Change::EraseUser { user: user.clone() };
        apply(tenant, rest, now).await?;
        // Whoever read a room meanwhile has them again.
        write(&tenant.directory).erase(user);
        self.ports.fanout.rewritten(&tenant.key);
        Ok(personal::erased(Erased {
            messages,
            records,
            memberships: rooms.len(),
            items,
            assignments,
        }))
    }

    /// How many items went, and how many were taken from the user.
    async fn erase_items(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        user: &UserId,
    ) -> Result<(usize, usize), Error> {
        let (mut after, mut gone, mut given_back, mut number) = (None, 0, 0, 0);
        loop {
            let page = tenant.store.items_of(user, after).await;
            let page = page.map_err(store_error)?;
            for item in &page.items {
                number += IDS_OF_ONE_ITEM;
                let invocation = Invocation {
                    new_id: invocation.new_id.another(number),
                    ..invocation.clone()
                };
                match self
                    .erase_item(tenant, &invocation, &item.key, user)
                    .await?
                {
                    Some(ItemAction::Delete) => gone += 1,
                    Some(_) => given_back += 1,
                    None => {}
                }
            }
            match page.next {
                None => return Ok((gone, given_back)),
                next => after = next,
            }
        }
    }
}

async fn inbox_of(tenant: &Tenant, user: &UserId) -> Result<Vec<Notified>, Error> {
    let (mut inbox, mut before) = (Vec::new(), None);
    loop {
        let query = InboxQuery {
            user: user.clone(),
            before,
            limit: message::PAGE_MAX,
        };
        let page = tenant.store.inbox(&query).await.map_err(store_error)?;
        inbox.extend(page.notifications);
        before = inbox.last().map(|last: &Notified| last.notification.id);
        if !page.has_more {
            return Ok(inbox);
        }
    }
}

async fn erase_messages(tenant: &Tenant, user: &UserId, now: Moment) -> Result<usize, Error> {
    let (mut after, mut erased) = (None, 0);
    loop {
        let found = tenant.store.messages_of(user, after).await;
        let found = found.map_err(store_error)?;
        let written = found.messages.iter();
        let written = written.filter(|message| personal::wrote(message, user));
        let ids: Vec<_> = written.map(|message| message.id).collect();
        if !ids.is_empty() {
            erased += ids.len();
            apply(tenant, Change::EraseMessages { ids }, now).await?;
        }
        match found.next {
            None => return Ok(erased),
            next => after = next,
        }
    }
}

/// What the log still holds of a user up to now.
async fn erase_records(tenant: &Tenant, user: &UserId, now: Moment) -> Result<usize, Error> {
    let head = tenant.store.head().position;
    let (mut after, mut erased) = (Position(0), 0);
    while after < head {
        let page = tenant.store.log(after, LOG_PAGE).await;
        let records = page.map_err(store_error)?.records;
        let Some(last) = records.last() else { break };
        after = last.position;
        let theirs = records
            .iter()
            .filter(|record| personal::is_of(record, user));
        let positions: Vec<_> = theirs.map(|record| record.position).collect();
        if !positions.is_empty() {
            erased += positions.len();
            apply(tenant, Change::EraseRecords { positions }, now).await?;
        }
    }
    Ok(erased)
}

async fn apply(tenant: &Tenant, change: Change, now: Moment) -> Result<(), Error> {
    let transaction = Transaction {
        at: now.wall,
        changes: vec![change],
        ..Transaction::default()
    };
    match tenant.store.commit(transaction).await {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error)) => Err(store_error(error)),
        Err(CommitError::Conflict | CommitError::IdempotencyConflict) => Err(too_many_conflicts()),
    }
}
