//! The `pid` of connection state recovery: a signed token that describes a session, so that CONNECT writes nothing to disk and a
//! session outlives the process.
//!
//! It is no credential: a resume always proves its JWT again, and a pid of another user, tenant or app is as good as none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use relais_core::ids::{Epoch, SessionId, TenantKey, UserId};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Longest pid that is looked at, in bytes.
const PID_BYTES_MAX: usize = 2_048;

/// What a pid says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pid {
    /// The session.
    #[serde(rename = "s")]
    pub session: SessionId,
    /// App and tenant.
    #[serde(rename = "t")]
    pub tenant: TenantKey,
    /// Whose session.
    #[serde(rename = "u")]
    pub user: UserId,
    /// In which life of the log it began, where the client's own mark does not say it: plain JSON counts positions alone.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// Signs and reads pids.
pub struct PidKey {
    mac: Hmac<Sha256>,
}

impl PidKey {
    /// A key derived from the server's secret: all nodes that share the secret read each other's pids.
    pub fn derive(secret: &str) -> Self {
        let mut derived = keyed(secret.as_bytes());
        derived.update(b"relais connection state recovery 1");
        Self {
            mac: keyed(&derived.finalize().into_bytes()),
        }
    }

    /// The pid as text.
    pub fn sign(&self, pid: &Pid) -> String {
        let body = serde_json::to_vec(pid).unwrap_or_default();
        let tag = self.mac.clone().chain_update(&body).finalize().into_bytes();
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&body),
            URL_SAFE_NO_PAD.encode(tag)
        )
    }

    /// What a pid says, if it is one of ours.
    pub fn read(&self, text: &str) -> Option<Pid> {
        if text.len() > PID_BYTES_MAX {
            return None;
        }
        let (body, tag) = text.split_once('.')?;
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.mac
            .clone()
            .chain_update(&body)
            .verify_slice(&tag)
            .ok()?;
        serde_json::from_slice(&body).ok()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_read_as_it_was_signed_and_any_change_makes_it_worthless() {
        let key = PidKey::derive("a-test-secret-of-more-than-thirty-two-bytes");
        let pid = Pid {
            session: SessionId("s1".into()),
            tenant: TenantKey::new("bam", "t.1"),
            user: UserId::text("alice"),
            epoch: None,
        };
        let text = key.sign(&pid);
        assert_eq!(key.read(&text), Some(pid));
        assert_eq!(PidKey::derive("another").read(&text), None);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                key.read(std::str::from_utf8(&changed).expect("ascii")),
                None,
                "byte {at}"
            );
        }
        for rubbish in ["", ".", "a.b", "e30.e30", &"x".repeat(5_000)] {
            assert_eq!(key.read(rubbish), None);
        }
    }
}
