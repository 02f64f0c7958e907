//! Items through the door: the kinds of item that these tests have, and how they are asked for.

mod changes;
mod files;
mod once;
mod work;

use std::collections::HashMap;
use std::sync::Arc;

use relais_core::capability::item::{ItemKind, LeaseRule, Viewers};
use relais_core::command::{Command, ItemAction, ItemListing, ItemRequest, Permission};
use relais_core::event::{EventKind, Facts};
use relais_core::ids::{ItemId, Shelf};
use serde_json::Value;

use crate::house::*;

pub fn words(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|word| (*word).into()).collect()
}

/// `music` (seen by the DJs), `task` (seen by all), `job` (claimed under a lease of a minute), `photo` (with an address), `story` (any fields). A
/// `task` needs a title.
pub fn kinds() -> HashMap<Arc<str>, ItemKind> {
    let moves = |list: &[(&str, &[&str])]| {
        let list = list.iter();
        list.map(|(from, to)| ((*from).into(), words(to))).collect()
    };
    let music = ItemKind {
        fields: Some(words(&["title", "artist"])),
        required: Vec::new(),
        address: None,
        statuses: words(&["pending", "accepted", "rejected"]),
        moves: moves(&[("pending", &["accepted", "rejected"])]),
        see: vec![Viewers::Role("dj".into())],
        lease: None,
    };
    let task = ItemKind {
        fields: Some(words(&["title", "notes"])),
        required: words(&["title"]),
        address: None,
        statuses: words(&["todo", "doing", "done"]),
        moves: moves(&[
            ("todo", &["doing", "done"]),
            ("doing", &["done"]),
            ("done", &["todo"]),
        ]),
        see: vec![Viewers::All],
        lease: None,
    };
    let job = ItemKind {
        fields: Some(words(&["prompt", "progress"])),
        required: Vec::new(),
        address: None,
        statuses: words(&["waiting", "running", "ready", "failed"]),
        moves: moves(&[
            ("waiting", &["running", "failed"]),
            ("running", &["ready", "failed"]),
        ]),
        see: Vec::new(),
        lease: Some(LeaseRule {
            ms: 60_000,
            lost_max: 2,
            failed: Some("failed".into()),
        }),
    };
    let photo = ItemKind {
        fields: Some(words(&["url", "caption"])),
        address: Some("url".into()),
        see: vec![Viewers::All],
        ..ItemKind::default()
    };
    let story = ItemKind {
        see: vec![Viewers::All],
        ..ItemKind::default()
    };
    let all = [
        ("music", music),
        ("task", task),
        ("job", job),
        ("photo", photo),
        ("story", story),
    ];
    all.map(|(name, kind)| (name.into(), kind)).into()
}

pub fn request(action: ItemAction, kind: &str) -> ItemRequest {
    let shelf = Shelf {
        kind: kind.into(),
        room: None,
    };
    ItemRequest::new(action, shelf)
}

pub fn command(request: ItemRequest) -> Command {
    Command::Item(Box::new(request))
}

pub fn fields(value: Value) -> Facts {
    value.as_object().unwrap().clone()
}

pub fn create(kind: &str, of: Value) -> ItemRequest {
    ItemRequest {
        fields: fields(of),
        ..request(ItemAction::Create, kind)
    }
}

pub fn update(kind: &str, id: &str, of: Value) -> ItemRequest {
    ItemRequest {
        id: Some(ItemId::text(id)),
        fields: fields(of),
        ..request(ItemAction::Update, kind)
    }
}

pub fn to_status(kind: &str, id: &str, status: &str) -> ItemRequest {
    ItemRequest {
        id: Some(ItemId::text(id)),
        status: Some(status.into()),
        may: Permission {
            roles: words(&["dj"]),
            ..Permission::default()
        },
        ..request(ItemAction::Move, kind)
    }
}

pub fn about(action: ItemAction, kind: &str, id: &str) -> ItemRequest {
    ItemRequest {
        id: Some(ItemId::text(id)),
        ..request(action, kind)
    }
}

pub async fn ask(house: &House, name: &str, request: ItemRequest) -> Answer {
    house.on_http(name, command(request)).await
}

pub async fn made(house: &House, name: &str, request: ItemRequest) -> String {
    let answer = ask(house, name, request).await.unwrap();
    answer["item"]["id"].as_str().unwrap().to_owned()
}

/// What was told since the last call: the kinds of each record.
pub fn told(house: &House) -> Vec<String> {
    let records = std::mem::take(&mut *house.told.records.lock().unwrap());
    let kinds = |event: &relais_core::event::Event| {
        let names: Vec<_> = event.kinds().map(EventKind::name).collect();
        names.join("+")
    };
    records.iter().map(|record| kinds(&record.event)).collect()
}

pub async fn list(house: &House, name: &str, listing: ItemListing) -> (String, bool) {
    let command = Command::ListItems(Box::new(listing));
    let answer = house.on_http(name, command).await.unwrap();
    let items = answer["items"].as_array().unwrap();
    let titles = items
        .iter()
        .map(|item| item["fields"]["title"].as_str().unwrap());
    (titles.collect(), answer["hasMore"].as_bool().unwrap())
}

pub fn listing(kind: &str) -> ItemListing {
    ItemListing {
        shelf: Shelf {
            kind: kind.into(),
            room: None,
        },
        status: None,
        before: None,
        limit: 50,
        may: Permission::default(),
    }
}
