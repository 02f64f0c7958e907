//! A chat in sixty lines: `chat [PORT]`. Clients emit `join` with a name, then `say` with a text; everyone gets `said`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use relais_engine::{
    Accept, AcceptLimits, Connect, Delivery, EngineHandle, Event, Flow, Listener, LocalFuture,
    NoLog, OutEvent, Reason, Refuse, Reply, Room, Scope, Service, Settings, Socket,
    serve_endpoints,
};
use serde_json::json;

const SCOPE: Scope = Scope(0);

struct Chat;

impl Chat {
    fn tell(socket: &Socket<Self>, event: &str, data: &serde_json::Value) {
        let event = OutEvent::to_room(Room::from("lobby"), event, data.to_string());
        socket.publish(Arc::new(Delivery::event(SCOPE, event)));
    }
}

impl Service for Chat {
    /// The name that the client has taken.
    type Data = RefCell<String>;

    fn connect(
        self: &Arc<Self>,
        _connect: Connect,
    ) -> LocalFuture<Result<Accept<Self::Data>, Refuse>> {
        Box::pin(async { Ok(Accept::fresh(SCOPE, RefCell::default())) })
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        let Ok(text) = serde_json::from_str::<String>(event.args) else {
            return Flow::Reply(Reply::json(r#"{"error":"one string is expected"}"#));
        };
        match event.name {
            "join" => {
                socket.data().replace(text);
                socket.join(&Room::from("lobby"));
                Self::tell(
                    socket,
                    "joined",
                    &json!({ "name": &*socket.data().borrow() }),
                );
            }
            "say" => {
                let data = json!({ "name": &*socket.data().borrow(), "text": text });
                Self::tell(socket, "said", &data);
            }
            _ => return Flow::Done,
        }
        Flow::Reply(Reply::json("true"))
    }

    fn disconnected(self: &Arc<Self>, socket: &Socket<Self>, _reason: Reason) {
        Self::tell(socket, "left", &json!({ "name": &*socket.data().borrow() }));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 3000,
    };
    let engine = EngineHandle::start(Settings::default(), Arc::new(Chat), Arc::new(NoLog))?;
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let limits = AcceptLimits::default();
    serve_endpoints(engine, listener, limits, stop, |_| Some(0.into())).await?;
    Ok(())
}
