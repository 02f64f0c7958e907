//! An upload on its way in: `multipart/form-data`, spooled into a file of this machine, bounded in bytes and in time, and looked at.

use std::path::{Path, PathBuf};

use axum::body::Body;
use http::HeaderValue;
use multer::{Constraints, Field, Multipart, SizeLimit};
use relais_core::error::{Code, Error};
use relais_core::event::FileInfo;
use relais_core::ids::{Id, TenantKey, UserId};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::Files;
use super::arriving::{Arriving, BodyError};
use super::picture::{self, Kind};
use super::slots::Slot;
use super::storage::io_failed;

/// Boundaries, heads and other fields of a form beside the file.
const FORM_BYTES_MAX: u64 = 64 * 1024;
const NAME_BYTES_MAX: usize = 200;

/// A file that was received and is what it should be. Gone when dropped.
pub struct Incoming {
    /// What it is.
    pub(super) kind: Kind,
    name: String,
    bytes: u64,
    spool: Spool,
    /// Held, never read: taken until the file is stored; none for a file of our own.
    _slot: Option<Slot>,
}

/// A file of this machine that lasts as long as this.
struct Spool(PathBuf);

impl Drop for Spool {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Incoming {
    pub(super) fn place(&self) -> &Path {
        &self.spool.0
    }

    pub(super) fn info(&self, id: Id, path: String) -> FileInfo {
        FileInfo {
            id,
            filename: self.name.as_str().into(),
            path: path.into(),
            content_type: self.kind.content_type.into(),
            bytes: self.bytes,
        }
    }
}

impl Files {
    /// Lets a user, or the backend of a tenant, send a file. The slot is theirs until the file is stored or refused.
    ///
    /// Errors: `RATE_LIMITED` (this user sends too many at once), `OVERLOADED` (the tenant or everybody does).
    pub fn admit(&self, tenant: &TenantKey, user: Option<&UserId>) -> Result<Slot, Error> {
        self.slots.take(tenant, user)
    }

    /// Reads the file out of a form's `field`.
    ///
    /// Errors: `INVALID_PAYLOAD` (no form, no such field, no picture, too slow), `TOO_LARGE`, `STORAGE_FULL`.
    pub async fn receive(
        &self,
        slot: Slot,
        content_type: Option<&HeaderValue>,
        field: &str,
        body: Body,
    ) -> Result<Incoming, Error> {
        let arriving = Arriving::new(body, self.settings.timeout);
        let received = self.of_body(content_type, field, &arriving).await;
        if received.is_err() {
            arriving.discard().await;
        }
        received.map(|incoming| Incoming {
            _slot: Some(slot),
            ..incoming
        })
    }

    async fn of_body(
        &self,
        content_type: Option<&HeaderValue>,
        field: &str,
        arriving: &Arriving,
    ) -> Result<Incoming, Error> {
        let bytes_max = self.settings.bytes_max;
        let boundary = content_type
            .and_then(|value| value.to_str().ok())
            .and_then(|value| multer::parse_boundary(value).ok())
            .ok_or_else(|| invalid("the body has to be multipart/form-data"))?;
        let limits = SizeLimit::new()
            .whole_stream(bytes_max + FORM_BYTES_MAX)
            .per_field(bytes_max);
        let constraints = Constraints::new().size_limit(limits);
        let form = Multipart::with_constraints(arriving.stream(), boundary, constraints);
        self.of_form(form, field).await
    }

    /// Looks at a picture that we fetched ourselves, as at an upload.
    ///
    /// Errors: `INVALID_PAYLOAD` (no picture), `TOO_LARGE`, `STORAGE_FULL`.
    pub async fn examined(&self, name: &str, bytes: &[u8]) -> Result<Incoming, Error> {
        if bytes.len() as u64 > self.settings.bytes_max {
            return Err(self.too_large());
        }
        let spool = self.new_spool();
        tokio::fs::write(&spool.0, bytes)
            .await
            .map_err(|error| io_failed(&error))?;
        self.looked_at(spool, name, bytes.len() as u64).await
    }

    fn new_spool(&self) -> Spool {
        Spool(self.settings.incoming.join(Uuid::now_v7().to_string()))
    }

    async fn looked_at(&self, spool: Spool, name: &str, bytes: u64) -> Result<Incoming, Error> {
        let (place, pixels_max) = (spool.0.clone(), self.settings.pixels_max);
        let looked = tokio::task::spawn_blocking(move || picture::look(&place, pixels_max)).await;
        let kind = looked.map_err(|_| invalid("it cannot be read"))??;
        Ok(Incoming {
            kind,
            name: tidy_name(name, kind.extension),
            bytes,
            spool,
            _slot: None,
        })
    }

    fn too_large(&self) -> Error {
        let text = format!(
            "unable to take the file; it is over {} bytes",
            self.settings.bytes_max
        );
        Error::new(Code::TooLarge, text)
    }

