//! `compare`: every scenario against every server in turn, server and generator each pinned to a core of its own.
//!
//! Each run gets a fresh server process. With several rounds the servers take turns, and the round in the middle (by the
//! figure that the scenario compares) is shown, so that one disturbed run does not decide. Tables are printed as they come.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::disk;
use crate::error::LoadError;
use crate::process;
use crate::report::{self, Heading, Row};
use crate::scenario::{Figures, Target, connect, durable, echo, idle, rooms};
use crate::servers::{self, Running, SECRET, Scratch, Server};
use crate::token::TokenSource;

/// What to compare, and where.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Servers to run, in this order.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "relais,relais-serve,socketioxide,node,uws"
    )]
    servers: Vec<String>,
    /// Scenarios to run, in this order.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "fanout,saturated,rooms,echo,connect,idle"
    )]
    scenarios: Vec<String>,
    /// Seconds to measure each.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rounds; the middle one is shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Core of the server, as `taskset -c` takes it.
    #[arg(long, default_value = "0")]
    server_cores: String,
    /// Core of the generator.
    #[arg(long, default_value_t = 1)]
    generator_core: usize,
    /// First port to use; every run takes the next, up to 90.
    #[arg(long, default_value_t = 4100)]
    port: u16,
    /// Idle connections.
    #[arg(long, default_value_t = idle::Plan::IDLE.connections)]
    idle_connections: usize,
    /// Connects a second.
    #[arg(long, default_value_t = connect::Plan::CONNECT.per_second)]
    connects_per_second: f64,
    /// Do not build or install the servers first.
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    durable: DurableArgs,
}

/// What only `durable` needs.
#[derive(Debug, Args)]
struct DurableArgs {
    /// Command that serves the `bam` application, split at spaces; `{root}`, `{port}`, `{data}`, `{secret}` are filled in.
    #[arg(long, default_value = SERVE)]
    serve: String,
    /// Folder on the disk to measure; a new folder is made in it and removed. Default: beside the build.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Senders.
    #[arg(long, default_value_t = durable::Plan::DURABLE.senders)]
    senders: usize,
    /// Rooms that they are spread over.
    #[arg(long, default_value_t = durable::Plan::DURABLE.rooms)]
    rooms: usize,
    /// Messages in flight on each.
    #[arg(long, default_value_t = durable::Plan::DURABLE.in_flight)]
    in_flight: usize,
}

const SERVE: &str = "env JWT_SECRET={secret} {root}/target/release/relais serve --app bam --port {port} --data {data} \
                     --connections-per-ip-per-minute-max 0 --events-per-second-max 0 --log-level warn";
const PORTS: u16 = 90;

const HEADINGS: [(Heading, &str); 7] = [
    (
        heading("fanout", "delivery", false),
        "500 receivers in one room, 40 messages/s",
    ),
    (
        heading("saturated", "delivery", false),
        "1,000 receivers in one room, 16 messages in flight",
    ),
    (
        heading("rooms", "delivery", false),
        "ten rooms of 100, 200 messages/s over all",
    ),
    (
        heading("echo", "round trip", false),
        "100 connections, one acknowledged event in flight on each",
    ),
    (
        heading("connect", "connect", false),
        "upgrade, CONNECT and join at a fixed rate",
    ),
    (
        heading("idle", "connection", true),
        "connections that do nothing",
    ),
    (
        heading("idle-cpu", "connection", false),
        "15,000 connections whose heartbeats are answered, over 50 s; \"server busy\" is the share of a core",
    ),
];

const fn heading(name: &'static str, unit: &'static str, memory: bool) -> Heading {
    Heading { name, unit, memory }
}

/// Runs the comparison and prints its tables.
pub fn run(args: &CompareArgs) -> Result<(), LoadError> {
    let servers: Vec<&Server> = args
        .servers
        .iter()
        .map(|name| Server::named(name))
        .collect::<Result<_, _>>()?;
    if !args.no_build {
        for server in &servers {
            eprintln!("building {}", server.name);
            server.build()?;
        }
    }
    println!("{}", preamble(args, &servers));
    process::pin(args.generator_core)?;
    let mut ports = (args.port..args.port.saturating_add(PORTS)).cycle();
    for name in &args.scenarios {
        if name == "durable" {
            println!(
                "{}",
                durable_table(args, ports.next().unwrap_or(args.port))?
            );
            continue;
        }
        let (heading, title) = HEADINGS
            .iter()
            .find(|(heading, _)| heading.name == name)
            .ok_or_else(|| LoadError::Process {
                what: name.clone(),
                reason: "no such scenario".to_owned(),
            })?;
        let mut outcomes: Vec<Vec<Result<Figures, String>>> = vec![Vec::new(); servers.len()];
        for _ in 0..args.rounds.max(1) {
            for (server, outcomes) in servers.iter().zip(&mut outcomes) {
                eprintln!("{name}: {}", server.name);
                let port = ports.next().unwrap_or(args.port);
                outcomes
                    .push(one(args, heading.name, server, port).map_err(|error| error.to_string()));
            }
        }
        let rows: Vec<Row> = servers
            .iter()
            .zip(outcomes)
            .map(|(server, outcomes)| Row {
                server: server.name.to_owned(),
                outcome: middle(heading, outcomes),
            })
            .collect();
        println!("{}", report::table(heading, title, &rows));
    }
    Ok(())
}

