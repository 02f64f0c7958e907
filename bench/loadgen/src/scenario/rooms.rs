//! `fanout`, `saturated`, `rooms`: one publisher, and members who each must get every message of their room.
//!
//! A delivery is one message at one member. The publisher is in no room (in all of them where the server lets only members
//! send, and then what it gets itself is not counted). With a rate, messages go out on a fixed schedule
//! and latency counts from the time that the schedule names; with a number in flight, the next message goes out when an
//! earlier one has reached all its members, and latency counts from the send. Bursts are in [`bursts`].

use std::time::Duration;

use crate::clock::Pace;
use crate::conn::{Conn, Handler};
use crate::error::LoadError;
use crate::histogram::Histogram;
use crate::process::Meter;
use crate::swarm::{Deadline, Swarm};
use crate::wire;

use super::{DRAIN_SECONDS, Figures, Target, WARM_UP, bursts, filler};

/// Every so many deliveries one is timed; prime, so that all members and all places in a burst take part.
const SAMPLE_EVERY: u64 = 7;
const BARRIER_ACK: u64 = 1;
/// How long the first message of each room may take to everyone.
const FIRST_SECONDS: u64 = 5;
/// One in so many of the first deliveries may be missing: a server whose joins are not done when it answers what came after them
/// shows what it shows, and still has a figure.
const FIRST_MISSING_ONE_IN: u64 = 50;
const TURN_MAX: Duration = Duration::from_millis(50);

/// When the next message goes out.
#[derive(Debug, Clone, Copy)]
pub enum Sending {
    /// So many messages a second, over all rooms.
    Rate(f64),
    /// So many messages on their way at once.
    InFlight(u64),
    /// So many messages at once, which nobody reads until all are there: see [`bursts`].
    Bursts(u64),
}

/// Size and pace of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rooms; messages go to them in turn.
    pub rooms: usize,
    /// Members of each room.
    pub members: usize,
    /// Pace of the publisher.
    pub sending: Sending,
    /// Bytes of JSON in a message's payload.
    pub payload_bytes: usize,
}

impl Plan {
    /// 500 receivers in one room, 40 messages a second: every delivery is a write of its own.
    pub const FANOUT: Self = Self {
        rooms: 1,
        members: 500,
        sending: Sending::Rate(40.0),
        payload_bytes: 128,
    };
    /// 1,000 receivers in one room, 16 messages in flight: as fast as the server goes.
    pub const SATURATED: Self = Self {
        rooms: 1,
        members: 1000,
        sending: Sending::InFlight(16),
        payload_bytes: 128,
    };
    /// 3,000 receivers in one room, bursts of 200 messages that wait in the kernel until all are there.
    pub const BURSTS: Self = Self {
        rooms: 1,
        members: 3000,
        sending: Sending::Bursts(200),
        payload_bytes: 128,
    };
    /// Ten rooms of 100, 200 messages a second over all: smaller fan-outs, the same number of deliveries as `FANOUT`.
    pub const ROOMS: Self = Self {
        rooms: 10,
        members: 100,
        sending: Sending::Rate(200.0),
        payload_bytes: 128,
    };

    fn receivers(&self) -> usize {
        self.rooms * self.members
    }
}

/// The receivers and what came to them.
pub(super) struct Members {
    plan: Plan,
    target: Target,
    received: Vec<u32>,
    total: u64,
    joined: u64,
    latency: Histogram,
}

impl Members {
    pub(super) fn receivers(&self) -> usize {
        self.plan.receivers()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.target.pid
    }

    /// Reads all that the publisher has sent; what does not come is counted as lost at the end.
    pub(super) fn drain(
        &mut self,
        swarm: &mut Swarm,
        publisher: &Publisher,
    ) -> Result<(), LoadError> {
        let due = publisher.deliveries_due();
        let deadline = Deadline::after(&swarm.clock, DRAIN_SECONDS);
        while self.total < due && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
            swarm.turn(self, TURN_MAX)?;
        }
        Ok(())
    }

    /// Takes the first deliveries that never came as if they had, so that the count of those under way is right from here on.
    fn forgive_first(&mut self) -> u64 {
        let members = &mut self.received[..self.plan.receivers()];
        let missing = members.iter_mut().filter(|received| **received == 0);
        let missing = missing.map(|received| *received = 1).count() as u64;
        self.total += missing;
        missing
    }
}

impl Handler for Members {
    fn auth(&mut self, index: usize) -> String {
        self.target.auth(index)
    }

