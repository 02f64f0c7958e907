//! One user's data: found whole, and erased without a trace and without a hole.

use futures_util::future::join_all;
use relais_core::event::{Audience, EventKind, Facts, Item, Person};
use relais_core::ids::{Conversation, Id, Position, Seq, Shelf, Timestamp, UserId};
use relais_core::ports::{Change, Membership, RoomInfo, RoomState, StoreError, TenantStore};

use super::{Bench, StoreHarness, positions, seqs};
use crate::build::{
    append, change, chat, id, item, message, notice, numbered_user, person, presence, record, room,
    send, send_keyed, tenant, user,
};

/// All that the port finds, and in how many pages.
async fn found(bench: &Bench, of: &str) -> (Vec<Id>, u32) {
    let (mut after, mut ids, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = bench
            .tenant
            .messages_of(&user(of), after)
            .await
            .expect("the store answers");
        ids.extend(page.messages.iter().map(|message| message.id));
        pages += 1;
        match page.next {
            None => return (ids, pages),
            next => after = next,
        }
    }
}

/// What was written, what was got privately, and direct conversations with both sides.
pub async fn what_a_user_has_to_do_with_is_found_page_by_page(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob, cleo) = (user("ann"), user("bob"), user("cleo"));
    let mut private = message(2, &chat("a"), &bob, "for ann alone");
    private.recipient = Some(ann.clone());
    let pair = Conversation::direct(ann.clone(), bob.clone());
    bench
        .apply(send(message(1, &chat("a"), &ann, "hello")))
        .await;
    bench.apply(send(private)).await;
    bench
        .apply(send(message(3, &chat("a"), &bob, "to all")))
        .await;
    bench.apply(send(message(4, &pair, &bob, "psst"))).await;
    let others = Conversation::direct(bob.clone(), cleo.clone());
    bench.apply(send(message(5, &others, &cleo, "psst"))).await;
    assert_eq!(found(&bench, "ann").await.0, [id(1), id(2), id(4)]);
    assert_eq!(found(&bench, "cleo").await.0, [id(5)]);
    assert_eq!(found(&bench, "nobody").await, (Vec::new(), 1));
    let many = (100..500).map(|number| bench.apply(send(message(number, &chat("b"), &cleo, "x"))));
    join_all(many).await;
    let (ids, pages) = found(&bench, "cleo").await;
    assert_eq!((ids.len(), pages > 1), (401, true));
    assert!(ids.is_sorted(), "{ids:?}");
    let elsewhere = bench
        .open
        .store()
        .tenant(&tenant("two"))
        .await
        .expect("the store answers");
    let page = elsewhere
        .messages_of(&cleo, None)
        .await
        .expect("the store answers");
    assert!(page.messages.is_empty());
}

/// Owned or given, in whichever room and of whichever kind; each once, and none of another tenant's.
pub async fn items_of_a_user_are_found_wherever_they_lie_oldest_first(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, four) = (user("ann"), UserId::text("4"));
    let put = |item: Item| change(1, [Change::PutItem(Box::new(item))]);
    let elsewhere = |name: &str| {
        let mut item = item("b", name);
        item.key.shelf = Shelf {
            kind: "photo".into(),
            room: None,
        };
        item
    };
    let mut both = elsewhere("both");
    both.assignee = Some(ann.clone());
    let mut nobodys = item("a", "nobody's");
    (nobodys.owner, nobodys.assignee) = (None, None);
    for one in [item("a", "one"), both, nobodys, elsewhere("three")] {
        bench.apply(put(one)).await;
    }
    let two = bench.open.store().tenant(&tenant("two")).await;
    let two = two.expect("a tenant is made on first use");
    let stored = two.commit(put(item("a", "other"))).await;
    stored.expect("changes are stored");
    let ids = async |of: &UserId| {
        let (mut after, mut ids) = (None, Vec::new());
        loop {
            let page = bench.tenant.items_of(of, after).await;
            let page = page.expect("the store answers");
            let found = page.items.iter();
            ids.extend(found.map(|item| item.key.id.as_str().to_owned()));
            match page.next {
                None => return ids,
                next => after = next,
            }
        }
    };
    assert_eq!(ids(&ann).await, ["one", "both", "three"]);
    assert_eq!(ids(&four).await, ["one", "three"]);
    assert!(ids(&user("bob")).await.is_empty());
    let many = (0..250).map(|number| bench.apply(put(item("c", &format!("many {number}")))));
    join_all(many).await;
    let found = ids(&ann).await;
    assert_eq!((found.len(), &*found[0]), (253, "one"));
}

