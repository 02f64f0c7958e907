//! The whole session state machine under arbitrary input: the body of the fuzz target `session_machine`, run over its corpus by a test too.
//!
//! The input is a list of steps: links that open, frames, packets, bodies and broken bytes on them, time, records, cuts. No answer is
//! expected of the engine, but that its own stream stays well formed, its bounds hold, and nothing is left of anyone who has gone.

use std::time::Duration;

use super::agent::FAST;
use super::chance::Chance;
use super::committer::Committer;
use super::house::{self, Closed, House};
use super::link::{Came, Link, Pace};
use super::schedule::{Character, SCOPES};
use super::world::{Shared, Weather};
use super::{checks, panics};
use crate::endpoint::Wire;
use crate::settings::Settings;

/// Steps of one input; the rest is ignored.
const STEPS_MAX: usize = 256;
/// Links open at once.
const LINKS_MAX: usize = 6;

/// Milliseconds that a step may let pass.
const WAITS: [u64; 8] = [0, 1, 5, 20, 100, 500, 2000, 6000];

/// Packets that mean something, so that not all of them have to be found.
const PACKETS: [&str; 32] = [
    "40",
    "40{}",
    "40/n,",
    r#"40{"pid":"p-s1","offset":"1.1.0"}"#,
    r#"40{"pid":"p-s1","offset":"1.0"}"#,
    r#"40{"pid":"p-s2","offset":"1.2"}"#,
    r#"40{"pid":"p-s1","offset":"9.9.9"}"#,
    r#"40{"pid":"p-s1","offset":null}"#,
    "41",
    "41/n,",
    r#"421["c",1,1,0]"#,
    r#"422["c",2,2,0]"#,
    r#"423["c",3,3,0]"#,
    r#"42["c",4,4,1]"#,
    r#"42["c",5,5,1]"#,
    r#"42["c",6,6,20]"#,
    r#"42["c",7,7,1]"#,
    r#"428["c",8,8,1]"#,
    r#"42["c",9,10,0]"#,
    r#"42["c",10,11,0]"#,
    r#"42/n,["c",1,2,0]"#,
    r#"451-["c",1,2,0,{"_placeholder":true,"num":0}]"#,
    "430[1]",
    "430[]",
    "461-0[{\"_placeholder\":true,\"num\":0}]",
    "2",
    "3",
    "5",
    "6",
    "1",
    r#"42["c",1,1,0"#,
    r#"42["disconnect"]"#,
];

/// The input, taken apart from its beginning.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(usize::from(*first))
    }

    /// A length, and so many bytes.
    fn bytes(&mut self) -> &'a [u8] {
        let length = self.byte().unwrap_or(0).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

struct Machine {
    house: House,
    committer: Committer,
    chance: Chance,
    links: Vec<Link>,
    pace: Pace,
    next_link: u64,
}

/// Runs one input; panics when the engine does something wrong.
pub(crate) fn run(input: &[u8]) {
    let outcome = house::run(input.len() as u64, async || Machine::run(input).await);
    if let Some(wrong) = outcome.wrong {
        panics::unwatch();
        panic!("{}\n{wrong}", outcome.trace.join("\n"));
    }
}

impl Machine {
    async fn run(input: &[u8]) -> Closed {
        let mut input = Input(input);
        let flags = input.byte().unwrap_or(0);
        let world = Shared::new(flags as u64, SCOPES, false);
        world.lock().is_strict = false;
        let house = House::build(world, settings(flags));
        let mut machine = Self {
            committer: Committer::new(&house),
            house,
            chance: Chance::new(flags as u64),
            links: Vec::new(),
            pace: FAST,
            next_link: 0,
        };
        for _ in 0..STEPS_MAX {
            let Some(step) = input.byte() else { break };
            machine.step(step, &mut input).await;
            if machine.house.has_failed() {
                break;
            }
        }
        machine.finish().await;
        machine.house.close().await
    }

    async fn step(&mut self, step: usize, input: &mut Input<'_>) {
        match step % 16 {
            0 => self.open(input),
            1 | 2 => {
                let packet = PACKETS[input.byte().unwrap_or(0) % PACKETS.len()];
                self.link(step, |link| link.send(packet));
            }
            3 => {
                let text = String::from_utf8_lossy(input.bytes());
                self.link(step, |link| link.send(&text));
            }
            4 => {
                let (opcode, payload) = (input.byte().unwrap_or(0) % 16, input.bytes());
                let opcode = u8::try_from(opcode).unwrap_or(0);
                self.link(step, |link| link.send_frame(opcode, payload));
            }
            5 => {
                let bytes = input.bytes();
                self.link(step, |link| link.send_raw(bytes));
            }
            6 => {
                let bytes = input.bytes();
                self.link(step, |link| link.send_binary(bytes));
            }
            7 => self.link(step, |link| link.upgrade(4096)),
            8 => self.link(step, Link::abandon_upgrade),
            9 => self.link(step, Link::poll_twice),
            10 => {
                let how = input.byte().unwrap_or(0);
                self.link(step, |link| link.cut(how & 1 == 0));
            }
            11 => {
                let (read, write) = (input.byte().unwrap_or(0), input.byte().unwrap_or(0));
                self.link(step, |link| link.split(read, write));
            }
            12 => self.commit(input),
            13 => self.change(input),
            14 => self.committer.meddle(&mut self.chance, &self.house.shards),
            _ => {}
        }
        let wait = WAITS[step / 16 % WAITS.len()];
        self.pass(wait).await;
    }

