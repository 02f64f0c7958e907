//! Public keys and key sets: which tokens they prove, and what becomes of an issuer that is away or asked too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use relais_core::error::Code;
use relais_core::ids::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::{KeySet, Keys};
use crate::outgoing::Outgoing;

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const RSA: (&str, &str) = (
    include_str!("fixtures/rsa.pem"),
    include_str!("fixtures/rsa.public.pem"),
);
const P256: (&str, &str) = (
    include_str!("fixtures/p256.pem"),
    include_str!("fixtures/p256.public.pem"),
);
const ED25519: (&str, &str) = (
    include_str!("fixtures/ed25519.pem"),
    include_str!("fixtures/ed25519.public.pem"),
);

fn private(algorithm: Algorithm) -> EncodingKey {
    let key = match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256.0.as_bytes()),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED25519.0.as_bytes()),
        _ => EncodingKey::from_rsa_pem(RSA.0.as_bytes()),
    };
    key.expect("a private key")
}

fn token(algorithm: Algorithm, id: Option<&str>, claims: Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = id.map(str::to_owned);
    jsonwebtoken::encode(&header, &claims, &private(algorithm)).expect("signed")
}

async fn code(keys: &Keys, token: &str) -> Result<(), Code> {
    let proved = keys.prove(token, "bam", NOW).await;
    proved.map(|_| ()).map_err(|error| error.code)
}

#[tokio::test]
async fn each_public_key_proves_its_own_algorithms_and_nothing_else() {
    let cases = [
        (
            RSA.1,
            vec![Algorithm::RS256, Algorithm::RS512, Algorithm::PS256],
        ),
        (P256.1, vec![Algorithm::ES256]),
        (ED25519.1, vec![Algorithm::EdDSA]),
    ];
    let all = [
        Algorithm::RS256,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ];
    for (pem, right) in cases {
        let keys = Keys::default().and_public(pem).expect("a public key");
        for algorithm in all {
            let token = token(algorithm, None, json!({ "sub": "alice" }));
            let expected = match right.contains(&algorithm) {
                true => Ok(()),
                false => Err(Code::TokenInvalid),
            };
            assert_eq!(code(&keys, &token).await, expected, "{algorithm:?}");
        }
    }
    assert!(Keys::default().and_public("nonsense").is_none());
    assert!(
        Keys::default().and_public(RSA.0).is_none(),
        "a private key is no public key"
    );
}

#[tokio::test]
async fn a_public_key_is_never_taken_for_a_secret() {
    let keys = Keys::default().and_public(RSA.1).expect("a public key");
    let forged = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &json!({ "sub": "alice" }),
        &EncodingKey::from_secret(RSA.1.as_bytes()),
    );
    let forged = forged.expect("signed");
    assert_eq!(code(&keys, &forged).await, Err(Code::TokenInvalid));
}

#[tokio::test]
async fn issuer_and_audience_have_to_be_those_of_the_settings() {
    let keys = Keys::default().and_public(P256.1).expect("a public key");
    let keys = keys.only(Some("https://id.example.org".into()), Some("relais".into()));
    let check = |claims| code_of(&keys, claims);
    assert_eq!(
        check(json!({ "iss": "https://id.example.org", "aud": "relais" })).await,
        Ok(())
    );
    assert_eq!(
        check(json!({ "iss": "https://id.example.org", "aud": ["other", "relais"] })).await,
        Ok(())
    );
    for wrong in [
        json!({}),
        json!({ "iss": "https://id.example.org" }),
        json!({ "iss": "https://evil.example.org", "aud": "relais" }),
        json!({ "iss": "https://id.example.org", "aud": ["other"] }),
        json!({ "iss": 1, "aud": "relais" }),
    ] {
        assert_eq!(
            check(wrong.clone()).await,
            Err(Code::TokenInvalid),
            "{wrong}"
        );
    }
}

async fn code_of(keys: &Keys, mut claims: Value) -> Result<(), Code> {
    claims["sub"] = "alice".into();
    code(keys, &token(Algorithm::ES256, None, claims)).await
}

