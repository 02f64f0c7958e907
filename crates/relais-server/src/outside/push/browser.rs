//! One push to one browser: encrypted for it alone (RFC 8291), signed for its push service (VAPID), sent (RFC 8030).
//!
//! Comes in: a subscription, and what to show. Goes out: what the push service made of it. Where a browser takes pushes is anybody's choice,
//! so such an address is https, and nothing inside the operator's own network is reached by it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use relais_core::outside::Subscription;
use sha2::{Digest as _, Sha256};
use web_push_native::{Auth, encrypt, p256::PublicKey};

use super::Vapid;
use crate::clock::Clock;
use crate::outgoing::{Answer, Ask, Outgoing, OutgoingError};

/// How long push services keep a push for a browser that is not there.
pub const TTL_SECONDS: u32 = 86_400;
/// What push services take at least is 4,096 bytes; so much of it is left for what is said.
pub const PAYLOAD_BYTES_MAX: usize = 3_900;
/// Until a push service has taken it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 16 * 1_024;
/// Longest wait that a push service may ask for.
const WAIT_SECONDS_MAX: u64 = 3_600;

/// What is pushed.
pub struct Push<'a> {
    /// The payload, JSON.
    pub payload: String,
    /// What it is about: a newer one takes the place of one that was not delivered yet.
    pub tag: &'a str,
    /// Whether it concerns this one user alone, and wakes a telephone that saves power.
    pub is_urgent: bool,
}

/// What the push service made of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It has it.
    Yes,
    /// There is no such browser any more, or the address is none.
    Gone,
    /// It may work later, after so long if it said so.
    Later(String, Option<Duration>),
    /// It will never work.
    Never(String),
}

/// Pushes to browsers.
pub struct Browsers {
    vapid: Vapid,
    outgoing: Outgoing,
    clock: Clock,
}

impl Browsers {
    /// With this key.
    pub fn new(vapid: Vapid, outgoing: Outgoing, clock: Clock) -> Self {
        Self {
            vapid,
            outgoing,
            clock,
        }
    }

    /// The public key that browsers subscribe with.
    pub fn public_key(&self) -> &str {
        self.vapid.public()
    }

    /// Whether somebody may take pushes at an address, and with such a key.
    pub fn check(&self, endpoint: &str, p256dh: &str) -> Result<(), &'static str> {
        self.outgoing
            .check_foreign(endpoint)
            .map_err(|error| match error {
                OutgoingError::Private => "\"endpoint\" leads into a private network",
                _ => "\"endpoint\" is no https address",
            })?;
        match public_key(p256dh) {
            Some(_) => Ok(()),
            None => Err("\"keys.p256dh\" is no public key of P-256"),
        }
    }

    /// Sends.
    pub async fn send(&self, to: &Subscription, push: Push<'_>) -> Taken {
        let Ok(url) = self.outgoing.check_foreign(&to.endpoint) else {
            return Taken::Gone;
        };
        let (key, auth) = (public_key(&to.p256dh), secret(&to.auth));
        let (Some(key), Some(auth)) = (key, auth) else {
            return Taken::Gone;
        };
        let body = match encrypt(push.payload.into_bytes(), &key, &auth) {
            Ok(body) => body,
            Err(error) => return Taken::Never(format!("unable to encrypt; {error}")),
        };
        let now = self.clock.now().wall.0 / 1_000;
        let origin = url.origin().ascii_serialization();
        let authorization = self.vapid.authorization(&origin, now);
        let ask = Ask {
            method: Method::POST,
            url: &to.endpoint,
            headers: headers(&authorization, push.tag, push.is_urgent),
            body: body.into(),
            timeout: TIMEOUT,
            bytes_max: ANSWER_BYTES_MAX,
        };
        judged(self.outgoing.ask(ask).await)
    }
}

fn headers(authorization: &str, tag: &str, is_urgent: bool) -> HeaderMap {
    let urgency = if is_urgent { "high" } else { "normal" };
    let (ttl, topic) = (TTL_SECONDS.to_string(), topic(tag));
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::AUTHORIZATION.as_str(), authorization),
        (header::CONTENT_TYPE.as_str(), "application/octet-stream"),
        (header::CONTENT_ENCODING.as_str(), "aes128gcm"),
        ("ttl", &ttl),
        ("topic", &topic),
        ("urgency", urgency),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// A tag as a push service may see it: 32 characters that say nothing.
