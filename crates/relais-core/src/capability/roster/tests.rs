//! Rules that are easier seen at the roster itself than through the dispatcher.

use super::*;
use crate::event::What;
use crate::ids::AudienceKey;

fn person(name: &str) -> Person {
    Person {
        id: UserId::text(name),
        name: name.into(),
        role: None,
    }
}

fn sid(session: &str) -> SessionId {
    SessionId(session.into())
}

fn room(id: &str) -> RoomKey {
    RoomKey::new("bam", id)
}

fn at(ms: u64) -> Moment {
    Moment {
        wall: crate::ids::Timestamp(ms as i64),
        monotonic: Monotonic(ms),
    }
}

fn arrival(name: &str, session: &str) -> Arrival {
    Arrival {
        session: sid(session),
        generation: 1,
        person: person(name),
        rooms: vec![room("1")],
    }
}

fn roster(contacts: Contacts) -> Roster {
    Roster::new(Arc::new(Rules {
        contacts,
        past_max: 8,
        ..Rules::default()
    }))
}

fn whats(told: &[Transition]) -> Vec<What> {
    told.iter().map(|one| one.what.clone()).collect()
}

fn set(roster: &mut Roster, session: &str, status: &str) -> (String, usize) {
    let user = UserId::text("alice");
    let session = sid(session);
    let set = roster.set_status(&user, Some(&session), &status.into(), None, at(9));
    let (shown, told) = set.unwrap();
    (shown.status.to_string(), told.len())
}

#[test]
fn busy_on_one_device_is_busy_and_away_only_counts_when_all_are_away() {
    let mut roster = roster(Contacts::Rooms);
    roster.arrive(arrival("alice", "a1"), at(0));
    roster.arrive(arrival("alice", "a2"), at(0));
    assert_eq!(set(&mut roster, "a2", "online"), ("online".into(), 0));
    assert_eq!(set(&mut roster, "a1", "away"), ("online".into(), 0));
    assert_eq!(set(&mut roster, "a2", "away"), ("away".into(), 1));
    assert_eq!(set(&mut roster, "a1", "busy"), ("busy".into(), 1));
    assert_eq!(set(&mut roster, "a2", "online"), ("busy".into(), 0));
    let told = roster.depart(&sid("a1"), 1, Departure::Clean, at(10));
    assert_eq!(whats(&told.unwrap()), [What::Changed]);
    assert_eq!(
        &*roster.user(&UserId::text("alice")).unwrap().status,
        "online"
    );
}

#[test]
fn a_device_that_has_chosen_no_status_has_no_say_beside_one_that_has() {
    let mut roster = roster(Contacts::Rooms);
    roster.arrive(arrival("alice", "a1"), at(0));
    roster.arrive(arrival("alice", "a2"), at(0));
    assert_eq!(set(&mut roster, "a1", "away"), ("away".into(), 1));
    assert!(roster.arrive(arrival("alice", "a3"), at(1)).is_empty());
    let told = roster.depart(&sid("a1"), 1, Departure::Clean, at(10));
    assert_eq!(whats(&told.unwrap()), [What::Changed]);
}

#[test]
fn the_custom_text_is_that_of_the_device_that_set_the_status_last() {
    let mut roster = roster(Contacts::Rooms);
    roster.arrive(arrival("alice", "a1"), at(0));
    roster.arrive(arrival("alice", "a2"), at(0));
    let user = UserId::text("alice");
    for (session, text, ms) in [("a1", "lunch", 1), ("a2", "dinner", 2)] {
        let busy = "busy".into();
        let told = roster.set_status(&user, Some(&sid(session)), &busy, Some(text), at(ms));
        assert_eq!(told.unwrap().0.custom_status.as_deref(), Some(text));
    }
}

#[test]
fn a_silent_client_is_gone_at_once_and_may_still_come_back() {
    let mut roster = roster(Contacts::Tenant);
    roster.arrive(arrival("alice", "a1"), at(0));
    let told = roster.depart(&sid("a1"), 1, Departure::Silent, at(5));
    let expected = [What::Left(room("1")), What::Offline, What::Changed];
    assert_eq!(whats(&told.unwrap()), expected);
    assert!(!roster.has_ended(&sid("a1")));
    assert_eq!(
        roster.heard_at(&sid("a1"), Monotonic(9)),
        Some(Monotonic(5))
    );
}

