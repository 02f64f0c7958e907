//! One app's own backend: requests to it, one after the other judged by whether it is there, and the questions that are asked of it.
//!
//! Comes in: something to tell, somebody who wants to join, an event that may be refused or added to. Goes out: a signed request, and what
//! the answer means. Everything is bounded: requests at once, the time of each, the size of answers. No answer is never a yes. Runs on the
//! runtime of HTTP, never on a shard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use relais_core::error::{Code, Error};
use relais_core::event::Person;
use relais_core::ids::{Monotonic, RoomKey, TenantKey, UserId};
use relais_core::ports::Doorman;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Address, Told};
use crate::clock::Clock;
use crate::outgoing::{Ask, Outgoing};

/// Questions at once.
const ASKED_AT_ONCE: usize = 64;
/// Until a question is answered, the wait for its turn included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Until something told is taken.
const TELL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// What a refused client hears at most.
const REASON_CHARS_MAX: usize = 200;
/// How long somebody who was let in may come again without being asked for.
const LET_IN_MS: u64 = 60_000;
/// Those who are remembered for it.
const LET_IN_MAX: usize = 20_000;
/// Longest pause after a backend did not answer.
const PAUSE_MS_MAX: u64 = 30_000;

/// The backend of one app.
pub struct Backend {
    address: Address,
    outgoing: Outgoing,
    runtime: Handle,
    clock: Clock,
    asking: Semaphore,
    let_in: Mutex<HashMap<Guest, Monotonic>>,
    absence: Mutex<Absence>,
}

type Guest = (TenantKey, RoomKey, UserId);

/// How often in a row it was not there, and until when it is left alone.
#[derive(Clone, Copy, Default)]
struct Absence {
    times: u32,
    until: Option<Monotonic>,
}

/// What the backend says of a question.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Yes, with these over the payload.
    Yes(Map<String, Value>),
    /// No, and perhaps why.
    No(Option<String>),
}

impl Backend {
    /// The backend at an address. Nothing is asked yet.
    pub fn new(address: Address, outgoing: Outgoing, runtime: Handle, clock: Clock) -> Self {
        Self {
            address,
            outgoing,
            runtime,
            clock,
            asking: Semaphore::new(ASKED_AT_ONCE),
            let_in: Mutex::default(),
            absence: Mutex::default(),
        }
    }

    /// Tells it something under an id. 2xx: it is told.
    pub async fn tell(&self, id: &str, body: &Map<String, Value>) -> Told {
        if self.pauses_until().is_some() {
            return Told::NotNow;
        }
        match self.post(id, body, TELL_TIMEOUT).await {
            Ok((status, _)) if status.is_success() => Told::Done(Vec::new()),
            Ok((StatusCode::GONE, _)) => Told::Never("answered 410".to_owned()),
            Ok((status, _)) => Told::Later(format!("answered {}", status.as_u16()), None),
            Err(reason) => Told::Later(reason, None),
        }
    }

    /// Until when there is no sense in telling it anything.
    pub fn pauses_until(&self) -> Option<Monotonic> {
        let now = self.clock.now().monotonic;
        held(&self.absence).until.filter(|until| now < *until)
    }

