//! The server that the benchmark loads: `relay PORT [SHARDS]`.
//!
//! Client events: `join` with a room enters it; `pub` with a room and a payload sends `msg` with that payload to the room; `echo`
//! with a payload acks it. No log, no recovery.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use relais_engine::{
    Accept, AcceptLimits, Connect, Delivery, EngineHandle, Event, Flow, Listener, LocalFuture,
    NoLog, OutEvent, Refuse, Reply, Room, Scope, Service, Settings, Socket, serve_endpoints,
};
use serde_json::value::RawValue;

const SCOPE: Scope = Scope(0);

struct Relay {
    msg: Arc<str>,
}

impl Service for Relay {
    type Data = ();

    fn connect(self: &Arc<Self>, _connect: Connect) -> LocalFuture<Result<Accept<()>, Refuse>> {
        Box::pin(async { Ok(Accept::fresh(SCOPE, ())) })
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        match event.name {
            "join" => {
                let room: String = serde_json::from_str(event.args).unwrap_or_default();
                socket.join(&Room::from(room.as_str()));
                Flow::Reply(Reply::default())
            }
            "pub" => {
                if let Some((room, payload)) = room_and_payload(event.args) {
                    let event = OutEvent::to_room(room, Arc::clone(&self.msg), payload);
                    socket.publish(Arc::new(Delivery::event(SCOPE, event)));
                }
                Flow::Reply(Reply::default())
            }
            "echo" => Flow::Reply(Reply {
                args: Bytes::copy_from_slice(event.args.as_bytes()),
                attachments: event.attachments.to_vec(),
            }),
            _ => Flow::Done,
        }
    }
}

/// The first argument as a room, and the raw JSON of the rest.
fn room_and_payload(args: &str) -> Option<(Room, Bytes)> {
    let mut values = serde_json::Deserializer::from_str(args).into_iter::<&RawValue>();
    let room = values.next()?.ok()?;
    let room: std::borrow::Cow<'_, str> = serde_json::from_str(room.get()).ok()?;
    let rest = args.get(values.byte_offset()..)?.trim_start();
    let payload = rest.strip_prefix(',')?;
    Some((
        Room::from(room.as_ref()),
        Bytes::copy_from_slice(payload.as_bytes()),
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().ok_or("usage: relay PORT [SHARDS]")?.parse()?;
    let mut settings = Settings::default();
    if let Some(shards) = args.next() {
        settings.shards = shards.parse()?;
    }
    let service = Arc::new(Relay {
        msg: Arc::from("msg"),
    });
    let engine = EngineHandle::start(settings, service, Arc::new(NoLog))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = Listener::bind(address)?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let limits = AcceptLimits::default();
    serve_endpoints(engine, listener, limits, stop, |_| Some(0.into())).await?;
    Ok(())
}
