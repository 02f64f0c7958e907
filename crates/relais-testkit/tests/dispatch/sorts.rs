//! What rooms are: sorts and who may write, creating and listing rooms, rooms for two, what is unread.

use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use relais_core::command::{Actor, Command, NewMessage, NewRoom, Origin};
use relais_core::error::Code;
use relais_core::event::EventKind;
use relais_core::ids::{Conversation, Seq};
use relais_core::ports::{Change, CommitError, RoomInfo, Transaction};
use serde_json::{Value, json};

use crate::house::*;

fn create(id: Option<&str>, name: &str, sort: &str) -> Command {
    Command::CreateRoom(NewRoom {
        kind: "school".into(),
        id: id.map(Into::into),
        name: name.into(),
        sort: sort.into(),
    })
}

fn say(id: &str, body: &str) -> Command {
    Command::SendMessage(NewMessage {
        conversation: Conversation::Room(school(id)),
        ..message("1", body)
    })
}

fn enter(id: &str) -> Command {
    Command::JoinRoom {
        room: school(id),
        with_online: false,
        with_last_seq: true,
        with_unread: true,
    }
}

fn add_to(id: &str, name: &str) -> Command {
    Command::AddMember {
        room: school(id),
        user: user(name),
    }
}

fn mark(id: &str, seq: u64) -> Command {
    Command::MarkRead {
        conversation: Conversation::Room(school(id)),
        seq: Seq(seq),
    }
}

async fn rooms(house: &House, name: &str) -> Value {
    let listed = house.on_http(name, Command::ListRooms).await;
    let listed = listed.unwrap()["rooms"].clone();
    let mine = listed.as_array().unwrap().iter();
    let of_school = mine.filter(|room| room["kind"] != "bam");
    of_school.cloned().collect()
}

#[tokio::test]
async fn a_room_that_only_claims_name_is_a_class_until_somebody_of_it_says_what_it_is() {
    let house = House::new();
    let unnamed = json!([{ "id": "5b", "name": "5b", "kind": "class", "unread": 0, "lastSeq": 0 }]);
    assert_eq!(rooms(&house, "bob").await, unnamed);
    let command = create(Some("5b"), "Class 5B", "announcement");
    let created = house.on_http("teacher", command.clone()).await.unwrap();
    let room = json!({
        "id": "5b", "name": "Class 5B", "kind": "announcement", "unread": 0, "lastSeq": 0,
    });
    assert_eq!(created["room"], room);
    assert_eq!(rooms(&house, "bob").await, json!([room]));
    let again = house.on_http("teacher", command).await.unwrap();
    assert_eq!(again, created, "the same again gives the same answer");
    for (name, other) in [
        ("teacher", create(Some("5b"), "Other", "announcement")),
        ("teacher", create(Some("5b"), "Class 5B", "class")),
        ("bob", create(Some("5b"), "Class 5B", "announcement")),
    ] {
        assert_eq!(code(house.on_http(name, other).await), Code::InvalidState);
    }
}

#[tokio::test]
async fn a_new_room_has_its_creator_for_a_member_and_an_id_of_its_own() {
    let house = House::new();
    let created = house.on_http("teacher", create(None, "Trip", "class"));
    let id = created.await.unwrap()["room"]["id"].clone();
    let id = id.as_str().unwrap();
    let members = Command::ListMembers { room: school(id) };
    let members = house.by_key(members).await.unwrap();
    assert_eq!(members["members"][0]["userId"], "teacher");
    let listed = rooms(&house, "teacher").await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let stranger = house.on_http("bob", say(id, "hello")).await;
    assert_eq!(code(stranger), Code::NotAMember);
    let by_key = house.by_key(create(Some("k"), "By key", "class")).await;
    assert_eq!(by_key.unwrap()["room"]["name"], "By key");
}

#[tokio::test]
async fn nobody_takes_a_room_of_others_or_comes_back_into_one_by_creating_it() {
    let house = House::new();
    house.by_key(add_to("x", "bob")).await.unwrap();
    let taken = house.on_http("teacher", create(Some("x"), "Mine", "class"));
    assert_eq!(code(taken.await), Code::InvalidState);
    let removed = Command::RemoveMember {
        room: school("5b"),
        user: user("teacher"),
    };
    house.by_key(removed).await.unwrap();
    let back = house.on_http("teacher", create(Some("5b"), "Mine", "class"));
    assert_eq!(code(back.await), Code::NotAMember);
    assert_eq!(rooms(&house, "teacher").await, json!([]));
}

#[tokio::test]
async fn writing_takes_the_permission_of_the_sort() {
    let house = House::new();
    let news = create(Some("5b"), "News", "announcement");
    house.on_http("teacher", news).await.unwrap();
    for name in ["teacher", "bob"] {
        house.connect(name, name).await;
        house.on_session(name, name, enter("5b")).await.unwrap();
    }
    let by_bob = house.on_session("bob", "bob", say("5b", "hi")).await;
    assert_eq!(code(by_bob), Code::Forbidden);
    let by_bob = house.on_http("bob", say("5b", "hi")).await;
    assert_eq!(code(by_bob), Code::Forbidden);
    let types = Command::Typing {
        conversation: Conversation::Room(school("5b")),
        active: true,
        written: None,
    };
    assert_eq!(
        code(house.on_session("bob", "bob", types).await),
        Code::Forbidden
    );
    let sent = house.on_session("teacher", "teacher", say("5b", "hi"));
    assert_eq!(sent.await.unwrap()["message"]["seq"], 1);
    let read = house.on_session("bob", "bob", mark("5b", 1)).await;
    assert_eq!(read.unwrap()["seq"], 1, "everybody reads");
}

