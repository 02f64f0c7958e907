//! A shard that has missed something reads the log from where it was, in order, until it has what it has seen announced.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::scope::{ScopeHub, Verdict};
use crate::log::{LogError, LogPage};
use crate::panics::Guarded;
use crate::replay::{RETRY_MAX, RETRY_MIN};
use crate::room::{Position, Room, Scope, Sid};
use crate::service::Service;
use crate::session::{Place, Session};
use crate::shard::Shard;

/// Records of one page.
const PAGE_RECORDS: u32 = 256;

/// By session, the newest position that was taken away from what it hears.
type Losses = HashMap<Sid, u64>;

/// What a page led to.
enum Progress {
    /// All that was announced is applied.
    CaughtUp,
    /// There is more to read.
    More,
    /// The log has not yet what was announced.
    Nothing,
    /// Another epoch, or nobody is left.
    Over,
}

impl<S: Service> Shard<S> {
    /// Reads the log for a scope, unless a read is under way.
    pub(super) fn start_catch_up(
        self: &Rc<Self>,
        hub: &mut ScopeHub<Rc<Session<S>>>,
        scope: Scope,
    ) {
        if hub.begin_reading().is_some() {
            self.stats.catch_ups_total.add(1);
            tokio::task::spawn_local(catch_up(Rc::clone(self), scope));
        }
    }

    /// Compares what was applied with the heads: a publication that was lost is found by the second check that sees it missing.
    pub(crate) fn check_heads(self: &Rc<Self>) {
        self.compare_heads(false);
    }

    /// As [`Self::check_heads`], when it is known that something was lost.
    pub(crate) fn check_heads_now(self: &Rc<Self>) {
        self.compare_heads(true);
    }

    fn compare_heads(self: &Rc<Self>, is_urgent: bool) {
        let mut renewed = Vec::new();
        let mut scopes = self.hub.borrow_mut();
        for (scope, hub) in scopes.iter_mut() {
            match hub.judge_head(self.log.head(*scope), is_urgent) {
                Verdict::Read => self.start_catch_up(hub, *scope),
                Verdict::NewEpoch => renewed.push(*scope),
                Verdict::Apply | Verdict::Drop => {}
            }
        }
        drop(scopes);
        for scope in renewed {
            self.begin_epoch(scope);
        }
    }

    /// Applies a page that was asked for in the life `asked` of the log. What was trimmed before it could be read, or in the middle of it,
    /// is told to everyone whom it concerns.
    fn apply_page(
        self: &Rc<Self>,
        scope: Scope,
        page: &LogPage,
        asked: Option<u32>,
        losses: &Losses,
    ) -> Progress {
        // The log may have begun another life since, in which nothing of this was trimmed.
        if let Some(epoch) = asked {
            self.skip_trimmed(scope, page.trimmed, epoch, losses);
        }
        for delivery in &page.deliveries {
            if let Some(position) = delivery.position() {
                self.skip_trimmed(scope, position.position - 1, position.epoch, losses);
            }
            let mut scopes = self.hub.borrow_mut();
            let Some(hub) = scopes.get_mut(&scope) else {
                return Progress::Over;
            };
            match hub.judge_page(delivery.position()) {
                Verdict::Apply => self.apply(hub, delivery),
                Verdict::Drop => {}
                Verdict::Read => return Progress::Nothing,
                Verdict::NewEpoch => {
                    hub.end_reading();
                    drop(scopes);
                    self.begin_epoch(scope);
                    return Progress::Over;
                }
            }
        }
        let mut scopes = self.hub.borrow_mut();
        let Some(hub) = scopes.get_mut(&scope) else {
            return Progress::Over;
        };
        if !hub.is_behind() {
            hub.end_reading();
            if hub.is_idle() {
                scopes.remove(&scope);
            }
            return Progress::CaughtUp;
        }
        if page.deliveries.is_empty() {
            Progress::Nothing
        } else {
            Progress::More
        }
    }

