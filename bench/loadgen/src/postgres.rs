//! PostgreSQL for the peer that writes to it: found or installed, and a private database in a folder of its own, with the settings
//! that it comes with: `fsync` and `synchronous_commit` on.
//!
//! In: a folder and a port. Out: a running server with a role and a database of its own, ended when it is dropped. PostgreSQL
//! refuses to run as root: then it runs as the user `postgres` that Debian's package makes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::servers::root;

const USER: &str = "postgres";
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(50);

/// A running database server.
pub struct Postgres {
    child: Child,
    programs: PathBuf,
    data: PathBuf,
}

impl Postgres {
    /// Where its programs are; installs Debian's package where there are none, as root.
    pub fn programs() -> Result<PathBuf, LoadError> {
        if let Some(found) = find() {
            return Ok(found);
        }
        if is_root() {
            for command in [
                ["apt-get", "update", "-q"].as_slice(),
                &["apt-get", "install", "-y", "-q", "postgresql"],
            ] {
                let words: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
                crate::servers::run("/", &words)?;
            }
        }
        find().ok_or_else(|| failed("postgres", "not found; install PostgreSQL"))
    }

    /// Makes a database in `folder` and serves it on `port` of the loopback address and by a socket in the folder.
    pub fn start(folder: &Path, port: u16, cores: &str) -> Result<Self, LoadError> {
        let programs = Self::programs()?;
        let data = folder.join("postgres");
        fs::create_dir_all(&data).map_err(LoadError::io("create the database's folder"))?;
        if is_root() {
            finish(Command::new("chown").arg(USER).arg(&data))?;
        }
        let mut init = as_user(programs.join("initdb"));
        init.arg("-D").arg(&data);
        finish(init.args(["-U", USER, "--auth=trust", "-E", "UTF8", "--no-locale"]))?;
        let log = root().join("bench/target/logs/postgres.log");
        let log = File::create(log).map_err(LoadError::io("create the log file"))?;
        let mut serve = Command::new("taskset");
        serve.args(["-c", cores]);
        serve.args(words_as_user(programs.join("postgres")));
        serve.arg("-D").arg(&data).arg("-k").arg(&data);
        serve.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        let child = serve
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(LoadError::io("start PostgreSQL"))?;
        let mut running = Self {
            child,
            programs,
            data,
        };
        running.wait_until_ready(port)?;
        Ok(running)
    }

    /// Its first process, the parent of all others.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The environment by which libpq's clients find it.
    pub fn environment(&self, port: u16) -> Vec<String> {
        let host = self.data.display();
        vec![
            format!("PGHOST={host}"),
            format!("PGPORT={port}"),
            format!("PGUSER={USER}"),
            format!("PGDATABASE={USER}"),
        ]
    }

    /// Its version, and the two settings that decide what an ack is worth.
    pub fn describe(&self, port: u16) -> String {
        let ask = "SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
                   || ', synchronous_commit ' || current_setting('synchronous_commit')";
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-X",
                "-A",
                "-t",
                "-U",
                USER,
                "-p",
                &port.to_string(),
                "-c",
                ask,
                "-h",
            ])
            .arg(&self.data)
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
    }

    fn wait_until_ready(&mut self, port: u16) -> Result<(), LoadError> {
        let began = Instant::now();
        loop {
            let ready = Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-p", &port.to_string(), "-h"])
                .arg(&self.data)
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return Ok(());
            }
            let has_ended = !matches!(self.child.try_wait(), Ok(None));
            if has_ended || began.elapsed() > START_TIMEOUT {
                let reason = "does not answer; see bench/target/logs/postgres.log";
                return Err(failed("postgres", reason));
            }
            std::thread::sleep(START_POLL);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = as_user(self.programs.join("pg_ctl"));
        stop.args(["stop", "-m", "immediate", "-D"]).arg(&self.data);
        if finish(&mut stop).is_err() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// All that is started from here.
const PROGRAMS: [&str; 5] = ["initdb", "postgres", "pg_ctl", "pg_isready", "psql"];

/// On the path, or where Debian keeps it: the newest.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_whole = |folder: &PathBuf| PROGRAMS.iter().all(|name| folder.join(name).is_file());
    let on_path = std::env::split_paths(&path).find(is_whole);
    on_path.or_else(|| {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let version = |path: &PathBuf| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
        let newest = versions.map(|entry| entry.path()).max_by_key(version)?;
        Some(newest.join("bin")).filter(is_whole)
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The words that start a program as somebody whom PostgreSQL accepts.
fn words_as_user(program: PathBuf) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if is_root() {
        let user = format!("--reuid={USER}");
        let group = format!("--regid={USER}");
        words.extend(["setpriv", &user, &group, "--clear-groups"].map(OsString::from));
    }
    words.push(program.into());
    words
}

fn as_user(program: PathBuf) -> Command {
    let words = words_as_user(program);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs a command to its end; what it says is only shown when it fails.
fn finish(command: &mut Command) -> Result<(), LoadError> {
    let what = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&what, &error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(
            &what,
            String::from_utf8_lossy(&output.stderr).trim(),
        )),
    }
}

fn failed(what: &str, reason: &str) -> LoadError {
    LoadError::Process {
        what: what.to_owned(),
        reason: reason.to_owned(),
    }
}
