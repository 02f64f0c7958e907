//! Long-polling on the shard: one GET that waits for frames, one POST that brings packets.
//!
//! HTTP itself is on another thread; what comes here are bodies and channels for answers. A second GET or POST beside a first one, an
//! aborted GET and an unreadable body close the connection, as the specification wants it.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use relais_protocol::engineio::{
    EngineError, HandshakeError, OpenPacket, Payload, PayloadPacket, PayloadWriter,
};
use tokio::sync::oneshot;

use crate::close::CloseCode;
use crate::command::{PollAnswer, PollNumber, PostAnswer, PostBody};
use crate::connection::{Connection, State};
use crate::panics::guard;
use crate::service::{Service, Transport};

/// What a connection on polling needs beside its outbox.
#[derive(Default)]
pub(crate) struct Polling {
    get: Option<PendingGet>,
    /// A POST is being handled.
    is_posting: bool,
    /// A WebSocket is being tried.
    is_upgrading: bool,
    /// It has answered the probe: polls are released at once from now on.
    has_probed: bool,
    /// A POST whose next packet a session cannot take yet.
    waiting_post: Option<Waker>,
}

impl Polling {
    /// Something may go on.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waiting_post {
            waker.wake_by_ref();
        }
    }
}

struct PendingGet {
    number: PollNumber,
    reply: oneshot::Sender<PollAnswer>,
}

impl<S: Service> Connection<S> {
    /// The body that answers the handshake.
    pub(crate) fn open_packet(&self, upgrades: &[&str]) -> Vec<u8> {
        let settings = self.shard.settings();
        let mut body = Vec::with_capacity(160);
        OpenPacket {
            sid: &self.id.to_text(),
            upgrades,
            ping_interval_ms: millis(settings.ping_interval),
            ping_timeout_ms: millis(settings.ping_timeout),
            max_payload_bytes: self.payload_bytes_max() as u64,
        }
        .write(&mut body);
        body
    }

    /// A GET that waits for packets.
    pub(crate) fn poll(
        self: &Rc<Self>,
        identity: u64,
        number: PollNumber,
        reply: oneshot::Sender<PollAnswer>,
    ) {
        if let Err(error) = self.check_polling(identity) {
            let _ = reply.send(PollAnswer::Refused(error));
            return;
        }
        let Some(has_probed) = self.put_get(number, reply) else {
            return self.overlap();
        };
        if has_probed && self.outbox.borrow().is_empty() {
            self.release_poll(b"6");
        } else {
            self.shard.mark_dirty(self);
        }
    }

    /// Keeps a GET for later and says whether a probe was answered; `None` when one waits already: then this one is refused.
    fn put_get(&self, number: PollNumber, reply: oneshot::Sender<PollAnswer>) -> Option<bool> {
        let mut polling = self.polling.borrow_mut();
        let polling = polling.get_or_insert_default();
        if polling.get.is_some() {
            let _ = reply.send(PollAnswer::Refused(HandshakeError::BadRequest));
            return None;
        }
        polling.get = Some(PendingGet { number, reply });
        Some(polling.has_probed)
    }

    /// The client went away while its GET waited: packets could be lost, so the connection ends.
    pub(crate) fn poll_aborted(self: &Rc<Self>, number: PollNumber) {
        let is_ours = self
            .polling
            .borrow()
            .as_ref()
            .and_then(|polling| polling.get.as_ref())
            .is_some_and(|get| get.number == number);
        if is_ours && self.transport.get() == Transport::Polling {
            self.lost();
        }
    }

    /// A POST: its packets are handled in order, and answered when a session has taken the last one.
    pub(crate) fn post(
        self: &Rc<Self>,
        identity: u64,
        body: oneshot::Receiver<PostBody>,
        reply: oneshot::Sender<PostAnswer>,
    ) {
        if let Err(error) = self.check_polling(identity) {
            let _ = reply.send(PostAnswer::Refused(error));
            return;
        }
        let is_posting = self.polling.borrow_mut().get_or_insert_default().is_posting;
        if is_posting {
            let _ = reply.send(PostAnswer::Refused(HandshakeError::BadRequest));
            return self.overlap();
        }
        self.set_posting(true);
        tokio::task::spawn_local(handle_post(Rc::clone(self), body, reply));
    }