#[tokio::test]
async fn a_guess_of_the_sort_that_was_wrong_is_found_out_by_the_commit() {
    let house = House::new();
    house.connect("bob", "b1").await;
    house.on_session("bob", "b1", enter("5b")).await.unwrap();
    let info = RoomInfo {
        room: school("5b"),
        name: "News".into(),
        sort: "announcement".into(),
        created_at: house.now().wall,
        created_by: None,
    };
    let elsewhere = Transaction {
        changes: vec![Change::SetRoom(info)],
        ..Transaction::default()
    };
    let before = &house.store.faults.before;
    before.lock().unwrap().push_back(elsewhere);
    let sent = house.on_session("bob", "b1", say("5b", "hi")).await;
    assert_eq!(code(sent), Code::Forbidden);
    assert!(house.told.records.lock().unwrap().is_empty());
}

#[tokio::test]
async fn while_a_room_is_read_again_after_a_wrong_guess_other_messages_do_not_wait_for_it() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.meet("alice", "a1").await;
    house.on_session("alice", "a1", enter("5b")).await.unwrap();
    let faults = &house.store.faults;
    faults.reads_stuck.store(true, Ordering::SeqCst);
    let refusals = || faults.refusals.lock().unwrap();
    refusals().push_back(CommitError::Conflict);
    let send = |body: &str| {
        let actor = Actor::User(std::sync::Arc::new(identity("alice")));
        let origin = Origin::Session { id: sid("a1") };
        let invocation = house.invocation(actor, origin, say("5b", body));
        let mut sent = Box::pin(house.dispatcher.dispatch(invocation));
        assert!((&mut sent).now_or_never().is_none());
        sent
    };
    let refused = send("the guess was wrong");
    let commits = faults.commits.load(Ordering::SeqCst);
    let _second = send("@bob");
    let _third = send("nobody");
    let records = house.told.records.lock().unwrap().clone();
    let sent = records
        .iter()
        .filter(|record| record.event.kind == EventKind::MessageSent);
    let bodies: Vec<_> = sent
        .map(|record| record.event.body["body"].clone())
        .collect();
    assert_eq!(bodies, ["@bob", "nobody"]);
    assert_eq!(faults.commits.load(Ordering::SeqCst), commits + 2);
    faults.reads_stuck.store(false, Ordering::SeqCst);
    drop(refused);
    house
        .on_session("alice", "a1", say("5b", "@bob again"))
        .await
        .unwrap();
    let people = faults.people.load(Ordering::SeqCst);
    house
        .on_session("alice", "a1", say("5b", "@bob and again"))
        .await
        .unwrap();
    assert_eq!(
        faults.people.load(Ordering::SeqCst),
        people,
        "the doubt is settled"
    );
}

#[tokio::test]
async fn a_direct_room_has_two_members() {
    let house = House::new();
    let pair = create(Some("d"), "Leo's parents", "direct");
    house.on_http("teacher", pair).await.unwrap();
    house.by_key(add_to("d", "bob")).await.unwrap();
    house.by_key(add_to("d", "bob")).await.unwrap();
    let third = house.by_key(add_to("d", "eve")).await;
    assert_eq!(code(third), Code::InvalidState);
    let gone = Command::RemoveMember {
        room: school("d"),
        user: user("bob"),
    };
    house.by_key(gone).await.unwrap();
    house.by_key(add_to("d", "eve")).await.unwrap();
}

#[tokio::test]
async fn unread_counts_what_others_sent_after_the_mark() {
    let house = House::new();
    house.connect("bob", "b1").await;
    for number in 0..3 {
        let text = format!("{number}");
        house.on_http("teacher", say("5b", &text)).await.unwrap();
    }
    house.on_http("bob", say("5b", "own")).await.unwrap();
    let joined = house.on_session("bob", "b1", enter("5b")).await.unwrap();
    assert_eq!(
        (&joined["unread"], &joined["lastSeq"]),
        (&json!(3), &json!(4))
    );
    house.on_session("bob", "b1", mark("5b", 2)).await.unwrap();
    assert_eq!(rooms(&house, "bob").await[0]["unread"], 1);
    assert_eq!(rooms(&house, "teacher").await[0]["unread"], 1);
}

#[tokio::test]
async fn a_list_has_claimed_and_kept_rooms_and_needs_a_user() {
    let house = House::new();
    house.by_key(add_to("x", "bob")).await.unwrap();
    let listed = house.on_http("bob", Command::ListRooms).await.unwrap();
    let listed = listed["rooms"].as_array().unwrap().iter();
    let ids: Vec<_> = listed.map(|room| room["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["1", "2", "5b", "x"]);
    assert_eq!(
        code(house.by_key(Command::ListRooms).await),
        Code::Forbidden
    );
}
