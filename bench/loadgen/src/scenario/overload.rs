//! `overload`: more messages than the server can store, for a minute, at a fixed rate that does not wait for answers.
//!
//! First a closed loop finds the capacity; then arrivals are open-loop: half of the capacity (what is normal), 150 % of it,
//! half of it again. Latency counts from the time that the schedule wanted a message sent to its ack, second by second.
//! Every message is accounted for: acked, refused as `OVERLOADED` (which must be retryable and say when), refused
//! otherwise, or unanswered; one member of each room checks that what was acked came once and what was refused did not.

mod tables;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;

use crate::clock::Pace;
use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::process;
use crate::swarm::{Deadline, Swarm};
use crate::token::TokenSource;
use crate::whole::{MemoryWatch, Whole, WholeArgs};
use crate::wire;

use super::filler;
use tables::{account, phases_table, recovery_table};

/// Size of a run.
#[derive(Debug, Args)]
pub struct OverloadArgs {
    #[command(flatten)]
    whole: WholeArgs,
    /// Senders, each a user of its own.
    #[arg(long, default_value_t = 400)]
    senders: usize,
    /// Rooms that they are spread over.
    #[arg(long, default_value_t = 200)]
    rooms: usize,
    /// Connections beside them that only listen, in rooms of their own.
    #[arg(long, default_value_t = 1_000)]
    bystanders: usize,
    /// Messages in flight of each sender while the capacity is looked for.
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
    /// Seconds in which the capacity is looked for.
    #[arg(long, default_value_t = 10)]
    search_seconds: u64,
    /// Arrivals during the overload, as a part of the capacity.
    #[arg(long, default_value_t = 1.5)]
    load: f64,
    /// Arrivals before and after, as a part of the capacity.
    #[arg(long, default_value_t = 0.5)]
    normal: f64,
    /// Messages a second, instead of a search for the capacity.
    #[arg(long)]
    capacity: Option<f64>,
    /// Seconds of overload.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of normal load before it, and after it.
    #[arg(long, default_value_t = 15)]
    around_seconds: u64,
}

const JOIN_ACK: u64 = 0;
const DRAIN_SECONDS: u64 = 15;
const TURN_MAX: Duration = Duration::from_millis(20);
const SECOND: u64 = 1_000_000_000;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Acked,
    Refused,
}

/// One message, by its number.
struct Sent {
    due: u64,
    fate: Fate,
    /// How often an observer has seen it.
    seen: u8,
}

#[derive(Default, Clone)]
struct Second {
    offered: u64,
    acked: u64,
    overloaded: u64,
    other: u64,
    latency: Histogram,
    refusals: Histogram,
}

struct Senders {
    tokens: Vec<String>,
    rooms: usize,
    senders: usize,
    text: String,
    sent: Vec<Sent>,
    /// Of each connection: numbers of its messages, and how many were dropped from the front.
    queues: Vec<(u64, VecDeque<u32>)>,
    joined: u64,
    refusal: Option<String>,
    seconds: BTreeMap<u64, Second>,
    closed_loop: bool,
    lost: BTreeMap<String, u64>,
    dishonest: u64,
    acked: u64,
    answered: u64,
    delivered: u64,
    strange: u64,
    start: u64,
}

impl Senders {
    fn second(&mut self, at: u64) -> &mut Second {
        let second = at.saturating_sub(self.start) / SECOND;
        self.seconds.entry(second).or_default()
    }

    /// The next message of a sender, as a packet.
    fn text(&mut self, index: usize, due: u64) -> String {
        let number = self.sent.len();
        self.sent.push(Sent {
            due,
            fate: Fate::Waiting,
            seen: 0,
        });
        self.second(due).offered += 1;
        let (gone, queue) = &mut self.queues[index];
        queue.push_back(number as u32);
        // The join has taken the first number of each connection.
        let ack = *gone + queue.len() as u64;
        format!(
            r#"42{ack}["send-message",{{"bamId":"{}","content":"{}","tempId":"n-{number}"}}]"#,
            room(index % self.rooms),
            self.text,
        )
    }

    /// The number of the message that an ack is about. Refusals may overtake acks.
    fn number(&mut self, index: usize, ack: u64) -> Option<usize> {
        let (gone, queue) = &mut self.queues[index];
        let at = usize::try_from(ack.checked_sub(*gone + 1)?).ok()?;
        let number = *queue.get(at)? as usize;
        while let Some(first) = queue.front()
            && (*first as usize == number || self.sent[*first as usize].fate != Fate::Waiting)
        {
            queue.pop_front();
            *gone += 1;
        }
        Some(number)
    }

