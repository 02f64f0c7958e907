//! A connection on a WebSocket: reads into the shard's buffer, and waits for room to write when the kernel is full.
//!
//! It has no task of its own (see [`crate::shard`]) and no buffer, so at rest it costs nothing. Writing is the flusher's; what is here writes
//! only after the kernel had no room. While a session cannot take more, it does not read.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use relais_protocol::websocket::{CloseCode, Message, Reader};
use tokio::io::ReadBuf;

use crate::connection::{Connection, State};
use crate::frame;
use crate::panics::guard;
use crate::service::{Service, Transport};
use crate::stream::Stream;

/// The reason beside 1009: the name that clients know a message over a limit by, as in an error of the application.
const TOO_LARGE: &str = "TOO_LARGE";

/// Full buffers of one connection handled before the others get their turn.
const READS_A_TURN: usize = 8;

/// Gives a connection its socket and starts reading. `rest` was read before and belongs to it.
pub(crate) fn attach<S: Service>(
    connection: &Rc<Connection<S>>,
    stream: Stream,
    reader: Reader,
    rest: &[u8],
) {
    connection.stream.replace(Some(stream));
    connection.transport.set(Transport::WebSocket);
    connection.shard.stats.websockets.add(1);
    connection.reader.replace(reader);
    connection.stash(rest);
    let waker = connection.shard.ready.waker(connection.id.number());
    connection.waker.replace(Some(waker));
    // What was read before is handled, and the socket asked to tell of more.
    connection.wake();
}

/// Reads what is there and writes what waited for room, until there is nothing more to do now.
pub(crate) fn serve<S: Service>(connection: &Rc<Connection<S>>) {
    let Some(waker) = connection.waker.borrow().clone() else {
        return;
    };
    let context = &mut Context::from_waker(&waker);
    let mut reads = 0;
    while connection.state.get() != State::Closed {
        if connection.is_blocked.get() {
            poll_writable(connection, context);
        }
        if connection.is_gate_closed() {
            return;
        }
        let mut stash = connection.take_stash();
        if !stash.is_empty() {
            take_in(connection, &mut stash);
            continue;
        }
        match poll_read(connection, context) {
            Poll::Ready(true) if reads < READS_A_TURN => reads += 1,
            // Whoever sends without end waits for the others.
            Poll::Ready(true) => return waker.wake_by_ref(),
            Poll::Ready(false) => connection.lost(),
            Poll::Pending => return,
        }
    }
}

/// Room to write again: what waits goes out, and the flusher's work is done here.
fn poll_writable<S: Service>(connection: &Rc<Connection<S>>, context: &mut Context<'_>) {
    loop {
        match connection.stream.borrow().as_ref() {
            Some(stream) if stream.poll_write_ready(context).is_pending() => return,
            Some(_) | None => connection.is_blocked.set(false),
        }
        // An error shows itself in the write.
        connection.flush();
        if !connection.is_blocked.get() {
            return;
        }
    }
}

/// One read into the shared buffer, and everything that came with it. False: the stream has ended.
fn poll_read<S: Service>(connection: &Rc<Connection<S>>, context: &mut Context<'_>) -> Poll<bool> {
    let shard = &connection.shard;
    let mut shared = shard.take_read_buffer();
    let mut buffer = ReadBuf::new(&mut shared);
    let read = match connection.stream.borrow_mut().as_mut() {
        Some(stream) => stream.poll_read(context, &mut buffer),
        None => Poll::Ready(Ok(())),
    };
    let bytes = buffer.filled().len();
    let outcome = match read {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(())) if bytes == 0 => Poll::Ready(false),
        Poll::Ready(Ok(())) => {
            take_in(connection, &mut shared[..bytes]);
            Poll::Ready(true)
        }
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Poll::Ready(true),
        Poll::Ready(Err(_)) => Poll::Ready(false),
    };
    shard.read_buffer.replace(shared);
    outcome
}

/// Takes bytes in; a connection whose event made the application panic is closed.
fn take_in<S: Service>(connection: &Rc<Connection<S>>, bytes: &mut [u8]) {
    if guard(|| handle_all(connection, bytes)).is_err() {
        connection.fail();
    }
}

/// Handles every whole message in `bytes`; the reader keeps an unfinished one, the stash what a session cannot take yet.
fn handle_all<S: Service>(connection: &Rc<Connection<S>>, bytes: &mut [u8]) {
    let limits = connection
        .shard
        .websocket_limits(connection.payload_bytes_max());
    let mut reader = connection.reader.borrow_mut();
    let mut rest = bytes;
    loop {
        if connection.is_gate_closed() {
            connection.stash(rest);
            return;
        }
        match reader.read(&mut rest, &limits) {
            Ok(None) => return,
            Ok(Some(message)) => handle(connection, &message),
            Err(error) => {
                let code = error.close_code();
                let is_too_large = code == CloseCode::TOO_BIG;
                let reason = if is_too_large { TOO_LARGE } else { "bad frame" };
                return connection.violation(code, reason);
            }
        }
    }
}

fn handle<S: Service>(connection: &Rc<Connection<S>>, message: &Message<'_>) {
    let is_open = connection.is_open();
    match message {
        // The peer's close frame is awaited in every state.
        Message::Close(reason) => connection.peer_closed(reason.as_ref().map(|reason| reason.code)),
        _ if !is_open => {}
        Message::Text(text) => connection.text(text),
        Message::Binary(data) => connection.binary(data),
        Message::Ping(payload) => {
            connection.push(frame::pong(payload));
            connection.count_control();
        }
        Message::Pong(_) => {
            if !connection.endpoint.wire.is_engineio() {
                connection.pong_came();
            }
            connection.count_control();
        }
    }
}
