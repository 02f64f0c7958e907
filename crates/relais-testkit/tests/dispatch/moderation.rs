//! Revoked tokens and muted users: who is refused what, until when, and after a restart.

use std::sync::Arc;

use relais_core::command::{Actor, Command, Identity, Origin, SeqRange};
use relais_core::error::Code;
use relais_core::ids::{Timestamp, UserId};
use relais_core::restriction::{Against, Hold};

use crate::house::*;

fn impose(against: Against, hold: Hold, until: Option<Timestamp>) -> Command {
    Command::Impose {
        against,
        hold,
        until,
    }
}

fn ann() -> Against {
    Against::User(user("ann"))
}

fn history() -> Command {
    Command::History {
        conversation: chat("1"),
        channel: None,
        range: SeqRange::default(),
        limit: 10,
    }
}

async fn with_token(house: &House, identity: Identity, command: Command) -> Answer {
    let actor = Actor::User(Arc::new(identity));
    let invocation = house.invocation(actor, Origin::Http, command);
    house.dispatcher.dispatch(invocation).await
}

fn issued(seconds: i64, id: Option<&str>) -> Identity {
    Identity {
        issued_at: Some(Timestamp(1_700_000_000_000 + seconds * 1_000)),
        token_id: id.map(Into::into),
        ..identity("ann")
    }
}

#[tokio::test]
async fn a_muted_user_reads_and_does_not_speak_until_the_mute_is_over() {
    let house = House::new();
    house.enter("ann", "a1").await;
    house.enter("bob", "b1").await;
    let until = Timestamp(house.now().wall.0 + 60_000);
    let mute = impose(ann(), Hold::Muted, Some(until));
    house.by_key(mute).await.unwrap();
    let say = || Command::SendMessage(message("1", "hello"));
    let refused = house.on_session("ann", "a1", say()).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.retry_after_ms),
        (Code::Forbidden, Some(60_000))
    );
    let typing = Command::Typing {
        conversation: chat("1"),
        active: true,
        written: None,
    };
    let refused = house.on_session("ann", "a1", typing).await.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    house.on_session("ann", "a1", history()).await.unwrap();
    house.on_session("bob", "b1", say()).await.unwrap();
    house.pass(60_000);
    house.on_session("ann", "a1", say()).await.unwrap();
}

#[tokio::test]
async fn a_mute_without_an_end_is_lifted_and_outlives_a_restart() {
    let house = House::new();
    house
        .by_key(impose(ann(), Hold::Muted, None))
        .await
        .unwrap();
    let house = house.restart();
    house.enter("ann", "a1").await;
    let say = || Command::SendMessage(message("1", "hello"));
    let refused = house.on_session("ann", "a1", say()).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.retry_after_ms),
        (Code::Forbidden, None)
    );
    let lift = Command::Lift {
        against: ann(),
        hold: Hold::Muted,
    };
    house.by_key(lift).await.unwrap();
    house.on_session("ann", "a1", say()).await.unwrap();
    let house = house.restart();
    house.enter("ann", "a2").await;
    house.on_session("ann", "a2", say()).await.unwrap();
}

#[tokio::test]
async fn tokens_of_before_a_revocation_are_refused_and_later_ones_are_not() {
    let house = House::new();
    house.connect("ann", "a1").await;
    house
        .by_key(impose(ann(), Hold::Revoked, None))
        .await
        .unwrap();
    assert_eq!(*house.hub.closed.lock().unwrap(), [ann()]);
    for (old, why) in [
        (issued(0, None), "issued before"),
        (identity("ann"), "does not say when"),
    ] {
        let refused = with_token(&house, old.clone(), history())
            .await
            .unwrap_err();
        assert_eq!(refused.code, Code::TokenInvalid, "{why}");
        let admitted = house.dispatcher.admit(&tenant(), &old, house.now());
        assert_eq!(admitted.unwrap_err().code, Code::TokenInvalid, "{why}");
    }
    with_token(&house, issued(101, None), history())
        .await
        .unwrap();
    house.on_http("bob", history()).await.unwrap();
}

#[tokio::test]
async fn one_token_is_revoked_by_its_id_and_the_users_others_are_not() {
    let house = House::new();
    let token = Against::Token("t-1".into());
    house
        .by_key(impose(token.clone(), Hold::Revoked, None))
        .await
        .unwrap();
    assert_eq!(*house.hub.closed.lock().unwrap(), [token]);
    let house = house.restart();
    let refused = with_token(&house, issued(500, Some("t-1")), history()).await;
    assert_eq!(refused.unwrap_err().code, Code::TokenInvalid);
    with_token(&house, issued(500, Some("t-2")), history())
        .await
        .unwrap();
    with_token(&house, issued(500, None), history())
        .await
        .unwrap();
}

#[tokio::test]
async fn only_the_backend_holds_anybody_back_and_not_in_the_past() {
    let house = House::new();
    let refused = house.on_http("ann", impose(ann(), Hold::Muted, None)).await;
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    let over = Some(house.now().wall);
    let refused = house.by_key(impose(ann(), Hold::Muted, over)).await;
    assert_eq!(refused.unwrap_err().code, Code::InvalidPayload);
}

#[tokio::test]
async fn who_is_held_back_is_so_in_either_form_of_the_id() {
    let named = |id: serde_json::Value| {
        let mut identity = issued(0, None);
        identity.person.id = UserId::from_json(&id).unwrap();
        identity
    };
    let forms = [serde_json::json!(7), serde_json::json!("7")];
    for against in forms.clone() {
        let house = House::new();
        let whose = Against::User(UserId::from_json(&against).unwrap());
        for hold in [Hold::Muted, Hold::Revoked] {
            let held = impose(whose.clone(), hold, None);
            house.by_key(held).await.unwrap();
            for id in &forms {
                let say = Command::SendMessage(message("1", "hello"));
                let refused = with_token(&house, named(id.clone()), say).await;
                let expected = match hold {
                    Hold::Muted => Code::Forbidden,
                    Hold::Revoked => Code::TokenInvalid,
                };
                assert_eq!(code(refused), expected, "{against} against {id}");
            }
        }
    }
}
