//! Files that were uploaded before there was an item for them, known again by their address.
//!
//! An upload lies where the files of the item would lie that has its id, so that [`super::sweep`] removes one of which no item came, and
//! an item that comes of it need not move it. Nothing else is remembered of it: that an address is ours is in its signature.

use relais_core::error::Error;
use relais_core::event::FileInfo;
use relais_core::ids::{Id, ItemId, ItemKey, Shelf, TenantKey, Timestamp};
use relais_core::ports::{Address, Uploaded};
use uuid::Uuid;

use super::links::PREFIX;
use super::picture::KINDS;
use super::sweep::AGE_MIN;
use super::{Files, folder, stored};

impl Files {
    /// See [`relais_core::ports::ItemFiles::address`].
    pub(super) async fn look_up(
        &self,
        tenant: &TenantKey,
        shelf: &Shelf,
        address: &str,
    ) -> Result<Address, Error> {
        let now = self.links.now();
        let of_others =
            || match address.starts_with("https://") && !self.links.is_below_base(address) {
                true => Address::Https,
                false => Address::Unknown,
            };
        let Some((path, query)) = split(address) else {
            return Ok(of_others());
        };
        let Ok(grant) = self.links.check(path, query, now) else {
            return Ok(of_others());
        };
        let Some(id) = id_of(&self.store, tenant, shelf, path) else {
            return Ok(Address::Unknown);
        };
        let Some(bytes) = self.storage.size(&stored(path)?).await? else {
            return Ok(Address::Unknown);
        };
        let ending = path.rsplit('.').next();
        let kind = KINDS.iter().find(|kind| ending == Some(kind.extension));
        let file = FileInfo {
            id,
            filename: grant.name.into(),
            path: path.into(),
            content_type: kind
                .map_or("application/octet-stream", |kind| kind.content_type)
                .into(),
            bytes,
        };
        Ok(Address::Upload(Uploaded {
            item: ItemId::text(id.to_string()),
            file,
            is_late: age_ms(id, now) > self.late_ms(),
        }))
    }

    /// From this age on an upload may be swept before an item shows it: a tenth of the time earlier than it is swept.
    fn late_ms(&self) -> u64 {
        let age = self.sweep_period().max(AGE_MIN);
        age.as_secs().saturating_mul(900)
    }
}

/// Path and query of an address, as far as it has the form of ours; wherever it leads to, the signature says whose it is.
fn split(address: &str) -> Option<(&str, &str)> {
    let path = match address.split_once("://") {
        Some(("https" | "http", rest)) => &rest[rest.find('/')?..],
        Some(_) => return None,
        None => address,
    };
    path.strip_prefix(PREFIX)?.split_once('?')
}

/// The id of an upload for a shelf: that of the item in its path is that of the file.
fn id_of(store: &str, tenant: &TenantKey, shelf: &Shelf, path: &str) -> Option<Id> {
    let (name, ending) = path.rsplit('/').next()?.split_once('.')?;
    let id = Id(Uuid::parse_str(name).ok()?);
    let item = ItemKey {
        shelf: shelf.clone(),
        id: ItemId::text(id.to_string()),
    };
    let own = format!("{store}/{}/{name}.{ending}", folder(tenant, &item));
    (own == path).then_some(id)
}

fn age_ms(id: Id, now: Timestamp) -> u64 {
    let made = id.0.get_timestamp().map_or(0, |made| {
        let (seconds, nanoseconds) = made.to_unix();
        seconds * 1_000 + u64::from(nanoseconds) / 1_000_000
    });
    u64::try_from(now.0)
        .unwrap_or_default()
        .saturating_sub(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_wherever_it_leads_to() {
        for address in [
            "/files/a/b?c=d",
            "http://127.0.0.1:1/files/a/b?c=d",
            "https://example.org/files/a/b?c=d",
        ] {
            assert_eq!(split(address), Some(("a/b", "c=d")), "{address}");
        }
        for address in [
            "",
            "/files/a/b",
            "https://example.org",
            "https://example.org/a/files/b?c",
            "ftp://example.org/files/a?c",
            "//example.org/files/a?c",
        ] {
            assert_eq!(split(address), None, "{address}");
        }
    }

    #[test]
    fn only_a_file_with_the_id_of_its_item_is_an_upload_of_that_shelf() {
        let tenant = TenantKey::new("wedding", "w");
        let shelf = |kind: &str| Shelf {
            kind: kind.into(),
            room: None,
        };
        let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
        let path = format!("own/wedding/w/photo/-/{id}/{id}.png");
        assert_eq!(id_of("own", &tenant, &shelf("photo"), &path), Some(Id(id)));
        assert_eq!(id_of("own", &tenant, &shelf("task"), &path), None);
        let elsewhere = TenantKey::new("wedding", "x");
        assert_eq!(id_of("own", &elsewhere, &shelf("photo"), &path), None);
        assert_eq!(id_of("other", &tenant, &shelf("photo"), &path), None);
        let attached = format!("own/wedding/w/photo/-/{id}/{other}.png");
        assert_eq!(id_of("own", &tenant, &shelf("photo"), &attached), None);
    }

    #[test]
    fn an_upload_is_as_old_as_its_id() {
        let id = Id(Uuid::now_v7());
        let (seconds, _) = id.0.get_timestamp().expect("a time").to_unix();
        let later = Timestamp(seconds as i64 * 1_000 + 61_000);
        assert!((60_000..=61_000).contains(&age_ms(id, later)));
        assert_eq!(age_ms(id, Timestamp(0)), 0);
    }
}
