//! A whole `relais serve` with a data folder of its own: started, stopped in either way, and started again on the same data and port.
//!
//! In: a command template. Out: a running server, and its memory over time. The folder goes with the value.

use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Args;

use crate::error::LoadError;
use crate::process;
use crate::servers::{self, Running};
use crate::token::TokenSource;

const SERVE: &str = "env JWT_SECRET={secret} {root}/target/release/relais serve --app bam --port {port} --data {data} --log-level warn";
const SECRET: &str = "a-secret-for-the-benchmark-only-0123456789";
const STOP_TIMEOUT: Duration = Duration::from_secs(40);
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Which server, and where.
#[derive(Debug, Args)]
pub struct WholeArgs {
    /// Command that serves the `bam` application, split at spaces; `{root}`, `{port}`, `{data}`, `{secret}` are filled in.
    #[arg(long, default_value = SERVE)]
    serve: String,
    /// Flags to add to that command, split at spaces.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    flags: String,
    /// Folder on the disk to use; a new folder is made in it and removed. Default: beside the build.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Port of the server.
    #[arg(long, default_value_t = 4190)]
    port: u16,
    /// Cores of the server, as `taskset -c` takes them.
    #[arg(long, default_value = "0,1")]
    server_cores: String,
    /// Do not build the server first.
    #[arg(long)]
    no_build: bool,
}

/// The server and its folder.
pub struct Whole {
    command: Vec<String>,
    port: u16,
    cores: String,
    folder: PathBuf,
    running: Option<Running>,
}

impl Whole {
    /// Builds the server and starts it. `flags` are the scenario's own, before those of the command line.
    pub fn start(args: &WholeArgs, flags: &str) -> Result<Self, LoadError> {
        let root = servers::root();
        let root_text = root.display().to_string();
        if !args.no_build {
            let build = ["cargo", "build", "--release", "-p", "relais-server"];
            servers::run(&root_text, &build.map(str::to_owned))?;
        }
        let parent = args.data.clone();
        let parent = parent.unwrap_or_else(|| root.join("bench/target"));
        let folder = parent.join(format!("whole-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(LoadError::io("create the data folder"))?;
        let template = format!("{} {flags} {}", args.serve, args.flags);
        let fill = |word: &str| {
            word.replace("{root}", &root_text)
                .replace("{data}", &folder.display().to_string())
                .replace("{port}", &args.port.to_string())
                .replace("{secret}", SECRET)
        };
        let mut whole = Self {
            command: template.split_whitespace().map(fill).collect(),
            port: args.port,
            cores: args.server_cores.clone(),
            folder,
            running: None,
        };
        whole.start_again()?;
        Ok(whole)
    }

    /// Signs tokens that this server takes.
    pub fn tokens(&self) -> TokenSource {
        TokenSource::Secret(SECRET.to_owned())
    }

    /// Starts the server on the data that it left.
    pub fn start_again(&mut self) -> Result<(), LoadError> {
        let running = Running::start(&self.command, self.port, &self.cores, "relais-whole")?;
        self.running = Some(running);
        Ok(())
    }

    /// The running server.
    pub fn running(&self) -> Result<&Running, LoadError> {
        self.running.as_ref().ok_or_else(|| LoadError::Process {
            what: "relais serve".to_owned(),
            reason: "is not running".to_owned(),
        })
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// SIGTERM, and the wait until it has ended; `meanwhile` is called again and again.
    pub fn drain(
        &mut self,
        mut meanwhile: impl FnMut() -> Result<(), LoadError>,
    ) -> Result<Duration, LoadError> {
        let began = Instant::now();
        self.running()?.terminate();
        while self.running.as_mut().is_some_and(|r| !r.has_ended()) {
            meanwhile()?;
            if began.elapsed() > STOP_TIMEOUT {
                return Err(LoadError::Process {
                    what: "relais serve".to_owned(),
                    reason: "does not end on SIGTERM".to_owned(),
                });
            }
        }
        self.running = None;
        Ok(began.elapsed())
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.kill();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Watches a process's memory until it is asked, on a thread of its own, so that no busy moment is missed.
pub struct MemoryWatch {
    stop: std::sync::mpsc::Sender<()>,
    thread: JoinHandle<u64>,
}

impl MemoryWatch {
    /// Starts to watch.
    pub fn start(pid: u32) -> Self {
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            loop {
                most = most.max(process::resident_kib(pid).unwrap_or(0));
                match stopped.recv_timeout(SAMPLE_EVERY) {
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                    _ => return most,
                }
            }
        });
        Self { stop, thread }
    }

    /// The most that it was, in KiB.
    pub fn most_kib(self) -> u64 {
        self.stop.send(()).ok();
        self.thread.join().unwrap_or(0)
    }
}
