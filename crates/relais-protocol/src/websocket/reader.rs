//! From what a socket gave to whole messages, strictly.
//!
//! In: a mutable slice of whatever buffer was read into, which may be shared by many connections, and the
//! limits. Out: one [`Message`] at a time. A message that lies whole in the slice, in one frame, is unmasked in
//! place and borrowed: nothing is copied or allocated. What is unfinished at the end of the slice moves into
//! the reader, so the slice is always used up and can be reused for the next connection. An idle reader holds
//! no heap memory.
//!
//! Errors come at the first byte that shows them: reserved bits before the length, sizes before the payload,
//! bad UTF-8 inside a frame that is still coming in. Memory grows with what has come, never with what was
//! declared. Answering pings and closing is the engine's work.

use super::header::{HEADER_BYTES_MAX, decode_first};
use super::text::TextAssembly;
use super::{CloseReason, FrameHeader, Limits, Opcode, WebSocketError, unmask};

/// One thing that a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping: answer with a pong of the same payload (at most 125 bytes).
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The close frame, with what it carried: answer with a close frame, then close. The reader ignores
    /// whatever follows.
    Close(Option<CloseReason<'a>>),
}

/// The reading state of one connection.
#[derive(Debug, Default)]
pub struct Reader {
    /// The first bytes of a header that is not complete.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: u8,
    /// Set after a close frame or an error: nothing more is read.
    is_closed: bool,
    /// The frame whose payload is still coming in.
    frame: Option<FrameHeader>,
    /// Boxed, so that the thousands of connections that are between messages pay one word.
    pending: Option<Box<Pending>>,
}

/// What has come of things that are not finished.
#[derive(Debug, Default)]
struct Pending {
    message: Option<Assembly>,
    fragments: u32,
    control: Vec<u8>,
    /// The message, or the control payload, was handed out by the last call and can go.
    is_message_delivered: bool,
    is_control_delivered: bool,
}

#[derive(Debug)]
enum Assembly {
    Text(TextAssembly),
    Binary(Vec<u8>),
}

/// What one frame led to.
enum Step<'b> {
    /// The slice is used up.
    NeedMore,
    /// A whole message in the slice.
    Whole(Opcode, &'b [u8]),
    /// A message in `pending.message` is complete.
    Assembled,
    /// A control payload in `pending.control` is complete.
    Control(Opcode),
}

