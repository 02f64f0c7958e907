//! Who may join, what joining answers, and what a removal does.

use std::sync::atomic::Ordering;

use relais_core::capability::room::SESSION_ROOMS_MAX;
use relais_core::command::{Actor, Command, Origin};
use relais_core::error::{Code, Error};
use relais_core::event::EventKind;
use relais_core::ids::{Position, RoomKey};
use relais_core::ports::{Change, CommitError, Membership, Transaction};

use crate::house::*;

fn join_kind(kind: &str, id: &str) -> Command {
    Command::JoinRoom {
        room: RoomKey::new(kind, id),
        with_online: true,
        with_last_seq: true,
        with_unread: false,
    }
}

#[tokio::test]
async fn a_join_answers_with_who_is_there_and_the_last_seq() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house
        .on_session("alice", "a1", send("1", "hello"))
        .await
        .unwrap();
    house.connect("bob", "b1").await;
    let answer = house.on_session("bob", "b1", join("1")).await.unwrap();
    assert_eq!(answer["room"]["id"], "1");
    assert_eq!(answer["lastSeq"], 1);
    assert_eq!(users(&answer["online"]), ["alice", "bob"]);
    assert!(house.in_hub("b1", &bam("1")));
    let heard = house.heard();
    assert_eq!(heard[1], "room.joined alice 1");
    assert_eq!(heard[3], "room.joined bob 1");
    assert_eq!(heard.len(), 4, "each with the news that they are online");
}

#[tokio::test]
async fn a_join_answers_with_no_more_than_it_was_asked_for() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let join = Command::JoinRoom {
        room: bam("1"),
        with_online: false,
        with_last_seq: false,
        with_unread: false,
    };
    let answer = house.on_session("alice", "a1", join).await.unwrap();
    let named: Vec<_> = answer.keys().collect();
    assert_eq!(named, ["room"]);
    assert!(house.in_hub("a1", &bam("1")));
}

#[tokio::test]
async fn to_join_again_succeeds_silently_and_stores_nothing() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.heard();
    let commits = house.store.faults.commits.load(Ordering::SeqCst);
    let answer = house.on_session("alice", "a1", join("1")).await.unwrap();
    assert_eq!(users(&answer["online"]), ["alice"]);
    assert!(house.heard().is_empty());
    assert_eq!(house.store.faults.commits.load(Ordering::SeqCst), commits);
}

#[tokio::test]
async fn a_claim_or_a_membership_lets_in_and_nothing_else_does() {
    let house = House::new();
    house.connect("alice", "a1").await;
    assert_eq!(
        code(house.on_session("alice", "a1", join("3")).await),
        Code::NotAMember
    );
    house.by_key(add("3", "alice")).await.unwrap();
    house.on_session("alice", "a1", join("3")).await.unwrap();
    let club = house.on_session("alice", "a1", join_kind("club", "1"));
    assert_eq!(code(club.await), Code::NotAMember);
    house
        .on_session("alice", "a1", join_kind("hall", "1"))
        .await
        .unwrap();
    let undeclared = house.on_session("alice", "a1", join_kind("cellar", "1"));
    assert_eq!(code(undeclared.await), Code::NotAMember);
}

/// Only where neither token nor store says anything; and no answer is no open door.
#[tokio::test]
async fn the_backend_says_who_may_join_where_nothing_else_does() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let team = |id: &str| RoomKey::new("team", id);
    let turned_away = Error::new(Code::NotAMember, "unable to join room; not paid");
    for (id, says) in [("1", Ok(true)), ("2", Ok(false)), ("3", Err(turned_away))] {
        house.hub.doors.lock().unwrap().insert(team(id), says);
    }
    let joins = async |id| house.on_session("alice", "a1", join_kind("team", id)).await;
    assert!(joins("1").await.is_ok());
    assert_eq!(code(joins("2").await), Code::NotAMember);
    let refused = joins("3").await.unwrap_err();
    assert_eq!(&*refused.message, "unable to join room; not paid");
    assert_eq!(code(joins("4").await), Code::Unavailable);
    let asked = std::mem::take(&mut *house.hub.asked.lock().unwrap());
    let expected = ["1", "2", "3", "4"].map(|id| (team(id), user("alice")));
    assert_eq!(asked, expected);
    // Who is in is not asked for again, and a claim needs nobody's word.
    assert!(joins("1").await.is_ok());
    house.on_session("alice", "a1", join("1")).await.unwrap();
    assert_eq!(*house.hub.asked.lock().unwrap(), []);
}

