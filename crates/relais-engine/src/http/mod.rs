//! The HTTP side of Engine.IO: handshakes, polls, posts, and the hand-over of upgraded sockets to their shards.
//!
//! Runs on the caller's runtime, never on a shard. It reads bodies up to the payload limit and carries them; what they mean is decided
//! on the shard. No CORS and no origin check: those are the server's around it.

mod discard;
mod polling;
mod response;
mod websocket;

use std::hash::BuildHasher;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Body;
use relais_protocol::engineio::{self, Handshake, HandshakeError, Query};

pub use discard::discard_body;
pub use response::ResponseBody;
pub(crate) use response::not_found;
pub(crate) use websocket::{opens_websocket, switch};

use crate::command::Opening;
use crate::endpoint::{Endpoint, Wire};
use crate::handle::EngineHandle;
use crate::sid::ConnectionId;

/// The body of a request, of whichever HTTP library.
pub trait RequestBody:
    Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static
{
}

impl<B> RequestBody for B where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static
{
}

impl EngineHandle {
    /// Answers one HTTP request to an endpoint: handshake, polling, WebSocket and upgrade. `peer` is the client's address.
    ///
    /// Sets no CORS headers and checks no origin: that is the server's around it. Bodies are read up to the payload limit.
    pub async fn handle<B>(
        &self,
        request: Request<B>,
        endpoint: impl Into<Endpoint>,
        peer: SocketAddr,
    ) -> Response<ResponseBody>
    where
        B: RequestBody,
    {
        let endpoint = endpoint.into();
        // Only a POST has a body of interest; without it the rest is `Sync`, as futures that borrow it across a wait must be.
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, ());
        if !names_one_host(&request) {
            return response::refusal(HandshakeError::BadRequest);
        }
        if !endpoint.wire.is_engineio() {
            return websocket::open(self, request, endpoint, peer).await;
        }
        let is_upgrade = websocket::is_upgrade(request.headers());
        let raw = request.uri().query().unwrap_or("").to_owned();
        let query = Query::parse(&raw);
        let is_get = request.method() == Method::GET;
        match engineio::handshake(&query, is_get, is_upgrade) {
            Ok(Handshake::Open(engineio::Transport::Polling)) => {
                polling::open(self, &request, endpoint, peer).await
            }
            Ok(Handshake::Open(engineio::Transport::WebSocket)) => {
                websocket::open(self, request, endpoint, peer).await
            }
            Ok(Handshake::Resume { transport, sid }) => {
                let id = self.known(&sid);
                match (id, transport) {
                    (Err(error), _) => response::refusal(error),
                    (Ok(id), engineio::Transport::WebSocket) => {
                        websocket::upgrade(self, request, id).await
                    }
                    (Ok(id), engineio::Transport::Polling) => {
                        self.resume_polling(&request, body, endpoint, id).await
                    }
                }
            }
            Err(error) => response::refusal(error),
        }
    }

    async fn resume_polling(
        &self,
        request: &Request<()>,
        body: impl RequestBody,
        endpoint: Endpoint,
        id: ConnectionId,
    ) -> Response<ResponseBody> {
        match *request.method() {
            Method::GET => polling::poll(self, request, id).await,
            Method::POST => polling::post(self, request, body, endpoint, id).await,
            _ => response::refusal(HandshakeError::BadRequest),
        }
    }

    /// A sid that this node has given out.
    fn known(&self, sid: &str) -> Result<ConnectionId, HandshakeError> {
        ConnectionId::parse(sid)
            .filter(|id| id.node() == self.settings().node && self.port(id.shard()).is_some())
            .ok_or(HandshakeError::SessionUnknown)
    }

    /// What a request proves about who sends it: a hash of its credentials, 0 without any.
    fn identity(&self, request: &Request<()>) -> u64 {
        let header = request.headers().get(header::AUTHORIZATION);
        let query = request.uri().query().unwrap_or("");
        let name = self.settings().credential_parameter;
        let parameter = name.and_then(|name| Query::value(query, name));
        match (header, parameter.filter(|value| !value.is_empty())) {
            (None, None) => 0,
            (header, parameter) => {
                let header = header.map(HeaderValue::as_bytes);
                self.identity_key().hash_one((header, parameter)) | 1
            }
        }
    }

    pub(crate) fn opening(
        &self,
        request: &Request<()>,
        endpoint: Endpoint,
        peer: SocketAddr,
    ) -> Opening {
        Opening {
            endpoint,
            peer,
            identity: self.identity(request),
            headers: request.headers().clone(),
            query: request.uri().query().unwrap_or("").to_owned(),
            path: match endpoint.wire {
                Wire::Plain => request.uri().path().to_owned(),
                Wire::SocketIo | Wire::EngineIo | Wire::WebSocket => String::new(),
            },
        }
    }
}

/// Since version 1.1 every request names its host, once (RFC 9112 section 3.2).
fn names_one_host(request: &Request<()>) -> bool {
    let count = request.headers().get_all(header::HOST).iter().count();
    count == 1 || (count == 0 && request.version() < Version::HTTP_11)
}
