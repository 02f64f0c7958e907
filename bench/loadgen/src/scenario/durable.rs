//! `durable`: chat messages of the `bam` application, each acked only after it is on disk.
//!
//! An operation is one `send-message` and its ack, which must say `success`. Every sender keeps a fixed number in flight,
//! and gets every message of its room as `new-message`; at the end as many must have come as the acked messages have members. (That each
//! came once, and to whom, is `conformance/crash`'s to check: looking into every delivery would make the generator the bottleneck.)
//! Latency counts from the write of the event to its ack.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::process::{self, Meter};
use crate::swarm::{Deadline, Swarm};
use crate::token::TokenSource;

use super::{DRAIN_SECONDS, Figures, Target, WARM_UP, filler};

/// Size of a run.
#[derive(Debug, Clone, Copy, Args)]
pub struct Plan {
    /// Senders, each a user of its own.
    #[arg(long, default_value_t = 100)]
    pub senders: usize,
    /// Rooms that they are spread over.
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub rooms: usize,
    /// Messages in flight on each.
    #[arg(long, default_value_t = 8, value_parser = at_least_one)]
    pub in_flight: usize,
    /// Characters of a message.
    #[arg(long, default_value_t = 128)]
    content_bytes: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

impl Plan {
    fn room(&self, index: usize) -> String {
        format!("bench-{}", index % self.rooms)
    }

    fn members_of(&self, index: usize) -> u64 {
        let room = index % self.rooms;
        (self.senders / self.rooms + usize::from(self.senders % self.rooms > room)) as u64
    }
}

struct Senders {
    plan: Plan,
    tokens: Vec<String>,
    run: u64,
    text: String,
    sent_at: Vec<u64>,
    numbers: Vec<u64>,
    joined: u64,
    sent: u64,
    acked: u64,
    refused: u64,
    first_refusal: Option<String>,
    deliveries_due: u64,
    delivered: u64,
    sending: bool,
    latency: Histogram,
}

impl Senders {
    /// The ack numbers of sends are `0..in_flight`; this one is the join's.
    fn join_ack(&self) -> u64 {
        self.plan.in_flight as u64
    }

    fn text(&mut self, index: usize, slot: usize, now: u64) -> String {
        self.sent_at[index * self.plan.in_flight + slot] = now;
        self.sent += 1;
        self.numbers[index] += 1;
        format!(
            r#"42{slot}["send-message",{{"bamId":"{}","content":"{}","tempId":"{}-{index}-{}"}}]"#,
            self.plan.room(index),
            self.text,
            self.run,
            self.numbers[index],
        )
    }