    fn outcome(&mut self, number: usize, array: &[u8], now: u64) {
        let due = self.sent[number].due;
        if self.sent[number].fate != Fate::Waiting {
            self.strange += 1;
            return;
        }
        self.answered += 1;
        if has(array, b"\"success\":true") {
            self.sent[number].fate = Fate::Acked;
            self.acked += 1;
            let second = self.second(due);
            second.acked += 1;
            second.latency.record(now.saturating_sub(due));
            return;
        }
        self.sent[number].fate = Fate::Refused;
        let overloaded = has(array, b"\"OVERLOADED\"");
        if overloaded && !(has(array, b"\"retryable\":true") && has(array, b"\"retryAfterMs\":")) {
            self.dishonest += 1;
        }
        if !overloaded {
            self.refusal
                .get_or_insert_with(|| String::from_utf8_lossy(array).chars().take(300).collect());
        }
        let second = self.second(due);
        second.refusals.record(now.saturating_sub(due));
        match overloaded {
            true => second.overloaded += 1,
            false => second.other += 1,
        }
    }
}

fn has(array: &[u8], part: &[u8]) -> bool {
    array.windows(part.len()).any(|window| window == part)
}

fn room(number: usize) -> String {
    format!("load-{number}")
}

impl Handler for Senders {
    fn auth(&mut self, index: usize) -> String {
        format!(r#"{{"token":"{}"}}"#, self.tokens[index])
    }

    fn ready(&mut self, conn: &mut Conn, index: usize) {
        let room = match index < self.senders {
            true => room(index % self.rooms),
            false => format!("aside-{}", index % 100),
        };
        conn.queue(&[format!(r#"42{JOIN_ACK}["join-bam","{room}"]"#).as_bytes()]);
    }

    fn event(&mut self, index: usize, array: &[u8], _now: u64) {
        if !array.starts_with(b"[\"new-message\"") {
            return;
        }
        self.delivered += 1;
        // The first member of each room observes.
        if index < self.rooms {
            let number = wire::text(array, "tempId")
                .and_then(|id| id.strip_prefix("n-")?.parse::<usize>().ok());
            match number.and_then(|number| self.sent.get_mut(number)) {
                Some(sent) => sent.seen = sent.seen.saturating_add(1),
                None => self.strange += 1,
            }
        }
    }

    fn ack(&mut self, conn: &mut Conn, index: usize, id: u64, array: &[u8], now: u64) {
        if id == JOIN_ACK {
            self.joined += u64::from(has(array, b"\"success\":true"));
            return;
        }
        match self.number(index, id) {
            Some(number) => self.outcome(number, array, now),
            None => self.strange += 1,
        }
        if self.closed_loop {
            let text = self.text(index, now);
            conn.queue(&[text.as_bytes()]);
        }
    }

    fn lost(&mut self, _index: usize, error: LoadError, _now: u64) -> Result<(), LoadError> {
        *self
            .lost
            .entry(
                error
                    .to_string()
                    .split_once(' ')
                    .map_or_else(String::new, |(_, rest)| {
                        rest.split_once(' ')
                            .map_or(rest, |(_, rest)| rest)
                            .to_owned()
                    }),
            )
            .or_default() += 1;
        Ok(())
    }
}

/// Runs the overload and prints its tables.
pub fn run(args: &OverloadArgs) -> Result<String, LoadError> {
    process::raise_file_limit();
    let flags = "--connections-per-ip-per-minute-max 0 --events-per-second-max 0";
    let whole = Whole::start(&args.whole, flags)?;
    let (addr, pid) = (whole.running()?.addr, whole.running()?.pid());
    let mut swarm = Swarm::new(addr)?;
    let mut senders = senders(args, &whole.tokens())?;
    let everyone = args.senders + args.bystanders;
    swarm.open(everyone, &mut senders)?;
    swarm.turn_until(&mut senders, "joins", 60, everyone as u64, |s| s.joined)?;
    let mut text = format!(
        "### overload: {} senders in {} rooms, {} bystanders\n\n{}\n\n",
        args.senders,
        args.rooms,
        args.bystanders,
        process::machine()
    );
    let capacity = match args.capacity {
        Some(capacity) => capacity,
        None => search(&mut swarm, &mut senders, args)?,
    };
    let before = process::resident_kib(pid)?;
    let memory = MemoryWatch::start(pid);
    let (normal, high) = (capacity * args.normal, capacity * args.load);
    senders.start = swarm.clock.now();
    senders.seconds.clear();
    let skipped = senders.sent.len();
    let around = args.around_seconds.max(6);
    offer(&mut swarm, &mut senders, normal, around)?;
    offer(&mut swarm, &mut senders, high, args.seconds)?;
    offer(&mut swarm, &mut senders, normal, around)?;
    finish(&mut swarm, &mut senders)?;
    let most = memory.most_kib();
    swarm.rest(&mut senders, Duration::from_secs(30))?;
    let after = process::resident_kib(pid)?;
    let phases = [
        ("before", 1, around),
        ("overload", around, around + args.seconds),
        ("after", around + args.seconds, 2 * around + args.seconds),
    ];
    let _ = writeln!(
        text,
        "Capacity (closed loop): {capacity:.0} messages/s acked.\n"
    );
    phases_table(&mut text, &senders, &phases);
    recovery_table(&mut text, &senders, &phases);
    account(&mut text, &senders, skipped);
    let _ = writeln!(
        text,
        "\nServer memory: {} MiB before, {} MiB at most, {} MiB 30 s after. Connections lost: {}.",
        before / 1024,
        most / 1024,
        after / 1024,
        match senders.lost.is_empty() {
            true => "0".to_owned(),
            false => format!("{:?}", senders.lost),
        }
    );
    Ok(text)
}

fn senders(args: &OverloadArgs, tokens: &TokenSource) -> Result<Senders, LoadError> {
    let rooms = args.rooms.clamp(1, args.senders.max(1));
    let token = |index: usize| match index < args.senders {
        true => tokens.token(&format!("sender-{index}"), &room(index % rooms)),
        false => tokens.token(&format!("aside-{index}"), &format!("aside-{}", index % 100)),
    };
    let everyone = args.senders + args.bystanders;
    Ok(Senders {
        tokens: (0..everyone).map(token).collect::<Result<_, _>>()?,
        rooms,
        senders: args.senders,
        text: filler(128),
        sent: Vec::new(),
        queues: vec![(0, VecDeque::new()); everyone],
        joined: 0,
        refusal: None,
        seconds: BTreeMap::new(),
        closed_loop: false,
        lost: BTreeMap::new(),
        dishonest: 0,
        acked: 0,
        answered: 0,
        delivered: 0,
        strange: 0,
        start: 0,
    })
}

/// The capacity: acks a second of a closed loop, after two seconds of warm-up.
fn search(swarm: &mut Swarm, senders: &mut Senders, args: &OverloadArgs) -> Result<f64, LoadError> {
    senders.closed_loop = true;
    for index in 0..args.senders {
        for _ in 0..args.in_flight.max(1) {
            let now = swarm.clock.now();
            let text = senders.text(index, now);
            swarm.queue(index, &[text.as_bytes()]);
        }
        swarm.flush(index)?;
    }
    swarm.rest(senders, super::WARM_UP)?;
    let (began, before) = (swarm.clock.now(), senders.acked);
    swarm.rest(senders, Duration::from_secs(args.search_seconds.max(1)))?;
    let seconds = (swarm.clock.now() - began) as f64 / SECOND as f64;
    let capacity = (senders.acked - before) as f64 / seconds;
    senders.closed_loop = false;
    finish(swarm, senders)?;
    swarm.rest(senders, Duration::from_secs(2))?;
    Ok(capacity)
}

/// Arrivals at a fixed rate, whatever becomes of them.
fn offer(
    swarm: &mut Swarm,
    senders: &mut Senders,
    rate: f64,
    seconds: u64,
) -> Result<(), LoadError> {
    let start = swarm.clock.now();
    let end = start + seconds * SECOND;
    let mut pace = Pace::new(start, rate);
    let mut next = 0;
    let mut touched: Vec<usize> = Vec::new();
    loop {
        let now = swarm.clock.now();
        if now >= end {
            return Ok(());
        }
        while let Some(due) = pace.due(now) {
            let text = senders.text(next, due);
            swarm.queue(next, &[text.as_bytes()]);
            touched.push(next);
            next = (next + 1) % senders.senders;
        }
        touched.sort_unstable();
        touched.dedup();
        for index in touched.drain(..) {
            swarm.flush_or_lose(index, senders)?;
        }
        swarm.turn(senders, pace.wait(now).min(TURN_MAX))?;
    }
}

/// Waits for what has no answer yet.
fn finish(swarm: &mut Swarm, senders: &mut Senders) -> Result<(), LoadError> {
    let deadline = Deadline::after(&swarm.clock, DRAIN_SECONDS);
    let open = |senders: &Senders| senders.answered < senders.sent.len() as u64;
    while open(senders) && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
        swarm.turn(senders, Duration::from_millis(20))?;
    }
    swarm.rest(senders, Duration::from_millis(300))
}
