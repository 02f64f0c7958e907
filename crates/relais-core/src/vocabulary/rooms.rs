//! The rooms of an app: how they are called on the wire, who may join them, and which a session joins at once.
//!
//! Out of `[rooms.*]` come [`Rooms`]. Joining itself is a capability's.

use std::sync::Arc;

use super::mistake::suggestion;
use super::reader::Table;
use crate::command::Identity;
use crate::ids::RoomKey;

/// Kept memberships whose rooms one session joins at once.
pub const MEMBER_ROOMS_MAX: usize = 1_024;

/// Bytes that the name or id of a room may have.
pub const ROOM_BYTES_MAX: usize = 255;

/// In the place of a permission: everybody who is in may write.
pub(super) const EVERYBODY: &str = "all";

/// Names that `room` and `to` understand besides the room kinds of the file.
pub(super) const RESERVED: [&str; 10] = [
    "room", "user", "role", "tenant", "direct", "actor", "target", "owner", "assignee", "session",
];

/// Why somebody may join a room. The first that says yes decides; a removal outranks [`JoinPolicy::Claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinPolicy {
    /// The token's claim of this name lists the room's id (a list, or one id alone).
    Claim(Arc<str>),
    /// The server keeps the user as a member.
    Member,
    /// Everybody may.
    Open,
    /// The team's backend is asked.
    Webhook,
}

/// Which room of a kind a session joins at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Automatic {
    /// The one whose id is the session's tenant.
    Tenant,
    /// The one whose id is the user's id.
    User,
    /// Those in which the user is a kept member.
    Member,
    /// Those that the token's claim lists.
    Claim,
}

/// One `[rooms.*]` table.
#[derive(Clone, Debug)]
pub struct RoomKind {
    /// The table's name: [`RoomKey::kind`].
    pub kind: Arc<str>,
    /// What stands before the id in the room's name on the wire.
    pub prefix: Arc<str>,
    /// By which field clients name the room (`bamId`); `None`: there is one room of the kind.
    pub parameter: Option<Arc<str>>,
    /// What stands after the id.
    pub suffix: Arc<str>,
    /// In order.
    pub join: Vec<JoinPolicy>,
    /// Joined at once.
    pub automatic: Option<Automatic>,
    /// Sorts of room inside the kind, each with the permission that writing takes; the first is the sort of a room that
    /// only a claim names.
    pub sorts: Vec<(Arc<str>, Arc<str>)>,
    /// The kind of item that such a room is about: the one with the room's id.
    pub item: Option<Arc<str>>,
}

/// All room kinds, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Rooms(pub Vec<RoomKind>);

impl Rooms {
    /// Reads `[rooms]`.
    pub(super) fn read(table: Option<&Table<'_>>) -> Self {
        let mut rooms = Self::default();
        let Some(table) = table else {
            return rooms;
        };
        for entry in table.named() {
            if RESERVED.contains(&entry.key) || entry.key.contains([':', '{', '.']) {
                let text = format!(
                    "a room kind cannot be called \"{}\"; the word has a meaning of its own",
                    entry.key
                );
                table.note(entry.at.start, text);
            }
            let Some(one) = Table::of(table.reader, entry) else {
                continue;
            };
            if let Some(kind) = RoomKind::read(entry.key, &one) {
                let twin = rooms.0.iter().find(|other| other.collides(&kind));
                if let Some(twin) = twin {
                    let text = format!(
                        "the names of room kinds \"{}\" and \"{}\" cannot be told apart",
                        twin.kind, kind.kind
                    );
                    table.note(entry.at.start, text);
                }
                rooms.0.push(kind);
            }
            one.finish();
        }
        rooms
    }

    /// The kind of that name.
    pub fn kind(&self, kind: &str) -> Option<&RoomKind> {
        self.0.iter().find(|room| &*room.kind == kind)
    }

    /// A room's name on the wire: `bam-42`.
    pub fn wire_name(&self, room: &RoomKey) -> String {
        match self.kind(&room.kind) {
            Some(kind) => kind.wire_name(&room.id),
            None => format!("{}:{}", room.kind, room.id),
        }
    }

    /// The room of a name on the wire, if it is one of this app's.
    pub fn parse(&self, name: &str) -> Option<RoomKey> {
        self.0.iter().find_map(|kind| kind.parse(name))
    }

    /// The rooms that a token's claims give, for the kinds with a `claim:` policy.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&RoomKind, &Arc<str>)> {
        self.0.iter().flat_map(|kind| {
            kind.join.iter().filter_map(move |policy| match policy {
                JoinPolicy::Claim(claim) => Some((kind, claim)),
                JoinPolicy::Member | JoinPolicy::Open | JoinPolicy::Webhook => None,
            })
        })
    }

    /// The rooms that a new session joins at once. `memberships` are those that the server keeps for the user, the latest last: of these
    /// at most [`MEMBER_ROOMS_MAX`], the latest, are joined so; a session may join others itself.
    pub fn automatic(
        &self,
        tenant: &str,
        identity: &Identity,
        memberships: &[RoomKey],
    ) -> Vec<RoomKey> {
        let mut rooms: Vec<RoomKey> = Vec::new();
        let mut left = MEMBER_ROOMS_MAX;
        for kind in &self.0 {
            let of_kind = |room: &&RoomKey| room.kind == kind.kind;
            match kind.automatic {
                None => {}
                Some(Automatic::Tenant) => rooms.push(RoomKey::new(kind.kind.clone(), tenant)),
                Some(Automatic::User) => {
                    let id = identity.person.id.as_str();
                    rooms.push(RoomKey::new(kind.kind.clone(), id));
                }
                Some(Automatic::Member) => {
                    let before = rooms.len();
                    let latest = memberships.iter().rev().filter(of_kind).take(left);
                    rooms.extend(latest.cloned());
                    left -= rooms.len() - before;
                }
                Some(Automatic::Claim) => {
                    rooms.extend(identity.claimed_rooms.iter().filter(of_kind).cloned());
                }
            }
        }
        rooms.sort();
        rooms.dedup();
        rooms
    }
}

