//! `storm`: thousands of clients come back at once, after SIGKILL and restart, and after a drain.
//!
//! Each client is a user in a room, with `pid` and offset as stock clients keep them. Before the server goes, all but one of
//! each room stop reading, and that one sends messages: so everybody has missed some. When the server listens again, all
//! dial at once. Whoever is turned away tries again as stock clients do: after 1 s, then 2 s, then 5 s, each ± 50 %. A client is back
//! when CONNECT is answered, and recovered when that has its old sid; then it must get what it missed once, in order.

mod crowd;

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use clap::Args;

use crate::error::LoadError;
use crate::process::{self, Meter};
use crate::swarm::{Deadline, Swarm};
use crate::whole::{MemoryWatch, Whole, WholeArgs};

use crowd::{Crowd, room};

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

const GIVE_UP_SECONDS: u64 = 90;
const DIALS_A_TURN: usize = 128;

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
    let mut crowd = Crowd::new((args.clients, args.rooms, args.missed), &whole.tokens())?;
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
        crowd.back(),
        args.clients,
        crowd.recovered(),
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
    while crowd.complete() < args.clients && deadline.check(&swarm.clock, "", 0, 0).is_ok() {
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
