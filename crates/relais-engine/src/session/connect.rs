//! From CONNECT, or the request of a plain JSON connection, to a session: the service decides, an older connection of the session is fenced, the client is answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use relais_protocol::json::Json;
use relais_protocol::socketio::Recovery;
use tokio::time::timeout;

use super::{Place, Session};
use crate::close::{CloseCode, Reason};
use crate::command::Opening;
use crate::connection::Connection;
use crate::delivery::Form;
use crate::endpoint::Wire;
use crate::frame;
use crate::panics::{Guarded, Panicked, guard};
use crate::registry::Claim;
use crate::replay::Replay;
use crate::service::{Accept, Connect, LocalFuture, Refuse, Service, Transport};
use crate::sid::session_id;

/// Asks the service about a namespace.
pub(crate) fn begin<S: Service>(
    connection: &Rc<Connection<S>>,
    namespace: Arc<str>,
    auth: Option<&str>,
) {
    let connect = describe(connection, namespace, auth);
    let deciding = decide(connection, connect);
    tokio::task::spawn_local(deciding);
}

/// Asks the service about a plain JSON connection, whose request is its CONNECT. Nothing is read of it before it has its session.
pub(crate) fn begin_plain<S: Service>(connection: &Rc<Connection<S>>, opening: &Opening) {
    let headers = opening.headers.iter();
    let headers = headers.filter(|(name, _)| connection.shard.wants_header(name));
    let connect = Connect {
        endpoint: opening.endpoint.id,
        wire: opening.endpoint.wire,
        path: opening.path.clone(),
        namespace: connection.shard.root(),
        headers: headers
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        query: opening.query.clone(),
        peer: opening.peer,
        auth: None,
        pid: None,
        offset: None,
        transport: Transport::WebSocket,
    };
    connection.close_gate();
    let deciding = decide(connection, connect);
    let connection = Rc::clone(connection);
    tokio::task::spawn_local(async move {
        deciding.await;
        connection.open_gate();
    });
}

type Decision<S> = LocalFuture<Result<Accept<<S as Service>::Data>, Refuse>>;

fn decide<S: Service>(
    connection: &Rc<Connection<S>>,
    connect: Connect,
) -> impl Future<Output = ()> + use<S> {
    let namespace = Arc::clone(&connect.namespace);
    connection.begin_connecting(Arc::clone(&namespace));
    let decision = guard(|| connection.shard.service.connect(connect));
    let connection = Rc::clone(connection);
    async move {
        let answer = answer(&connection, &namespace, decision);
        if Guarded(Box::pin(answer)).await.is_err() {
            connection.fail();
            // Also of a connection that had gone before.
            connection.end_sessions(Reason::TransportLost);
        }
        connection.end_connecting(&namespace);
        connection.connect_refused();
    }
}

/// Waits for what the service decides, and does it.
async fn answer<S: Service>(
    connection: &Rc<Connection<S>>,
    namespace: &Arc<str>,
    decision: Result<Decision<S>, Panicked>,
) {
    let wait = connection.shard.settings().accept_timeout;
    let decided = match decision {
        Ok(decision) => timeout(wait, Guarded(decision)).await,
        Err(panicked) => Ok(Err(panicked)),
    };
    let decided = match decided {
        Ok(Ok(decided)) => decided,
        Ok(Err(Panicked)) => Err(Refuse::CloseTransport(CloseCode::INTERNAL_ERROR)),
        Err(_) => Err(Refuse::CloseTransport(CloseCode::TRY_AGAIN_LATER)),
    };
    match decided {
        Ok(accept) => accepted(connection, Arc::clone(namespace), accept).await,
        Err(refuse) => refused(connection, namespace, refuse),
    }
}

fn describe<S: Service>(
    connection: &Connection<S>,
    namespace: Arc<str>,
    auth: Option<&str>,
) -> Connect {
    // The text was checked by the decoder; this only wraps it.
    let depth_max = connection.shard.limits.socketio.depth_max;
    let recovery = auth
        .and_then(|auth| Json::check(auth, depth_max).ok())
        .map(Recovery::of)
        .unwrap_or_default();
    let opening = &connection.opening;
    Connect {
        endpoint: connection.endpoint.id,
        wire: connection.endpoint.wire,
        path: String::new(),
        namespace,
        headers: opening.headers(),
        query: opening.query().to_owned(),
        peer: opening.peer(),
        auth: auth.map(|auth| Bytes::copy_from_slice(auth.as_bytes())),
        pid: recovery.pid.map(|pid| pid.into_owned()),
        offset: recovery.offset.map(|offset| offset.into_owned()),
        transport: connection.transport.get(),
    }
}

