//! The newest records of every log, in memory, so that many sessions can resume without reading the disk
//! again and again.
//!
//! The writer puts in what it has committed; pages of the log come out. Bounded for each tenant and for all of
//! them: a tenant gives up its oldest records, and above the common limit the tenant that was used longest ago
//! gives up all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relais_core::event::Record;
use relais_core::ids::Position;

/// Limits of the cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecentLimits {
    /// Records of one tenant.
    pub(super) records_max: usize,
    /// Bytes of one tenant, about.
    pub(super) tenant_bytes_max: usize,
    /// Bytes of all tenants, about.
    pub(super) bytes_max: usize,
}

/// The newest records of all tenants.
pub(super) struct Recents {
    limits: RecentLimits,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    tenants: HashMap<i64, Recent>,
    bytes: usize,
    /// Counts uses, to find the tenant that was used longest ago.
    uses: u64,
}

/// One tenant's newest records: every one above `after` that retention has not taken.
struct Recent {
    after: Position,
    records: VecDeque<(Arc<Record>, usize)>,
    bytes: usize,
    used: u64,
}

impl Recents {
    pub(super) fn new(limits: RecentLimits) -> Self {
        Self {
            limits,
            all: Mutex::default(),
        }
    }

    /// How much a tenant may have: records and bytes.
    pub(super) fn tenant_limits(&self) -> (usize, usize) {
        (self.limits.records_max, self.limits.tenant_bytes_max)
    }

    /// Whether anything is kept of a tenant.
    pub(super) fn has(&self, tenant: i64) -> bool {
        self.held().tenants.contains_key(&tenant)
    }

    /// Begins a tenant whose newest records, all those above `after`, are given.
    pub(super) fn begin(&self, tenant: i64, after: Position, records: Vec<(Arc<Record>, usize)>) {
        let mut all = self.held();
        all.remove(tenant);
        let bytes = records.iter().map(|(_, bytes)| bytes).sum();
        let used = all.next_use();
        let recent = Recent {
            after,
            records: records.into(),
            bytes,
            used,
        };
        all.tenants.insert(tenant, recent);
        all.bytes += bytes;
        all.shrink(tenant, &self.limits);
    }

    /// Forgets a tenant.
    pub(super) fn end(&self, tenant: i64) {
        self.held().remove(tenant);
    }

    /// Adds what was committed right after the newest record.
    pub(super) fn push(
        &self,
        tenant: i64,
        before: Position,
        records: impl IntoIterator<Item = (Arc<Record>, usize)>,
    ) {
        let mut all = self.held();
        let used = all.next_use();
        let recent = all.tenants.entry(tenant).or_insert_with(|| Recent {
            after: before,
            records: VecDeque::new(),
            bytes: 0,
            used,
        });
        recent.used = used;
        let had = recent.bytes;
        for (record, bytes) in records {
            recent.bytes += bytes;
            recent.records.push_back((record, bytes));
        }
        let added = recent.bytes - had;
        all.bytes += added;
        all.shrink(tenant, &self.limits);
    }

    /// A page of the log, if all of it is here.
    pub(super) fn page(
        &self,
        tenant: i64,
        after: Position,
        limit: usize,
    ) -> Option<Vec<Arc<Record>>> {
        let mut all = self.held();
        let used = all.next_use();
        let recent = all.tenants.get_mut(&tenant)?;
        if after < recent.after {
            return None;
        }
        recent.used = used;
        let begin = recent
            .records
            .partition_point(|(record, _)| record.position <= after);
        let mut held = 0;
        let page = recent.records.range(begin..).take(limit);
        let page = page.take_while(|(_, bytes)| {
            let fits = held < crate::LOG_PAGE_BYTES_MAX;
            held += bytes;
            fits
        });
        Some(page.map(|(record, _)| record.clone()).collect())
    }

