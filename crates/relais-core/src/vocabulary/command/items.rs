//! From a checked payload to what is asked of items.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::rule::ROOM_OWNER;
use super::Reading;
use crate::command::{ItemAction, ItemListing, ItemRequest, Permission, Relation};
use crate::error::Error;
use crate::ids::{ItemId, Shelf};

impl Reading<'_, '_> {
    pub(super) fn item(&self, action: ItemAction) -> Result<ItemRequest, Error> {
        let mut request = ItemRequest {
            id: self.user(0)?.map(ItemId),
            may: self.permission(),
            ..ItemRequest::new(action, self.shelf(None)?)
        };
        // A file comes by itself: it takes nothing else.
        if matches!(action, ItemAction::Attach | ItemAction::Upload) {
            return Ok(request);
        }
        request.fields = match self.value(1).map(Cow::into_owned) {
            None => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(self.refuse("\"fields\" has to be an object")),
        };
        request.status = self.text(2)?;
        request.assignee = match self.given(3).as_deref() {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(self.id(value)?)),
        };
        request.owner = self.user(4)?;
        request.reason = self.string(5)?;
        request.key = self.text(6)?;
        Ok(request)
    }

    pub(super) fn item_listing(&self) -> Result<ItemListing, Error> {
        Ok(ItemListing {
            shelf: self.shelf(self.text(0)?)?,
            status: self.text(1)?,
            before: self.user(2)?.map(ItemId),
            limit: self.limit(3)?,
            may: self.permission(),
        })
    }

    /// The item kind of the rule, else the one that the payload names; in the rule's room, where it has one.
    fn shelf(&self, named: Option<Arc<str>>) -> Result<Shelf, Error> {
        let kind = self.rule.item.clone().or(named);
        Ok(Shelf {
            kind: kind.ok_or_else(|| self.refuse("\"kind\" is missing"))?,
            room: match self.rule.places.is_empty() {
                true => None,
                false => Some(self.room()?),
            },
        })
    }

    fn permission(&self) -> Permission {
        let relation = |name: &Arc<str>| match &**name {
            "owner" => Some(Relation::Owner),
            "assignee" => Some(Relation::Assignee),
            ROOM_OWNER => Some(Relation::RoomOwner),
            _ => None,
        };
        Permission {
            roles: self.rule.roles.clone(),
            also: self.rule.also.iter().filter_map(relation).collect(),
            is_granted: false,
        }
    }
}
