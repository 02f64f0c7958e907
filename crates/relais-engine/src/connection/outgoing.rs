//! From the outbox to the transport: pushing frames, and the one flush at the end of a tick.
//!
//! Pushing may happen in the middle of a fan-out, so nothing here calls the service: a connection that cannot go on is
//! marked as doomed, and the flusher ends it.

use std::io::{self, IoSlice};
use std::rc::Rc;

use super::{Connection, State};
use crate::close::{CloseCode, Reason};
use crate::frame::FrameRef;
use crate::outbox::{JOINED_BYTES_MAX, Pushed, SLICES_MAX};
use crate::service::{Service, Transport};

impl<S: Service> Connection<S> {
    /// Gives it a frame of a fan-out: written at once where nothing waits and the [`Pace`](crate::shard::pace::Pace) is for it, else queued.
    pub(crate) fn give(self: &Rc<Self>, frame: &FrameRef) {
        if !self.shard.pace.is_straight(&self.straight_in) || !self.is_at_rest() {
            return self.push(FrameRef::clone(frame));
        }
        let stream = self.stream.borrow();
        let written = match stream.as_ref() {
            Some(stream) => stream.try_write(frame.bytes()).unwrap_or(0),
            None => 0,
        };
        self.shard.stats.bytes_out_total.add(written as u64);
        if written < frame.len() {
            drop(stream);
            self.outbox
                .borrow_mut()
                .begin(FrameRef::clone(frame), written);
            // Finds out why.
            self.write_out();
        }
    }

    /// Reads what [`Self::give`] is about to read.
    pub(crate) fn touch(&self) {
        let has_stream = self.stream.borrow().is_some();
        std::hint::black_box((self.is_at_rest(), self.straight_in.get(), has_stream));
    }

    /// Whether nothing waits, neither here nor for the kernel.
    fn is_at_rest(&self) -> bool {
        self.state.get() == State::Open
            && self.transport.get() == Transport::WebSocket
            && !self.is_dirty.get()
            && !self.is_blocked.get()
            && self.outbox.borrow().is_empty()
    }

    /// Queues a frame for the end of this tick.
    pub(crate) fn push(self: &Rc<Self>, frame: FrameRef) {
        if self.state.get() != State::Open {
            return;
        }
        let limits = self.shard.limits.outbox;
        if !self.outbox.borrow().fits(frame.len(), limits) {
            // A burst within one tick says nothing about the reader: give the kernel its chance first.
            self.write_out();
        }
        let pushed = self
            .outbox
            .borrow_mut()
            .push(frame, limits, &self.shard.spares);
        match pushed {
            Pushed::Queued { dropped } => {
                if dropped > 0 {
                    let stats = &self.shard.stats;
                    stats.volatile_dropped_total.add_shared(u64::from(dropped));
                }
                self.shard.mark_dirty(self);
            }
            Pushed::Dropped => self.shard.stats.volatile_dropped_total.add_shared(1),
            Pushed::Full => self.doom(Reason::SlowConsumer),
        }
    }

    /// Queues the frame that closes. There is always room for it: it is small, and nothing comes behind it.
    pub(crate) fn push_last(self: &Rc<Self>, frame: FrameRef) {
        self.outbox
            .borrow_mut()
            .push_last(frame, &self.shard.spares);
        self.shard.mark_dirty(self);
    }

    /// Writes what waits, ends what is doomed, and lets those go on who waited for room.
    pub(crate) fn flush(self: &Rc<Self>) {
        if let State::Doomed(reason) = self.state.get() {
            return self.end_doomed(reason);
        }
        match self.transport.get() {
            Transport::WebSocket => self.write_out(),
            Transport::Polling => self.answer_poll(),
        }
        match self.state.get() {
            State::Doomed(reason) => self.end_doomed(reason),
            State::Closing => self.finish_closing(),
            State::Open => self.feed_replays(),
            State::Closed => {}
        }
    }

    /// Writes to the socket until it is done or the kernel takes no more.
    pub(crate) fn write_out(self: &Rc<Self>) {
        if self.is_blocked.get() {
            return;
        }
        let stream = self.stream.borrow();
        let Some(stream) = stream.as_ref() else {
            return;
        };
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() {
            // One frame is the rule; small ones are joined, most often to what the last connection was given too.
            let written = match outbox.only() {
                Some(bytes) => stream.try_write(bytes),
                None if outbox.is_whole() && outbox.bytes() <= JOINED_BYTES_MAX => {
                    self.shard.pace.met();
                    stream.try_write(self.shard.joined.borrow_mut().of(&outbox))
                }
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                    let count = outbox.slices(&mut slices);
                    stream.try_write_vectored(&slices[..count])
                }
            };
            match written {
                Ok(bytes) => {
                    self.shard.stats.bytes_out_total.add(bytes as u64);
                    outbox.advance(bytes, &self.shard.spares);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked.set(true);
                    self.wake();
                    return;
                }
                Err(_) => {
                    outbox.clear(&self.shard.spares);
                    self.doom(Reason::TransportLost);
                    return;
                }
            }
        }
    }

    /// Marks it for the flusher. A connection that is closing already only has its memory to lose.
    fn doom(self: &Rc<Self>, reason: Reason) {
        let reason = match self.state.get() {
            State::Open => reason,
            State::Closing => Reason::TransportLost,
            State::Doomed(_) | State::Closed => return,
        };
        self.state.set(State::Doomed(reason));
        self.shard.mark_dirty(self);
    }

    fn end_doomed(self: &Rc<Self>, reason: Reason) {
        match reason {
            Reason::SlowConsumer => {
                self.shard.stats.slow_consumers_total.add(1);
                self.close_slow();
            }
            reason => {
                self.end_sessions(reason);
                self.vanish();
            }
        }
    }

    /// What waits is forgotten, save a frame that is half written. It and the close frame go out when the kernel has room again; a
    /// peer that takes neither until the deadline of closing is reset.
    fn close_slow(self: &Rc<Self>) {
        self.end_sessions(Reason::SlowConsumer);
        self.outbox.borrow_mut().cut(&self.shard.spares);
        self.state.set(State::Open);
        self.close(
            CloseCode::SLOW_CONSUMER,
            "slow consumer",
            Reason::SlowConsumer,
        );
    }

    /// Replays go on when little enough waits.
    fn feed_replays(&self) {
        if !self.has_room_for_replay() {
            return;
        }
        for session in self.sessions.borrow().iter() {
            session.wake_replay();
        }
    }

    /// Whether a replay may add a frame: so little waits, and there is room for all of it.
    pub(crate) fn has_room_for_replayed(&self, frame_bytes: usize) -> bool {
        self.has_room_for_replay()
            && self
                .outbox
                .borrow()
                .fits(frame_bytes, self.shard.limits.outbox)
    }

    /// Whether so little waits that a replay may add to it.
    pub(crate) fn has_room_for_replay(&self) -> bool {
        let outbox = self.outbox.borrow();
        let settings = self.shard.settings();
        outbox.bytes() < settings.replay_low_water_bytes
            && outbox.frames() < settings.outbox_frames_max / 2
    }
}
