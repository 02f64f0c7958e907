//! Tokens: an HS256 JWT signed here, or the output of a command.
//!
//! In: a user and the rooms that it may join. Out: the token. It does not check tokens, and it is no JWT library: names
//! and rooms are the generator's own, plain ASCII.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::LoadError;

const LIFETIME_SECONDS: u64 = 3600;

/// Where tokens come from.
pub enum TokenSource {
    /// Signed by the generator with this secret.
    Secret(String),
    /// Printed by this command, run by `sh -c` with `USER_ID` and `ROOM` in its environment.
    Command(String),
}

impl TokenSource {
    /// A token for `user`, with `room` in its `bams`.
    pub fn token(&self, user: &str, room: &str) -> Result<String, LoadError> {
        match self {
            Self::Secret(secret) => Ok(signed(secret, user, room)),
            Self::Command(command) => printed(command, user, room),
        }
    }
}

/// A token for `user` with `room` in its `bams`, good for an hour.
pub fn signed(secret: &str, user: &str, room: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let claims = format!(
        r#"{{"sub":"{user}","name":"{user}","bams":["{room}"],"iat":{now},"exp":{}}}"#,
        now + LIFETIME_SECONDS
    );
    let body = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body.as_bytes());
    format!(
        "{body}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}

fn printed(command: &str, user: &str, room: &str) -> Result<String, LoadError> {
    let failed = |reason: String| LoadError::Process {
        what: command.to_owned(),
        reason,
    };
    let output = Command::new("sh")
        .args(["-c", command])
        .env("USER_ID", user)
        .env("ROOM", room)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let token = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || token.is_empty() {
        return Err(failed(format!("printed no token ({})", output.status)));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_token_has_three_parts_and_the_claims_that_the_server_reads() {
        let token = signed("secret", "bench-1", "room-2");
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert!(
            claims.starts_with(r#"{"sub":"bench-1","name":"bench-1","bams":["room-2"],"iat":"#),
            "{claims}"
        );
    }

    #[test]
    fn a_command_gets_user_and_room() {
        let source = TokenSource::Command("echo $USER_ID.$ROOM".to_owned());
        assert_eq!(source.token("u", "r").unwrap(), "u.r");
        assert!(
            TokenSource::Command("exit 1".to_owned())
                .token("u", "r")
                .is_err()
        );
    }
}
