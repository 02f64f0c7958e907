//! Notifications through the door: what is sent, listed and read of inboxes. What events make of themselves is committed with them,
//! in `settle`.

use super::Dispatcher;
use super::settle::{Refused, store_error, too_many_conflicts};
use super::tenant::Tenant;
use crate::capability::nothing_before;
use crate::capability::notify::{self, Found};
use crate::command::{InboxCommand, Invocation, NewNotification, WhichRead};
use crate::error::Error;
use crate::event::Facts;

impl Dispatcher {
    pub(super) async fn inbox(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        asked: InboxCommand,
    ) -> Result<Facts, Error> {
        match asked {
            InboxCommand::Send(new) => self.notify(tenant, invocation, new).await,
            InboxCommand::List { before, limit } => {
                let query = notify::page_query(invocation, before, limit)?;
                if let Some(id) = before {
                    let found = tenant.store.notification(&query.user, id).await;
                    let found = found.map_err(store_error)?;
                    found.ok_or_else(|| nothing_before("notifications"))?;
                }
                let page = tenant.store.inbox(&query).await.map_err(store_error)?;
                Ok(notify::page(&page))
            }
            InboxCommand::Read(which) => self.read_notifications(tenant, invocation, which).await,
        }
    }

    async fn notify(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        new: NewNotification,
    ) -> Result<Facts, Error> {
        let outcome = notify::send(invocation, new, self.rules.inbox_max);
        match self.settle(tenant, outcome, invocation).await {
            Ok(settled) => Ok(settled.reply),
            Err(Refused::Conflict) => Err(too_many_conflicts()),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    async fn read_notifications(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        which: WhichRead,
    ) -> Result<Facts, Error> {
        let (user, store) = (&notify::reader(invocation)?.id, &tenant.store);
        let found = match which {
            WhichRead::One(id) => match store.notification(user, id).await {
                Ok(None) => Ok(Found::Nothing),
                Ok(Some(notified)) if notified.is_read => Ok(Found::Read),
                Ok(Some(_)) => Ok(Found::Unread(1)),
                Err(error) => Err(error),
            },
            WhichRead::All => match store.unread_notifications(user).await {
                Ok(0) => Ok(Found::Read),
                Ok(count) => Ok(Found::Unread(count)),
                Err(error) => Err(error),
            },
        };
        let outcome = notify::read(invocation, which, found.map_err(store_error)?)?;
        match self.settle(tenant, outcome, invocation).await {
            Ok(_) => {}
            Err(Refused::Conflict) => return Err(too_many_conflicts()),
            Err(Refused::Error(error)) => return Err(error),
        }
        let unread = store
            .unread_notifications(user)
            .await
            .map_err(store_error)?;
        Ok(notify::unread(unread))
    }
}
