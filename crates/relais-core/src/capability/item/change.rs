//! Making an item, and changing one: fields, status, assignee, files.
//!
//! One request is one change, one version and at most one event, of as many kinds as things changed. A request that changes
//! nothing answers with the item and tells nobody.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    FIELDS_BYTES_MAX, FILES_MAX, ItemKind, KEY_BYTES_MAX, permit, refuse, shown, unchanged, user,
};
use crate::capability::{Outcome, facts, session};
use crate::command::{Actor, Invocation, ItemAction, ItemRequest};
use crate::error::{Code, Error};
use crate::event::{Event, EventKind, Facts, Item, Lease, Person};
use crate::ids::{ItemId, ItemKey, Timestamp, UserId};
use crate::ports::{Change, Precondition, TemporaryId};

/// Random bits of a UUIDv7 that a version begins with: an id that is deleted and comes back is another item.
const VERSION_BITS: u32 = 62;

/// Whether a request makes an item if there is none.
pub fn is_creation(request: &ItemRequest) -> bool {
    match request.action {
        ItemAction::Create => true,
        ItemAction::Save => request.id.is_none(),
        _ => false,
    }
}

/// Makes an item in the name of `owner`, for somebody who [may](super::may_create). `existing` is what was created under the same id, or
/// else under the same temporary id: made of the same it is the answer, else the id is taken.
pub fn create(
    invocation: &Invocation,
    kind: &ItemKind,
    request: &ItemRequest,
    owner: Option<Person>,
    existing: Option<&Item>,
) -> Result<Outcome, Error> {
    let item = compose(invocation, kind, request, owner)?;
    if let Some(existing) = existing {
        let id = |item: &Item| item.owner.as_ref().map(|owner| owner.id.clone());
        if existing.origin == item.origin && id(existing) == id(&item) {
            return Ok(Outcome {
                reply: shown(existing),
                ..Outcome::default()
            });
        }
        let problem = "this id was used before for another one";
        return Err(refuse(request, Code::IdempotencyConflict, problem));
    }
    let mut preconditions = vec![Precondition::ItemUnchanged {
        key: item.key.clone(),
        version: None,
    }];
    preconditions.extend(TemporaryId::of(&item).map(Precondition::TemporaryIdFree));
    let mut kinds = vec![EventKind::ItemCreated];
    if item.assignee.is_some() {
        kinds.push(EventKind::ItemAssigned);
    }
    Ok(Outcome {
        preconditions,
        events: event(invocation, &item, kinds).into_iter().collect(),
        reply: shown(&item),
        changes: vec![Change::PutItem(Box::new(item))],
        ..Outcome::default()
    })
}

fn compose(
    invocation: &Invocation,
    kind: &ItemKind,
    request: &ItemRequest,
    owner: Option<Person>,
) -> Result<Item, Error> {
    if let Some(key) = &request.key
        && key.len() > KEY_BYTES_MAX
    {
        let problem = format!("its temporary id is over {KEY_BYTES_MAX} bytes");
        return Err(refuse(request, Code::InvalidPayload, &problem));
    }
    let mut fields = Facts::new();
    put_fields(kind, request, &mut fields)?;
    need_fields(kind, request, &fields, None)?;
    if request.action == ItemAction::Save && fields.is_empty() {
        let problem = "without an id it makes a new one, which needs a field";
        return Err(refuse(request, Code::InvalidPayload, problem));
    }
    let first = kind.statuses.first().cloned();
    let status = match &request.status {
        Some(status) if Some(status) != first.as_ref() => {
            Some(moved(kind, request, first.as_deref(), status)?)
        }
        _ => first,
    };
    let now = invocation.now.wall;
    let assignee = request.assignee.clone().flatten();
    let origin = origin(request, owner.as_ref(), &fields);
    let is_open = assignee.is_none() && !kind.is_final(status.as_deref());
    Ok(Item {
        key: ItemKey {
            shelf: request.shelf.clone(),
            id: match &request.id {
                Some(id) => id.clone(),
                None => ItemId::text(invocation.new_id.to_string()),
            },
        },
        lease: kind.lease.as_ref().filter(|_| is_open).map(|_| free(now)),
        status,
        fields,
        owner,
        assignee,
        reason: request.reason.clone(),
        files: request.file.iter().cloned().collect(),
        temporary_id: request.key.clone(),
        origin,
        created_at: now,
        updated_at: now,
        version: invocation.new_id.0.as_u128() as u64 & ((1 << VERSION_BITS) - 1),
    })
}

