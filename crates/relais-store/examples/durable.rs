//! How many messages a second the SQLite store makes durable, beside what the disk itself can do.
//!
//! `cargo run --release -p relais-store --example durable -- [SENDERS=100] [SECONDS=5] [FOLDER=.] [ROOMS=1] [IN_FLIGHT=1]`
//!
//! Each sender keeps IN_FLIGHT messages of 200 bytes on their way through the port, every one with a key of its own. Printed:
//! acknowledged messages a second, the time from call to answer, the CPU time of the whole process for one message,
//! and the rate of `fdatasync` after 4 KiB appended to a file in the same folder.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use relais_core::event::{Record, Volatile};
use relais_core::ids::{Epoch, TenantKey, Timestamp};
use relais_core::ports::{Fanout, Store, TenantStore};
use relais_store::sqlite::{SqliteOptions, SqliteStore};
use relais_testkit::build::{chat, message, send_keyed, tenant, user};

struct Nobody;

impl Fanout for Nobody {
    fn publish(&self, _tenant: &TenantKey, _records: &[Arc<Record>]) {}
    fn volatile(&self, _tenant: &TenantKey, _event: Volatile) {}
}

#[derive(Clone, Copy)]
struct Load {
    senders: u64,
    seconds: u64,
    rooms: u64,
    in_flight: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| {
        arguments.get(index).map_or(default, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("{text:?} is no number"))
        })
    };
    let load = Load {
        senders: number(0, 100),
        seconds: number(1, 5),
        rooms: number(3, 1),
        in_flight: number(4, 1) as usize,
    };
    let folder = arguments.get(2).map_or(".", String::as_str);
    let folder = tempfile::tempdir_in(folder).expect("a folder to write to");
    let syncs = syncs_a_second(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let result = runtime.block_on(run(load, folder.path()));
    result.print(load, syncs);
}

struct Measured {
    latencies: Vec<Duration>,
    took: Duration,
    cpu: Option<Duration>,
}

impl Measured {
    fn print(mut self, load: Load, syncs: f64) {
        self.latencies.sort_unstable();
        let count = self.latencies.len();
        let at = |share: usize| self.latencies[(count - 1) * share / 1_000];
        let each = self.cpu.map_or_else(
            || "unknown".to_owned(),
            |cpu| format!("{:.1} µs", cpu.as_secs_f64() * 1e6 / count as f64),
        );
        let Load {
            senders,
            rooms,
            in_flight,
            ..
        } = load;
        let lines = format!(
            "{senders} senders × {in_flight} in flight, {rooms} rooms: {:.0} acked/s\n\
             call to answer: p50 {:?}, p99 {:?}, p99.9 {:?}\n\
             CPU of the process for one message: {each}\n\
             the disk's own fdatasync: {syncs:.0}/s\n",
            count as f64 / self.took.as_secs_f64(),
            at(500),
            at(990),
            at(999),
        );
        std::io::stdout()
            .write_all(lines.as_bytes())
            .expect("somebody reads this");
    }
}

async fn run(load: Load, folder: &Path) -> Measured {
    let options = SqliteOptions::new(folder.join("relais.db"));
    let store = SqliteStore::open(options, Arc::new(Nobody), Arc::new(|| Epoch(1)));
    let store = store.expect("the database opens");
    let log = store.tenant(&tenant("one")).await.expect("a tenant");
    let (started, cpu) = (Instant::now(), cpu_time());
    let until = started + Duration::from_secs(load.seconds);
    let senders = (0..load.senders).map(|sender| {
        let log = log.clone();
        tokio::spawn(async move { sender_loop(&*log, sender, load, until).await })
    });
    let mut latencies = Vec::new();
    for own in join_all(senders).await {
        latencies.extend(own.expect("a sender finishes"));
    }
    let took = started.elapsed();
    let cpu = cpu.zip(cpu_time()).map(|(before, after)| after - before);
    store.close().await.expect("the store closes");
    Measured {
        latencies,
        took,
        cpu,
    }
}

async fn sender_loop(
    log: &dyn TenantStore,
    sender: u64,
    load: Load,
    until: Instant,
) -> Vec<Duration> {
    let from = user(&format!("sender-{sender}"));
    let room = chat(&format!("room-{}", sender % load.rooms));
    let body = "x".repeat(200);
    let sends = stream::iter(0_u64..).take_while(|_| async move { Instant::now() < until });
    let sends = sends.map(|number| {
        let mut sent = message(sender << 32 | number, &room, &from, &body);
        // As clients make them: a time in front, then chance.
        let chance = (u128::from(sender) << 64 | u128::from(number))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        sent.id.0 = uuid::Uuid::from_u128(u128::from(number) << 80 | chance >> 48);
        sent.created_at = Timestamp(1_700_000_000_000 + number as i64);
        let transaction = send_keyed(sent, &format!("{chance:032x}"));
        async {
            let asked = Instant::now();
            let outcome = log.commit(transaction).await;
            outcome.expect("the store commits");
            asked.elapsed()
        }
    });
    sends.buffered(load.in_flight.max(1)).collect().await
}

/// CPU time of this process (Linux; in ticks of 10 ms).
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn syncs_a_second(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("syncs")).expect("a file");
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4_096]).expect("space");
        file.sync_data().expect("a sync");
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}
