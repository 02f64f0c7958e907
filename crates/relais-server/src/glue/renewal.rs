//! `auth:expiring` and `auth:refresh`: tokens of open sessions are watched, announced, renewed in place and ended.

use std::sync::Arc;

use relais_core::error::{Code, Error};
use relais_core::ids::Timestamp;
use relais_engine::{
    CloseCode, Delivery, EngineHandle, Event, Flow, OutEvent, Reply, Room, Socket,
};
use serde_json::{Value, json};

use super::expiry::{Expiries, What};
use super::rooms;
use super::service::{Relais, refusal_reply};
use crate::clock::Clock;

/// A client's event with a new token: `{token}` → ack `{success: true, expiresAt}` (null where the token has no end).
pub const EVENT: &str = "auth:refresh";
/// The server's announcement, 60 s ahead: `{expiresAt}`.
const ANNOUNCEMENT: &str = "auth:expiring";

/// Watches the token that a session came with.
pub fn watch(relais: &Relais, socket: &Socket<Relais>) {
    let session = socket.data();
    watch_until(relais, socket, session.identity.expires_at);
}

fn watch_until(relais: &Relais, socket: &Socket<Relais>, expires_at: Option<Timestamp>) {
    forget(relais, socket);
    if let Some(expires_at) = expires_at {
        let (sid, now) = (socket.id().clone(), relais.clock.now());
        let number = relais.expiries.watch(socket.scope(), sid, expires_at, now);
        socket.data().expiry.set(Some(number));
    }
}

/// The session is gone, or gets another token.
pub fn forget(relais: &Relais, socket: &Socket<Relais>) {
    if let Some(number) = socket.data().expiry.take() {
        relais.expiries.forget(number);
    }
}

/// Renews a session's token in place. It has to be the same user's, of the same tenant.
pub fn renew(relais: &Arc<Relais>, socket: &Socket<Relais>, event: &Event<'_>) -> Flow {
    let token = match new_token(relais, socket, event) {
        Ok(token) => token,
        Err(error) => {
            let reply = refusal_reply(socket, event.name, event.wants_ack, &error);
            return reply.map_or(Flow::Done, Flow::Reply);
        }
    };
    let (relais, socket, wants_ack) = (relais.clone(), socket.clone(), event.wants_ack);
    Flow::Barrier(Box::pin(async move {
        match renewed(&relais, &socket, &token).await {
            Ok(Renewed {
                expires_at,
                token_id,
            }) => {
                watch_until(&relais, &socket, expires_at);
                // So that the new token can be revoked by its id too.
                if let Some(id) = &token_id {
                    socket.join(&rooms::token(id));
                }
                let shown = expires_at.map(|at| at.to_string());
                let reply = json!({ "success": true, "expiresAt": shown });
                wants_ack.then(|| Reply::json(reply.to_string()))
            }
            Err(error) => refusal_reply(&socket, EVENT, wants_ack, &error),
        }
    }))
}

fn new_token(relais: &Relais, socket: &Socket<Relais>, event: &Event<'_>) -> Result<String, Error> {
    socket.data().take_event(relais.clock.now().monotonic)?;
    let payload: Value = serde_json::from_str(event.args).unwrap_or_default();
    let token = payload.get("token").and_then(Value::as_str);
    let missing = || Error::new(Code::InvalidPayload, "unable to renew; expected {token}");
    token.map(str::to_owned).ok_or_else(missing)
}

/// What is kept of a new token.
struct Renewed {
    expires_at: Option<Timestamp>,
    token_id: Option<Arc<str>>,
}

async fn renewed(relais: &Relais, socket: &Socket<Relais>, token: &str) -> Result<Renewed, Error> {
    let session = socket.data();
    let now = relais.clock.now();
    let (tenant, identity) = session.served.prove(token, now.wall).await?;
    if tenant != session.tenant.key || identity.person.id != session.identity.person.id {
        return Err(Error::new(
            Code::TokenInvalid,
            "unable to renew; the token is of somebody else",
        ));
    }
    session.served.dispatcher.admit(&tenant, &identity, now)?;
    session.served.dispatcher.meet(&tenant, &identity);
    Ok(Renewed {
        expires_at: identity.expires_at,
        token_id: identity.token_id,
    })
}

/// Announces and ends what is due. To be called several times a second.
pub async fn sweep(expiries: &Expiries, engine: &EngineHandle, clock: Clock) {
    for due in expiries.take_due(clock.now().monotonic) {
        let room = Room::from(&due.sid);
        match due.what {
            What::Announce(expires_at) => {
                let args = json!({ "expiresAt": expires_at.to_string() }).to_string();
                let event = OutEvent {
                    at: clock.now().wall.0,
                    ..OutEvent::to_room(room, ANNOUNCEMENT, args)
                };
                engine.publish(Arc::new(Delivery::event(due.scope, event)));
            }
            What::End => {
                let reason = Code::TokenExpired.row().name;
                engine
                    .close_sessions(due.scope, &room, CloseCode::POLICY, reason)
                    .await;
            }
        }
    }
}
