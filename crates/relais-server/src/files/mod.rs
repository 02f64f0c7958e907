//! Files that clients send: received, looked at, stored, and shown by signed addresses.
//!
//! Comes in: the body of an upload, or bytes of our own. Goes out: a [`FileInfo`] for the item that it belongs to. A file is checked before
//! anything is asked about that item, and nothing shows it before the item's change is committed: one that never was is removed by
//! [`sweep`]. Who may attach, read or delete is decided by the core; HTTP is [`crate::http`]'s.

mod arriving;
mod links;
mod picture;
mod receive;
mod slots;
mod storage;
pub mod sweep;
mod uploads;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::path::Path;
use relais_core::error::{Code, Error};
use relais_core::event::FileInfo;
use relais_core::ids::{Id, ItemKey, Shelf, TenantKey};
use relais_core::ports::{Address, ItemFiles};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

pub use links::{Grant, Links, PREFIX, encode};
pub use picture::{KINDS, THUMBNAILS, type_of_smaller};
pub use receive::Incoming;
pub use storage::{Found, Place, S3, StorageError};

use crate::clock::Clock;
use slots::Slots;
use storage::Storage;

/// Pictures that are made smaller at once: each may take half a gigabyte.
const THUMBNAILS_AT_ONCE_MAX: usize = 1;
/// Bytes of one part of a path; a longer one is stored under its hash.
const PART_BYTES_MAX: usize = 200;

/// What a file may be, and where it goes. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct FileSettings {
    /// Where the bytes go.
    pub place: Place,
    /// Where an upload waits to be looked at.
    pub incoming: PathBuf,
    /// Bytes of a file.
    pub bytes_max: u64,
    /// Pixels of a picture.
    pub pixels_max: u64,
    /// Seconds for which an address is good, at least.
    pub link_seconds: i64,
    /// Where the world reaches us; `None`: where a request came to.
    pub public_url: Option<String>,
    /// Seconds between two looks for what belongs to nothing, and the age from which on it goes, but for what is very young.
    pub sweep_seconds: u64,
    /// Until the next bytes of an upload have come, and what all of them may be late.
    pub timeout: Duration,
}

/// All files of the server.
pub struct Files {
    storage: Storage,
    /// Below whose name our files lie: others may have theirs in the same bucket.
    store: Arc<str>,
    links: Arc<Links>,
    settings: FileSettings,
    slots: Slots,
    thumbnails: Arc<Semaphore>,
}

