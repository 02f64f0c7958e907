//! The vocabulary from outside: app files in, commands and wire events out.

#![allow(clippy::unwrap_used)] // helpers of tests

mod apps;
mod bam_client;
mod bam_http;
mod bam_server;
mod classroom;
mod hostile;
mod identity;
mod inbox;
mod mistakes;
mod mistakes_between;
mod mistakes_never;
mod other_apps;
mod pushes;
mod relays;
mod tasks;

use std::sync::Arc;

use relais_core::command::{Actor, Command, Identity};
use relais_core::error::Error;
use relais_core::event::Person;
use relais_core::ids::UserId;
use relais_core::vocabulary::{App, Asker, Request};
use serde_json::Value;

/// Parses one of `apps/`, and shows every mistake if there are any.
fn app(name: &str) -> App {
    let path = format!("{}/../../apps/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    match App::parse(&format!("apps/{name}.toml"), &text) {
        Ok(app) => app,
        Err(mistakes) => panic!("\n{mistakes}"),
    }
}

fn person(id: &str, name: &str, role: Option<&str>) -> Person {
    Person {
        id: UserId::text(id),
        name: name.into(),
        role: role.map(Into::into),
    }
}

fn user(id: &str, role: Option<&str>) -> Actor {
    Actor::User(Arc::new(Identity {
        person: person(id, id, role),
        claimed_rooms: Vec::new(),
        expires_at: None,
        issued_at: None,
        token_id: None,
    }))
}

/// What `alice` asks for with this event.
fn ask(app: &App, event: &str, arguments: &[Value]) -> Result<Request, Error> {
    ask_as(app, &user("alice", None), event, arguments)
}

fn ask_as(app: &App, actor: &Actor, event: &str, arguments: &[Value]) -> Result<Request, Error> {
    let asker = Asker {
        actor,
        tenant: "w1",
    };
    app.command(event, arguments, asker)
}

fn command(app: &App, event: &str, arguments: &[Value]) -> Command {
    ask(app, event, arguments).unwrap().command
}
