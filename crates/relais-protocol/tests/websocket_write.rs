//! The bytes of the frames that a server sends.

use proptest::prelude::*;
use relais_protocol::websocket::write::{
    header_len, write_close, write_close_empty, write_frame, write_header, write_ping, write_pong,
};
use relais_protocol::websocket::{CloseCode, Opcode};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

#[test]
fn frames_are_those_of_the_rfc() {
    assert_eq!(
        written(|out| write_frame(out, Opcode::Text, b"Hello")),
        b"\x81\x05Hello"
    );
    assert_eq!(
        written(|out| write_frame(out, Opcode::Binary, &[7; 256]))[..4],
        [0x82, 0x7e, 0x01, 0x00]
    );
    assert_eq!(
        written(|out| write_frame(out, Opcode::Binary, &[7; 65_536]))[..10],
        [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
    );
    assert_eq!(written(|out| write_ping(out, b"Hello")), b"\x89\x05Hello");
    assert_eq!(written(|out| write_pong(out, b"Hello")), b"\x8a\x05Hello");
    assert_eq!(written(write_close_empty), b"\x88\x00");
    assert_eq!(
        written(|out| write_close(out, CloseCode::SLOW_CONSUMER, "slow consumer")),
        b"\x88\x0f\x0f\xa8slow consumer"
    );
    assert_eq!(
        written(|out| write_close(out, CloseCode::RESTART, "")),
        b"\x88\x02\x03\xf4"
    );
}

#[test]
fn a_long_close_reason_is_cut_between_two_characters() {
    let reason = format!("{}é", "x".repeat(122));
    let frame = written(|out| write_close(out, CloseCode::POLICY, &reason));
    assert_eq!(frame.len(), 2 + 2 + 122);
    assert!(std::str::from_utf8(&frame[4..]).is_ok());
}

proptest! {
    #[test]
    fn a_header_is_as_long_as_announced_and_names_its_payload(
        bytes in prop_oneof![0..200usize, 65_500..65_600usize, any::<u32>().prop_map(|n| n as usize)],
    ) {
        let header = written(|out| write_header(out, Opcode::Text, bytes));
        prop_assert_eq!(header.len(), header_len(bytes));
        let length = match header[1] {
            126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
            127 => u64::from_be_bytes(header[2..].try_into().unwrap()),
            short => u64::from(short),
        };
        prop_assert_eq!(length, bytes as u64);
    }
}
