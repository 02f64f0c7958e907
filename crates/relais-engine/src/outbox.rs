//! What waits to be written to one connection: shared frames, bounded in bytes and number.
//!
//! When it is full, volatile frames go first; then the connection has to. It knows no socket: it hands out bytes and is told what was
//! written. A single frame, which is the rule, needs no memory of its own; the queues for more are lent by the shard's [`Spares`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IoSlice;

use crate::frame::FrameRef;

/// Most slices of one vectored write.
pub(crate) const SLICES_MAX: usize = 64;

/// Most bytes that are copied together for one write, which costs less than a vectored one.
pub(crate) const JOINED_BYTES_MAX: usize = 16 * 1024;

/// Most frames for which a spare queue has room; a larger one is freed.
const SPARE_CAPACITY_MAX: usize = 64;

/// Frames in the order of their sending.
#[derive(Default)]
pub(crate) struct Outbox {
    first: Option<FrameRef>,
    /// Those behind the first; never there without one.
    rest: Option<Queue>,
    bytes: usize,
    /// Bytes of the first frame that were written already.
    written: usize,
}

type Queue = Box<VecDeque<FrameRef>>;

/// Queues that no outbox uses, kept so that a burst allocates nothing for its recipients.
#[derive(Default)]
pub(crate) struct Spares {
    queues: RefCell<Vec<Queue>>,
    /// Fewest that lay here since the last tidying: as many were not needed.
    fewest: Cell<usize>,
}

impl Spares {
    fn take(&self) -> Queue {
        let mut queues = self.queues.borrow_mut();
        let queue = queues.pop().unwrap_or_default();
        self.fewest.set(self.fewest.get().min(queues.len()));
        queue
    }

    fn give_back(&self, mut queue: Queue) {
        queue.clear();
        if queue.capacity() <= SPARE_CAPACITY_MAX {
            self.queues.borrow_mut().push(queue);
        }
    }

    /// Frees what was not needed since the last call.
    pub(crate) fn tidy(&self) {
        let mut queues = self.queues.borrow_mut();
        let needed = queues.len() - self.fewest.get().min(queues.len());
        queues.truncate(needed);
        queues.shrink_to(needed * 2);
        self.fewest.set(needed);
    }
}

/// Several frames as one run of bytes, kept for the next outbox in which the same ones wait.
#[derive(Default)]
pub(crate) struct Joined {
    /// Held, so that an address means the same frame for as long as it stands here.
    frames: Vec<FrameRef>,
    bytes: Vec<u8>,
}

impl Joined {
    /// All bytes of an outbox, whose first frame is whole.
    pub(crate) fn of(&mut self, outbox: &Outbox) -> &[u8] {
        let is_same = self.frames.len() == outbox.frames()
            && self
                .frames
                .iter()
                .zip(outbox.iter())
                .all(|(known, frame)| FrameRef::ptr_eq(known, frame));
        if !is_same {
            self.forget();
            for frame in outbox.iter() {
                self.bytes.extend_from_slice(frame.bytes());
                self.frames.push(FrameRef::clone(frame));
            }
        }
        &self.bytes
    }

    /// Lets go of the frames.
    pub(crate) fn forget(&mut self) {
        self.frames.clear();
        self.bytes.clear();
    }
}

/// Limits of an outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxLimits {
    pub(crate) bytes_max: usize,
    pub(crate) frames_max: usize,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits; this many volatile frames had to go for it.
    Queued { dropped: u32 },
    /// It was volatile, and there was no room.
    Dropped,
    /// There is no room, and nothing that may be dropped: the reader is too slow.
    Full,
}

impl Outbox {
    pub(crate) fn push(
        &mut self,
        frame: FrameRef,
        limits: OutboxLimits,
        spares: &Spares,
    ) -> Pushed {
        let mut dropped = 0;
        if !self.fits(frame.len(), limits) {
            if frame.is_volatile() {
                return Pushed::Dropped;
            }
            dropped = self.drop_volatile(spares);
            if !self.fits(frame.len(), limits) {
                return Pushed::Full;
            }
        }
        self.append(frame, spares);
        Pushed::Queued { dropped }
    }

