//! The accept loop: HTTP/1.1 with a deadline for headers and a limit on them, and connections that can be upgraded.
//!
//! `axum::serve` sets no header timeout, so the loop is our own. It knows nothing of the engine: any handler fits.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Limits of the accept loop.
#[derive(Clone, Debug)]
pub struct AcceptLimits {
    /// From the first byte of a request, or the opening of the connection, to the end of its headers. Default 10 s; then the connection is closed.
    pub header_timeout: Duration,
    /// Most headers of a request. Default 64; more is 431.
    pub headers_max: usize,
    /// Largest head of a request. Default 16 KiB; more is 431.
    pub header_bytes_max: usize,
    /// Most connections that speak HTTP at once (upgraded ones do not count). Default 65,536; more wait in the kernel's backlog.
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

/// Serves `listener` until `stop` resolves: then it accepts no more, and lets open connections end their current request.
///
/// # Errors
/// When the listener itself fails. Failures of single connections (and of `accept` under load) are not errors.
pub async fn serve<F, Fut, B>(
    listener: TcpListener,
    limits: AcceptLimits,
    stop: impl Future<Output = ()>,
    handler: F,
) -> io::Result<()>
where
    F: Fn(Request<Incoming>, SocketAddr) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let (stopping, stopped) = watch::channel(false);
    let builder = builder(&limits);
    let mut stop = std::pin::pin!(stop);
    loop {
        let slot = tokio::select! {
            biased;
            () = &mut stop => break,
            slot = slots.clone().acquire_owned() => slot.map_err(io::Error::other)?,
        };
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
        };
        prepare(&stream, &limits);
        let handler = handler.clone();
        let service = service_fn(move |request| {
            let response = handler(request, peer);
            async move { Ok::<_, Infallible>(response.await) }
        });
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop_seen(&mut stopped) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(slot);
        });
    }
    let _ = stopping.send(true);
    Ok(())
}

fn builder(limits: &AcceptLimits) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers_max)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(64 * 1024);
    builder
}

/// What a socket can do without is not worth refusing a connection for.
fn prepare(stream: &TcpStream, limits: &AcceptLimits) {
    // Frames are flushed once a tick; waiting for more would only add delay.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limits.stall_timeout));
}

async fn stop_seen(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// A connection that died in the backlog is nothing; out of descriptors, a short rest lets some close.
async fn pause_after(error: &io::Error) {
    let harmless = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !harmless {
        tracing::warn!(%error, "unable to accept a connection");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
