//! What goes out as a push besides: `push` and `push_on` of `[notify]`.
//!
//! Out come plain values. Who is away, and how a push is sent, is the server's.

use std::sync::Arc;

use super::mistake::suggestion;
use super::notices::Notices;
use super::reader::Table;
use crate::event::EventKind;

/// What can be pushed at all.
const PUSHABLE: [EventKind; 3] = [
    EventKind::MessageSent,
    EventKind::MessageMentioned,
    EventKind::NotifySent,
];

/// When something also goes out as a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Never.
    #[default]
    Off,
    /// To somebody who has no live session.
    Away,
    /// To everybody.
    Always,
}

/// Which pushes an app wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// When.
    pub when: When,
    /// Of what: a kind of event, and of notifications perhaps only one type. Empty where nothing is pushed.
    on: Vec<(EventKind, Option<Arc<str>>)>,
}

impl Push {
    pub(super) fn read(table: &Table<'_>, types: &Notices) -> Self {
        let when = match table.text("push") {
            None | Some(("off", _)) => When::Off,
            Some(("away", _)) => When::Away,
            Some(("always", _)) => When::Always,
            Some((other, at)) => {
                let help = suggestion(other, ["off", "away", "always"]);
                table.note(at, format!("unknown value \"{other}\" of \"push\"{help}"));
                When::Off
            }
        };
        let at = table.entry("push_on").map(|entry| entry.at.start);
        let on = match table.texts("push_on") {
            None => vec![(EventKind::MessageSent, None)],
            Some(named) => {
                let named = named.into_iter();
                let mut on = Vec::new();
                named.for_each(|(name, at)| read_one(table, types, (name, at), &mut on));
                on
            }
        };
        if let Some(at) = at {
            if on.is_empty() {
                table.note(at, "\"push_on\" names nothing that could be pushed");
            }
            if when == When::Off {
                table.note(at, "\"push_on\" is of \"push\"; add push = \"away\"");
            }
        }
        match when {
            When::Off => Self::default(),
            _ => Self { when, on },
        }
    }

    /// Whether anything is pushed.
    pub fn is_on(&self) -> bool {
        self.when != When::Off
    }

    /// Whether events of this kind are pushed, or some of them.
    pub fn is_of(&self, kind: EventKind) -> bool {
        self.on.iter().any(|(of, _)| *of == kind)
    }

    /// Whether notifications of this type are pushed.
    pub fn is_of_notification(&self, kind: Option<&str>) -> bool {
        self.on.iter().any(|(of, only)| {
            let fits = only.as_deref().is_none_or(|only| Some(only) == kind);
            *of == EventKind::NotifySent && fits
        })
    }

    /// Whether a follower has to see events of this kind: to push them, or because what was pushed is to be withdrawn.
    pub fn follows(&self, kind: EventKind) -> bool {
        let of_messages =
            self.is_of(EventKind::MessageSent) || self.is_of(EventKind::MessageMentioned);
        match kind {
            EventKind::MessageRead | EventKind::MessageDeleted => of_messages,
            EventKind::NotifyRead => self.is_of(EventKind::NotifySent),
            kind => self.is_of(kind),
        }
    }
}

fn read_one(
    table: &Table<'_>,
    types: &Notices,
    (name, at): (&str, usize),
    on: &mut Vec<(EventKind, Option<Arc<str>>)>,
) {
    let (kind, only) = match name.split_once(':') {
        Some((kind, only)) => (kind, Some(only)),
        None => (name, None),
    };
    let Some(kind) = PUSHABLE.into_iter().find(|known| known.name() == kind) else {
        let help = suggestion(kind, PUSHABLE.map(EventKind::name));
        let text = format!("\"{name}\" is nothing that can be pushed{help}");
        return table.note(at, text);
    };
    if let Some(only) = only {
        let known = || types.iter().map(|one| &*one.name);
        if kind != EventKind::NotifySent || !known().any(|one| one == only) {
            let help = suggestion(only, known());
            let text = format!("\"{name}\": no [notify.types.{only}]{help}");
            return table.note(at, text);
        }
    }
    let one = (kind, only.map(Into::into));
    match on.contains(&one) {
        true => table.note(at, format!("\"{name}\" is there twice")),
        false => on.push(one),
    }
}