/// SHA-256 over all that the client chose.
fn origin(request: &ItemRequest, owner: Option<&Person>, fields: &Facts) -> Arc<str> {
    // Ids are compared as text, whatever their JSON form.
    let assignee = request.assignee.clone().flatten();
    let chosen = json!({
        "id": request.id.as_ref().map(ItemId::as_str),
        "fields": fields,
        "status": request.status,
        "assignee": assignee.as_ref().map(UserId::as_str),
        "reason": request.reason,
        "owner": owner.map(|owner| owner.id.as_str()),
    });
    // A JSON object has its keys in sorted order here, so that the same fields in another order are the same.
    let digest = Sha256::digest(chosen.to_string());
    digest
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

/// Never claimed, and free from now on.
fn free(now: Timestamp) -> Lease {
    Lease {
        free_at: now,
        is_taken: false,
        lost: 0,
    }
}

/// Changes an item as it was loaded: what is given replaces, an explicit null clears, the rest stays.
pub fn edit(
    invocation: &Invocation,
    kind: &ItemKind,
    request: &ItemRequest,
    item: &Item,
) -> Result<Outcome, Error> {
    permit(kind, request, item, &invocation.actor)?;
    let mut next = item.clone();
    let mut kinds = Vec::new();
    put_fields(kind, request, &mut next.fields)?;
    need_fields(kind, request, &next.fields, Some(&item.fields))?;
    move_status(kind, request, &mut next)?;
    put_reason(request, item, &mut next);
    put_assignee(request, &mut next)?;
    attach(kind, request, &mut next)?;
    let is_moved = next.status != item.status;
    let is_assigned = next.assignee != item.assignee && next.assignee.is_some();
    let is_cleared = next.assignee != item.assignee && next.assignee.is_none();
    if next.fields != item.fields || is_cleared || (next.reason != item.reason && !is_moved) {
        kinds.push(EventKind::ItemUpdated);
    }
    if is_moved {
        kinds.push(EventKind::ItemMoved);
    }
    if is_assigned {
        kinds.push(EventKind::ItemAssigned);
    }
    if next.files.len() != item.files.len() {
        kinds.push(EventKind::ItemFileAttached);
    }
    next.lease = lease(invocation, kind, item, &next);
    let mut reply = Facts::new();
    if let Some(file) = &request.file {
        reply.insert("file".to_owned(), facts::file(file));
    }
    Ok(put(invocation, item, next, kinds, reply))
}

/// Stores what became of an item, tells of it, and answers with it.
pub(super) fn put(
    invocation: &Invocation,
    before: &Item,
    mut next: Item,
    kinds: Vec<EventKind>,
    mut reply: Facts,
) -> Outcome {
    if !kinds.is_empty() {
        next.updated_at = invocation.now.wall.max(before.updated_at);
    }
    let is_changed = next != *before;
    if is_changed {
        next.version = before.version + 1;
    }
    reply.extend(shown(&next));
    if !is_changed {
        return Outcome {
            reply,
            ..Outcome::default()
        };
    }
    Outcome {
        preconditions: vec![unchanged(before)],
        events: event(invocation, &next, kinds).into_iter().collect(),
        changes: vec![Change::PutItem(Box::new(next))],
        reply,
        ..Outcome::default()
    }
}

fn event(invocation: &Invocation, item: &Item, kinds: Vec<EventKind>) -> Option<Event> {
    let mut kinds = kinds.into_iter();
    Some(Event {
        room: item.key.shelf.room.clone(),
        actor: match &invocation.actor {
            Actor::User(identity) => Some(identity.person.clone()),
            Actor::Backend => None,
        },
        session: session(invocation).cloned(),
        target: item.assignee.clone(),
        durable: true,
        ..Event::new(kinds.next()?, facts::object(facts::item(item)))
    })
    .map(|event| Event {
        also: kinds.collect(),
        ..event
    })
}

fn put_fields(kind: &ItemKind, request: &ItemRequest, fields: &mut Facts) -> Result<(), Error> {
    let is_declared = |name: &str| {
        let known = kind.fields.as_ref();
        known.is_none_or(|known| known.iter().any(|known| **known == *name))
    };
    for (name, value) in &request.fields {
        match value {
            _ if !is_declared(name) => {}
            Value::Null => {
                fields.remove(name);
            }
            value => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    let bytes = serde_json::to_string(fields).map_or(usize::MAX, |text| text.len());
    if bytes > FIELDS_BYTES_MAX {
        let problem = format!("its fields are over {FIELDS_BYTES_MAX} bytes");
        return Err(refuse(request, Code::TooLarge, &problem));
    }
    Ok(())
}

/// A new item has what its kind needs, and no change takes it away. One that was made before it was needed may go on without.
fn need_fields(
    kind: &ItemKind,
    request: &ItemRequest,
    fields: &Facts,
    before: Option<&Facts>,
) -> Result<(), Error> {
    let is_missing = |name: &&Arc<str>| {
        !fields.contains_key(&***name) && before.is_none_or(|before| before.contains_key(&***name))
    };
    match kind.required.iter().find(is_missing) {
        None => Ok(()),
        Some(name) => {
            let problem = format!("it needs the field \"{name}\"");
            Err(refuse(request, Code::InvalidPayload, &problem))
        }
    }
}

/// A status that is there already is no move, unless a move is what was asked for.
fn move_status(kind: &ItemKind, request: &ItemRequest, item: &mut Item) -> Result<(), Error> {
    let Some(status) = &request.status else {
        return match request.action {
            ItemAction::Move => Err(refuse(
                request,
                Code::InvalidPayload,
                "\"status\" is missing",
            )),
            _ => Ok(()),
        };
    };
    if request.action != ItemAction::Move && item.status.as_ref() == Some(status) {
        return Ok(());
    }
    item.status = Some(moved(kind, request, item.status.as_deref(), status)?);
    Ok(())
}

fn moved(
    kind: &ItemKind,
    request: &ItemRequest,
    from: Option<&str>,
    to: &Arc<str>,
) -> Result<Arc<str>, Error> {
    if !kind.statuses.contains(to) {
        let problem = format!("there is no status \"{to}\"");
        return Err(refuse(request, Code::InvalidPayload, &problem));
    }
    match kind.may_move(from, to) {
        true => Ok(to.clone()),
        false => {
            let from = from.unwrap_or("none");
            let problem = format!("it cannot go from \"{from}\" to \"{to}\"");
            Err(refuse(request, Code::InvalidState, &problem))
        }
    }
}

/// A reason belongs to the status: a move without one has none.
fn put_reason(request: &ItemRequest, before: &Item, item: &mut Item) {
    if request.reason.is_some() || item.status != before.status {
        item.reason = request.reason.clone();
    }
}

fn put_assignee(request: &ItemRequest, item: &mut Item) -> Result<(), Error> {
    match &request.assignee {
        Some(assignee) => item.assignee = assignee.clone(),
        None if request.action == ItemAction::Assign => {
            let problem = "\"assignee\" is missing";
            return Err(refuse(request, Code::InvalidPayload, problem));
        }
        None => {}
    }
    Ok(())
}

fn attach(kind: &ItemKind, request: &ItemRequest, item: &mut Item) -> Result<(), Error> {
    let file = match (&request.file, request.action) {
        (None, ItemAction::Attach) => {
            let problem = "there is no file";
            return Err(refuse(request, Code::InvalidPayload, problem));
        }
        (Some(file), ItemAction::Attach) => file,
        // The upload of its address, which it mostly has already.
        (Some(file), _) if !item.files.contains(file) => file,
        _ => return Ok(()),
    };
    if kind.is_final(item.status.as_deref()) {
        let status = item.status.as_deref().unwrap_or_default();
        let problem = format!("its status \"{status}\" is final");
        return Err(refuse(request, Code::InvalidState, &problem));
    }
    if item.files.len() >= FILES_MAX {
        let problem = format!("it has {FILES_MAX} files already");
        return Err(refuse(request, Code::TooLarge, &problem));
    }
    item.files.push(file.clone());
    Ok(())
}

/// The lease after a change: a sign of life of whoever has the item, or the end of being claimable.
fn lease(invocation: &Invocation, kind: &ItemKind, before: &Item, next: &Item) -> Option<Lease> {
    let rule = kind.lease.as_ref()?;
    if kind.is_final(next.status.as_deref()) {
        return None;
    }
    let now = invocation.now.wall;
    if next.assignee != before.assignee {
        return next.assignee.is_none().then(|| free(now));
    }
    let lease = before.lease?;
    let asks = user(&invocation.actor);
    let is_worker = asks.is_none() || asks == next.assignee.as_ref();
    match (lease.is_taken, is_worker) {
        (true, true) => Some(Lease {
            free_at: Timestamp(now.0 + rule.ms).max(lease.free_at),
            ..lease
        }),
        // Somebody works on it without having claimed it: the backend as if it had, a user for good.
        (false, true) if next.status != before.status => Some(Lease {
            free_at: Timestamp(now.0 + rule.ms),
            is_taken: true,
            ..lease
        }),
        (false, false) if next.status != before.status => None,
        _ => Some(lease),
    }
}
