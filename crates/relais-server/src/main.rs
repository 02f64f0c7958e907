//! The Relais binary: reads the command line and the settings, and does the one thing that was asked.

mod app_files;
mod banner;
mod boot;
mod cli;
mod clock;
mod demo;
mod development;
mod doctor;
mod documents;
mod engines;
mod files;
mod glue;
mod http;
mod identity;
mod log;
mod open_files;
mod origin;
mod outgoing;
mod outside;
mod proxies;
mod settings;
mod tasks;
mod upkeep;

use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: relais_memory::Allocator = relais_memory::Allocator;

fn main() -> ExitCode {
    match cli::parse()
        .map_err(|error| error.to_string())
        .and_then(|(task, raw)| tasks::run(task, &raw))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit code says it too.
            let _ = writeln!(std::io::stderr(), "relais: {error}");
            ExitCode::FAILURE
        }
    }
}
