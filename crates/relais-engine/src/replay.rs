//! A session that resumes: off the hub, it is given what it missed out of the log, as fast as it takes it.
//!
//! It pulls the next page when little enough waits in its outbox, gives what its stays allow, with offsets, and joins the hub at
//! the moment when its cursor is the position that the shard has applied. Nothing live and nothing volatile reaches it before.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::delivery::Delivery;
use crate::log::LogPage;
use crate::panics::Guarded;
use crate::room::{Offset, Room, Sid};
use crate::service::{Interval, Resume, Service};
use crate::session::{Place, Session};

/// First pause after a failed read of the log; doubles up to [`RETRY_MAX`].
pub(crate) const RETRY_MIN: Duration = Duration::from_millis(50);
/// Longest pause between reads that fail.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(1);

/// How far a replay is, and what it lets through.
pub(crate) struct Replay {
    cursor: Offset,
    /// Rooms without an interval.
    rooms: Vec<Room>,
    intervals: Vec<Interval>,
    waker: Option<Waker>,
}

impl Replay {
    pub(crate) fn new(resume: Resume, rooms: Vec<Room>) -> Self {
        Self {
            cursor: resume.seen,
            rooms,
            intervals: resume.intervals,
            waker: None,
        }
    }

    pub(crate) fn cursor(&self) -> Offset {
        self.cursor
    }

    /// Rooms to join at the end: those without an interval, and those whose interval is open.
    pub(crate) fn open_rooms(&self) -> Vec<Room> {
        let mut rooms = self.rooms.clone();
        for interval in self.intervals.iter().filter(|stay| stay.until.is_none()) {
            if !rooms.contains(&interval.room) {
                rooms.push(interval.room.clone());
            }
        }
        rooms
    }

    /// Every room that it hears or has heard, its own included.
    fn known_rooms(&self, own: &Sid) -> Vec<Room> {
        let stays = self.intervals.iter().map(|stay| &stay.room);
        let rooms = self.rooms.iter().chain(stays).cloned();
        rooms.chain([Room::from(own)]).collect()
    }

    /// Enters a room while replaying: from what the shard has applied on. False when there are too many.
    pub(crate) fn enter(&mut self, room: &Room, applied: u64, rooms_max: usize) -> bool {
        let open = self.open_rooms();
        if open.contains(room) {
            return true;
        }
        if open.len() >= rooms_max {
            return false;
        }
        self.intervals.push(Interval {
            room: room.clone(),
            since: applied,
            until: None,
        });
        true
    }

    /// Leaves a room while replaying: what was committed up to `until` is still given.
    pub(crate) fn leave(&mut self, room: &Room, until: Option<u64>) {
        let until = until.unwrap_or(self.cursor.position);
        for interval in &mut self.intervals {
            if interval.room == *room && interval.until.is_none() {
                interval.until = Some(until);
            }
        }
        // A room without an interval was there from the start.
        if let Some(at) = self.rooms.iter().position(|known| known == room) {
            let room = self.rooms.swap_remove(at);
            self.intervals.push(Interval {
                room,
                since: 0,
                until: Some(until),
            });
        }
    }

    /// Whether the session was in the room when the record at `position` was committed.
    fn was_in(&self, own: &[u8], room: &Room, position: u64) -> bool {
        room.as_bytes() == own
            || self.rooms.contains(room)
            || self.intervals.iter().any(|stay| {
                stay.room == *room
                    && stay.since < position
                    && stay.until.is_none_or(|until| position <= until)
            })
    }

