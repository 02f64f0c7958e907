//! Who we are to push services: VAPID (RFC 8292), one key pair for the whole server.
//!
//! Comes in: the private key as it was set, 32 bytes in base64 or base64url as every tool prints them. Goes out: the public key that browsers
//! subscribe with, and the `Authorization` of one request.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;

/// How long an authorisation counts. Push services refuse more than a day.
const TTL_SECONDS: i64 = 12 * 3_600;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum VapidError {
    /// One of the two is missing.
    #[error("`vapid_private_key` and `vapid_subject` come together")]
    Half,
    /// The key is none.
    #[error("`vapid_private_key` has to be a private key of P-256: 32 bytes in base64url")]
    Key,
    /// Nobody can be reached by it.
    #[error(
        "`vapid_subject` has to be an address under which push services reach you: `mailto:…` or `https://…`"
    )]
    Subject,
}

/// The key pair, and whom push services may write to.
pub struct Vapid {
    key: SigningKey,
    public: String,
    subject: String,
}

impl Vapid {
    /// Reads what was set; `None` where nothing was.
    pub fn read(key: Option<&str>, subject: Option<&str>) -> Result<Option<Self>, VapidError> {
        let (key, subject) = match (key, subject) {
            (None, None) => return Ok(None),
            (Some(key), Some(subject)) => (key, subject),
            _ => return Err(VapidError::Half),
        };
        if !(subject.starts_with("mailto:") || subject.starts_with("https://")) {
            return Err(VapidError::Subject);
        }
        let text = key.trim().trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.or_else(|_| STANDARD_NO_PAD.decode(text));
        let key = bytes
            .ok()
            .and_then(|bytes| SigningKey::from_slice(&bytes).ok());
        let key = key.ok_or(VapidError::Key)?;
        let point = key.verifying_key().to_encoded_point(false);
        Ok(Some(Self {
            public: URL_SAFE_NO_PAD.encode(point.as_bytes()),
            key,
            subject: subject.to_owned(),
        }))
    }

    /// The public key, base64url: what browsers know as `applicationServerKey`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The `Authorization` of a request to a push service, `audience` being its origin.
    pub fn authorization(&self, audience: &str, now_seconds: i64) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({ "typ": "JWT", "alg": "ES256" }));
        let expires = now_seconds + TTL_SECONDS;
        let claims = part(json!({ "aud": audience, "exp": expires, "sub": self.subject }));
        let signed = format!("{header}.{claims}");
        let signature: Signature = self.key.sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        format!("vapid t={signed}.{signature}, k={}", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier as _;

    /// The key pair of the example in RFC 8291, appendix A.
    const PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const PUBLIC: &str =
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

    fn vapid() -> Vapid {
        let read = Vapid::read(Some(PRIVATE), Some("mailto:ops@example.org"));
        read.ok().flatten().expect("a key")
    }

    #[test]
    fn the_public_key_follows_from_the_private_one_in_either_alphabet() {
        assert_eq!(vapid().public(), PUBLIC);
        let standard = PRIVATE.replace('-', "+").replace('_', "/") + "=";
        let read = Vapid::read(Some(&standard), Some("https://example.org"));
        assert_eq!(
            read.ok().flatten().map(|vapid| vapid.public),
            Some(PUBLIC.to_owned())
        );
    }

    #[test]
    fn an_authorisation_is_a_token_for_one_push_service_signed_by_that_key() {
        let authorization = vapid().authorization("https://push.example", 1_000);
        let rest = authorization.strip_prefix("vapid t=").expect("a token");
        let (token, key) = rest.split_once(", k=").expect("a key");
        assert_eq!(key, PUBLIC);
        let (signed, signature) = token.rsplit_once('.').expect("a signature");
        let point = URL_SAFE_NO_PAD.decode(key).expect("base64url");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let signature = Signature::from_slice(&signature).expect("a signature");
        let key = VerifyingKey::from_sec1_bytes(&point).expect("a point");
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
        let claims = signed.split_once('.').expect("claims").1;
        let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
        let expected = json!({ "aud": "https://push.example", "exp": 44_200, "sub": "mailto:ops@example.org" });
        assert_eq!(claims, expected);
    }

    #[test]
    fn key_and_subject_come_together_and_are_what_they_have_to_be() {
        let read = |key, subject| Vapid::read(key, subject).map(|vapid| vapid.is_some());
        assert!(matches!(read(None, None), Ok(false)));
        assert!(matches!(read(Some(PRIVATE), None), Err(VapidError::Half)));
        let wrong = read(Some(PRIVATE), Some("ops@example.org"));
        assert!(matches!(wrong, Err(VapidError::Subject)));
        for key in ["", "abc", &"A".repeat(43)] {
            let read = read(Some(key), Some("mailto:a@example.org"));
            assert!(matches!(read, Err(VapidError::Key)), "{key}");
        }
    }
}
