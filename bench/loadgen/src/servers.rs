//! The servers that are compared: how each is built, started on one core, named with its version, and stopped.
//!
//! To add one is to add a line to `SERVERS`. A server is a child process that is killed when its `Running` is dropped; its
//! output goes to a log file. It knows nothing of scenarios.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::LoadError;

const START_TIMEOUT: Duration = Duration::from_secs(20);
const START_POLL: Duration = Duration::from_millis(20);

/// Signs the tokens of servers that ask for one.
pub const SECRET: &str = "a-secret-for-the-benchmark-only-0123456789";

/// One server of the comparison. `{root}` is the repository, `{port}` the port to listen on, `{data}` a folder that is
/// removed afterwards, `{secret}` is [`SECRET`].
pub struct Server {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// The folder in which it is built, and the command that does.
    build: (&'static str, &'static [&'static str]),
    /// The command that runs it.
    start: &'static [&'static str],
    /// The command that prints its version.
    version: &'static [&'static str],
    /// Whether clients need a token, and what signs it.
    pub secret: Option<&'static str>,
    /// The scenarios that it can be in; all when empty.
    only: &'static [&'static str],
    /// Cores of its own, whatever the others are given.
    cores: Option<&'static str>,
}

/// Builds the engine's example.
const RELAY: &[&str] = &[
    "cargo",
    "build",
    "--release",
    "--target-dir",
    "{root}/target",
    "-p",
    "relais-engine",
    "--example",
    "relay",
];
/// The version of what is built from this repository.
const COMMIT: &[&str] = &["git", "-C", "{root}", "describe", "--always", "--dirty"];

/// All that can be compared.
pub const SERVERS: &[Server] = &[
    Server {
        name: "floor",
        build: (
            "{root}/bench",
            &[
                "cargo",
                "build",
                "--release",
                "--target-dir",
                "{root}/bench/target",
                "-p",
                "peer-floor",
            ],
        ),
        start: &["{root}/bench/target/release/peer-floor", "{port}"],
        version: &["echo", "(no server: one send a recipient)"],
        secret: None,
        // With messages in flight all servers batch, which it does not; and it keeps nothing for an idle connection.
        only: &["fanout", "rooms", "echo", "connect"],
        cores: None,
    },
    Server {
        name: "relais",
        build: ("{root}", RELAY),
        start: &["{root}/target/release/examples/relay", "{port}", "1"],
        version: COMMIT,
        secret: None,
        only: &[],
        cores: None,
    },
    Server {
        name: "relais-two",
        build: ("{root}", RELAY),
        start: &["{root}/target/release/examples/relay", "{port}", "2"],
        version: COMMIT,
        secret: None,
        only: &["bursts"],
        cores: Some("0,1"),
    },
    Server {
        name: "relais-serve",
        build: (
            "{root}",
            &[
                "cargo",
                "build",
                "--release",
                "--target-dir",
                "{root}/target",
                "-p",
                "relais-server",
            ],
        ),
        start: &[
            "env",
            "JWT_SECRET={secret}",
            "{root}/target/release/relais",
            "serve",
            "--apps-dir",
            "{root}/bench/apps",
            "--port",
            "{port}",
            "--data",
            "{data}",
            "--shards",
            "1",
            "--connections-per-ip-per-minute-max",
            "0",
            "--events-per-second-max",
            "0",
            "--log-level",
            "warn",
        ],
        version: COMMIT,
        secret: Some(SECRET),
        only: &[],
        cores: None,
    },
    Server {
        name: "socketioxide",
        build: (
            "{root}/bench",
            &[
                "cargo",
                "build",
                "--release",
                "--target-dir",
                "{root}/bench/target",
                "-p",
                "peer-socketioxide",
            ],
        ),
        start: &["{root}/bench/target/release/peer-socketioxide", "{port}"],
        version: &[
            "sed",
            "-n",
            "/^name = \"socketioxide\"$/{n;s/version = //;s/\"//g;p}",
            "{root}/bench/Cargo.lock",
        ],
        secret: None,
        only: &[],
        cores: None,
    },
    Server {
        name: "node",
        build: (
            "{root}/bench/peers/node",
            &["npm", "install", "--no-audit", "--no-fund", "--silent"],
        ),
        start: &["node", "{root}/bench/peers/node/server.js", "{port}"],
        version: &[
            "node",
            "-p",
            "`socket.io ${require('{root}/bench/peers/node/node_modules/socket.io/package.json').version}, Node ${process.version}`",
        ],
        secret: None,
        only: &[],
        cores: None,
    },
    Server {
        name: "uws",
        build: (
            "{root}/bench/peers/uws",
            &["npm", "install", "--no-audit", "--no-fund", "--silent"],
        ),
        start: &[
            "{root}/bench/peers/uws/node_modules/bun/bin/bun.exe",
            "{root}/bench/peers/uws/server.js",
            "{port}",
        ],
        version: &[
            "sh",
            "-c",
            "echo uWebSockets in Bun $({root}/bench/peers/uws/node_modules/bun/bin/bun.exe --version)",
        ],
        secret: None,
        only: &[],
        cores: None,
    },
];

