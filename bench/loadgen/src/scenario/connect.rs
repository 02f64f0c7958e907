//! `connect`: what it costs a server to take a client in, at a fixed rate.
//!
//! A connect is TCP, the WebSocket upgrade, OPEN, CONNECT and one `join`. Latency counts from the time that the schedule
//! names to the server's CONNECT packet. Connections stay open until the end; then one message to the room must reach
//! every one of them, which proves the joins.

use std::time::Duration;

use crate::clock::{Clock, Pace};
use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::process::Meter;
use crate::swarm::{Deadline, Swarm};

use super::{DRAIN_SECONDS, Figures, Target, WARM_UP};

/// Time for the last joins, which nobody acknowledges, to be handled before the CPU is read.
const SETTLE: Duration = Duration::from_millis(300);

/// Pace of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Connects a second.
    pub per_second: f64,
}

impl Plan {
    /// 400 a second: a rate that the slowest peer keeps on one core.
    pub const CONNECT: Self = Self { per_second: 400.0 };
}

struct Arrivals {
    target: Target,
    latency: Histogram,
    ready: u64,
    reached: u64,
    /// How often the final message reached each connection.
    copies: Vec<u64>,
    clock: Clock,
}

impl Handler for Arrivals {
    fn auth(&mut self, index: usize) -> String {
        self.target.auth(index)
    }

    fn ready(&mut self, conn: &mut Conn, _index: usize) {
        conn.queue(&[br#"42["join","hall"]"#]);
        self.ready += 1;
        self.latency
            .record(self.clock.now().saturating_sub(conn.dialled));
    }

    fn event(&mut self, index: usize, array: &[u8], _now: u64) {
        if array.starts_with(b"[\"msg\"") {
            self.reached += 1;
            self.copies[index] += 1;
        }
    }
}

/// Runs a plan against `target`.
pub fn run(target: Target, plan: Plan) -> Result<Figures, LoadError> {
    let mut swarm = Swarm::new(target.addr)?;
    let mut arrivals = Arrivals {
        target,
        latency: Histogram::default(),
        ready: 0,
        reached: 0,
        copies: Vec::new(),
        clock: swarm.clock,
    };
    stream_in(&mut swarm, &mut arrivals, plan, WARM_UP)?;
    arrivals.latency = Histogram::default();
    let before = arrivals.ready;
    let meter = Meter::start(target.pid)?;
    stream_in(&mut swarm, &mut arrivals, plan, target.time)?;
    let mut stretch = meter.stop()?;
    // Nobody connects while the last joins settle: the rate and the load are those of the time before.
    stretch.seconds -= SETTLE.as_secs_f64();
    let mut figures = Figures::new(arrivals.ready - before, stretch);
    figures.latency = arrivals.latency.latency();

    let everyone = swarm.len();
    arrivals.copies = vec![0; everyone];
    swarm.queue(0, &[br#"42["pub","hall",{}]"#]);
    swarm.flush(0)?;
    let deadline = Deadline::after(&swarm.clock, DRAIN_SECONDS);
    while arrivals.reached < everyone as u64 && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
        swarm.turn(&mut arrivals, Duration::from_millis(50))?;
    }
    figures.lost = arrivals.copies.iter().filter(|&&count| count == 0).count() as u64;
    figures.surplus = arrivals.reached + figures.lost - everyone as u64;
    Ok(figures)
}

/// Dials on schedule for `time`, and waits until all of them are in.
fn stream_in(
    swarm: &mut Swarm,
    arrivals: &mut Arrivals,
    plan: Plan,
    time: Duration,
) -> Result<(), LoadError> {
    let start = swarm.clock.now();
    let end = start + time.as_nanos() as u64;
    let mut pace = Pace::new(start, plan.per_second);
    loop {
        let now = swarm.clock.now();
        if now >= end {
            break;
        }
        while let Some(due) = pace.due(now) {
            swarm.dial(due)?;
            arrivals.copies.push(0);
        }
        swarm.turn(arrivals, pace.wait(now))?;
    }
    let dialled = swarm.len() as u64;
    swarm.turn_until(arrivals, "connects", 20, dialled, |arrivals| arrivals.ready)?;
    swarm.rest(arrivals, SETTLE)
}
