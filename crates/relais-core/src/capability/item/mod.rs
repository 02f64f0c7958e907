//! Items: things with fields, an owner, an assignee, and a status that moves only as the app file declares.
//!
//! In come a request, the rules of its kind and the item as it was loaded, out go the change, the event and the answer. What is
//! decided on holds only as long as nobody else changes the item: every change comes with a precondition, so that of two who
//! answer the same request one is told that it was answered. Making and changing are [`change`]'s, claiming is [`claim`]'s, files that
//! were uploaded before their item are [`address`]'s; here is who may, and what can be read.

mod address;
mod change;
mod claim;

use std::sync::Arc;

use serde_json::json;

pub use address::{REFERENCE, addressed, given_address, too_late, upload};
pub use change::{create, edit, is_creation};
pub use claim::{Claim, claim, lease_for, nothing_free};

use super::{Outcome, facts};
use crate::command::{Actor, Invocation, ItemListing, ItemRequest, Permission, Relation};
use crate::error::{Code, Error};
use crate::event::{Facts, Item};
use crate::ids::{ItemKey, UserId};
use crate::ports::{Change, ItemPage, ItemQuery, Precondition};

/// Fields of an item as JSON, in bytes: with owner and files they still fit into a record.
pub const FIELDS_BYTES_MAX: usize = 48 * 1024;
/// Temporary ids, in bytes.
pub const KEY_BYTES_MAX: usize = 255;
/// Files of an item.
pub const FILES_MAX: usize = 32;
/// Items of a page when the client names no limit.
pub const PAGE_DEFAULT: u32 = 50;
/// Items of a page at most.
pub const PAGE_MAX: u32 = 100;

/// What the app file says about a kind of item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemKind {
    /// Names of its fields; `None`: any.
    pub fields: Option<Vec<Arc<str>>>,
    /// Fields that an item is made with and that cannot be taken from it.
    pub required: Vec<Arc<str>>,
    /// The field with an address: of another server by https, or of an upload.
    pub address: Option<Arc<str>>,
    /// What its status may be; the first is where it begins. Empty: it has none.
    pub statuses: Vec<Arc<str>>,
    /// From which status to which; a status that is not here is final.
    pub moves: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Who sees every one of them.
    pub see: Vec<Viewers>,
    /// Set where items of this kind can be claimed.
    pub lease: Option<LeaseRule>,
}

/// Who sees an item besides its owner, its assignee and the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewers {
    /// Everybody.
    All,
    /// Those with this role.
    Role(Arc<str>),
}

/// How long a claim lasts without a sign of life, and what comes of too many that were lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRule {
    /// After the claim, and after every change by whoever has it.
    pub ms: i64,
    /// So many may be lost.
    pub lost_max: u32,
    /// The status of an item that lost as many; without one it goes on being claimable.
    pub failed: Option<Arc<str>>,
}

impl ItemKind {
    fn may_move(&self, from: Option<&str>, to: &str) -> bool {
        let Some(from) = from else { return false };
        let mut moves = self.moves.iter();
        moves.any(|(status, targets)| **status == *from && targets.iter().any(|one| **one == *to))
    }

    /// Whether nothing leads out of a status. A kind without statuses has no end.
    fn is_final(&self, status: Option<&str>) -> bool {
        status.is_some_and(|status| {
            let mut moves = self.moves.iter();
            !moves.any(|(from, to)| **from == *status && !to.is_empty())
        })
    }

    fn is_seen_whole_by(&self, actor: &Actor) -> bool {
        self.see.iter().any(|viewers| match viewers {
            Viewers::All => true,
            Viewers::Role(role) => has_role(actor, std::slice::from_ref(role)),
        }) || *actor == Actor::Backend
    }
}

/// The user who asks; the backend is none.
fn user(actor: &Actor) -> Option<&UserId> {
    match actor {
        Actor::User(identity) => Some(&identity.person.id),
        Actor::Backend => None,
    }
}

fn has_role(actor: &Actor, roles: &[Arc<str>]) -> bool {
    match actor {
        Actor::User(identity) => {
            let role = identity.person.role.as_ref();
            role.is_some_and(|role| roles.contains(role))
        }
        Actor::Backend => true,
    }
}

/// Whether what the app file says about roles is enough by itself, in whichever room the items lie.
pub fn is_role_enough(actor: &Actor, may: &Permission) -> bool {
    match actor {
        Actor::Backend => true,
        Actor::User(_) => may.is_granted || (!may.roles.is_empty() && has_role(actor, &may.roles)),
    }
}

fn is(actor: &Actor, relation: Relation, item: &Item) -> bool {
    let Some(user) = user(actor) else {
        return false;
    };
    match relation {
        Relation::Owner => item.owner.as_ref().is_some_and(|owner| owner.id == *user),
        Relation::Assignee => item.assignee.as_ref() == Some(user),
        // Not this item says so, but the room's: see [`Permission::is_granted`].
        Relation::RoomOwner => false,
    }
}

/// Whether an actor owns an item.
pub fn is_owner(actor: &Actor, item: &Item) -> bool {
    is(actor, Relation::Owner, item)
}