    /// Whether an event at `position` is for the session.
    fn lets_through(&self, own: &[u8], to: &[Room], except: &[Room], position: u64) -> bool {
        to.iter().any(|room| self.was_in(own, room, position))
            && !except.iter().any(|room| self.was_in(own, room, position))
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Whoever takes it away ends the task that waits for room to give more: nothing else would wake it, and it holds the session.
impl Drop for Replay {
    fn drop(&mut self) {
        self.wake();
    }
}

/// Starts a session's replay.
pub(crate) fn begin<S: Service>(session: &Rc<Session<S>>) {
    let session = Rc::clone(session);
    tokio::task::spawn_local(async move {
        if Guarded(Box::pin(run(&session))).await.is_err() {
            session.connection.fail();
        }
    });
}

async fn run<S: Service>(session: &Rc<Session<S>>) {
    if !is_possible(session) {
        return;
    }
    loop {
        wait_for_room(session, 0).await;
        if session.place.get() != Place::Replaying || meet(session) {
            return;
        }
        let Some(page) = read(session).await else {
            return;
        };
        skip_missing(session, &page).await;
        for delivery in &page.deliveries {
            if !give(session, delivery).await {
                return;
            }
        }
    }
}

/// A place that the log does not know (another epoch, or beyond its end) cannot be replayed: the session goes on at the head, and is told.
fn is_possible<S: Service>(session: &Rc<Session<S>>) -> bool {
    let shard = &session.connection.shard;
    let head = shard.log.head(session.scope);
    let Some(cursor) = cursor(session) else {
        return false;
    };
    let is_known =
        head.is_some_and(|head| head.epoch == cursor.epoch && cursor.position <= head.position);
    if is_known {
        return true;
    }
    let applied = shard.applied(session.scope);
    shard.join_now(session);
    session.tell(|service, socket| service.gap(socket, cursor.position + 1, applied));
    false
}

/// Joins the hub if the cursor is where the shard is; or leaves that to the shard, which is still before it. True: nothing left to do here.
pub(crate) fn meet<S: Service>(session: &Rc<Session<S>>) -> bool {
    let Some(cursor) = cursor(session) else {
        return true;
    };
    if cursor.index.is_some() {
        // Of the last record seen, something may be left.
        return false;
    }
    if cursor.position < latest_join(session) {
        // A shard that is behind would give it what was committed before it joined: the log tells the two apart.
        return false;
    }
    session
        .connection
        .shard
        .meet_replay(session, cursor.position)
}

/// The newest join among the stays that go on, as far as the log goes.
fn latest_join<S: Service>(session: &Session<S>) -> u64 {
    let replay = session.replay.borrow();
    let stays = replay.iter().flat_map(|replay| &replay.intervals);
    let open = stays.filter(|stay| stay.until.is_none());
    let latest = open.map(|stay| stay.since).max().unwrap_or(0);
    let head = session.connection.shard.log.head(session.scope);
    latest.min(head.map_or(0, |head| head.position))
}

fn cursor<S: Service>(session: &Session<S>) -> Option<Offset> {
    session
        .replay
        .borrow()
        .as_ref()
        .map(|replay| replay.cursor())
}

/// Until so little waits that a frame of this size may follow. Whoever reads at all gets all of it, however large a record is.
async fn wait_for_room<S: Service>(session: &Rc<Session<S>>, frame_bytes: usize) {
    poll_fn(|context| {
        let has_room = session.connection.has_room_for_replayed(frame_bytes);
        match &mut *session.replay.borrow_mut() {
            Some(replay) if !has_room => {
                replay.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    })
    .await;
}

/// The next page; tried again until the log answers or the session is gone.
async fn read<S: Service>(session: &Rc<Session<S>>) -> Option<LogPage> {
    let shard = &session.connection.shard;
    let mut pause = RETRY_MIN;
    loop {
        let cursor = cursor(session)?;
        // The record of which only some events were seen is read once more.
        let after = match cursor.index {
            Some(_) => cursor.position.saturating_sub(1),
            None => cursor.position,
        };
        let limit = shard.settings().replay_page_records;
        match shard.log.read(session.scope, after, limit).await {
            Ok(page) if page.deliveries.is_empty() && page.trimmed <= after => {
                // At the end of the log, but not where the shard is: a moment later they agree.
                tokio::time::sleep(Duration::from_millis(5)).await;
                if cursor.index.is_some() {
                    set_cursor(session, cursor.position, None);
                }
                return Some(page);
            }
            Ok(page) => return Some(page),
            Err(error) => {
                tracing::warn!(%error, "a replay waits for the log");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Records that retention took away before they could be given, before a page or in the middle of it: skipped, and told if the session
/// would have been given any of them.
async fn skip_missing<S: Service>(session: &Rc<Session<S>>, page: &LogPage) {
    let Some(cursor) = cursor(session) else {
        return;
    };
    // Of a record that was seen in part, the rest may be missing too.
    let after = match cursor.index {
        Some(_) => cursor.position.saturating_sub(1),
        None => cursor.position,
    };
    let begin = page.begins_after(after);
    if begin > after {
        set_cursor(session, begin, None);
    }
    let Some((from, to)) = page.missing(after) else {
        return;
    };
    let rooms = match &*session.replay.borrow() {
        Some(replay) => replay.known_rooms(&session.sid),
        None => return,
    };
    let shard = &session.connection.shard;
    let lost = shard.trimmed(session.scope, &rooms).await;
    if lost >= from && session.is_open() {
        session.tell(|service, socket| service.gap(socket, from, to.min(lost)));
    }
}

/// Gives one record, as far as it was not seen. False when the session no longer replays.
async fn give<S: Service>(session: &Rc<Session<S>>, delivery: &Arc<Delivery>) -> bool {
    let (Some(cursor), Some(position)) = (cursor(session), delivery.position()) else {
        return false;
    };
    if position.epoch != cursor.epoch {
        // The log has begun another life while this page was read: the positions of the two have nothing to do with each other, and
        // everyone in this scope has to come back.
        session.connection.shard.check_heads_now();
        return false;
    }
    let seen = match position.position.cmp(&cursor.position) {
        std::cmp::Ordering::Less => return true,
        std::cmp::Ordering::Equal => match cursor.index {
            Some(index) => usize::from(index) + 1,
            None => return true,
        },
        std::cmp::Ordering::Greater => 0,
    };
    let own = session.sid.as_str().as_bytes();
    for (number, event) in delivery.events().iter().enumerate().skip(seen) {
        let is_for_us = session.replay.borrow().as_ref().is_some_and(|replay| {
            replay.lets_through(own, &event.to, &event.except, position.position)
        });
        if !is_for_us {
            continue;
        }
        let Some(frame) = session.durable_frame(delivery, number) else {
            continue;
        };
        wait_for_room(session, frame.len()).await;
        if session.place.get() != Place::Replaying {
            return false;
        }
        session.connection.shard.stats.events_out_total.add(1);
        session.connection.push(frame);
        // What is emitted until the next one fits says how far this got.
        set_cursor(session, position.position, u16::try_from(number).ok());
    }
    set_cursor(session, position.position, None);
    true
}

fn set_cursor<S: Service>(session: &Session<S>, position: u64, index: Option<u16>) {
    if let Some(replay) = &mut *session.replay.borrow_mut() {
        replay.cursor.position = position;
        replay.cursor.index = index;
    }
}

impl<S: Service> Session<S> {
    /// Ends a replay by joining the hub, whose position is its cursor.
    pub(crate) fn end_replay(self: &Rc<Self>, hub: &mut crate::hub::scope::ScopeHub<Rc<Self>>) {
        let Some(replay) = self.replay.take() else {
            return;
        };
        hub.unexpect();
        self.join_hub(hub, &replay.open_rooms());
        self.tell_live();
        // Stays that were to end at a position which the hub has not reached.
        let Place::Member(member) = self.place.get() else {
            return;
        };
        let applied = hub.applied().map_or(u64::MAX, |applied| applied.position);
        for stay in &replay.intervals {
            if let Some(until) = stay.until
                && until > applied
                && !replay.open_rooms().contains(&stay.room)
                && self.join_room_in(hub, member, &stay.room)
            {
                hub.leave(member, &stay.room, Some(until));
            }
        }
    }

    /// Later in this tick, because the hub is in use now.
    fn tell_live(self: &Rc<Self>) {
        let session = Rc::clone(self);
        tokio::task::spawn_local(async move {
            if session.is_open() {
                session.tell(|service, socket| service.live(socket));
            }
        });
    }

    pub(crate) fn wake_replay(&self) {
        if let Some(replay) = &mut *self.replay.borrow_mut() {
            replay.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(intervals: Vec<Interval>) -> Replay {
        let seen = Offset {
            epoch: 1,
            position: 10,
            index: None,
        };
        Replay::new(Resume { seen, intervals }, vec![Room::from("user:1")])
    }

    fn stay(room: &str, since: u64, until: Option<u64>) -> Interval {
        Interval {
            room: Room::from(room),
            since,
            until,
        }
    }

    fn hears(replay: &Replay, to: &str, except: &[&str], position: u64) -> bool {
        let except: Vec<_> = except.iter().map(|room| Room::from(*room)).collect();
        replay.lets_through(b"sid", &[Room::from(to)], &except, position)
    }

    #[test]
    fn a_stay_covers_what_came_after_the_join_up_to_and_with_the_leave() {
        let replay = replay(vec![stay("x", 12, Some(20)), stay("x", 30, None)]);
        let heard: Vec<_> = (10..35)
            .filter(|at| hears(&replay, "x", &[], *at))
            .collect();
        let expected: Vec<_> = (13..=20).chain(31..35).collect();
        assert_eq!(heard, expected);
    }

    #[test]
    fn automatic_rooms_and_the_own_session_have_no_interval() {
        let replay = replay(vec![]);
        assert!(hears(&replay, "user:1", &[], 11));
        assert!(hears(&replay, "sid", &[], 11));
        assert!(!hears(&replay, "user:1", &["sid"], 11));
        assert!(!hears(&replay, "other", &[], 11));
    }

    #[test]
    fn entering_and_leaving_in_the_middle_of_a_replay_moves_the_stays() {
        let mut replay = replay(vec![stay("x", 0, None)]);
        assert!(replay.enter(&Room::from("y"), 15, 8));
        assert!(!hears(&replay, "y", &[], 15) && hears(&replay, "y", &[], 16));
        replay.leave(&Room::from("x"), Some(18));
        replay.leave(&Room::from("user:1"), Some(18));
        assert!(hears(&replay, "x", &[], 18) && !hears(&replay, "x", &[], 19));
        assert!(hears(&replay, "user:1", &[], 18) && !hears(&replay, "user:1", &[], 19));
        assert_eq!(replay.open_rooms(), [Room::from("y")]);
        assert!(!replay.enter(&Room::from("z"), 15, 1));
    }
}