#[tokio::test]
async fn a_removal_outranks_the_claim_until_the_member_is_added_again() {
    let house = House::new();
    house.connect("alice", "a1").await;
    house.by_key(remove("1", "alice")).await.unwrap();
    assert_eq!(
        code(house.on_session("alice", "a1", join("1")).await),
        Code::NotAMember
    );
    house.by_key(add("1", "alice")).await.unwrap();
    house.on_session("alice", "a1", join("1")).await.unwrap();
}

#[tokio::test]
async fn a_removal_outranks_an_open_room_too() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let remove = Command::RemoveMember {
        room: RoomKey::new("hall", "1"),
        user: user("alice"),
    };
    house.by_key(remove).await.unwrap();
    let hall = house.on_session("alice", "a1", join_kind("hall", "1"));
    assert_eq!(code(hall.await), Code::NotAMember);
}

#[tokio::test]
async fn a_removed_member_leaves_with_all_sessions_at_once_and_others_see_it() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("alice", "a2").await;
    house.enter("bob", "b1").await;
    house.heard();
    house.by_key(remove("1", "alice")).await.unwrap();
    assert_eq!(house.heard(), ["room.left alice 1"]);
    assert!(!house.in_hub("a1", &bam("1")) && !house.in_hub("a2", &bam("1")));
    assert!(house.in_hub("b1", &bam("1")));
    let head = house.tenant_store().await.head().position;
    let left = house.hub.left_at.lock().unwrap().clone();
    assert_eq!(left, [(sid("a1"), head), (sid("a2"), head)]);
    for session in ["a1", "a2"] {
        let stays = house
            .tenant_store()
            .await
            .session_rooms(&sid(session))
            .await;
        assert_eq!(stays.unwrap()[0].until, Some(head));
    }
    let refused = house
        .on_session("alice", "a1", send("1", "still here"))
        .await;
    assert_eq!(code(refused), Code::NotAMember);
    let read = house
        .on_http("alice", history("1", Default::default(), 50))
        .await;
    assert_eq!(code(read), Code::NotAMember);
}

#[tokio::test]
async fn a_removal_that_comes_between_decision_and_commit_of_a_join_keeps_the_user_out() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let removal = Transaction {
        changes: vec![Change::RemoveMember {
            room: bam("1"),
            user: user("alice"),
        }],
        ..Transaction::default()
    };
    house.store.faults.before.lock().unwrap().push_back(removal);
    assert_eq!(
        code(house.on_session("alice", "a1", join("1")).await),
        Code::NotAMember
    );
    assert!(!house.in_hub("a1", &bam("1")));
}

#[tokio::test]
async fn a_removal_that_comes_while_a_joining_session_enters_the_hub_keeps_the_user_out() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let removal = house.invocation(Actor::Backend, Origin::Http, remove("1", "alice"));
    let dispatcher = house.dispatcher.clone();
    let meanwhile = async move {
        dispatcher.dispatch(removal).await.unwrap();
    };
    *house.hub.meanwhile.lock().unwrap() = Some(Box::pin(meanwhile));
    assert_eq!(
        code(house.on_session("alice", "a1", join("1")).await),
        Code::NotAMember
    );
    assert!(!house.in_hub("a1", &bam("1")));
    assert_eq!(house.heard().last().unwrap(), "room.left alice 1");
    let stays = house.tenant_store().await.session_rooms(&sid("a1")).await;
    assert!(stays.unwrap()[0].until.is_some());
}

