//! Pages of the logs as the engine reads them, shared by all sessions and shards that read the same.
//!
//! A page is a fixed stretch of positions. Whoever comes first reads it from the store; its deliveries are rendered and encoded once, for
//! everybody. The last page of a log grows as the log does. Pages are kept while somebody reads them, and a few seconds longer: after a
//! restart, thousands of sessions read the same ones at the same time. Bounded in bytes; the page used longest ago goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use relais_core::event::Record;
use relais_core::ids::Position;
use relais_core::ports::StoreError;
use relais_engine::{Delivery, LogPage, Scope};

use super::publication;
use super::scopes::Tenant;

/// Positions of a page.
const PAGE: u64 = 128;
/// Bytes of records that all pages may hold, about; what is made of a record is three times as large again.
const BYTES_MAX: usize = 16 << 20;
/// How long a page is kept that nobody reads.
const IDLE: Duration = Duration::from_secs(5);

/// All pages in use.
#[derive(Default)]
pub struct Pages {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    pages: HashMap<(Scope, u64), Kept>,
    bytes: usize,
}

struct Kept {
    page: Arc<Page>,
    used: Instant,
    bytes: usize,
}

/// One page, as far as it is known.
struct Page {
    /// The positions that it covers are `begin + 1` to `begin + PAGE`.
    begin: u64,
    /// Held by the one who reads more of it from the store.
    at_work: tokio::sync::Mutex<()>,
    content: Mutex<Content>,
}

struct Content {
    /// Ascending; what is missing was trimmed.
    deliveries: Vec<Arc<Delivery>>,
    /// Everything up to here is in it that was still in the log.
    upto: u64,
}

impl Pages {
    /// Records above `after`, at most `limit` and at most to the end of their page; none only at the head of the log, or where all of
    /// them were trimmed.
    pub async fn read(
        &self,
        tenant: &Tenant,
        after: u64,
        limit: u32,
    ) -> Result<LogPage, StoreError> {
        let head = tenant.store.head().position.0;
        if head <= after {
            return Ok(LogPage {
                deliveries: Vec::new(),
                trimmed: 0,
            });
        }
        let page = self.page(tenant.scope, after / PAGE);
        let wanted = head.min(page.begin + PAGE);
        if page.content().upto < wanted {
            let _at_work = page.at_work.lock().await;
            while page.content().upto < wanted
                && let Some(bytes) = page.read_on(tenant, wanted).await?
            {
                self.weigh(tenant.scope, &page, bytes);
            }
        }
        Ok(page.after(after, limit as usize))
    }

    /// Lets go of pages that nobody reads any more.
    pub fn tidy(&self, now: Instant) {
        let mut held = self.held();
        held.pages
            .retain(|_, kept| now.saturating_duration_since(kept.used) < IDLE);
        held.bytes = held.pages.values().map(|kept| kept.bytes).sum();
    }

    /// Lets go of everything of one log.
    pub fn forget(&self, scope: Scope) {
        let mut held = self.held();
        held.pages.retain(|(other, _), _| *other != scope);
        held.bytes = held.pages.values().map(|kept| kept.bytes).sum();
    }

    fn page(&self, scope: Scope, number: u64) -> Arc<Page> {
        let mut held = self.held();
        let kept = held.pages.entry((scope, number)).or_insert_with(|| Kept {
            page: Arc::new(Page::new(number * PAGE)),
            used: Instant::now(),
            bytes: 0,
        });
        kept.used = Instant::now();
        kept.page.clone()
    }

    /// A page has grown. If that is too much, others go; whoever reads those still has them.
    fn weigh(&self, scope: Scope, page: &Page, bytes: usize) {
        let mut held = self.held();
        let key = (scope, page.begin / PAGE);
        let Some(kept) = held.pages.get_mut(&key) else {
            return;
        };
        kept.bytes += bytes;
        held.bytes += bytes;
        while held.bytes > BYTES_MAX && held.pages.len() > 1 {
            let others = held.pages.iter().filter(|(other, _)| **other != key);
            let oldest = others.min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(other, _)| *other) else {
                return;
            };
            if let Some(gone) = held.pages.remove(&oldest) {
                held.bytes -= gone.bytes;
            }
        }
    }

    /// The lock is held for short looks only.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    fn new(begin: u64) -> Self {
        Self {
            begin,
            at_work: tokio::sync::Mutex::default(),
            content: Mutex::new(Content {
                deliveries: Vec::new(),
                upto: begin,
            }),
        }
    }

    /// Reads what comes next from the store. Out come the bytes that it has added; `None`: nothing more is there yet.
    async fn read_on(&self, tenant: &Tenant, wanted: u64) -> Result<Option<usize>, StoreError> {
        let (from, end) = (self.content().upto, self.begin + PAGE);
        let page = tenant.store.log(Position(from), PAGE as u32).await?;
        let upto = match page.records.last() {
            Some(last) => last.position.0.min(end),
            // Nothing is left of it: only what was trimmed is known to be gone.
            None if page.trimmed.0 > from => page.trimmed.0.min(wanted),
            None => return Ok(None),
        };
        let records = page.records.iter();
        let new: Vec<&Arc<Record>> = records.filter(|r| r.position.0 <= end).collect();
        let bytes = new.iter().map(|record| weight(record)).sum();
        let deliveries = new.into_iter();
        let deliveries = deliveries.map(|record| publication::durable(tenant, record));
        let mut content = self.content();
        content.deliveries.extend(deliveries);
        content.upto = upto.max(from);
        Ok(Some(bytes))
    }

    fn after(&self, after: u64, limit: usize) -> LogPage {
        let content = self.content();
        let known = &content.deliveries;
        let at = |delivery: &Arc<Delivery>| delivery.position().map_or(0, |at| at.position);
        let begin = known.partition_point(|delivery| at(delivery) <= after);
        let deliveries: Vec<_> = known[begin..].iter().take(limit).cloned().collect();
        let trimmed = match deliveries.first() {
            // Positions are contiguous, so what is missing before the first was trimmed.
            Some(first) => at(first) - 1,
            None => content.upto,
        };
        LogPage {
            deliveries,
            trimmed: trimmed.max(after),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a record as JSON, about.
fn weight(record: &Record) -> usize {
    fn of(value: &serde_json::Value) -> usize {
        use serde_json::Value;
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
            Value::String(text) => text.len() + 16,
            Value::Array(list) => list.iter().map(of).sum::<usize>() + 16,
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| key.len() + 16 + of(value))
                .sum(),
        }
    }
    let body = record.event.body.iter();
    body.map(|(key, value)| key.len() + 16 + of(value))
        .sum::<usize>()
        + 256
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
