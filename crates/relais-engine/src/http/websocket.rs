//! The opening handshake of WebSockets, and the hand-over of the raw socket to its shard.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use relais_protocol::engineio::{self, Handshake, HandshakeError, Query};
use relais_protocol::websocket::accept_key;
use tokio::sync::oneshot;

use super::names_one_host;
use super::response::{self, ResponseBody};
use crate::accept::Begun;
use crate::command::{HttpCommand, Upgraded};
use crate::endpoint::Endpoint;
use crate::frame::{self, FrameRef};
use crate::handle::EngineHandle;
use crate::sid::ConnectionId;
use crate::stream::Detached;

/// Whether a GET opens a new connection on a WebSocket.
pub(crate) fn opens_websocket(request: &Request<()>, endpoint: Endpoint) -> bool {
    if !is_upgrade(request.headers()) || !names_one_host(request) {
        return false;
    }
    let query = Query::parse(request.uri().query().unwrap_or(""));
    !endpoint.wire.is_engineio()
        || engineio::handshake(&query, true, true)
            == Ok(Handshake::Open(engineio::Transport::WebSocket))
}

/// Whether a request asks for a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
        && has_token(headers, header::CONNECTION, "upgrade")
}

/// A new connection on a WebSocket.
pub(super) async fn open(
    engine: &EngineHandle,
    mut request: Request<()>,
    endpoint: Endpoint,
    peer: SocketAddr,
) -> Response<ResponseBody> {
    if !endpoint.wire.is_engineio() && !is_upgrade(request.headers()) {
        return response::upgrade_required();
    }
    let switch = match switching(&request) {
        Ok(switch) => switch,
        Err(refused) => return refused.response(),
    };
    if !engine.admit() {
        return response::unavailable();
    }
    let opening = Box::new(engine.opening(&request, endpoint, peer));
    let engine = engine.clone();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some(upgraded) = take_out(upgrade).await else {
            engine.connection_gone();
            return;
        };
        let command = HttpCommand::OpenWebSocket { opening, upgraded };
        engine.open(command).await;
    });
    switch
}

/// A WebSocket for a connection that is on polling.
pub(super) async fn upgrade(
    engine: &EngineHandle,
    mut request: Request<()>,
    id: ConnectionId,
) -> Response<ResponseBody> {
    let switch = match switching(&request) {
        Ok(switch) => switch,
        Err(refused) => return refused.response(),
    };
    let Some(commands) = engine.port(id.shard()).map(|port| port.commands.clone()) else {
        return response::refusal(HandshakeError::SessionUnknown);
    };
    let (reply, checked) = oneshot::channel();
    let check = HttpCommand::CheckUpgrade {
        id,
        identity: engine.identity(&request),
        reply,
    };
    if commands.send(check.into()).await.is_err() {
        return response::unavailable();
    }
    match checked.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return response::refusal(error),
        Err(_) => return response::unavailable(),
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Some(upgraded) = take_out(upgrade).await {
            let _ = commands
                .send(HttpCommand::Upgrade { id, upgraded }.into())
                .await;
        }
    });
    switch
}

/// Why a request is no opening handshake.
enum Refused {
    BadRequest,
    /// The client learns which version would do.
    Version,
}

impl Refused {
    fn response(self) -> Response<ResponseBody> {
        match self {
            Self::BadRequest => response::refusal(HandshakeError::BadRequest),
            Self::Version => response::upgrade_required(),
        }
    }
}

/// The 101 for an opening handshake of version 13.
fn switching(request: &Request<()>) -> Result<Response<ResponseBody>, Refused> {
    let accept = HeaderValue::from_str(&accept(request)?).map_err(|_| Refused::BadRequest)?;
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// The same as bytes, for a connection that no HTTP library has.
pub(crate) fn switch(request: &Request<()>) -> Option<FrameRef> {
    let accept = accept(request).ok()?;
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    Some(frame::http(
        [head, &accept, "\r\n\r\n"].concat().into_bytes(),
    ))
}

/// The answer to the key of an opening handshake (RFC 6455 section 4.2.1).
fn accept(request: &Request<()>) -> Result<String, Refused> {
    let headers = request.headers();
    let is_get = request.method() == Method::GET && request.version() >= Version::HTTP_11;
    if !is_get || !is_upgrade(headers) {
        return Err(Refused::BadRequest);
    }
    match only(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => {}
        Some(_) => return Err(Refused::Version),
        None => return Err(Refused::BadRequest),
    }
    only(headers, &header::SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok())
        .and_then(|key| accept_key(key).ok())
        .ok_or(Refused::BadRequest)
}

/// The value of a header that may stand there once.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Takes the socket out of hyper, with what it had read ahead.
async fn take_out(upgrade: hyper::upgrade::OnUpgrade) -> Option<Upgraded> {
    let upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<Begun>>().ok()?;
    let (stream, unread) = parts.io.into_inner().into_parts();
    // What hyper has read comes first; what it had not asked for yet follows.
    let read_ahead = match unread.is_empty() {
        true => parts.read_buf,
        false => Bytes::from([&parts.read_buf[..], &unread[..]].concat()),
    };
    Some(Upgraded {
        stream: Detached::Tcp(stream.into_std().ok()?),
        read_ahead,
    })
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}
