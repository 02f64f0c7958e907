//! Whatever is committed, memory and SQLite say the same: outcomes, logs, histories and state, and again after retention
//! and after SQLite was opened again.

use std::sync::Arc;

use proptest::prelude::*;
use relais_core::command::SeqRange;
use relais_core::event::EventKind;
use relais_core::ids::{Conversation, Epoch, Position, RoomKey, Seq, SessionId, Timestamp, UserId};
use relais_core::ports::{
    Change, CommitError, Committed, InboxQuery, Membership, MessageQuery, Precondition, Recipients,
    Store, StoreError, TenantStore, Transaction,
};
use relais_store::memory::MemoryStore;
use relais_store::retention::Retention;
use relais_store::sqlite::{SqliteOptions, SqliteStore};
use relais_testkit::build::{
    append, change, chat, id, info, message, notice, notify, numbered_user, presence, record, room,
    send, send_keyed, session, tenant, user,
};
use relais_testkit::contract::store::Recorder;

const RETENTION: Retention = Retention {
    window_ms: 800,
    room_records_max: 6,
    roomless_records_max: 4,
};

/// What is done to both stores.
#[derive(Clone, Debug)]
enum Step {
    Commit(Box<Transaction>),
    /// Several whose futures are polled together, so that they may share a batch.
    Together(Vec<Transaction>),
    Retain(i64),
}

const USERS: usize = 3;
const ROOMS: [&str; 3] = ["a", "b", "a:b"];

fn person(index: usize) -> UserId {
    [user("ann"), numbered_user(7), user("7 of 9")][index % USERS].clone()
}

fn conversation(index: usize) -> Conversation {
    match index {
        0..3 => chat(ROOMS[index]),
        _ => Conversation::direct(person(index), person(index + 1)),
    }
}

fn any_room() -> impl Strategy<Value = RoomKey> {
    (0..3_usize).prop_map(|index| room(ROOMS[index]))
}

fn any_session() -> impl Strategy<Value = SessionId> {
    (0..3_u8).prop_map(|index| session(&format!("s{index}")))
}

fn any_user() -> impl Strategy<Value = UserId> {
    (0..USERS).prop_map(person)
}

fn any_change() -> impl Strategy<Value = Change> {
    let member = || (any_room(), any_user());
    let stay = || (any_session(), any_room());
    prop_oneof![
        (0..40_u64, "[a-z]{0,3}").prop_map(|(number, body)| Change::EditMessage {
            id: id(number),
            body,
            mentions: vec![person(number as usize)],
        }),
        (0..40_u64).prop_map(|number| Change::DeleteMessage { id: id(number) }),
        (0..5_usize, any_user(), 0..9_u64).prop_map(|(index, user, seq)| Change::SetReadMark {
            conversation: conversation(index),
            user,
            seq: Seq(seq)
        }),
        member().prop_map(|(room, user)| Change::AddMember { room, user }),
        member().prop_map(|(room, user)| Change::RemoveMember { room, user }),
        member().prop_map(|(room, user)| Change::ForgetMember { room, user }),
        any_notification(),
        (any_user(), proptest::option::of(0..4_000_000_000_u64)).prop_map(|(user, number)| {
            let id = number.map(id);
            Change::ReadNotifications { user, id }
        }),
        stay().prop_map(|(session, room)| Change::JoinSession { session, room }),
        stay().prop_map(|(session, room)| Change::LeaveSession { session, room }),
        (proptest::collection::vec(any_session(), 0..3), any_room())
            .prop_map(|(sessions, room)| Change::LeaveSessions { sessions, room }),
        (any_user(), proptest::collection::vec(any_room(), 0..3)).prop_map(|(user, claims)| {
            Change::Remember {
                person: relais_testkit::build::person(&user),
                claims,
            }
        }),
        (any_room(), "[ab]", any_user())
            .prop_map(|(room, sort, user)| { Change::SetRoom(info(&room, &sort, Some(&user))) }),
        (any_user(), any::<bool>(), 0..2_000_i64, any_room()).prop_map(
            |(user, online, at, room)| {
                Change::SetPresence(presence(&user, online, at, &[room]))
            }
        ),
    ]
}

/// With an id that no other has.
fn any_notification() -> impl Strategy<Value = Change> {
    let to = prop_oneof![
        any_user().prop_map(Recipients::User),
        any_room().prop_map(Recipients::Members)
    ];
    let to = proptest::collection::vec(to, 1..3);
    let except = proptest::option::of(any_user());
    (0..4_000_000_000_u64, to, except, 1..4_u32)
        .prop_map(|(number, to, except, keep)| notify(number, to, except.as_ref(), keep))
}