    fn ready(&mut self, conn: &mut Conn, index: usize) {
        if index < self.plan.receivers() {
            let room = index % self.plan.rooms;
            conn.queue(&[format!(r#"42["join","room-{room}"]"#).as_bytes()]);
        } else if self.target.secret.is_some() {
            for room in 0..self.plan.rooms {
                conn.queue(&[format!(r#"42["join","room-{room}"]"#).as_bytes()]);
            }
        }
        conn.queue(&[format!(r#"42{BARRIER_ACK}["echo",{{}}]"#).as_bytes()]);
    }

    #[inline]
    fn event(&mut self, index: usize, array: &[u8], now: u64) {
        // A publisher that had to join hears itself; that is nobody's delivery.
        let is_own = index >= self.plan.receivers() && self.target.secret.is_some();
        if is_own || !array.starts_with(b"[\"msg\"") {
            return;
        }
        self.received[index] += 1;
        self.total += 1;
        if self.total.is_multiple_of(SAMPLE_EVERY)
            && let Some(sent) = wire::stamp(array)
        {
            self.latency.record(now.saturating_sub(sent));
        }
    }

    fn ack(&mut self, _conn: &mut Conn, _index: usize, _id: u64, _array: &[u8], _now: u64) {
        self.joined += 1;
    }
}

/// Who sends.
pub(super) struct Publisher {
    plan: Plan,
    index: usize,
    sent: u64,
    text: String,
}

impl Publisher {
    pub(super) fn publish(&mut self, swarm: &mut Swarm, stamp: u64) {
        let room = self.sent % self.plan.rooms as u64;
        let head = format!(r#"42["pub","room-{room}",{{"t":{stamp},"text":""#);
        swarm.queue(
            self.index,
            &[head.as_bytes(), self.text.as_bytes(), b"\"}]"],
        );
        self.sent += 1;
    }

    /// Writes all that is queued, without reading anything meanwhile.
    pub(super) fn flush_all(&self, swarm: &mut Swarm) -> Result<(), LoadError> {
        let deadline = Deadline::after(&swarm.clock, DRAIN_SECONDS);
        while !swarm.flush(self.index)? {
            deadline.check(&swarm.clock, "the publisher's writes", 0, 1)?;
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    fn deliveries_due(&self) -> u64 {
        self.sent * self.plan.members as u64
    }

    /// Messages that have not reached all their members yet, judged by the count of deliveries alone.
    fn in_flight(&self, deliveries: u64) -> u64 {
        self.sent
            .saturating_sub(deliveries / self.plan.members as u64)
    }

    /// Messages that have gone to the room of member `index`.
    fn due_to(&self, index: usize) -> u64 {
        let (rooms, room) = (self.plan.rooms as u64, (index % self.plan.rooms) as u64);
        self.sent / rooms + u64::from(self.sent % rooms > room)
    }

    /// Sends on schedule for `time`.
    fn run(
        &mut self,
        swarm: &mut Swarm,
        members: &mut Members,
        time: Duration,
    ) -> Result<(), LoadError> {
        let start = swarm.clock.now();
        let end = start + time.as_nanos() as u64;
        let mut pace = match self.plan.sending {
            Sending::Rate(rate) => Some(Pace::new(start, rate)),
            Sending::InFlight(_) | Sending::Bursts(_) => None,
        };
        loop {
            let now = swarm.clock.now();
            if now >= end {
                return Ok(());
            }
            let mut wait = TURN_MAX.min(Duration::from_nanos(end - now));
            match (&mut pace, self.plan.sending) {
                (Some(pace), _) => {
                    while let Some(due) = pace.due(now) {
                        self.publish(swarm, due);
                    }
                    wait = wait.min(pace.wait(now));
                }
                (None, Sending::InFlight(limit)) => {
                    while self.in_flight(members.total) < limit {
                        self.publish(swarm, now);
                    }
                }
                (None, Sending::Rate(_) | Sending::Bursts(_)) => {}
            }
            swarm.flush(self.index)?;
            swarm.turn(members, wait)?;
        }
    }
}

/// Runs a plan against `target`.
pub fn run(target: Target, plan: Plan) -> Result<Figures, LoadError> {
    let mut swarm = Swarm::new(target.addr)?;
    let mut members = Members {
        plan,
        target,
        received: vec![0; plan.receivers() + 1],
        total: 0,
        joined: 0,
        latency: Histogram::default(),
    };
    let mut publisher = Publisher {
        plan,
        index: plan.receivers(),
        sent: 0,
        text: filler(plan.payload_bytes),
    };
    let missing = gather(&mut swarm, &mut members, &mut publisher)?;

    let mut figures = match plan.sending {
        Sending::Bursts(count) => {
            let plan = (count, target.time);
            let (deliveries, stretch) =
                bursts::run(&mut swarm, &mut members, &mut publisher, plan)?;
            Figures::new(deliveries, stretch)
        }
        Sending::Rate(_) | Sending::InFlight(_) => {
            publisher.run(&mut swarm, &mut members, WARM_UP)?;
            members.latency = Histogram::default();
            let before = members.total;
            let meter = Meter::start(target.pid)?;
            publisher.run(&mut swarm, &mut members, target.time)?;
            let mut figures = Figures::new(members.total - before, meter.stop()?);
            figures.latency = members.latency.latency();
            figures
        }
    };
    if missing > 0 {
        figures.notes.push(format!(
            "{missing} of the {} first deliveries, before the warm-up, never came; they are not in \"lost\"",
            plan.receivers()
        ));
    }

    members.drain(&mut swarm, &publisher)?;
    // A little longer, for what should not come.
    swarm.rest(&mut members, TURN_MAX * 2)?;
    for (index, &received) in members.received[..plan.receivers()].iter().enumerate() {
        let due = publisher.due_to(index);
        figures.lost += due.saturating_sub(u64::from(received));
        figures.surplus += u64::from(received).saturating_sub(due);
    }
    figures.surplus += u64::from(members.received[publisher.index]);
    Ok(figures)
}

/// Opens everything, joins, and proves the joins with one message to each room. Gives how many of those deliveries never came.
fn gather(
    swarm: &mut Swarm,
    members: &mut Members,
    publisher: &mut Publisher,
) -> Result<u64, LoadError> {
    let everyone = members.plan.receivers() + 1;
    swarm.open(everyone, members)?;
    swarm.turn_until(members, "joins", 30, everyone as u64, |members| {
        members.joined
    })?;
    for _ in 0..members.plan.rooms {
        let now = swarm.clock.now();
        publisher.publish(swarm, now);
    }
    swarm.flush(publisher.index)?;
    let due = publisher.deliveries_due();
    let deadline = Deadline::after(&swarm.clock, FIRST_SECONDS);
    while members.total < due {
        swarm.turn(members, TURN_MAX)?;
        let late = deadline.check(&swarm.clock, "first deliveries", members.total, due);
        if late.is_err() && due - members.total <= due / FIRST_MISSING_ONE_IN {
            break;
        }
        late?;
    }
    Ok(members.forgive_first())
}
