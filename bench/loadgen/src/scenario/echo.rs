//! `echo`: acknowledged round trips, a fixed number in flight on every connection.
//!
//! A round trip is one `echo` event and its ack. Each ack that arrives sends the next event, so the server is kept busy;
//! latency counts from the moment the event was written.

use std::time::Duration;

use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::process::Meter;
use crate::swarm::{Deadline, Swarm};

use super::{DRAIN_SECONDS, Figures, Target, WARM_UP, filler};

/// Size of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connections.
    pub connections: usize,
    /// Events in flight on each.
    pub in_flight: usize,
    /// Bytes of JSON in an event's payload.
    pub payload_bytes: usize,
}

impl Plan {
    /// 100 connections, one event in flight on each.
    pub const ECHO: Self = Self {
        connections: 100,
        in_flight: 1,
        payload_bytes: 128,
    };
}

struct Echoes {
    plan: Plan,
    target: Target,
    text: String,
    sent_at: Vec<u64>,
    sent: u64,
    answered: u64,
    surplus: u64,
    sending: bool,
    latency: Histogram,
}

/// Marks a slot whose answer has come.
const ANSWERED: u64 = u64::MAX;

impl Echoes {
    fn text(&mut self, index: usize, slot: usize, now: u64) -> String {
        self.sent_at[index * self.plan.in_flight + slot] = now;
        self.sent += 1;
        format!(r#"42{slot}["echo",{{"t":{now},"text":"{}"}}]"#, self.text)
    }
}

impl Handler for Echoes {
    fn auth(&mut self, index: usize) -> String {
        self.target.auth(index)
    }

    fn ack(&mut self, conn: &mut Conn, index: usize, id: u64, _array: &[u8], now: u64) {
        let slot = id as usize;
        let sent_at = std::mem::replace(
            &mut self.sent_at[index * self.plan.in_flight + slot],
            ANSWERED,
        );
        if sent_at == ANSWERED {
            self.surplus += 1;
            return;
        }
        self.latency.record(now.saturating_sub(sent_at));
        self.answered += 1;
        if self.sending {
            let text = self.text(index, slot, now);
            conn.queue(&[text.as_bytes()]);
        }
    }
}

/// Runs a plan against `target`.
pub fn run(target: Target, plan: Plan) -> Result<Figures, LoadError> {
    let mut swarm = Swarm::new(target.addr)?;
    let mut echoes = Echoes {
        plan,
        target,
        text: filler(plan.payload_bytes),
        sent_at: vec![ANSWERED; plan.connections * plan.in_flight],
        sent: 0,
        answered: 0,
        surplus: 0,
        sending: true,
        latency: Histogram::default(),
    };
    swarm.open(plan.connections, &mut echoes)?;
    for index in 0..plan.connections {
        for slot in 0..plan.in_flight {
            let now = swarm.clock.now();
            let text = echoes.text(index, slot, now);
            swarm.queue(index, &[text.as_bytes()]);
        }
        swarm.flush(index)?;
    }
    swarm.rest(&mut echoes, WARM_UP)?;
    echoes.latency = Histogram::default();
    let before = echoes.answered;
    let meter = Meter::start(target.pid)?;
    swarm.rest(&mut echoes, target.time)?;
    let stretch = meter.stop()?;
    let mut figures = Figures::new(echoes.answered - before, stretch);
    figures.latency = echoes.latency.latency();

    echoes.sending = false;
    let deadline = Deadline::after(&swarm.clock, DRAIN_SECONDS);
    while echoes.answered < echoes.sent && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
        swarm.turn(&mut echoes, Duration::from_millis(50))?;
    }
    figures.lost = echoes.sent - echoes.answered;
    figures.surplus = echoes.surplus;
    Ok(figures)
}