/// The repository that this generator was built from.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

impl Server {
    /// The server of that name.
    pub fn named(name: &str) -> Result<&'static Self, LoadError> {
        SERVERS
            .iter()
            .find(|server| server.name == name)
            .ok_or_else(|| LoadError::Process {
                what: name.to_owned(),
                reason: format!(
                    "no such server; there are {}",
                    SERVERS
                        .iter()
                        .map(|s| s.name)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            })
    }

    /// Whether it can be in that scenario.
    pub fn takes_part(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    /// Builds it, or installs what it needs.
    pub fn build(&self) -> Result<(), LoadError> {
        let (folder, command) = self.build;
        run(&fill(&[folder], 0, "")[0], &fill(command, 0, ""))
    }

    /// The version to print beside the figures.
    pub fn version(&self) -> String {
        let command = fill(self.version, 0, "");
        let output = Command::new(&command[0])
            .args(&command[1..])
            .stderr(Stdio::null())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.unwrap_or_default()
            .lines()
            .next()
            .unwrap_or("unknown")
            .to_owned()
    }

    /// Starts it on `port`, pinned to the cores in `cores` (as `taskset -c` takes them).
    pub fn start(&self, port: u16, cores: &str, log: &str) -> Result<Running, LoadError> {
        let data = Scratch::new(root().join(format!("bench/target/data-{port}")))?;
        let command = fill(self.start, port, &data.0.display().to_string());
        let cores = self.cores.unwrap_or(cores);
        let mut running = Running::start(&command, port, cores, log)?;
        running.data = Some(data);
        Ok(running)
    }
}

fn fill(words: &[&str], port: u16, data: &str) -> Vec<String> {
    let root = root().display().to_string();
    words
        .iter()
        .map(|word| {
            word.replace("{root}", &root)
                .replace("{port}", &port.to_string())
                .replace("{data}", data)
                .replace("{secret}", SECRET)
        })
        .collect()
}

/// Runs a command to its end, its output on standard error.
pub fn run(folder: &str, command: &[String]) -> Result<(), LoadError> {
    let failed = |reason: String| LoadError::Process {
        what: command.join(" "),
        reason,
    };
    let status = Command::new(&command[0])
        .args(&command[1..])
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .map_err(|error| failed(error.to_string()))?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| failed(status.to_string()))
}

/// A server process; dropping it kills it.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Removed when the process is gone.
    data: Option<Scratch>,
}

impl Running {
    /// Starts `command` on the given cores, and returns when `port` takes connections.
    pub fn start(command: &[String], port: u16, cores: &str, log: &str) -> Result<Self, LoadError> {
        let folder = root().join("bench/target/logs");
        fs::create_dir_all(&folder).map_err(LoadError::io("create the log folder"))?;
        let log_path = folder.join(format!("{log}.log"));
        let output = File::create(&log_path).map_err(LoadError::io("create the log file"))?;
        let errors = output
            .try_clone()
            .map_err(LoadError::io("share the log file"))?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpStream::connect(addr).is_ok() {
            return Err(LoadError::Process {
                what: command.join(" "),
                reason: format!("port {port} is taken"),
            });
        }
        let child = Command::new("taskset")
            .args(["-c", cores])
            .args(command)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(LoadError::io("start taskset"))?;
        let mut running = Self {
            child,
            addr,
            data: None,
        };
        running.wait_until_listening(command, &log_path)?;
        Ok(running)
    }

    /// The server's process: `taskset` becomes the command that it starts.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing is flushed, nothing is said. Returns when it is gone.
    pub fn kill(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    fn wait_until_listening(&mut self, command: &[String], log: &Path) -> Result<(), LoadError> {
        let start = Instant::now();
        loop {
            if TcpStream::connect(self.addr).is_ok() {
                return Ok(());
            }
            let ended = self
                .child
                .try_wait()
                .map_err(LoadError::io("wait for the server"))?;
            let reason = match ended {
                Some(status) => format!("ended at once ({status})"),
                None if start.elapsed() > START_TIMEOUT => "does not listen".to_owned(),
                None => {
                    std::thread::sleep(START_POLL);
                    continue;
                }
            };
            let said = fs::read_to_string(log).unwrap_or_default();
            let said: String = said.lines().rev().take(5).collect::<Vec<_>>().join(" / ");
            return Err(LoadError::Process {
                what: command.join(" "),
                reason: format!("{reason}: {said}"),
            });
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.data.take();
    }
}

/// A folder that is removed when it goes out of scope.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes it.
    pub fn new(path: PathBuf) -> Result<Self, LoadError> {
        fs::create_dir_all(&path).map_err(LoadError::io("create the data folder"))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