#[test]
fn offline_tells_when_the_user_was_last_seen_not_when_the_grace_was_over() {
    let mut roster = roster(Contacts::Tenant);
    roster.arrive(arrival("alice", "a1"), at(0));
    assert_eq!(
        roster.depart(&sid("a1"), 1, Departure::Lost, at(700)),
        Some(vec![])
    );
    let told = roster.tick(at(5_700));
    assert_eq!(told.len(), 3);
    assert_eq!(told[1].shown.last_seen, crate::ids::Timestamp(700));
    assert!(!told[1].shown.online);
}

#[test]
fn whom_a_stopping_server_sends_away_is_not_told_as_gone_and_is_stored_as_here() {
    let mut roster = roster(Contacts::Tenant);
    roster.arrive(arrival("alice", "a1"), at(0));
    let told = roster.depart(&sid("a1"), 1, Departure::Sent, at(100));
    assert_eq!(told, Some(vec![]));
    assert!(roster.tick(at(40_000)).is_empty());
    let stored = roster.all_unsaved(9);
    assert!(stored.iter().all(|presence| presence.online));
    assert_eq!(stored.len(), 1);
    // The server did not stop after all, and she did not come back.
    assert_eq!(roster.tick(at(60_100)).len(), 3);
}

#[test]
fn a_user_without_a_room_has_no_contacts_to_tell() {
    let mut roster = roster(Contacts::Rooms);
    let nowhere = Arrival {
        rooms: Vec::new(),
        ..arrival("alice", "a1")
    };
    assert!(roster.arrive(nowhere, at(0)).is_empty());
    assert_eq!(
        roster.depart(&sid("a1"), 1, Departure::Clean, at(1)),
        Some(vec![])
    );
}

#[test]
fn another_user_cannot_take_a_session_over() {
    let mut roster = roster(Contacts::Tenant);
    roster.arrive(arrival("alice", "a1"), at(0));
    let theft = Arrival {
        generation: 2,
        ..arrival("mallory", "a1")
    };
    assert!(roster.arrive(theft, at(1)).is_empty());
    assert!(roster.user(&UserId::text("mallory")).is_none());
}

#[test]
fn the_past_is_bounded_and_says_when_something_is_missing() {
    let mut roster = roster(Contacts::Tenant);
    roster.arrive(arrival("alice", "a1"), at(0));
    for number in 0..100 {
        let name = format!("user{number}");
        roster.arrive(arrival(&name, &name), at(10 + number));
    }
    let early = roster.missed(&sid("a1"), Monotonic(5));
    assert_eq!((early.transitions.len(), early.complete), (8, false));
    let late = roster.missed(&sid("a1"), Monotonic(107));
    assert_eq!((late.transitions.len(), late.complete), (6, true));
}

#[test]
fn a_restored_user_who_went_before_the_restart_is_told_to_who_comes_back() {
    let mut roster = roster(Contacts::Rooms);
    let stored = StoredPresence {
        person: person("bob"),
        online: false,
        status: crate::event::OFFLINE.into(),
        custom_status: None,
        rooms: vec![room("1")],
        last_seen: crate::ids::Timestamp(3),
    };
    roster.restore(vec![stored], Monotonic(0), at(10));
    roster.arrive(arrival("alice", "a1"), at(20));
    let missed = roster.missed(&sid("a1"), Monotonic(0));
    let expected = [What::Left(room("1")), What::Offline, What::Changed];
    assert_eq!(whats(&missed.transitions), expected);
}