    fn set_posting(&self, is_posting: bool) {
        if let Some(polling) = &mut *self.polling.borrow_mut() {
            polling.is_posting = is_posting;
        }
    }

    /// Writes what waits into the pending GET, as much as a payload may hold.
    pub(crate) fn answer_poll(self: &Rc<Self>) {
        if self.outbox.borrow().is_empty() {
            return;
        }
        let Some(get) = self.take_get() else {
            return;
        };
        let body = self.payload();
        self.shard.stats.bytes_out_total.add(body.len() as u64);
        if get.reply.send(PollAnswer::Payload(body)).is_err() {
            self.lost();
        }
    }

    /// Answers the pending GET with one packet, and with what waits if there is something.
    pub(crate) fn release_poll(self: &Rc<Self>, packet: &[u8]) {
        // Whoever has hung up is told of by its own message; what waits must not be given to nobody meanwhile.
        let Some(get) = self.take_get_of_somebody() else {
            return;
        };
        let is_idle = self.outbox.borrow().is_empty();
        let body = match is_idle {
            true => packet.to_vec(),
            false => self.payload(),
        };
        if get.reply.send(PollAnswer::Payload(body)).is_err() && !is_idle {
            self.lost();
        }
    }

    /// The connection is gone: a pending GET is told so.
    pub(crate) fn refuse_poll(&self) {
        if let Some(get) = self.take_get() {
            let _ = get
                .reply
                .send(PollAnswer::Refused(HandshakeError::SessionUnknown));
        }
    }

    /// Takes the connection for an upgrade; false when another one is at it, or it is a WebSocket already.
    pub(crate) fn begin_upgrade(&self) -> bool {
        if self.transport.get() != Transport::Polling {
            return false;
        }
        let mut polling = self.polling.borrow_mut();
        let polling = polling.get_or_insert_default();
        !std::mem::replace(&mut polling.is_upgrading, true)
    }

    /// The probe was answered: the poll that waits is released, so that the client can change over.
    pub(crate) fn probed(self: &Rc<Self>) {
        if let Some(polling) = &mut *self.polling.borrow_mut() {
            polling.has_probed = true;
        }
        self.release_poll(b"6");
    }

    pub(crate) fn end_upgrade(&self) {
        if let Some(polling) = &mut *self.polling.borrow_mut() {
            polling.is_upgrading = false;
            polling.has_probed = false;
        }
    }

    /// Whether a request may act on this connection by polling.
    fn check_polling(&self, identity: u64) -> Result<(), HandshakeError> {
        let is_alive = matches!(self.state.get(), State::Open | State::Closing);
        if !is_alive {
            return Err(HandshakeError::SessionUnknown);
        }
        self.check_identity(identity)?;
        match self.transport.get() {
            Transport::Polling => Ok(()),
            Transport::WebSocket => Err(HandshakeError::BadRequest),
        }
    }

    /// A sid that was guessed or stolen is of no use without the credentials that opened the connection.
    pub(crate) fn check_identity(&self, identity: u64) -> Result<(), HandshakeError> {
        if self.identity == identity {
            Ok(())
        } else {
            Err(HandshakeError::BadRequest)
        }
    }

    /// Two GETs or two POSTs at once, or a body that is none.
    fn overlap(self: &Rc<Self>) {
        self.violation(CloseCode::PROTOCOL_ERROR, "overlapping or invalid requests");
    }

    fn take_get_of_somebody(&self) -> Option<PendingGet> {
        let mut polling = self.polling.borrow_mut();
        let get = &mut polling.as_mut()?.get;
        get.take_if(|get| !get.reply.is_closed())
    }

