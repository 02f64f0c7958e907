//! How a WebSocket ends: who says what last, and that nothing of it is lost on the way.

#![allow(clippy::unwrap_used)]

mod harness;

use std::time::Duration;

use harness::{Client, Incoming, Server, settings};
use tokio::io::AsyncWriteExt;

/// A server that waits for its clients' close frames as good as for ever: what ends sooner, ends for another reason.
async fn patient_server() -> Server {
    let mut patient = settings(1);
    patient.close_timeout = Duration::from_secs(3600);
    patient.outbox_bytes_max = 64 * 1024 * 1024;
    Server::start(patient).await
}

#[tokio::test]
async fn after_a_broken_frame_the_server_says_why_and_ends_the_stream_itself() {
    let server = patient_server().await;
    for path in ["/raw", "/socket.io/?EIO=4&transport=websocket"] {
        let mut client = Client::open(server.address, path).await;
        // An opcode that does not exist, and behind it more than the server reads at once: whoever drops a socket with unread bytes
        // resets it, and the close frame is lost on the way.
        client.send_frame(0x83, b"").await;
        client.stream.write_all(&[0; 300_000]).await.unwrap();
        assert_eq!(client.closed().await, Some(1002), "{path}");
        assert_eq!(client.next().await, Incoming::Lost, "{path}");
    }
    while server.engine.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_waits_for_a_slow_reader_is_written_before_the_answer_to_its_close() {
    let server = patient_server().await;
    let mut client = Client::open(server.address, "/raw").await;
    // More than both kernels hold for a reader that does not read.
    let message = vec![0x5a; 1_000_000];
    for _ in 0..40 {
        client.send_frame(0x82, &message).await;
    }
    client.send_frame(0x88, &1000u16.to_be_bytes()).await;
    for number in 0..40 {
        let Incoming::Binary(back) = client.next().await else {
            panic!("message {number} is lost");
        };
        assert_eq!(back.len(), message.len());
    }
    assert_eq!(client.next().await, Incoming::Close(Some(1000)));
    assert_eq!(client.next().await, Incoming::Lost);
}

#[tokio::test]
async fn a_close_packet_over_a_websocket_is_answered_with_a_close_frame() {
    let server = patient_server().await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send("1").await;
    assert_eq!(client.closed().await, Some(1000));
    client.send_frame(0x88, &1000u16.to_be_bytes()).await;
    assert_eq!(client.next().await, Incoming::Lost);
    server.service.noted("disconnected s0 TransportLost").await;
}
