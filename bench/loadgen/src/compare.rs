//! `compare`: every scenario against every server in turn, server and generator each pinned to a core of its own.
//!
//! Each run gets a fresh server process. With several rounds the servers take turns, and the round in the middle (by the
//! figure that the scenario compares) is shown, so that one disturbed run does not decide. Tables are printed as they come.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::chart::{self, ChartArgs};
use crate::error::LoadError;
use crate::process;
use crate::report::{self, Heading, Row};
use crate::results::Results;
use crate::scenario::{Figures, Target, connect, echo, idle, rooms};
use crate::servers::{SERVERS, Server};
use crate::stored::{DurableArgs, Stage};

/// What to compare, and where.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Servers to run, in this order.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "floor,relais,relais-serve,socketioxide,node,uws"
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
    /// Keep the results in this file too, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep the results in bench/results.json, and draw the README's table and chart from them.
    #[arg(long, conflicts_with = "json")]
    publish: bool,
    #[command(flatten)]
    durable: DurableArgs,
}

const PORTS: u16 = 90;

impl CompareArgs {
    fn json_file(&self) -> Option<PathBuf> {
        let published = || self.publish.then(|| ChartArgs::published().results);
        self.json.clone().or_else(published)
    }
}

const HEADINGS: [(Heading, &str); 8] = [
    (
        heading("fanout", "delivery", false),
        "500 receivers in one room, 40 messages/s",
    ),
    (
        heading("saturated", "delivery", false),
        "1,000 receivers in one room, 16 messages in flight",
    ),
    (
        heading("bursts", "delivery", false),
        "3,000 receivers in one room, bursts of 200 messages, read when all are there",
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
    let mut results = Results::new(args.json_file(), &circumstances(args), &servers);
    println!("{}", results.preamble());
    process::pin(args.generator_core)?;
    let mut ports = (args.port..args.port.saturating_add(PORTS)).cycle();
    for name in &args.scenarios {
        if name == "durable" {
            // Each server takes a port, and its database the next one.
            let stage = Stage {
                port: ports.nth(2 * SERVERS.len()).unwrap_or(args.port),
                cores: &args.server_cores,
                time: Duration::from_secs(args.seconds),
                build: !args.no_build,
            };
            println!("{}", args.durable.table(stage)?);
            continue;
        }
        let (heading, title) = HEADINGS
            .iter()
            .find(|(heading, _)| heading.name == name)
            .ok_or_else(|| LoadError::Process {
                what: name.clone(),
                reason: "no such scenario".to_owned(),
            })?;
        let taking_part = servers.iter().filter(|server| server.takes_part(name));
        let taking_part: Vec<&Server> = taking_part.copied().collect();
        let mut outcomes: Vec<Vec<Result<Figures, String>>> = vec![Vec::new(); taking_part.len()];
        for _ in 0..args.rounds.max(1) {
            for (server, outcomes) in taking_part.iter().zip(&mut outcomes) {
                eprintln!("{name}: {}", server.name);
                let port = ports.next().unwrap_or(args.port);
                outcomes
                    .push(one(args, heading.name, server, port).map_err(|error| error.to_string()));
            }
        }
        let rows: Vec<Row> = taking_part
            .iter()
            .zip(outcomes)
            .map(|(server, outcomes)| Row {
                server: server.name.to_owned(),
                outcome: middle(heading, outcomes),
            })
            .collect();
        println!("{}", report::table(heading, title, &rows));
        results.add(heading, title, &rows)?;
    }
    if args.publish {
        chart::run(&ChartArgs::published())?;
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
        "bursts" => rooms::run(target, rooms::Plan::BURSTS),
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
        shown.spread = Some((least, most));
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

/// The machine, where everything ran, and the command.
fn circumstances(args: &CompareArgs) -> [String; 2] {
    let command: Vec<String> = std::env::args().skip(1).collect();
    [
        format!(
            "{}. Server on core {}, generator on core {}, loopback",
            process::machine(),
            args.server_cores,
            args.generator_core,
        ),
        format!("cargo xtask bench {}", command.join(" ")),
    ]
}
