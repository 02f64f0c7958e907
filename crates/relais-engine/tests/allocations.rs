//! What the engine takes from the heap: nothing for a recipient, little for a message, and how much for a connection at rest.
//!
//! A test program of its own, because it counts the allocations of the whole process: the clients here are plain sockets that
//! allocate nothing while it counts. Counts, not times, so that they hold on any machine.

#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use relais_engine::{
    Accept, AcceptLimits, Connect, Delivery, EngineHandle, Event, Flow, Listener, LocalFuture,
    NoLog, OutEvent, Refuse, Reply, Room, Scope, Service, Settings, Socket, serve_endpoints,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SCOPE: Scope = Scope(0);

/// One test at a time, for the counts are everybody's.
static ALONE: Mutex<()> = Mutex::new(());

/// Passes on what comes: `join` enters the room, `pub` sends its argument to it, `echo` acks it.
struct Relay {
    room: Room,
    name: Arc<str>,
}

impl Service for Relay {
    type Data = ();

    fn connect(self: &Arc<Self>, _: Connect) -> LocalFuture<Result<Accept<()>, Refuse>> {
        Box::pin(async { Ok(Accept::fresh(SCOPE, ())) })
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        let args = || Bytes::copy_from_slice(event.args.as_bytes());
        match event.name {
            "join" => {
                socket.join(&self.room);
                Flow::Reply(Reply::default())
            }
            "pub" => {
                let event = OutEvent::to_room(self.room.clone(), Arc::clone(&self.name), args());
                socket.publish(Arc::new(Delivery::event(SCOPE, event)));
                Flow::Done
            }
            _ => Flow::Reply(Reply::json(args())),
        }
    }
}

fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let settings = Settings {
            shards: 1,
            ..Settings::default()
        };
        let service = Arc::new(Relay {
            room: Room::from("room"),
            name: Arc::from("msg"),
        });
        let engine = EngineHandle::start(settings, service, Arc::new(NoLog)).unwrap();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
                tell.send(listener.local_addr()).unwrap();
                let never = std::future::pending();
                let limits = AcceptLimits::default();
                serve_endpoints(engine, listener, limits, never, |_| Some(0.into()))
                    .await
                    .unwrap();
            });
        });
        told.recv().unwrap()
    })
}

/// A client that allocates nothing once it is there.
struct Client {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

impl Client {
    fn connect() -> Self {
        let stream = TcpStream::connect(server()).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self {
            stream,
            buffer: vec![0; 64 * 1024].into(),
        };
        client.stream.write_all(REQUEST).unwrap();
        client.read_until(b"\"maxPayload\":1048576}");
        client.send(b"40");
        client.read_until(b"}");
        client
    }

    fn in_room() -> Self {
        let mut client = Self::connect();
        client.send(b"420[\"join\"]");
        client.read_until(b"430[]");
        client
    }

    /// Masked with zeros, at most 125 bytes.
    fn send(&mut self, text: &[u8]) {
        self.send_many(text, 1);
    }

    /// The same frame several times, in one write.
    fn send_many(&mut self, text: &[u8], times: usize) {
        let mut frames = [0; 4096];
        let mut end = 0;
        for _ in 0..times {
            frames[end..end + 6].copy_from_slice(&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0]);
            frames[end + 6..end + 6 + text.len()].copy_from_slice(text);
            end += 6 + text.len();
        }
        self.stream.write_all(&frames[..end]).unwrap();
    }

    /// Reads until what came ends like this.
    fn read_until(&mut self, end: &[u8]) {
        let mut filled = 0;
        while !self.buffer[..filled].ends_with(end) {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the stream ended");
            filled += read;
        }
    }

    fn read_bytes(&mut self, bytes: usize) {
        self.stream.read_exact(&mut self.buffer[..bytes]).unwrap();
    }
}

const REQUEST: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const PUBLISHED: &[u8] = br#"42["pub",{"text":"hello, everybody in this room"}]"#;
const DELIVERED: &[u8] = br#"42["msg",{"text":"hello, everybody in this room"}]"#;
const MESSAGES: usize = 400;

/// Allocations and reallocations for each message of a room with so many members, sent in bursts of `together`.
fn allocations_a_message(members: usize, together: usize) -> f64 {
    let mut publisher = Client::connect();
    let mut members: Vec<_> = (0..members).map(|_| Client::in_room()).collect();
    let mut burst = || {
        publisher.send_many(PUBLISHED, together);
        for member in &mut members {
            member.read_bytes((2 + DELIVERED.len()) * together);
        }
    };
    // What grows once and stays, such as the flusher's list, is not what this is about.
    for _ in 0..20 {
        burst();
    }
    let before = HEAP.stats();
    for _ in 0..MESSAGES / together {
        burst();
    }
    let made = HEAP.stats() - before;
    (made.allocations + made.reallocations) as f64 / MESSAGES as f64
}

#[test]
fn a_fan_out_allocates_nothing_for_its_recipients() {
    let _alone = ALONE.lock();
    let (few, many) = (allocations_a_message(5, 1), allocations_a_message(105, 1));
    // A hundred more recipients; the timers of the shard may allocate once in a while.
    assert!(many - few < 0.5, "{few} for 5 members, {many} for 105");
    assert!(many < 5.5, "{many} allocations for a message");
}

#[test]
fn a_burst_allocates_nothing_for_its_recipients_either() {
    let _alone = ALONE.lock();
    let (few, many) = (allocations_a_message(5, 10), allocations_a_message(105, 10));
    assert!(many - few < 0.5, "{few} for 5 members, {many} for 105");
}

#[test]
fn a_round_trip_allocates_its_reply_and_its_frame() {
    let _alone = ALONE.lock();
    let mut client = Client::connect();
    let mut trip = || {
        client.send(br#"427["echo",{"a":1}]"#);
        client.read_until(br#"437[{"a":1}]"#);
    };
    (0..20).for_each(|_| trip());
    let before = HEAP.stats();
    (0..MESSAGES).for_each(|_| trip());
    let made = HEAP.stats() - before;
    let each = (made.allocations + made.reallocations) as f64 / MESSAGES as f64;
    assert!(each < 3.5, "{each} allocations a round trip");
}

/// What the heap holds now.
fn live(stats: Stats) -> isize {
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

#[test]
fn a_connection_at_rest_holds_little() {
    let _alone = ALONE.lock();
    let mut clients: Vec<Client> = Vec::with_capacity(4096);
    // Until maps and lists have grown past their first sizes.
    clients.extend((0..600).map(|_| Client::connect()));
    let own = clients[0].buffer.len() as isize;
    let before = live(HEAP.stats());
    let more: isize = 1000;
    clients.extend((0..more).map(|_| Client::connect()));
    let mut each = 0;
    // What a handshake used is freed a moment after its last answer.
    for _ in 0..10_000 {
        each = (live(HEAP.stats()) - before) / more - own;
        if each <= CONNECTION_BYTES_MAX {
            break;
        }
        std::thread::yield_now();
    }
    assert!(each <= CONNECTION_BYTES_MAX, "{each} bytes a connection");
}

/// On the heap, for a connected WebSocket with one session and no room: what is over of 2 KiB is for an application and for what an allocator rounds up.
const CONNECTION_BYTES_MAX: isize = 1240;
