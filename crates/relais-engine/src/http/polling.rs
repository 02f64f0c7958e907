//! Polling requests on their way to a shard and back.

use std::net::SocketAddr;
use std::pin::Pin;

use http::{Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use relais_protocol::engineio::HandshakeError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::RequestBody;
use super::discard::discard_body;
use super::response::{self, ResponseBody};
use crate::command::{Command, HttpCommand, PollAnswer, PollNumber, PostAnswer, PostBody};
use crate::endpoint::Endpoint;
use crate::handle::EngineHandle;
use crate::sid::ConnectionId;

pub(super) async fn open(
    engine: &EngineHandle,
    request: &Request<()>,
    endpoint: Endpoint,
    peer: SocketAddr,
) -> Response<ResponseBody> {
    if !engine.admit() {
        return response::unavailable();
    }
    let (reply, answer) = oneshot::channel();
    let command = HttpCommand::OpenPolling {
        opening: Box::new(engine.opening(request, endpoint, peer)),
        reply,
    };
    if !engine.open(command).await {
        return response::unavailable();
    }
    answer_of(answer.await.ok())
}

pub(super) async fn poll(
    engine: &EngineHandle,
    request: &Request<()>,
    id: ConnectionId,
) -> Response<ResponseBody> {
    let Some(port) = engine.port(id.shard()) else {
        return response::refusal(HandshakeError::SessionUnknown);
    };
    let number = engine.next_poll();
    let (reply, answer) = oneshot::channel();
    let command = HttpCommand::Poll {
        id,
        identity: engine.identity(request),
        number,
        reply,
    };
    if port.commands.send(command.into()).await.is_err() {
        return response::unavailable();
    }
    // hyper drops this future when the client goes away.
    let abort = TellOnDrop {
        commands: Some(port.commands.clone()),
        id,
        number,
    };
    let answer = answer.await.ok();
    abort.defuse();
    answer_of(answer)
}

/// Tells the shard that a GET was aborted, unless it was answered.
struct TellOnDrop {
    commands: Option<mpsc::Sender<Command>>,
    id: ConnectionId,
    number: PollNumber,
}

impl TellOnDrop {
    fn defuse(mut self) {
        self.commands = None;
    }
}

impl Drop for TellOnDrop {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            let aborted = HttpCommand::PollAborted {
                id: self.id,
                number: self.number,
            };
            // A shard without room finds out when it answers.
            let _ = commands.try_send(aborted.into());
        }
    }
}

pub(super) async fn post(
    engine: &EngineHandle,
    request: &Request<()>,
    body: impl RequestBody,
    endpoint: Endpoint,
    id: ConnectionId,
) -> Response<ResponseBody> {
    let Some(port) = engine.port(id.shard()) else {
        return response::refusal(HandshakeError::SessionUnknown);
    };
    let identity = engine.identity(request);
    let is_binary = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"));
    let bytes_max = endpoint
        .max_payload_bytes
        .unwrap_or(engine.settings().max_payload_bytes);
    let body = std::pin::pin!(body);
    if body.size_hint().lower() > bytes_max as u64 {
        // Declared too large: refused before it is sent.
        discard_body(body, bytes_max).await;
        return response::too_big();
    }
    let (hand_over, handed_over) = oneshot::channel();
    let (reply, mut answer) = oneshot::channel();
    let command = HttpCommand::Post {
        id,
        identity,
        body: handed_over,
        reply,
    };
    if port.commands.send(command.into()).await.is_err() {
        return response::unavailable();
    }
    let wait = engine.settings().body_timeout;
    tokio::select! {
        biased;
        // Refused before it was all there.
        early = &mut answer => return posted(early.ok()),
        body = timeout(wait, read(body, is_binary, bytes_max)) => match body {
            Ok(Some(body)) => {
                let _ = hand_over.send(body);
            }
            // Too slow, or aborted: the shard learns it from the channel.
            Ok(None) | Err(_) => drop(hand_over),
        },
    }
    posted(answer.await.ok())
}

/// `None` when the client gave up.
async fn read(
    mut body: Pin<&mut impl RequestBody>,
    is_binary: bool,
    bytes_max: usize,
) -> Option<PostBody> {
    if is_binary {
        // Version 4 sends binary as base64 text.
        discard_body(body, bytes_max).await;
        return Some(PostBody::Invalid);
    }
    match Limited::new(body.as_mut(), bytes_max).collect().await {
        Ok(body) => Some(PostBody::Whole(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            discard_body(body, bytes_max).await;
            Some(PostBody::TooBig)
        }
        Err(_) => None,
    }
}

fn posted(answer: Option<PostAnswer>) -> Response<ResponseBody> {
    match answer {
        Some(PostAnswer::Ok) => response::text("ok"),
        Some(PostAnswer::Refused(error)) => response::refusal(error),
        Some(PostAnswer::TooBig) => response::too_big(),
        Some(PostAnswer::Invalid) | None => response::refusal(HandshakeError::BadRequest),
    }
}

fn answer_of(answer: Option<PollAnswer>) -> Response<ResponseBody> {
    match answer {
        Some(PollAnswer::Payload(body)) => response::text(body),
        Some(PollAnswer::Refused(error)) => response::refusal(error),
        None => response::refusal(HandshakeError::SessionUnknown),
    }
}