fn refused<S: Service>(connection: &Rc<Connection<S>>, namespace: &str, refuse: Refuse) {
    match refuse {
        Refuse::Close { code, reason } => connection.close(code, &reason, Reason::Closed),
        Refuse::ConnectError { message, .. } if connection.endpoint.wire == Wire::Plain => {
            connection.close(CloseCode::POLICY, &message, Reason::Closed);
        }
        Refuse::ConnectError { message, data } => {
            connection.push(frame::connect_error(namespace, &message, data.as_deref()));
        }
        Refuse::CloseTransport(code) => {
            connection.close(code, "unable to connect now", Reason::Closed);
        }
    }
}

async fn accepted<S: Service>(
    connection: &Rc<Connection<S>>,
    namespace: Arc<str>,
    mut accept: Accept<S::Data>,
) {
    let shard = &connection.shard;
    let sid = accept.sid.take().unwrap_or_else(session_id);
    let claim = shard.engine.registry().claim(&sid, shard.index);
    for older in &claim.older {
        if older.shard == shard.index {
            shard.fence(&sid, older.generation);
        } else {
            shard.engine.fence(&sid, *older).await;
        }
    }
    // Somebody may have claimed it after us while we waited; then we are the older one.
    if !shard.engine.registry().fenced(&sid, claim.generation) {
        connection.close(CloseCode::NORMAL, "taken over", Reason::TransportLost);
        return;
    }
    let pid = accept.pid.take();
    let was_open = connection.is_open();
    connection.end_connecting(&namespace);
    let session = create(connection, namespace, sid, claim, accept);
    if was_open && connection.endpoint.wire != Wire::Plain {
        connection.push(frame::connect(
            session.namespace(),
            session.sid().as_str(),
            pid.as_deref(),
        ));
    }
    session.tell(|service, socket| service.connected(socket));
    if !was_open {
        // It went while the service decided. Told like any other, so that the service need not think of it; and nobody else will
        // come to part the two, which hold each other.
        session.detach();
        session.end(Reason::TransportLost);
    } else if session.place.get() == Place::Replaying {
        crate::replay::begin(&session);
    }
}

/// Makes the session and puts it into the hub, or before it.
fn create<S: Service>(
    connection: &Rc<Connection<S>>,
    namespace: Arc<str>,
    sid: crate::room::Sid,
    claim: Claim,
    accept: Accept<S::Data>,
) -> Rc<Session<S>> {
    let shard = &connection.shard;
    let session = Rc::new(Session {
        sid: sid.clone(),
        scope: accept.scope,
        form: match (connection.endpoint.wire, accept.recovery) {
            (Wire::Plain, _) => Form::Plain,
            (_, true) => Form::TextWithOffset,
            (_, false) => Form::Text,
        },
        namespace: Arc::clone(&namespace),
        data: accept.data,
        generation: claim.generation,
        connection: Rc::clone(connection),
        place: Cell::new(Place::Out),
        is_open: Cell::new(true),
        leaving: Cell::new(None),
        pipeline: RefCell::default(),
        acks: RefCell::default(),
        replay: RefCell::default(),
    });
    connection.unmark_left(&namespace);
    connection.unmark_alone();
    connection.sessions.borrow_mut().push(Rc::clone(&session));
    let older = shard.sessions.borrow_mut().insert(sid, Rc::clone(&session));
    if let Some(older) = older {
        // Fenced already, as far as anybody knew of it: two must never live.
        older.fence();
    }
    shard.stats.sessions.add(1);
    let mut scopes = shard.hub.borrow_mut();
    let hub = shard.scope_hub(&mut scopes, accept.scope);
    match accept.resume {
        Some(resume) => {
            shard.stats.resumed_total.add(1);
            session
                .replay
                .replace(Some(Box::new(Replay::new(resume, accept.rooms))));
            session.place.set(Place::Replaying);
            hub.expect();
        }
        None => session.join_hub(hub, &accept.rooms),
    }
    drop(scopes);
    session
}