impl RoomKind {
    fn read(key: &str, table: &Table<'_>) -> Option<Self> {
        let automatic = table
            .text("auto")
            .and_then(|(text, at)| automatic(table, text, at));
        let join = match table.texts("join") {
            None => vec![JoinPolicy::Member],
            Some(texts) => texts
                .into_iter()
                .filter_map(|(text, at)| policy(table, text, at))
                .collect(),
        };
        if automatic == Some(Automatic::Claim)
            && !join.iter().any(|one| matches!(one, JoinPolicy::Claim(_)))
        {
            table.note(
                table.at.start,
                "auto = \"claim\" needs a policy such as join = [\"claim:rooms\"]",
            );
        }
        let sorts = sorts(table);
        let item = table.text("item").map(|(item, _)| item.into());
        let (name, at) = table.required_text("name", "name = \"room:{roomId}\"")?;
        let (prefix, parameter, suffix) = match template(name) {
            Ok(parts) => parts,
            Err(problem) => {
                table.note(at, problem);
                return None;
            }
        };
        Some(Self {
            kind: key.into(),
            prefix: prefix.into(),
            parameter: parameter.map(Into::into),
            suffix: suffix.into(),
            join,
            automatic,
            sorts,
            item,
        })
    }

    /// The name on the wire of the room with that id.
    pub fn wire_name(&self, id: &str) -> String {
        match self.parameter {
            Some(_) => format!("{}{id}{}", self.prefix, self.suffix),
            None => self.prefix.to_string(),
        }
    }

    fn parse(&self, name: &str) -> Option<RoomKey> {
        let rest = name.strip_prefix(&*self.prefix)?;
        let id = rest.strip_suffix(&*self.suffix)?;
        (self.parameter.is_some() != id.is_empty()).then(|| RoomKey::new(self.kind.clone(), id))
    }

    fn collides(&self, other: &Self) -> bool {
        let starts = |one: &str, other: &str| one.starts_with(other) || other.starts_with(one);
        let ends = |one: &str, other: &str| one.ends_with(other) || other.ends_with(one);
        match (&self.parameter, &other.parameter) {
            (Some(_), Some(_)) => {
                starts(&self.prefix, &other.prefix) && ends(&self.suffix, &other.suffix)
            }
            (None, None) => self.prefix == other.prefix,
            (Some(_), None) => self.parse(&other.prefix).is_some(),
            (None, Some(_)) => other.parse(&self.prefix).is_some(),
        }
    }
}

/// A text with at most one `{placeholder}`: what is before it, the placeholder, what is after it.
pub(super) fn template(text: &str) -> Result<(&str, Option<&str>, &str), String> {
    let Some((before, rest)) = text.split_once('{') else {
        return match text.contains('}') {
            true => Err(format!("\"{text}\" has a \"}}\" without its \"{{\"")),
            false => Ok((text, None, "")),
        };
    };
    let Some((name, after)) = rest.split_once('}') else {
        return Err(format!("\"{text}\" has a \"{{\" without its \"}}\""));
    };
    if name.is_empty() || name.contains('{') || before.contains('}') || after.contains(['{', '}']) {
        return Err(format!(
            "\"{text}\" has to have one placeholder such as \"{{roomId}}\""
        ));
    }
    Ok((before, Some(name), after))
}

fn policy(table: &Table<'_>, text: &str, at: usize) -> Option<JoinPolicy> {
    match text {
        "member" => Some(JoinPolicy::Member),
        "open" => Some(JoinPolicy::Open),
        "webhook" => Some(JoinPolicy::Webhook),
        _ => match text
            .strip_prefix("claim:")
            .filter(|claim| !claim.is_empty())
        {
            Some(claim) => Some(JoinPolicy::Claim(claim.into())),
            None => {
                let help = suggestion(text, ["member", "open", "webhook", "claim:NAME"]);
                table.note(at, format!("unknown join policy \"{text}\"{help}"));
                None
            }
        },
    }
}

fn automatic(table: &Table<'_>, text: &str, at: usize) -> Option<Automatic> {
    match text {
        "tenant" => Some(Automatic::Tenant),
        "user" => Some(Automatic::User),
        "member" => Some(Automatic::Member),
        "claim" => Some(Automatic::Claim),
        _ => {
            let help = suggestion(text, ["tenant", "user", "member", "claim"]);
            table.note(at, format!("unknown value \"{text}\" of \"auto\"{help}"));
            None
        }
    }
}

fn sorts(table: &Table<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let Some(sorts) = table.table("sorts") else {
        return Vec::new();
    };
    let texts = sorts.named().iter().filter_map(|entry| {
        let (permission, _) = super::reader::text(table.reader, entry.key, entry.node)?;
        Some((entry.key.into(), permission.into()))
    });
    texts.collect()
}
