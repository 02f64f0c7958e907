//! Files that belong to nothing: uploads whose item never showed them, and files of items that are gone.
//!
//! Looks through the storage in stretches, in its own order, and goes on where it stopped; at the end it begins anew. What an item shows, what is
//! young, and what cannot be understood stays.

use std::time::{Duration, SystemTime};

use object_store::path::Path;
use relais_core::ids::{ItemId, ItemKey, RoomKey, Shelf, TenantKey};
use relais_core::ports::Store;

use super::Files;

/// Files of one turn.
const STRETCH: usize = 5_000;

/// Where the next turn begins.
#[derive(Default)]
pub struct Cursor(Option<Path>);

impl Files {
    /// Between two turns.
    pub fn sweep_period(&self) -> Duration {
        Duration::from_secs(self.settings.sweep_seconds)
    }

    /// Once at the start: what a process that was killed had half written. Blocks.
    pub fn remove_unfinished(&self, started: SystemTime) {
        self.storage.remove_unfinished(started);
    }

    /// One turn; says how many files went.
    pub async fn sweep(&self, store: &dyn Store, cursor: &mut Cursor) -> usize {
        let below = Path::from("files");
        let found = match self.storage.list(&below, cursor.0.as_ref(), STRETCH).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "unable to look for files that belong to nothing");
                return 0;
            }
        };
        cursor.0 = match found.len() {
            STRETCH => found.last().map(|object| object.location.clone()),
            _ => None,
        };
        let young = SystemTime::now() - self.sweep_period();
        let mut swept = 0;
        for object in found {
            let is_old = SystemTime::from(object.last_modified) < young;
            let Some(path) = object
                .location
                .as_ref()
                .strip_prefix("files/")
                .filter(|_| is_old)
            else {
                continue;
            };
            if let Some((tenant, item)) = owner(path)
                && belongs_nowhere(store, &tenant, &item, path).await
            {
                self.discard(path).await;
                swept += 1;
            }
        }
        swept
    }
}

/// Whether it is certain that an item does not show a file.
async fn belongs_nowhere(
    store: &dyn Store,
    tenant: &TenantKey,
    item: &ItemKey,
    path: &str,
) -> bool {
    let Ok(store) = store.tenant(tenant).await else {
        return false;
    };
    match store.item(item).await {
        Ok(Some(item)) => !item.files.iter().any(|file| *file.path == *path),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Whose file it is, by its path.
fn owner(path: &str) -> Option<(TenantKey, ItemKey)> {
    let mut parts = path.split('/');
    let mut next = || parts.next().and_then(decoded);
    let (app, tenant, kind, room, id) = (next()?, next()?, next()?, next()?, next()?);
    let room = match room.as_str() {
        "-" => None,
        room => {
            let (kind, id) = room.split_once(':')?;
            Some(RoomKey::new(kind, id))
        }
    };
    let shelf = Shelf {
        kind: kind.into(),
        room,
    };
    let id = ItemId::text(id);
    Some((TenantKey::new(app, tenant), ItemKey { shelf, id }))
}

/// A part of a path as it was; `None` where only its hash is left, or nothing was there.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'~' => return None,
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use relais_core::ids::Id;

    use super::*;

    #[test]
    fn a_path_says_whose_file_it_is_whatever_the_ids_are() {
        let tenant = TenantKey::new("app", "w/1 ..é");
        for (room, id) in [(None, ".."), (Some(RoomKey::new("class", "a:b")), "x~y%2F")] {
            let item = ItemKey {
                shelf: Shelf {
                    kind: "task".into(),
                    room,
                },
                id: ItemId::text(id),
            };
            let path = super::super::path(&tenant, &item, Id(uuid::Uuid::nil()), "png");
            assert!(
                Path::parse(&path).is_ok_and(|parsed| parsed.as_ref() == path),
                "{path}"
            );
            assert_eq!(owner(&path), Some((tenant.clone(), item)), "{path}");
        }
        assert_eq!(owner("app/t/task/-/~abcd/f.png"), None);
        assert_eq!(owner("app"), None);
    }
}
