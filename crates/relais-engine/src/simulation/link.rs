//! One connection of a client: a WebSocket, or polling that may become one.
//!
//! It moves bytes and requests and takes packets out of them; what they mean is the agent's affair. Polling goes through the engine's own
//! HTTP side, whose futures are dropped where a client would hang up.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::plain::Interpreter;
use super::socket::{End, Peer, link};
use super::wire::{Frame, Frames, frame};
use crate::command::{HttpCommand, Opening, Upgraded};
use crate::endpoint::{Endpoint, Wire};
use crate::handle::EngineHandle;
use crate::sid::ConnectionId;

/// What a link brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Text(String),
    Binary(Vec<u8>),
    /// The server has closed, with this code and reason.
    Closed(Option<(u16, String)>),
    /// It is gone, and nobody said why.
    Lost,
    /// As `Lost`, in the middle of a frame.
    Torn,
}

/// How much a client moves at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) read_bytes: usize,
    pub(crate) write_bytes: usize,
}

/// A connection.
pub(crate) struct Link {
    pub(crate) number: u64,
    engine: EngineHandle,
    query: String,
    transport: Transport,
    /// Where plain JSON is spoken.
    interpreter: Option<Interpreter>,
    is_over: bool,
}

enum Transport {
    WebSocket(WebSocket),
    Polling(Polling),
}

struct WebSocket {
    peer: Peer,
    frames: Frames,
    unsent: Vec<u8>,
    /// Its pings of WebSocket get no answer.
    is_mute: bool,
}

#[derive(Default)]
struct Polling {
    sid: Option<String>,
    get: Option<Pending>,
    post: Option<Pending>,
    unsent: Vec<String>,
    upgrade: Option<Upgrade>,
}

/// A WebSocket that a polling client tries.
struct Upgrade {
    socket: WebSocket,
    has_answer: bool,
}

/// Status and body.
type Answer = (u16, Vec<u8>);

/// A request whose answer comes later.
struct Pending {
    task: JoinHandle<()>,
    answer: Rc<RefCell<Option<Answer>>>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

impl WebSocket {
    fn new(peer: Peer) -> Self {
        Self {
            peer,
            frames: Frames::default(),
            unsent: Vec::new(),
            is_mute: false,
        }
    }

    fn write(&mut self, opcode: u8, payload: &[u8]) {
        let mask = [
            0x37,
            0xfa,
            0x21,
            u8::try_from(payload.len() % 251).unwrap_or(0),
        ];
        self.unsent.extend(frame(0x80 | opcode, payload, mask));
    }

    fn pump(&mut self, pace: Pace) -> Result<Vec<Came>, String> {
        let bytes = self.unsent.len().min(pace.write_bytes);
        self.peer.send(&self.unsent[..bytes]);
        self.unsent.drain(..bytes);
        self.frames.feed(&self.peer.take(pace.read_bytes));
        let mut came = Vec::new();
        while let Some(frame) = self.frames.next()? {
            match frame {
                Frame::Text(text) => came.push(Came::Text(text)),
                Frame::Binary(bytes) => came.push(Came::Binary(bytes)),
                Frame::Close(code) => {
                    let number = code.as_ref().map(|(code, _)| code.to_be_bytes());
                    self.write(8, &number.unwrap_or_default());
                    self.peer.send(&std::mem::take(&mut self.unsent));
                    came.push(Came::Closed(code));
                }
                Frame::Ping if !self.is_mute => self.write(10, b""),
                Frame::Ping | Frame::Pong => {}
            }
        }
        let has_ended = self.peer.engine_end() != End::Open && self.peer.waiting() == 0;
        if has_ended && pace.read_bytes > 0 {
            let is_torn = self.peer.engine_end() == End::Closed && !self.frames.is_whole();
            came.push(if is_torn { Came::Torn } else { Came::Lost });
        }
        Ok(came)
    }
}

impl Link {
    /// Opens a WebSocket. `room_bytes` is what the network holds for a client that does not read.
    pub(crate) fn websocket(
        engine: &EngineHandle,
        number: u64,
        query: &str,
        room_bytes: usize,
        wire: Wire,
    ) -> Self {
        let (socket, peer) = link(room_bytes, usize::MAX);
        let handle = engine.clone();
        let opening = Box::new(Opening {
            endpoint: Endpoint::new(0, wire),
            path: String::new(),
            peer: address(),
            headers: HeaderMap::new(),
            query: query.to_owned(),
            identity: 0,
        });
        tokio::task::spawn_local(async move {
            if !handle.admit() {
                return;
            }
            let upgraded = Upgraded {
                stream: socket.into(),
                read_ahead: Bytes::new(),
            };
            let command = HttpCommand::OpenWebSocket { opening, upgraded };
            handle.open(command).await;
        });
        Self {
            number,
            engine: engine.clone(),
            query: query.to_owned(),
            transport: Transport::WebSocket(WebSocket::new(peer)),
            interpreter: (wire == Wire::Plain).then(Interpreter::default),
            is_over: false,
        }
    }

