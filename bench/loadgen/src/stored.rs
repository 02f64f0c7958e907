//! `compare --scenarios durable`: messages that are acked only when they are on disk, through whole servers, beside what the disk
//! can do.
//!
//! In: sizes, and which servers. Out: a table. `relais` is `relais serve` with the application `bam`; `node-postgres` is what a
//! team would write instead, on Node's socket.io with one INSERT and commit in PostgreSQL for each message.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::disk;
use crate::error::LoadError;
use crate::postgres::Postgres;
use crate::report::{self, Heading, Row};
use crate::scenario::{Figures, Target, durable};
use crate::servers::{self, Running, SECRET, Scratch};
use crate::token::TokenSource;

const SERVE: &str = "env JWT_SECRET={secret} {root}/target/release/relais serve --app bam --port {port} --data {data} \
                     --connections-per-ip-per-minute-max 0 --events-per-second-max 0 --log-level warn";

/// What only `durable` needs.
#[derive(Debug, Args)]
pub struct DurableArgs {
    /// Servers of `durable`, in this order: `relais`, `node-postgres`.
    #[arg(long, value_delimiter = ',', default_value = "relais,node-postgres")]
    durable_servers: Vec<String>,
    /// Command that serves the `bam` application, split at spaces; `{root}`, `{port}`, `{data}`, `{secret}` are filled in.
    #[arg(long, default_value = SERVE)]
    serve: String,
    /// Folder on the disk to measure; a new folder is made in it and removed. Default: beside the build.
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    plan: durable::Plan,
    /// Connections of the pool of `node-postgres`.
    #[arg(long, default_value_t = 20)]
    pool: usize,
}

/// Where and how long a run is.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// Of the server; a database takes the next one.
    pub port: u16,
    /// Cores of the server, and of its database.
    pub cores: &'a str,
    /// Measured time.
    pub time: Duration,
    /// Whether to build first.
    pub build: bool,
}

impl DurableArgs {
    /// Runs every server in turn and gives the table.
    pub fn table(&self, stage: Stage<'_>) -> Result<String, LoadError> {
        if stage.build {
            self.build()?;
        }
        let parent = self.data.clone();
        let parent = parent.unwrap_or_else(|| servers::root().join("bench/target"));
        let data = Scratch::new(parent.join(format!("durable-{}", std::process::id())))?;
        let before = disk::sync_rate(&data.0, Duration::from_secs(2))?;
        let mut rows = Vec::new();
        for (server, number) in self.durable_servers.iter().zip(0..) {
            eprintln!("durable: {server}");
            let port = stage.port + 2 * number;
            let outcome = self.one(server, &data.0.join(server), Stage { port, ..stage });
            rows.push(Row {
                server: server.clone(),
                outcome: outcome.map_err(|error| error.to_string()),
            });
        }
        let after = disk::sync_rate(&data.0, Duration::from_secs(2))?;
        let title = format!(
            "{} senders in {} rooms, {} messages in flight each; the disk syncs {before:.0} times/s before and {after:.0} after",
            self.plan.senders, self.plan.rooms, self.plan.in_flight
        );
        let heading = Heading {
            name: "durable",
            unit: "ack",
            memory: false,
        };
        Ok(report::table(&heading, &title, &rows))
    }

    fn build(&self) -> Result<(), LoadError> {
        let root = servers::root().display().to_string();
        for server in &self.durable_servers {
            eprintln!("building {server}");
            let (folder, command) = match server.as_str() {
                "relais" => (
                    root.clone(),
                    format!("cargo build --release -p relais-server --target-dir {root}/target"),
                ),
                _ => (
                    format!("{root}/bench/peers/node-postgres"),
                    "npm install --no-audit --no-fund --silent".to_owned(),
                ),
            };
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            servers::run(&folder, &words)?;
        }
        Ok(())
    }

    fn one(&self, server: &str, folder: &Path, stage: Stage<'_>) -> Result<Figures, LoadError> {
        std::fs::create_dir_all(folder).map_err(LoadError::io("create the data folder"))?;
        match server {
            "relais" => {
                let command = fill(&self.serve, folder, stage.port);
                self.load(&command, None, "relais-durable", stage)
            }
            "node-postgres" => {
                let database_port = stage.port + 1;
                let database = Postgres::start(folder, database_port, stage.cores)?;
                let mut command = vec!["env".to_owned(), format!("POOL_MAX={}", self.pool)];
                command.extend(database.environment(database_port));
                let serve =
                    "JWT_SECRET={secret} node {root}/bench/peers/node-postgres/server.js {port}";
                command.extend(fill(serve, folder, stage.port));
                let figures = self.load(&command, Some(database.pid()), "node-postgres", stage);
                let said = format!(
                    "{}, a pool of {}; CPU is of Node and the database together",
                    database.describe(database_port),
                    self.pool
                );
                figures.map(|mut figures| {
                    figures.notes.push(said);
                    figures
                })
            }
            _ => Err(LoadError::Process {
                what: server.to_owned(),
                reason: "no such server; there are relais, node-postgres".to_owned(),
            }),
        }
    }

    fn load(
        &self,
        command: &[String],
        database: Option<u32>,
        log: &str,
        stage: Stage<'_>,
    ) -> Result<Figures, LoadError> {
        let running = Running::start(command, stage.port, stage.cores, log)?;
        let target = Target {
            addr: running.addr,
            pid: Some(running.pid()),
            time: stage.time,
            secret: None,
        };
        let tokens = TokenSource::Secret(SECRET.to_owned());
        durable::run(target, database, self.plan, &tokens)
    }
}

fn fill(command: &str, folder: &Path, port: u16) -> Vec<String> {
    let root = servers::root().display().to_string();
    let words = command.split_whitespace().map(|word| {
        word.replace("{root}", &root)
            .replace("{data}", &folder.display().to_string())
            .replace("{port}", &port.to_string())
            .replace("{secret}", SECRET)
    });
    words.collect()
}
