//! `bursts`: how fast a fan-out goes when the server has every core, on a machine with none to spare for the generator.
//!
//! A burst of messages is sent at once, and nobody reads: what is delivered stays in the kernel's buffers of the receivers, and the
//! generator sleeps, but for a look at how much waits at them. The burst has ended when all of it is at everyone. Then it is read,
//! counted and thrown away, outside the measured time. So the rate is the server's alone, on one core as on two.

use std::time::Duration;

use crate::error::LoadError;
use crate::process::{Meter, Stretch};
use crate::swarm::{Deadline, Swarm};

use super::rooms::{Members, Publisher};

/// Bursts that are thrown away first.
const WARM_UP_BURSTS: u32 = 3;
/// How long a burst may take.
const BURST_SECONDS: u64 = 10;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// The first burst, by which the bytes of one are known, has come when nothing has changed for so long.
const SETTLED: Duration = Duration::from_millis(500);
/// The same in every message, so that every burst has as many bytes.
const STAMP: u64 = 1_000_000_000_000;

/// Sends bursts of `count` messages for `time` of measured seconds. Gives the deliveries of those, and the stretch that they took.
pub fn run(
    swarm: &mut Swarm,
    members: &mut Members,
    publisher: &mut Publisher,
    (count, time): (u64, Duration),
) -> Result<(u64, Stretch), LoadError> {
    send(swarm, publisher, count)?;
    let bytes = settled(swarm, members.receivers())?;
    members.drain(swarm, publisher)?;

    let mut whole = Stretch::default();
    let mut bursts = 0;
    while bursts < WARM_UP_BURSTS || whole.seconds < time.as_secs_f64() {
        if bursts == WARM_UP_BURSTS {
            whole = Stretch::default();
        }
        let meter = Meter::start(members.pid())?;
        send(swarm, publisher, count)?;
        let deadline = Deadline::after(&swarm.clock, BURST_SECONDS);
        for one in 0..members.receivers() {
            while swarm.unread(one)? < bytes {
                deadline.check(&swarm.clock, "bytes of a burst", swarm.unread(one)?, bytes)?;
                std::thread::sleep(LOOK_EVERY);
            }
        }
        whole = whole.and(meter.stop()?);
        members.drain(swarm, publisher)?;
        bursts += 1;
    }
    let deliveries = u64::from(bursts - WARM_UP_BURSTS) * count * members.receivers() as u64;
    Ok((deliveries, whole))
}

/// The bytes of a burst: what waits at every receiver when nothing comes any more.
fn settled(swarm: &Swarm, receivers: usize) -> Result<u64, LoadError> {
    let waiting =
        || -> Result<Vec<u64>, LoadError> { (0..receivers).map(|one| swarm.unread(one)).collect() };
    let deadline = Deadline::after(&swarm.clock, BURST_SECONDS);
    let mut before = waiting()?;
    loop {
        std::thread::sleep(SETTLED);
        let now = waiting()?;
        let (least, most) = (now.iter().min(), now.iter().max());
        if now == before && least == most && most > Some(&0) {
            return Ok(now[0]);
        }
        let (have, want) = (least.copied(), most.copied());
        deadline.check(
            &swarm.clock,
            "bytes of the first burst",
            have.unwrap_or(0),
            want.unwrap_or(0),
        )?;
        before = now;
    }
}

fn send(swarm: &mut Swarm, publisher: &mut Publisher, count: u64) -> Result<(), LoadError> {
    for _ in 0..count {
        publisher.publish(swarm, STAMP);
    }
    publisher.flush_all(swarm)
}