    /// Opens a connection by polling.
    pub(crate) fn polling(engine: &EngineHandle, number: u64, query: &str) -> Self {
        Self {
            number,
            engine: engine.clone(),
            query: query.to_owned(),
            transport: Transport::Polling(Polling::default()),
            interpreter: None,
            is_over: false,
        }
    }

    /// What waits for it to read.
    pub(crate) fn waiting(&self) -> usize {
        match &self.transport {
            Transport::WebSocket(socket) => socket.peer.waiting(),
            Transport::Polling(polling) => usize::from(polling.has_answers()),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn is_polling(&self) -> bool {
        matches!(self.transport, Transport::Polling(_))
    }

    /// The sid of the handshake, which later requests carry.
    pub(crate) fn opened(&mut self, sid: &str) {
        if let Transport::Polling(polling) = &mut self.transport {
            polling.sid = Some(sid.to_owned());
        }
    }

    /// Whether it leaves pings of WebSocket unanswered; those of Engine.IO are the agent's.
    pub(crate) fn mute(&mut self, is_mute: bool) {
        if let Transport::WebSocket(socket) = &mut self.transport {
            socket.is_mute = is_mute;
        }
    }

    /// Queues an Engine.IO packet.
    pub(crate) fn send(&mut self, packet: &str) {
        let said = match &self.interpreter {
            Some(_) => Interpreter::say(packet),
            None => Some(packet.to_owned()),
        };
        let Some(packet) = &said else {
            return;
        };
        match &mut self.transport {
            Transport::WebSocket(socket) => socket.write(1, packet.as_bytes()),
            Transport::Polling(polling) => polling.unsent.push(packet.to_owned()),
        }
    }

    /// Queues an attachment.
    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        match &mut self.transport {
            Transport::WebSocket(socket) => socket.write(2, bytes),
            Transport::Polling(polling) => {
                polling.unsent.push(format!("b{}", STANDARD.encode(bytes)))
            }
        }
    }

    /// Queues any frame, well formed or not; nothing on polling.
    pub(crate) fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        if let Transport::WebSocket(socket) = &mut self.transport {
            socket.write(opcode, payload);
        }
    }

