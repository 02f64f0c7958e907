//! The small tables of an app file: presence, limits, items, notifications.
//!
//! Out come plain values. What they do is decided where they are used.

use std::sync::Arc;

use toml::de::DeValue;

use super::mistake::suggestion;
use super::reader::{Table, text, texts};
use super::work::Work;
use crate::limit::Rate;

/// A rate out of `"50/min"`: a count and `s`, `min` or `h`; all of them at once if need be.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let parsed = text.split_once('/').and_then(|(count, unit)| {
        let period_ms = match unit.trim() {
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        Some(Rate::new(count, period_ms))
    });
    parsed.ok_or_else(|| {
        format!(
            "\"{text}\" is not a limit; write a count and a period, such as \"50/min\" (s, min or h)"
        )
    })
}

/// `[limits]`: what the app wants other than the server's settings. `None`: as the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// New connections of one address (setting: 100 a minute).
    pub connections: Option<Rate>,
    /// Events of one session (setting: 100 a second, with a burst of 200).
    pub events: Option<Rate>,
}

impl Limits {
    pub(super) fn read(table: Option<Table<'_>>) -> Self {
        let Some(table) = table else {
            return Self::default();
        };
        let limit = |key| {
            let (text, at) = table.text(key)?;
            rate(text).map_err(|problem| table.note(at, problem)).ok()
        };
        let burst = table.integer("burst", 1..100_001);
        let burst = burst.and_then(|burst| u32::try_from(burst).ok());
        let events = limit("events").map(|rate| Rate {
            burst: burst.unwrap_or(rate.count.saturating_mul(2)),
            ..rate
        });
        if burst.is_some() && events.is_none() {
            table.note(
                table.at.start,
                "\"burst\" is of \"events\"; add events = \"100/s\"",
            );
        }
        let limits = Self {
            connections: limit("connections"),
            events,
        };
        table.finish();
        limits
    }
}

/// Who hears of a user's presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those who are in a room with that user now.
    #[default]
    Contacts,
    /// Everybody in the tenant.
    Tenant,
}

/// `[presence]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// What a user may be; the first is the one of a device that says nothing. `offline` is never among them.
    pub statuses: Vec<Arc<str>>,
    /// Who hears of it.
    pub audience: Reach,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            statuses: vec!["online".into(), "away".into(), "busy".into()],
            audience: Reach::Contacts,
        }
    }
}

impl Presence {
    pub(super) fn read(table: Option<Table<'_>>) -> Self {
        let mut presence = Self::default();
        let Some(table) = table else {
            return presence;
        };
        if let Some(statuses) = table.texts("statuses") {
            if statuses.is_empty() {
                table.note(
                    table.at.start,
                    "\"statuses\" needs at least one, such as \"online\"",
                );
            }
            for (_, at) in statuses.iter().filter(|(status, _)| *status == "offline") {
                table.note(*at, "\"offline\" is what nobody can choose; remove it");
            }
            presence.statuses = statuses
                .into_iter()
                .map(|(status, _)| status.into())
                .collect();
        }
        match table.text("audience") {
            None | Some(("contacts", _)) => {}
            Some(("tenant", _)) => presence.audience = Reach::Tenant,
            Some((other, at)) => {
                let help = suggestion(other, ["contacts", "tenant"]);
                table.note(at, format!("unknown audience \"{other}\"{help}"));
            }
        }
        table.finish();
        presence
    }
}

/// One `[items.*]` table: a kind of thing with fields, an owner, and a status that moves only forward as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The table's name.
    pub kind: Arc<str>,
    /// Its fields; `None`: whatever its payload has.
    pub fields: Option<Vec<Arc<str>>>,
    /// Fields that each has.
    pub required: Vec<Arc<str>>,
    /// The field with an address, which may be one of an upload.
    pub address: Option<Arc<str>>,
    /// What its status may be; the first is where it begins. Empty: it has none.
    pub statuses: Vec<Arc<str>>,
    /// From which status to which. What is not here is final.
    pub moves: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Who sees one, besides its owner and its assignee: `all`, or `role:NAME`.
    pub see: Vec<Arc<str>>,
    /// How long a claim lasts without a sign of life, in milliseconds; `None`: items of this kind cannot be claimed.
    pub lease_ms: Option<u64>,
    /// Claims of one item that may be lost.
    pub leases_max: u32,
    /// Its status when as many were lost; `None`: it can be claimed again and again.
    pub failed: Option<Arc<str>>,
    /// Set where an engine of the server works on them.
    pub work: Option<Work>,
}

/// Claims of one item that may be lost, unless the file says otherwise.
const LEASES_MAX: u32 = 3;
/// A claim lasts a second at least and a week at most.
const LEASE_MS: std::ops::RangeInclusive<u64> = 1_000..=604_800_000;

