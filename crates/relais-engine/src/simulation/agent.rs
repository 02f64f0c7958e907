//! A client with a memory: it connects, resumes, changes transport, misbehaves when told to, and holds all that it hears against the truth.
//!
//! What it has heard is kept in the truth of its session, as a stock client keeps the last offset; links that it has left are read to
//! their end, and may bring nothing that was committed after the server knew that they had ended.

use std::collections::{BTreeSet, VecDeque};

use super::link::{Came, Link, Pace};
use super::service::REFUSED;
use super::truth::Heard;
use super::wire::{Packet, numbers};
use super::world::Shared;
use crate::endpoint::Wire;
use crate::handle::EngineHandle;
use crate::room::Position;

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No answer to the handshake yet.
    Opening,
    /// CONNECT was sent.
    Connecting,
    /// CONNECT was answered; the first event must be `connected`.
    Answered,
    Connected,
}

/// One client.
pub(crate) struct Agent {
    pub(crate) number: u64,
    pub(super) world: Shared,
    engine: EngineHandle,
    namespace: &'static str,
    pub(crate) scope: u32,
    has_recovery: bool,
    is_plain: bool,
    /// The session, once there was one.
    pub(crate) sid: Option<String>,
    /// The last offset.
    offset: Option<String>,
    pub(crate) link: Option<Link>,
    pub(crate) phase: Phase,
    /// CONNECT follows a DISCONNECT on the same link: what comes before its answer is of the session before, and ignored.
    is_in_place: bool,
    ghosts: Vec<Link>,
    /// An event whose attachments are still to come.
    incomplete: Option<(Packet, usize)>,
    /// Of the events sent since CONNECT.
    sent: u64,
    /// What ack ids begin with: acks of a session that it has left on this link may still come, and are nobody's.
    ack_base: u64,
    /// Events whose ack is awaited, in order.
    pub(crate) awaiting: VecDeque<u64>,
    pub(super) volatiles: BTreeSet<u64>,
    pub(crate) pace: Pace,
    /// It answers no ping.
    pub(crate) is_mute: bool,
    /// It has broken a rule on this link, or was too slow for one: the server may close as it likes.
    pub(crate) has_sinned: bool,
    /// It has read slowly or answered no ping on this link: it may have been taken for dead within a frame.
    has_dawdled: bool,
}

/// Who an agent is.
pub(crate) struct Identity {
    pub(crate) number: u64,
    pub(crate) scope: u32,
    pub(crate) namespace: &'static str,
    pub(crate) has_recovery: bool,
    /// Plain JSON, which has the namespace `/` and recovery.
    pub(crate) is_plain: bool,
}

/// More than a session has events.
const ACKS_OF_A_SESSION: u64 = 1_000_000;

/// All that there is.
pub(crate) const FAST: Pace = Pace {
    read_bytes: usize::MAX,
    write_bytes: usize::MAX,
};