/// Whether an actor may make an item, in a room or in none.
pub fn may_create(request: &ItemRequest, actor: &Actor) -> Result<(), Error> {
    let may = &request.may;
    let is_restricted = !may.roles.is_empty() || may.also.contains(&Relation::RoomOwner);
    if may.is_granted || !is_restricted || has_role(actor, &may.roles) {
        return Ok(());
    }
    let problem = match may.also.contains(&Relation::RoomOwner) {
        true => {
            "the role does not allow it, and what its room is about is somebody else's or not known here"
        }
        false => "the role does not allow it",
    };
    Err(refuse(request, Code::Forbidden, problem))
}

/// Whether an actor sees an item: its owner, its assignee, those whom the app file names, the backend.
pub fn is_seen(kind: &ItemKind, item: &Item, actor: &Actor) -> bool {
    kind.is_seen_whole_by(actor)
        || is(actor, Relation::Owner, item)
        || is(actor, Relation::Assignee, item)
}

/// Whether an actor may do to an item what was asked. Who does not even see it is told that it is not there.
pub fn permit(
    kind: &ItemKind,
    request: &ItemRequest,
    item: &Item,
    actor: &Actor,
) -> Result<(), Error> {
    let may = &request.may;
    let sees = may.is_granted || is_seen(kind, item, actor);
    let is_restricted = !may.roles.is_empty() || !may.also.is_empty();
    let allowed = match actor {
        Actor::Backend => true,
        Actor::User(_) if !is_restricted => sees,
        Actor::User(_) => {
            may.is_granted
                || has_role(actor, &may.roles)
                || may.also.iter().any(|relation| is(actor, *relation, item))
        }
    };
    match (allowed, sees) {
        (true, _) => Ok(()),
        (false, true) => {
            let text = format!(
                "unable to {} {}; neither the role nor a relation to it allows it",
                verb(request),
                request.shelf.kind
            );
            Err(Error::new(Code::Forbidden, text))
        }
        (false, false) => Err(not_found(request)),
    }
}

/// There is no such item, as far as this actor is to know.
pub fn not_found(request: &ItemRequest) -> Error {
    let text = format!(
        "unable to {} {}; there is none with this id",
        verb(request),
        request.shelf.kind
    );
    Error::new(Code::NotFound, text)
}

/// What is asked, in a word for people.
fn verb(request: &ItemRequest) -> &'static str {
    use crate::command::ItemAction::{
        Assign, Attach, Claim, Create, Delete, Get, Move, Save, Update, Upload,
    };
    match request.action {
        Create => "create",
        Update | Save => "change",
        Move => "move",
        Assign => "assign",
        Claim => "claim",
        Get => "show",
        Delete => "delete",
        Attach => "attach a file to",
        Upload => "upload a file for",
    }
}

fn refuse(request: &ItemRequest, code: Code, problem: &str) -> Error {
    let kind = &request.shelf.kind;
    Error::new(
        code,
        format!("unable to {} {kind}; {problem}", verb(request)),
    )
}

/// The item that a request is about.
pub fn key(request: &ItemRequest) -> Result<ItemKey, Error> {
    match &request.id {
        Some(id) => Ok(ItemKey {
            shelf: request.shelf.clone(),
            id: id.clone(),
        }),
        None => Err(refuse(request, Code::InvalidPayload, "\"id\" is missing")),
    }
}

/// The answer with an item: `{item}`.
pub fn shown(item: &Item) -> Facts {
    facts::object(json!({ "item": facts::item(item) }))
}

/// Removes an item, and answers what it was. Its records stay.
pub fn delete(
    invocation: &Invocation,
    kind: &ItemKind,
    request: &ItemRequest,
    item: &Item,
) -> Result<Outcome, Error> {
    permit(kind, request, item, &invocation.actor)?;
    Ok(Outcome {
        preconditions: vec![unchanged(item)],
        changes: vec![Change::DeleteItem(item.key.clone())],
        reply: shown(item),
        ..Outcome::default()
    })
}

fn unchanged(item: &Item) -> Precondition {
    Precondition::ItemUnchanged {
        key: item.key.clone(),
        version: Some(item.version),
    }
}

/// Which page to read: all items where the app file lets this actor see all, else the actor's own.
pub fn page_query(kind: &ItemKind, listing: &ItemListing, actor: &Actor) -> ItemQuery {
    let may = &listing.may;
    let by_role = may.roles.is_empty() || has_role(actor, &may.roles);
    let all = by_role && kind.is_seen_whole_by(actor);
    ItemQuery {
        shelf: listing.shelf.clone(),
        status: listing.status.clone(),
        of: user(actor).filter(|_| !all).cloned(),
        before: listing.before.clone(),
        limit: match listing.limit {
            0 => PAGE_DEFAULT,
            limit => limit.min(PAGE_MAX),
        },
    }
}

/// The answer with a page: `{items, hasMore}`.
pub fn page(page: &ItemPage) -> Facts {
    let items: Vec<_> = page.items.iter().map(facts::item).collect();
    facts::object(json!({ "items": items, "hasMore": page.has_more }))
}
