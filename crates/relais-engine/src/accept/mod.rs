//! The way in: listening sockets, one accept loop on each shard, and the fork between the short way and the long one.
//!
//! ```text
//!  shard: accept ─► first bytes ─► a whole opening handshake that the gate lets in ─► a connection of this shard
//!                        └────────► anything else ─► HTTP runtime, hyper, the handler ─► …
//! ```
//!
//! The short way costs no other thread, no second parser and no second write: the 101 goes out with the first packet. It decides nothing on
//! its own: where the gate or the handshake say no, the handler gives the refusal. The gate may count whom it lets in, so it is asked
//! last, when nothing else speaks against the connection. `axum::serve` sets no header timeout, so the long way's
//! loop is our own too.

mod head;
mod listener;
mod web;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use hyper::Response;
use hyper::body::{Body, Incoming};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use listener::Listener;
pub(crate) use web::Begun;

use crate::command::Command;
use crate::endpoint::Endpoint;
use crate::frame::FrameRef;
use crate::handle::EngineHandle;
use crate::panics::guard;

/// Limits of the way in.
#[derive(Clone, Debug)]
pub struct AcceptLimits {
    /// From the first byte of a request, or the opening of the connection, to the end of its headers. Default 10 s; then the connection is closed.
    pub header_timeout: Duration,
    /// Most headers of a request. Default 64; more is 431.
    pub headers_max: usize,
    /// Largest head of a request. Default 16 KiB; more is 431.
    pub header_bytes_max: usize,
    /// Most connections that speak HTTP at once (WebSockets do not count). Default 65,536; more wait in the kernel's backlog.
    pub connections_max: usize,
    /// How long written bytes may stay unacknowledged, or a peer's window closed, before the kernel ends the connection. Default 30 s.
    pub stall_timeout: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            headers_max: 64,
            header_bytes_max: 16 * 1024,
            connections_max: 65_536,
            stall_timeout: Duration::from_secs(30),
        }
    }
}

/// A connection for the long way, with what was read of it.
pub(crate) struct Arrived {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) read: Bytes,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// An opening handshake that the gate has not been asked about.
pub(crate) struct Handshake {
    pub(crate) request: Request<()>,
    pub(crate) endpoint: Endpoint,
    /// Bytes of its head.
    pub(crate) length: usize,
    /// The 101 that answers it.
    pub(crate) switch: FrameRef,
}

type EndpointOf = dyn Fn(&Request<()>) -> Option<Endpoint> + Send + Sync;
type Gate = dyn Fn(&Request<()>, Endpoint, SocketAddr) -> bool + Send + Sync;

