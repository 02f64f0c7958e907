//! The Engine.IO sid: a bearer secret that also says where its connection lives.
//!
//! 128 random bits, then its number on the shard, node and shard, as base64url. It is compared and looked up, never logged: its `Debug`
//! shows only node and shard.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::chance;

const SECRET_BYTES: usize = 16;
const NODE: usize = SECRET_BYTES + 4;
const SHARD: usize = NODE + 2;
const BYTES: usize = SHARD + 2;

/// Names a connection, and its node and shard.
#[derive(Clone, Copy)]
pub(crate) struct ConnectionId([u8; BYTES]);

impl ConnectionId {
    pub(crate) fn random(node: u16, shard: u16, number: u32) -> Self {
        let mut bytes = [0; BYTES];
        bytes[..SECRET_BYTES].copy_from_slice(&chance::bytes::<SECRET_BYTES>());
        bytes[SECRET_BYTES..NODE].copy_from_slice(&number.to_be_bytes());
        bytes[NODE..SHARD].copy_from_slice(&node.to_be_bytes());
        bytes[SHARD..].copy_from_slice(&shard.to_be_bytes());
        Self(bytes)
    }

    /// Reads what [`Self::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(BYTES) => Some(Self(bytes)),
            Ok(_) | Err(_) => None,
        }
    }

    pub(crate) fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn node(self) -> u16 {
        u16::from_be_bytes([self.0[NODE], self.0[NODE + 1]])
    }

    pub(crate) fn shard(self) -> u16 {
        u16::from_be_bytes([self.0[SHARD], self.0[SHARD + 1]])
    }

    /// Its number among the connections of its shard; used again once it is gone.
    pub(crate) fn number(self) -> u32 {
        u32::from_be_bytes(*self.0[SECRET_BYTES..].first_chunk().unwrap_or(&[0; 4]))
    }

    /// A part of the secret, to tell it from whoever has its number later.
    pub(crate) fn mark(self) -> u32 {
        u32::from_be_bytes(*self.0.first_chunk().unwrap_or(&[0; 4]))
    }

    /// Whether they are the same, in the same time whatever differs.
    pub(crate) fn is(self, other: Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        pairs.fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({}/{})", self.node(), self.shard())
    }
}

/// A session's public id: 120 random bits.
pub(crate) fn session_id() -> crate::room::Sid {
    crate::room::Sid::from(URL_SAFE_NO_PAD.encode(chance::bytes::<15>()).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_place_and_hides_its_secret() {
        let id = ConnectionId::random(3, 7, 70_000);
        let text = id.to_text();
        assert!(ConnectionId::parse(&text).is_some_and(|parsed| parsed.is(id)));
        assert!(!id.is(ConnectionId::random(3, 7, 70_000)));
        assert_eq!((id.node(), id.shard(), id.number()), (3, 7, 70_000));
        assert_eq!(format!("{id:?}"), "ConnectionId(3/7)");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "abc",
            "../../etc",
            &"a".repeat(31),
            &"a".repeat(33),
            &"é".repeat(16),
        ] {
            assert!(ConnectionId::parse(text).is_none(), "{text}");
        }
    }
}
