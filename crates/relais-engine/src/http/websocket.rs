//! The opening handshake of WebSockets, and the hand-over of the raw socket to its shard.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use relais_protocol::engineio::HandshakeError;
use relais_protocol::websocket::accept_key;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::response::{self, ResponseBody};
use crate::command::{HttpCommand, Upgraded};
use crate::endpoint::{Endpoint, Wire};
use crate::handle::EngineHandle;
use crate::sid::ConnectionId;
use crate::stream::Detached;

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
    let Some(switch) = switching(&request) else {
        return match endpoint.wire {
            Wire::WebSocket if !is_upgrade(request.headers()) => response::upgrade_required(),
            _ => response::refusal(HandshakeError::BadRequest),
        };
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
        if engine
            .any_port()
            .commands
            .send(command.into())
            .await
            .is_err()
        {
            engine.connection_gone();
        }
    });
    switch
}

/// A WebSocket for a connection that is on polling.
pub(super) async fn upgrade(
    engine: &EngineHandle,
    mut request: Request<()>,
    id: ConnectionId,
) -> Response<ResponseBody> {
    let Some(switch) = switching(&request) else {
        return response::refusal(HandshakeError::BadRequest);
    };
    let Some(commands) = engine.port(id.shard()).map(|port| port.commands.clone()) else {
        return response::refusal(HandshakeError::SessionUnknown);
    };
    let (reply, checked) = oneshot::channel();
    let check = HttpCommand::CheckUpgrade {
        id,
        identity: engine.identity(request.headers()),
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

/// The 101; `None` when the request is no opening handshake of version 13.
fn switching(request: &Request<()>) -> Option<Response<ResponseBody>> {
    let headers = request.headers();
    let is_current = headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version == "13");
    if request.method() != Method::GET || !is_upgrade(headers) || !is_current {
        return None;
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok())
        .and_then(|key| accept_key(key).ok())
        .and_then(|accept| HeaderValue::from_str(&accept).ok())?;
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    Some(response)
}

/// Takes the socket out of hyper, with what it had read ahead.
async fn take_out(upgrade: hyper::upgrade::OnUpgrade) -> Option<Upgraded> {
    let upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    let stream = parts.io.into_inner().into_std().ok()?;
    Some(Upgraded {
        stream: Detached::Tcp(stream),
        read_ahead: parts.read_buf,
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
