//! From polling to WebSocket: probe, release of the pending poll, change of transport.
//!
//! Owns the new socket until the client has changed to it; then the connection does. A probe that fails leaves the polling connection alone.

use std::io;
use std::rc::Rc;

use relais_protocol::engineio::{Packet, PacketType};
use relais_protocol::websocket::{CloseCode, Message, Reader};
use tokio::time::timeout;

use super::websocket::attach;
use crate::command::Upgraded;
use crate::connection::Connection;
use crate::frame;
use crate::service::Service;
use crate::stream::Stream;

/// A probe is a few bytes; whatever is larger is none.
const READ_BYTES: usize = 4096;

/// Runs the handshake of an upgrade.
pub(crate) async fn run<S: Service>(connection: Rc<Connection<S>>, upgraded: Upgraded) {
    let Ok(mut stream) = upgraded.stream.attach() else {
        return;
    };
    if !connection.is_open() || !connection.begin_upgrade() {
        refuse(&stream);
        return;
    }
    let wait = connection.shard.settings().upgrade_timeout;
    let mut probe = Probe {
        reader: Reader::new(),
        has_probed: false,
    };
    let end = timeout(
        wait,
        probe.run(&connection, &mut stream, &upgraded.read_ahead),
    )
    .await;
    match end {
        Ok(Ok(Some(rest))) if connection.is_open() => {
            connection.end_upgrade();
            connection.release_poll(b"6");
            attach(&connection, stream, probe.reader, &rest);
            connection.shard.mark_dirty(&connection);
        }
        Ok(_) | Err(_) => {
            connection.end_upgrade();
            refuse(&stream);
        }
    }
}

/// A second upgrade, or one that took too long: the polling connection goes on.
fn refuse(stream: &Stream) {
    let close = frame::close(Some(CloseCode::POLICY), "upgrade refused");
    // A few bytes into an empty kernel buffer: whoever does not take them is not waited for.
    let _ = stream.try_write(close.bytes());
    stream.end_writing();
}

struct Probe {
    reader: Reader,
    has_probed: bool,
}

/// What one message of the probe led to.
enum Step {
    Continue,
    Changed,
    Failed,
}

impl Probe {
    /// `Some` with what was read beyond when the client has changed over; `None` when the upgrade failed.
    async fn run<S: Service>(
        &mut self,
        connection: &Rc<Connection<S>>,
        stream: &mut Stream,
        read_ahead: &[u8],
    ) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = read_ahead.to_vec();
        loop {
            match self.take_in(connection, stream, &mut buffer) {
                Ok(None) => {}
                Ok(Some(rest)) => return Ok(Some(rest)),
                Err(()) => return Ok(None),
            }
            buffer.resize(READ_BYTES, 0);
            stream.readable().await?;
            match stream.try_read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(bytes) => buffer.truncate(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => buffer.clear(),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_in<S: Service>(
        &mut self,
        connection: &Rc<Connection<S>>,
        stream: &Stream,
        bytes: &mut [u8],
    ) -> Result<Option<Vec<u8>>, ()> {
        let limits = connection
            .shard
            .websocket_limits(connection.payload_bytes_max());
        let mut rest = bytes;
        loop {
            let step = match self.reader.read(&mut rest, &limits) {
                Ok(None) => return Ok(None),
                Ok(Some(Message::Text(text))) => judge(text, self.has_probed),
                Ok(Some(_)) | Err(_) => Step::Failed,
            };
            match step {
                Step::Failed => return Err(()),
                Step::Changed => return Ok(Some(rest.to_vec())),
                Step::Continue => {
                    self.has_probed = true;
                    let answer = frame::engine(b"3probe");
                    // Eight bytes into an empty buffer.
                    if stream.try_write(answer.bytes()).ok() != Some(answer.len()) {
                        return Err(());
                    }
                    connection.probed();
                }
            }
        }
    }
}

fn judge(text: &str, has_probed: bool) -> Step {
    match Packet::decode(text) {
        Ok(packet) if packet.is_probe() => Step::Continue,
        Ok(packet) if packet.kind == PacketType::Upgrade && has_probed => Step::Changed,
        Ok(_) | Err(_) => Step::Failed,
    }
}
