//! SIGKILL at any moment: what was acknowledged is there, once, in order, and the log has no hole.
//!
//! The test binary starts itself as the process that is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::future::join_all;
use relais_core::event::Record;
use relais_core::event::Volatile;
use relais_core::ids::{Epoch, Position, TenantKey};
use relais_core::ports::{Committed, Fanout, Store, TenantStore};
use relais_store::sqlite::{SqliteOptions, SqliteStore};
use relais_testkit::build::{chat, message, send_keyed, tenant, user};

const CHILD: &str = "RELAIS_TEST_KILLED_CHILD";
const ROUNDS: u64 = 20;

struct Nobody;

impl Fanout for Nobody {
    fn publish(&self, _tenant: &TenantKey, _records: &[Arc<Record>]) {}
    fn volatile(&self, _tenant: &TenantKey, _event: Volatile) {}
}

fn open(path: &Path) -> SqliteStore {
    let epochs = Arc::new(|| Epoch(std::process::id()));
    let store = SqliteStore::open(SqliteOptions::new(path), Arc::new(Nobody), epochs);
    store.expect("the database opens")
}

fn sent(round: u64, writer: u64, number: u64) -> relais_core::ports::Transaction {
    let id = (round * 1_000 + writer) * 1_000_000 + number;
    let from = user(&format!("writer-{writer}"));
    let message = message(id, &chat("a"), &from, &format!("body {id}"));
    send_keyed(message, &format!("key {id}"))
}

fn seq_of(outcome: &Committed) -> u64 {
    match outcome {
        Committed::Applied { records, .. } => records[0].seq.unwrap_or_default().0,
        Committed::Duplicate { message } => message.seq.0,
    }
}

/// Not a test of its own: the process that the test below starts and kills. Otherwise it returns at once.
#[test]
fn the_process_that_is_killed() {
    let Ok(argument) = std::env::var(CHILD) else {
        return;
    };
    let (round, path) = argument.split_once(' ').expect("round and path");
    let round: u64 = round.parse().expect("a number");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = open(Path::new(path));
        let log = store.tenant(&tenant("one")).await.expect("a tenant");
        let writers = (0..16).map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    let outcome = log.commit(sent(round, writer, number)).await;
                    let seq = seq_of(&outcome.expect("the store commits"));
                    let line = format!("ACK {writer} {number} {seq}\n");
                    let mut out = std::io::stdout();
                    out.write_all(line.as_bytes()).expect("the parent listens");
                }
            })
        });
        join_all(writers).await;
    });
}

/// Starts the child, kills it after some acknowledgements, and returns all that it has acknowledged.
fn killed(round: u64, path: &Path) -> BTreeMap<(u64, u64), u64> {
    let binary = std::env::current_exe().expect("this binary");
    let mut child = Command::new(binary)
        .args(["the_process_that_is_killed", "--exact", "--nocapture"])
        .env(CHILD, format!("{round} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let out = child.stdout.take().expect("a pipe");
    // Each round ends at another place of another batch.
    let enough = 20 + (round * 7_919) % 400;
    let mut acked = BTreeMap::new();
    for line in BufReader::new(out).lines() {
        let line = line.expect("text");
        let Some(ack) = line.find("ACK ").map(|at| &line[at + 4..]) else {
            continue;
        };
        let numbers: Vec<u64> = ack
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        // A line that the kill has cut short acknowledges nothing.
        if let [writer, number, seq] = numbers[..] {
            acked.insert((writer, number), seq);
        }
        if acked.len() as u64 == enough {
            child.kill().expect("SIGKILL");
        }
    }
    child.wait().expect("the child is gone");
    acked
}

async fn all_records(log: &dyn TenantStore) -> Vec<Arc<Record>> {
    let (mut all, mut after) = (Vec::new(), Position(0));
    loop {
        let page = log.log(after, 1_000).await.expect("a page").records;
        let Some(last) = page.last() else {
            return all;
        };
        after = last.position;
        all.extend(page);
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_killing_the_process_twenty_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relais.db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut epoch = None;
    for round in 0..ROUNDS {
        let acked = killed(round, &path);
        assert!(acked.len() >= 20, "round {round}: {} acked", acked.len());
        runtime.block_on(async {
            let store = open(&path);
            let log = store.tenant(&tenant("one")).await.expect("a tenant");
            assert_eq!(*epoch.get_or_insert(log.head().epoch), log.head().epoch);
            let records = all_records(&*log).await;
            let head = log.head().position.0;
            let positions = records.iter().map(|record| record.position.0);
            assert!(
                positions.eq(1..=head),
                "round {round}: positions have a hole"
            );
            let seqs = records
                .iter()
                .map(|record| record.seq.unwrap_or_default().0);
            assert!(seqs.eq(1..=head), "round {round}: seqs have a hole");
            for ((writer, number), seq) in acked {
                let again = log.commit(sent(round, writer, number)).await;
                let again = again.expect("the store commits");
                assert!(
                    matches!(again, Committed::Duplicate { .. }),
                    "round {round}: lost"
                );
                assert_eq!(seq_of(&again), seq, "round {round}: another answer");
            }
            assert_eq!(log.head().position.0, head);
            store.close().await.expect("the store closes");
        });
    }
}
