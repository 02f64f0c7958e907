//! Any polling body: what decodes is written back and decodes to the same.

use relais_protocol::engineio::{
    EngineError, PacketType, Payload, PayloadLimits, PayloadPacket, PayloadWriter,
};

const LIMITS: PayloadLimits = PayloadLimits {
    payload_bytes_max: 65_536,
    packets_max: 64,
};

#[derive(Debug, PartialEq)]
enum Owned {
    Text(PacketType, String),
    Binary(Vec<u8>),
}

/// The input is a body.
pub fn run(body: &[u8]) {
    let Ok(packets) = decode(body) else {
        return;
    };
    let mut out = Vec::new();
    let mut writer = PayloadWriter::new(&mut out);
    for packet in &packets {
        match packet {
            Owned::Text(kind, data) => writer.packet(*kind, data),
            Owned::Binary(data) => writer.binary(data),
        }
    }
    // Padding may have been added, so the body may be longer than the limit by a little.
    if out.len() <= LIMITS.payload_bytes_max {
        assert_eq!(decode(&out), Ok(packets));
    }
}

fn decode(body: &[u8]) -> Result<Vec<Owned>, EngineError> {
    let packets = Payload::decode(body, &LIMITS)?;
    let packets = packets.map(|packet| match packet? {
        PayloadPacket::Text(packet) => Ok(Owned::Text(packet.kind, packet.data.to_owned())),
        PayloadPacket::Binary(base64) => base64.decode().map(Owned::Binary),
    });
    packets.collect()
}
