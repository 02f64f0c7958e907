//! Any sequence of texts and binary messages: a packet is whole when all its attachments are there.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use relais_protocol::socketio::{Decoder, Limits};

fuzz_target!(|messages: Vec<Result<&str, &[u8]>>| {
    let limits = Limits {
        attachments_bytes_max: 1_024,
        ..Limits::default()
    };
    let mut decoder = Decoder::new();
    for message in messages {
        let is_refused = match message {
            Ok(text) => match decoder.text(text, &limits) {
                Ok(Some(packet)) => {
                    assert_eq!(packet.attachments(), 0);
                    false
                }
                Ok(None) => {
                    assert!(decoder.is_mid_packet());
                    false
                }
                Err(_) => true,
            },
            Err(bytes) => match decoder.binary(Bytes::copy_from_slice(bytes), &limits) {
                Ok(Some(whole)) => {
                    let packet = whole.packet(&limits).expect("it was decoded before");
                    assert_eq!(packet.attachments(), whole.attachments.len());
                    assert!(!decoder.is_mid_packet());
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
});
