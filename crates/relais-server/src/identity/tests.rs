//! Tokens and pids: what is proved, what is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use relais_core::ids::Timestamp;
use serde_json::{Map, json};

use super::*;

const SECRET: &str = "a-test-secret-of-more-than-thirty-two-bytes";
const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn token(claims: Value) -> String {
    let Value::Object(claims) = claims else {
        panic!("claims are an object")
    };
    jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &claims,
        &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("signed")
}

/// What is proved without waiting.
fn proved(keys: &Keys, token: &str) -> Result<Map<String, Value>, Error> {
    keys.prove(token, "bam", NOW)
        .now_or_never()
        .expect("no key set, no wait")
}

fn prove(token: &str) -> Result<Map<String, Value>, Code> {
    proved(&Keys::default().and_secret(SECRET), token).map_err(|error| error.code)
}

#[test]
fn a_good_token_gives_its_claims() {
    assert_eq!(
        prove(&token(json!({"sub": "alice", "exp": 1_790_000_060}))).expect("proved")["sub"],
        "alice"
    );
}

#[test]
fn a_token_is_good_for_five_more_seconds_and_no_longer() {
    assert!(prove(&token(json!({"sub": "a", "exp": 1_789_999_996}))).is_ok());
    assert_eq!(
        prove(&token(json!({"sub": "a", "exp": 1_789_999_995}))),
        Err(Code::TokenExpired)
    );
    assert_eq!(
        prove(&token(json!({"sub": "a", "nbf": 1_790_000_006}))),
        Err(Code::TokenInvalid)
    );
}

#[test]
fn times_as_text_are_refused() {
    for name in ["exp", "nbf", "iat"] {
        assert_eq!(
            prove(&token(json!({"sub": "a", name: "1890000000"}))),
            Err(Code::TokenInvalid),
            "{name}"
        );
    }
}

#[test]
fn an_unsigned_token_and_other_algorithms_are_refused() {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let body = part(json!({"sub": "alice"}));
    for alg in ["none", "None", "RS256", "ES256"] {
        let unsigned = format!("{}.{body}.", part(json!({"alg": alg, "typ": "JWT"})));
        assert_eq!(prove(&unsigned), Err(Code::TokenInvalid), "{alg}");
        assert_eq!(
            prove(&format!("{unsigned}AAAA")),
            Err(Code::TokenInvalid),
            "{alg}"
        );
    }
}

#[test]
fn a_changed_token_another_secret_and_rubbish_are_refused() {
    let good = token(json!({"sub": "alice"}));
    assert_eq!(
        proved(
            &Keys::default().and_secret("another-secret-of-thirty-two-bytes!!"),
            &good
        )
        .err()
        .map(|e| e.code),
        Some(Code::TokenInvalid)
    );
    for bad in [
        "",
        ".",
        "a.b.c",
        &good[..good.len() - 2],
        &"x".repeat(20_000),
    ] {
        assert_eq!(prove(bad), Err(Code::TokenInvalid));
    }
}

#[test]
fn a_token_for_another_app_is_refused() {
    assert!(prove(&token(json!({"sub": "a", "app": "bam"}))).is_ok());
    assert_eq!(
        prove(&token(json!({"sub": "a", "app": "wedding"}))),
        Err(Code::TokenInvalid)
    );
    assert_eq!(
        prove(&token(json!({"sub": "a", "app": 1}))),
        Err(Code::TokenInvalid)
    );
}

#[test]
fn the_token_is_found_in_auth_then_header_then_query() {
    let auth = json!({"token": "from-auth"});
    assert_eq!(
        find_token(Some(&auth), Some("Bearer from-header"), Some("q")).expect("found"),
        "from-auth"
    );
    assert_eq!(
        find_token(
            Some(&json!({"token": null})),
            Some("bearer from-header"),
            Some("q")
        )
        .expect("found"),
        "from-header"
    );
    assert_eq!(
        find_token(Some(&json!({"token": "Bearer x"})), None, None).expect("found"),
        "x"
    );
    assert_eq!(
        find_token(None, Some("Basic abc"), Some("q")).expect("found"),
        "q"
    );
    assert_eq!(
        find_token(None, None, None).expect_err("missing").code,
        Code::TokenMissing
    );
}

#[test]
fn the_log_is_told_why_a_token_was_refused_and_nothing_of_the_token() {
    let why = |token: &str| {
        let keys = Keys::default().and_secret(SECRET);
        let proved = keys.proved(token, "bam", NOW).now_or_never();
        let refused = proved.expect("no wait").expect_err("refused");
        let (said, answer) = (refused.to_string(), refused.answer());
        assert!(!said.contains(token), "{said}");
        (said, answer.message)
    };
    let vague = "unable to identify; the token is not valid here";
    let good = token(json!({"sub": "a"}));
    let foreign = format!(
        "{}AAAA",
        good.rsplit_once('.').expect("a signature").0.to_owned() + "."
    );
    for (token, said) in [
        (
            "garbage".to_owned(),
            "it is no JWT with an algorithm that is known",
        ),
        (
            foreign,
            "no key of this app has signed it: another server's key, or another algorithm",
        ),
        (
            token(json!({"sub": "a", "app": "wedding"})),
            "it is for another app: its claim `app` is \"wedding\"",
        ),
    ] {
        assert_eq!(why(&token), (said.to_owned(), vague.to_owned()));
    }
    let expired = why(&token(json!({"sub": "a", "exp": 1_789_999_000})));
    assert_eq!(expired.0, "it has expired");
}
