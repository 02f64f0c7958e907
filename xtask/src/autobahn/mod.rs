//! `cargo xtask autobahn`: the Autobahn test suite, which asks a WebSocket server about every clause of RFC 6455.
//!
//! In: patterns of cases, all without one. Out: a table, and an error when a case that is not about compression failed. The server is the
//! engine's example `conformance`, in release, on a free port of loopback. How the suite comes here is [`setup`]'s affair, what its
//! results mean is [`report`]'s.
//!
//! It is no part of `cargo xtask test`: the suite needs a CPython of 2010 and packages that mirrors are about to drop, and a check that fails
//! for somebody else's reasons is soon ignored. What it found is held by tests of our own.

mod report;
mod setup;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::workspace::{Workspace, call};
use report::Report;
use setup::Suite;

/// How many there are in the version of the suite that is pinned; fewer would mean that it broke off.
const CASES: u32 = 517;
/// The cases 9.3.1 and 9.4.1 send 4 MiB in pieces of 64 bytes, more than the default of the engine allows.
const FRAGMENTS_MAX: &str = "100000";
const START_MAX: Duration = Duration::from_secs(20);

/// Runs the cases that fit one of the patterns, such as `6.*`; all of them when there is none.
pub fn run(workspace: &Workspace, patterns: &[String]) -> Result<()> {
    let suite = Suite::set_up(workspace)?;
    let server = Server::start(workspace)?;
    let reports = suite.folder("reports");
    if reports.exists() {
        fs::remove_dir_all(&reports).context("the reports of before")?;
    }
    let cases = match patterns {
        [] => vec!["*".to_owned()],
        some => some.to_vec(),
    };
    let url = format!("ws://127.0.0.1:{}/__echo", server.port);
    let plan = json!({
        "outdir": reports,
        "servers": [{ "agent": "relais", "url": url }],
        "cases": cases,
        "exclude-cases": [],
    });
    let plan_file = suite.folder("plan.json");
    fs::write(&plan_file, plan.to_string()).context("the plan of the suite")?;
    let plan_file = plan_file.to_str().context("a path that is no text")?;
    println!("autobahn: all cases take two to four minutes");
    let arguments = ["-m", "fuzzingclient", "-s", plan_file];
    suite.wstest(workspace, &arguments, &suite.folder("wstest.log"))?;
    let index = fs::read_to_string(reports.join("index.json"))
        .context("the suite wrote no report; see wstest.log beside it")?;
    let report = Report::read(&index)?;
    println!("\n{report}");
    println!("each case: {}", reports.join("index.html").display());
    ensure!(
        !patterns.is_empty() || report.cases() == CASES,
        "{} cases were run, not {CASES}",
        report.cases()
    );
    ensure!(report.failed() == 0, "{} cases failed", report.failed());
    Ok(())
}

/// The engine's example, killed when it is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(workspace: &Workspace) -> Result<Self> {
        let mut build = workspace.cargo();
        build.args(["build", "--release", "--package", "relais-engine"]);
        call(build.args(["--example", "conformance"]))?;
        let binary = workspace.target()?.join("release/examples/conformance");
        let port = free_port()?;
        let process = workspace
            .command(&binary)
            .args([&port.to_string(), FRAGMENTS_MAX])
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("unable to start {}", binary.display()))?;
        let mut server = Self { process, port };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the example ended before it listened ({status})");
            }
            ensure!(begun.elapsed() < START_MAX, "the example does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One that nobody listens on now.
fn free_port() -> Result<u16> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(probe.local_addr()?.port())
}
