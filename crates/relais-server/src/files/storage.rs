//! Where the bytes of files lie: a folder, or a store that speaks S3. The only place that knows which.
//!
//! Comes in: bytes under a path. Goes out: the same bytes, whole or a part, and what of an item is there. A file is there as a whole or not
//! at all, whenever the process ends. Knows no item, no address and no picture.

use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use relais_core::error::{Code, Error};
use tokio::io::AsyncWriteExt as _;

/// Where to store, as set. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket.
    S3(S3),
}

/// A bucket of a store that speaks S3. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct S3 {
    /// Its name.
    pub bucket: String,
    /// What all paths begin with; may be empty.
    pub prefix: String,
    /// Address of the store; `None`: Amazon's.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// Who we are there.
    pub access_key_id: String,
    /// How we prove it.
    pub secret_access_key: String,
}

/// Why the storage cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The folder.
    #[error("unable to use the folder {path} for files; {reason}")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// The bucket.
    #[error("unable to use the bucket {bucket} for files; {reason}")]
    Bucket {
        /// Which.
        bucket: String,
        /// Why.
        reason: String,
    },
}

/// Bytes by path.
#[derive(Clone)]
pub struct Storage {
    objects: Arc<dyn ObjectStore>,
    /// Set where the bytes lie in a folder.
    folder: Option<PathBuf>,
}

/// What there is where a file was looked for.
pub enum Found {
    /// What was asked for.
    Reading(Reading),
    /// A file that is too short to have that part.
    NoSuchPart {
        /// How long it is.
        bytes: u64,
    },
    /// No file.
    Nothing,
}

/// What is read of a file.
pub struct Reading {
    /// How long the whole file is.
    pub bytes: u64,
    /// Which part this is.
    pub range: Range<u64>,
    /// It, as it arrives.
    pub stream: BoxStream<'static, Result<Bytes, object_store::Error>>,
}

impl Storage {
    /// Opens it.
    pub fn open(place: &Place) -> Result<Self, StorageError> {
        match place {
            Place::Folder(folder) => {
                let failed = |reason: String| StorageError::Folder {
                    path: folder.display().to_string(),
                    reason,
                };
                std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(folder)
                    .map_err(|error| failed(error.to_string()))?;
                Ok(Self {
                    objects: Arc::new(store.with_fsync(true).with_automatic_cleanup(true)),
                    folder: Some(folder.clone()),
                })
            }
            Place::S3(s3) => Ok(Self {
                objects: bucket(s3).map_err(|error| StorageError::Bucket {
                    bucket: s3.bucket.clone(),
                    reason: error.to_string(),
                })?,
                folder: None,
            }),
        }
    }

    /// Stores what stands in a file of this machine.
    pub async fn put_file(&self, path: &Path, from: &FilePath) -> Result<(), Error> {
        let mut file = tokio::fs::File::open(from)
            .await
            .map_err(|error| io_failed(&error))?;
        let mut writer = BufWriter::new(self.objects.clone(), path.clone());
        let copied = tokio::io::copy(&mut file, &mut writer).await;
        let done = match copied {
            Ok(_) => writer.shutdown().await,
            Err(error) => {
                // What was sent so far is not there for anybody; to take it back is only tidy.
                let _ = writer.abort().await;
                Err(error)
            }
        };
        done.map_err(|error| io_failed(&error))
    }

