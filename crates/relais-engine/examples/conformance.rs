//! The server that the public test suites describe: `conformance [PORT [FRAGMENTS_MAX]]`, on IPv4 and IPv6; port 3000 without one.
//!
//! `/socket.io/`: namespaces `/` and `/custom` emit `auth` with the handshake's auth payload; on `/`, `message` is answered by
//! `message-back` and `message-with-ack` by its arguments. `/engine.io/`: an echo of Engine.IO messages. `/__echo`: a plain WebSocket echo.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relais_engine::{
    Accept, AcceptLimits, Connect, Endpoint, EngineHandle, Event, Flow, Listener, LocalFuture,
    NoLog, Raw, RawMessage, Refuse, Reply, Scope, Service, Settings, Socket, Wire, serve_endpoints,
};

const ECHO_BYTES_MAX: usize = 16 * 1024 * 1024;

struct Conformance;

/// What a session keeps: the auth payload of its CONNECT.
type Auth = Option<Bytes>;

impl Service for Conformance {
    type Data = Auth;

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<Auth>, Refuse>> {
        Box::pin(async move {
            match &*connect.namespace {
                "/" | "/custom" => Ok(Accept::fresh(Scope(0), connect.auth)),
                _ => Err(Refuse::invalid_namespace()),
            }
        })
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        let auth = socket.data().as_deref().unwrap_or(b"{}");
        socket.emit("auth", auth);
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        match (socket.namespace(), event.name) {
            ("/", "message") => {
                socket.emit_binary("message-back", event.args.as_bytes(), event.attachments);
                Flow::Done
            }
            ("/", "message-with-ack") => Flow::Reply(Reply {
                args: Bytes::copy_from_slice(event.args.as_bytes()),
                attachments: event.attachments.to_vec(),
            }),
            _ => Flow::Done,
        }
    }

    fn message(self: &Arc<Self>, raw: &Raw<'_>, message: RawMessage<'_>) {
        raw.send(message);
    }
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path {
        "/socket.io" | "/socket.io/" => Some(Endpoint::new(0, Wire::SocketIo)),
        "/engine.io" | "/engine.io/" => Some(Endpoint::new(1, Wire::EngineIo)),
        "/__echo" => Some(Endpoint {
            max_payload_bytes: Some(ECHO_BYTES_MAX),
            heartbeat: false,
            ..Endpoint::new(2, Wire::WebSocket)
        }),
        _ => None,
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(3000), |port| port.parse())?;
    let mut settings = Settings {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_millis(1000),
        max_payload_bytes: 1_000_000,
        ..Settings::default()
    };
    if let Some(fragments_max) = arguments.next() {
        // A suite may send messages in more pieces than a client has reason to.
        settings.fragments_max = fragments_max.parse()?;
    }
    let engine = EngineHandle::start(settings, Arc::new(Conformance), Arc::new(NoLog))?;
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    tokio::try_join!(listen(v4, engine.clone()), listen(v6, engine))?;
    Ok(())
}

async fn listen(address: SocketAddr, engine: EngineHandle) -> std::io::Result<()> {
    let listener = Listener::bind(address)?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let limits = AcceptLimits {
        // Test suites probe requests with many headers.
        headers_max: 128,
        ..AcceptLimits::default()
    };
    serve_endpoints(engine, listener, limits, stop, endpoint).await
}
