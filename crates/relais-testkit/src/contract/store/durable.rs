//! Durability: what was acknowledged is there after the store is opened again. Stores that keep nothing pass by.

use relais_core::event::EventKind;
use relais_core::ids::{Position, Seq, Timestamp, UserId};
use relais_core::ports::{Change, Committed, Membership};

use relais_core::restriction::{Against, Hold, Restriction};

use super::{Bench, Limits, StoreHarness, positions, seqs};
use crate::build::{
    append, change, chat, message, numbered_user, presence, record, room, send, send_keyed,
    session, user,
};

/// Who is held back stays held back: the latest of each kind, and nobody whose restriction was lifted.
pub async fn restrictions_are_there_after_opening_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let bob = user("bob");
    let mute = Restriction {
        against: Against::User(bob.clone()),
        hold: Hold::Muted,
        at: Timestamp(5),
        until: Some(Timestamp(9)),
    };
    let changes = [
        Change::Impose(mute.clone()),
        Change::Impose(Restriction {
            against: Against::Token("t".into()),
            ..mute.clone()
        }),
        Change::Impose(Restriction {
            until: None,
            ..mute.clone()
        }),
        Change::Lift {
            against: Against::Token("t".into()),
            hold: Hold::Muted,
        },
    ];
    bench.apply(change(5, changes)).await;
    let held = Restriction {
        until: None,
        ..mute
    };
    assert_eq!(bench.tenant.restrictions().await, Ok(vec![held.clone()]));
    let Some(bench) = bench.reopened().await else {
        return;
    };
    assert_eq!(bench.tenant.restrictions().await, Ok(vec![held]));
}

/// A number and its digits are one user, whichever of them somebody is held back or let go by.
pub async fn a_restriction_is_one_of_a_user_in_either_form_of_the_id(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (number, text) = (numbered_user(7), user("7"));
    let mute = |who: &UserId, until: i64| {
        Change::Impose(Restriction {
            against: Against::User(who.clone()),
            hold: Hold::Muted,
            at: Timestamp(5),
            until: Some(Timestamp(until)),
        })
    };
    let lift = |who: &UserId| Change::Lift {
        against: Against::User(who.clone()),
        hold: Hold::Muted,
    };
    bench
        .apply(change(5, [mute(&number, 8), mute(&text, 9)]))
        .await;
    let held = bench.tenant.restrictions().await.expect("an answer");
    let held: Vec<_> = held.iter().map(|one| one.until).collect();
    assert_eq!(held, [Some(Timestamp(9))]);
    bench.apply(change(6, [lift(&number)])).await;
    assert_eq!(bench.tenant.restrictions().await, Ok(Vec::new()));
    bench
        .apply(change(7, [mute(&number, 8), lift(&text)]))
        .await;
    assert_eq!(bench.tenant.restrictions().await, Ok(Vec::new()));
}

/// Numbers go on where they were, keys still hold, state is what it was.
pub async fn everything_is_there_after_opening_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    bench
        .apply(send_keyed(message(1, &chat("a"), &ann, "hello"), "k1"))
        .await;
    bench.apply(send(message(2, &chat("a"), &bob, "hi"))).await;
    let online = presence(&ann, true, 5, &[room("a")]);
    let changes = [
        Change::AddMember {
            room: room("a"),
            user: ann.clone(),
        },
        Change::RemoveMember {
            room: room("a"),
            user: bob.clone(),
        },
        Change::JoinSession {
            session: session("s"),
            room: room("a"),
        },
        Change::SetReadMark {
            conversation: chat("a"),
            user: ann.clone(),
            seq: Seq(2),
        },
        Change::SetPresence(online.clone()),
    ];
    bench.apply(change(5, changes)).await;
    let log = bench.log_after(0).await;
    let stays = bench.tenant.session_rooms(&session("s")).await;
    let Some(bench) = bench.reopened().await else {
        return;
    };
    assert_eq!(bench.head(), Position(2));
    assert_eq!(bench.log_after(0).await, log);
    assert!(bench.recorder.of(&crate::build::tenant("one")).is_empty());
    assert_eq!(bench.tenant.session_rooms(&session("s")).await, stays);
    assert_eq!(bench.tenant.read_mark(&chat("a"), &ann).await, Ok(Seq(2)));
    assert_eq!(
        bench.tenant.presences(Timestamp(100)).await,
        Ok(vec![online])
    );
    let membership = bench.tenant.membership(&room("a"), &bob).await;
    assert_eq!(membership, Ok(Membership::Removed));
    let again = bench
        .commit(send_keyed(message(3, &chat("a"), &ann, "hello"), "k1"))
        .await;
    let Ok(Committed::Duplicate { message: found }) = again else {
        panic!("not a duplicate: {again:?}");
    };
    assert_eq!(found.seq, Seq(1));
    let next = bench
        .apply(send(message(4, &chat("a"), &ann, "more")))
        .await;
    assert_eq!((positions(&next), seqs(&next)), (vec![3], vec![3]));
}

/// An epoch is drawn once; a restart is no new life.
pub async fn the_epoch_of_a_tenant_stays_the_same(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let epoch = bench.tenant.head().epoch;
    let Some(bench) = bench.reopened().await else {
        return;
    };
    assert_eq!(bench.tenant.head().epoch, epoch);
}

/// A session that comes back after a restart must still be told what it cannot have.
pub async fn what_was_trimmed_is_remembered(harness: &dyn StoreHarness) {
    let limits = Limits {
        window_ms: 1_000_000,
        records_max: 2,
    };
    let bench = Bench::with(harness, limits).await;
    let relays = (0..5).map(|_| record(EventKind::RelaySent, &room("a"), "x"));
    bench.apply(append(relays)).await;
    bench.open.retain(Timestamp(1), &[]).await;
    let Some(bench) = bench.reopened().await else {
        return;
    };
    let page = bench.tenant.log(Position(0), 10).await.expect("a page");
    assert_eq!(
        (positions(&page.records), page.trimmed),
        (vec![4, 5], Position(3))
    );
    assert_eq!(bench.tenant.trimmed(&[room("a")]).await, Ok(Position(3)));
    assert_eq!(bench.tenant.trimmed(&[room("b")]).await, Ok(Position(0)));
}
