//! Where somebody's browsers take pushes: one's own subscriptions, kept and forgotten.
//!
//! In come commands, out go changes and answers. With a subscription the rooms are remembered that the token claims: who is away has no
//! session that would say in which rooms they are. What is pushed, to whom and when, is the server's; whether an address may be asked at all
//! it has looked at before.

use serde_json::json;

use super::{Outcome, facts};
use crate::command::{Actor, Invocation, PushCommand};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::outside::{OutsideChange, Subscription};
use crate::ports::Change;

/// Longest address.
pub const ENDPOINT_BYTES_MAX: usize = 2_048;
/// A public key of P-256, uncompressed: 65 bytes in base64url.
const P256DH_CHARS: usize = 87;
/// 16 bytes in base64url.
const AUTH_CHARS: usize = 22;

/// Keeps or forgets a subscription of the one who asks.
pub fn decide(invocation: &Invocation, asked: PushCommand) -> Result<Outcome, Error> {
    let person = super::person(invocation, "unable to take pushes")?;
    match asked {
        PushCommand::Subscribe {
            endpoint,
            p256dh,
            auth,
        } => {
            check(&endpoint, &p256dh, &auth)?;
            let at = invocation.now.wall;
            let new = Subscription {
                user: person.id.clone(),
                endpoint,
                p256dh,
                auth,
                created_at: at,
                proved_at: at,
                shown: Vec::new(),
            };
            let reply = json!({ "subscription": subscription(&new) });
            let claims = match &invocation.actor {
                Actor::User(identity) => identity.claimed_rooms.clone(),
                Actor::Backend => Vec::new(),
            };
            let remembered = Change::Remember {
                person: person.clone(),
                claims,
            };
            Ok(Outcome {
                changes: vec![remembered, Change::Outside(OutsideChange::Subscribe(new))],
                reply: facts::object(reply),
                ..Outcome::default()
            })
        }
        PushCommand::Unsubscribe { endpoint } => {
            let change = OutsideChange::Unsubscribe {
                user: person.id.clone(),
                endpoint,
            };
            Ok(Outcome {
                changes: vec![Change::Outside(change)],
                ..Outcome::default()
            })
        }
    }
}

/// What others than the server may know of a subscription: `{endpoint, createdAt}`, of the address only the push service. The rest of it
/// is all that it takes to push something to this browser.
pub fn subscription(kept: &Subscription) -> Facts {
    facts::object(json!({
        "endpoint": origin(&kept.endpoint),
        "createdAt": kept.created_at.to_string(),
    }))
}

/// `https://push.example.org` of `https://push.example.org/send/…`.
fn origin(endpoint: &str) -> &str {
    let host = endpoint.find("://").map_or(0, |at| at + 3);
    let end = endpoint[host..].find(['/', '?', '#']);
    end.map_or(endpoint, |end| &endpoint[..host + end])
}

fn check(endpoint: &str, p256dh: &str, auth: &str) -> Result<(), Error> {
    let is_key = |text: &str, chars: usize| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        text.len() == chars && text.bytes().all(plain)
    };
    let problem = if endpoint.len() > ENDPOINT_BYTES_MAX {
        "its address is over 2048 bytes"
    } else if !is_key(p256dh, P256DH_CHARS) {
        "\"keys.p256dh\" is no public key of P-256 in base64url"
    } else if !is_key(auth, AUTH_CHARS) {
        "\"keys.auth\" is not 16 bytes in base64url"
    } else {
        return Ok(());
    };
    let text = format!("unable to take this subscription; {problem}");
    Err(Error::new(Code::InvalidPayload, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_push_service_is_told() {
        for (endpoint, told) in [
            ("https://push.example/a/b?c", "https://push.example"),
            ("https://push.example:8443/a", "https://push.example:8443"),
            ("https://push.example?c=1", "https://push.example"),
            ("https://push.example", "https://push.example"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(origin(endpoint), told);
        }
    }

    #[test]
    fn keys_have_the_length_that_they_have() {
        let (key, auth) = ("B".repeat(87), "a".repeat(22));
        assert_eq!(check("https://a.example/", &key, &auth), Ok(()));
        assert!(check("https://a.example/", &key[1..], &auth).is_err());
        assert!(check("https://a.example/", &key, &"=".repeat(22)).is_err());
        assert!(check(&"a".repeat(2_049), &key, &auth).is_err());
    }
}
