//! Polling requests on their way to a shard and back.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use relais_protocol::engineio::HandshakeError;
use tokio::sync::{mpsc, oneshot};

use super::response::{self, ResponseBody};
use crate::command::{Command, PollAnswer, PollNumber, PostAnswer};
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
    let command = Command::OpenPolling {
        opening: Box::new(engine.opening(request, endpoint, peer)),
        reply,
    };
    if engine.any_port().commands.send(command).await.is_err() {
        engine.connection_gone();
        return response::unavailable();
    }
    answer_of(answer.await.ok())
}

pub(super) async fn poll(
    engine: &EngineHandle,
    headers: &HeaderMap,
    id: ConnectionId,
) -> Response<ResponseBody> {
    let Some(port) = engine.port(id.shard()) else {
        return response::refusal(HandshakeError::SessionUnknown);
    };
    let number = engine.next_poll();
    let (reply, answer) = oneshot::channel();
    let command = Command::Poll {
        id,
        identity: engine.identity(headers),
        number,
        reply,
    };
    if port.commands.send(command).await.is_err() {
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
            // A shard without room finds out when it answers.
            let _ = commands.try_send(Command::PollAborted {
                id: self.id,
                number: self.number,
            });
        }
    }
}

pub(super) async fn post<B>(
    engine: &EngineHandle,
    headers: &HeaderMap,
    body: B,
    endpoint: Endpoint,
    id: ConnectionId,
) -> Response<ResponseBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(port) = engine.port(id.shard()) else {
        return response::refusal(HandshakeError::SessionUnknown);
    };
    let identity = engine.identity(headers);
    let is_binary = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"));
    let bytes_max = endpoint
        .max_payload_bytes
        .unwrap_or(engine.settings().max_payload_bytes);
    if body.size_hint().lower() > bytes_max as u64 {
        // Declared too large: refused before it is sent.
        return response::too_big();
    }
    let body = if is_binary {
        // Version 4 sends binary as base64 text.
        None
    } else {
        let whole = Limited::new(body, bytes_max).collect();
        match tokio::time::timeout(engine.settings().body_timeout, whole).await {
            Ok(Ok(body)) => Some(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return response::too_big(),
            Ok(Err(_)) | Err(_) => return response::refusal(HandshakeError::BadRequest),
        }
    };
    let (reply, answer) = oneshot::channel();
    let command = Command::Post {
        id,
        identity,
        body,
        reply,
    };
    if port.commands.send(command).await.is_err() {
        return response::unavailable();
    }
    match answer.await {
        Ok(PostAnswer::Ok) => response::text("ok"),
        Ok(PostAnswer::Refused(error)) => response::refusal(error),
        Ok(PostAnswer::TooBig) => response::too_big(),
        Ok(PostAnswer::Invalid) | Err(_) => response::refusal(HandshakeError::BadRequest),
    }
}

fn answer_of(answer: Option<PollAnswer>) -> Response<ResponseBody> {
    match answer {
        Some(PollAnswer::Payload(body)) => response::text(body),
        Some(PollAnswer::Refused(error)) => response::refusal(error),
        None => response::refusal(HandshakeError::SessionUnknown),
    }
}