/// A period out of `"60s"`: a count and `s`, `min` or `h`.
fn period(text: &str) -> Result<u64, String> {
    let count = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match &text[count.len()..] {
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let period = count.trim().parse::<u64>().ok().zip(unit_ms);
    let period = period.and_then(|(count, unit_ms)| count.checked_mul(unit_ms));
    period
        .filter(|period| LEASE_MS.contains(period))
        .ok_or_else(|| {
            format!(
                "\"{text}\" is not a period from a second to a week; write a count and a unit, such as \"60s\" (s, min or h)"
            )
        })
}

/// All `[items.*]` tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items(pub Vec<Item>);

impl Items {
    /// The item kind of that name.
    pub fn get(&self, kind: &str) -> Option<&Item> {
        self.0.iter().find(|item| &*item.kind == kind)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|item| &*item.kind)
    }

    /// Names of all fields; `None` where some item takes any.
    pub(super) fn fields(&self) -> Option<Vec<&str>> {
        let mut all = Vec::new();
        for item in &self.0 {
            all.extend(item.fields.as_ref()?.iter().map(|field| &**field));
        }
        Some(all)
    }

    pub(super) fn read(table: Option<&Table<'_>>, roles: &[&str]) -> Self {
        let mut items = Self::default();
        for entry in table.map_or(&[][..], Table::named) {
            let reader = table.map(|table| table.reader);
            if let Some(one) = reader.and_then(|reader| Table::of(reader, entry)) {
                items.0.push(Item::read(entry.key, &one, roles));
                one.finish();
            }
        }
        items
    }
}

impl Item {
    fn read(kind: &str, table: &Table<'_>, roles: &[&str]) -> Self {
        let fields = match table.entry("fields") {
            None => Some(Vec::new()),
            Some(entry) => match entry.node.get_ref() {
                DeValue::String(any) if any == "any" => None,
                DeValue::String(_) => {
                    let help = "\"fields\" is a list of names, or \"any\"";
                    table.note(entry.node.span().start, help);
                    None
                }
                _ => Some(names(&texts(table.reader, "fields", entry.node))),
            },
        };
        let statuses = names(&table.texts("statuses").unwrap_or_default());
        let moves = table.table("moves").map_or_else(Vec::new, |moves| {
            moves
                .named()
                .iter()
                .map(|from| {
                    check_status(table, &statuses, from.key, from.at.start);
                    let to = texts(table.reader, from.key, from.node);
                    for (status, at) in &to {
                        check_status(table, &statuses, status, *at);
                    }
                    (from.key.into(), names(&to))
                })
                .collect()
        });
        let see = table.texts("see").unwrap_or_default();
        for (who, at) in &see {
            let role = who.strip_prefix("role:");
            if *who != "all" && !role.is_some_and(|role| roles.contains(&role)) {
                let known = roles
                    .iter()
                    .map(|role| format!("role:{role}"))
                    .collect::<Vec<_>>();
                let help = suggestion(who, known.iter().map(String::as_str).chain(["all"]));
                table.note(*at, format!("unknown value \"{who}\" of \"see\"{help}"));
            }
        }
        let mut item = Self {
            kind: kind.into(),
            required: required(table, fields.as_deref()),
            address: address(table, fields.as_deref()),
            fields,
            statuses,
            moves,
            see: names(&see),
            lease_ms: None,
            leases_max: LEASES_MAX,
            failed: None,
            work: None,
        };
        item.read_lease(table);
        item.read_work(table);
        item
    }

    fn read_work(&mut self, table: &Table<'_>) {
        let Some(work) = table.table("work") else {
            return;
        };
        if self.lease_ms.is_none() {
            let text = "an engine claims what it works on; add lease = \"60s\" to the items' table";
            table.note(work.at.start, text);
        }
        let fields = self.fields.as_deref();
        self.work = Some(Work::read(&work, fields, &self.statuses));
    }

    fn read_lease(&mut self, table: &Table<'_>) {
        self.lease_ms = table.text("lease").and_then(|(text, at)| {
            let parsed = period(text);
            parsed.map_err(|problem| table.note(at, problem)).ok()
        });
        let leases_max = table.integer("leases_max", 1..1_001);
        self.leases_max = leases_max.map_or(LEASES_MAX, |max| max as u32);
        if let Some((failed, at)) = table.text("failed") {
            check_status(table, &self.statuses, failed, at);
            self.failed = Some(failed.into());
        }
        for key in ["leases_max", "failed"] {
            if let Some(entry) = table.entry(key)
                && table.entry("lease").is_none()
            {
                let text = format!("\"{key}\" is of \"lease\"; add lease = \"60s\"");
                table.note(entry.at.start, text);
            }
        }
    }
}

