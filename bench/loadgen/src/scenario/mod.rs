//! The scenarios: what is opened, what is sent, what is counted.
//!
//! Each takes the address of a server that keeps the benchmark's contract (`join`, `pub`, `echo`; `durable` speaks the
//! `bam` application) and gives `Figures`; `overload` and `storm` start and stop a whole server themselves and give a table. All warm up first, run for a bounded time, and check that nothing was lost.

mod bursts;
pub mod connect;
pub mod durable;
pub mod echo;
pub mod idle;
pub mod overload;
pub mod rooms;
pub mod storm;

use std::net::SocketAddr;
use std::time::Duration;

use crate::histogram::Latency;
use crate::process::Stretch;
use crate::token;

/// How long a scenario runs before anything is measured.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// How long a scenario waits for what is still on its way when it has stopped sending.
pub const DRAIN_SECONDS: u64 = 5;

/// The server under load.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its process, for CPU and memory; none when it runs elsewhere.
    pub pid: Option<u32>,
    /// How long to measure.
    pub time: Duration,
    /// What tokens are signed with, where the server asks for one. Whoever sends to a room has joined it then.
    pub secret: Option<&'static str>,
}

impl Target {
    /// What connection `index` sends with CONNECT: a token of a user of its own, where the server asks for one.
    pub fn auth(&self, index: usize) -> String {
        self.secret.map_or_else(String::new, |secret| {
            let token = token::signed(secret, &format!("bench-user-{index}"), "none");
            format!(r#"{{"token":"{token}"}}"#)
        })
    }
}

/// What a scenario found.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Deliveries, round trips, connects or acks in the measured stretch.
    pub operations: u64,
    /// The measured stretch.
    pub stretch: Stretch,
    /// Latency of the operations, where it is measured.
    pub latency: Option<Latency>,
    /// The least and the most of the compared figure over all rounds, when there were several.
    pub spread: Option<(f64, f64)>,
    /// Growth of the server's resident memory for a connection.
    pub kib_per_connection: Option<f64>,
    /// Operations that were due over the whole run and never came.
    pub lost: u64,
    /// Operations that came more often than they were due.
    pub surplus: u64,
    /// What else a reader must know.
    pub notes: Vec<String>,
}

impl Figures {
    /// Figures with nothing but a count and a stretch.
    pub fn new(operations: u64, stretch: Stretch) -> Self {
        Self {
            operations,
            stretch,
            latency: None,
            spread: None,
            kib_per_connection: None,
            lost: 0,
            surplus: 0,
            notes: Vec::new(),
        }
    }

    /// Microseconds of server CPU for one operation.
    pub fn server_us(&self) -> Option<f64> {
        let seconds = self.stretch.server?;
        (self.operations > 0).then(|| seconds * 1e6 / self.operations as f64)
    }

    /// Operations a second.
    pub fn rate(&self) -> f64 {
        self.operations as f64 / self.stretch.seconds
    }
}

/// Text that fills a JSON payload `{"t":…,"text":"…"}` up to about `bytes`.
fn filler(bytes: usize) -> String {
    const AROUND: usize = r#"{"t":1000000000000,"text":""}"#.len();
    "x".repeat(bytes.saturating_sub(AROUND))
}
