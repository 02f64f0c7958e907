//! Files that belong to nothing: uploads whose item never showed them, files of items that are gone, and smaller pictures of either.
//!
//! A turn looks at everything that lies below the name of our store, one after the other as the storage lists it, and holds none of it. What an
//! item shows, what is young, what cannot be understood and what another store has put there stays.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use object_store::ObjectMeta;
use object_store::path::Path;
use relais_core::ids::{ItemId, ItemKey, RoomKey, Shelf, TenantKey};
use relais_core::ports::Store;

use super::Files;

/// Whatever is younger stays, however often we look: it may be shown in a moment, clocks differ, and a store that speaks S3 gives a large
/// file the time at which its upload began.
pub(super) const AGE_MIN: Duration = Duration::from_secs(600);

impl Files {
    /// Between two turns.
    pub fn sweep_period(&self) -> Duration {
        Duration::from_secs(self.settings.sweep_seconds)
    }

    /// Once at the start: what a process that was killed had half written. Blocks, for as long as `goes_on`.
    pub fn remove_unfinished(&self, started: SystemTime, goes_on: impl Fn() -> bool) {
        let places = [self.below("files"), self.below("thumbnails")];
        self.storage.remove_unfinished(&places, started, goes_on);
    }

    /// One turn; says how many files went. Whoever stops waiting for it stops it, and nothing is half done then.
    pub async fn sweep(&self, store: &Arc<dyn Store>) -> usize {
        let mut swept = 0;
        for place in ["files", "thumbnails"] {
            let mut listed = self.storage.list(&self.below(place));
            let mut failed = None;
            while let Some(found) = listed.next().await {
                match found {
                    Ok(object) => swept += usize::from(self.sweep_one(store, place, &object).await),
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(error) = failed {
                tracing::warn!(%error, "unable to look for all files that belong to nothing");
            }
        }
        swept
    }

    fn below(&self, place: &str) -> Path {
        Path::from_iter([place, &*self.store])
    }

    /// Whether it went.
    async fn sweep_one(&self, store: &Arc<dyn Store>, place: &str, object: &ObjectMeta) -> bool {
        let young = SystemTime::now() - self.sweep_period().max(AGE_MIN);
        if SystemTime::from(object.last_modified) >= young {
            return false;
        }
        let location = object.location.as_ref();
        let inside = location
            .strip_prefix(place)
            .and_then(|rest| rest.strip_prefix('/'));
        let path = match place {
            // Of a smaller picture the last part is its side.
            "thumbnails" => inside.and_then(|inside| Some(inside.rsplit_once('/')?.0)),
            _ => inside,
        };
        let of_ours = path.and_then(|path| path.strip_prefix(&*self.store)?.strip_prefix('/'));
        let (Some(path), Some((tenant, item))) = (path, of_ours.and_then(owner)) else {
            return false;
        };
        if !belongs_nowhere(store, &tenant, &item, path).await {
            return false;
        }
        let removed = self.storage.remove(&object.location).await;
        removed.is_ok()
    }
}

/// Whether it is certain that an item does not show a file.
async fn belongs_nowhere(
    store: &Arc<dyn Store>,
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

/// Whose file it is, by its path behind the name of the store.
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
    use std::fs::File;
    use std::path::PathBuf;

    use relais_core::ids::{Epoch, Id};
    use relais_store::memory::MemoryStore;

    use super::*;
    use crate::clock::Clock;
    use crate::files::{FileSettings, Place, smaller};
    use crate::glue::ports::Hub;
    use crate::glue::scopes::Scopes;

    /// Files in a folder that lasts as long as this.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("relais-{name}-{}", std::process::id()));
            Self(folder)
        }

        fn files(&self, store: &str) -> Files {
            let settings = FileSettings {
                place: Place::Folder(self.0.join("files")),
                incoming: self.0.join(format!("incoming-{store}")),
                bytes_max: 1 << 20,
                pixels_max: 1 << 20,
                link_seconds: 60,
                public_url: None,
                sweep_seconds: 1,
                timeout: Duration::from_secs(1),
            };
            let base = "http://localhost";
            Files::open(&settings, &store.into(), "secret", base, Clock::start()).expect("opened")
        }

        fn all(&self) -> Vec<PathBuf> {
            let (mut found, mut folders) = (Vec::new(), vec![self.0.join("files")]);
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                    match entry.path() {
                        path if path.is_dir() => folders.push(path),
                        path => found.push(path),
                    }
                }
            }
            found
        }

        fn age(&self) {
            for path in self.all() {
                let file = File::options().write(true).open(path).expect("a file");
                file.set_modified(SystemTime::UNIX_EPOCH).expect("aged");
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // Whatever is left is in the system's temporary folder.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn a_store() -> Arc<dyn Store> {
        let hub = Arc::new(Hub::new(Arc::new(Scopes::new([]))));
        Arc::new(MemoryStore::new(hub, Arc::new(|| Epoch(1))))
    }

    fn item(id: &str) -> ItemKey {
        let shelf = Shelf {
            kind: "task".into(),
            room: None,
        };
        let id = ItemId::text(id);
        ItemKey { shelf, id }
    }

    async fn kept(files: &Files, number: u128) -> Path {
        let (tenant, item) = (TenantKey::new("app", "t"), item("lost"));
        let id = Id(uuid::Uuid::from_u128(number));
        let info = files.keep_png(&tenant, &item, id, "a.png", vec![1]).await;
        let small = smaller(&info.expect("kept").path, 128).expect("a path");
        files.storage.put(&small, vec![1]).await.expect("kept too");
        small
    }

    #[tokio::test]
    async fn what_belongs_to_nothing_goes_with_its_smaller_pictures_once_it_is_old() {
        let folder = Folder::new("sweep-old");
        let (files, store) = (folder.files("one"), a_store());
        kept(&files, 1).await;
        assert_eq!(files.sweep(&store).await, 0, "it is young");
        folder.age();
        kept(&files, 2).await;
        assert_eq!(files.sweep(&store).await, 2);
        assert_eq!(folder.all().len(), 2, "the young ones stay");
    }

    #[tokio::test]
    async fn what_another_store_has_put_into_the_same_place_is_never_swept() {
        let folder = Folder::new("sweep-other");
        let (files, other, store) = (folder.files("one"), folder.files("other"), a_store());
        kept(&other, 1).await;
        folder.age();
        assert_eq!(files.sweep(&store).await, 0);
        assert_eq!(folder.all().len(), 2);
        assert_eq!(other.sweep(&store).await, 2);
    }

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
            let path = format!("{}/f.png", super::super::folder(&tenant, &item));
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
