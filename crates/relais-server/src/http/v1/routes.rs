//! The routes that every app has, the server-to-server API and those of a user's pushes: one table, from which requests are matched and documents are written.
//!
//! A path in it is without the app's name. What a body may be is [`Route::body`]; the documents show the very schema that is checked.

use serde_json::{Value, json};

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Emits an event.
    Publish,
    /// Writes a chat message for a user.
    SendMessage,
    /// Reads a conversation.
    Messages,
    /// Lists a room's members.
    Members,
    /// Adds one.
    AddMember,
    /// Removes one.
    RemoveMember,
    /// Who is in a room now.
    RoomOnline,
    /// Who is online.
    Presences,
    /// One user's presence.
    Presence,
    /// Puts a notification into an inbox.
    Notify,
    /// Closes a user's sessions.
    Disconnect,
    /// Mutes a user.
    Mute,
    /// Lets a user speak again.
    Unmute,
    /// Revokes a user's tokens, or one token.
    Revoke,
    /// Takes that back.
    Unrevoke,
    /// Gives out what is stored about a user.
    Export,
    /// Erases it.
    Erase,
    /// Counters.
    Stats,
    /// What browsers subscribe to pushes with.
    PushKey,
    /// Takes pushes in a browser.
    Subscribe,
    /// Takes none there any more.
    Unsubscribe,
    /// What could not be told to the backend.
    DeadLetters,
    /// Tells one of it again.
    Resend,
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Its method.
    pub method: &'static str,
    /// Its path, with `{parameters}`.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// Its name in documents.
    pub id: &'static str,
    /// In a few words.
    pub summary: &'static str,
    /// Status of the answer when all went well.
    pub status: u16,
}

const fn route(
    method: &'static str,
    path: &'static str,
    operation: Operation,
    id: &'static str,
    summary: &'static str,
) -> Route {
    let status = match operation {
        Operation::SendMessage | Operation::Notify | Operation::Subscribe => 201,
        Operation::Resend => 202,
        Operation::Disconnect
        | Operation::Unmute
        | Operation::Unrevoke
        | Operation::Unsubscribe => 204,
        _ => 200,
    };
    Route {
        method,
        path,
        operation,
        id,
        summary,
        status,
    }
}

/// All of them.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route("POST", "/v1/events", Operation::Publish, "publishEvent", "Emit an event to users, rooms, roles or everyone"),
    route("GET", "/v1/rooms/{room}/messages", Operation::Messages, "listRoomMessages", "A page of a room's messages, private ones included"),
    route("POST", "/v1/rooms/{room}/messages", Operation::SendMessage, "sendRoomMessage", "Write a message to a room on behalf of a user"),
    route("GET", "/v1/rooms/{room}/members", Operation::Members, "listMembers", "The members of a room that the server keeps"),
    route("PUT", "/v1/rooms/{room}/members/{userId}", Operation::AddMember, "addMember", "Make a user a member"),
    route("DELETE", "/v1/rooms/{room}/members/{userId}", Operation::RemoveMember, "removeMember", "Remove a member, who leaves the room at once"),
    route("GET", "/v1/rooms/{room}/online", Operation::RoomOnline, "listRoomOnline", "Who is in a room now"),
    route("GET", "/v1/direct/{userId}/{otherId}/messages", Operation::Messages, "listDirectMessages", "A page of the direct conversation of two users"),
    route("POST", "/v1/direct/{userId}/{otherId}/messages", Operation::SendMessage, "sendDirectMessage", "Write a direct message on behalf of one of the two"),
    route("GET", "/v1/presence", Operation::Presences, "listPresence", "Who is online"),
    route("GET", "/v1/users/{userId}/presence", Operation::Presence, "getPresence", "One user's presence"),
    route("POST", "/v1/users/{userId}/notifications", Operation::Notify, "sendNotification", "Put a notification into a user's inbox and send it"),
    route("DELETE", "/v1/users/{userId}/sessions", Operation::Disconnect, "closeSessions", "Close a user's connections; they may connect again"),
    route("PUT", "/v1/users/{userId}/mute", Operation::Mute, "muteUser", "Refuse whatever others would hear of"),
    route("DELETE", "/v1/users/{userId}/mute", Operation::Unmute, "unmuteUser", "Let a user speak again"),
    route("PUT", "/v1/users/{userId}/revocation", Operation::Revoke, "revokeUser", "Revoke all tokens of a user that were issued until now, and close their connections"),
    route("DELETE", "/v1/users/{userId}/revocation", Operation::Unrevoke, "unrevokeUser", "Accept those tokens again"),
    route("PUT", "/v1/tokens/{tokenId}/revocation", Operation::Revoke, "revokeToken", "Revoke the token with this `jti`, and close its connections"),
    route("DELETE", "/v1/tokens/{tokenId}/revocation", Operation::Unrevoke, "unrevokeToken", "Accept that token again"),
    route("GET", "/v1/users/{userId}/data", Operation::Export, "exportUser", "Everything that is stored about a user, one JSON object a line"),
    route("DELETE", "/v1/users/{userId}/data", Operation::Erase, "eraseUser", "Erase everything that is stored about a user"),
    route("GET", "/v1/stats", Operation::Stats, "getStats", "Counters of the tenant"),
    route("GET", "/v1/push/key", Operation::PushKey, "getPushKey", "The key with which a browser subscribes to pushes"),
    route("POST", "/v1/push/subscriptions", Operation::Subscribe, "subscribe", "Take pushes in a browser, whose subscription this is as it came"),
    route("DELETE", "/v1/push/subscriptions", Operation::Unsubscribe, "unsubscribe", "Take no pushes there any more"),
    route("GET", "/v1/dead-letters", Operation::DeadLetters, "listDeadLetters", "What could not be told to your backend and was given up, newest first"),
    route("POST", "/v1/dead-letters/{id}/resend", Operation::Resend, "resendDeadLetter", "Tell one of them again, at once"),
];