    async fn of_form(&self, mut form: Multipart<'_>, field: &str) -> Result<Incoming, Error> {
        loop {
            let next = form.next_field().await;
            let Some(part) = next.map_err(|error| self.unreadable(error))? else {
                return Err(invalid(&format!("the form has no file \"{field}\"")));
            };
            if part.name() == Some(field) {
                return self.spool(part).await;
            }
        }
    }

    async fn spool(&self, mut part: Field<'_>) -> Result<Incoming, Error> {
        let spool = self.new_spool();
        let mut file = tokio::fs::File::create(&spool.0)
            .await
            .map_err(|error| io_failed(&error))?;
        let name = part.file_name().unwrap_or_default().to_owned();
        let mut bytes = 0;
        loop {
            let next = part.chunk().await;
            let Some(chunk) = next.map_err(|error| self.unreadable(error))? else {
                break;
            };
            bytes += chunk.len() as u64;
            file.write_all(&chunk)
                .await
                .map_err(|error| io_failed(&error))?;
        }
        file.flush().await.map_err(|error| io_failed(&error))?;
        self.looked_at(spool, &name, bytes).await
    }

    fn unreadable(&self, error: multer::Error) -> Error {
        match error {
            multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
                self.too_large()
            }
            multer::Error::StreamReadFailed(why) => match why.downcast_ref::<BodyError>() {
                Some(BodyError::Slow | BodyError::Stopped) => invalid(&why.to_string()),
                Some(BodyError::Broken) | None => broken(),
            },
            _ => broken(),
        }
    }
}

fn broken() -> Error {
    invalid("the form is broken or ended too early")
}

fn invalid(why: &str) -> Error {
    Error::new(
        Code::InvalidPayload,
        format!("unable to take the file; {why}"),
    )
}

/// A name of a file that harms nobody who stores it under that name: no folder, nothing that cannot be seen, and the ending of what it
/// is.
fn tidy_name(name: &str, extension: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_plain = |letter: &char| {
        !letter.is_control()
            && !is_unseen(*letter)
            && !matches!(letter, '"' | '<' | '>' | '|' | '*' | '?' | ':')
    };
    let mut tidy: String = last.chars().filter(is_plain).collect();
    while tidy.len() > NAME_BYTES_MAX {
        tidy.pop();
    }
    let tidy = tidy.trim().trim_start_matches('.');
    let ending = tidy
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("jpeg") if extension == "jpg" => tidy.to_owned(),
        Some(ending) if ending == extension => tidy.to_owned(),
        _ if tidy.is_empty() => format!("image.{extension}"),
        _ => format!("{tidy}.{extension}"),
    }
}

/// Letters that are not seen and change what is: direction of writing, joiners, invisible marks, line ends, tags (Unicode's categories Cf, Zl
/// and Zp, and the selectors and fillers that show nothing either).
fn is_unseen(letter: char) -> bool {
    matches!(
        u32::from(letter),
        0x00AD
            | 0x034F
            | 0x0600..=0x0605
            | 0x061C
            | 0x06DD
            | 0x070F
            | 0x0890..=0x0891
            | 0x08E2
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0x3164
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFFB
            | 0x110BD
            | 0x110CD
            | 0x13430..=0x1343F
            | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A
            | 0xE0000..=0xE0FFF
    )
}

#[cfg(test)]
mod tests {
    use super::tidy_name;

    #[test]
    fn nothing_unseen_in_a_name_makes_it_look_like_another_one() {
        for (name, tidy) in [
            // Shown as "photo_exe.png" where the direction is turned.
            ("photo_\u{202E}gnp.exe", "photo_gnp.exe.png"),
            ("\u{2066}cat\u{2069}.png", "cat.png"),
            ("ca\u{200B}t\u{FEFF}.p\u{AD}ng", "cat.png"),
            ("a\u{2028}b\u{2029}c\u{61C}.png", "abc.png"),
            ("tag\u{E0041}\u{E007F}.png", "tag.png"),
            ("\u{200F}\u{200E}", "image.png"),
            ("..\u{200E}/\u{202A}passwd", "passwd.png"),
            ("\u{200B}.htaccess", "htaccess.png"),
            ("שלום.png", "שלום.png"),
            ("写真.png", "写真.png"),
        ] {
            assert_eq!(tidy_name(name, "png"), tidy, "{name:?}");
        }
    }

    #[test]
    fn a_name_keeps_what_is_harmless_and_ends_as_what_it_is() {
        for (name, tidy) in [
            ("cat.png", "cat.png"),
            ("Été à la mer.PNG", "Été à la mer.PNG"),
            ("../../etc/passwd", "passwd.png"),
            ("C:\\pictures\\cat.png", "cat.png"),
            ("page.html", "page.html.png"),
            ("a\r\nb\".png", "ab.png"),
            ("", "image.png"),
            ("...", "image.png"),
        ] {
            assert_eq!(tidy_name(name, "png"), tidy, "{name}");
        }
        assert_eq!(tidy_name("cat.JPEG", "jpg"), "cat.JPEG");
        assert!(tidy_name(&"é".repeat(500), "png").len() <= 204);
    }
}
