//! Acks that the server waits for: a bounded number, each with its own patience.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Session;
use crate::chance::Map;
use crate::delivery::Form;
use crate::frame::{self, EventParts};
use crate::service::{LocalFuture, Reply, Service};
use crate::socket::AckError;

/// Events of the server whose ack is awaited.
#[derive(Default)]
pub(super) struct Acks {
    next: u64,
    waiting: Map<u64, oneshot::Sender<Reply>>,
}

impl<S: Service> Session<S> {
    pub(crate) fn emit_with_ack(
        self: &Rc<Self>,
        name: &str,
        args: &[u8],
        timeout: Duration,
    ) -> LocalFuture<Result<Reply, AckError>> {
        let (id, reply) = match self.expect_ack() {
            Ok(expected) => expected,
            Err(error) => return Box::pin(async move { Err(error) }),
        };
        self.connection.push(frame::event(&EventParts {
            namespace: self.namespace(),
            ack: Some(id),
            name,
            args,
            attachments: &[],
            offset: None,
            volatile: false,
        }));
        let session = Rc::clone(self);
        Box::pin(async move {
            match tokio::time::timeout(timeout, reply).await {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(_)) => Err(AckError::Gone),
                Err(_) => {
                    session.forget_ack(id);
                    Err(AckError::Timeout)
                }
            }
        })
    }

    /// An ack of the client; one that nobody waits for any more is dropped.
    pub(crate) fn acked(&self, id: u64, args: &str, attachments: &[Bytes]) {
        let waiting = match &mut *self.acks.borrow_mut() {
            Some(acks) => acks.waiting.remove(&id),
            None => None,
        };
        if let Some(waiting) = waiting {
            let _ = waiting.send(Reply {
                args: Bytes::copy_from_slice(args.as_bytes()),
                attachments: attachments.to_vec(),
            });
        }
    }

    fn expect_ack(&self) -> Result<(u64, oneshot::Receiver<Reply>), AckError> {
        if !self.is_open() {
            return Err(AckError::Gone);
        }
        if self.form == Form::Plain {
            return Err(AckError::Unknown);
        }
        let mut acks = self.acks.borrow_mut();
        let acks = acks.get_or_insert_default();
        if acks.waiting.len() >= self.connection.shard.settings().acks_max {
            return Err(AckError::TooMany);
        }
        let (sender, receiver) = oneshot::channel();
        let id = acks.next;
        acks.next += 1;
        acks.waiting.insert(id, sender);
        Ok((id, receiver))
    }

    fn forget_ack(&self, id: u64) {
        if let Some(acks) = &mut *self.acks.borrow_mut() {
            acks.waiting.remove(&id);
        }
    }
}
