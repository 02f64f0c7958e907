//! Routes that take a file: it is received, looked at and stored before the command that shows it is given to the core, and removed
//! again where the core refuses.

use ::http::{header, request::Parts};
use axum::body::Body;
use relais_core::command::{Command, ItemAction, ItemRequest};
use relais_core::error::{Code, Error};
use relais_core::ids::{ItemKey, TenantKey};

use super::Web;
use crate::files::Incoming;

/// Receives the file of a route, if it takes one.
pub async fn receive(web: &Web, field: &str, parts: &Parts, body: Body) -> Result<Incoming, Error> {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    web.files.receive(content_type, field, body).await
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
    let key = item_of(request).ok_or_else(takes_none)?;
    let file = web
        .files
        .keep(tenant, &key, web.clock.new_id(), incoming)
        .await?;
    let path = file.path.to_string();
    request.file = Some(file);
    Ok(path)
}

/// The item of a deletion: its files go when it has gone.
pub fn deleted(command: &Command) -> Option<ItemKey> {
    match command {
        Command::Item(request) if request.action == ItemAction::Delete => item_of(request),
        _ => None,
    }
}

fn item_of(request: &ItemRequest) -> Option<ItemKey> {
    Some(ItemKey {
        shelf: request.shelf.clone(),
        id: request.id.clone()?,
    })
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
