//! A user's subscriptions to pushes, as far as the server has a word in them: its key, where a browser may take pushes, and how often one may ask.
//!
//! Goes out: the answer where that is all; else the request goes on as a command, which keeps or forgets a subscription.

use std::sync::Arc;

use relais_core::command::Actor;
use relais_core::error::{Code, Error};
use relais_core::ids::TenantKey;
use relais_core::limit::Rate;
use serde_json::{Value, json};

use super::routes::{Operation, Route};
use crate::glue::apps::Served;
use crate::http::Web;

/// How often a user may change subscriptions.
const RATE: Rate = Rate::new(30, 60_000);

/// Looks at a request about pushes.
///
/// Errors: `NOT_FOUND` (this app pushes nothing to browsers), `INVALID_PAYLOAD` (no address that may be asked), `RATE_LIMITED`.
pub fn look(
    web: &Web,
    served: &Served,
    route: &Route,
    (tenant, actor): (&TenantKey, &Actor),
    body: &Value,
) -> Result<Option<Value>, Error> {
    let Some(browsers) = &served.browsers else {
        let text = "unable to push; this app sends none to browsers";
        return Err(Error::new(Code::NotFound, text));
    };
    if route.operation == Operation::PushKey {
        return Ok(Some(json!({ "key": browsers.public_key() })));
    }
    if let Actor::User(identity) = actor {
        let (user, now) = (&identity.person.id, web.clock.now().monotonic);
        let subject: Arc<str> = route.path.into();
        served.limits.take(tenant, user, &subject, &RATE, now)?;
    }
    if route.operation == Operation::Subscribe {
        let (endpoint, key) = (&body["endpoint"], &body["keys"]["p256dh"]);
        let key = key.as_str().unwrap_or_default().trim_end_matches('=');
        let checked = browsers.check(endpoint.as_str().unwrap_or_default(), key);
        checked.map_err(|reason| {
            let text = format!("unable to take this subscription; {reason}");
            Error::new(Code::InvalidPayload, text)
        })?;
    }
    Ok(None)
}