fn any_send() -> impl Strategy<Value = Transaction> {
    let what = (0..40_u64, 0..5_usize, 0..USERS, "[ab]", any::<bool>());
    (what, proptest::option::of(0..4_u8)).prop_map(|((number, place, from, body, private), key)| {
        let mut message = message(number, &conversation(place), &person(from), &body);
        message.recipient = private.then(|| person(from + 1));
        message.channel = (number % 3 == 0).then(|| "planning".into());
        match key {
            Some(key) => send_keyed(message, &format!("k{key}")),
            None => send(message),
        }
    })
}

fn any_precondition() -> impl Strategy<Value = Precondition> {
    let expected = prop_oneof![
        Just(Membership::Unknown),
        Just(Membership::Member),
        Just(Membership::Removed)
    ];
    prop_oneof![
        (any_room(), any_user(), expected).prop_map(|(room, user, expected)| {
            Precondition::Membership {
                room,
                user,
                expected,
            }
        }),
        (any_room(), proptest::option::of("[ab]")).prop_map(|(room, expected)| {
            Precondition::RoomSort {
                room,
                expected: expected.map(Into::into),
            }
        }),
        (any_room(), 0..3_u32).prop_map(|(room, count)| Precondition::MembersBelow { room, count }),
        (0..40_u64, proptest::option::of(0..2_000_i64)).prop_map(|(number, edited_at)| {
            Precondition::MessageUnchanged {
                id: id(number),
                edited_at: edited_at.map(Timestamp),
            }
        }),
    ]
}

