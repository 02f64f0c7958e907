//! Items through the door: what is loaded for them, and how often they are decided.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::rooms::session;
use super::settle::{Refused, store_error, too_many_conflicts};
use super::tenant::{Tenant, held};
use super::{DECISIONS_MAX, Dispatcher};
use crate::capability::item::{self, Claim, ItemKind};
use crate::capability::{Outcome, Standing, nothing_before, personal};
use crate::command::{
    Actor, Invocation, ItemAction, ItemListing, ItemRequest, Permission, Relation,
};
use crate::error::{Code, Error};
use crate::event::{Facts, Item, Person};
use crate::ids::{ItemKey, RoomKey, UserId};
use crate::ports::{Address, TemporaryId};

/// Items that were lost too often and are put aside by one claim, at most.
const FAILED_MAX: u32 = 100;
/// How often one claim is decided, each time because somebody else was faster with the same item.
const CLAIM_DECISIONS_MAX: u32 = 20;
/// Items that are looked at to find one that nobody is claiming at this moment.
const CLAIMS_MAX: usize = 100;

impl Dispatcher {
    pub(super) async fn item(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        request: &ItemRequest,
    ) -> Result<Facts, Error> {
        let kind = self.kind(&request.shelf.kind)?;
        let is_read = request.action == ItemAction::Get;
        let request = self.granted(tenant, invocation, request).await?;
        let request = &*request;
        if item::is_creation(request) {
            item::may_create(request, &invocation.actor)?;
        }
        if let Some(room) = &request.shelf.room {
            let may = &request.may;
            self.let_in(tenant, invocation, room, may, is_read).await?;
        }
        match request.action {
            ItemAction::Get => {
                let item = self.loaded(tenant, request).await?;
                item::permit(kind, request, &item, &invocation.actor)?;
                Ok(item::shown(&item))
            }
            ItemAction::Claim => self.claim(tenant, invocation, kind, request).await,
            ItemAction::Upload => item::upload(kind, request, &invocation.actor),
            _ => self.change(tenant, invocation, kind, request).await,
        }
    }