impl Files {
    /// Opens the storage, for files of the store that is called `store`; addresses are signed with a key derived from `secret`, and begin with
    /// `base` where nothing else is known.
    pub fn open(
        settings: &FileSettings,
        store: &Arc<str>,
        secret: &str,
        base: &str,
        clock: Clock,
    ) -> Result<Self, StorageError> {
        let failed = |error: std::io::Error| StorageError::Folder {
            path: settings.incoming.display().to_string(),
            reason: error.to_string(),
        };
        // What a process before us was receiving is worth nothing.
        match std::fs::remove_dir_all(&settings.incoming) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => std::fs::create_dir_all(&settings.incoming).map_err(failed)?,
        }
        let base = settings.public_url.as_deref().unwrap_or(base);
        Ok(Self {
            storage: Storage::open(&settings.place)?,
            store: store.clone(),
            links: Arc::new(Links::derive(
                secret,
                settings.link_seconds,
                base.to_owned(),
                clock,
            )),
            settings: settings.clone(),
            slots: Slots::default(),
            thumbnails: Arc::new(Semaphore::new(THUMBNAILS_AT_ONCE_MAX)),
        })
    }

    /// Signs and reads addresses.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// Where the world reaches us, if it was set.
    pub fn public_url(&self) -> Option<&str> {
        self.settings.public_url.as_deref()
    }

    /// Bytes of a file.
    pub fn bytes_max(&self) -> usize {
        usize::try_from(self.settings.bytes_max).unwrap_or(usize::MAX)
    }

    fn path(&self, tenant: &TenantKey, item: &ItemKey, id: Id, extension: &str) -> String {
        let store = &self.store;
        format!("{store}/{}/{id}.{extension}", folder(tenant, item))
    }

    /// Stores an upload for an item, which may show it once that is committed.
    pub async fn keep(
        &self,
        tenant: &TenantKey,
        item: &ItemKey,
        id: Id,
        incoming: Incoming,
    ) -> Result<FileInfo, Error> {
        let info = incoming.info(id, self.path(tenant, item, id, incoming.kind.extension));
        self.storage
            .put_file(&stored(&info.path)?, incoming.place())
            .await?;
        Ok(info)
    }

    /// Stores a PNG of our own for an item.
    pub async fn keep_png(
        &self,
        tenant: &TenantKey,
        item: &ItemKey,
        id: Id,
        name: &str,
        png: Vec<u8>,
    ) -> Result<FileInfo, Error> {
        let info = FileInfo {
            id,
            filename: name.into(),
            path: self.path(tenant, item, id, "png").into(),
            content_type: "image/png".into(),
            bytes: png.len() as u64,
        };
        self.storage.put(&stored(&info.path)?, png).await?;
        Ok(info)
    }

    /// Removes a file that no item shows. Where that fails, [`sweep`] finds it later.
    pub async fn discard(&self, path: &str) {
        if let Ok(path) = stored(path)
            && let Err(error) = self.storage.remove(&path).await
        {
            tracing::debug!(%error, "a file waits to be swept");
        }
        for side in THUMBNAILS {
            if let Ok(path) = smaller(path, side) {
                // There mostly is none.
                let _ = self.storage.remove(&path).await;
            }
        }
    }

    /// Reads a file, or a part of it.
    pub async fn read(
        &self,
        path: &str,
        range: Option<object_store::GetRange>,
    ) -> Result<Found, Error> {
        match stored(path) {
            Ok(path) => self.storage.read(&path, range).await,
            Err(_) => Ok(Found::Nothing),
        }
    }

    /// A smaller picture of a file, made at the first time. `None`: there is no such file, or it cannot be read.
    pub async fn thumbnail(&self, path: &str, side: u32) -> Result<Option<bytes::Bytes>, Error> {
        let (Ok(whole), Ok(small)) = (stored(path), smaller(path, side)) else {
            return Ok(None);
        };
        if let Some(bytes) = self.storage.whole(&small).await? {
            return Ok(Some(bytes));
        }
        let closed = |_| Error::new(Code::Unavailable, "the server stops");
        let permit = self.thumbnails.clone().acquire_owned().await;
        let permit = permit.map_err(closed)?;
        // Who waited may find it made.
        if let Some(bytes) = self.storage.whole(&small).await? {
            return Ok(Some(bytes));
        }
        let Some(bytes) = self.storage.whole(&whole).await? else {
            return Ok(None);
        };
        // Whoever hangs up does not make room for another one: the work goes on without them.
        let make = move || {
            let made = picture::smaller(&bytes, side);
            drop(permit);
            made
        };
        let made = tokio::task::spawn_blocking(make).await;
        let Ok(Some(made)) = made else {
            return Ok(None);
        };
        match self.storage.put(&small, made.clone()).await {
            // It is shown even where there is no room to keep it.
            Ok(()) | Err(_) => Ok(Some(made.into())),
        }
    }
}

#[async_trait]
impl ItemFiles for Files {
    async fn forget(&self, files: &[FileInfo]) {
        for file in files {
            self.discard(&file.path).await;
        }
    }

    async fn address(
        &self,
        tenant: &TenantKey,
        shelf: &Shelf,
        address: &str,
    ) -> Result<Address, Error> {
        self.look_up(tenant, shelf, address).await
    }
}

/// `{app}/{tenant}/{kind}/{room}/{item}`, each part in letters that a path and an address may hold.
fn folder(tenant: &TenantKey, item: &ItemKey) -> String {
    let shelf = &item.shelf;
    let room = match &shelf.room {
        None => "-".to_owned(),
        Some(room) => part(&format!("{}:{}", room.kind, room.id)),
    };
    let (app, tenant) = (part(&tenant.app), part(&tenant.tenant));
    format!(
        "{app}/{tenant}/{}/{room}/{}",
        part(&shelf.kind),
        part(item.id.as_str())
    )
}

/// One part of a path. What is too long for a name of a file becomes a hash. Large letters are encoded, because there are file systems to which
/// `A` and `a` are one folder.
fn part(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            // Writing to a String cannot fail.
            byte => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    match encoded.len() {
        0 => "~".to_owned(),
        length if length > PART_BYTES_MAX => {
            let digest = Sha256::digest(text);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("~{hex}")
        }
        _ => encoded,
    }
}

fn stored(path: &str) -> Result<Path, Error> {
    Path::parse(format!("files/{path}")).map_err(|_| no_path())
}

fn smaller(path: &str, side: u32) -> Result<Path, Error> {
    Path::parse(format!("thumbnails/{path}/{side}")).map_err(|_| no_path())
}

fn no_path() -> Error {
    Error::new(Code::NotFound, "there is no such file")
}

/// Shared by those who store, show and remove.
pub type SharedFiles = Arc<Files>;
