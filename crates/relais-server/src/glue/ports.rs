//! The core's ports on the engine: committed records and volatile events go to the hub, and the dispatcher moves sessions.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use relais_core::error::Code;
use relais_core::event::{Record, Volatile};
use relais_core::ids::{Position, RoomKey, SessionId, TenantKey};
use relais_core::ports::{Fanout, Sessions};
use relais_core::restriction::{Against, Closing};
use relais_engine::{CloseCode, EngineHandle, Scope, Sid};

use super::scopes::Scopes;
use super::{publication, rooms};
use crate::outside::Bells;

/// The hub as the core sees it. The engine comes later ([`Self::set_engine`]), because it is started with a log that needs the store,
/// which needs this.
pub struct Hub {
    scopes: Arc<Scopes>,
    engine: OnceLock<EngineHandle>,
    /// What wakes those who tell the world outside.
    pub bells: Arc<Bells>,
}

impl Hub {
    /// A hub that drops everything until the engine is there: nobody is connected yet, and a shard reads the log for what it missed.
    pub fn new(scopes: Arc<Scopes>) -> Self {
        Self {
            scopes,
            engine: OnceLock::new(),
            bells: Arc::default(),
        }
    }

    /// Gives the engine; only the first one counts.
    pub fn set_engine(&self, engine: EngineHandle) {
        // A second call is a fault of the boot code alone, and the first engine stays right.
        let _ = self.engine.set(engine);
    }

    fn target(&self, tenant: &TenantKey) -> Option<(&EngineHandle, Scope)> {
        Some((self.engine.get()?, self.scopes.find(tenant)?.scope))
    }
}

impl Fanout for Hub {
    fn publish(&self, tenant: &TenantKey, records: &[Arc<Record>]) {
        self.bells.ring(tenant, records);
        // A tenant without a scope has no session here; its records are in the log.
        let (Some(engine), Some(tenant)) = (self.engine.get(), self.scopes.find(tenant)) else {
            return;
        };
        for record in records {
            engine.publish(publication::durable(&tenant, record));
        }
    }

    fn volatile(&self, tenant: &TenantKey, event: Volatile) {
        let (Some(engine), Some(tenant)) = (self.engine.get(), self.scopes.find(tenant)) else {
            return;
        };
        engine.publish(publication::volatile(&tenant, event));
    }

    fn rewritten(&self, tenant: &TenantKey) {
        self.scopes.forget_pages(tenant);
    }
}

#[async_trait]
impl Sessions for Hub {
    async fn enter(&self, tenant: &TenantKey, session: &SessionId, room: &RoomKey) {
        if let Some((engine, scope)) = self.target(tenant) {
            // `false` is a session that went meanwhile: it finds the stay again when it comes back. For want of room nobody is
            // turned away here, the core counts the rooms.
            engine
                .enter(scope, &Sid::from(session.0.clone()), &rooms::room(room))
                .await;
        }
    }

    async fn close(&self, tenant: &TenantKey, whose: &Against, why: Closing) {
        if let Some((engine, scope)) = self.target(tenant) {
            let room = match whose {
                Against::User(user) => rooms::user(user),
                Against::Token(id) => rooms::token(id),
            };
            let (code, reason) = match why {
                Closing::Revoked => (CloseCode::POLICY, Code::TokenInvalid.row().name),
                Closing::Asked => (CloseCode::NORMAL, "DISCONNECTED"),
            };
            engine.close_sessions(scope, &room, code, reason).await;
        }
    }

    async fn leave(
        &self,
        tenant: &TenantKey,
        session: &SessionId,
        room: &RoomKey,
        until: Position,
    ) {
        if let Some((engine, scope)) = self.target(tenant) {
            engine
                .leave(
                    scope,
                    &Sid::from(session.0.clone()),
                    &rooms::room(room),
                    Some(until.0),
                )
                .await;
        }
    }
}
