//! Where the team's own backend is, and how requests to it are signed: Standard Webhooks, version 1 (symmetric).
//!
//! Comes in: address and secret as they were set. Goes out: the headers of one request. The signature is over `id.timestamp.body`, so a
//! receiver that compares the time cannot be shown an old request as a new one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::Sha256;

/// Why a backend cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// One of the two is missing.
    #[error("`webhook_url` and `webhook_secret` come together")]
    Half,
    /// The secret is none.
    #[error("`webhook_secret` has to be `whsec_` and 24 to 64 bytes in base64")]
    Secret,
}

/// A backend.
pub struct Address {
    /// Where.
    pub url: String,
    key: Vec<u8>,
}

impl Address {
    /// Reads what was set; `None` where nothing was.
    pub fn read(url: Option<&str>, secret: Option<&str>) -> Result<Option<Self>, AddressError> {
        let (url, secret) = match (url, secret) {
            (None, None) => return Ok(None),
            (Some(url), Some(secret)) => (url, secret),
            _ => return Err(AddressError::Half),
        };
        let key = secret
            .strip_prefix("whsec_")
            .and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| (24..=64).contains(&key.len()));
        Ok(Some(Self {
            url: url.to_owned(),
            key: key.ok_or(AddressError::Secret)?,
        }))
    }

    /// The headers of a request. `seconds` is when it is sent.
    pub fn headers(&self, id: &str, seconds: i64, body: &[u8]) -> HeaderMap {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let ours = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature),
        ];
        for (name, value) in ours {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with `openssl dgst -sha256 -mac HMAC`, independently of this program.
    #[test]
    fn a_request_is_signed_over_its_id_its_time_and_its_body() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let address = Address::read(Some("https://example.org/"), Some(secret));
        let address = address.ok().flatten().expect("an address");
        let headers = address.headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            headers["webhook-signature"],
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
    }

    #[test]
    fn address_and_secret_come_together_and_the_secret_is_one() {
        let read = |url, secret| Address::read(url, secret).map(|address| address.is_some());
        assert!(matches!(read(None, None), Ok(false)));
        assert!(matches!(
            read(Some("https://a.example/"), None),
            Err(AddressError::Half)
        ));
        for wrong in ["secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!"] {
            let read = read(Some("https://a.example/"), Some(wrong));
            assert!(matches!(read, Err(AddressError::Secret)), "{wrong}");
        }
    }
}
