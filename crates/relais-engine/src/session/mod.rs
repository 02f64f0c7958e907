//! One session on its shard: a client in a namespace.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::close::CloseCode;
use crate::delivery::Delivery;
use crate::handle::EngineHandle;
use crate::room::{Offset, Room, Scope, Sid};
use crate::service::{LocalFuture, Reply, Service, Transport};
use crate::socket::AckError;

pub(crate) struct Session<S: Service> {
    sid: Sid,
    scope: Scope,
    data: S::Data,
    engine: EngineHandle,
}

impl<S: Service> Session<S> {
    pub(crate) fn sid(&self) -> &Sid {
        &self.sid
    }

    pub(crate) fn data(&self) -> &S::Data {
        &self.data
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    pub(crate) fn namespace(&self) -> &str {
        "/"
    }

    pub(crate) fn transport(&self) -> Transport {
        Transport::WebSocket
    }

    pub(crate) fn is_open(&self) -> bool {
        false
    }

    pub(crate) fn cursor(&self) -> Option<Offset> {
        None
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    pub(crate) fn publish(&self, delivery: Arc<Delivery>) {
        self.engine.publish(delivery);
    }

    pub(crate) fn emit(&self, _name: &str, _args: &[u8], _attachments: &[Bytes], _volatile: bool) {}

    pub(crate) fn emit_with_ack(
        self: &Rc<Self>,
        _name: &str,
        _args: &[u8],
        _timeout: Duration,
    ) -> LocalFuture<Result<Reply, AckError>> {
        Box::pin(async { Err(AckError::Gone) })
    }

    pub(crate) fn join(&self, _room: &Room) -> bool {
        false
    }

    pub(crate) fn leave(&self, _room: &Room, _until: Option<u64>) {}

    pub(crate) fn disconnect(&self) {}

    pub(crate) fn close_transport(&self, _code: CloseCode, _reason: &str) {}
}