    /// The request, granted where whoever asks owns what its room is about and the app file says that this is enough.
    async fn granted<'r>(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        request: &'r ItemRequest,
    ) -> Result<Cow<'r, ItemRequest>, Error> {
        let (actor, may) = (&invocation.actor, &request.may);
        let asks = may.also.contains(&Relation::RoomOwner) && !item::is_role_enough(actor, may);
        let Some(room) = request.shelf.room.as_ref().filter(|_| asks) else {
            return Ok(Cow::Borrowed(request));
        };
        let subject = self.subject(tenant, room).await?;
        if !subject.is_some_and(|subject| item::is_owner(actor, &subject)) {
            return Ok(Cow::Borrowed(request));
        }
        let mut request = request.clone();
        request.may.is_granted = true;
        Ok(Cow::Owned(request))
    }

    /// The item that a room is about, where it is about one and that is there.
    pub(super) async fn subject(
        &self,
        tenant: &Tenant,
        room: &RoomKey,
    ) -> Result<Option<Item>, Error> {
        let policy = self.rules.rooms.get(&room.kind);
        match policy.and_then(|policy| policy.subject(room)) {
            None => Ok(None),
            Some(key) => tenant.store.item(&key).await.map_err(store_error),
        }
    }

    async fn change(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        kind: &ItemKind,
        request: &ItemRequest,
    ) -> Result<Facts, Error> {
        let is_creation = item::is_creation(request);
        let (request, is_late) = self.addressed(tenant, kind, request).await?;
        let request = &*request;
        for _ in 0..DECISIONS_MAX {
            let mut gone = Vec::new();
            let outcome = if is_creation {
                let owner = self.owner(tenant, invocation, request).await?;
                let existing = self.existing(tenant, request, owner.as_ref()).await?;
                if is_late && existing.is_none() {
                    return Err(item::too_late(request));
                }
                item::create(invocation, kind, request, owner, existing.as_ref())?
            } else {
                let item = self.loaded(tenant, request).await?;
                match request.action {
                    ItemAction::Delete => {
                        let outcome = item::delete(invocation, kind, request, &item)?;
                        gone = item.files;
                        outcome
                    }
                    _ => item::edit(invocation, kind, request, &item)?,
                }
            };
            if let Some(reply) = self.carried(tenant, invocation, outcome).await? {
                self.ports.files.forget(&gone).await;
                return Ok(reply);
            }
        }
        Err(too_many_conflicts())
    }

    /// The request with its address looked at, and whether that is of an upload which may be removed at any moment.
    async fn addressed<'r>(
        &self,
        tenant: &Tenant,
        kind: &ItemKind,
        request: &'r ItemRequest,
    ) -> Result<(Cow<'r, ItemRequest>, bool), Error> {
        let Some(address) = item::given_address(kind, request)? else {
            return Ok((Cow::Borrowed(request), false));
        };
        let (files, shelf) = (&self.ports.files, &request.shelf);
        let address = files.address(&tenant.key, shelf, address).await?;
        let is_late = matches!(&address, Address::Upload(uploaded) if uploaded.is_late);
        let request = item::addressed(kind, request, address)?;
        Ok((Cow::Owned(request), is_late))
    }

    /// Takes an item out of a user's hands for good, and says how. `None`: it is not the user's any more.
    pub(super) async fn erase_item(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        key: &ItemKey,
        user: &UserId,
    ) -> Result<Option<ItemAction>, Error> {
        // A kind that the app file does not have any more says nothing.
        let unknown = ItemKind::default();
        let kind = self.rules.items.get(&key.shelf.kind).unwrap_or(&unknown);
        for _ in 0..DECISIONS_MAX {
            let item = tenant.store.item(key).await.map_err(store_error)?;
            let Some((item, request)) = item.and_then(|item| {
                let request = personal::erasing(&item, user)?;
                Some((item, request))
            }) else {
                return Ok(None);
            };
            let outcome = match request.action {
                ItemAction::Delete => item::delete(invocation, kind, &request, &item)?,
                _ => item::edit(invocation, kind, &request, &item)?,
            };
            if self.carried(tenant, invocation, outcome).await?.is_some() {
                if request.action == ItemAction::Delete {
                    self.ports.files.forget(&item.files).await;
                }
                return Ok(Some(request.action));
            }
        }
        Err(too_many_conflicts())
    }

    /// Takes the oldest item that is free. What others are claiming right now is left to them, so that workers who come together
    /// get one each instead of getting into each other's way.
    async fn claim(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        kind: &ItemKind,
        request: &ItemRequest,
    ) -> Result<Facts, Error> {
        let rule = item::lease_for(invocation, kind, request)?;
        let (mut conflicts, mut failed, mut more) = (0, 0, 1);
        while conflicts < CLAIM_DECISIONS_MAX && failed < FAILED_MAX {
            let limit = (held(&tenant.claims).len() + more).min(CLAIMS_MAX);
            let now = invocation.now.wall;
            let free = tenant.store.claimable(&request.shelf, now, limit as u32);
            let free = free.await.map_err(store_error)?;
            let is_all = free.len() < limit;
            let Some((item, _claiming)) = free
                .into_iter()
                .find_map(|item| Some((Claiming::of(&tenant.claims, &item.key)?, item)))
                .map(|(claiming, item)| (item, claiming))
            else {
                // All that was read went to others in the meantime; behind them there may be more.
                if !is_all {
                    (conflicts, more) = (conflicts + 1, more * 2);
                    continue;
                }
                return Err(item::nothing_free(request));
            };
            let (outcome, is_taken) = match item::claim(invocation, kind, rule, request, &item) {
                Claim::Taken(outcome) => (outcome, true),
                Claim::Failed(outcome) => (outcome, false),
            };
            match self.carried(tenant, invocation, outcome).await? {
                Some(reply) if is_taken => return Ok(reply),
                Some(_) => failed += 1,
                None => conflicts += 1,
            }
        }
        Err(too_many_conflicts())
    }

    pub(super) async fn list_items(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        listing: &ItemListing,
    ) -> Result<Facts, Error> {
        let kind = self.kind(&listing.shelf.kind)?;
        if let Some(room) = &listing.shelf.room {
            let may = &listing.may;
            self.let_in(tenant, invocation, room, may, true).await?;
        }
        let query = item::page_query(kind, listing, &invocation.actor);
        if let Some(id) = &query.before {
            let key = ItemKey {
                shelf: query.shelf.clone(),
                id: id.clone(),
            };
            let found = tenant.store.item(&key).await.map_err(store_error)?;
            if !found.is_some_and(|item| item::is_seen(kind, &item, &invocation.actor)) {
                return Err(nothing_before(&query.shelf.kind));
            }
        }
        let page = tenant.store.items(&query).await.map_err(store_error)?;
        Ok(item::page(&page))
    }

    fn kind(&self, name: &str) -> Result<&ItemKind, Error> {
        self.rules.items.get(name).ok_or_else(|| {
            let text = format!("there is no kind of item \"{name}\"");
            Error::new(Code::InvalidPayload, text)
        })
    }

    /// Items of a room are for who stands in it; a role that the app file names is enough in every room.
    async fn let_in(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
        may: &Permission,
        is_read: bool,
    ) -> Result<(), Error> {
        if item::is_role_enough(&invocation.actor, may) {
            return Ok(());
        }
        let (standing, _) = self.standing(tenant, invocation, room).await?;
        let is_session = session(invocation).is_some();
        match standing {
            Standing::Joined => Ok(()),
            Standing::Participant if is_read || !is_session => Ok(()),
            Standing::Participant => {
                let text = "unable to change items of a room; this session has not joined it";
                Err(Error::new(Code::NotInRoom, text))
            }
            Standing::Stranger => {
                let text = "unable to reach items of a room; not a member";
                Err(Error::new(Code::NotAMember, text))
            }
        }
    }

    async fn loaded(&self, tenant: &Tenant, request: &ItemRequest) -> Result<Item, Error> {
        let found = tenant.store.item(&item::key(request)?).await;
        found
            .map_err(store_error)?
            .ok_or_else(|| item::not_found(request))
    }

    /// In whose name an item is created: the user's who asks, whatever a payload says; the backend names somebody, or nobody.
    async fn owner(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        request: &ItemRequest,
    ) -> Result<Option<Person>, Error> {
        match (&invocation.actor, &request.owner) {
            (Actor::User(identity), _) => Ok(Some(identity.person.clone())),
            (Actor::Backend, Some(user)) => self.known(tenant, user).await.map(Some),
            (Actor::Backend, None) => Ok(None),
        }
    }

    /// A user under the name that was last seen, or under the id as a name.
    async fn known(&self, tenant: &Tenant, user: &UserId) -> Result<Person, Error> {
        let here = super::tenant::read(&tenant.roster).user(user);
        let name = match here {
            Some(shown) => Some(shown.person.name),
            None => {
                let stored = tenant.store.presence(user).await.map_err(store_error)?;
                stored.map(|stored| stored.person.name)
            }
        };
        Ok(Person {
            id: user.clone(),
            name: name.unwrap_or_else(|| user.as_str().into()),
            role: None,
        })
    }

    /// What was created under the same id, or else under the same temporary id.
    async fn existing(
        &self,
        tenant: &Tenant,
        request: &ItemRequest,
        owner: Option<&Person>,
    ) -> Result<Option<Item>, Error> {
        if request.id.is_some() {
            let found = tenant.store.item(&item::key(request)?).await;
            if let Some(item) = found.map_err(store_error)? {
                return Ok(Some(item));
            }
        }
        let Some(key) = &request.key else {
            return Ok(None);
        };
        let temporary = TemporaryId {
            shelf: request.shelf.clone(),
            owner: owner.map(|owner| owner.id.clone()),
            key: key.clone(),
        };
        tenant.store.item_of(&temporary).await.map_err(store_error)
    }

    /// The answer once an outcome is committed; `None` where it has to be decided again.
    async fn carried(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        outcome: Outcome,
    ) -> Result<Option<Facts>, Error> {
        match self.settle(tenant, outcome, invocation).await {
            Ok(settled) => Ok(Some(settled.reply)),
            Err(Refused::Conflict) => Ok(None),
            Err(Refused::Error(error)) => Err(error),
        }
    }
}

/// Items of a tenant that somebody is claiming at this moment.
pub(super) type Claims = Arc<Mutex<HashSet<ItemKey>>>;

/// Marks an item as being claimed until it is dropped.
struct Claiming {
    claims: Claims,
    key: ItemKey,
}

impl Claiming {
    /// `None` where somebody else is claiming it.
    fn of(claims: &Claims, key: &ItemKey) -> Option<Self> {
        held(claims).insert(key.clone()).then(|| Self {
            claims: claims.clone(),
            key: key.clone(),
        })
    }
}

impl Drop for Claiming {
    fn drop(&mut self) {
        held(&self.claims).remove(&self.key);
    }
}