fn address(table: &Table<'_>, fields: Option<&[Arc<str>]>) -> Option<Arc<str>> {
    let (name, at) = table.text("address")?;
    check_field(table, fields, name, at);
    Some(name.into())
}

fn required(table: &Table<'_>, fields: Option<&[Arc<str>]>) -> Vec<Arc<str>> {
    let required = table.texts("required").unwrap_or_default();
    for (name, at) in &required {
        check_field(table, fields, name, *at);
    }
    names(&required)
}

fn check_field(table: &Table<'_>, fields: Option<&[Arc<str>]>, name: &str, at: usize) {
    let Some(fields) = fields else { return };
    if !fields.iter().any(|field| **field == *name) {
        let help = suggestion(name, fields.iter().map(|field| &**field));
        table.note(at, format!("unknown field \"{name}\"{help}"));
    }
}

fn names(texts: &[(&str, usize)]) -> Vec<Arc<str>> {
    texts.iter().map(|(text, _)| (*text).into()).collect()
}

fn check_status(table: &Table<'_>, known: &[Arc<str>], status: &str, at: usize) {
    if !known.iter().any(|known| **known == *status) {
        let help = suggestion(status, known.iter().map(|known| &**known));
        table.note(at, format!("unknown status \"{status}\"{help}"));
    }
}

/// One WebSocket path of the plain protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath {
    /// What stands before the room's id; the whole path where there is none.
    pub prefix: Arc<str>,
    /// Kind of the room in the path, which the session joins at once.
    pub room: Option<Arc<str>>,
    /// What stands after the room's id.
    pub suffix: Arc<str>,
}

impl SocketPath {
    /// `paths` of `[websocket]`: each begins with `/` and may hold the placeholder of a room kind.
    pub(super) fn read(table: Option<Table<'_>>, rooms: &super::rooms::Rooms) -> Vec<Self> {
        let Some(table) = table else {
            return Vec::new();
        };
        let mut paths = Vec::new();
        for (path, at) in table.texts("paths").unwrap_or_default() {
            match Self::parse(path, rooms) {
                Ok(path) if paths.contains(&path) => table.note(at, "this path is there twice"),
                Ok(path) => paths.push(path),
                Err(problem) => table.note(at, problem),
            }
        }
        table.finish();
        paths
    }

    fn parse(path: &str, rooms: &super::rooms::Rooms) -> Result<Self, String> {
        if !path.starts_with('/') {
            return Err(format!("a path begins with \"/\": \"/{path}\""));
        }
        let (prefix, parameter, suffix) = super::rooms::template(path)?;
        let kind = match parameter {
            None => None,
            Some(name) => {
                let of_name =
                    |kind: &&super::rooms::RoomKind| kind.parameter.as_deref() == Some(name);
                let Some(kind) = rooms.0.iter().find(of_name) else {
                    let known = rooms.0.iter().filter_map(|kind| kind.parameter.as_deref());
                    let help = suggestion(name, known);
                    return Err(format!("no room is named by \"{{{name}}}\"{help}"));
                };
                Some(kind.kind.clone())
            }
        };
        Ok(Self {
            prefix: prefix.into(),
            room: kind,
            suffix: suffix.into(),
        })
    }

    /// Whether a request's path is this one, and the id of the room in it. A slash at the end may be left out.
    pub fn matches<'p>(&self, path: &'p str) -> Option<Option<&'p str>> {
        let trim = |text: &'p str| text.strip_suffix('/').unwrap_or(text);
        if self.room.is_none() {
            let own = self.prefix.strip_suffix('/').unwrap_or(&self.prefix);
            return (trim(path) == own).then_some(None);
        }
        let rest = path.strip_prefix(&*self.prefix)?;
        let suffix = self.suffix.strip_suffix('/').unwrap_or(&self.suffix);
        let id = trim(rest).strip_suffix(suffix)?;
        (!id.is_empty() && !id.contains('/')).then_some(Some(id))
    }
}

/// `[roles]`: each role and its permissions.
pub(super) fn roles<'t>(table: Option<&Table<'t>>) -> Vec<(&'t str, Vec<Arc<str>>)> {
    let Some(table) = table else {
        return Vec::new();
    };
    let role = |entry: &super::reader::Entry<'t>| {
        let permissions = match entry.node.get_ref() {
            DeValue::Array(list) => list
                .iter()
                .filter_map(|one| text(table.reader, entry.key, one))
                .map(|(permission, _)| permission.into())
                .collect(),
            other => {
                let found = super::reader::kind(other);
                let text =
                    format!("a role has a list of permissions, which may be empty, not {found}");
                table.note(entry.node.span().start, text);
                Vec::new()
            }
        };
        (entry.key, permissions)
    };
    table.named().iter().map(role).collect()
}