impl Reader {
    /// A reader at the start of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next message from the front of `input`, which is advanced past what was read. `None` means
    /// that all of `input` was taken in and more is needed. Call it until then:
    ///
    /// ```
    /// # use relais_protocol::websocket::{Limits, Message, Reader};
    /// # let mut reader = Reader::new();
    /// # let mut buffer = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    /// let mut rest = &mut buffer[..];
    /// while let Some(message) = reader.read(&mut rest, &Limits::default())? {
    ///     assert_eq!(message, Message::Text("hi"));
    /// }
    /// # Ok::<(), relais_protocol::websocket::WebSocketError>(())
    /// ```
    ///
    /// # Errors
    /// [`WebSocketError`], with the close code to send. After an error, and after [`Message::Close`],
    /// everything that comes is dropped.
    pub fn read<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b mut [u8],
        limits: &Limits,
    ) -> Result<Option<Message<'a>>, WebSocketError> {
        self.release_delivered();
        let step = match self.step(input, limits) {
            Ok(step) => step,
            Err(error) => return Err(self.close_with(error)),
        };
        let result = match step {
            Step::NeedMore => return Ok(None),
            Step::Whole(opcode, payload) => whole(opcode, payload),
            Step::Assembled => return Ok(self.assembled()),
            Step::Control(opcode) => {
                self.is_closed |= opcode == Opcode::Close;
                let control: &[u8] = self.pending.as_ref().map_or(&[], |p| &p.control);
                return whole(opcode, control).map(Some);
            }
        };
        self.is_closed |= matches!(result, Ok(Message::Close(_)) | Err(_));
        result.map(Some)
    }

    /// Whether nothing more is read: there was an error, or the close frame.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Reads frames until something is complete.
    fn step<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        limits: &Limits,
    ) -> Result<Step<'b>, WebSocketError> {
        loop {
            if self.is_closed {
                *input = &mut [];
                return Ok(Step::NeedMore);
            }
            let (mut frame, is_new) = match self.frame.take() {
                Some(frame) => (frame, false),
                None => match self.next_header(input, limits)? {
                    Some(frame) => (frame, true),
                    None => return Ok(Step::NeedMore),
                },
            };
            let wanted = usize::try_from(frame.payload_bytes).unwrap_or(usize::MAX);
            let here = wanted.min(input.len());
            let (chunk, rest) = std::mem::take(input).split_at_mut(here);
            *input = rest;
            frame.mask = unmask(chunk, frame.mask);
            let is_complete = chunk.len() == wanted;
            let is_alone = frame.is_final && frame.opcode != Opcode::Continuation;
            if is_new && is_complete && is_alone {
                return Ok(Step::Whole(frame.opcode, chunk));
            }
            if !is_complete {
                frame.payload_bytes -= chunk.len() as u64;
                self.frame = Some(frame);
            }
            if let Some(step) = self.append(&frame, chunk, is_complete, limits)? {
                return Ok(step);
            }
            if !is_complete {
                return Ok(Step::NeedMore);
            }
        }
    }

    /// The next header, if it is complete, checked against the limits and the state of the message.
    fn next_header(
        &mut self,
        input: &mut &mut [u8],
        limits: &Limits,
    ) -> Result<Option<FrameHeader>, WebSocketError> {
        let header = if self.header_bytes == 0 {
            let Some(first) = input.first() else {
                return Ok(None);
            };
            self.check_order(*first)?;
            match FrameHeader::decode(input)? {
                Some((header, bytes)) => {
                    *input = &mut std::mem::take(input)[bytes..];
                    header
                }
                None => {
                    self.header[..input.len()].copy_from_slice(input);
                    self.header_bytes = input.len() as u8;
                    *input = &mut [];
                    return Ok(None);
                }
            }
        } else {
            match self.continue_header(input)? {
                Some(header) => header,
                None => return Ok(None),
            }
        };
        self.check_size(&header, limits)?;
        Ok(Some(header))
    }

    /// Completes a header that came in pieces, a byte at a time.
    fn continue_header(
        &mut self,
        input: &mut &mut [u8],
    ) -> Result<Option<FrameHeader>, WebSocketError> {
        while let Some((byte, rest)) = std::mem::take(input).split_first_mut() {
            *input = rest;
            // A header is complete at 14 bytes at the latest, so the index stays inside the array.
            self.header[usize::from(self.header_bytes)] = *byte;
            self.header_bytes += 1;
            let so_far = &self.header[..usize::from(self.header_bytes)];
            if let Some((header, _)) = FrameHeader::decode(so_far)? {
                self.header_bytes = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Whether a frame with this first byte may come now.
    fn check_order(&self, first: u8) -> Result<(), WebSocketError> {
        let (_, opcode) = decode_first(first)?;
        let is_open = self.pending.as_ref().is_some_and(|p| p.message.is_some());
        match opcode {
            Opcode::Continuation if !is_open => Err(WebSocketError::UnexpectedContinuation),
            Opcode::Text | Opcode::Binary if is_open => Err(WebSocketError::InterleavedMessage),
            _ => Ok(()),
        }
    }

    /// Whether the message may grow by this frame. Control frames were checked with their header.
    fn check_size(&self, header: &FrameHeader, limits: &Limits) -> Result<(), WebSocketError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let (bytes, fragments) = self.pending.as_ref().map_or((0, 0), |pending| {
            let bytes = pending.message.as_ref().map_or(0, Assembly::len);
            (bytes, pending.fragments)
        });
        let room = limits.message_bytes_max.saturating_sub(bytes);
        if header.payload_bytes > room as u64 {
            return Err(WebSocketError::MessageTooBig {
                bytes_max: limits.message_bytes_max,
            });
        }
        if fragments >= limits.fragments_max {
            return Err(WebSocketError::TooManyFragments {
                fragments_max: limits.fragments_max,
            });
        }
        Ok(())
    }

    /// Puts a part of a payload away; says what became complete.
    fn append(
        &mut self,
        frame: &FrameHeader,
        chunk: &[u8],
        is_complete: bool,
        limits: &Limits,
    ) -> Result<Option<Step<'static>>, WebSocketError> {
        let pending = self.pending.get_or_insert_default();
        if frame.opcode.is_control() {
            pending.control.extend_from_slice(chunk);
            pending.is_control_delivered = is_complete;
            return Ok(is_complete.then_some(Step::Control(frame.opcode)));
        }
        let message = pending.message.get_or_insert_with(|| match frame.opcode {
            Opcode::Text => Assembly::Text(TextAssembly::default()),
            _ => Assembly::Binary(Vec::new()),
        });
        message.push(chunk, limits.message_bytes_max)?;
        if !is_complete {
            return Ok(None);
        }
        pending.fragments += 1;
        if !frame.is_final {
            return Ok(None);
        }
        if let Assembly::Text(text) = message {
            text.finish()?;
        }
        pending.is_message_delivered = true;
        Ok(Some(Step::Assembled))
    }

    fn assembled(&self) -> Option<Message<'_>> {
        match self.pending.as_ref()?.message.as_ref()? {
            Assembly::Text(text) => Some(Message::Text(text.as_str())),
            Assembly::Binary(bytes) => Some(Message::Binary(bytes)),
        }
    }

    /// Frees what the last call handed out.
    fn release_delivered(&mut self) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        if pending.is_message_delivered {
            pending.message = None;
            pending.fragments = 0;
            pending.is_message_delivered = false;
        }
        if pending.is_control_delivered {
            pending.control = Vec::new();
            pending.is_control_delivered = false;
        }
        let is_control_open = self.frame.is_some_and(|frame| frame.opcode.is_control());
        if pending.message.is_none() && !is_control_open {
            self.pending = None;
        }
    }

    fn close_with(&mut self, error: WebSocketError) -> WebSocketError {
        self.is_closed = true;
        self.frame = None;
        self.pending = None;
        error
    }
}

impl Assembly {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, chunk: &[u8], bytes_max: usize) -> Result<(), WebSocketError> {
        match self {
            Self::Text(text) => text.push(chunk, bytes_max),
            Self::Binary(bytes) => {
                let more = growth(bytes.len(), bytes.capacity(), chunk.len(), bytes_max);
                bytes.reserve_exact(more);
                bytes.extend_from_slice(chunk);
                Ok(())
            }
        }
    }
}

/// How much to reserve for `add` bytes: capacity doubles, but never beyond what a message may hold.
pub(super) fn growth(len: usize, capacity: usize, add: usize, bytes_max: usize) -> usize {
    let needed = len + add;
    if needed <= capacity {
        return 0;
    }
    needed.max((capacity * 2).min(bytes_max)) - len
}

/// A payload that is complete, as a message.
fn whole(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, WebSocketError> {
    Ok(match opcode {
        Opcode::Text => {
            Message::Text(std::str::from_utf8(payload).map_err(|_| WebSocketError::InvalidUtf8)?)
        }
        // A continuation is never whole by itself; the reader assembles it.
        Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        Opcode::Ping => Message::Ping(payload),
        Opcode::Pong => Message::Pong(payload),
        Opcode::Close => Message::Close(CloseReason::decode(payload)?),
    })
}
