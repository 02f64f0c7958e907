//! `storm`: thousands of clients come back at once, after SIGKILL and restart, and after a drain.
//!
//! Each client is a user in a room, with `pid` and offset as stock clients keep them. Before the server goes, all but one of
//! each room stop reading, and that one sends messages: so everybody has missed some. When the server listens again, all
//! dial at once. Whoever is turned away tries again as stock clients do: after 1 s, then 2 s, then 5 s, each ± 50 %. A client is back
//! when CONNECT is answered, and recovered when that has its old sid; then it must get what it missed once, in order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use clap::Args;

use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::process::{self, Meter};
use crate::swarm::{Deadline, Swarm};
use crate::token::TokenSource;
use crate::whole::{MemoryWatch, Whole, WholeArgs};
use crate::wire;

/// Size of a run.
#[derive(Debug, Args)]
pub struct StormArgs {
    #[command(flatten)]
    whole: WholeArgs,
    /// Clients.
    #[arg(long, default_value_t = 15_000)]
    clients: usize,
    /// Rooms that they are spread over.
    #[arg(long, default_value_t = 150)]
    rooms: usize,
    /// Messages that each client has missed in its room.
    #[arg(long, default_value_t = 5)]
    missed: u32,
    /// Source addresses, from 127.0.0.2 on.
    #[arg(long, default_value_t = 8)]
    sources: u8,
    /// What happens to the server, in this order.
    #[arg(long, value_delimiter = ',', default_value = "kill,drain")]
    faults: Vec<Fault>,
}

/// How the server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGTERM, and the drain that follows.
    Drain,
}

const JOIN_ACK: u64 = 1;
const GIVE_UP_SECONDS: u64 = 90;
const DIALS_A_TURN: usize = 128;
const BACKOFF_MS: u64 = 1_000;
const BACKOFF_MAX_MS: u64 = 5_000;

#[derive(Default)]
struct Client {
    token: String,
    sid: String,
    pid: String,
    offset: String,
    is_back: bool,
    attempts: u32,
    /// One bit for each message of this round.
    seen: u64,
}

struct Crowd {
    clients: Vec<Client>,
    rooms: usize,
    missed: u32,
    round: u32,
    /// What connections that end are: nothing while clients come in, part of the storm then.
    is_storm: bool,
    began: u64,
    joined: usize,
    acked: usize,
    refused: Option<String>,
    back: usize,
    recovered: usize,
    complete: usize,
    doubled: u64,
    disordered: u64,
    times: Histogram,
    caught_up: Histogram,
    retries: BinaryHeap<Reverse<(u64, usize)>>,
    turned_away: BTreeMap<String, u64>,
    random: u64,
}

impl Crowd {
    fn new(args: &StormArgs, tokens: &TokenSource) -> Result<Self, LoadError> {
        let rooms = args.rooms.clamp(1, args.clients.max(1));
        let client = |index: usize| {
            let token = tokens.token(&format!("storm-{index}"), &room(index % rooms))?;
            Ok(Client {
                token,
                ..Client::default()
            })
        };
        Ok(Self {
            clients: (0..args.clients)
                .map(client)
                .collect::<Result<_, LoadError>>()?,
            rooms,
            missed: args.missed.clamp(1, 64),
            round: 0,
            is_storm: false,
            began: 0,
            joined: 0,
            acked: 0,
            refused: None,
            back: 0,
            recovered: 0,
            complete: 0,
            doubled: 0,
            disordered: 0,
            times: Histogram::default(),
            caught_up: Histogram::default(),
            retries: BinaryHeap::new(),
            turned_away: BTreeMap::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        })
    }

    fn begin(&mut self, round: u32) {
        self.round = round;
        (self.acked, self.back, self.recovered, self.complete) = (0, 0, 0, 0);
        (self.doubled, self.disordered) = (0, 0);
        (self.times, self.caught_up) = (Histogram::default(), Histogram::default());
        self.turned_away.clear();
        self.retries.clear();
        for client in &mut self.clients {
            (client.seen, client.is_back, client.attempts) = (0, false, 0);
        }
    }

    fn all_seen(&self) -> u64 {
        u64::MAX >> (64 - self.missed)
    }

