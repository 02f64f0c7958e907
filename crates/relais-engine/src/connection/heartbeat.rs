//! What a connection does when one of its deadlines is due.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, State};
use crate::close::{CloseCode, Reason};
use crate::endpoint::Wire;
use crate::frame;
use crate::service::Service;
use crate::shard::Deadline;

/// A shard that is later than this had no time to read, so that silence says nothing about the client.
const LATE: Duration = Duration::from_millis(500);

/// How exactly the wheel remembers when something was planned.
const PRECISION: Duration = Duration::from_millis(1);

/// When a client is judged that could not be judged fairly.
const AGAIN: Duration = Duration::from_secs(1);

/// The time from which a client's time runs: what was planned, or now if the shard comes too late.
fn fair(planned: Instant) -> Instant {
    let now = Instant::now();
    match now.saturating_duration_since(planned) > LATE {
        true => now,
        false => planned,
    }
}

impl<S: Service> Connection<S> {
    /// A deadline that was planned for `planned` is due.
    pub(crate) fn deadline(self: &Rc<Self>, deadline: Deadline, planned: Instant) {
        match (deadline, self.state.get()) {
            (Deadline::Ping, State::Open) => self.ping(planned),
            (Deadline::Pong, State::Open) => self.check_pong(planned),
            (Deadline::Connect, State::Open) => self.check_connected(planned),
            (Deadline::Close, State::Closing) => self.give_up(),
            _ => {}
        }
    }

    /// Any pong will do: only the latest ping can be outstanding.
    pub(crate) fn pong_came(&self) {
        self.looks_for_pong.set(0);
    }

    fn ping(self: &Rc<Self>, planned: Instant) {
        self.looks_for_pong.set(1);
        self.push(match self.endpoint.wire.is_engineio() {
            true => frame::engine(b"2"),
            false => frame::ping(),
        });
        self.shard
            .at(fair(planned) + self.look(), self.id, Deadline::Pong);
    }

    /// How long after a ping the pong is first looked for: not after the next ping is due, also where a client may take longer.
    fn look(&self) -> Duration {
        let settings = self.shard.settings();
        settings.ping_timeout.min(settings.ping_interval)
    }

    fn check_pong(self: &Rc<Self>, planned: Instant) {
        let settings = self.shard.settings();
        let looks = self.looks_for_pong.get();
        if looks == 0 {
            let next = planned + settings.ping_interval.saturating_sub(self.look());
            return self.shard.at(next, self.id, Deadline::Ping);
        }
        let waited = self.look().saturating_mul(looks.into());
        let left = settings.ping_timeout.saturating_sub(waited);
        if !left.is_zero() && looks < u16::MAX {
            self.looks_for_pong.set(looks + 1);
            let next = fair(planned) + left.min(self.look());
            return self.shard.at(next, self.id, Deadline::Pong);
        }
        if self.is_unheard() || fair(planned) != planned {
            return self.shard.after(AGAIN, self.id, Deadline::Pong);
        }
        self.shard.stats.heartbeats_missed_total.add(1);
        self.end_sessions(Reason::Heartbeat);
        self.vanish();
    }

    /// Whether it is we who did not listen: what the client has sent was not read, for its own commands hold up the reading.
    fn is_unheard(&self) -> bool {
        self.is_gate_closed()
    }

    /// Its last session has gone: from here on it has as long for another one as it had for the first.
    pub(crate) fn left_alone(&self) {
        if self.has_or_awaits_session() {
            return;
        }
        self.mark_alone();
        self.expect_session();
    }

    /// A CONNECT was refused. If that is why the last deadline was let pass, there is a next one.
    pub(crate) fn connect_refused(&self) {
        if !self.has_or_awaits_session() {
            self.expect_session();
        }
    }

    pub(super) fn expect_session(&self) {
        if self.is_open() && self.endpoint.wire == Wire::SocketIo {
            let wait = self.shard.settings().connect_timeout;
            self.shard.after(wait, self.id, Deadline::Connect);
        }
    }

    fn has_or_awaits_session(&self) -> bool {
        !self.sessions.borrow().is_empty() || self.connecting() > 0
    }

    /// A connection that asks for no namespace is of no use. Sessions that come and go leave deadlines behind: only the last one's counts.
    fn check_connected(self: &Rc<Self>, planned: Instant) {
        let timeout = self.shard.settings().connect_timeout;
        let is_early = |since| since + timeout > planned + PRECISION;
        if !self.has_or_awaits_session() && !self.alone_since().is_some_and(is_early) {
            self.close(CloseCode::POLICY, "no CONNECT in time", Reason::Protocol);
        }
    }
}