    /// Takes a frame of which `written` bytes have gone out already into an empty outbox.
    pub(crate) fn begin(&mut self, frame: FrameRef, written: usize) {
        self.bytes = frame.len();
        self.written = written;
        self.first = Some(frame);
    }

    /// One frame always fits an empty outbox, however large it is.
    pub(crate) fn fits(&self, bytes: usize, limits: OutboxLimits) -> bool {
        self.first.is_none()
            || (self.bytes + bytes <= limits.bytes_max && self.frames() < limits.frames_max)
    }

    /// Takes a frame whatever the limits are.
    pub(crate) fn push_last(&mut self, frame: FrameRef, spares: &Spares) {
        self.append(frame, spares);
    }

    fn append(&mut self, frame: FrameRef, spares: &Spares) {
        self.bytes += frame.len();
        match &mut self.first {
            None => self.first = Some(frame),
            Some(_) => self
                .rest
                .get_or_insert_with(|| spares.take())
                .push_back(frame),
        }
    }

    /// The first frame stays when its first bytes are gone already.
    fn drop_volatile(&mut self, spares: &Spares) -> u32 {
        let before = self.frames();
        let mut rest = self.rest.take();
        if let Some(rest) = &mut rest {
            rest.retain(|frame| !frame.is_volatile());
        }
        let goes = self.written == 0 && self.first.as_ref().is_some_and(|f| f.is_volatile());
        let first = self.first.take().filter(|_| !goes);
        self.bytes = 0;
        for frame in first
            .into_iter()
            .chain(rest.iter_mut().flat_map(|rest| rest.drain(..)))
        {
            self.append(frame, spares);
        }
        if let Some(rest) = rest {
            spares.give_back(rest);
        }
        u32::try_from(before - self.frames()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Bytes still to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes - self.written
    }

    pub(crate) fn frames(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// Whether nothing of the first frame was written yet.
    pub(crate) fn is_whole(&self) -> bool {
        self.written == 0
    }

    fn iter(&self) -> impl Iterator<Item = &FrameRef> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    /// What is left of the only frame, when there is just one.
    pub(crate) fn only(&self) -> Option<&[u8]> {
        match (&self.first, &self.rest) {
            (Some(frame), None) => Some(&frame.bytes()[self.written..]),
            _ => None,
        }
    }

    /// What is to be written next, as at most [`SLICES_MAX`] slices.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut count = 0;
        for frame in self.iter().take(SLICES_MAX) {
            let from = if count == 0 { self.written } else { 0 };
            slices[count] = IoSlice::new(&frame.bytes()[from..]);
            count += 1;
        }
        count
    }

    /// `bytes` of what waits were written.
    pub(crate) fn advance(&mut self, bytes: usize, spares: &Spares) {
        if bytes == self.bytes() {
            return self.clear(spares);
        }
        let mut left = self.written + bytes;
        while let Some(first) = &self.first {
            if left < first.len() {
                break;
            }
            left -= first.len();
            self.bytes -= first.len();
            self.next(spares);
        }
        self.written = left;
    }

    /// Takes the first frame whole, for transports that do not write bytes.
    pub(crate) fn pop(&mut self, spares: &Spares) -> Option<FrameRef> {
        self.bytes -= self.first.as_ref()?.len();
        self.next(spares)
    }

    /// The second frame becomes the first.
    fn next(&mut self, spares: &Spares) -> Option<FrameRef> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if let Some(rest) = self.rest.take_if(|rest| rest.is_empty()) {
            spares.give_back(rest);
        }
        std::mem::replace(&mut self.first, next)
    }

    pub(crate) fn front(&self) -> Option<&FrameRef> {
        self.first.as_ref()
    }

    /// Forgets everything but what is half written, so that a close frame can follow in a stream that stays well formed.
    pub(crate) fn cut(&mut self, spares: &Spares) {
        if self.written == 0 {
            return self.clear(spares);
        }
        if let Some(rest) = self.rest.take() {
            spares.give_back(rest);
        }
        self.bytes = self.first.as_ref().map_or(0, |frame| frame.len());
    }