    /// The link of a step: the upper half of its byte says which.
    fn link(&mut self, step: usize, act: impl FnOnce(&mut Link)) {
        let count = self.links.len().max(1);
        // Another bit than those of the wait, so that every link can be reached with every wait.
        let at = (step / 128 + self.next_link as usize) % count;
        if let Some(link) = self.links.get_mut(at) {
            act(link);
        }
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let how = input.byte().unwrap_or(0);
        if self.links.len() >= LINKS_MAX {
            self.links.remove(0).cut(true);
        }
        self.next_link += 1;
        let number = self.next_link;
        let (user, scope, recovery) = (how & 1, how >> 1 & 1, how >> 2 & 1);
        let query = format!("u={user}&s={scope}&r={recovery}&l={number}");
        let room_bytes = [64, 65_536][how >> 3 & 1];
        self.links.push(match how >> 4 & 1 {
            0 => Link::websocket(
                &self.house.engine,
                number,
                &query,
                room_bytes,
                Wire::SocketIo,
            ),
            _ => Link::polling(&self.house.engine, number, &query),
        });
    }

    fn commit(&mut self, input: &mut Input<'_>) {
        let how = input.byte().unwrap_or(0);
        self.chance = Chance::new(how as u64);
        for _ in 0..1 + how % 4 {
            self.committer.act(Character::Lossy, &mut self.chance);
        }
    }

    /// The weather, and how fast clients read.
    fn change(&mut self, input: &mut Input<'_>) {
        let how = input.byte().unwrap_or(0);
        self.pace.read_bytes = [usize::MAX, 0, 7, usize::MAX][how & 3];
        self.house.world.lock().weather = Weather {
            log_slow_ms: [0, 300][how >> 2 & 1],
            log_fails_percent: [0, 70][how >> 3 & 1],
            service_slow_ms: [0, 700][how >> 4 & 1],
            service_refuses_percent: [0, 30][how >> 5 & 1],
            publications_lost_percent: [0, 50][how >> 6 & 1],
            publications_late_percent: [0, 50][how >> 7 & 1],
        };
    }

    async fn pass(&mut self, milliseconds: u64) {
        let mut left = milliseconds;
        loop {
            self.house.settle().await;
            let pace = self.pace;
            for link in &mut self.links {
                pump(link, pace, &self.house.world);
            }
            self.links.retain(|link| !link.is_over());
            self.house.check();
            if left == 0 || self.house.has_failed() {
                return;
            }
            let a_while = left.min(500);
            left -= a_while;
            tokio::time::sleep(Duration::from_millis(a_while)).await;
        }
    }

    /// All links break, and after a while nothing is left of them.
    async fn finish(&mut self) {
        if self.house.has_failed() {
            return;
        }
        self.house.world.lock().weather = Weather::default();
        for link in &mut self.links {
            link.cut(true);
        }
        self.links.clear();
        // Commands that were begun and polls that nobody aborted have their time: the heartbeat ends the latter.
        self.pass(9000).await;
        if !self.house.has_failed() {
            checks::when_all_are_gone(&self.house.shards, &self.house.world);
        }
    }
}

/// Takes what came; a handshake is answered, for polling needs its sid.
fn pump(link: &mut Link, pace: Pace, world: &Shared) {
    let came = match link.pump(pace) {
        Ok(came) => came,
        Err(what) => return world.wrong(|| format!("link {} was sent {what}", link.number)),
    };
    for came in came {
        if let Came::Text(text) = came
            && let Some(open) = text.strip_prefix("0{")
        {
            let sid = open.split('"').nth(3).unwrap_or("").to_owned();
            link.opened(&sid);
        }
    }
}

fn settings(flags: usize) -> Settings {
    let is_small = flags & 1 == 1;
    Settings {
        shards: 1 + (flags >> 1 & 1),
        ping_interval: Duration::from_secs(3),
        ping_timeout: Duration::from_secs(2),
        connect_timeout: Duration::from_secs(4),
        upgrade_timeout: Duration::from_secs(2),
        close_timeout: Duration::from_secs(1),
        max_payload_bytes: if is_small { 64 } else { 4096 },
        fragments_max: 4,
        attachments_max: 2,
        outbox_bytes_max: if is_small { 300 } else { 65_536 },
        outbox_frames_max: if is_small { 4 } else { 64 },
        replay_low_water_bytes: 200,
        replay_page_records: 3,
        namespaces_max: 2,
        rooms_max: 3,
        pipeline_max: 1 + (flags >> 2 & 1) * 3,
        held_max: 1 + (flags >> 3 & 1) * 3,
        gate_closed_max: Duration::from_millis(200),
        acks_max: 2,
        inbox_max: 4,
        read_buffer_bytes: 4096,
        ..Settings::default()
    }
}