#[tokio::test]
async fn a_join_that_the_token_allows_reads_no_membership_and_a_kept_one_is_found_at_the_commit() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let reads = || house.store.faults.memberships.load(Ordering::SeqCst);
    house.on_session("alice", "a1", join("1")).await.unwrap();
    assert_eq!(reads(), 0);
    house.by_key(add("2", "alice")).await.unwrap();
    let before = reads();
    house.on_session("alice", "a1", join("2")).await.unwrap();
    assert_eq!(reads(), before + 1);
    assert!(house.in_hub("a1", &bam("2")));
}

#[tokio::test]
async fn a_command_is_decided_three_times_at_most() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let conflicts = |times| vec![CommitError::Conflict; times].into();
    *house.store.faults.refusals.lock().unwrap() = conflicts(2);
    house.on_session("alice", "a1", join("1")).await.unwrap();
    *house.store.faults.refusals.lock().unwrap() = conflicts(3);
    let refused = house
        .on_session("alice", "a1", join("2"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::Overloaded);
    assert!(refused.code.row().retryable);
    assert!(!house.in_hub("a1", &bam("2")));
}

#[tokio::test]
async fn a_session_leaves_what_it_has_joined_and_only_that() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("alice", "a2").await;
    house.heard();
    house.on_session("alice", "a1", leave("1")).await.unwrap();
    assert!(house.heard().is_empty(), "the other device is still there");
    let stays = house.tenant_store().await.session_rooms(&sid("a1")).await;
    assert_eq!(stays.unwrap()[0].until, Some(Position(0)));
    assert_eq!(
        code(house.on_session("alice", "a1", leave("1")).await),
        Code::NotInRoom
    );
    house.on_session("alice", "a2", leave("1")).await.unwrap();
    assert_eq!(house.heard(), ["room.left alice 1"]);
}

#[tokio::test]
async fn a_session_is_in_128_rooms_at_most() {
    let house = House::new();
    house.connect("alice", "a1").await;
    for id in 0..SESSION_ROOMS_MAX {
        let room = join_kind("hall", &id.to_string());
        house.on_session("alice", "a1", room).await.unwrap();
    }
    let one_more = house.on_session("alice", "a1", join("1")).await;
    assert_eq!(code(one_more), Code::InvalidState);
    let again = house.on_session("alice", "a1", join_kind("hall", "5"));
    again.await.unwrap();
}

#[tokio::test]
async fn members_are_added_once_listed_and_told_where_the_app_has_an_event_for_it() {
    let house = House::new();
    for name in ["bob", "alice", "bob"] {
        let answer = house.by_key(add("3", name)).await.unwrap();
        assert_eq!(answer["userId"], name);
    }
    let list = house.by_key(Command::ListMembers { room: bam("3") });
    let list = list.await.unwrap();
    assert_eq!(users(&list["members"]), ["bob", "alice"]);
    house.by_key(remove("3", "bob")).await.unwrap();
    house.by_key(remove("3", "bob")).await.unwrap();
    let records = house.told.records.lock().unwrap().clone();
    let kinds: Vec<_> = records.iter().map(|record| record.event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::MemberRemoved],
        "this app shows no new members"
    );
    let kept = house.tenant_store().await;
    let kept = kept.membership(&bam("3"), &user("bob")).await;
    assert_eq!(kept, Ok(Membership::Removed));
}

#[tokio::test]
async fn participants_and_the_backend_see_who_is_in_a_room() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let online = || Command::RoomOnline { room: bam("1") };
    for answer in [
        house.by_key(online()).await,
        house.on_http("bob", online()).await,
    ] {
        let answer = answer.unwrap();
        assert_eq!(
            (&answer["count"], users(&answer["users"])),
            (&1.into(), vec!["alice"])
        );
    }
    let other = Command::RoomOnline { room: bam("9") };
    assert_eq!(code(house.on_http("bob", other).await), Code::NotAMember);
}

#[tokio::test]
async fn joining_needs_a_session_and_a_user() {
    let house = House::new();
    assert_eq!(
        code(house.on_http("alice", join("1")).await),
        Code::InvalidState
    );
    assert_eq!(code(house.by_key(join("1")).await), Code::InvalidState);
}
