//! Follows the logs of one app from a stored cursor, and has a teller tell what it finds.
//!
//! At least once: the cursor of a log moves on in the transaction that parks what could not be told, and only after the attempts. Woken by
//! a bell, by what is parked and due, and at the start for every tenant with something left. While nothing can be told the log itself is
//! the queue. Nothing of a tenant that is quiet is kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use relais_core::event::Record;
use relais_core::ids::{Position, TenantKey, Timestamp};
use relais_core::outside::{Errand, OutsideChange, Which};
use relais_core::ports::{Outside, Store, StoreError};
use tokio::sync::watch;

use super::{Bell, Teller, Told, schedule};
use crate::clock::Clock;

/// Records that are looked at in one go.
const PAGE: u32 = 100;
/// Errands that are told at once, for one tenant.
const TOLD_AT_ONCE: usize = 16;
/// Tenants that are served at once.
const TENANTS_AT_ONCE: usize = 8;
/// Errands of a tenant that may wait. Beyond it the log waits.
const WAITING_MAX: u64 = 10_000;
/// After a failure of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// What is under way at a stop may take that long; then it is told again after the next start.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// One follower of one app.
pub struct Follower {
    /// Whose logs.
    pub app: Arc<str>,
    /// Where they are.
    pub store: Arc<dyn Store>,
    /// Where the cursors are.
    pub outside: Arc<dyn Outside>,
    /// Who tells.
    pub teller: Arc<dyn Teller>,
    /// What wakes it.
    pub bell: Arc<Bell>,
    /// Both clocks.
    pub clock: Clock,
}

/// When tenants have to be served again although nothing rings.
type Due = HashMap<TenantKey, Timestamp>;