    fn take_get(&self) -> Option<PendingGet> {
        self.polling.borrow_mut().as_mut()?.get.take()
    }

    /// At least one frame, and more while they fit into a payload.
    fn payload(&self) -> Vec<u8> {
        let mut outbox = self.outbox.borrow_mut();
        let mut body = Vec::with_capacity(outbox.bytes().min(self.payload_bytes_max()));
        let (mut bytes, mut packets_sum) = (0, 0);
        while let Some(next) = outbox.front() {
            // Base64 grows by a third; a separator for each packet.
            let more = next.len() + next.attachments().map(|a| a.len() / 3 + 4).sum::<usize>() + 1;
            packets_sum += 1 + next.attachments().count();
            let is_full = packets_sum > PACKETS_MAX || bytes + more > self.payload_bytes_max();
            // A close packet goes alone: stock clients act on it before they deliver the events of the same payload, and so would
            // count those as missed and get them twice.
            let is_close = next.payload() == Some((b"1", false));
            if bytes > 0 && (is_full || is_close) {
                break;
            }
            let Some(frame) = outbox.pop(&self.shard.spares) else {
                break;
            };
            let start = body.len();
            if start > 0 {
                body.push(SEPARATOR);
            }
            let mut packets = Vec::with_capacity(more);
            let mut writer = PayloadWriter::new(&mut packets);
            match frame.payload() {
                Some((text, false)) => writer.encoded(text),
                Some((binary, true)) => writer.binary(binary),
                None => {}
            }
            for attachment in frame.attachments() {
                writer.binary(attachment);
            }
            body.extend_from_slice(&packets);
            bytes += more;
        }
        body
    }
}

/// Most packets in the body of one GET: python-engineio throws away a payload of more than these.
const PACKETS_MAX: usize = 16;

/// Between packets of a payload.
const SEPARATOR: u8 = 0x1e;

async fn handle_post<S: Service>(
    connection: Rc<Connection<S>>,
    body: oneshot::Receiver<PostBody>,
    reply: oneshot::Sender<PostAnswer>,
) {
    let answer = match body.await {
        Ok(PostBody::Whole(body)) => match take_packets(&connection, &body).await {
            Ok(()) => PostAnswer::Ok,
            Err(error) => {
                connection.violation(error.close_code(), "malformed payload");
                PostAnswer::Invalid
            }
        },
        Ok(PostBody::TooBig) => PostAnswer::TooBig,
        Ok(PostBody::Invalid) => {
            connection.overlap();
            PostAnswer::Invalid
        }
        Err(_) => {
            // Aborted: what it held is lost.
            connection.lost();
            PostAnswer::Invalid
        }
    };
    connection.set_posting(false);
    let _ = reply.send(answer);
}

async fn take_packets<S: Service>(
    connection: &Rc<Connection<S>>,
    body: &[u8],
) -> Result<(), EngineError> {
    let limits = connection
        .shard
        .payload_limits(connection.payload_bytes_max());
    for packet in Payload::decode(body, &limits)? {
        wait_for_gate(connection).await;
        if !connection.is_open() {
            return Ok(());
        }
        match packet? {
            PayloadPacket::Text(packet) => {
                if guard(|| connection.packet(packet)).is_err() {
                    connection.fail();
                }
            }
            PayloadPacket::Binary(base64) => {
                let data = base64.decode()?;
                if guard(|| connection.binary(&data)).is_err() {
                    connection.fail();
                }
            }
        }
    }
    Ok(())
}

/// Until every session can take more, or the connection is gone.
async fn wait_for_gate<S: Service>(connection: &Rc<Connection<S>>) {
    poll_fn(|context| {
        if !connection.is_gate_closed() || !connection.is_open() {
            return Poll::Ready(());
        }
        let mut polling = connection.polling.borrow_mut();
        polling.get_or_insert_default().waiting_post = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
