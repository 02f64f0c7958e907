//! Signed addresses of files: `/files/{path}?expires=…&name=…&signature=…`. Whoever has one may fetch that file until it ends; nobody
//! else may, and an address proves nothing about any other file.
//!
//! Comes in: the path of a file in the storage. Goes out: an address, and whether one that comes back is ours. Addresses are never stored:
//! facts hold paths, and become addresses when they are delivered.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use relais_core::error::{Code, Error};
use relais_core::event::Facts;
use relais_core::ids::Timestamp;
use relais_protocol::engineio::QueryPairs;
use serde_json::Value;
use sha2::Sha256;

use crate::clock::Clock;

/// Under which paths files are served.
pub const PREFIX: &str = relais_core::capability::item::REFERENCE;
/// The side of the smaller picture whose address stands beside a file's own.
const THUMBNAIL: u32 = 512;

/// Signs addresses and reads them.
#[derive(Clone)]
pub struct Links {
    mac: Hmac<Sha256>,
    seconds: i64,
    base: String,
    clock: Clock,
}

/// What a good address allows.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    /// The name that the file came with.
    pub name: String,
    /// For so many seconds from now.
    pub seconds: i64,
}

impl Links {
    /// A key derived from the server's secret, addresses that last `seconds`, below `base` unless a request says otherwise.
    pub fn derive(secret: &str, seconds: i64, base: String, clock: Clock) -> Self {
        let mut derived = keyed(secret.as_bytes());
        derived.update(b"relais addresses of files 1");
        Self {
            mac: keyed(&derived.finalize().into_bytes()),
            seconds,
            base: base.trim_end_matches('/').to_owned(),
            clock,
        }
    }

    /// The address of a file, below `base` or the server's own. Addresses that are asked for within a quarter of their life are the
    /// same, so that browsers need not fetch a file again.
    pub fn address(&self, base: Option<&str>, path: &str, name: &str, now: Timestamp) -> String {
        let step = (self.seconds / 4).max(1);
        let expires = (now.0.div_euclid(1_000) / step + 1) * step + self.seconds;
        let base = base.unwrap_or(&self.base);
        let signature =
            URL_SAFE_NO_PAD.encode(self.signed(path, expires, name).finalize().into_bytes());
        let name = encode(name);
        format!("{base}{PREFIX}{path}?expires={expires}&name={name}&signature={signature}")
    }

    /// Whether an address is ours, and for how long yet. `path` is what stands behind [`PREFIX`], `query` is raw.
    pub fn check(&self, path: &str, query: &str, now: Timestamp) -> Result<Grant, Error> {
        let refuse = |why| {
            Err(Error::new(
                Code::Forbidden,
                format!("unable to show the file; {why}"),
            ))
        };
        let value = |name: &str| {
            let found = QueryPairs::new(query).find(|(key, _)| *key == *name);
            found.map(|(_, value)| value)
        };
        let expires = value("expires").and_then(|text| text.parse::<i64>().ok());
        let signature = value("signature").and_then(|text| URL_SAFE_NO_PAD.decode(&*text).ok());
        let name = value("name");
        let (Some(expires), Some(signature), Some(name)) = (expires, signature, name) else {
            return refuse("the address is not signed");
        };
        // In constant time.
        if self
            .signed(path, expires, &name)
            .verify_slice(&signature)
            .is_err()
        {
            return refuse("the address is not ours");
        }
        let seconds = expires - now.0.div_euclid(1_000);
        if seconds <= 0 {
            return refuse("the address has expired");
        }
        Ok(Grant {
            name: name.into_owned(),
            seconds,
        })
    }

    /// Whether an address would be one of our files, if it were signed.
    pub(super) fn is_below_base(&self, address: &str) -> bool {
        let path = address.strip_prefix(&*self.base);
        path.is_some_and(|path| path.starts_with(PREFIX))
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    fn signed(&self, path: &str, expires: i64, name: &str) -> Hmac<Sha256> {
        self.mac
            .clone()
            .chain_update(format!("{path}\n{expires}\n{name}"))
    }

    /// The facts with addresses where paths of files are: in `file`, `files`, `item` and `items`. Untouched where there are none.
    pub fn shown<'f>(
        &self,
        base: Option<&str>,
        facts: &'f Facts,
        now: Timestamp,
    ) -> Cow<'f, Facts> {
        match has_files(facts) {
            false => Cow::Borrowed(facts),
            true => {
                let mut facts = facts.clone();
                self.show(base, &mut facts, now);
                Cow::Owned(facts)
            }
        }
    }

    /// The same, now, where no request says where we are.
    pub fn shown_now<'f>(&self, facts: &'f Facts) -> Cow<'f, Facts> {
        self.shown(None, facts, self.clock.now().wall)
    }

    fn show(&self, base: Option<&str>, facts: &mut Facts, now: Timestamp) {
        let address = |file: &Value| {
            let (path, name) = (file["url"].as_str()?, file["filename"].as_str()?);
            Some(self.address(base, path, name, now))
        };
        let sign = |file: &mut Value| {
            if let Some(address) = address(file) {
                file["thumbnailUrl"] = format!("{address}&thumb={THUMBNAIL}").into();
                file["url"] = address.into();
            }
        };
        // Before the paths become addresses: a field that refers to one of the files of its item is shown as that file's address.
        if let Some(mut fields) = facts.remove("fields") {
            let all = fields.as_object_mut().into_iter();
            for field in all.flat_map(|all| all.values_mut()) {
                if let Some(file) = referred(facts, field)
                    && let Some(address) = address(file)
                {
                    *field = address.into();
                }
            }
            facts.insert("fields".to_owned(), fields);
        }
        if let Some(file) = facts.get_mut("file") {
            sign(file);
        }
        if let Some(Value::Array(files)) = facts.get_mut("files") {
            files.iter_mut().for_each(sign);
        }
        if let Some(Value::Object(item)) = facts.get_mut("item") {
            self.show(base, item, now);
        }
        if let Some(Value::Array(items)) = facts.get_mut("items") {
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                self.show(base, item, now);
            }
        }
    }
}