impl Follower {
    /// Follows until the server stops.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let stopping = stopped.clone();
        let stop = async {
            // Nobody left to stop us is a stop.
            let _ = stopped.wait_for(|stopped| *stopped).await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = stop => {}
            () = self.follow(stopping) => {}
        }
    }

    async fn follow(&self, mut stopped: watch::Receiver<bool>) {
        let mut due = Due::new();
        let mut served = self.all(&mut stopped).await;
        loop {
            if *stopped.borrow() {
                return;
            }
            self.serve_all(served, &mut due).await;
            tokio::select! {
                () = self.bell.rings() => {}
                () = self.sleep_until(due.values().min().copied()) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            let rung = self.bell.take();
            served = match rung.is_all {
                true => self.all(&mut stopped).await,
                false => rung.tenants,
            };
            let now = self.clock.now().wall;
            let late = due.iter().filter(|(_, at)| **at <= now);
            served.extend(late.map(|(tenant, _)| tenant.clone()));
        }
    }

    async fn sleep_until(&self, at: Option<Timestamp>) {
        match at {
            None => std::future::pending().await,
            Some(at) => {
                let wait = at.0.saturating_sub(self.clock.now().wall.0);
                tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0))).await;
            }
        }
    }

    /// All tenants with something left.
    async fn all(&self, stopped: &mut watch::Receiver<bool>) -> HashSet<TenantKey> {
        loop {
            match self.outside.follow(&self.app, self.teller.name()).await {
                Ok(tenants) => return tenants.into_iter().collect(),
                Err(error) => {
                    tracing::warn!(app = %self.app, %error, "unable to follow the logs; trying again")
                }
            }
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return HashSet::new(),
            }
        }
    }

    async fn serve_all(&self, tenants: HashSet<TenantKey>, due: &mut Due) {
        let work = tenants.into_iter().map(|tenant| async move {
            let next = self.serve(&tenant).await;
            (tenant, next)
        });
        let mut work = stream::iter(work).buffer_unordered(TENANTS_AT_ONCE);
        while let Some((tenant, next)) = work.next().await {
            let next = next.unwrap_or_else(|error| {
                tracing::warn!(app = %self.app, %error, "unable to follow a log; trying again");
                Some(schedule::after(self.clock.now().wall, STORE_PAUSE))
            });
            match next {
                Some(at) => due.insert(tenant, at),
                None => due.remove(&tenant),
            };
        }
    }

    /// Tells what is due and what is new, and says when to come again.
    async fn serve(&self, tenant: &TenantKey) -> Result<Option<Timestamp>, StoreError> {
        loop {
            if let Some(until) = self.paused() {
                return Ok(Some(until));
            }
            let again = self.tell_due(tenant).await?;
            let waiting = self.outside.waiting(tenant, self.teller.name()).await?;
            let more = waiting.count < WAITING_MAX && self.tell_new(tenant).await?;
            if !again && !more {
                let waiting = self.outside.waiting(tenant, self.teller.name()).await?;
                return Ok(waiting.next);
            }
        }
    }

    /// The wall-clock time of the end of a pause.
    fn paused(&self) -> Option<Timestamp> {
        let (until, now) = (self.teller.pauses_until()?, self.clock.now());
        let left = until.since(now.monotonic);
        (left > 0).then(|| schedule::after(now.wall, Duration::from_millis(left)))
    }

    /// Tells errands that are due; whether there may be more of them.
    async fn tell_due(&self, tenant: &TenantKey) -> Result<bool, StoreError> {
        let (queue, now) = (self.teller.name(), self.clock.now().wall);
        let due = self
            .outside
            .errands(tenant, queue, Which::Due(now), PAGE)
            .await?;
        if due.is_empty() {
            return Ok(false);
        }
        if !self.teller.keeps_first() {
            let changes = self.tell(tenant, due, true).await;
            self.outside.settle(tenant, now, changes).await?;
            return Ok(true);
        }
        let told = due.into_iter().map(|errand| async move {
            let told = self.teller.tell(tenant, &errand).await;
            let now = self.clock.now().wall;
            let changes = self.kept(errand, told, true);
            self.outside.settle(tenant, now, changes).await
        });
        let mut told = stream::iter(told).buffer_unordered(TOLD_AT_ONCE);
        let mut settled = Ok(true);
        while let Some(one) = told.next().await {
            settled = settled.and(one.map(|()| true));
        }
        settled
    }

    /// Tells what a page of the log makes; whether there may be another page.
    async fn tell_new(&self, tenant: &TenantKey) -> Result<bool, StoreError> {
        let cursor = self.outside.cursor(tenant, self.teller.name()).await?;
        let log = self.store.tenant(tenant).await?;
        if log.head().position <= cursor {
            return Ok(false);
        }
        let page = log.log(cursor, PAGE).await?;
        if page.trimmed > cursor {
            metrics::counter!("relais_outside_gaps_total").increment(1);
            tracing::warn!(app = %self.app, queue = self.teller.name(), "the log was trimmed before all of it was told");
        }
        let position = page
            .records
            .last()
            .map_or(page.trimmed, |last| last.position);
        if position <= cursor {
            return Ok(false);
        }
        let wanted = page
            .records
            .iter()
            .filter(|record| self.teller.wants(record.event.kind));
        let wanted: Vec<Arc<Record>> = wanted.cloned().collect();
        let errands = match wanted.is_empty() {
            true => Vec::new(),
            false => self.teller.errands(&wanted).await?,
        };
        let mut changes = match self.teller.keeps_first() {
            true => errands.into_iter().map(OutsideChange::Park).collect(),
            false => self.tell(tenant, errands, false).await,
        };
        changes.push(self.moved_to(position));
        let now = self.clock.now().wall;
        self.outside.settle(tenant, now, changes).await?;
        Ok(true)
    }

    fn moved_to(&self, position: Position) -> OutsideChange {
        OutsideChange::Follow {
            follower: self.teller.name().into(),
            position,
        }
    }

    /// Tells these, and says what is to be kept of it.
    async fn tell(
        &self,
        tenant: &TenantKey,
        errands: Vec<Errand>,
        is_parked: bool,
    ) -> Vec<OutsideChange> {
        let told = errands.into_iter().map(|errand| async move {
            let told = self.teller.tell(tenant, &errand).await;
            self.kept(errand, told, is_parked)
        });
        let told = stream::iter(told).buffer_unordered(TOLD_AT_ONCE);
        told.flat_map(stream::iter).collect().await
    }

    fn kept(&self, mut errand: Errand, told: Told, is_parked: bool) -> Vec<OutsideChange> {
        let queue = self.teller.name();
        let done = |outcome: &'static str| {
            metrics::counter!("relais_outside_told_total", "queue" => queue, "outcome" => outcome)
                .increment(1);
        };
        let finished = is_parked.then_some(OutsideChange::Finish(errand.id));
        let now = self.clock.now();
        match told {
            Told::Done(changes) => {
                done("done");
                finished.into_iter().chain(changes).collect()
            }
            Told::NotNow => {
                let pause = self
                    .teller
                    .pauses_until()
                    .map_or(0, |until| until.since(now.monotonic));
                let wait = Duration::from_millis(pause) + schedule::wait(1);
                errand.due_at = schedule::after(now.wall, wait);
                vec![OutsideChange::Park(errand)]
            }
            Told::Later(reason, wait) => {
                done("failed");
                errand.attempts += 1;
                errand.is_dead = errand.attempts >= schedule::ATTEMPTS_MAX;
                let wait = schedule::wait(errand.attempts).max(wait.unwrap_or_default());
                errand.due_at = schedule::after(now.wall, wait);
                vec![self.failed(errand, reason)]
            }
            Told::Never(reason) => {
                done("failed");
                errand.attempts += 1;
                errand.is_dead = true;
                vec![self.failed(errand, reason)]
            }
        }
    }

    fn failed(&self, mut errand: Errand, reason: String) -> OutsideChange {
        if errand.is_dead {
            metrics::counter!("relais_outside_dead_total", "queue" => self.teller.name())
                .increment(1);
            tracing::warn!(app = %self.app, queue = self.teller.name(), id = %errand.id.0, reason, "given up; it is kept as a dead letter");
        }
        errand.reason = Some(reason.into());
        OutsideChange::Park(errand)
    }
}
