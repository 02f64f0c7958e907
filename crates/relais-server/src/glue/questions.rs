//! What the team's own backend is asked before a client's event or request becomes a command, and what it makes of the payload.
//!
//! In goes a payload that nobody has validated yet; out comes the payload that is validated next, the backend's fields over the client's, or a
//! refusal. Who sends, from which session, at which time: none of it is in a payload, so nobody's answer can change it.

use relais_core::command::Actor;
use relais_core::error::{Code, Error};
use relais_core::ids::TenantKey;
use serde_json::{Map, Value, json};

use relais_core::vocabulary::Question;

use super::apps::Served;
use crate::outside::Answer;

/// Who asks for something, and where.
#[derive(Clone, Copy)]
pub struct From<'q> {
    /// Whose tenant.
    pub tenant: &'q TenantKey,
    /// Who.
    pub actor: &'q Actor,
}

/// The payload as the backend wants it.
///
/// Errors: `FORBIDDEN` with the backend's words, `UNAVAILABLE` where it does not answer.
pub async fn ask(
    served: &Served,
    from: From<'_>,
    question: Question,
) -> Result<Map<String, Value>, Error> {
    let Some(backend) = &served.backend else {
        let text = "unable to ask the backend of this app; this server knows none";
        return Err(Error::new(Code::Unavailable, text));
    };
    let user = match from.actor {
        Actor::User(identity) => json!(identity.person),
        Actor::Backend => Value::Null,
    };
    let mut data = json!({
        "app": &*from.tenant.app,
        "tenant": &*from.tenant.tenant,
        "event": &*question.subject,
        "user": user,
        "payload": &question.payload,
    });
    if !question.parameters.is_empty() {
        data["parameters"] = question.parameters.into();
    }
    match backend.ask("event.ask", data).await? {
        Answer::Yes(over) => {
            let mut payload = question.payload;
            payload.extend(over);
            Ok(payload)
        }
        Answer::No(message) => {
            let reason = message
                .as_deref()
                .unwrap_or("the backend of this app refuses it");
            let text = format!("unable to take \"{}\"; {reason}", question.subject);
            Err(Error::new(Code::Forbidden, text))
        }
    }
}
