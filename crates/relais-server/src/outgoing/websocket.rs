//! WebSockets that the server itself opens.
//!
//! The opening handshake is a request of the guarded client like any other, so the same addresses are refused and TLS is the same.
//! Frames are tungstenite's (without its handshake and TLS): our own reader is the server's side alone, and takes only masked frames.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use relais_protocol::websocket::accept_key;
use reqwest::Upgraded;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Outgoing, OutgoingError, reason};

/// Until the handshake is done.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

/// An open WebSocket.
pub type WebSocket = WebSocketStream<Upgraded>;

impl Outgoing {
    /// Opens a WebSocket at an http or https address, with messages of at most `bytes_max`.
    pub async fn websocket(&self, url: &str, bytes_max: usize) -> Result<WebSocket, OutgoingError> {
        let url = self.check(url)?;
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let request = self
            .client
            .get(url)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key);
        let opened = async {
            let response = request.send().await.map_err(|error| reason(&error))?;
            let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
            let is_right = accept.is_some_and(|accept| {
                accept_key(&key).is_ok_and(|wanted| accept.as_bytes() == wanted.as_bytes())
            });
            if response.status() != StatusCode::SWITCHING_PROTOCOLS || !is_right {
                return Err(format!("no WebSocket there; {}", response.status()));
            }
            response.upgrade().await.map_err(|error| reason(&error))
        };
        let opened = tokio::time::timeout(HANDSHAKE, opened).await;
        let stream = opened
            .unwrap_or_else(|_| Err("it took too long".to_owned()))
            .map_err(OutgoingError::Unreachable)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(bytes_max))
            .max_frame_size(Some(bytes_max));
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
    }
}