/// What a method and path lead to.
pub enum Found {
    /// A route, and its parameters: name and decoded value.
    Route(&'static Route, Vec<(&'static str, String)>),
    /// The path is known under these methods.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Finds the route of a request.
pub fn find(method: &str, path: &str) -> Found {
    let mut others = Vec::new();
    for route in ROUTES {
        match matches(route.path, path) {
            Some(parameters) if route.method == method => return Found::Route(route, parameters),
            Some(_) => others.push(route.method),
            None => {}
        }
    }
    match others.is_empty() {
        true => Found::Nothing,
        false => Found::OtherMethods(others),
    }
}

fn matches(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut given = path.split('/');
    let mut parameters = Vec::new();
    for own in pattern.split('/') {
        let given = given.next()?;
        match parameter(own) {
            Some(name) => {
                let text = relais_core::vocabulary::decode(given, false)?;
                parameters.push((
                    name,
                    Some(text.into_owned()).filter(|text| !text.is_empty())?,
                ));
            }
            None if own == given => {}
            None => return None,
        }
    }
    given.next().is_none().then_some(parameters)
}

/// The name in `{name}`.
pub fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

impl Route {
    /// Whether it is for a user, with a token; the others are for the team's backend, with an API key.
    pub fn is_for_users(&self) -> bool {
        matches!(
            self.operation,
            Operation::PushKey | Operation::Subscribe | Operation::Unsubscribe
        )
    }

