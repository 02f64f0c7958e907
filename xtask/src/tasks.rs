//! The short tasks: start the server, measure, document, fuzz.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{Workspace, answer, call};

/// Builds the server and becomes it, so that signals reach it and its exit status is ours.
///
/// Without arguments of one's own it listens where the server's defaults say, serves `bam` at the root and keeps its data in ./data.
pub fn run(workspace: &Workspace, release: bool, arguments: &[String]) -> Result<()> {
    let mut build = workspace.cargo();
    build.args(["build", "--package", "relais-server", "--bin", "relais"]);
    if release {
        build.arg("--release");
    }
    call(&mut build)?;
    let profile = if release { "release" } else { "debug" };
    let binary = workspace.target()?.join(profile).join("relais");
    let mut server = workspace.command(&binary);
    if std::env::var_os("RELAIS_APP").is_none() {
        server.env("RELAIS_APP", "bam");
    }
    server.args(arguments).stdin(Stdio::inherit());
    Err(server.exec()).with_context(|| format!("unable to start {}", binary.display()))
}

/// Hands everything to the load generator in bench/, which builds the servers and compares them; without arguments, all of them.
pub fn bench(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut generator = workspace.cargo();
    generator.args(["run", "--release", "--manifest-path", "bench/Cargo.toml"]);
    generator.args(["--package", "loadgen", "--"]);
    if arguments.is_empty() {
        generator.arg("compare");
    }
    call(generator.args(arguments))
}

/// The documentation of our own crates, without warnings.
pub fn docs(workspace: &Workspace) -> Result<()> {
    let mut doc = workspace.cargo();
    doc.args(["doc", "--workspace", "--no-deps"]);
    call(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// The crates with fuzz targets.
const FUZZED: [&str; 2] = ["crates/relais-protocol", "crates/relais-engine"];

/// Runs one fuzz target for a while; a crash is an error, and its input is kept by cargo-fuzz. What it finds goes into the crate's
/// `fuzz/corpus`, which is not kept; it starts from `fuzz/seeds`, which is.
///
/// No sanitizer: the crates have no unsafe code, and so the pinned compiler will do.
pub fn fuzz(workspace: &Workspace, name: &str, seconds: u32) -> Result<()> {
    let target = format!("fuzz/fuzz_targets/{name}.rs");
    let mut folders = FUZZED.map(|folder| workspace.root.join(folder)).into_iter();
    let Some(folder) = folders.find(|folder| folder.join(&target).is_file()) else {
        bail!("no fuzz target {name}; they are in fuzz/fuzz_targets of {FUZZED:?}");
    };
    let (corpus, seeds) = (format!("fuzz/corpus/{name}"), format!("fuzz/seeds/{name}"));
    std::fs::create_dir_all(folder.join(&corpus)).context(corpus.clone())?;
    if answer(workspace.cargo().args(["fuzz", "--version"])).is_none() {
        call(
            workspace
                .cargo()
                .args(["install", "--locked", "cargo-fuzz"]),
        )?;
    }
    let mut fuzz = workspace.cargo();
    fuzz.current_dir(&folder);
    fuzz.args(["fuzz", "run", "--sanitizer", "none", name]);
    fuzz.args([&corpus, &seeds]).arg("--");
    call(fuzz.arg(format!("-max_total_time={seconds}")))
}
