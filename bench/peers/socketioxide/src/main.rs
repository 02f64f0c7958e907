//! The benchmark's server contract (`join`, `pub`, `echo`) on socketioxide behind axum, set up as its documentation shows.
//!
//! In: the port as the only argument. Out: a Socket.IO v5 server on that port of the loopback address. Everything is left at
//! its default; there is no tuning here that a user would not find on the library's first page.

use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

async fn join(socket: SocketRef, Data(room): Data<String>) {
    socket.join(room);
}

async fn publish(io: SocketIo, Data((room, payload)): Data<(String, serde_json::Value)>) {
    io.to(room).emit("msg", &payload).await.ok();
}

async fn echo(Data(payload): Data<serde_json::Value>, ack: AckSender) {
    ack.send(&payload).ok();
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: PORT")?.parse()?;
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("join", join);
        socket.on("pub", publish);
        socket.on("echo", echo);
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}
