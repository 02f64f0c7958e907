//! The body of a request to an app's route: JSON, bounded in bytes, in depth and in time.
//!
//! Comes in: a body as it arrives. Goes out: its value, nothing for an empty one, or the error that the client gets. Knows no route.

use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use relais_core::error::{Code, Error};
use relais_protocol::json::{DEPTH_MAX_DEFAULT, Json, JsonError};
use serde_json::Value;

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a body may take to arrive; as long as headers may.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads all of it.
pub async fn read_json(body: Body) -> Result<Option<Value>, Error> {
    // What declares itself too large is refused before it is sent.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let bytes = match tokio::time::timeout(
        BODY_TIMEOUT,
        Limited::new(body, BODY_BYTES_MAX).collect(),
    )
    .await
    {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(invalid("the body ended too early".to_owned())),
        Err(_) => {
            return Err(invalid(format!(
                "the body took longer than {} s",
                BODY_TIMEOUT.as_secs()
            )));
        }
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let not_json = || invalid("the body is not JSON".to_owned());
    let text = std::str::from_utf8(&bytes).map_err(|_| not_json())?;
    let json = Json::check(text, DEPTH_MAX_DEFAULT).map_err(|error| match error {
        JsonError::TooDeep { depth_max } => {
            invalid(format!("the body is nested deeper than {depth_max}"))
        }
        JsonError::Unexpected { .. } | JsonError::Incomplete => not_json(),
    })?;
    json.parse().map(Some).map_err(|_| not_json())
}

fn too_large() -> Error {
    Error::new(
        Code::TooLarge,
        format!("unable to read; a body has at most {BODY_BYTES_MAX} bytes"),
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

    async fn refusal(body: Body) -> Error {
        read_json(body).await.expect_err("refused")
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up_after_ten_seconds() {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let error = refusal(Body::from_stream(first.chain(stream::pending()))).await;
        assert_eq!(error.code, Code::InvalidPayload);
        assert_eq!(
            error.message,
            "unable to read; the body took longer than 10 s"
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
        assert!(read_json(nested(64)).await.expect("deep enough").is_some());
        assert_eq!(
            refusal(nested(65)).await.message,
            "unable to read; the body is nested deeper than 64"
        );
    }

    #[tokio::test]
    async fn what_is_too_large_broken_or_no_text_is_refused_and_nothing_is_nothing() {
        assert_eq!(
            refusal(Body::from(vec![b' '; BODY_BYTES_MAX + 1]))
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
        assert_eq!(read_json(Body::empty()).await, Ok(None));
    }
}