/// Seq and conversation stay, so that nothing is missing to others.
pub async fn an_erased_message_is_blank_and_nobody_s_and_its_key_is_free(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let said = || send_keyed(message(1, &chat("a"), &ann, "hello"), "k1");
    bench.apply(said()).await;
    bench
        .apply(send(message(2, &chat("a"), &user("bob"), "hi")))
        .await;
    let erase = || Change::EraseMessages {
        ids: vec![id(1), id(77)],
    };
    bench.apply(change(50, [erase()])).await;
    bench.apply(change(60, [erase()])).await;
    let blank = bench
        .tenant
        .message(id(1))
        .await
        .expect("the store answers")
        .expect("the store answers");
    assert_eq!((blank.body.as_str(), blank.key.as_ref()), ("", None));
    assert_eq!(blank.sender, Person::erased());
    assert_eq!((blank.seq, blank.deleted_at), (Seq(1), Some(Timestamp(50))));
    assert!(found(&bench, "ann").await.0.is_empty());
    let mut again = said();
    if let [Change::InsertMessage(message)] = &mut again.changes[..] {
        message.id = id(3);
    }
    assert_eq!(seqs(&bench.apply(again).await), [3]);
}

/// A replay shows nothing of it, from memory or from the disk.
pub async fn an_erased_record_keeps_its_place_and_nothing_else(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    bench
        .apply(send(message(1, &chat("a"), &ann, "secret")))
        .await;
    let others = append([
        record(EventKind::RelaySent, &room("a"), "theirs"),
        notice(&ann, "secret"),
    ]);
    bench.apply(others).await;
    let before = bench.log_after(0).await;
    let erase = Change::EraseRecords {
        positions: vec![Position(1), Position(3)],
    };
    bench.apply(change(9, [erase])).await;
    let check = async |bench: &Bench| {
        let after = bench.log_after(0).await;
        assert_eq!(positions(&after), [1, 2, 3]);
        assert_eq!(seqs(&after), [1, 0, 0]);
        assert_eq!(after[1], before[1]);
        for blank in [&after[0], &after[2]] {
            let event = &blank.event;
            assert_eq!((&event.body, &event.actor), (&Facts::new(), &None));
            assert_eq!((&event.target, &event.session), (&None, &None));
            assert_eq!(blank.audience, Audience::default());
        }
        assert_eq!(after[0].event.room, Some(room("a")));
        assert_eq!(after[0].event.kind, EventKind::MessageSent);
        assert!(!format!("{after:?}").contains("secret"));
    };
    check(&bench).await;
    if let Some(bench) = bench.reopened().await {
        check(&bench).await;
    }
}

/// Everything that a store keeps of a user besides messages.
fn everything(of: &UserId) -> [Change; 6] {
    let user = of.clone();
    [
        Change::AddMember {
            room: room("a"),
            user: user.clone(),
        },
        Change::RemoveMember {
            room: room("b"),
            user: user.clone(),
        },
        Change::SetReadMark {
            conversation: chat("a"),
            user: user.clone(),
            seq: Seq(4),
        },
        Change::SetPresence(presence(&user, true, 5, &[room("a")])),
        Change::Remember {
            person: person(&user),
            claims: vec![room("c")],
        },
        Change::SetRoom(RoomInfo {
            room: room(user.as_str()),
            name: "hers".into(),
            sort: "chat".into(),
            created_at: Timestamp(1),
            created_by: Some(user),
        }),
    ]
}

/// Which of that is there.
async fn kept(tenant: &dyn TenantStore, of: &UserId) -> Result<[bool; 9], StoreError> {
    let made = tenant.rooms(None, &[room(of.as_str())]).await?;
    let made_by = |state: &RoomState| state.info.as_ref()?.created_by.clone();
    let members = tenant.members(&room("a")).await?;
    let people = tenant.people(&room("c")).await?;
    Ok([
        tenant.membership(&room("a"), of).await? != Membership::Unknown,
        tenant.membership(&room("b"), of).await? != Membership::Unknown,
        members.iter().any(|member| member.user == *of),
        !tenant.rooms_of(of).await?.is_empty(),
        tenant.marks_of(of).await? == [(chat("a"), Seq(4))],
        tenant.presence(of).await?.is_some(),
        tenant.person(of).await?.is_some(),
        people.iter().any(|one| one.person.id == *of),
        made.iter().find_map(made_by).as_ref() == Some(of),
    ])
}

/// Others keep theirs, and so does somebody of the same name in another tenant.
pub async fn an_erased_user_is_forgotten_in_this_tenant_and_others_are_not(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), numbered_user(7));
    let two = bench.open.store().tenant(&tenant("two")).await;
    let two = two.expect("a tenant is made on first use");
    let stored = two.commit(change(1, everything(&ann))).await;
    stored.expect("changes are stored");
    for of in [&ann, &bob] {
        bench.apply(change(1, everything(of))).await;
    }
    let one = &*bench.tenant;
    assert_eq!(kept(one, &ann).await, Ok([true; 9]));
    let erase = Change::EraseUser { user: ann.clone() };
    bench.apply(change(2, [erase])).await;
    assert_eq!(kept(one, &ann).await, Ok([false; 9]));
    assert_eq!(kept(one, &bob).await, Ok([true; 9]));
    assert_eq!(kept(&*two, &ann).await, Ok([true; 9]));
    let erase = Change::EraseUser { user: bob.clone() };
    bench.apply(change(3, [erase])).await;
    assert_eq!(kept(one, &bob).await, Ok([false; 9]));
}
