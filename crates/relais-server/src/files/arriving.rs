//! The body of an upload as it arrives: each part in time, and all of it at no less than a rate, so that nobody keeps a slot by sending slowly.
//!
//! Comes in: a body. Goes out: its bytes, or why no more come. Only the time counts for which we wait for the client.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use http_body_util::BodyExt as _;
use relais_engine::discard_body;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Bytes a second that a body has to come with, once its first [`Arriving::new`]`::timeout` is over.
pub const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// Of a form that is refused, so much is read and forgotten, for its sender to get to see the refusal.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why no more of a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing came for too long.
    #[error("the body stopped coming")]
    Stopped,
    /// It comes, and would never end.
    #[error("the body came too slowly")]
    Slow,
    /// The connection did.
    #[error("the body broke off")]
    Broken,
}

/// A body, shared by the form that is read out of it and by whoever clears the rest away.
#[derive(Clone)]
pub struct Arriving(Arc<Mutex<State>>);

struct State {
    body: Body,
    /// Until the next bytes have come, and what the whole body may be late.
    timeout: Duration,
    waited: Duration,
    bytes: u64,
    failed: bool,
}

impl Arriving {
    /// A body of which nothing was read.
    pub fn new(body: Body, timeout: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            body,
            timeout,
            waited: Duration::ZERO,
            bytes: 0,
            failed: false,
        })))
    }

    /// Its bytes, as they come.
    pub fn stream(&self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
        let parts = stream::try_unfold(self.0.clone(), async |state| {
            let next = state.lock().await.next().await?;
            Ok(next.map(|bytes| (bytes, state)))
        });
        parts.into_stream()
    }

    /// Reads what its sender still sends at once, unless it is the body that failed: whoever is still sending reads no answer.
    pub async fn discard(self) {
        let mut state = self.0.lock().await;
        if !state.failed {
            discard_body(Pin::new(&mut state.body), DISCARDED_BYTES_MAX).await;
        }
    }
}

impl State {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let earned = Duration::from_millis(self.bytes * 1_000 / BYTES_PER_SECOND_MIN);
        let left = (self.timeout + earned).saturating_sub(self.waited);
        let began = Instant::now();
        let frame = timeout(left.min(self.timeout), self.body.frame()).await;
        self.waited += began.elapsed();
        let error = match frame {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                let bytes = frame.into_data().unwrap_or_default();
                self.bytes += bytes.len() as u64;
                return Ok(Some(bytes));
            }
            Ok(Some(Err(_))) => BodyError::Broken,
            Err(_) if left < self.timeout => BodyError::Slow,
            Err(_) => BodyError::Stopped,
        };
        self.failed = true;
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt as _;

    use super::*;

    /// A body that goes on for ever: so many bytes after each pause.
    fn endless(bytes: usize, pause: Duration) -> Body {
        Body::from_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, Infallible>(Bytes::from(vec![0; bytes])), ()))
        }))
    }

    const TIMEOUT: Duration = Duration::from_secs(30);

    async fn end_of(body: Body, take: usize) -> (u64, Option<BodyError>) {
        let arriving = Arriving::new(body, TIMEOUT);
        let (mut bytes, mut parts) = (0, Box::pin(arriving.stream()).take(take));
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) => bytes += part.len() as u64,
                Err(error) => return (bytes, Some(error)),
            }
        }
        (bytes, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_ends_soon_though_something_always_comes() {
        let (bytes, error) = end_of(endless(1, Duration::from_secs(1)), usize::MAX).await;
        assert_eq!(error, Some(BodyError::Slow));
        assert!(bytes <= 30, "{bytes}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_too_however_fast_it_was_before() {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![0; 10 << 20]))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let (bytes, error) = end_of(body, usize::MAX).await;
        assert_eq!((bytes, error), (10 << 20, Some(BodyError::Stopped)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_that_keeps_the_rate_may_take_long() {
        let second = Duration::from_secs(1);
        let body = endless(BYTES_PER_SECOND_MIN as usize, second);
        let (bytes, error) = end_of(body, 1_280).await;
        assert_eq!((bytes, error), (20 << 20, None));
    }
}