    /// Forgets what retention has taken.
    pub(super) fn trim(&self, tenant: i64, gone: impl Fn(&Record) -> bool) {
        let mut all = self.held();
        let Some(recent) = all.tenants.get_mut(&tenant) else {
            return;
        };
        let had = recent.bytes;
        recent.records.retain(|(record, _)| !gone(record));
        recent.bytes = recent.records.iter().map(|(_, bytes)| bytes).sum();
        let freed = had - recent.bytes;
        all.bytes -= freed;
    }

    /// The lock is held for short copies only; nothing in it can panic halfway.
    fn held(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn remove(&mut self, tenant: i64) {
        if let Some(recent) = self.tenants.remove(&tenant) {
            self.bytes -= recent.bytes;
        }
    }

    fn shrink(&mut self, tenant: i64, limits: &RecentLimits) {
        if let Some(recent) = self.tenants.get_mut(&tenant) {
            while recent.records.len() > limits.records_max
                || recent.bytes > limits.tenant_bytes_max
            {
                let Some((record, bytes)) = recent.records.pop_front() else {
                    break;
                };
                recent.after = record.position;
                recent.bytes -= bytes;
                self.bytes -= bytes;
            }
        }
        while self.bytes > limits.bytes_max {
            let oldest = self.tenants.iter().min_by_key(|(_, recent)| recent.used);
            let Some((&oldest, _)) = oldest else { break };
            self.remove(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::tests_support::record;

    fn positions(page: Option<Vec<Arc<Record>>>) -> Option<Vec<u64>> {
        page.map(|page| page.iter().map(|record| record.position.0).collect())
    }

    fn filled(limits: RecentLimits) -> Recents {
        let recents = Recents::new(limits);
        recents.begin(1, Position(0), Vec::new());
        recents.push(1, Position(0), (1..=5).map(|n| (record(n), 10)));
        recents
    }

    const WIDE: RecentLimits = RecentLimits {
        records_max: 100,
        tenant_bytes_max: 1_000,
        bytes_max: 1_000,
    };

    #[test]
    fn a_page_is_served_from_memory_while_all_of_it_is_there() {
        let recents = filled(WIDE);
        assert_eq!(positions(recents.page(1, Position(2), 2)), Some(vec![3, 4]));
        assert_eq!(positions(recents.page(1, Position(5), 2)), Some(vec![]));
    }

    #[test]
    fn a_page_that_begins_before_what_is_kept_is_left_to_the_disk() {
        let recents = filled(RecentLimits {
            records_max: 3,
            ..WIDE
        });
        assert_eq!(positions(recents.page(1, Position(1), 9)), None);
        assert_eq!(
            positions(recents.page(1, Position(2), 9)),
            Some(vec![3, 4, 5])
        );
    }

    #[test]
    fn above_the_common_limit_the_tenant_used_longest_ago_gives_up_everything() {
        let recents = filled(RecentLimits {
            bytes_max: 60,
            ..WIDE
        });
        recents.push(2, Position(0), [(record(1), 20)]);
        assert_eq!(positions(recents.page(1, Position(4), 9)), None);
        assert_eq!(positions(recents.page(2, Position(0), 9)), Some(vec![1]));
    }

    #[test]
    fn after_giving_up_everything_a_tenant_is_not_taken_to_be_complete() {
        let recents = filled(RecentLimits {
            bytes_max: 60,
            ..WIDE
        });
        recents.push(2, Position(0), [(record(1), 20)]);
        recents.push(1, Position(5), [(record(6), 10)]);
        assert_eq!(positions(recents.page(1, Position(4), 9)), None);
        assert_eq!(positions(recents.page(1, Position(5), 9)), Some(vec![6]));
    }

    #[test]
    fn what_retention_has_taken_is_not_served() {
        let recents = filled(WIDE);
        recents.trim(1, |record| record.position <= Position(3));
        assert_eq!(positions(recents.page(1, Position(0), 9)), Some(vec![4, 5]));
    }
}
