//! Who somebody is, out of the claims of a proved token: `[identity]` of the app file.
//!
//! In goes the token's payload, out comes an [`Identity`] and its tenant. Signatures, times and the `app` claim are the
//! server's to prove; the claims here are believed.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::reader::Table;
use super::rooms::{ROOM_BYTES_MAX, Rooms};
use crate::command::Identity;
use crate::error::{Code, Error};
use crate::event::Person;
use crate::ids::{RoomKey, Timestamp, UserId};

/// Rooms that one token may name.
pub const CLAIMED_ROOMS_MAX: usize = 1_024;
/// Characters of a display name; a longer one is cut.
pub const NAME_CHARS_MAX: usize = 255;
/// The tenant of an app without tenants.
const ONE_TENANT: &str = "default";

/// Which claims say who somebody is; of each list, the first present wins.
#[derive(Clone, Debug)]
pub struct IdentityRules {
    /// The user's id: a text or a whole number.
    pub user: Vec<Arc<str>>,
    /// The display name; the id where there is none.
    pub name: Vec<Arc<str>>,
    /// The role.
    pub role: Vec<Arc<str>>,
    /// The tenant; empty: the app has none.
    pub tenant: Vec<Arc<str>>,
    /// The tenant of a token that names none; `None`: such a token is refused.
    pub tenant_default: Option<Arc<str>>,
}

impl IdentityRules {
    /// Reads `[identity]`.
    pub(super) fn read(table: Option<&Table<'_>>) -> Self {
        let claims = |key: &'static str, default: &[&str]| -> Vec<Arc<str>> {
            match table.and_then(|table| table.texts(key)) {
                Some(texts) => texts.into_iter().map(|(text, _)| text.into()).collect(),
                None => default.iter().map(|text| (*text).into()).collect(),
            }
        };
        let rules = Self {
            user: claims("user", &["sub", "userId", "id"]),
            name: claims("name", &["name", "userName", "username", "email"]),
            role: claims("role", &["role"]),
            tenant: claims("tenant", &[]),
            tenant_default: table
                .and_then(|table| table.text("tenant_default"))
                .map(|(text, _)| text.into()),
        };
        if let Some(table) = table {
            if rules.user.is_empty() {
                table.note(
                    table.at.start,
                    "\"user\" needs at least one claim, such as \"sub\"",
                );
            }
            if rules.tenant.is_empty() && rules.tenant_default.is_some() {
                let text = "\"tenant_default\" without \"tenant\": name the claim as well";
                table.note(table.at.start, text);
            }
        }
        rules
    }

    /// The claims that win for id, name and role.
    pub(super) fn first_claims(&self) -> [&str; 3] {
        let lists = [&self.user, &self.name, &self.role];
        lists.map(|claims| claims.first().map_or("", |claim| &**claim))
    }

    /// See [`super::App::identity`].
    pub(super) fn prove(
        &self,
        claims: &Map<String, Value>,
        roles: &[(Arc<str>, Vec<Arc<str>>)],
        rooms: &Rooms,
    ) -> Result<(Arc<str>, Identity), Error> {
        let id = first(claims, &self.user)
            .and_then(UserId::from_json)
            .filter(|id| is_clean(id.as_str()))
            .ok_or_else(|| {
                let text = format!(
                    "unable to accept token; it names no user in \"{}\"",
                    self.user.join("\", \"")
                );
                Error::new(Code::TokenInvalid, text)
            })?;
        let name = first(claims, &self.name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map_or_else(
                || Arc::from(id.as_str()),
                |name| name.chars().take(NAME_CHARS_MAX).collect::<String>().into(),
            );
        let role = first(claims, &self.role).and_then(Value::as_str);
        // A role that the app does not list is an ordinary user.
        let known = roles.iter().find(|(known, _)| Some(&**known) == role);
        let identity = Identity {
            person: Person {
                id,
                name,
                role: known.map(|(role, _)| role.clone()),
            },
            claimed_rooms: claimed_rooms(claims, rooms)?,
            expires_at: time(claims, "exp"),
            issued_at: time(claims, "iat"),
            token_id: claims.get("jti").and_then(Value::as_str).map(Into::into),
        };
        Ok((self.tenant(claims)?, identity))
    }

    /// The tenant that a request without a token is about: the one tenant of an app that has no others, else the one that it
    /// names, else the default. `None`: it has to name one, of at most 255 bytes and without control characters.
    pub fn named_tenant(&self, named: Option<&str>) -> Option<Arc<str>> {
        if self.tenant.is_empty() {
            return Some(ONE_TENANT.into());
        }
        match named.filter(|named| !named.is_empty()) {
            Some(named) => is_clean(named).then(|| named.into()),
            None => self.tenant_default.clone(),
        }
    }

    fn tenant(&self, claims: &Map<String, Value>) -> Result<Arc<str>, Error> {
        if self.tenant.is_empty() {
            return Ok(ONE_TENANT.into());
        }
        let Some(value) = first(claims, &self.tenant) else {
            return self.tenant_default.clone().ok_or_else(|| {
                let text = format!(
                    "unable to accept token; it needs the claim \"{}\"",
                    self.tenant.join("\" or \"")
                );
                Error::new(Code::TenantRequired, text)
            });
        };
        let tenant = UserId::from_json(value).filter(|id| is_clean(id.as_str()));
        tenant.map(|id| id.as_str().into()).ok_or_else(|| {
            let text = "unable to accept token; its tenant is not a text or a whole number";
            Error::new(Code::TenantRequired, text)
        })
    }
}

/// The first claim of the list that is present and not null.
fn first<'c>(claims: &'c Map<String, Value>, names: &[Arc<str>]) -> Option<&'c Value> {
    let mut present = names.iter().filter_map(|name| claims.get(&**name));
    present.find(|value| !value.is_null())
}

fn is_clean(id: &str) -> bool {
    id.len() <= ROOM_BYTES_MAX && !id.chars().any(char::is_control)
}

fn claimed_rooms(claims: &Map<String, Value>, rooms: &Rooms) -> Result<Vec<RoomKey>, Error> {
    let mut claimed: Vec<RoomKey> = Vec::new();
    for (kind, claim) in rooms.claims() {
        let ids = match claims.get(&**claim) {
            Some(Value::Array(ids)) => ids.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => continue,
        };
        let ids = ids.iter().filter_map(UserId::from_json);
        let keys = ids
            .filter(|id| is_clean(id.as_str()))
            .map(|id| RoomKey::new(kind.kind.clone(), id.as_str()));
        claimed.extend(keys.take(CLAIMED_ROOMS_MAX + 1));
    }
    claimed.sort();
    claimed.dedup();
    if claimed.len() > CLAIMED_ROOMS_MAX {
        let text = format!("unable to accept token; it names more than {CLAIMED_ROOMS_MAX} rooms");
        return Err(Error::new(Code::TokenInvalid, text));
    }
    Ok(claimed)
}

/// A time in seconds, as it is after the proof: a number.
fn time(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let seconds = claims.get(name)?;
    let ms = match seconds.as_i64() {
        Some(seconds) => seconds.checked_mul(1_000)?,
        None => (seconds.as_f64()? * 1_000.0) as i64,
    };
    Some(Timestamp(ms))
}