    /// Query parameters: name, schema, what it is.
    pub fn query(&self) -> Vec<(&'static str, Value, &'static str)> {
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 50 });
        let seq = json!({ "type": "integer", "minimum": 0 });
        match self.operation {
            Operation::Messages => vec![
                ("before", seq.clone(), "Only messages before this `seq`"),
                ("after", seq, "Only messages after this `seq`"),
                ("channel", json!({ "type": "string" }), "Only this label"),
                ("limit", limit, "How many at most"),
            ],
            Operation::Presences => vec![
                (
                    "after",
                    json!({ "type": "string" }),
                    "Only users after this id, in the order of ids",
                ),
                ("limit", limit, "How many at most"),
            ],
            Operation::DeadLetters => vec![
                (
                    "queue",
                    json!({ "type": "string", "default": "webhook" }),
                    "Only this queue",
                ),
                (
                    "before",
                    json!({ "type": "string", "format": "uuid" }),
                    "Only letters before this id, in the order of ids",
                ),
                ("limit", limit, "How many at most"),
            ],
            _ => Vec::new(),
        }
    }

    /// What the body has to be; `None`: there is none.
    pub fn body(&self) -> Option<Value> {
        let id = json!({ "type": ["string", "integer"], "minLength": 1, "maxLength": 255 });
        let name = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        match self.operation {
            Operation::Publish => {
                let only = |key: &str, schema: &Value| object(json!({ key: schema }), json!([key]));
                let one = json!({ "oneOf": [
                    only("user", &id), only("room", &name), only("role", &name),
                    only("everyone", &json!({ "const": true })),
                ] });
                let several =
                    json!({ "type": "array", "items": one, "minItems": 1, "maxItems": 1000 });
                let properties = json!({
                    "to": { "anyOf": [one, several] },
                    "event": name,
                    "data": { "description": "The event's one argument." },
                    "volatile": { "type": "boolean", "default": false, "description": "Sent at most once, and not replayed." },
                });
                Some(object(properties, json!(["to", "event", "data"])))
            }
            Operation::SendMessage => {
                let sender = json!({ "id": id, "name": name, "role": name });
                let mut properties = json!({
                    "sender": object(sender, json!(["id"])),
                    "body": { "type": "string", "minLength": 1, "maxLength": 4000 },
                    "kind": { "type": "string", "minLength": 1, "maxLength": 64, "default": "text" },
                    "channel": name,
                    "key": { "type": "string", "minLength": 1, "maxLength": 255, "description": "Sent again with the same key, it is the same message." },
                    "replyTo": { "type": "string", "format": "uuid" },
                });
                if self.path.contains("{room}") {
                    properties["recipient"] = id;
                }
                Some(object(properties, json!(["sender", "body"])))
            }
            Operation::Notify => {
                let properties = json!({
                    "title": { "type": "string", "maxLength": 255 },
                    "message": { "type": "string", "maxLength": 4000 },
                    "type": name,
                    "data": {},
                });
                Some(object(properties, json!(["title", "message"])))
            }
            Operation::Mute | Operation::Revoke => {
                let seconds = json!({ "type": "integer", "minimum": 1, "maximum": 3_153_600_000_u64, "description": "For so long; without it until it is lifted." });
                Some(object(json!({ "seconds": seconds }), json!([])))
            }
            Operation::Subscribe => {
                let text = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
                let keys = json!({ "type": "object", "properties": { "p256dh": text, "auth": text }, "required": ["p256dh", "auth"] });
                Some(json!({
                    "type": "object", "required": ["endpoint", "keys"],
                    "properties": { "endpoint": endpoint(), "expirationTime": { "type": ["number", "null"] }, "keys": keys },
                    "description": "`PushSubscription` as the browser's `toJSON` gives it.",
                }))
            }
            Operation::Unsubscribe => Some(
                json!({ "type": "object", "required": ["endpoint"], "properties": { "endpoint": endpoint() } }),
            ),
            _ => None,
        }
    }

    /// Whether a request may come without the body.
    pub fn body_is_optional(&self) -> bool {
        matches!(self.operation, Operation::Mute | Operation::Revoke)
    }

    /// What the answer is; `None`: nothing.
    pub fn answer(&self) -> Option<Value> {
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let object = |properties: Value| {
            let required: Vec<&String> = properties
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys())
                .collect();
            json!({ "type": "object", "properties": properties, "required": required })
        };
        let list = |items: Value| json!({ "type": "array", "items": items });
        let (integer, boolean, text) = (
            json!({ "type": "integer" }),
            json!({ "type": "boolean" }),
            json!({ "type": "string" }),
        );
        let id = reference("UserId");
        Some(match self.operation {
            Operation::Publish => object(json!({ "recipients": integer, "online": boolean })),
            Operation::SendMessage => object(json!({ "message": reference("Message") })),
            Operation::Messages => {
                object(json!({ "messages": list(reference("Message")), "hasMore": boolean }))
            }
            Operation::Members => {
                let member = object(json!({ "userId": id, "addedAt": reference("Time") }));
                object(json!({ "room": text, "members": list(member) }))
            }
            Operation::AddMember | Operation::RemoveMember => {
                object(json!({ "room": text, "userId": id }))
            }
            Operation::RoomOnline => object(
                json!({ "room": text, "users": list(reference("Someone")), "count": integer }),
            ),
            Operation::Presences => {
                object(json!({ "users": list(reference("Someone")), "hasMore": boolean }))
            }
            Operation::Presence => reference("Presence"),
            Operation::Notify => object(json!({ "notification": { "type": "object" } })),
            Operation::Mute | Operation::Revoke => {
                json!({ "type": "object", "properties": { "until": reference("Time") } })
            }
            Operation::Export => reference("ExportLine"),
            Operation::Erase => {
                let counts = ["messages", "records", "memberships", "items", "assignments"];
                let counts = counts.map(|name| (name.to_owned(), integer.clone()));
                object(Value::Object(counts.into_iter().collect()))
            }
            Operation::Stats => json!({ "type": "object", "additionalProperties": integer }),
            Operation::PushKey => object(json!({ "key": text })),
            Operation::Subscribe => {
                let one = object(json!({ "endpoint": text, "createdAt": reference("Time") }));
                object(json!({ "subscription": one }))
            }
            Operation::DeadLetters => {
                object(json!({ "deadLetters": list(reference("DeadLetter")), "hasMore": boolean }))
            }
            Operation::Resend => reference("DeadLetter"),
            Operation::Disconnect
            | Operation::Unmute
            | Operation::Unrevoke
            | Operation::Unsubscribe => return None,
        })
    }
}

/// The address of a push service for one browser.
fn endpoint() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 2048 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_route_with_its_parameters_decoded() {
        let Found::Route(route, parameters) = find("PUT", "/v1/rooms/bam%2F1/members/%C3%A4")
        else {
            panic!("no route");
        };
        assert_eq!(route.id, "addMember");
        assert_eq!(
            parameters,
            [("room", "bam/1".to_owned()), ("userId", "ä".to_owned())]
        );
        assert!(matches!(find("GET", "/v1/rooms//members"), Found::Nothing));
        assert!(matches!(find("GET", "/v1/nothing"), Found::Nothing));
        let Found::OtherMethods(methods) = find("PATCH", "/v1/users/a/mute") else {
            panic!("no methods");
        };
        assert_eq!(methods, ["PUT", "DELETE"]);
    }

    #[test]
    fn every_body_is_a_schema_and_every_name_is_there_once() {
        let mut ids: Vec<&str> = ROUTES.iter().map(|route| route.id).collect();
        for route in ROUTES {
            if let Some(schema) = route.body() {
                relais_core::vocabulary::BodySchema::new(&schema).expect(route.id);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ROUTES.len());
    }
}
