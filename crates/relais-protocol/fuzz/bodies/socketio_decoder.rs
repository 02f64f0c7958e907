//! Any sequence of texts and binary messages: a packet is whole when all its attachments are there.

use bytes::Bytes;
use relais_protocol::socketio::{Decoder, Limits};

/// Messages separated by 0x1e: one that begins with `b` is binary, others are text.
pub fn run(input: &[u8]) {
    let limits = Limits {
        attachments_bytes_max: 1_024,
        ..Limits::default()
    };
    let mut decoder = Decoder::new();
    for message in input.split(|byte| *byte == 0x1e) {
        let is_refused = match message.strip_prefix(b"b") {
            None => match decoder.text(super::text(message), &limits) {
                Ok(Some(packet)) => {
                    assert_eq!(packet.attachments(), 0);
                    false
                }
                Ok(None) => false,
                Err(_) => true,
            },
            Some(bytes) => match decoder.binary(Bytes::copy_from_slice(bytes), &limits) {
                Ok(Some(whole)) => {
                    let packet = whole.packet(&limits).expect("it was decoded before");
                    assert_eq!(packet.attachments(), whole.attachments.len());
                    false
                }
                Ok(None) => false,
                Err(_) => true,
            },
        };
        if is_refused {
            return;
        }
    }
}