    /// Queues bytes that may be no frame at all; a body on polling.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        match &mut self.transport {
            Transport::WebSocket(socket) => socket.unsent.extend_from_slice(bytes),
            Transport::Polling(polling) => {
                polling
                    .unsent
                    .push(String::from_utf8_lossy(bytes).into_owned());
            }
        }
    }

    /// Moves bytes and requests, and gives what came. An error is something that no server may send.
    pub(crate) fn pump(&mut self, pace: Pace) -> Result<Vec<Came>, String> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let came = match &mut self.transport {
            Transport::WebSocket(socket) => socket.pump(pace)?,
            Transport::Polling(_) => self.pump_polling(pace)?,
        };
        let came = self.interpret(came)?;
        self.is_over |= came
            .iter()
            .any(|came| matches!(came, Came::Closed(_) | Came::Lost | Came::Torn));
        Ok(came)
    }

    fn interpret(&mut self, came: Vec<Came>) -> Result<Vec<Came>, String> {
        let Some(interpreter) = &mut self.interpreter else {
            return Ok(came);
        };
        let mut told = Vec::with_capacity(came.len());
        for came in came {
            match came {
                Came::Text(text) => {
                    told.extend(interpreter.hear(&text)?.into_iter().map(Came::Text))
                }
                other => told.push(other),
            }
        }
        Ok(told)
    }

    /// Ends it: by FIN, or by RST, which may cut a frame in two.
    pub(crate) fn cut(&mut self, abruptly: bool) {
        match &mut self.transport {
            Transport::WebSocket(socket) if abruptly => socket.peer.reset(),
            Transport::WebSocket(socket) => socket.peer.close(),
            Transport::Polling(polling) => {
                if let Some(upgrade) = &polling.upgrade {
                    upgrade.socket.peer.reset();
                }
                *polling = Polling::default();
            }
        }
        self.is_over = true;
    }

    /// Has the engine read and write in pieces of so many bytes.
    pub(crate) fn split(&self, read_bytes_max: usize, write_bytes_max: usize) {
        if let Transport::WebSocket(socket) = &self.transport {
            socket.peer.split(read_bytes_max, write_bytes_max);
        }
    }

    /// Tries a WebSocket beside the polling.
    pub(crate) fn upgrade(&mut self, room_bytes: usize) {
        let Transport::Polling(polling) = &mut self.transport else {
            return;
        };
        let Some(id) = polling.sid.as_deref().and_then(ConnectionId::parse) else {
            return;
        };
        let (socket, peer) = link(room_bytes, usize::MAX);
        let engine = self.engine.clone();
        tokio::task::spawn_local(async move {
            let Some(port) = engine.port(id.shard()) else {
                return;
            };
            let (reply, checked) = oneshot::channel();
            let check = HttpCommand::CheckUpgrade {
                id,
                identity: 0,
                reply,
            };
            let _ = port.commands.send(check.into()).await;
            if matches!(checked.await, Ok(Ok(()))) {
                let upgraded = Upgraded {
                    stream: socket.into(),
                    read_ahead: Bytes::new(),
                };
                let upgrade = HttpCommand::Upgrade { id, upgraded };
                let _ = port.commands.send(upgrade.into()).await;
            }
        });
        let mut socket = WebSocket::new(peer);
        socket.write(1, b"2probe");
        polling.upgrade = Some(Upgrade {
            socket,
            has_answer: false,
        });
    }

    /// Gives an upgrade up in the middle, as a client does whose WebSocket breaks.
    pub(crate) fn abandon_upgrade(&mut self) {
        if let Transport::Polling(polling) = &mut self.transport
            && let Some(upgrade) = polling.upgrade.take()
        {
            upgrade.socket.peer.reset();
        }
    }

    /// A second GET beside the one that waits: against the rules.
    pub(crate) fn poll_twice(&mut self) {
        let Some(pending) = self.request("GET", None) else {
            return;
        };
        if let Transport::Polling(polling) = &mut self.transport {
            polling.post = Some(pending);
        }
    }

    fn request(&self, method: &str, body: Option<String>) -> Option<Pending> {
        let Transport::Polling(polling) = &self.transport else {
            return None;
        };
        let sid = polling.sid.as_ref().map(|sid| format!("&sid={sid}"));
        let uri = format!(
            "/?EIO=4&transport=polling&{}{}",
            self.query,
            sid.unwrap_or_default()
        );
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "simulated")
            .body(body)
            .ok()?;
        let answer = Rc::new(RefCell::new(None));
        let (engine, place) = (self.engine.clone(), Rc::clone(&answer));
        let task = tokio::task::spawn_local(async move {
            let response = engine.handle(request, 0, address()).await;
            let status = response.status().as_u16();
            let Ok(body) = response.into_body().collect().await;
            place.replace(Some((status, body.to_bytes().to_vec())));
        });
        Some(Pending { task, answer })
    }

    fn pump_polling(&mut self, pace: Pace) -> Result<Vec<Came>, String> {
        let mut came = self.pump_upgrade(pace)?;
        let Transport::Polling(polling) = &mut self.transport else {
            return Ok(came);
        };
        let is_pausing = polling
            .upgrade
            .as_ref()
            .is_some_and(|upgrade| upgrade.has_answer);
        let posted = taken(&mut polling.post);
        if posted
            .as_ref()
            .is_some_and(|(status, body)| *status == 200 && body != b"ok")
        {
            // A second GET was given what the next one was to bring: the order is lost, by the client's own fault.
            return Ok(vec![Came::Lost]);
        }
        match taken(&mut polling.get) {
            Some((200, body)) => came.extend(packets(&body)?),
            Some((status, _)) if polling.sid.is_none() && status != 503 => {
                return Err(format!("{status} for a handshake"));
            }
            Some(_) => came.push(Came::Lost),
            None => {}
        }
        if posted.is_some_and(|(status, _)| status != 200) {
            came.push(Came::Lost);
        }
        if is_pausing {
            self.change_over();
            return Ok(came);
        }
        let is_known = polling.sid.is_some() || came.is_empty();
        let wants_get = polling.get.is_none() && pace.read_bytes > 0 && is_known;
        let wants_post =
            polling.post.is_none() && polling.sid.is_some() && !polling.unsent.is_empty();
        let body = wants_post.then(|| std::mem::take(&mut polling.unsent).join("\u{1e}"));
        let get = wants_get.then(|| self.request("GET", None)).flatten();
        let post = body.and_then(|body| self.request("POST", Some(body)));
        if let Transport::Polling(polling) = &mut self.transport {
            polling.get = polling.get.take().or(get);
            polling.post = polling.post.take().or(post);
        }
        Ok(came)
    }

    /// Reads the WebSocket that is being tried. Nothing but the answer to the probe may come before the change.
    fn pump_upgrade(&mut self, pace: Pace) -> Result<Vec<Came>, String> {
        let Transport::Polling(polling) = &mut self.transport else {
            return Ok(Vec::new());
        };
        let Some(upgrade) = &mut polling.upgrade else {
            return Ok(Vec::new());
        };
        for came in upgrade.socket.pump(pace)? {
            match came {
                Came::Text(text) if text == "3probe" && !upgrade.has_answer => {
                    upgrade.has_answer = true;
                }
                Came::Closed(_) | Came::Lost | Came::Torn => {
                    polling.upgrade = None;
                    break;
                }
                other => return Err(format!("{other:?} before the change of transport")),
            }
        }
        Ok(Vec::new())
    }

    /// When the last poll and post are answered, the client changes over.
    fn change_over(&mut self) {
        let Transport::Polling(polling) = &mut self.transport else {
            return;
        };
        if polling.get.is_some() || polling.post.is_some() {
            return;
        }
        let unsent = std::mem::take(&mut polling.unsent);
        if let Some(upgrade) = polling.upgrade.take() {
            let mut socket = upgrade.socket;
            socket.write(1, b"5");
            self.transport = Transport::WebSocket(socket);
            for packet in unsent {
                match packet.strip_prefix('b').map(|text| STANDARD.decode(text)) {
                    Some(Ok(bytes)) => self.send_binary(&bytes),
                    _ => self.send(&packet),
                }
            }
        }
    }
}

impl Polling {
    fn has_answers(&self) -> bool {
        let mut requests = [&self.get, &self.post].into_iter().flatten();
        requests.any(|request| request.answer.borrow().is_some())
    }
}

fn taken(pending: &mut Option<Pending>) -> Option<Answer> {
    let answer = pending.as_ref()?.answer.borrow_mut().take()?;
    *pending = None;
    Some(answer)
}

fn packets(body: &[u8]) -> Result<Vec<Came>, String> {
    let body = std::str::from_utf8(body).map_err(|_| "a payload that is not UTF-8".to_owned())?;
    let packets = body
        .split('\u{1e}')
        .map(|packet| match packet.strip_prefix('b') {
            Some(base64) => STANDARD
                .decode(base64)
                .map(Came::Binary)
                .map_err(|_| format!("{packet:?}, which is no base64")),
            None => Ok(Came::Text(packet.to_owned())),
        });
    packets.collect()
}