#[test]
fn what_waits_to_be_stored_is_one_entry_for_a_user_and_waits_until_that_very_one_is_stored() {
    let mut roster = roster(Contacts::Rooms);
    roster.arrive(arrival("alice", "a1"), at(0));
    set(&mut roster, "a1", "busy");
    let older = roster.all_unsaved(10);
    assert_eq!((older.len(), &*older[0].status), (1, "busy"));
    set(&mut roster, "a1", "away");
    roster.saved(&older);
    let newer = roster.all_unsaved(10);
    assert_eq!(&*newer[0].status, "away");
    roster.saved(&newer);
    assert!(roster.all_unsaved(10).is_empty());
}

fn in_rooms(name: &str, rooms: &[&str]) -> Arrival {
    Arrival {
        rooms: rooms.iter().map(|id| room(id)).collect(),
        ..arrival(name, "a1")
    }
}

fn to(ids: &[&str]) -> Vec<AudienceKey> {
    ids.iter().map(|id| AudienceKey::Room(room(id))).collect()
}

#[test]
fn contacts_hear_once_that_somebody_is_online_however_many_rooms_they_share() {
    let mut roster = roster(Contacts::Rooms);
    let told = roster.arrive(in_rooms("alice", &["1", "2"]), at(0));
    assert_eq!(
        whats(&told),
        [
            What::Online,
            What::Joined(room("1")),
            What::Joined(room("2"))
        ]
    );
    assert_eq!(told[0].to, to(&["1", "2"]));
    let later = roster.join(&sid("a1"), room("3"), at(1));
    assert_eq!(whats(&later), [What::Joined(room("3"))]);
}

#[test]
fn somebody_without_automatic_rooms_is_online_for_the_first_room_that_they_enter() {
    let mut roster = roster(Contacts::Rooms);
    assert!(roster.arrive(in_rooms("alice", &[]), at(0)).is_empty());
    let told = roster.join(&sid("a1"), room("1"), at(1));
    assert_eq!(whats(&told), [What::Online, What::Joined(room("1"))]);
    let again = roster.join(&sid("a1"), room("1"), at(2));
    assert!(again.is_empty());
}

#[test]
fn a_room_that_heard_offline_hears_the_opposite_when_the_user_is_back_in_it() {
    let mut roster = roster(Contacts::Rooms);
    roster.arrive(in_rooms("alice", &["1", "2"]), at(0));
    roster.depart(&sid("a1"), 1, Departure::Silent, at(1));
    assert!(roster.arrive(in_rooms("alice", &[]), at(2)).is_empty());
    for (ms, back) in [(3, "1"), (4, "2")] {
        let told = roster.join(&sid("a1"), room(back), at(ms));
        let expected = [What::Online, What::Changed, What::Joined(room(back))];
        assert_eq!(whats(&told), expected);
        assert_eq!(
            (&told[1].to, &*told[1].shown.status),
            (&to(&[back]), "online")
        );
    }
    roster.leave(&sid("a1"), &room("1"), at(5));
    let told = roster.join(&sid("a1"), room("1"), at(6));
    assert_eq!(whats(&told), [What::Joined(room("1"))]);
}

#[test]
fn a_roster_that_keeps_no_past_says_that_nobody_missed_anything() {
    let mut roster = Roster::new(Arc::new(Rules {
        past_max: 0,
        ..Rules::default()
    }));
    roster.arrive(arrival("alice", "a1"), at(0));
    roster.arrive(arrival("bob", "b1"), at(1));
    roster.depart(&sid("b1"), 1, Departure::Clean, at(2));
    let missed = roster.missed(&sid("a1"), Monotonic(0));
    assert_eq!((missed.transitions.len(), missed.complete), (0, true));
}

#[test]
fn the_kind_of_a_transition_is_that_of_its_event() {
    use crate::capability::{presence, room};
    let mut roster = roster(Contacts::Rooms);
    let mut told = roster.arrive(arrival("alice", "a1"), at(0));
    let session = sid("a1");
    told.extend(roster.depart(&session, 1, Departure::Clean, at(1)).unwrap());
    let kinds = |told: &Transition| {
        let event = presence::event(told).or_else(|| room::event(told)).unwrap();
        (told.what.kind(), event.kind)
    };
    assert_eq!(told.len(), 5);
    assert!(told.iter().map(kinds).all(|(kind, event)| kind == event));
}