impl Agent {
    pub(crate) fn new(world: Shared, engine: EngineHandle, identity: &Identity) -> Self {
        Self {
            number: identity.number,
            world,
            engine,
            namespace: identity.namespace,
            scope: identity.scope,
            has_recovery: identity.has_recovery,
            is_plain: identity.is_plain,
            sid: None,
            offset: None,
            link: None,
            phase: Phase::Opening,
            is_in_place: false,
            ghosts: Vec::new(),
            incomplete: None,
            sent: 0,
            ack_base: 0,
            awaiting: VecDeque::new(),
            volatiles: BTreeSet::new(),
            pace: FAST,
            is_mute: false,
            has_sinned: false,
            has_dawdled: false,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_some() && self.phase == Phase::Connected
    }

    /// Opens a link; an older one is left behind, still open.
    pub(crate) fn open(&mut self, number: u64, by_polling: bool, room_bytes: usize) {
        let recovery = u8::from(self.has_recovery);
        let query = format!("u={}&s={}&r={recovery}&l={number}", self.number, self.scope);
        let link = match (self.is_plain, by_polling) {
            (true, _) => {
                let query = format!("{query}{}", self.comeback());
                Link::websocket(&self.engine, number, &query, room_bytes, Wire::Plain)
            }
            (false, true) => Link::polling(&self.engine, number, &query),
            (false, false) => {
                Link::websocket(&self.engine, number, &query, room_bytes, Wire::SocketIo)
            }
        };
        self.note(|| format!("opens link {number}, polling: {by_polling}"));
        self.ghosts.extend(self.link.replace(link));
        self.begin_again();
        if self.is_plain {
            // Its request is its CONNECT.
            self.phase = Phase::Connecting;
        }
        self.incomplete = None;
        self.has_sinned = false;
        self.has_dawdled = false;
        self.is_mute = false;
        self.pace = FAST;
    }

    fn begin_again(&mut self) {
        self.phase = Phase::Opening;
        self.is_in_place = false;
        self.sent = 0;
        self.awaiting.clear();
    }

    /// Forgets its session: the next CONNECT is a fresh one.
    pub(crate) fn forget(&mut self) {
        self.sid = None;
        self.offset = None;
    }

    /// Ends its link without a word.
    pub(crate) fn cut(&mut self, abruptly: bool) {
        if let Some(mut link) = self.link.take() {
            self.note(|| format!("cuts link {}", link.number));
            link.cut(abruptly);
        }
    }

    /// Leaves: DISCONNECT, and the end of the transport.
    pub(crate) fn leave(&mut self) {
        if self.phase == Phase::Connected {
            self.say(&format!("1{}", self.address()));
        }
        if let Some(mut link) = self.link.take() {
            match link.is_polling() {
                true => link.send("1"),
                false => link.send_frame(8, &1000_u16.to_be_bytes()),
            }
            self.ghosts.push(link);
        }
        self.forget();
    }

    /// DISCONNECT, and CONNECT again on the same link, where there is such a thing.
    pub(crate) fn reconnect_in_place(&mut self) {
        if self.is_plain {
            return self.leave();
        }
        self.say(&format!("1{}", self.address()));
        self.begin_again();
        self.ack_base += ACKS_OF_A_SESSION;
        self.is_in_place = true;
        self.connect();
    }

    /// Sends `["c",NUMBER,KIND,ARGUMENT]`.
    pub(crate) fn ask(&mut self, kind: u64, argument: u64, wants_ack: bool) {
        self.sent += 1;
        let number = self.sent;
        let id = self.ack_base + number;
        let id = if wants_ack {
            id.to_string()
        } else {
            String::new()
        };
        if wants_ack {
            self.awaiting.push_back(number);
        }
        self.say(&format!(
            "2{}{id}[\"c\",{number},{kind},{argument}]",
            self.address()
        ));
    }

    /// A binary event, whose attachment follows; on plain JSON an ordinary one.
    pub(crate) fn ask_binary(&mut self, kind: u64, argument: u64) {
        if self.is_plain {
            return self.ask(kind, argument, false);
        }
        self.sent += 1;
        let number = self.sent;
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        self.say(&format!(
            "51-{}[\"c\",{number},{kind},{argument},{placeholder}]",
            self.address()
        ));
        if let Some(link) = &mut self.link {
            link.send_binary(&[1, 2, 3]);
        }
    }

    /// A Socket.IO packet.
    pub(crate) fn say(&mut self, packet: &str) {
        if let Some(link) = &mut self.link {
            link.send(&format!("4{packet}"));
        }
    }

    fn address(&self) -> String {
        match self.namespace {
            "/" => String::new(),
            other => format!("{other},"),
        }
    }

    /// What a plain JSON client adds to its address to go on with its session.
    fn comeback(&self) -> String {
        let back = self.sid.as_ref().zip(self.offset.as_ref());
        back.map_or_else(String::new, |(sid, offset)| {
            format!("&p=p-{sid}&o={offset}")
        })
    }

    fn connect(&mut self) {
        let back = self.sid.as_ref().zip(self.offset.as_ref());
        let auth = match back {
            Some((sid, offset)) => format!(r#"{{"pid":"p-{sid}","offset":"{offset}"}}"#),
            None => "{}".to_owned(),
        };
        self.say(&format!("0{}{auth}", self.address()));
        self.phase = Phase::Connecting;
    }

    /// Reads and writes as its pace allows, and takes in what came.
    /// Whether more may come without time.
    pub(crate) fn pump(&mut self) -> bool {
        let ghosts = std::mem::take(&mut self.ghosts);
        for mut ghost in ghosts {
            self.pump_ghost(&mut ghost);
            if !ghost.is_over() {
                self.ghosts.push(ghost);
            }
        }
        let Some(link) = &mut self.link else {
            return false;
        };
        let waited = link.waiting();
        let is_slow = self.pace.read_bytes != usize::MAX;
        self.has_dawdled |= is_slow || self.is_mute;
        link.mute(self.is_mute);
        match link.pump(self.pace) {
            Ok(came) => {
                for came in came {
                    self.take(came);
                }
            }
            Err(what) => self.wrong(|| format!("was sent {what}")),
        }
        if self.link.as_ref().is_some_and(Link::is_over) {
            self.link = None;
        }
        waited > 0 && !is_slow
    }

    fn take(&mut self, came: Came) {
        match came {
            Came::Text(text) => self.packet(&text),
            Came::Binary(_) => match self.incomplete.take() {
                Some((packet, 1)) => self.socketio(&packet),
                Some((packet, left)) => self.incomplete = Some((packet, left - 1)),
                None => self.wrong(|| "was sent an attachment of nothing".to_owned()),
            },
            Came::Closed(code) => {
                self.note(|| format!("was closed with {code:?}"));
                let is_blame = matches!(code, Some((1002 | 1003 | 1007 | 1009, _)));
                if is_blame && !self.has_sinned {
                    self.wrong(|| format!("was closed with {code:?} without a fault of its own"));
                }
            }
            Came::Lost => self.note(|| "lost its link".to_owned()),
            Came::Torn if self.has_dawdled || self.has_sinned => {
                self.note(|| "lost its link within a frame".to_owned());
            }
            Came::Torn => self.wrong(|| "saw its stream end within a frame".to_owned()),
        }
    }

    fn packet(&mut self, text: &str) {
        if self.incomplete.is_some() {
            return self.wrong(|| format!("was sent {text:?} before an attachment"));
        }
        let rest = text.get(1..).unwrap_or("");
        match text.as_bytes().first() {
            Some(b'0') if self.phase == Phase::Opening => {
                let sid = rest.split('"').nth(3).unwrap_or("").to_owned();
                if let Some(link) = &mut self.link {
                    link.opened(&sid);
                }
                self.connect();
            }
            Some(b'2') if rest.is_empty() => {
                if let (false, Some(link)) = (self.is_mute, &mut self.link) {
                    link.send("3");
                }
            }
            Some(b'6') => {}
            Some(b'1') => {
                // The transport's close on polling; nothing may follow.
                self.note(|| "was closed".to_owned());
                self.cut(false);
            }
            Some(b'4') => match Packet::parse(rest) {
                Some(packet) if packet.attachments > 0 => {
                    let attachments = packet.attachments;
                    self.incomplete = Some((packet, attachments));
                }
                Some(packet) => self.socketio(&packet),
                None => self.wrong(|| format!("was sent {text:?}")),
            },
            _ => self.wrong(|| format!("was sent {text:?}")),
        }
    }

    fn socketio(&mut self, packet: &Packet) {
        if packet.namespace != self.namespace {
            // It may have asked for another one just to break a rule.
            if self.has_sinned {
                return;
            }
            return self.wrong(|| format!("was sent {packet:?}, of another namespace"));
        }
        match (packet.kind, self.phase) {
            (b'0', Phase::Connecting) => self.answered(packet),
            (b'4', Phase::Connecting) => self.cut(false),
            (b'2' | b'3' | b'5', Phase::Connecting) if self.is_in_place => {}
            (b'1', _) => {
                // Stock clients do not come back from this on their own; this one begins anew.
                self.cut(false);
                self.forget();
            }
            (b'2' | b'5', Phase::Answered | Phase::Connected) => self.event(packet),
            (b'3', Phase::Connected) => self.acked(packet),
            _ => self.wrong(|| format!("was sent {packet:?} while {:?}", self.phase)),
        }
    }

    fn answered(&mut self, packet: &Packet) {
        self.phase = Phase::Answered;
        let sid = packet.text_of("sid").unwrap_or("").to_owned();
        let pid = packet.text_of("pid").map(str::to_owned);
        if self.has_recovery != pid.is_some() {
            self.wrong(|| format!("was answered with pid {pid:?}"));
        }
        self.note(|| format!("is session {sid}"));
        if self.sid.as_ref() != Some(&sid) {
            self.sid = Some(sid);
            self.offset = None;
            self.volatiles.clear();
        }
    }

    fn acked(&mut self, packet: &Packet) {
        let Some(number) = packet.id.unwrap_or(0).checked_sub(self.ack_base) else {
            return;
        };
        // A refusal does not wait for its turn.
        if packet.json == format!("[{REFUSED}{number}]") {
            let place = self.awaiting.iter().position(|waits| *waits == number);
            if place.and_then(|at| self.awaiting.remove(at)).is_none() {
                self.wrong(|| format!("was refused {number}, for which it does not wait"));
            }
            return;
        }
        let expected = self.awaiting.pop_front();
        if expected != Some(number) || packet.json != format!("[{number}]") {
            self.wrong(|| {
                format!(
                    "was sent ack {number} {} instead of {expected:?}",
                    packet.json
                )
            });
        }
    }

    fn event(&mut self, packet: &Packet) {
        let Some((name, args)) = packet.event() else {
            return self.wrong(|| format!("was sent {packet:?}"));
        };
        let is_first = self.phase == Phase::Answered;
        if is_first != (name == "connected") {
            return self.wrong(|| format!("was sent {name} as its first event: {is_first}"));
        }
        self.phase = Phase::Connected;
        let offset = packet
            .offset()
            .filter(|_| self.has_recovery)
            .map(str::to_owned);
        let has_offset = match self.is_plain {
            true => matches!(name, "m" | "connected" | "gap"),
            false => name != "q",
        };
        if self.has_recovery && has_offset && offset.is_none() {
            return self.wrong(|| format!("was sent {} without an offset", packet.json));
        }
        match name {
            "m" => self.record(args, offset.as_deref()),
            "gap" => self.gap(args),
            "v" => self.volatile(args),
            "connected" => self.began(args),
            "q" => self.answer(packet, args),
            "x" | "live" => {}
            // What it says to break a rule is no frame.
            "error" if self.is_plain && self.has_sinned => {}
            _ => self.wrong(|| format!("was sent {name}")),
        }
        if let Some(offset) = offset {
            if name != "m" {
                self.hears_up_to(&offset, name);
            }
            self.offset = Some(offset);
        }
    }

    fn answer(&mut self, packet: &Packet, args: &str) {
        let number = numbers(args).next().unwrap_or(0);
        let id = packet.id.unwrap_or(0);
        // One in four is left without an answer.
        if !number.is_multiple_of(4) {
            self.say(&format!("3{}{id}[{number}]", self.address()));
        }
    }

    /// How many volatile events its session was sent.
    pub(crate) fn volatiles(&self) -> usize {
        self.volatiles.len()
    }

    pub(crate) fn heard(&self) -> Option<Heard> {
        let world = self.world.lock();
        world
            .truths
            .get(self.sid.as_deref()?)
            .map(|truth| truth.heard)
    }

    /// A link that was left: nothing newer than its end comes over it.
    fn pump_ghost(&mut self, ghost: &mut Link) {
        let ended = self.world.lock().ended.get(&ghost.number).copied();
        let came = match ghost.pump(FAST) {
            Ok(came) => came,
            Err(what) => return self.wrong(|| format!("was sent {what} on an old link")),
        };
        for came in came {
            let Came::Text(text) = came else { continue };
            if text == "2" && ended.is_none() && !self.is_mute {
                ghost.send("3");
            }
            let packet = text.strip_prefix('4').and_then(Packet::parse);
            let Some(("m", args)) = packet.as_ref().and_then(Packet::event) else {
                continue;
            };
            let words: Vec<u64> = numbers(args).take(3).collect();
            let [_, epoch, position] = words[..] else {
                continue;
            };
            let at = Position {
                epoch: u32::try_from(epoch).unwrap_or(0),
                position,
            };
            if ended.is_some_and(|ended| at > ended) {
                self.wrong(|| {
                    format!(
                        "was sent record {position} on link {}, which had ended",
                        ghost.number
                    )
                });
            }
        }
    }

    /// Cuts the links that it has left.
    pub(crate) fn lay_ghosts(&mut self) {
        for mut ghost in self.ghosts.drain(..) {
            ghost.cut(true);
        }
    }

    /// The first event of the log up to now that it must have heard and has not.
    pub(crate) fn first_missing(&self, up_to: u64) -> Option<(u64, u16)> {
        let world = self.world.lock();
        let truth = world.truths.get(self.sid.as_deref()?)?;
        let book = &world.books[truth.scope as usize];
        truth.first_missing(book, truth.heard, Heard::whole(up_to))
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        self.world
            .note(|| format!("client {} {}", self.number, line()));
    }

    pub(super) fn wrong(&self, what: impl FnOnce() -> String) {
        let sid = self.sid.as_deref().unwrap_or("no session");
        self.world
            .wrong(|| format!("client {} ({sid}) {}", self.number, what()));
    }
}
