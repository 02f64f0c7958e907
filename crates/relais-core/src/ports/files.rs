//! The bytes of items' files, as far as the core has to do with them.

use async_trait::async_trait;

use crate::event::FileInfo;

/// Where the bytes of items' files are.
#[async_trait]
pub trait ItemFiles: Send + Sync {
    /// Removes files of an item that is gone, with all that was made of them. What cannot be removed now is found and removed later, so it
    /// does not fail.
    async fn forget(&self, files: &[FileInfo]);
}
