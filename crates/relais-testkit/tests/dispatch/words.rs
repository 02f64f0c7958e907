//! Short words for commands, and for what comes of them.

use relais_core::command::{Command, InboxCommand, NewMessage, SeqRange};
use relais_core::error::Code;
use relais_core::event::Facts;
use relais_core::ids::RoomKey;
use serde_json::Value;

use crate::house::{Answer, bam, chat, user};

pub fn join(id: &str) -> Command {
    Command::JoinRoom {
        room: bam(id),
        with_online: true,
        with_last_seq: true,
        with_unread: false,
    }
}

pub fn club(name: &str) -> RoomKey {
    RoomKey::new("club", name)
}

pub fn follow(name: &str) -> Command {
    Command::Follow { room: club(name) }
}

pub fn unfollow(name: &str) -> Command {
    Command::Unfollow { room: club(name) }
}

pub fn inbox() -> Command {
    Command::Inbox(InboxCommand::List {
        before: None,
        limit: 50,
    })
}

pub fn leave(id: &str) -> Command {
    Command::LeaveRoom { room: bam(id) }
}

pub fn message(id: &str, body: &str) -> NewMessage {
    NewMessage {
        conversation: chat(id),
        recipient: None,
        kind: "text".into(),
        body: body.into(),
        channel: None,
        key: None,
        reply_to: None,
    }
}

pub fn send(id: &str, body: &str) -> Command {
    Command::SendMessage(message(id, body))
}

pub fn keyed(id: &str, body: &str, key: &str) -> Command {
    Command::SendMessage(NewMessage {
        key: Some(key.into()),
        ..message(id, body)
    })
}

pub fn private(id: &str, to: &str, body: &str) -> Command {
    Command::SendMessage(NewMessage {
        recipient: Some(user(to)),
        ..message(id, body)
    })
}

pub fn history(id: &str, range: SeqRange, limit: u32) -> Command {
    Command::History {
        conversation: chat(id),
        channel: None,
        range,
        limit,
    }
}

pub fn typing(id: &str, active: bool) -> Command {
    Command::Typing {
        conversation: chat(id),
        active,
        written: None,
    }
}

pub fn status(status: &str) -> Command {
    Command::SetPresence {
        status: status.into(),
        custom_status: None,
    }
}

pub fn remove(id: &str, name: &str) -> Command {
    Command::RemoveMember {
        room: bam(id),
        user: user(name),
    }
}

pub fn add(id: &str, name: &str) -> Command {
    Command::AddMember {
        room: bam(id),
        user: user(name),
    }
}

pub fn code(answer: Answer) -> Code {
    answer.unwrap_err().code
}

pub fn seqs(answer: &Facts) -> Vec<u64> {
    let messages = answer["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["seq"].as_u64().unwrap())
        .collect()
}

pub fn users(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter()
        .map(|one| one["userId"].as_str().unwrap())
        .collect()
}
