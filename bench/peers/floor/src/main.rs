//! The floor of the benchmark: the least that any server can do for the contract (`join`, `pub`, `echo`) that writes to each
//! socket by itself. **Not a server**, and nothing to learn from: it shows what the kernel takes.
//!
//! In: the port as the only argument. Out: the packets that the load generator waits for, and for each `pub` one frame, made
//! once, with one `send` to each member. One thread, one epoll, one read for each readiness. It checks nothing but the
//! upgrade's key, and has no limits, heartbeats, timers, queues or acks of its own: a socket that the kernel has no room for, and a frame
//! that arrives in two reads, end their connection.

use std::error::Error;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use sha1::{Digest as _, Sha1};

const LISTENER: u64 = u64::MAX;
const EVENTS_PER_TURN_MAX: usize = 512;
const READ_BYTES_MAX: usize = 64 * 1024;
/// Of RFC 6455.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPEN: &[u8] = br#"0{"sid":"floor","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &[u8] = br#"40{"sid":"floor"}"#;

struct Client {
    socket: OwnedFd,
    upgraded: bool,
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By their epoll data. Numbers are not used again: a run has its own process.
    clients: Vec<Option<Client>>,
    rooms: Vec<(Vec<u8>, Vec<usize>)>,
    /// The frame that is being sent.
    frame: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("which port?")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    // Accepted sockets inherit it, which saves a call for each.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    rustix::net::listen(&listener, 4096)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
    let mut floor = Floor {
        epoll,
        listener,
        clients: Vec::new(),
        rooms: Vec::new(),
        frame: Vec::new(),
    };
    let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS_PER_TURN_MAX);
    let mut input = vec![0; READ_BYTES_MAX];
    loop {
        events.clear();
        epoll::wait(
            &floor.epoll,
            rustix::buffer::spare_capacity(&mut events),
            None,
        )?;
        for event in &events {
            match event.data.u64() {
                LISTENER => floor.accept()?,
                index => floor.readable(index as usize, &mut input),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) -> rustix::io::Result<()> {
        let socket = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(self.clients.len() as u64);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
        self.clients.push(Some(Client {
            socket,
            upgraded: false,
        }));
        Ok(())
    }

    fn readable(&mut self, index: usize, input: &mut [u8]) {
        let Some(client) = &mut self.clients[index] else {
            return;
        };
        let length = match rustix::net::recv(&client.socket, &mut *input, RecvFlags::DONTWAIT) {
            Ok((1.., length)) => length,
            Ok((0, _)) | Err(_) => {
                self.clients[index] = None;
                return;
            }
        };
        let input = &mut input[..length];
        let understood = if client.upgraded {
            self.frames(index, input)
        } else {
            client.upgraded = true;
            self.upgrade(index, input)
        };
        if understood.is_none() {
            self.clients[index] = None;
        }
    }

    /// 101 and OPEN in one write.
    fn upgrade(&mut self, index: usize, request: &[u8]) -> Option<()> {
        const HEADER: &[u8] = b"Sec-WebSocket-Key: ";
        let at = request
            .windows(HEADER.len())
            .position(|window| window == HEADER)?;
        let key = request.get(at + HEADER.len()..at + HEADER.len() + 24)?;
        let digest = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX);
        let accept = STANDARD.encode(digest.finalize());
        let mut answer = Vec::with_capacity(256);
        write!(
            answer,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .ok()?;
        push_text(&mut answer, &[OPEN]);
        self.send(index, &answer)
    }

    /// Every frame of one read.
    fn frames(&mut self, index: usize, mut input: &mut [u8]) -> Option<()> {
        while let [_, second, rest @ ..] = input {
            let (length, rest) = match (*second & 0x7f, rest) {
                (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
                (127, _) => return None,
                (length, rest) => (usize::from(length), rest),
            };
            let (mask, rest) = rest.split_first_chunk_mut::<4>()?;
            let (payload, rest) = rest.split_at_mut_checked(length)?;
            for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= key;
            }
            self.packet(index, payload)?;
            input = rest;
        }
        Some(())
    }

    fn packet(&mut self, index: usize, packet: &[u8]) -> Option<()> {
        let Some(event) = packet.strip_prefix(b"42") else {
            return match packet {
                b"40" => self.answer(index, &[CONNECTED]),
                _ => Some(()),
            };
        };
        let digits = event
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (ack, event) = event.split_at(digits);
        if let Some(room) = event.strip_prefix(br#"["join",""#) {
            let room = self.room(room.strip_suffix(br#""]"#)?);
            self.rooms[room].1.push(index);
        } else if let Some(rest) = event.strip_prefix(br#"["pub",""#) {
            let end = rest.iter().position(|byte| *byte == b'"')?;
            let room = self.room(&rest[..end]);
            self.publish(room, rest.get(end + 2..)?);
        } else if let Some(payload) = event.strip_prefix(br#"["echo","#) {
            self.answer(index, &[b"43", ack, b"[", payload])?;
        }
        Some(())
    }

    fn room(&mut self, name: &[u8]) -> usize {
        let found = self.rooms.iter().position(|(room, _)| room == name);
        found.unwrap_or_else(|| {
            self.rooms.push((name.to_owned(), Vec::new()));
            self.rooms.len() - 1
        })
    }

    /// What this program is for: one frame, one `send` a member.
    fn publish(&mut self, room: usize, payload_and_bracket: &[u8]) {
        self.frame.clear();
        push_text(&mut self.frame, &[br#"42["msg","#, payload_and_bracket]);
        for &member in &self.rooms[room].1 {
            let Some(client) = &self.clients[member] else {
                continue;
            };
            if !sent_whole(client, &self.frame) {
                self.clients[member] = None;
            }
        }
    }

    fn answer(&mut self, index: usize, parts: &[&[u8]]) -> Option<()> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        push_text(&mut frame, parts);
        let sent = self.send(index, &frame);
        self.frame = frame;
        sent
    }

    fn send(&self, index: usize, bytes: &[u8]) -> Option<()> {
        sent_whole(self.clients[index].as_ref()?, bytes).then_some(())
    }
}

fn sent_whole(client: &Client, bytes: &[u8]) -> bool {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::send(&client.socket, bytes, flags) == Ok(bytes.len())
}

/// Appends `parts`, joined, as one text frame.
fn push_text(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x81);
    if length < 126 {
        out.push(length as u8);
    } else {
        out.push(126);
        out.extend_from_slice(&(length as u16).to_be_bytes());
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}
