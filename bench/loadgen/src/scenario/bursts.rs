//! `bursts`: how fast a fan-out goes when the server has every core, on a machine with none to spare for the generator.
//!
//! A burst of messages is sent at once, and nobody reads: what is delivered stays in the kernel's buffers of the receivers, and the
//! generator sleeps, but for a look at how much waits at some of them. The burst has ended when all of it is there. Then it is read,
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
/// Receivers whose buffers are looked at, spread over all of them and so over all shards.
const WATCHED: usize = 31;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How long the first burst, by which the bytes of one are known, is given to arrive.
const FIRST_BURST: Duration = Duration::from_secs(2);
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
    std::thread::sleep(FIRST_BURST);
    let watched: Vec<usize> = (0..WATCHED)
        .map(|one| one * members.receivers() / WATCHED)
        .collect();
    let bytes = swarm.unread(watched[0])?;
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
        for &one in &watched {
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

fn send(swarm: &mut Swarm, publisher: &mut Publisher, count: u64) -> Result<(), LoadError> {
    for _ in 0..count {
        publisher.publish(swarm, STAMP);
    }
    publisher.flush_all(swarm)
}
