//! A notification for more members than one transaction takes: it is everybody's at once to look at, and everybody's exactly once whenever
//! the process ends.

use std::path::Path;
use std::sync::Arc;

use relais_core::ids::{Epoch, UserId};
use relais_core::ports::{Change, InboxQuery, Recipients, Store, TenantStore};
use relais_store::sqlite::{SqliteOptions, SqliteStore};
use relais_testkit::build::{change, id, notify, room, tenant, user};
use relais_testkit::contract::store::Recorder;
use rusqlite::Connection;

/// More than two pieces.
const MEMBERS: usize = 2_500;
const KEEP: u32 = 1_000;

struct Bench {
    store: SqliteStore,
    tenant: Arc<dyn TenantStore>,
    folder: tempfile::TempDir,
}

fn member(number: usize) -> UserId {
    user(&format!("member {number:04}"))
}

fn to_all() -> [Recipients; 1] {
    [Recipients::Members(room("a"))]
}

impl Bench {
    async fn open(folder: tempfile::TempDir) -> Self {
        let options = SqliteOptions::new(folder.path().join("relais.db"));
        let recorder = Arc::<Recorder>::default();
        let store = SqliteStore::open(options, recorder, Arc::new(|| Epoch(1))).expect("opened");
        let tenant = store.tenant(&tenant("t")).await.expect("a tenant");
        Self {
            store,
            tenant,
            folder,
        }
    }

    async fn with_members() -> Self {
        let bench = Self::open(tempfile::tempdir().expect("a folder")).await;
        let adds = (0..MEMBERS).map(|number| Change::AddMember {
            room: room("a"),
            user: member(number),
        });
        bench.apply(change(1, adds)).await;
        bench
    }

    async fn apply(&self, transaction: relais_core::ports::Transaction) {
        self.tenant.commit(transaction).await.expect("committed");
    }

    async fn opened_again(self) -> Self {
        self.store.close().await.expect("closed");
        Self::open(self.folder).await
    }

    /// Numbers of the notifications in an inbox, newest first, and how many are unread.
    async fn inbox(&self, user: &UserId) -> (Vec<u64>, u64) {
        let query = |before| InboxQuery {
            user: user.clone(),
            before,
            limit: 1,
        };
        let (mut numbers, mut before, mut unread) = (Vec::new(), None, 0);
        loop {
            let page = self.tenant.inbox(&query(before)).await.expect("a page");
            if before.is_none() {
                unread = page.unread;
            }
            for one in &page.notifications {
                let number = (1..9).find(|number| id(*number) == one.notification.id);
                numbers.push(number.expect("one that was sent"));
            }
            before = page.notifications.last().map(|one| one.notification.id);
            if !page.has_more {
                return (numbers, unread);
            }
        }
    }

    /// Waits until nothing is on its way.
    async fn settled(&self) {
        let database = database(self.folder.path());
        let waiting = || count(&database, "SELECT count(*) FROM notices");
        while waiting() > 0 {
            self.store.check().await.expect("it works");
        }
    }
}

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("relais.db")).expect("opened beside")
}

fn count(database: &Connection, sql: &str) -> i64 {
    let count = database.query_row(sql, [], |row| row.get(0));
    count.expect("a number")
}

#[tokio::test]
async fn everybody_has_it_at_once_to_look_at_and_once_when_all_is_done() {
    let bench = Bench::with_members().await;
    let left_out = member(7);
    bench
        .apply(change(1, [notify(1, to_all(), Some(&left_out), KEEP)]))
        .await;
    bench
        .apply(change(1, [notify(2, to_all(), None, KEEP)]))
        .await;
    // Whether it is on its way or there: the answer is the same.
    for number in [0, 999, 1_000, MEMBERS - 1] {
        assert_eq!(
            bench.inbox(&member(number)).await,
            (vec![2, 1], 2),
            "{number}"
        );
    }
    assert_eq!(bench.inbox(&left_out).await, (vec![2], 1));
    assert_eq!(bench.inbox(&user("stranger")).await, (vec![], 0));
    bench.settled().await;
    let rows = count(&database(bench.folder.path()), "SELECT count(*) FROM inbox");
    assert_eq!(rows, 2 * MEMBERS as i64 - 1);
    for number in [0, 999, 1_000, MEMBERS - 1] {
        assert_eq!(
            bench.inbox(&member(number)).await,
            (vec![2, 1], 2),
            "{number}"
        );
    }
}

#[tokio::test]
async fn what_was_read_on_its_way_stays_read_and_whoever_comes_or_goes_meanwhile_gets_none() {
    let bench = Bench::with_members().await;
    bench
        .apply(change(1, [notify(1, to_all(), None, KEEP)]))
        .await;
    let (reader, gone, late) = (
        member(MEMBERS - 1),
        member(MEMBERS - 2),
        user("member late"),
    );
    let read = Change::ReadNotifications {
        user: reader.clone(),
        id: Some(id(1)),
    };
    let comes = Change::AddMember {
        room: room("a"),
        user: late.clone(),
    };
    bench.apply(change(2, [read, comes])).await;
    assert_eq!(bench.inbox(&reader).await, (vec![1], 0));
    let goes = Change::EraseUser { user: gone.clone() };
    bench.apply(change(3, [goes])).await;
    bench.settled().await;
    assert_eq!(bench.inbox(&reader).await, (vec![1], 0));
    assert_eq!(bench.inbox(&gone).await, (vec![], 0));
    assert_eq!(bench.inbox(&late).await, (vec![], 0));
}

#[tokio::test]
async fn whenever_the_process_ends_nobody_is_passed_over_and_nobody_gets_it_twice() {
    let mut bench = Bench::with_members().await;
    for number in 1..4 {
        bench
            .apply(change(1, [notify(number, to_all(), None, 2)]))
            .await;
        // A close does not wait for what is on its way.
        bench = bench.opened_again().await;
    }
    bench.settled().await;
    let database = database(bench.folder.path());
    let per_user =
        "SELECT count(*) FROM (SELECT user FROM inbox GROUP BY user HAVING count(*) = 2)";
    assert_eq!(count(&database, per_user), MEMBERS as i64);
    assert_eq!(count(&database, "SELECT count(*) FROM notifications"), 2);
    assert_eq!(bench.inbox(&member(5)).await, (vec![3, 2], 2));
}
