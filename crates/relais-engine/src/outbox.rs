//! What waits to be written to one connection: shared frames, bounded in bytes and number.
//!
//! When it is full, volatile frames go first; then the connection has to. It knows no socket: it hands out slices and is told what was written.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::frame::FrameRef;

/// Most slices of one vectored write.
pub(crate) const SLICES_MAX: usize = 64;

/// Capacity that an empty outbox may keep.
const KEPT_CAPACITY: usize = 8;

/// Frames in the order of their sending.
#[derive(Default)]
pub(crate) struct Outbox {
    frames: VecDeque<FrameRef>,
    bytes: usize,
    /// Bytes of the first frame that were written already.
    written: usize,
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
    pub(crate) fn push(&mut self, frame: FrameRef, limits: OutboxLimits) -> Pushed {
        let mut dropped = 0;
        if !self.fits(frame.len(), limits) {
            if frame.is_volatile() {
                return Pushed::Dropped;
            }
            dropped = self.drop_volatile();
            if !self.fits(frame.len(), limits) {
                return Pushed::Full;
            }
        }
        self.bytes += frame.len();
        self.frames.push_back(frame);
        Pushed::Queued { dropped }
    }

    /// One frame always fits an empty outbox, however large it is.
    pub(crate) fn fits(&self, bytes: usize, limits: OutboxLimits) -> bool {
        self.frames.is_empty()
            || (self.bytes + bytes <= limits.bytes_max && self.frames.len() < limits.frames_max)
    }

    /// The first frame stays when its first bytes are gone already.
    fn drop_volatile(&mut self) -> u32 {
        let started = usize::from(self.written > 0);
        let before = self.frames.len();
        let mut at = 0;
        let mut freed = 0;
        self.frames.retain(|frame| {
            let keep = at < started || !frame.is_volatile();
            at += 1;
            if !keep {
                freed += frame.len();
            }
            keep
        });
        self.bytes -= freed;
        u32::try_from(before - self.frames.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes still to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes - self.written
    }

    pub(crate) fn frames(&self) -> usize {
        self.frames.len()
    }

    /// What is left of the only frame, when there is just one.
    pub(crate) fn only(&self) -> Option<&[u8]> {
        match self.frames.len() {
            1 => self
                .frames
                .front()
                .map(|frame| &frame.bytes()[self.written..]),
            _ => None,
        }
    }

    /// What is to be written next, as at most [`SLICES_MAX`] slices.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut count = 0;
        for frame in self.frames.iter().take(SLICES_MAX) {
            let bytes = frame.bytes();
            let from = if count == 0 { self.written } else { 0 };
            slices[count] = IoSlice::new(&bytes[from..]);
            count += 1;
        }
        count
    }

    /// `bytes` of what [`Self::slices`] gave were written.
    pub(crate) fn advance(&mut self, bytes: usize) {
        let mut left = self.written + bytes;
        while let Some(first) = self.frames.front() {
            if left < first.len() {
                break;
            }
            left -= first.len();
            self.bytes -= first.len();
            self.frames.pop_front();
        }
        self.written = left;
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames.shrink_to(KEPT_CAPACITY);
        }
    }

    /// Takes the first frame whole, for transports that do not write bytes.
    pub(crate) fn pop(&mut self) -> Option<FrameRef> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    pub(crate) fn front(&self) -> Option<&FrameRef> {
        self.frames.front()
    }

    /// Forgets everything but what is half written, so that a close frame can follow in a stream that stays well formed.
    pub(crate) fn cut(&mut self) {
        let started = usize::from(self.written > 0);
        self.frames.truncate(started);
        self.bytes = self.frames.iter().map(|frame| frame.len()).sum();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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
        let mut outbox = Outbox::default();
        assert_eq!(
            outbox.push(frame(5000, false), LIMITS),
            Pushed::Queued { dropped: 0 }
        );
        assert_eq!(outbox.push(frame(10, false), LIMITS), Pushed::Full);
    }

    #[test]
    fn volatile_frames_go_before_the_connection_does() {
        let mut outbox = Outbox::default();
        outbox.push(frame(30, true), LIMITS);
        outbox.push(frame(30, false), LIMITS);
        outbox.push(frame(30, true), LIMITS);
        assert_eq!(outbox.push(frame(30, true), LIMITS), Pushed::Dropped);
        assert_eq!(
            outbox.push(frame(30, false), LIMITS),
            Pushed::Queued { dropped: 2 }
        );
        assert_eq!(outbox.bytes(), 60);
        outbox.push(frame(30, false), LIMITS);
        assert_eq!(outbox.push(frame(30, false), LIMITS), Pushed::Full);
    }

    #[test]
    fn a_half_written_volatile_frame_stays() {
        let mut outbox = Outbox::default();
        outbox.push(frame(60, true), LIMITS);
        outbox.advance(10);
        assert_eq!(outbox.bytes(), 50);
        assert_eq!(outbox.push(frame(60, false), LIMITS), Pushed::Full);
        outbox.advance(50);
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn the_number_of_frames_is_bounded_too() {
        let mut outbox = Outbox::default();
        for _ in 0..4 {
            outbox.push(frame(2, false), LIMITS);
        }
        assert_eq!(outbox.push(frame(2, false), LIMITS), Pushed::Full);
    }

    #[test]
    fn slices_begin_where_the_last_write_ended() {
        let mut outbox = Outbox::default();
        outbox.push(frame(10, false), LIMITS);
        outbox.push(frame(20, false), LIMITS);
        outbox.advance(4);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outbox.slices(&mut slices);
        let lengths: Vec<_> = slices[..count].iter().map(|slice| slice.len()).collect();
        assert_eq!(lengths, [6, 20]);
    }
}