/// What the accept loops of the shards share.
pub(crate) struct Door {
    limits: AcceptLimits,
    /// Where an opening handshake leads to; `None`: the handler answers.
    endpoint_of: Box<EndpointOf>,
    /// Whether it may come in, else the handler answers. Whom it has let in must come in.
    gate: Box<Gate>,
    long_way: Box<dyn Fn(Arrived) + Send + Sync>,
    slots: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Door {
    /// The opening handshake of a WebSocket in `bytes`, if there is a whole one.
    pub(crate) fn handshake(&self, bytes: &[u8]) -> Option<Handshake> {
        let (request, length) = head::parse(bytes, &self.limits)?;
        // The application must not end the loop that accepts.
        let endpoint = guard(|| (self.endpoint_of)(&request)).ok()??;
        if !crate::http::opens_websocket(&request, endpoint) {
            return None;
        }
        let switch = crate::http::switch(&request)?;
        Some(Handshake {
            request,
            endpoint,
            length,
            switch,
        })
    }

    /// Whether the gate lets a handshake in, for which a place is taken already.
    pub(crate) fn lets_in(&self, handshake: &Handshake, peer: SocketAddr) -> bool {
        guard(|| (self.gate)(&handshake.request, handshake.endpoint, peer)).unwrap_or(false)
    }

    /// Hands a connection to the HTTP runtime. Waits for a place while too many are there: so long nothing more is accepted.
    pub(crate) async fn long_way(&self, stream: TcpStream, read: Bytes, peer: SocketAddr) {
        if let Ok(slot) = self.slots.clone().acquire_owned().await
            && let Ok(stream) = stream.into_std()
        {
            (self.long_way)(Arrived {
                stream,
                read,
                peer,
                slot,
            });
        }
    }

    /// Returns once nothing more is to be accepted.
    pub(crate) async fn closed(&self) {
        closed(&mut self.stopping.clone()).await;
    }
}

async fn closed(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Serves `listener` until `stop` resolves: then nothing more is accepted, and open HTTP connections end their current request.
///
/// `endpoint_of` says, without waiting, to which endpoint a request belongs. If it is a whole opening handshake of a WebSocket for which
/// there is room, `gate` is asked whether anything else speaks against it (its origin, limits): whom it lets in comes in, so it may count
/// them. Where either says no, and for every other request, `handler` answers, usually with [`EngineHandle::handle`] for the paths
/// that are the engine's; what `gate` counts, it counts itself.
///
/// # Errors
/// When the listening sockets cannot be made. Failures of single connections (and of `accept` under load) are not errors.
pub async fn serve<E, G, F, Fut, B>(
    engine: &EngineHandle,
    listener: Listener,
    limits: AcceptLimits,
    stop: impl Future<Output = ()>,
    endpoint_of: E,
    gate: G,
    handler: F,
) -> io::Result<()>
where
    E: Fn(&Request<()>) -> Option<Endpoint> + Send + Sync + 'static,
    G: Fn(&Request<()>, Endpoint, SocketAddr) -> bool + Send + Sync + 'static,
    F: Fn(Request<Incoming>, SocketAddr) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (stop_all, stopping) = watch::channel(false);
    let runtime = tokio::runtime::Handle::current();
    let builder = web::builder(&limits);
    let stopping_too = stopping.clone();
    let long_way = move |arrived| {
        let serving = web::serve(
            arrived,
            builder.clone(),
            handler.clone(),
            stopping_too.clone(),
        );
        runtime.spawn(serving);
    };
    let listeners = listener.split(engine.ports().len(), limits.stall_timeout)?;
    let door = Arc::new(Door {
        slots: Arc::new(Semaphore::new(limits.connections_max)),
        endpoint_of: Box::new(endpoint_of),
        gate: Box::new(gate),
        long_way: Box::new(long_way),
        stopping,
        limits,
    });
    for (port, listener) in engine.ports().iter().zip(listeners) {
        let door = Arc::clone(&door);
        let _ = port.commands.send(Command::Listen { listener, door }).await;
    }
    drop(door);
    stop.await;
    let _ = stop_all.send(true);
    Ok(())
}

/// As [`serve`], where the engine is all there is: `endpoint` says which one a path is, and any other path is 404.
///
/// # Errors
/// As [`serve`].
pub async fn serve_endpoints<E>(
    engine: EngineHandle,
    listener: Listener,
    limits: AcceptLimits,
    stop: impl Future<Output = ()>,
    endpoint: E,
) -> io::Result<()>
where
    E: Fn(&str) -> Option<Endpoint> + Clone + Send + Sync + 'static,
{
    let (handle, of_path) = (engine.clone(), endpoint.clone());
    let answer = move |request: Request<Incoming>, peer| {
        let engine = handle.clone();
        let endpoint = of_path(request.uri().path());
        async move {
            match endpoint {
                Some(endpoint) => engine.handle(request, endpoint, peer).await,
                None => crate::http::not_found(),
            }
        }
    };
    let endpoint_of = move |request: &Request<()>| endpoint(request.uri().path());
    let gate = |_: &Request<()>, _, _| true;
    serve(&engine, listener, limits, stop, endpoint_of, gate, answer).await
}