/// An issuer that serves what is in `set`; how often it was asked.
async fn issuer(set: Arc<std::sync::Mutex<String>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            counter.fetch_add(1, Ordering::SeqCst);
            let body = set.lock().expect("a set").clone();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (format!("http://127.0.0.1:{port}/jwks.json"), asked)
}

fn set_of(keys: &[(Algorithm, &str)]) -> String {
    let of = |(algorithm, id): &(Algorithm, &str)| {
        let jwk = Jwk::from_encoding_key(&private(*algorithm), *algorithm).expect("a JWK");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = (*id).into();
        jwk
    };
    json!({ "keys": keys.iter().map(of).collect::<Vec<_>>() }).to_string()
}

fn keys_at(address: &str) -> Keys {
    let outgoing = Outgoing::new(&["127.0.0.1".to_owned()]).expect("a client");
    Keys::default().and_set(Arc::new(KeySet::new(address, outgoing, Handle::current())))
}

#[tokio::test]
async fn a_key_set_is_fetched_once_and_again_when_a_key_is_not_in_it() {
    let set = Arc::new(std::sync::Mutex::new(set_of(&[
        (Algorithm::RS256, "one"),
        (Algorithm::ES256, "two"),
    ])));
    let (address, asked) = issuer(set.clone()).await;
    let keys = keys_at(&address);
    let claims = json!({ "sub": "alice" });
    for (algorithm, id) in [
        (Algorithm::RS256, Some("one")),
        (Algorithm::ES256, Some("two")),
        (Algorithm::ES256, None),
    ] {
        assert_eq!(
            code(&keys, &token(algorithm, id, claims.clone())).await,
            Ok(()),
            "{id:?}"
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // A key that exists under another id proves nothing under this one, and whoever invents ids does not make us ask each time.
    for _ in 0..20 {
        let invented = token(Algorithm::ES256, Some("three"), claims.clone());
        assert_eq!(code(&keys, &invented).await, Err(Code::TokenInvalid));
    }
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "asked again within seconds"
    );
}

#[tokio::test]
async fn secrets_and_keys_for_encryption_in_a_set_prove_nothing() {
    let secret = URL_SAFE_NO_PAD.encode("a-test-secret-of-more-than-thirty-two-bytes");
    let mut set: Value = serde_json::from_str(&set_of(&[(Algorithm::ES256, "enc")])).expect("JSON");
    set["keys"][0]["use"] = "enc".into();
    set["keys"].as_array_mut().expect("keys").extend([
        json!({ "kty": "oct", "k": secret, "kid": "oct", "alg": "HS256" }),
        json!({ "kty": "unheard-of", "kid": "odd" }),
    ]);
    let (address, _) = issuer(Arc::new(std::sync::Mutex::new(set.to_string()))).await;
    let keys = keys_at(&address);
    let encrypts = token(Algorithm::ES256, Some("enc"), json!({ "sub": "alice" }));
    assert_eq!(code(&keys, &encrypts).await, Err(Code::TokenInvalid));
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("oct".into());
    let key = EncodingKey::from_secret(b"a-test-secret-of-more-than-thirty-two-bytes");
    let forged = jsonwebtoken::encode(&header, &json!({ "sub": "alice" }), &key).expect("signed");
    assert_eq!(code(&keys, &forged).await, Err(Code::TokenInvalid));
}

#[tokio::test]
async fn an_issuer_that_is_away_is_a_passing_failure_and_not_the_tokens_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    let token = token(Algorithm::ES256, Some("two"), json!({ "sub": "alice" }));
    assert_eq!(
        code(&keys_at(&address), &token).await,
        Err(Code::Unavailable)
    );
    let (address, _) = issuer(Arc::new(std::sync::Mutex::new("<html>".into()))).await;
    assert_eq!(
        code(&keys_at(&address), &token).await,
        Err(Code::Unavailable)
    );
}