    /// Stores bytes.
    pub async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), Error> {
        let put = self.objects.put(path, bytes.into()).await;
        put.map(drop).map_err(|error| failed(&error))
    }

    /// Reads a file, or a part of it.
    pub async fn read(&self, path: &Path, range: Option<GetRange>) -> Result<Found, Error> {
        let options = GetOptions {
            range: range.clone(),
            ..GetOptions::default()
        };
        let error = match self.objects.get_opts(path, options).await {
            Ok(found) => {
                return Ok(Found::Reading(Reading {
                    bytes: found.meta.size,
                    range: found.range.clone(),
                    stream: found.into_stream(),
                }));
            }
            Err(object_store::Error::NotFound { .. }) => return Ok(Found::Nothing),
            Err(error) => error,
        };
        // Each storage has its own word for a part that is not there: it is its fault only where it has that part.
        if let Some(range) = range
            && let Ok(meta) = self.objects.head(path).await
            && range.as_range(meta.size).is_err()
        {
            return Ok(Found::NoSuchPart { bytes: meta.size });
        }
        Err(failed(&error))
    }

    /// The whole of a file. `None`: it is not there.
    pub async fn whole(&self, path: &Path) -> Result<Option<Bytes>, Error> {
        match self.objects.get(path).await {
            Ok(found) => found
                .bytes()
                .await
                .map(Some)
                .map_err(|error| failed(&error)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// How many bytes a file has. `None`: it is not there.
    pub async fn size(&self, path: &Path) -> Result<Option<u64>, Error> {
        match self.objects.head(path).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Removes a file; one that is not there is removed already.
    pub async fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.objects.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// What lies below a path, in no order, as it is found: neither all of it nor a whole folder is held.
    pub fn list(
        &self,
        below: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta, object_store::Error>> {
        self.objects.list(Some(below))
    }

    /// In a folder, what a process that was killed had half written before `since` below one of `places`, for as long as `goes_on`. Blocks.
    pub fn remove_unfinished(
        &self,
        places: &[Path],
        since: SystemTime,
        goes_on: impl Fn() -> bool,
    ) {
        let Some(folder) = &self.folder else {
            return;
        };
        // Only what this server has made: the operator's folder may hold other things.
        let below = |place: &Path| folder.join(place.as_ref());
        let mut folders: Vec<PathBuf> = places.iter().map(below).collect();
        while let Some(folder) = folders.pop().filter(|_| goes_on()) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    folders.push(entry.path());
                } else if is_unfinished(&entry.file_name().to_string_lossy())
                    && meta.modified().is_ok_and(|modified| modified < since)
                {
                    // Whoever cannot remove it now tries again at the next start.
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }
}

/// Whether a file in a folder is one that was being written: its name, and behind a `#` the number of the try.
fn is_unfinished(name: &str) -> bool {
    let tried = name.rsplit_once('#').map(|(_, number)| number);
    tried.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A client of the bucket. Nothing is asked yet.
fn bucket(s3: &S3) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    // Whoever comes second finds the same one there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_access_key_id(&s3.access_key_id)
        .with_secret_access_key(&s3.secret_access_key);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder
            .with_endpoint(endpoint)
            .with_allow_http(endpoint.starts_with("http://"));
    }
    let store = builder.build()?;
    Ok(match s3.prefix.is_empty() {
        true => Arc::new(store),
        false => Arc::new(PrefixStore::new(store, s3.prefix.as_str())),
    })
}

/// What a client is told of a storage that failed; the log has the rest.
fn failed(error: &object_store::Error) -> Error {
    of_source(error)
}

/// The same for a file of this machine.
pub fn io_failed(error: &std::io::Error) -> Error {
    of_source(error)
}

fn of_source(error: &(dyn std::error::Error + 'static)) -> Error {
    let mut cause = Some(error);
    while let Some(source) = cause {
        let kind = source
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        if matches!(
            kind,
            Some(
                std::io::ErrorKind::StorageFull
                    | std::io::ErrorKind::QuotaExceeded
                    | std::io::ErrorKind::FileTooLarge
            )
        ) {
            tracing::warn!(%error, "no room for a file");
            return Error::new(
                Code::StorageFull,
                "unable to store a file; the storage is full",
            );
        }
        cause = match source
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => source.source(),
        };
    }
    tracing::error!(%error, "the storage of files failed");
    Error::new(Code::Unavailable, "unable to reach the storage of files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_opened_before_anything_else_of_the_server_has_asked_the_network() {
        let place = Place::S3(S3 {
            bucket: "pictures".to_owned(),
            prefix: "some/where".to_owned(),
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            region: "us-east-1".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "key".to_owned(),
        });
        Storage::open(&place).expect("opened");
    }

    #[test]
    fn a_full_disk_is_told_apart_however_deep_it_is_found() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let wrapped = object_store::Error::Generic {
            store: "folder",
            source: Box::new(full()),
        };
        assert_eq!(failed(&wrapped).code, Code::StorageFull);
        assert_eq!(
            io_failed(&std::io::Error::other(wrapped)).code,
            Code::StorageFull
        );
        assert_eq!(io_failed(&full()).code, Code::StorageFull);
        assert_eq!(
            io_failed(&std::io::Error::other("else")).code,
            Code::Unavailable
        );
    }
}