pub fn topic(tag: &str) -> String {
    let mut topic = URL_SAFE_NO_PAD.encode(Sha256::digest(tag));
    topic.truncate(32);
    topic
}

fn judged(answered: Result<Answer, OutgoingError>) -> Taken {
    let answer = match answered {
        Ok(answer) => answer,
        // A name that leads inwards is no push service.
        Err(OutgoingError::Private | OutgoingError::Address) => return Taken::Gone,
        Err(error @ (OutgoingError::Unreachable(_) | OutgoingError::TooLarge { .. })) => {
            return Taken::Later(error.to_string(), None);
        }
    };
    let said = format!("answered {}", answer.status.as_u16());
    match answer.status.as_u16() {
        200..=299 => Taken::Yes,
        404 | 410 => Taken::Gone,
        408 | 429 | 500..=599 => Taken::Later(said, wait(&answer.headers)),
        _ => Taken::Never(said),
    }
}

/// `Retry-After` in seconds; a date is as good as nothing.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX)))
}

fn public_key(p256dh: &str) -> Option<PublicKey> {
    let bytes = URL_SAFE_NO_PAD.decode(p256dh).ok()?;
    PublicKey::from_sec1_bytes(&bytes).ok()
}

fn secret(auth: &str) -> Option<Auth> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(auth).ok()?.try_into().ok()?;
    Some(Auth::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use web_push_native::decrypt;
    use web_push_native::p256::SecretKey;

    /// The browser of the example in RFC 8291, appendix A.
    const PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const MESSAGE: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

    fn private() -> SecretKey {
        let bytes = URL_SAFE_NO_PAD.decode(PRIVATE).expect("base64url");
        SecretKey::from_slice(&bytes).expect("a key")
    }

    #[test]
    fn the_example_of_the_standard_is_read() {
        let auth = secret(AUTH).expect("a secret");
        let message = URL_SAFE_NO_PAD.decode(MESSAGE).expect("base64url");
        let read = decrypt(message, &private(), &auth).expect("decrypted");
        assert_eq!(read, b"When I grow up, I want to be a watermelon");
    }

    #[test]
    fn what_is_encrypted_for_a_browser_is_read_by_it_and_fits() {
        let (key, auth) = (public_key(P256DH), secret(AUTH));
        let (key, auth) = (key.expect("a key"), auth.expect("a secret"));
        let said = "x".repeat(PAYLOAD_BYTES_MAX);
        let sent = encrypt(said.clone().into_bytes(), &key, &auth).expect("encrypted");
        assert!(sent.len() <= 4_096, "{}", sent.len());
        let read = decrypt(sent, &private(), &auth).expect("decrypted");
        assert_eq!(read, said.as_bytes());
    }

    #[test]
    fn what_a_push_service_says_is_understood() {
        let answer = |status: u16, retry_after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            }
            judged(Ok(Answer {
                status: StatusCode::from_u16(status).expect("a status"),
                headers,
                body: Default::default(),
            }))
        };
        let later = |status: u16, wait: Option<u64>| {
            let wait = wait.map(Duration::from_secs);
            Taken::Later(format!("answered {status}"), wait)
        };
        assert_eq!(answer(201, None), Taken::Yes);
        assert_eq!(answer(404, None), Taken::Gone);
        assert_eq!(answer(410, None), Taken::Gone);
        assert_eq!(answer(429, Some("7")), later(429, Some(7)));
        assert_eq!(answer(503, Some("999999")), later(503, Some(3_600)));
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(answer(503, date), later(503, None));
        assert_eq!(answer(302, None), Taken::Never("answered 302".to_owned()));
        assert_eq!(answer(400, None), Taken::Never("answered 400".to_owned()));
        assert_eq!(judged(Err(OutgoingError::Private)), Taken::Gone);
    }

    #[test]
    fn a_topic_is_short_and_says_nothing() {
        let topic = topic("bam-42");
        assert_eq!(topic.len(), 32);
        assert!(
            topic
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
    }
}
