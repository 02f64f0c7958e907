//! The clients of a storm: who each of them is, what it has seen, and when it was back.
//!
//! In: what the swarm reads. Out: counts, made of what is known of each client, so that one who is back, lost and back again is
//! one client. When to dial again is here too; dialling is not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::token::TokenSource;
use crate::wire;

const JOIN_ACK: u64 = 1;
const BACKOFF_MS: u64 = 1_000;
const BACKOFF_MAX_MS: u64 = 5_000;

#[derive(Default)]
pub(super) struct Client {
    token: String,
    sid: String,
    pid: String,
    offset: String,
    is_back: bool,
    /// The newest return was of the same session.
    is_recovered: bool,
    has_returned: bool,
    has_caught_up: bool,
    attempts: u32,
    /// One bit for each message of this round.
    pub(super) seen: u64,
}

/// All clients of a storm.
pub(super) struct Crowd {
    pub(super) clients: Vec<Client>,
    pub(super) rooms: usize,
    pub(super) missed: u32,
    pub(super) round: u32,
    /// What connections that end are: nothing while clients come in, part of the storm then.
    pub(super) is_storm: bool,
    pub(super) began: u64,
    pub(super) joined: usize,
    pub(super) acked: usize,
    pub(super) refused: Option<String>,
    pub(super) doubled: u64,
    pub(super) disordered: u64,
    pub(super) times: Histogram,
    pub(super) caught_up: Histogram,
    pub(super) retries: BinaryHeap<Reverse<(u64, usize)>>,
    pub(super) turned_away: BTreeMap<String, u64>,
    random: u64,
}

impl Crowd {
    /// Nobody connected yet. `missed` is how many messages each of them will have to catch up with.
    pub(super) fn new(
        (clients, rooms, missed): (usize, usize, u32),
        tokens: &TokenSource,
    ) -> Result<Self, LoadError> {
        let rooms = rooms.clamp(1, clients.max(1));
        let client = |index: usize| {
            let token = tokens.token(&format!("storm-{index}"), &room(index % rooms))?;
            Ok(Client {
                token,
                ..Client::default()
            })
        };
        Ok(Self {
            clients: (0..clients).map(client).collect::<Result<_, LoadError>>()?,
            rooms,
            missed: missed.clamp(1, 64),
            round: 0,
            is_storm: false,
            began: 0,
            joined: 0,
            acked: 0,
            refused: None,
            doubled: 0,
            disordered: 0,
            times: Histogram::default(),
            caught_up: Histogram::default(),
            retries: BinaryHeap::new(),
            turned_away: BTreeMap::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        })
    }

    /// Forgets the round before.
    pub(super) fn begin(&mut self, round: u32) {
        self.round = round;
        self.acked = 0;
        (self.doubled, self.disordered) = (0, 0);
        (self.times, self.caught_up) = (Histogram::default(), Histogram::default());
        self.turned_away.clear();
        self.retries.clear();
        for client in &mut self.clients {
            (client.seen, client.attempts) = (0, 0);
            (client.is_back, client.is_recovered) = (false, false);
            (client.has_returned, client.has_caught_up) = (false, false);
        }
    }

    /// Clients that are connected again.
    pub(super) fn back(&self) -> usize {
        self.count(|client| client.is_back)
    }

    /// Of those, the ones that are the session that they were.
    pub(super) fn recovered(&self) -> usize {
        self.count(|client| client.is_back && client.is_recovered)
    }

    /// Of those that are back, the ones that have all that they missed.
    pub(super) fn complete(&self) -> usize {
        let all = self.all_seen();
        self.count(|client| client.is_back && client.seen == all)
    }

    fn count(&self, is: impl Fn(&Client) -> bool) -> usize {
        self.clients.iter().filter(|client| is(client)).count()
    }

    /// Notes when a client first was back with everything.
    fn caught_up(&mut self, index: usize, now: u64) {
        let all = self.all_seen();
        let client = &mut self.clients[index];
        if client.is_back && client.seen == all && !client.has_caught_up {
            client.has_caught_up = true;
            self.caught_up.record(now.saturating_sub(self.began));
        }
    }

    pub(super) fn all_seen(&self) -> u64 {
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
        let client = &mut self.clients[index];
        let bit = 1 << number;
        self.doubled += u64::from(client.seen & bit != 0);
        self.disordered += u64::from(client.seen & !(bit - 1) & !bit != 0);
        client.seen |= bit;
        self.caught_up(index, now);
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
        let client = &mut self.clients[index];
        if self.is_storm {
            client.is_back = true;
            client.is_recovered = client.sid == sid && client.pid == pid;
            if !std::mem::replace(&mut client.has_returned, true) {
                self.times.record(now.saturating_sub(self.began));
            }
        }
        (client.sid, client.pid) = (sid, pid);
        self.caught_up(index, now);
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
        client.is_back = false;
        let attempts = client.attempts;
        client.attempts += 1;
        let wait = self.backoff(attempts);
        self.retries.push(Reverse((now + wait, index)));
        Ok(())
    }
}

/// Name of a room.
pub(super) fn room(number: usize) -> String {
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
