//! The two ways in: an opening handshake that is there in one piece, and everything else. Who comes must not see which it was.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{MemoryLog, Server, TestService, settings};
use http::Request;
use relais_engine::{AcceptLimits, EngineHandle, Listener, Settings, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HANDSHAKE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The key and its answer are those of RFC 6455, section 1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// `40`, masked with zeros.
const CONNECT: &[u8] = b"\x81\x82\0\0\0\x0040";

struct Visitor(TcpStream);

impl Visitor {
    async fn at(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Everything up to and with `end`.
    async fn hear(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        loop {
            let byte = self.0.read_u8().await.unwrap();
            heard.push(byte);
            if heard.ends_with(end.as_bytes()) {
                return String::from_utf8_lossy(&heard).into_owned();
            }
        }
    }

    async fn is_welcome(&mut self) {
        let head = self.hear("\r\n\r\n").await.to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
        let accept = format!("sec-websocket-accept: {}\r\n", ACCEPT.to_lowercase());
        assert!(head.contains(&accept), "{head}");
        let open = self.hear("}").await;
        assert!(open.contains("0{\"sid\":\""), "{open}");
    }

    async fn is_connected(&mut self) {
        let answer = self.hear("}").await;
        assert!(answer.contains("40{\"sid\":\""), "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_in_one_piece_comes_in() {
    let server = Server::start(settings(2)).await;
    let mut visitor = Visitor::at(server.address).await;
    visitor.say(HANDSHAKE.as_bytes()).await;
    visitor.is_welcome().await;
    visitor.say(CONNECT).await;
    visitor.is_connected().await;
}

#[tokio::test]
async fn what_follows_the_handshake_at_once_is_not_lost() {
    let server = Server::start(settings(2)).await;
    let mut visitor = Visitor::at(server.address).await;
    visitor.say(&[HANDSHAKE.as_bytes(), CONNECT].concat()).await;
    visitor.is_welcome().await;
    visitor.is_connected().await;
}

#[tokio::test]
async fn a_handshake_in_pieces_comes_in_too() {
    let server = Server::start(settings(2)).await;
    for cut in [1, 40, HANDSHAKE.len() - 1] {
        let mut visitor = Visitor::at(server.address).await;
        let (first, second) = HANDSHAKE.as_bytes().split_at(cut);
        visitor.say(first).await;
        // Somebody else is served in between, so that the first piece was looked at alone.
        let mut other = Visitor::at(server.address).await;
        other
            .say(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        assert!(other.hear("}").await.starts_with("HTTP/1.1 200 "));
        visitor.say(&[second, CONNECT].concat()).await;
        visitor.is_welcome().await;
        visitor.is_connected().await;
    }
}

#[tokio::test]
async fn a_handshake_that_is_none_gets_its_refusal() {
    let server = Server::start(settings(2)).await;
    for (from, to, status) in [
        ("Version: 13", "Version: 8", "426"),
        ("EIO=4", "EIO=3", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400"),
    ] {
        let mut visitor = Visitor::at(server.address).await;
        visitor.say(HANDSHAKE.replace(from, to).as_bytes()).await;
        let head = visitor.hear("\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_not_taken_again() {
    let server = Server::start(settings(2)).await;
    let again = relais_engine::Listener::bind(server.address);
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

/// An engine with room for two connections, whose gate counts.
async fn with_a_gate_that_counts() -> (SocketAddr, EngineHandle, Arc<AtomicUsize>) {
    let log = Arc::new(MemoryLog::default());
    let service = Arc::new(TestService::new(Arc::clone(&log)));
    let limits = Settings {
        connections_max: 2,
        ..settings(1)
    };
    let engine = EngineHandle::start(limits, service, log as _).unwrap();
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.local_addr();
    let asked = Arc::new(AtomicUsize::new(0));
    let (served, counted) = (engine.clone(), Arc::clone(&asked));
    tokio::spawn(async move {
        let answering = served.clone();
        let gate = move |_: &Request<()>, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        };
        let answer = move |request, peer| {
            let engine = answering.clone();
            async move { engine.handle(request, 0, peer).await }
        };
        let (limits, never) = (AcceptLimits::default(), std::future::pending());
        let endpoint_of = |_: &Request<()>| Some(0.into());
        serve(&served, listener, limits, never, endpoint_of, gate, answer).await
    });
    (address, engine, asked)
}

#[tokio::test]
async fn the_gate_is_asked_only_about_those_who_come_in_when_it_lets_them() {
    let (address, engine, asked) = with_a_gate_that_counts().await;
    let polling = "GET /?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, status) in [
        (polling.to_owned(), "200"),
        (HANDSHAKE.replace("Version: 13", "Version: 8"), "426"),
        (
            HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
            "400",
        ),
        (HANDSHAKE.replace("EIO=4", "EIO=3"), "400"),
        (HANDSHAKE.replace("Host: a", "X: a"), "400"),
    ] {
        let mut visitor = Visitor::at(address).await;
        visitor.say(request.as_bytes()).await;
        let head = visitor.hear("\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(asked.load(Ordering::SeqCst), 0, "{request}");
    }
    let mut welcome = Visitor::at(address).await;
    welcome.say(HANDSHAKE.as_bytes()).await;
    welcome.is_welcome().await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Now it is full.
    assert_eq!(engine.stats().connections, 2);
    let mut late = Visitor::at(address).await;
    late.say(HANDSHAKE.as_bytes()).await;
    let head = late.hear("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