    fn refuse(&mut self, array: &[u8]) {
        self.refused += 1;
        self.first_refusal
            .get_or_insert_with(|| String::from_utf8_lossy(array).chars().take(300).collect());
    }
}

impl Handler for Senders {
    fn auth(&mut self, index: usize) -> String {
        format!(r#"{{"token":"{}"}}"#, self.tokens[index])
    }

    fn ready(&mut self, conn: &mut Conn, index: usize) {
        let text = format!(
            r#"42{}["join-bam","{}"]"#,
            self.join_ack(),
            self.plan.room(index)
        );
        conn.queue(&[text.as_bytes()]);
    }

    fn event(&mut self, _index: usize, array: &[u8], _now: u64) {
        if array.starts_with(b"[\"new-message\"") {
            self.delivered += 1;
        }
    }

    fn ack(&mut self, conn: &mut Conn, index: usize, id: u64, array: &[u8], now: u64) {
        let success = array
            .windows(14)
            .any(|window| window == b"\"success\":true");
        if !success {
            self.refuse(array);
        }
        if id == self.join_ack() {
            self.joined += u64::from(success);
            return;
        }
        let slot = id as usize;
        self.latency
            .record(now.saturating_sub(self.sent_at[index * self.plan.in_flight + slot]));
        if success {
            self.acked += 1;
            self.deliveries_due += self.plan.members_of(index);
        }
        if self.sending {
            let text = self.text(index, slot, now);
            conn.queue(&[text.as_bytes()]);
        }
    }
}

/// Runs a plan against `target`, a `relais serve` with the `bam` application and room for the rate in its limits.
/// `database`: the first process of a database whose work, and that of its children, is the server's too.
pub fn run(
    target: Target,
    database: Option<u32>,
    plan: Plan,
    tokens: &TokenSource,
) -> Result<Figures, LoadError> {
    let database = || database.map_or(Ok(0.0), process::family_cpu_seconds);
    let mut swarm = Swarm::new(target.addr)?;
    let mut senders = senders(plan, tokens)?;
    swarm.open(plan.senders, &mut senders)?;
    join_all(&mut swarm, &mut senders)?;
    for index in 0..plan.senders {
        for slot in 0..plan.in_flight {
            let now = swarm.clock.now();
            let text = senders.text(index, slot, now);
            swarm.queue(index, &[text.as_bytes()]);
        }
        swarm.flush(index)?;
    }
    swarm.rest(&mut senders, WARM_UP)?;
    senders.latency = Histogram::default();
    let before = senders.acked;
    let (meter, database_before) = (Meter::start(target.pid)?, database()?);
    swarm.rest(&mut senders, target.time)?;
    let mut stretch = meter.stop()?;
    let database_cpu = database()? - database_before;
    stretch.server = stretch.server.map(|server| server + database_cpu);
    // Of the database only the sum is known.
    stretch.server_system = stretch.server_system.filter(|_| database_cpu == 0.0);
    let mut figures = Figures::new(senders.acked - before, stretch);
    figures.latency = senders.latency.latency();
    finish(&mut swarm, &mut senders, &mut figures)?;
    Ok(figures)
}

fn senders(plan: Plan, tokens: &TokenSource) -> Result<Senders, LoadError> {
    let tokens = (0..plan.senders)
        .map(|index| tokens.token(&format!("bench-user-{index}"), &plan.room(index)))
        .collect::<Result<_, _>>()?;
    Ok(Senders {
        plan,
        tokens,
        run: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs()),
        text: filler(plan.content_bytes),
        sent_at: vec![0; plan.senders * plan.in_flight],
        numbers: vec![0; plan.senders],
        joined: 0,
        sent: 0,
        acked: 0,
        refused: 0,
        first_refusal: None,
        deliveries_due: 0,
        delivered: 0,
        sending: true,
        latency: Histogram::default(),
    })
}

fn join_all(swarm: &mut Swarm, senders: &mut Senders) -> Result<(), LoadError> {
    let want = senders.plan.senders as u64;
    swarm.turn_until(senders, "join-bam acks", 20, want, |senders| {
        senders.joined + senders.refused
    })?;
    match senders.first_refusal.take() {
        None => Ok(()),
        Some(reason) => Err(LoadError::Process {
            what: "join-bam".to_owned(),
            reason,
        }),
    }
}

/// Waits for the last acks and deliveries, and counts what is missing.
fn finish(
    swarm: &mut Swarm,
    senders: &mut Senders,
    figures: &mut Figures,
) -> Result<(), LoadError> {
    senders.sending = false;
    let deadline = Deadline::after(&swarm.clock, DRAIN_SECONDS);
    let complete = |senders: &Senders| {
        senders.acked + senders.refused == senders.sent
            && senders.delivered >= senders.deliveries_due
    };
    while !complete(senders) && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
        swarm.turn(senders, Duration::from_millis(50))?;
    }
    swarm.rest(senders, Duration::from_millis(100))?;
    let unanswered = senders.sent - senders.acked - senders.refused;
    // A refused message is as bad as a lost one in a table of acked messages.
    figures.lost =
        unanswered + senders.refused + senders.deliveries_due.saturating_sub(senders.delivered);
    figures.surplus = senders.delivered.saturating_sub(senders.deliveries_due);
    figures.notes.push(format!(
        "{} messages acked in all, {} refused, {unanswered} unanswered; {} of {} deliveries",
        senders.acked, senders.refused, senders.delivered, senders.deliveries_due
    ));
    figures.notes.extend(
        senders
            .first_refusal
            .take()
            .map(|reason| format!("first refusal: {reason}")),
    );
    Ok(())
}