fn any_transaction() -> impl Strategy<Value = Transaction> {
    let relays = proptest::collection::vec((0..4_usize, "[a-z]{0,3}"), 1..4);
    let relays = relays.prop_map(|relays| {
        append(
            relays
                .into_iter()
                .map(|(place, fact)| match ROOMS.get(place) {
                    Some(place) => record(EventKind::RelaySent, &room(place), &fact),
                    None => notice(&person(0), &fact),
                }),
        )
    });
    let changes = proptest::collection::vec(any_change(), 1..4);
    let changes = changes.prop_map(|changes| change(0, changes));
    let base = prop_oneof![3 => any_send(), 2 => relays, 3 => changes];
    let guards = proptest::collection::vec(any_precondition(), 0..2);
    let more = proptest::collection::vec(any_change(), 0..2);
    (base, guards, more, 0..2_000_i64, 0..4_u8).prop_map(|(mut base, guards, more, at, odds)| {
        base.at = Timestamp(at);
        if odds == 0 {
            base.preconditions = guards;
        }
        if odds == 1 {
            base.changes.extend(more);
        }
        base
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_transaction().prop_map(|one| Step::Commit(Box::new(one))),
        3 => proptest::collection::vec(any_transaction(), 2..8).prop_map(Step::Together),
        1 => (0..3_000_i64).prop_map(Step::Retain),
    ]
}

/// An outcome without the words of a failure, which are each store's own.
fn comparable(outcome: Result<Committed, CommitError>) -> Result<Committed, CommitError> {
    match outcome {
        Err(CommitError::Store(StoreError::Failed { .. })) => {
            Err(CommitError::Store(StoreError::Failed {
                reason: String::new(),
            }))
        }
        other => other,
    }
}

async fn together(
    store: &dyn TenantStore,
    all: &[Transaction],
) -> Vec<Result<Committed, CommitError>> {
    let commits = all.iter().map(|one| store.commit(one.clone()));
    let outcomes = futures_util::future::join_all(commits).await;
    outcomes.into_iter().map(comparable).collect()
}

/// Every conversation in many pages.
async fn histories(store: &dyn TenantStore, all: &mut Vec<String>) {
    for place in 0..5 {
        all.push(format!("{:?}", store.last_seq(&conversation(place)).await));
        let ranges = [
            (None, None),
            (Some(4), None),
            (None, Some(2)),
            (Some(9), Some(1)),
        ];
        for (before, after) in ranges {
            for viewer in [None, Some(person(1))] {
                for channel in [None, Some("planning".into())] {
                    let query = MessageQuery {
                        conversation: conversation(place),
                        viewer: viewer.clone(),
                        channel,
                        range: SeqRange {
                            before: before.map(Seq),
                            after: after.map(Seq),
                        },
                        limit: 3,
                    };
                    all.push(format!("{:?}", store.messages(&query).await));
                }
            }
        }
    }
}

/// Everything that can be asked, as one text.
async fn everything(store: &dyn TenantStore) -> String {
    let mut all = vec![format!("{:?}", store.head())];
    let rooms = ROOMS.map(room);
    all.push(format!("{:?}", store.log(Position(0), 1_000).await));
    all.push(format!("{:?}", store.trimmed(&rooms).await));
    for place in &rooms {
        all.push(format!(
            "{:?}",
            store.trimmed(std::slice::from_ref(place)).await
        ));
        all.push(format!("{:?}", store.members(place).await));
        let mut people = store.people(place).await;
        if let Ok(people) = &mut people {
            people.sort_by_key(|known| known.person.id.clone());
        }
        all.push(format!("{people:?}"));
    }
    for index in 0..USERS {
        let user = person(index);
        all.push(format!("{:?}", store.rooms_of(&user).await));
        all.push(format!("{:?}", store.person(&user).await));
        all.push(format!("{:?}", store.rooms(Some(&user), &rooms).await));
        all.push(format!("{:?}", store.presence(&user).await));
        let newest = InboxQuery {
            user: user.clone(),
            before: None,
            limit: 2,
        };
        let page = store.inbox(&newest).await;
        let before = page
            .as_ref()
            .ok()
            .and_then(|page| page.notifications.last());
        let before = before.map(|one| one.notification.id);
        all.push(format!("{page:?}"));
        all.push(format!(
            "{:?}",
            store.inbox(&InboxQuery { before, ..newest }).await
        ));
        for place in &rooms {
            all.push(format!("{:?}", store.membership(place, &user).await));
        }
        for place in 0..5 {
            all.push(format!(
                "{:?}",
                store.read_mark(&conversation(place), &user).await
            ));
        }
    }
    for name in ["s0", "s1", "s2"] {
        all.push(format!("{:?}", store.session_rooms(&session(name)).await));
    }
    let mut presences = store.presences(Timestamp(1_000)).await;
    if let Ok(presences) = &mut presences {
        presences.sort_by_key(|presence| presence.person.id.clone());
    }
    all.push(format!("{presences:?}"));
    histories(store, &mut all).await;
    for number in 0..40 {
        all.push(format!("{:?}", store.message(id(number)).await));
    }
    all.join("\n")
}

async fn run(steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = SqliteOptions::new(folder.path().join("relais.db"));
    options.retention = RETENTION;
    let published = [Arc::new(Recorder::default()), Arc::new(Recorder::default())];
    let memory = MemoryStore::new(published[0].clone(), Arc::new(|| Epoch(3)));
    let memory = memory.with_retention(RETENTION);
    let open = |recorder| SqliteStore::open(options.clone(), recorder, Arc::new(|| Epoch(3)));
    let sqlite = open(published[1].clone()).expect("the database opens");
    let key = tenant("one");
    let in_memory = memory.tenant(&key).await.expect("a tenant");
    let on_disk = sqlite.tenant(&key).await.expect("a tenant");
    for step in steps {
        match step {
            Step::Commit(one) => {
                let all = [*one];
                let expected = together(&*in_memory, &all).await;
                assert_eq!(together(&*on_disk, &all).await, expected, "{all:?}");
            }
            Step::Together(all) => {
                let expected = together(&*in_memory, &all).await;
                assert_eq!(together(&*on_disk, &all).await, expected, "{all:?}");
            }
            Step::Retain(now) => {
                let alive = |_: &_, who: &SessionId| *who == session("s1");
                let expected = memory.retain(Timestamp(now), &alive);
                let done = sqlite.retain(Timestamp(now), &alive).await;
                assert_eq!(done, Ok(expected));
            }
        }
    }
    let expected = everything(&*in_memory).await;
    assert_eq!(everything(&*on_disk).await, expected);
    assert_eq!(published[1].of(&key), published[0].of(&key));
    drop(on_disk);
    sqlite.close().await.expect("the store closes");
    let sqlite = open(Arc::new(Recorder::default())).expect("the database opens again");
    let on_disk = sqlite.tenant(&key).await.expect("a tenant");
    assert_eq!(everything(&*on_disk).await, expected, "after opening again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_agree_on_everything(steps in proptest::collection::vec(any_step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(run(steps));
    }
}