/// One scenario against one fresh server.
fn one(
    args: &CompareArgs,
    scenario: &str,
    server: &Server,
    port: u16,
) -> Result<Figures, LoadError> {
    let running = server.start(
        port,
        &args.server_cores,
        &format!("{}-{scenario}", server.name),
    )?;
    let target = Target {
        addr: running.addr,
        pid: Some(running.pid()),
        time: Duration::from_secs(args.seconds),
        secret: server.secret,
    };
    match scenario {
        "fanout" => rooms::run(target, rooms::Plan::FANOUT),
        "saturated" => rooms::run(target, rooms::Plan::SATURATED),
        "rooms" => rooms::run(target, rooms::Plan::ROOMS),
        "echo" => echo::run(target, echo::Plan::ECHO),
        "connect" => connect::run(
            target,
            connect::Plan {
                per_second: args.connects_per_second,
            },
        ),
        "idle-cpu" => idle::run(
            Target {
                time: idle::Plan::HEARTBEATS_TIME,
                ..target
            },
            idle::Plan::HEARTBEATS,
        ),
        _ => idle::run(
            target,
            idle::Plan {
                connections: args.idle_connections,
            },
        ),
    }
}

/// The round in the middle, with what the others lost or why they failed.
fn middle(heading: &Heading, outcomes: Vec<Result<Figures, String>>) -> Result<Figures, String> {
    let rounds = outcomes.len();
    let (mut done, mut failures): (Vec<Figures>, Vec<String>) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(figures) => done.push(figures),
            Err(reason) => failures.push(reason),
        }
    }
    if done.is_empty() {
        return Err(failures.swap_remove(0));
    }
    let figure = |figures: &Figures| heading.figure(figures).unwrap_or(f64::NAN);
    done.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
    let (least, most) = (figure(&done[0]), figure(&done[done.len() - 1]));
    let lost = done.iter().map(|figures| figures.lost).sum();
    let surplus = done.iter().map(|figures| figures.surplus).sum();
    let mut shown = done.swap_remove(done.len() / 2);
    (shown.lost, shown.surplus) = (lost, surplus);
    if rounds > 1 {
        shown.notes.push(format!(
            "{rounds} rounds, from {least:.2} to {most:.2}; lost is the sum of all"
        ));
    }
    shown.notes.extend(
        failures
            .into_iter()
            .map(|reason| format!("one round failed: {reason}")),
    );
    Ok(shown)
}

fn preamble(args: &CompareArgs, servers: &[&Server]) -> String {
    let command: Vec<String> = std::env::args().skip(1).collect();
    let versions: Vec<String> = servers
        .iter()
        .map(|server| format!("{} {}", server.name, server.version()))
        .collect();
    format!(
        "Machine: {}. Server on core {}, generator on core {}, loopback.\nCompared: {}.\nCommand: `loadgen {}`\n",
        process::machine(),
        args.server_cores,
        args.generator_core,
        versions.join("; "),
        command.join(" "),
    )
}

/// Durable messages through a whole server, beside what the disk can do.
fn durable_table(args: &CompareArgs, port: u16) -> Result<String, LoadError> {
    let durable = &args.durable;
    let root = servers::root();
    if !args.no_build {
        let command = "cargo build --release -p relais-server --target-dir"
            .split(' ')
            .map(str::to_owned);
        let target = root.join("target").display().to_string();
        servers::run(
            &root.display().to_string(),
            &command.chain([target]).collect::<Vec<_>>(),
        )?;
    }
    let parent = durable
        .data
        .clone()
        .unwrap_or_else(|| root.join("bench/target"));
    let data = Scratch::new(parent.join(format!("durable-{}", std::process::id())))?;
    let before = disk::sync_rate(&data.0, Duration::from_secs(2))?;
    let (root_text, data_text) = (root.display().to_string(), data.0.display().to_string());
    let command: Vec<String> = durable
        .serve
        .split_whitespace()
        .map(|word| {
            let word = word
                .replace("{root}", &root_text)
                .replace("{data}", &data_text);
            word.replace("{port}", &port.to_string())
                .replace("{secret}", SECRET)
        })
        .collect();
    let plan = durable::Plan {
        senders: durable.senders,
        rooms: durable.rooms,
        in_flight: durable.in_flight,
        ..durable::Plan::DURABLE
    };
    let running = Running::start(&command, port, &args.server_cores, "relais-durable")?;
    let target = Target {
        addr: running.addr,
        pid: Some(running.pid()),
        time: Duration::from_secs(args.seconds),
        secret: None,
    };
    let outcome = durable::run(target, plan, &TokenSource::Secret(SECRET.to_owned()));
    drop(running);
    let after = disk::sync_rate(&data.0, Duration::from_secs(2))?;
    let rows = [Row {
        server: "relais".to_owned(),
        outcome: outcome.map_err(|error| error.to_string()),
    }];
    let title = format!(
        "{} senders in {} rooms, {} messages in flight each; the disk syncs {before:.0} times/s before and {after:.0} after",
        plan.senders, plan.rooms, plan.in_flight
    );
    Ok(report::table(
        &heading("durable", "ack", false),
        &title,
        &rows,
    ))
}
