//! `loadgen`: load for Socket.IO servers, from one core.
//!
//! In: a scenario and a server's address, or `compare` to start and measure several servers side by side. Out: Markdown on
//! standard output. It speaks raw WebSocket with Socket.IO text written by hand; it is no Socket.IO client.

mod chart;
mod clock;
mod compare;
mod conn;
mod disk;
mod error;
mod histogram;
mod postgres;
mod process;
mod report;
mod results;
mod scenario;
mod servers;
mod stored;
mod swarm;
mod token;
mod whole;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::error::LoadError;
use crate::report::{Heading, Row};
use crate::scenario::{Figures, Target, connect, durable, echo, idle, overload, rooms, storm};
use crate::token::TokenSource;

#[derive(Parser)]
#[command(about = "Load for Socket.IO servers, from one core")]
struct Cli {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Run scenarios against several servers in turn, and print tables.
    Compare(compare::CompareArgs),
    /// Draw the README's table and chart again from results that were kept.
    Chart(chart::ChartArgs),
    /// One room, a fixed rate.
    Fanout(#[command(flatten)] RoomArgs),
    /// One room, as fast as the server goes.
    Saturated(#[command(flatten)] RoomArgs),
    /// Several rooms, a fixed rate.
    Rooms(#[command(flatten)] RoomArgs),
    /// Acknowledged round trips.
    Echo(#[command(flatten)] EchoArgs),
    /// Connect, CONNECT and join at a fixed rate.
    Connect(#[command(flatten)] ConnectArgs),
    /// Connections that do nothing.
    Idle(#[command(flatten)] IdleArgs),
    /// Chat messages of the `bam` application, acked when on disk.
    Durable(#[command(flatten)] DurableArgs),
    /// More messages than a whole server can store, at a rate that does not wait.
    Overload(#[command(flatten)] overload::OverloadArgs),
    /// Thousands of clients that come back at once after a kill and after a drain of a whole server.
    Storm(#[command(flatten)] storm::StormArgs),
    /// How often a disk can sync.
    SyncRate {
        /// Folder on that disk.
        folder: PathBuf,
    },
}

#[derive(Args)]
struct TargetArgs {
    /// Port of the server, on the loopback address.
    #[arg(long)]
    port: u16,
    /// The server's process, for CPU and memory.
    #[arg(long)]
    pid: Option<u32>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Pin the generator to this core.
    #[arg(long)]
    core: Option<usize>,
}

#[derive(Args)]
struct RoomArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Rooms.
    #[arg(long)]
    rooms: Option<usize>,
    /// Members of each room.
    #[arg(long)]
    members: Option<usize>,
    /// Messages a second, over all rooms.
    #[arg(long, conflicts_with = "in_flight")]
    rate: Option<f64>,
    /// Messages in flight, instead of a rate.
    #[arg(long)]
    in_flight: Option<u64>,
    /// Bytes of JSON in a message's payload.
    #[arg(long, default_value_t = 128)]
    payload_bytes: usize,
}

#[derive(Args)]
struct EchoArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Connections.
    #[arg(long, default_value_t = echo::Plan::ECHO.connections)]
    connections: usize,
    /// Events in flight on each.
    #[arg(long, default_value_t = echo::Plan::ECHO.in_flight)]
    in_flight: usize,
    /// Bytes of JSON in an event's payload.
    #[arg(long, default_value_t = 128)]
    payload_bytes: usize,
}

#[derive(Args)]
struct ConnectArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Connects a second.
    #[arg(long, default_value_t = connect::Plan::CONNECT.per_second)]
    rate: f64,
}

#[derive(Args)]
struct IdleArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Connections.
    #[arg(long, default_value_t = idle::Plan::IDLE.connections)]
    connections: usize,
}

#[derive(Args)]
struct DurableArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    plan: durable::Plan,
    /// Sign tokens (HS256) with this secret.
    #[arg(long, required_unless_present = "token_command")]
    jwt_secret: Option<String>,
    /// Command that prints a token for `$USER_ID` with `$ROOM` in its `bams`.
    #[arg(long, conflicts_with = "jwt_secret")]
    token_command: Option<String>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> Result<(), LoadError> {
    match what {
        What::Compare(args) => compare::run(&args),
        What::Chart(args) => chart::run(&args),
        What::Fanout(args) => in_rooms("fanout", rooms::Plan::FANOUT, &args),
        What::Saturated(args) => in_rooms("saturated", rooms::Plan::SATURATED, &args),
        What::Rooms(args) => in_rooms("rooms", rooms::Plan::ROOMS, &args),
        What::Echo(args) => {
            let plan = echo::Plan {
                connections: args.connections,
                in_flight: args.in_flight.max(1),
                payload_bytes: args.payload_bytes,
            };
            show("echo", "round trip", &args.target, |target| {
                echo::run(target, plan)
            })
        }
        What::Connect(args) => {
            let plan = connect::Plan {
                per_second: args.rate,
            };
            show("connect", "connect", &args.target, |target| {
                connect::run(target, plan)
            })
        }
        What::Idle(args) => {
            let plan = idle::Plan {
                connections: args.connections,
            };
            show("idle", "connection", &args.target, |target| {
                idle::run(target, plan)
            })
        }
        What::Durable(args) => durably(args),
        What::Overload(args) => {
            println!("{}", overload::run(&args)?);
            Ok(())
        }
        What::Storm(args) => {
            println!("{}", storm::run(&args)?);
            Ok(())
        }
        What::SyncRate { folder } => {
            println!(
                "{:.0} syncs/s",
                disk::sync_rate(&folder, Duration::from_secs(3))?
            );
            Ok(())
        }
    }
}

fn in_rooms(name: &'static str, preset: rooms::Plan, args: &RoomArgs) -> Result<(), LoadError> {
    let sending = match (args.rate, args.in_flight) {
        (Some(rate), _) => rooms::Sending::Rate(rate),
        (None, Some(count)) => rooms::Sending::InFlight(count),
        (None, None) => preset.sending,
    };
    let plan = rooms::Plan {
        rooms: args.rooms.unwrap_or(preset.rooms).max(1),
        members: args.members.unwrap_or(preset.members).max(1),
        sending,
        payload_bytes: args.payload_bytes,
    };
    show(name, "delivery", &args.target, |target| {
        rooms::run(target, plan)
    })
}

fn durably(args: DurableArgs) -> Result<(), LoadError> {
    let tokens = match args.token_command {
        Some(command) => TokenSource::Command(command),
        None => TokenSource::Secret(args.jwt_secret.unwrap_or_default()),
    };
    show("durable", "ack", &args.target, |target| {
        durable::run(target, None, args.plan, &tokens)
    })
}

fn show(
    name: &'static str,
    unit: &'static str,
    args: &TargetArgs,
    scenario: impl FnOnce(Target) -> Result<Figures, LoadError>,
) -> Result<(), LoadError> {
    if let Some(core) = args.core {
        process::pin(core)?;
    }
    let figures = scenario(Target {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        pid: args.pid,
        time: Duration::from_secs(args.seconds),
        secret: None,
    })?;
    let heading = Heading {
        name,
        unit,
        memory: name == "idle",
    };
    let row = Row {
        server: format!("port {}", args.port),
        outcome: Ok(figures),
    };
    println!("{}", report::table(&heading, &process::machine(), &[row]));
    Ok(())
}