    /// Takes everything up to `trimmed` as applied, if `epoch` is the log's present life.
    fn skip_trimmed(self: &Rc<Self>, scope: Scope, trimmed: u64, epoch: u32, losses: &Losses) {
        let mut members: Vec<Rc<Session<S>>> = Vec::new();
        let from = {
            let mut scopes = self.hub.borrow_mut();
            let Some(hub) = scopes.get_mut(&scope) else {
                return;
            };
            let is_behind =
                |applied: &Position| applied.position < trimmed && applied.epoch == epoch;
            let Some(applied) = hub.applied().filter(is_behind) else {
                return;
            };
            members.extend(hub.members.all().cloned());
            let position = Position {
                epoch: applied.epoch,
                position: trimmed,
            };
            for (cursor, session) in hub.advance(position) {
                if cursor == trimmed {
                    session.end_replay(hub);
                } else {
                    crate::replay::begin(&session);
                }
            }
            applied.position + 1
        };
        for session in members {
            // Who came while the log was asked may have lost anything.
            let lost = losses.get(&session.sid).copied().unwrap_or(u64::MAX);
            if lost >= from {
                let to = trimmed.min(lost);
                session.tell(|service, socket| service.gap(socket, from, to));
            }
        }
    }

    /// Up to where each member has lost what it would have heard, if anything is missing in a page.
    async fn losses(&self, scope: Scope, page: &LogPage) -> Losses {
        let mut losses = Losses::new();
        if page.missing(self.applied(scope)).is_none() {
            return losses;
        }
        let members: Vec<(Sid, Vec<Room>)> = match self.hub.borrow().get(&scope) {
            Some(hub) => hub
                .members
                .all()
                .filter_map(|session| match session.place.get() {
                    Place::Member(id) => Some((session.sid.clone(), hub.members.rooms_of(id))),
                    Place::Out | Place::Replaying => None,
                })
                .collect(),
            None => Vec::new(),
        };
        for (sid, rooms) in members {
            losses.insert(sid, self.trimmed(scope, &rooms).await);
        }
        losses
    }

    /// The newest position that was taken away from what is heard in these rooms. If the log cannot say it, it may be everything.
    pub(crate) async fn trimmed(&self, scope: Scope, rooms: &[Room]) -> u64 {
        match self.log.trimmed(scope, rooms).await {
            Ok(trimmed) => trimmed,
            Err(error) => {
                tracing::warn!(%error, "unable to tell whom a gap concerns; it is told to everybody");
                u64::MAX
            }
        }
    }
}

/// Reads a page and applies it.
async fn read_on<S: Service>(shard: &Rc<Shard<S>>, scope: Scope) -> Result<Progress, LogError> {
    let applied = shard.hub.borrow().get(&scope).and_then(ScopeHub::applied);
    let (after, epoch) = applied.map_or((0, None), |at| (at.position, Some(at.epoch)));
    let page = shard.log.read(scope, after, PAGE_RECORDS).await?;
    let losses = shard.losses(scope, &page).await;
    Ok(shard.apply_page(scope, &page, epoch, &losses))
}

/// Until all is applied. Nothing ends this early, a log that panics neither: while it lasts, nobody else reads for this scope.
async fn catch_up<S: Service>(shard: Rc<Shard<S>>, scope: Scope) {
    let mut pause = RETRY_MIN;
    loop {
        match Guarded(Box::pin(read_on(&shard, scope))).await {
            Ok(Ok(Progress::CaughtUp | Progress::Over)) => return,
            Ok(Ok(Progress::More)) => {
                pause = RETRY_MIN;
                tokio::task::yield_now().await;
            }
            Ok(Ok(Progress::Nothing)) => tokio::time::sleep(Duration::from_millis(20)).await,
            failed @ (Ok(Err(_)) | Err(_)) => {
                if let Ok(Err(error)) = failed {
                    tracing::warn!(%error, "unable to catch up; trying again");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
        if !shard.hub.borrow().contains_key(&scope) {
            return;
        }
    }
}