    pub(crate) fn clear(&mut self, spares: &Spares) {
        if let Some(rest) = self.rest.take() {
            spares.give_back(rest);
        }
        self.first = None;
        self.bytes = 0;
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    const LIMITS: OutboxLimits = OutboxLimits {
        bytes_max: 100,
        frames_max: 4,
    };

    fn frame(bytes: usize, volatile: bool) -> FrameRef {
        Frame::for_test(bytes, volatile)
    }

    #[test]
    fn one_frame_always_fits_an_empty_outbox() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        assert_eq!(
            outbox.push(frame(5000, false), LIMITS, &spares),
            Pushed::Queued { dropped: 0 }
        );
        assert_eq!(outbox.push(frame(10, false), LIMITS, &spares), Pushed::Full);
    }

    #[test]
    fn volatile_frames_go_before_the_connection_does() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        outbox.push(frame(30, true), LIMITS, &spares);
        outbox.push(frame(30, false), LIMITS, &spares);
        outbox.push(frame(30, true), LIMITS, &spares);
        assert_eq!(
            outbox.push(frame(30, true), LIMITS, &spares),
            Pushed::Dropped
        );
        assert_eq!(
            outbox.push(frame(30, false), LIMITS, &spares),
            Pushed::Queued { dropped: 2 }
        );
        assert_eq!(outbox.bytes(), 60);
        outbox.push(frame(30, false), LIMITS, &spares);
        assert_eq!(outbox.push(frame(30, false), LIMITS, &spares), Pushed::Full);
    }

    #[test]
    fn a_half_written_volatile_frame_stays() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        outbox.push(frame(60, true), LIMITS, &spares);
        outbox.advance(10, &spares);
        assert_eq!(outbox.bytes(), 50);
        assert_eq!(outbox.push(frame(60, false), LIMITS, &spares), Pushed::Full);
        outbox.advance(50, &spares);
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn the_number_of_frames_is_bounded_too() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        for _ in 0..4 {
            outbox.push(frame(2, false), LIMITS, &spares);
        }
        assert_eq!(outbox.push(frame(2, false), LIMITS, &spares), Pushed::Full);
    }

    #[test]
    fn slices_begin_where_the_last_write_ended() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        outbox.push(frame(10, false), LIMITS, &spares);
        outbox.push(frame(20, false), LIMITS, &spares);
        outbox.advance(4, &spares);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outbox.slices(&mut slices);
        let lengths: Vec<_> = slices[..count].iter().map(|slice| slice.len()).collect();
        assert_eq!(lengths, [6, 20]);
    }

    #[test]
    fn frames_that_wait_in_several_outboxes_are_joined_once() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        let mut joined = Joined::default();
        let frames = [frame(10, false), frame(20, false)];
        for frame in &frames {
            outbox.push(FrameRef::clone(frame), LIMITS, &spares);
        }
        let bytes = [frames[0].bytes(), frames[1].bytes()].concat();
        assert_eq!(joined.of(&outbox), bytes);
        let place = joined.of(&outbox).as_ptr();
        assert_eq!(joined.of(&outbox).as_ptr(), place);
        outbox.push(frame(3, false), LIMITS, &spares);
        assert_eq!(joined.of(&outbox).len(), 33);
        outbox.advance(33, &spares);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_queue_is_lent_while_more_than_one_frame_waits_and_freed_when_nobody_needs_it() {
        let (mut outbox, spares) = (Outbox::default(), Spares::default());
        let lent = |spares: &Spares| spares.queues.borrow().len();
        outbox.push(frame(10, false), LIMITS, &spares);
        outbox.push(frame(10, false), LIMITS, &spares);
        outbox.advance(13, &spares);
        assert_eq!((lent(&spares), outbox.only().unwrap().len()), (1, 7));
        spares.tidy();
        outbox.push(frame(10, false), LIMITS, &spares);
        assert_eq!(lent(&spares), 0);
        outbox.clear(&spares);
        spares.tidy();
        assert_eq!(lent(&spares), 1);
        spares.tidy();
        assert_eq!(lent(&spares), 0);
    }
}
