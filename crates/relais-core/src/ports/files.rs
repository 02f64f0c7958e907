//! The bytes of items' files, as far as the core has to do with them.

use async_trait::async_trait;

use crate::error::Error;
use crate::event::FileInfo;
use crate::ids::{ItemId, Shelf, TenantKey};

/// Where the bytes of items' files are.
#[async_trait]
pub trait ItemFiles: Send + Sync {
    /// Removes files of an item that is gone, with all that was made of them. What cannot be removed now is found and removed later, so it
    /// does not fail.
    async fn forget(&self, files: &[FileInfo]);

    /// What an address is that a client gave for an item of a shelf. An upload is one of that tenant and shelf, whose address has not ended
    /// and whose bytes are there.
    ///
    /// Errors: those of a storage that cannot be asked.
    async fn address(
        &self,
        tenant: &TenantKey,
        shelf: &Shelf,
        address: &str,
    ) -> Result<Address, Error>;
}

/// What an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// One of another server, by https.
    Https,
    /// One of a file that was uploaded here.
    Upload(Uploaded),
    /// Nothing that an item may have.
    Unknown,
}

/// A file that was uploaded before there was an item for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The id of the item that is made of it.
    pub item: ItemId,
    /// The file.
    pub file: FileInfo,
    /// Whether it may be removed at any moment unless an item shows it already.
    pub is_late: bool,
}
