//! The body of a request to an app's route: JSON, bounded in bytes, in depth and in time.
//!
//! Comes in: a body as it arrives. Goes out: its value, nothing for an empty one, or the error that the client gets. Knows no route.

use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use relais_core::error::{Code, Error};
use relais_engine::discard_body;
use relais_protocol::json::{Json, JsonError};
use serde_json::Value;

use crate::settings::Limits;

/// Of a body that is refused for its size, so much is read and forgotten, for its sender to get to see the refusal.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    bytes_max: usize,
    depth_max: u8,
    timeout: Duration,
}

impl BodyLimits {
    /// Those of the settings.
    pub fn of(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.body_bytes_max,
            depth_max: limits.json_depth_max,
            timeout: limits.body_timeout,
        }
    }
}

/// Reads all of it.
pub async fn read_json(mut body: Body, limits: &BodyLimits) -> Result<Option<Value>, Error> {
    let bytes_max = limits.bytes_max;
    // What declares itself too large is refused before it is sent.
    if body.size_hint().lower() > bytes_max as u64 {
        discard_body(Pin::new(&mut body), DISCARDED_BYTES_MAX).await;
        return Err(too_large(bytes_max));
    }
    let read = Limited::new(&mut body, bytes_max).collect();
    let bytes = match tokio::time::timeout(limits.timeout, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard_body(Pin::new(&mut body), DISCARDED_BYTES_MAX).await;
            return Err(too_large(bytes_max));
        }
        Ok(Err(_)) => return Err(invalid("the body ended too early".to_owned())),
        Err(_) => {
            return Err(invalid(format!(
                "the body took longer than {} ms",
                limits.timeout.as_millis()
            )));
        }
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let not_json = || invalid("the body is not JSON".to_owned());
    let text = std::str::from_utf8(&bytes).map_err(|_| not_json())?;
    let json = Json::check(text, limits.depth_max).map_err(|error| match error {
        JsonError::TooDeep { depth_max } => {
            invalid(format!("the body is nested deeper than {depth_max}"))
        }
        JsonError::Unexpected { .. } | JsonError::Incomplete => not_json(),
    })?;
    json.parse().map(Some).map_err(|_| not_json())
}

fn too_large(bytes_max: usize) -> Error {
    Error::new(
        Code::TooLarge,
        format!("unable to read; a body has at most {bytes_max} bytes"),
    )
}

fn invalid(why: String) -> Error {
    Error::new(Code::InvalidPayload, format!("unable to read; {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};
    use std::convert::Infallible;

    const LIMITS: BodyLimits = BodyLimits {
        bytes_max: 256 * 1024,
        depth_max: 64,
        timeout: Duration::from_secs(30),
    };

    async fn refusal(body: Body) -> Error {
        read_json(body, &LIMITS).await.expect_err("refused")
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let error = refusal(Body::from_stream(first.chain(stream::pending()))).await;
        assert_eq!(error.code, Code::InvalidPayload);
        assert_eq!(
            error.message,
            "unable to read; the body took longer than 30000 ms"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_declares_too_much_is_refused_before_it_is_sent() {
        struct Declared;
        impl hyper::body::Body for Declared {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>>
            {
                std::task::Poll::Pending
            }
            fn size_hint(&self) -> hyper::body::SizeHint {
                hyper::body::SizeHint::with_exact(99_999_999_999)
            }
        }
        assert_eq!(refusal(Body::new(Declared)).await.code, Code::TooLarge);
    }

    #[tokio::test]
    async fn json_is_as_deep_as_on_a_socket_and_no_deeper() {
        let nested = |depth: usize| Body::from("[".repeat(depth) + &"]".repeat(depth));
        assert!(
            read_json(nested(64), &LIMITS)
                .await
                .expect("deep enough")
                .is_some()
        );
        assert_eq!(
            refusal(nested(65)).await.message,
            "unable to read; the body is nested deeper than 64"
        );
    }

    #[tokio::test]
    async fn what_is_too_large_broken_or_no_text_is_refused_and_nothing_is_nothing() {
        assert_eq!(
            refusal(Body::from(vec![b' '; LIMITS.bytes_max + 1]))
                .await
                .code,
            Code::TooLarge
        );
        for broken in [&b"x"[..], b"{", b"{}{}", b"\"\xff\""] {
            assert_eq!(
                refusal(Body::from(broken)).await.message,
                "unable to read; the body is not JSON"
            );
        }
        assert_eq!(read_json(Body::empty(), &LIMITS).await, Ok(None));
    }
}
