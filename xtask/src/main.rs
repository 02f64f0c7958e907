//! `cargo xtask`: the one way to build, run and check this workspace.
//!
//! Each subcommand is a module that gets the [`Workspace`] and returns success or the reason why not. Nothing in here
//! waits for an answer from a terminal, and nothing that needs the network is repeated when its result is there.
//! What the checks check is decided elsewhere: the style in `CONTRIBUTING.md`, the table of who may know whom in
//! `ARCHITECTURE.md`; only [`tidy`] repeats them, as code.
#![allow(
    clippy::print_stdout,
    reason = "a task runner speaks to the one who called it"
)]

mod autobahn;
mod conformance;
mod steps;
mod tasks;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use workspace::Workspace;

/// The one way to do things.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the server and start it in development mode, with the app `bam` at the root and its data in ./data
    Run {
        /// Build with optimisations
        #[arg(long)]
        release: bool,
        /// For the server, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// All checks: toolchain, fmt, clippy, tidy, unit and contract tests, doc tests, load generator, conformance
    Test {
        /// Leave out the last three
        #[arg(long)]
        fast: bool,
    },
    /// The same as `test`
    Ci,
    /// Check what no compiler checks: who may know whom, sizes, leftovers, links
    Tidy,
    /// Black-box tests against the built server, with other people's clients
    Conformance {
        /// Run them against the reference server instead, to check the tests themselves
        #[arg(long)]
        reference: bool,
        /// For the runner, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// The Autobahn test suite for WebSocket against the engine's echo, as a table
    Autobahn {
        /// Patterns of cases, such as '6.*' [default: all]
        cases: Vec<String>,
    },
    /// Measure beside other servers; everything after `bench` goes to the load generator in bench/
    Bench {
        /// For the load generator [default: compare]
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the Rust documentation of our own crates
    Docs,
    /// Run a fuzz target of relais-protocol or relais-engine
    Fuzz {
        /// Its name
        name: String,
        /// How long
        #[arg(default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let done = Workspace::open().and_then(|workspace| match task {
        Task::Run { release, arguments } => tasks::run(&workspace, release, &arguments),
        Task::Test { fast } => test::all(&workspace, fast),
        Task::Ci => test::all(&workspace, false),
        Task::Tidy => tidy::run(&workspace),
        Task::Conformance {
            reference,
            arguments,
        } => conformance::run(&workspace, reference, &arguments),
        Task::Autobahn { cases } => autobahn::run(&workspace, &cases),
        Task::Bench { arguments } => tasks::bench(&workspace, &arguments),
        Task::Docs => tasks::docs(&workspace),
        Task::Fuzz { name, seconds } => tasks::fuzz(&workspace, &name, seconds),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