    /// Asks it something of this type.
    ///
    /// Errors: `UNAVAILABLE` where it gives no answer that can be read.
    pub async fn ask(self: &Arc<Self>, kind: &'static str, data: Value) -> Result<Answer, Error> {
        let backend = self.clone();
        let asked = self.runtime.spawn(async move {
            tokio::time::timeout(ANSWER_TIMEOUT, backend.answer(kind, data)).await
        });
        let reason = match asked.await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(reason))) => reason,
            Ok(Err(_)) => "it took too long".to_owned(),
            Err(error) => error.to_string(),
        };
        metrics::counter!("relais_webhook_unanswered_total").increment(1);
        tracing::warn!(kind, reason, "unable to ask the backend");
        let text = "unable to ask the backend of this app; it gave no answer";
        Err(Error {
            retry_after_ms: Some(1_000),
            ..Error::new(Code::Unavailable, text)
        })
    }

    async fn answer(&self, kind: &str, data: Value) -> Result<Answer, String> {
        let _turn = self
            .asking
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let now = self.clock.now().wall;
        let body = json!({ "type": kind, "timestamp": now.to_string(), "data": data });
        let Value::Object(body) = body else {
            return Err("no question".to_owned());
        };
        let id = format!("msg_{}", self.clock.new_id().0.simple());
        let (status, answer) = self.post(&id, &body, ANSWER_TIMEOUT).await?;
        if !status.is_success() {
            return Err(format!("answered {}", status.as_u16()));
        }
        understood(&answer).ok_or_else(|| "its answer has no `allow`".to_owned())
    }

    async fn post(
        &self,
        id: &str,
        body: &Map<String, Value>,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        let seconds = self.clock.now().wall.0 / 1_000;
        let ask = Ask {
            method: Method::POST,
            url: &self.address.url,
            headers: self.address.headers(id, seconds, &body),
            body: body.into(),
            timeout,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let answered = self.outgoing.ask(ask).await;
        let is_there = match &answered {
            Ok(answer) => !matches!(answer.status.as_u16(), 429 | 502..=504),
            Err(_) => false,
        };
        self.noted(is_there);
        let answer = answered.map_err(|error| error.to_string())?;
        Ok((answer.status, answer.body))
    }

    fn noted(&self, is_there: bool) {
        let mut absence = held(&self.absence);
        if is_there {
            *absence = Absence::default();
            return;
        }
        let now = self.clock.now().monotonic;
        // Those that were under way together failed together, and count as one.
        if absence.until.is_none_or(|until| until <= now) {
            let pause = (1_000_u64 << absence.times.min(10)).min(PAUSE_MS_MAX);
            absence.until = Some(now.plus(pause));
            absence.times = absence.times.saturating_add(1);
        }
    }

    fn was_let_in(&self, guest: &Guest) -> bool {
        let now = self.clock.now().monotonic;
        held(&self.let_in)
            .get(guest)
            .is_some_and(|until| now < *until)
    }

    fn let_in(&self, guest: Guest) {
        let now = self.clock.now().monotonic;
        let mut let_in = held(&self.let_in);
        if let_in.len() >= LET_IN_MAX {
            let_in.retain(|_, until| now < *until);
        }
        if let_in.len() < LET_IN_MAX {
            let_in.insert(guest, now.plus(LET_IN_MS));
        }
    }
}

/// A backend as the one who says who may join.
pub struct Door(pub Arc<Backend>);

#[async_trait]
impl Doorman for Door {
    async fn may_join(
        &self,
        tenant: &TenantKey,
        room: &RoomKey,
        person: &Person,
    ) -> Result<bool, Error> {
        let guest = (tenant.clone(), room.clone(), person.id.clone());
        if self.0.was_let_in(&guest) {
            return Ok(true);
        }
        let data = json!({
            "app": &*tenant.app,
            "tenant": &*tenant.tenant,
            "room": { "kind": &*room.kind, "id": &*room.id },
            "user": person,
        });
        match self.0.ask("room.join", data).await? {
            Answer::Yes(_) => {
                self.0.let_in(guest);
                Ok(true)
            }
            Answer::No(None) => Ok(false),
            Answer::No(Some(reason)) => Err(Error::new(
                Code::NotAMember,
                format!("unable to join room; {reason}"),
            )),
        }
    }
}

/// `{"allow": true, "payload"?: {…}}`, or `{"allow": false, "reason"?: "…"}` (also `message`).
fn understood(answer: &[u8]) -> Option<Answer> {
    let answer: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    if answer.get("allow")?.as_bool()? {
        return match answer.get("payload") {
            None | Some(Value::Null) => Some(Answer::Yes(Map::new())),
            Some(Value::Object(payload)) => Some(Answer::Yes(payload.clone())),
            Some(_) => None,
        };
    }
    let text = ["message", "reason"]
        .into_iter()
        .find_map(|key| answer.get(key)?.as_str());
    let said = |text: &str| -> String {
        let printable = text.chars().filter(|c| !c.is_control());
        printable.take(REASON_CHARS_MAX).collect()
    };
    Some(Answer::No(text.map(said).filter(|text| !text.is_empty())))
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let yes = |payload: Value| {
            Some(Answer::Yes(
                payload.as_object().cloned().unwrap_or_default(),
            ))
        };
        let no = |text: Option<&str>| Some(Answer::No(text.map(str::to_owned)));
        for (answer, expected) in [
            (r#"{"allow":true}"#, yes(json!({}))),
            (r#"{"allow":true,"payload":{"a":1}}"#, yes(json!({"a": 1}))),
            (r#"{"allow":false}"#, no(None)),
            (
                r#"{"allow":false,"reason":"not\u0007 paid"}"#,
                no(Some("not paid")),
            ),
            (
                r#"{"allow":false,"message":"no","payload":{}}"#,
                no(Some("no")),
            ),
            (r#"{"allow":"true"}"#, None),
            (r#"{"allow":1}"#, None),
            (r#"{"allow":true,"payload":[]}"#, None),
            ("{}", None),
            ("true", None),
            ("", None),
        ] {
            assert_eq!(understood(answer.as_bytes()), expected, "{answer}");
        }
    }
}
