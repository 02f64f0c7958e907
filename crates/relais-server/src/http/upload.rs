//! Routes that take a file: it is received, looked at and stored before the command that shows it is given to the core, and removed
//! again where the core refuses.

use std::pin::Pin;

use ::http::{header, request::Parts};
use axum::body::Body;
use relais_core::command::{Actor, Command, ItemAction};
use relais_core::error::{Code, Error};
use relais_core::ids::{ItemId, ItemKey, TenantKey};
use relais_core::vocabulary::Route;
use relais_engine::discard_body;

use super::Web;
use super::app::take;
use crate::files::Incoming;
use crate::glue::apps::Served;
use crate::glue::questions;

/// Of a body that is refused unread, so much is read and forgotten.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Receives the file of a route that takes one. Whoever may not send one now is told before it is read.
pub async fn receive(
    web: &Web,
    served: &Served,
    from: questions::From<'_>,
    (route, field): (&Route, &str),
    (parts, body): (&Parts, Body),
) -> Result<Incoming, Error> {
    let user = match from.actor {
        Actor::User(identity) => Some(&identity.person.id),
        Actor::Backend => None,
    };
    let admitted = web.files.admit(from.tenant, user).and_then(|slot| {
        let limit = (&route.rule.subject, route.rule.limit.as_ref());
        take(served, from, limit, web.clock.now()).map(|()| slot)
    });
    match admitted {
        Ok(slot) => {
            let content_type = parts.headers.get(header::CONTENT_TYPE);
            web.files.receive(slot, content_type, field, body).await
        }
        Err(error) => {
            forget(body).await;
            Err(error)
        }
    }
}

/// Hears out whoever is refused unread: who is still sending reads no answer before it is done.
pub async fn forget(mut body: Body) {
    discard_body(Pin::new(&mut body), DISCARDED_BYTES_MAX).await;
}

/// Stores a file for the item that a command is about; its path, to be removed should the command be refused.
pub async fn keep(
    web: &Web,
    tenant: &TenantKey,
    command: &mut Command,
    incoming: Incoming,
) -> Result<String, Error> {
    let Command::Item(request) = command else {
        return Err(takes_none());
    };
    let id = web.clock.new_id();
    let item = match (request.action, &request.id) {
        // The item that may come of it has its id.
        (ItemAction::Upload, _) => ItemId::text(id.to_string()),
        (_, Some(item)) => item.clone(),
        (_, None) => return Err(takes_none()),
    };
    let key = ItemKey {
        shelf: request.shelf.clone(),
        id: item,
    };
    let file = web.files.keep(tenant, &key, id, incoming).await?;
    let path = file.path.to_string();
    request.file = Some(file);
    Ok(path)
}

fn takes_none() -> Error {
    Error::new(
        Code::Internal,
        "unable to take the file; the route attaches it to nothing",
    )
}

/// Whether a refusal is certain: nothing was committed, nothing will show the file.
pub fn is_certain(error: &Error) -> bool {
    !matches!(
        error.code,
        Code::Unavailable | Code::Overloaded | Code::StorageFull | Code::Internal
    )
}
