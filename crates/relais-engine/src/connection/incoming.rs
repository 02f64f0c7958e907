//! What a client's packets mean: Engine.IO first, Socket.IO inside.
//!
//! In: whole messages of a transport, borrowed. Out: calls of sessions and service. A packet that breaks a rule closes the connection.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use relais_protocol::engineio;
use relais_protocol::socketio::{Body, Packet};

use super::Connection;
use crate::ack_id::AckId;
use crate::close::{CloseCode, Reason};
use crate::endpoint::Wire;
use crate::frame;
use crate::raw::{Raw, RawMessage, RawSink};
use crate::service::Service;
use crate::session::Session;

/// CONNECTs of one connection in a minute, refused ones included, for each namespace that it may have.
const ATTEMPTS_A_NAMESPACE: u32 = 8;

impl<S: Service> Connection<S> {
    /// A text message of a WebSocket.
    pub(crate) fn text(self: &Rc<Self>, text: &str) {
        match self.endpoint.wire {
            Wire::WebSocket => self.raw(RawMessage::Text(text)),
            Wire::Plain => self.plain_text(text),
            Wire::SocketIo | Wire::EngineIo => match engineio::Packet::decode(text) {
                Ok(packet) => self.packet(packet),
                Err(error) => self.violation(error.close_code(), "malformed packet"),
            },
        }
    }

    /// A binary message: an attachment, or a message of its own where no Socket.IO is spoken.
    pub(crate) fn binary(self: &Rc<Self>, data: &[u8]) {
        match self.endpoint.wire {
            Wire::EngineIo | Wire::WebSocket => return self.raw(RawMessage::Binary(data)),
            Wire::Plain => return self.plain_binary(),
            Wire::SocketIo => {}
        }
        let limits = &self.shard.limits.socketio;
        let decoded = self
            .decoder
            .borrow_mut()
            .binary(Bytes::copy_from_slice(data), limits);
        match decoded {
            Ok(None) => {}
            Ok(Some(whole)) => match whole.packet(limits) {
                Ok(packet) => self.socketio(packet, &whole.attachments),
                Err(error) => self.violation(error.close_code(), "malformed packet"),
            },
            Err(error) => self.violation(error.close_code(), "unexpected binary"),
        }
    }

    /// An Engine.IO packet, from either transport.
    pub(crate) fn packet(self: &Rc<Self>, packet: engineio::Packet<'_>) {
        match packet.kind {
            engineio::PacketType::Message => self.message(packet.data),
            engineio::PacketType::Pong => {
                self.pong_came();
                self.count_control();
            }
            engineio::PacketType::Noop => self.count_control(),
            engineio::PacketType::Close => self.engine_closed(),
            engineio::PacketType::Open
            | engineio::PacketType::Ping
            | engineio::PacketType::Upgrade => {
                self.violation(CloseCode::PROTOCOL_ERROR, "unexpected packet");
            }
        }
    }

    /// Too many packets that say nothing are a flood.
    pub(crate) fn count_control(self: &Rc<Self>) {
        if !self.allow_control() {
            self.violation(CloseCode::POLICY, "too many control packets");
        }
    }

    pub(crate) fn violation(self: &Rc<Self>, code: CloseCode, text: &str) {
        self.close(code, text, Reason::Protocol);
    }

    fn message(self: &Rc<Self>, text: &str) {
        if self.endpoint.wire != Wire::SocketIo {
            return self.raw(RawMessage::Text(text));
        }
        let limits = &self.shard.limits.socketio;
        let decoded = self.decoder.borrow_mut().text(text, limits);
        match decoded {
            Ok(Some(packet)) => self.socketio(packet, &[]),
            Ok(None) => {}
            Err(error) => self.violation(error.close_code(), "malformed packet"),
        }
    }

    fn raw(self: &Rc<Self>, message: RawMessage<'_>) {
        self.shard.service.message(&Raw(self), message);
    }

    fn socketio(self: &Rc<Self>, packet: Packet<'_>, attachments: &[Bytes]) {
        let session = self.session_in(packet.namespace);
        match (packet.body, session) {
            (Body::Connect(auth), None) => {
                self.connect(packet.namespace, auth.map(|auth| auth.get()));
            }
            (Body::Event(event), Some(session)) => {
                self.shard.stats.events_in_total.add(1);
                let id = event.id.map(AckId::Number);
                session.event(&event.name, event.args.raw(), attachments, id);
            }
            (Body::Ack(ack), Some(session)) => session.acked(ack.id, ack.args.raw(), attachments),
            (Body::Disconnect, Some(session)) => session.client_left(),
            (Body::Connect(_), Some(_)) => {
                self.violation(CloseCode::PROTOCOL_ERROR, "connected already");
            }
            (Body::Event(_) | Body::Ack(_) | Body::Disconnect, None) => {
                self.packet_without_session(packet.namespace);
            }
        }
    }

    /// Anything before CONNECT breaks the protocol; what crossed our DISCONNECT does not.
    fn packet_without_session(self: &Rc<Self>, namespace: &str) {
        if !self.has_left(namespace) {
            self.violation(CloseCode::PROTOCOL_ERROR, "packet before CONNECT");
        }
    }

    fn session_in(&self, namespace: &str) -> Option<Rc<Session<S>>> {
        self.sessions
            .borrow()
            .iter()
            .find(|session| session.namespace() == namespace)
            .cloned()
    }

    fn connect(self: &Rc<Self>, namespace: &str, auth: Option<&str>) {
        if self.is_connecting(namespace) {
            return self.violation(CloseCode::PROTOCOL_ERROR, "connecting already");
        }
        let settings = self.shard.settings();
        let attempts_max = u32::try_from(settings.namespaces_max)
            .unwrap_or(u32::MAX)
            .saturating_mul(ATTEMPTS_A_NAMESPACE);
        if self.count_attempt() > attempts_max {
            return self.violation(CloseCode::POLICY, "too many CONNECTs");
        }
        let open = self.sessions.borrow().len() + self.connecting();
        if open >= settings.namespaces_max {
            let refusal = frame::connect_error(namespace, "Too many namespaces", None);
            return self.push(refusal);
        }
        let namespace: Arc<str> = match namespace {
            "/" => self.shard.root(),
            other => Arc::from(other),
        };
        crate::session::connect::begin(self, namespace, auth);
    }
}

impl<S: Service> RawSink for Rc<Connection<S>> {
    fn endpoint(&self) -> u16 {
        self.endpoint.id
    }

    fn send(&self, message: RawMessage<'_>) {
        self.push(match message {
            RawMessage::Text(text) => frame::text(text, self.endpoint.wire == Wire::EngineIo),
            RawMessage::Binary(data) => frame::binary(data),
        });
    }

    fn close(&self, code: CloseCode, reason: &str) {
        Connection::close(self, code, reason, Reason::Closed);
    }
}
