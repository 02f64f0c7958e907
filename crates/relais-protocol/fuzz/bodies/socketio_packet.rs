//! Any text: an event or acknowledgement that decodes is written back and decodes to the same.

use relais_protocol::socketio::encode::write_ack;
use relais_protocol::socketio::{Body, EventOut, Limits, Packet, Recovery};

/// The input is text.
pub fn run(input: &[u8]) {
    let text = super::text(input);
    let limits = Limits::default();
    let Ok(packet) = Packet::decode(text, &limits) else {
        return;
    };
    let mut out = Vec::new();
    match &packet.body {
        Body::Event(event) => {
            let joined: usize = event.args.iter().map(|arg| arg.get().len()).sum();
            assert!(joined <= event.args.raw().len());
            let again = EventOut {
                namespace: packet.namespace,
                name: &event.name,
                args: event.args.raw(),
                offset: None,
                id: event.id,
                attachments: event.attachments,
            };
            again.write(&mut out);
        }
        Body::Ack(ack) => write_ack(
            &mut out,
            packet.namespace,
            ack.id,
            ack.args.raw(),
            ack.attachments,
        ),
        Body::Connect(Some(auth)) => {
            let _ = Recovery::of(*auth);
            return;
        }
        Body::Connect(None) | Body::Disconnect => return,
    }
    let out = String::from_utf8(out).expect("text in, text out");
    assert_eq!(Packet::decode(&out, &limits), Ok(packet));
}