/// The file of an item that one of its fields refers to.
fn referred<'f>(item: &'f Facts, field: &Value) -> Option<&'f Value> {
    let path = field.as_str()?.strip_prefix(PREFIX)?;
    let files = item.get("files")?.as_array()?;
    files.iter().find(|file| file["url"] == path)
}

fn has_files(facts: &Facts) -> bool {
    let within = |value: &Value| value.as_object().is_some_and(has_files);
    let some = |name: &str| facts.get(name).and_then(Value::as_array);
    facts.contains_key("file")
        || some("files").is_some_and(|files| !files.is_empty())
        || facts.get("item").is_some_and(within)
        || some("items").is_some_and(|items| items.iter().any(within))
}

/// A value of a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    Hmac::new_from_slice(key).expect("a key of any length")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn links() -> Links {
        Links::derive(
            "a secret of the server",
            3_600,
            "https://files.example.org/".to_owned(),
            Clock::start(),
        )
    }

    fn parts(address: &str) -> (String, String) {
        let rest = address.split_once(PREFIX).expect("a path").1;
        let (path, query) = rest.split_once('?').expect("a query");
        (path.to_owned(), query.to_owned())
    }

    #[test]
    fn an_address_is_good_for_its_file_and_its_time_and_for_nothing_else() {
        let address = links().address(None, "app/t/k/-/1/f.png", "söme & name.png", NOW);
        assert!(address.starts_with("https://files.example.org/files/app/t/k/-/1/f.png?expires="));
        let (path, query) = parts(&address);
        let grant = links().check(&path, &query, NOW).expect("ours");
        assert_eq!(grant.name, "söme & name.png");
        assert!((3_600..=4_500).contains(&grant.seconds));
        let later = Timestamp(NOW.0 + 4_501_000);
        let code = |path: &str, query: &str, now| {
            links().check(path, query, now).expect_err("refused").code
        };
        assert_eq!(code(&path, &query, later), Code::Forbidden);
        assert_eq!(code("app/t/k/-/2/f.png", &query, NOW), Code::Forbidden);
        assert_eq!(
            code(&path, &query.replace("name=s", "name=x"), NOW),
            Code::Forbidden
        );
        assert_eq!(
            code(&path, &query.replace("expires=1", "expires=2"), NOW),
            Code::Forbidden
        );
        assert_eq!(code(&path, "", NOW), Code::Forbidden);
        let other = Links::derive("another secret", 3_600, String::new(), Clock::start());
        assert!(other.check(&path, &query, NOW).is_err());
    }

    #[test]
    fn an_address_stays_the_same_for_a_while() {
        let at = |ms| links().address(None, "p", "n", Timestamp(NOW.0 + ms));
        assert_eq!(at(0), at(1_000));
        assert_ne!(at(0), at(901_000));
    }

    #[test]
    fn a_field_that_refers_to_a_file_of_its_item_is_shown_as_its_address() {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let file = json!({"url": "a/p.png", "filename": "n"});
        let fields = json!({"url": "/files/a/p.png", "other": "/files/b/q.png", "n": 1});
        let facts = object(json!({"items": [{"files": [file], "fields": fields}]}));
        let shown = links().shown(None, &facts, NOW).into_owned();
        let item = &shown["items"][0];
        let address = links().address(None, "a/p.png", "n", NOW);
        assert_eq!(item["fields"]["url"], address);
        assert_eq!(item["files"][0]["url"], address);
        assert_eq!(
            item["files"][0]["thumbnailUrl"],
            format!("{address}&thumb=512")
        );
        // Of a file of somebody else nothing is shown.
        assert_eq!(item["fields"]["other"], "/files/b/q.png");
        assert_eq!(item["fields"]["n"], 1);
    }

    #[test]
    fn facts_get_addresses_where_files_are_and_stay_as_they_were_elsewhere() {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        let plain = object(json!({"item": {"files": []}, "url": "x"}));
        assert!(matches!(links().shown(None, &plain, NOW), Cow::Borrowed(_)));
        let file = json!({"url": "p", "filename": "n"});
        let facts = object(
            json!({"file": file, "item": {"files": [file]}, "items": [{"files": [file]}], "files": [file]}),
        );
        let shown = Value::from(links().shown(Some("http://here"), &facts, NOW).into_owned());
        for pointer in [
            "/file/url",
            "/item/files/0/url",
            "/items/0/files/0/url",
            "/files/0/url",
        ] {
            let url = shown
                .pointer(pointer)
                .and_then(Value::as_str)
                .expect("an address");
            assert!(url.starts_with("http://here/files/p?expires="), "{url}");
        }
    }
}
