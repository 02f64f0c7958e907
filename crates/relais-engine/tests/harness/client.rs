//! A bare WebSocket client: frames of its own making, so that it can also send what no library would.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// What came from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong,
    Close(Option<u16>),
    /// The stream ended without a close frame.
    Lost,
}

pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    /// The reason of the close frame, once it has come.
    pub close_reason: String,
}

impl Client {
    /// Opens a WebSocket on a path with a query.
    pub async fn open(address: SocketAddr, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", head.escape_ascii());
        Self {
            stream,
            buffer: Vec::new(),
            close_reason: String::new(),
        }
    }

    /// Opens an Engine.IO connection and takes its OPEN packet.
    pub async fn engine(address: SocketAddr) -> Self {
        let mut client = Self::open(address, "/socket.io/?EIO=4&transport=websocket").await;
        let open = client.text().await;
        assert!(open.starts_with("0{"), "{open}");
        client
    }

    /// Connects to `/` with this auth; returns the answer to CONNECT.
    pub async fn connect(address: SocketAddr, auth: &str) -> (Self, serde_json::Value) {
        let mut client = Self::engine(address).await;
        client.send(&format!("40{auth}")).await;
        let answer = client.text().await;
        let answer = answer.strip_prefix("40").expect("an answer to CONNECT");
        let answer = serde_json::from_str(answer).unwrap();
        assert!(client.text().await.starts_with("42[\"connected\""));
        (client, answer)
    }

    pub async fn send(&mut self, text: &str) {
        self.send_frame(0x81, text.as_bytes()).await;
    }

    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            middle @ 126..=0xffff => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&(middle as u16).to_be_bytes());
            }
            long => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        // A mask of zeros is a mask.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next thing that comes; panics when nothing does.
    pub async fn next(&mut self) -> Incoming {
        let next = tokio::time::timeout(PATIENCE, self.read()).await;
        next.expect("the server says something")
    }

    /// The next text, pings left out.
    pub async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Incoming::Text(text) if text == "2" => self.send("3").await,
                Incoming::Text(text) => return text,
                other => panic!("a text was expected, not {other:?}"),
            }
        }
    }

    /// Skips everything up to the end; the close code, if there was one.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Incoming::Close(code) => return code,
                Incoming::Lost => return None,
                _ => {}
            }
        }
    }

    /// Asks for an ack and waits until it comes: everything sent before it has come too. What came meanwhile is returned.
    pub async fn settled(&mut self) -> Vec<String> {
        self.send("42999[\"now\",\"settled\"]").await;
        let mut texts = Vec::new();
        loop {
            let text = self.text().await;
            if text == "43999[\"settled\"]" {
                return texts;
            }
            texts.push(text);
        }
    }

    async fn read(&mut self) -> Incoming {
        loop {
            if let Some(incoming) = self.take() {
                return incoming;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return Incoming::Lost,
                Ok(bytes) => self.buffer.extend_from_slice(&chunk[..bytes]),
            }
        }
    }

    fn take(&mut self) -> Option<Incoming> {
        let first = *self.buffer.first()?;
        let (length, start) = match *self.buffer.get(1)? {
            126 => (
                usize::from(u16::from_be_bytes(
                    self.buffer.get(2..4)?.try_into().unwrap(),
                )),
                4,
            ),
            127 => (
                u64::from_be_bytes(self.buffer.get(2..10)?.try_into().unwrap()) as usize,
                10,
            ),
            short => (usize::from(short), 2),
        };
        let payload = self.buffer.get(start..start + length)?.to_vec();
        self.buffer.drain(..start + length);
        Some(match first & 0x0f {
            1 => Incoming::Text(String::from_utf8(payload).unwrap()),
            2 => Incoming::Binary(payload),
            9 => Incoming::Ping,
            10 => Incoming::Pong,
            8 => {
                let reason = payload.get(2..).unwrap_or_default();
                self.close_reason = String::from_utf8_lossy(reason).into_owned();
                let code = payload.first_chunk::<2>();
                Incoming::Close(code.map(|code| u16::from_be_bytes(*code)))
            }
            opcode => panic!("opcode {opcode}"),
        })
    }
}
