//! The bodies of the fuzz targets, each a function of any bytes. The targets call them, and so does a test with the corpus of each,
//! so that the two cannot drift apart.

pub mod engineio_payload;
pub mod engineio_query;
pub mod json_scanner;
pub mod plain_request;
pub mod socketio_decoder;
pub mod socketio_packet;
pub mod websocket_reader;

/// The text at the beginning of the input.
fn text(input: &[u8]) -> &str {
    match std::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&input[..error.valid_up_to()]).unwrap_or_default(),
    }
}
