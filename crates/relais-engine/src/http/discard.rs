//! The rest of a body that is refused for its size.
//!
//! A socket that is closed with bytes unread is reset, and a reset takes the answer with it that the peer has not read yet. So what a
//! peer sends while it is being refused is read and forgotten, for a moment and up to a limit; whoever goes on beyond is reset.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

/// How long all of it may take.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How long nothing may come before the answer is given.
const SILENCE_MAX: Duration = Duration::from_millis(100);

/// Reads and forgets what still comes of a body: at most `bytes_max`, for at most a second, and no longer than it keeps coming.
pub async fn discard_body<B>(mut body: Pin<&mut B>, bytes_max: usize)
where
    B: Body<Data = Bytes>,
{
    let end = Instant::now() + WAIT_MAX;
    let mut left = bytes_max;
    loop {
        let next = end.min(Instant::now() + SILENCE_MAX);
        match timeout_at(next, body.as_mut().frame()).await {
            Ok(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                match left.checked_sub(bytes) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}