    /// Stock clients wait `1000 · 2^n` ms, at most 5 s, each time with a random half of it more or less.
    fn backoff(&mut self, attempts: u32) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let wait = (BACKOFF_MS << attempts.min(6)).min(BACKOFF_MAX_MS) * 1_000_000;
        wait / 2 + self.random % wait
    }

    fn message(&mut self, index: usize, number: u32, now: u64) {
        if number >= self.missed {
            return;
        }
        let all = self.all_seen();
        let client = &mut self.clients[index];
        let bit = 1 << number;
        self.doubled += u64::from(client.seen & bit != 0);
        self.disordered += u64::from(client.seen & !(bit - 1) & !bit != 0);
        client.seen |= bit;
        if client.seen == all && client.is_back {
            self.complete += 1;
            self.caught_up.record(now.saturating_sub(self.began));
        }
    }
}

impl Handler for Crowd {
    fn auth(&mut self, index: usize) -> String {
        let Client {
            token, pid, offset, ..
        } = &self.clients[index];
        match pid.is_empty() {
            true => format!(r#"{{"token":"{token}"}}"#),
            false => format!(r#"{{"token":"{token}","pid":"{pid}","offset":"{offset}"}}"#),
        }
    }

    fn connected(&mut self, index: usize, object: &[u8], now: u64) {
        let text = |key| wire::text(object, key).unwrap_or_default().to_owned();
        let (sid, pid) = (text("sid"), text("pid"));
        let all = self.all_seen();
        let client = &mut self.clients[index];
        if self.is_storm && !client.is_back {
            client.is_back = true;
            self.back += 1;
            self.recovered += usize::from(client.sid == sid && client.pid == pid);
            self.times.record(now.saturating_sub(self.began));
            if client.seen == all {
                self.complete += 1;
                self.caught_up.record(now.saturating_sub(self.began));
            }
        }
        (client.sid, client.pid) = (sid, pid);
    }

    fn ready(&mut self, conn: &mut Conn, index: usize) {
        if !self.is_storm {
            let join = format!(r#"42{JOIN_ACK}["join-bam","{}"]"#, room(index % self.rooms));
            conn.queue(&[join.as_bytes()]);
        }
    }

    fn event(&mut self, index: usize, array: &[u8], now: u64) {
        if let Some(offset) = wire::offset(array) {
            self.clients[index].offset.clear();
            self.clients[index].offset.push_str(offset);
        }
        if array.starts_with(b"[\"new-message\"")
            && let Some((round, number)) = wire::text(array, "tempId").and_then(temp_id)
            && round == self.round
        {
            self.message(index, number, now);
        }
    }

    fn ack(&mut self, _conn: &mut Conn, _index: usize, id: u64, array: &[u8], _now: u64) {
        if !array.windows(14).any(|part| part == b"\"success\":true") {
            self.refused
                .get_or_insert_with(|| String::from_utf8_lossy(array).chars().take(200).collect());
        }
        match id {
            JOIN_ACK => self.joined += 1,
            _ => self.acked += 1,
        }
    }

    fn lost(&mut self, index: usize, error: LoadError, now: u64) -> Result<(), LoadError> {
        if !self.is_storm {
            return Err(error);
        }
        let reason = reason(&error);
        *self.turned_away.entry(reason).or_default() += 1;
        let client = &mut self.clients[index];
        if client.is_back {
            // Back, and gone again: it counts as away until it returns.
            client.is_back = false;
            self.back -= 1;
        }
        let attempts = client.attempts;
        client.attempts += 1;
        let wait = self.backoff(attempts);
        self.retries.push(Reverse((now + wait, index)));
        Ok(())
    }
}

fn room(number: usize) -> String {
    format!("storm-{number}")
}

fn temp_id(text: &str) -> Option<(u32, u32)> {
    let (round, number) = text.rsplit_once('-')?;
    let round = round.rsplit_once('-')?.1;
    Some((round.parse().ok()?, number.parse().ok()?))
}

/// Short enough to count by.
fn reason(error: &LoadError) -> String {
    match error {
        LoadError::Closed { phase, reason, .. } => {
            let first = reason.lines().next().unwrap_or_default();
            let first = first.strip_prefix("HTTP/1.1 ").unwrap_or(first);
            format!("{phase}: {first}").chars().take(60).collect()
        }
        LoadError::Io { doing, source } => format!("{doing}: {}", source.kind()),
        other => other.to_string().chars().take(60).collect(),
    }
}

/// Runs the storm and prints its table.
pub fn run(args: &StormArgs) -> Result<String, LoadError> {
    let files = process::raise_file_limit();
    if files < args.clients as u64 + 100 {
        return Err(LoadError::Process {
            what: "ulimit -n".to_owned(),
            reason: format!("{files} files are too few for {} clients", args.clients),
        });
    }
    let mut whole = Whole::start(&args.whole, "")?;
    let mut crowd = Crowd::new(args, &whole.tokens())?;
    let mut swarm = Swarm::new(whole.running()?.addr)?;
    come_in(&mut swarm, &mut crowd, args)?;
    let mut table = format!(
        "### storm: {} clients in {} rooms come back at once from {} addresses, each having missed {} messages\n\n{}\n\n",
        args.clients,
        crowd.rooms,
        args.sources,
        crowd.missed,
        process::machine(),
    );
    table.push_str(
        "| after | back | recovered | p50 | p99 | last | all caught up | lost | doubled | out of order | tries turned away | server CPU | memory before, most, after |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|\n",
    );
    for (round, fault) in (1..).zip(&args.faults) {
        let row = round_of(&mut whole, &mut swarm, &mut crowd, args, round, *fault)?;
        table.push_str(&row);
    }
    Ok(table)
}

fn source(args: &StormArgs, index: usize) -> Option<Ipv4Addr> {
    let number = index % usize::from(args.sources.max(1));
    (args.sources > 0).then(|| Ipv4Addr::new(127, 0, 0, 2 + number as u8))
}

/// Everybody connects and joins, a bounded number at a time.
fn come_in(swarm: &mut Swarm, crowd: &mut Crowd, args: &StormArgs) -> Result<(), LoadError> {
    let deadline = Deadline::after(&swarm.clock, 300);
    while crowd.joined < args.clients {
        while swarm.len() < args.clients && swarm.len() - crowd.joined < crate::swarm::PENDING_MAX {
            let now = swarm.clock.now();
            swarm.dial_from(source(args, swarm.len()), now)?;
        }
        swarm.turn(crowd, Duration::from_millis(100))?;
        let (have, want) = (crowd.joined as u64, args.clients as u64);
        deadline.check(&swarm.clock, "clients in their rooms", have, want)?;
    }
    if let Some(reason) = crowd.refused.take() {
        return Err(LoadError::Process {
            what: "join-bam".to_owned(),
            reason,
        });
    }
    // What joins tell others is read before anybody stops reading.
    swarm.rest(crowd, Duration::from_secs(2))
}

fn round_of(
    whole: &mut Whole,
    swarm: &mut Swarm,
    crowd: &mut Crowd,
    args: &StormArgs,
    round: u32,
    fault: Fault,
) -> Result<String, LoadError> {
    crowd.begin(round);
    let before = process::resident_kib(whole.running()?.pid())?;
    (crowd.rooms..args.clients).try_for_each(|index| swarm.freeze(index))?;
    send_all(swarm, crowd, args)?;
    let gone_at = Instant::now();
    match fault {
        Fault::Kill => whole.kill(),
        Fault::Drain => {
            // Those who still read would come back at once, to a server that takes nobody.
            (0..crowd.rooms).try_for_each(|index| swarm.freeze(index))?;
            whole.drain(|| {
                std::thread::sleep(Duration::from_millis(20));
                Ok(())
            })?;
        }
    }
    (0..args.clients).for_each(|index| swarm.let_go(index));
    crowd.is_storm = true;
    whole.start_again()?;
    let away = gone_at.elapsed();
    let pid = whole.running()?.pid();
    let (meter, memory) = (Meter::start(Some(pid))?, MemoryWatch::start(pid));
    crowd.began = swarm.clock.now();
    return_all(swarm, crowd, args)?;
    let stretch = meter.stop()?;
    // What comes twice or late would come by now.
    swarm.rest(crowd, Duration::from_secs(5))?;
    crowd.is_storm = false;
    let most = memory.most_kib();
    let after = process::resident_kib(pid)?;
    let name = match fault {
        Fault::Kill => "SIGKILL",
        Fault::Drain => "drain",
    };
    let mut row = format!("| {name}, away {:.1} s ", away.as_secs_f64());
    let _ = writeln!(
        row,
        "{} {:.1} s ({:.0} % of the time) | {} , {} , {} MiB |",
        outcome(crowd, args),
        stretch.server.unwrap_or(0.0),
        100.0 * stretch.server.unwrap_or(0.0) / stretch.seconds,
        before / 1024,
        most / 1024,
        after / 1024,
    );
    Ok(row)
}

fn outcome(crowd: &Crowd, args: &StormArgs) -> String {
    let ms = |value: Option<u64>| {
        value.map_or("–".to_owned(), |ns| format!("{:.2} s", ns as f64 / 1e9))
    };
    let (times, caught_up) = (crowd.times.latency(), crowd.caught_up.latency());
    let all = crowd.all_seen();
    let lost: u32 = crowd
        .clients
        .iter()
        .map(|client| (all & !client.seen).count_ones())
        .sum();
    let away: Vec<String> = crowd
        .turned_away
        .iter()
        .map(|(reason, count)| format!("{count} × {reason}").replace('|', "/"))
        .collect();
    format!(
        "| {} of {} | {} | {} | {} | {} | {} | {lost} | {} | {} | {} |",
        crowd.back,
        args.clients,
        crowd.recovered,
        ms(times.map(|t| t.p50)),
        ms(times.map(|t| t.p99)),
        ms(times.map(|t| t.max)),
        ms(caught_up.map(|t| t.max)),
        crowd.doubled,
        crowd.disordered,
        if away.is_empty() {
            "none".to_owned()
        } else {
            away.join(", ")
        },
    )
}

/// The first member of each room sends, and waits for the acks.
fn send_all(swarm: &mut Swarm, crowd: &mut Crowd, args: &StormArgs) -> Result<(), LoadError> {
    let run = std::process::id();
    for number in 0..crowd.missed {
        for sender in 0..crowd.rooms.min(args.clients) {
            let text = format!(
                r#"42{}["send-message",{{"bamId":"{}","content":"missed","tempId":"{run}-{sender}-{}-{number}"}}]"#,
                100 + number,
                room(sender),
                crowd.round,
            );
            swarm.send(sender, &[text.as_bytes()], crowd)?;
        }
        let want = crowd.rooms as u64 * u64::from(number + 1);
        swarm.turn_until(crowd, "acks", 20, want, |crowd| crowd.acked as u64)?;
    }
    match crowd.refused.take() {
        None => Ok(()),
        Some(reason) => Err(LoadError::Process {
            what: "send-message".to_owned(),
            reason,
        }),
    }
}

/// All dial at once, and again as stock clients do, until everybody is back and has what was missed.
fn return_all(swarm: &mut Swarm, crowd: &mut Crowd, args: &StormArgs) -> Result<(), LoadError> {
    let deadline = Deadline::after(&swarm.clock, GIVE_UP_SECONDS);
    for index in 0..args.clients {
        let now = swarm.clock.now();
        swarm.redial(index, source(args, index), now)?;
        if index % DIALS_A_TURN == 0 {
            swarm.turn(crowd, Duration::ZERO)?;
        }
    }
    while crowd.complete < args.clients && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
        let now = swarm.clock.now();
        while let Some(Reverse((at, index))) = crowd.retries.peek().copied() {
            if at > now {
                break;
            }
            crowd.retries.pop();
            swarm.redial(index, source(args, index), now)?;
        }
        swarm.turn(crowd, Duration::from_millis(20))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_id_names_its_round_and_number() {
        assert_eq!(temp_id("4711-3-2-1"), Some((2, 1)));
        assert_eq!(temp_id("something"), None);
    }

    #[test]
    fn who_is_turned_away_is_counted_by_a_short_reason() {
        let closed = LoadError::Closed {
            index: 7,
            phase: "upgrading",
            reason: "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1".to_owned(),
        };
        assert_eq!(reason(&closed), "upgrading: 503 Service Unavailable");
    }
}
