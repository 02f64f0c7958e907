//! A tenant's items in memory.
//!
//! Each has a number in the order of creation, which it keeps as long as it is there.

use std::collections::{BTreeMap, HashMap};

use relais_core::event::Item;
use relais_core::ids::{ItemKey, Shelf, Timestamp, UserId};
use relais_core::ports::{ItemPage, ItemQuery, TemporaryId, UserItems};

/// All items of a tenant.
#[derive(Default)]
pub(super) struct Items {
    by_number: BTreeMap<u64, Item>,
    numbers: HashMap<ItemKey, u64>,
}

impl Items {
    pub(super) fn put(&mut self, item: Item) {
        let next = self.by_number.last_key_value();
        let next = next.map_or(1, |(number, _)| number + 1);
        let number = *self.numbers.entry(item.key.clone()).or_insert(next);
        self.by_number.insert(number, item);
    }

    pub(super) fn delete(&mut self, key: &ItemKey) {
        if let Some(number) = self.numbers.remove(key) {
            self.by_number.remove(&number);
        }
    }

    pub(super) fn get(&self, key: &ItemKey) -> Option<&Item> {
        self.by_number.get(self.numbers.get(key)?)
    }

    pub(super) fn of(&self, temporary: &TemporaryId) -> Option<&Item> {
        let newest_first = self.by_number.values().rev();
        let mut newest_first = newest_first.filter(|item| item.key.shelf == temporary.shelf);
        newest_first.find(|item| TemporaryId::of(item).as_ref() == Some(temporary))
    }

    pub(super) fn page(&self, query: &ItemQuery) -> ItemPage {
        let before = match &query.before {
            None => u64::MAX,
            Some(id) => {
                let key = ItemKey {
                    shelf: query.shelf.clone(),
                    id: id.clone(),
                };
                self.numbers.get(&key).copied().unwrap_or_default()
            }
        };
        let fits = |item: &&Item| {
            item.key.shelf == query.shelf
                && (query.status.is_none() || item.status == query.status)
                && query.of.as_ref().is_none_or(|user| is_of(item, user))
        };
        let limit = crate::items_limit(query.limit);
        let older = self.by_number.range(..before).rev();
        let found = older.map(|(_, item)| item).filter(fits);
        let mut items: Vec<_> = found.take(limit + 1).cloned().collect();
        let has_more = items.len() > limit;
        items.truncate(limit);
        ItemPage { items, has_more }
    }

    pub(super) fn items_of(&self, user: &UserId, after: Option<u64>) -> UserItems {
        let later = self.by_number.range(after.map_or(0, |after| after + 1)..);
        let mut theirs = later.filter(|(_, item)| is_of(item, user));
        let page = theirs.by_ref().take(crate::USER_ITEMS_MAX);
        let (numbers, items): (Vec<u64>, Vec<Item>) =
            page.map(|(number, item)| (*number, item.clone())).unzip();
        let next = theirs.next().and(numbers.last().copied());
        UserItems { items, next }
    }

    pub(super) fn claimable(&self, shelf: &Shelf, now: Timestamp, limit: u32) -> Vec<Item> {
        let is_free = |item: &&Item| {
            item.key.shelf == *shelf && item.lease.is_some_and(|lease| lease.free_at <= now)
        };
        let found = self.by_number.values().filter(is_free);
        found.take(crate::items_limit(limit)).cloned().collect()
    }
}

/// Whether a user owns an item or was given it.
fn is_of(item: &Item, user: &UserId) -> bool {
    let owner = item.owner.as_ref();
    owner.is_some_and(|owner| owner.id == *user) || item.assignee.as_ref() == Some(user)
}
