//! `idle`: what a connection costs that does nothing.
//!
//! Memory is the growth of the server's resident set from before the connections (but after a few had come and stayed, so
//! that what a server allocates once is not charged to them) to after they have settled. CPU is what it uses over the
//! measured time; a heartbeat is part of it when one falls due.

use std::time::Duration;

use crate::conn::Handler;
use crate::error::LoadError;
use crate::process::{self, Meter};
use crate::swarm::Swarm;

use super::{Figures, Target, WARM_UP};

const FIRST_CONNECTIONS: usize = 100;

/// Size of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Idle connections that are measured.
    pub connections: usize,
}

impl Plan {
    /// 5,000 connections.
    pub const IDLE: Self = Self { connections: 5000 };
    /// 15,000 connections, for what their heartbeats cost.
    pub const HEARTBEATS: Self = Self {
        connections: 15_000,
    };
    /// Two heartbeats of every connection at the interval of all servers compared, 25 s.
    pub const HEARTBEATS_TIME: Duration = Duration::from_secs(50);
}

struct Silence {
    target: Target,
}

impl Handler for Silence {
    fn auth(&mut self, index: usize) -> String {
        self.target.auth(index)
    }
}

/// Runs a plan against `target`.
pub fn run(target: Target, plan: Plan) -> Result<Figures, LoadError> {
    let mut swarm = Swarm::new(target.addr)?;
    let mut silence = Silence { target };
    swarm.open(FIRST_CONNECTIONS, &mut silence)?;
    swarm.rest(&mut silence, Duration::from_secs(1))?;
    let before = target.pid.map(process::resident_kib).transpose()?;

    swarm.open(FIRST_CONNECTIONS + plan.connections, &mut silence)?;
    swarm.rest(&mut silence, WARM_UP)?;
    let meter = Meter::start(target.pid)?;
    swarm.rest(&mut silence, target.time)?;
    let stretch = meter.stop()?;
    let after = target.pid.map(process::resident_kib).transpose()?;

    let mut figures = Figures::new(plan.connections as u64, stretch);
    figures.kib_per_connection = before
        .zip(after)
        .map(|(before, after)| (after as f64 - before as f64) / plan.connections as f64);
    Ok(figures)
}
