//! Claims to people: which claim wins, in which form an id goes on, and which tokens are refused.

use relais_core::error::{Code, Error};
use relais_core::ids::{RoomKey, Timestamp};
use relais_core::vocabulary::{App, MEMBER_ROOMS_MAX};
use serde_json::{Value, json};

use super::app;
use super::mistakes::RIGHT;

fn prove(app: &App, claims: Value) -> Result<(String, relais_core::command::Identity), Error> {
    let (tenant, identity) = app.identity(claims.as_object().unwrap())?;
    Ok((tenant.to_string(), identity))
}

#[test]
fn the_first_claim_present_wins_and_an_id_keeps_its_json_form() {
    let bam = app("bam");
    let (_, identity) = prove(
        &bam,
        json!({ "userId": 7, "id": "x", "username": "al", "email": "a@b.c" }),
    )
    .unwrap();
    assert_eq!(identity.person.id.to_json(), json!(7));
    assert_eq!(&*identity.person.name, "al");
    let (_, identity) = prove(&bam, json!({ "sub": "u-1", "userId": 7 })).unwrap();
    assert_eq!(identity.person.id.to_json(), json!("u-1"));
    assert_eq!(&*identity.person.name, "u-1");
}

#[test]
fn a_role_that_the_app_does_not_list_is_an_ordinary_user() {
    let role = |role: &str| {
        let claims = json!({ "sub": "a", "role": role });
        prove(&app("bam"), claims).unwrap().1.person.role
    };
    assert_eq!(role("admin").as_deref(), Some("admin"));
    assert_eq!(role("superuser"), None);
}

#[test]
fn rooms_come_out_of_the_claim_as_text_once_each() {
    let rooms = |bams: Value| {
        let claims = json!({ "sub": "a", "bams": bams });
        prove(&app("bam"), claims).map(|(_, identity)| identity.claimed_rooms)
    };
    let bam = |id: &str| RoomKey::new("bam", id);
    assert_eq!(
        rooms(json!(["42", 42, 7, null, { "id": 1 }])),
        Ok(vec![bam("42"), bam("7")])
    );
    assert_eq!(rooms(json!(42)), Ok(vec![bam("42")]));
    let many: Vec<u32> = (0..1_025).collect();
    assert_eq!(rooms(json!(many)).unwrap_err().code, Code::TokenInvalid);
}

#[test]
fn a_token_without_a_usable_user_is_refused() {
    let refused = |claims: Value| prove(&app("bam"), claims).unwrap_err();
    let text = r#"unable to accept token; it names no user in "sub", "userId", "id""#;
    let expected = Error::new(Code::TokenInvalid, text);
    assert_eq!(refused(json!({})), expected);
    assert_eq!(refused(json!({ "sub": "" })), expected);
    assert_eq!(refused(json!({ "sub": { "id": 1 } })), expected);
    assert_eq!(refused(json!({ "sub": "a\u{0}b" })), expected);
    assert_eq!(refused(json!({ "sub": "x".repeat(256) })), expected);
}

#[test]
fn an_app_with_tenants_refuses_a_token_without_one() {
    let wedding = app("wedding");
    let text = r#"unable to accept token; it needs the claim "weddingId""#;
    let expected = Error::new(Code::TenantRequired, text);
    assert_eq!(prove(&wedding, json!({ "sub": 1 })).unwrap_err(), expected);
    let (tenant, identity) = prove(&wedding, json!({ "sub": 1, "weddingId": 12 })).unwrap();
    assert_eq!(tenant, "12");
    let rooms = wedding.automatic_rooms(&tenant, &identity, &[]);
    assert_eq!(rooms, [RoomKey::new("wedding", "12")]);
    assert_eq!(wedding.rooms.wire_name(&rooms[0]), "wedding:12");
}

#[test]
fn a_token_that_names_no_tenant_of_bam_is_of_the_default_one() {
    assert_eq!(
        prove(&app("bam"), json!({ "sub": 1 })).unwrap().0,
        "default"
    );
}

#[test]
fn the_end_of_a_token_is_kept_in_milliseconds() {
    let claims = json!({ "sub": 1, "exp": 1_700_000_000 });
    let (_, identity) = prove(&app("bam"), claims).unwrap();
    assert_eq!(identity.expires_at, Some(Timestamp(1_700_000_000_000)));
}

#[test]
fn followers_join_what_they_follow_at_once() {
    let stories = app("stories");
    let (tenant, identity) = prove(&stories, json!({ "id": 3 })).unwrap();
    let follows = [RoomKey::new("author", "1"), RoomKey::new("story", "9")];
    assert_eq!(
        stories.automatic_rooms(&tenant, &identity, &follows),
        follows
    );
}

#[test]
fn who_is_a_member_of_very_many_rooms_joins_the_latest_at_once() {
    let stories = app("stories");
    let (tenant, identity) = prove(&stories, json!({ "id": 3 })).unwrap();
    let follows: Vec<_> = (0..5_000)
        .map(|id| RoomKey::new("author", format!("{id:04}")))
        .collect();
    let joined = stories.automatic_rooms(&tenant, &identity, &follows);
    assert_eq!(joined, follows[5_000 - MEMBER_ROOMS_MAX..]);
}

#[test]
fn a_backend_names_a_tenant_only_where_the_app_has_several_and_only_a_clean_one() {
    let named = |name: &str, tenant| app(name).identity.named_tenant(tenant);
    let alone = App::parse("demo.toml", RIGHT).unwrap();
    let only = alone.identity.named_tenant(Some("another"));
    assert_eq!(only.as_deref(), Some("default"));
    assert_eq!(named("bam", None).as_deref(), Some("default"));
    assert_eq!(named("bam", Some("north")).as_deref(), Some("north"));
    assert_eq!(named("wedding", Some("w-1")).as_deref(), Some("w-1"));
    let long = "x".repeat(256);
    for none in [None, Some(""), Some(&*long), Some("a\u{0}b")] {
        assert_eq!(named("wedding", none), None);
    }
}
