//! Dead letters: what could not be told to the world outside and was given up; listed, and sent again by hand.
//!
//! Sending again is carried out by the follower whose letter it is; here it is only made due.

use relais_core::error::{Code, Error};
use relais_core::ids::{Id, TenantKey};
use relais_core::outside::{Errand, OutsideChange, Which};
use serde_json::{Value, json};

use crate::http::Web;
use crate::outside::Webhooks;

/// Letters of a page, unless it is said otherwise.
const PAGE: u32 = 50;

/// Which letters.
pub struct Wanted {
    /// Of which queue; `None`: the webhooks'.
    pub queue: Option<String>,
    /// Only those before this id, in the order of ids.
    pub before: Option<Id>,
    /// 1 to 100; 0: as many as usual.
    pub limit: u32,
}

/// `{deadLetters, hasMore}`, newest first.
pub async fn list(web: &Web, tenant: &TenantKey, wanted: Wanted) -> Result<Value, Error> {
    let limit = match wanted.limit {
        0 => PAGE,
        limit => limit,
    };
    let queue = wanted.queue.as_deref().unwrap_or(Webhooks::QUEUE);
    let page = async |before, limit| {
        let found = web
            .outside
            .0
            .errands(tenant, queue, Which::Dead { before }, limit);
        found.await.map_err(unavailable)
    };
    let found = page(wanted.before, limit).await?;
    let has_more = match found.last() {
        Some(last) if found.len() == limit as usize => !page(Some(last.id), 1).await?.is_empty(),
        _ => false,
    };
    let letters: Vec<Value> = found.iter().map(letter).collect();
    Ok(json!({ "deadLetters": letters, "hasMore": has_more }))
}

/// The letter, which is tried again from the beginning.
pub async fn resend(web: &Web, tenant: &TenantKey, id: Option<Id>) -> Result<Value, Error> {
    let unknown = || Error::new(Code::NotFound, "there is no such dead letter");
    let id = id.ok_or_else(unknown)?;
    let found = web.outside.0.errand(tenant, id).await;
    let found = found.map_err(unavailable)?;
    let mut errand = found.filter(|errand| errand.is_dead).ok_or_else(unknown)?;
    let now = web.clock.now().wall;
    (errand.is_dead, errand.attempts, errand.due_at) = (false, 0, now);
    let body = letter(&errand);
    let change = OutsideChange::Park(errand);
    let settled = web.outside.0.settle(tenant, now, vec![change]).await;
    settled.map_err(unavailable)?;
    web.outside.1.wake(tenant);
    Ok(body)
}

fn letter(errand: &Errand) -> Value {
    json!({
        "id": errand.id.0,
        "queue": &*errand.queue,
        "attempts": errand.attempts,
        "reason": errand.reason.as_deref(),
        "createdAt": errand.created_at.to_string(),
        "data": &errand.data,
    })
}

fn unavailable(error: relais_core::ports::StoreError) -> Error {
    tracing::warn!(%error, "unable to read or write dead letters");
    Error::new(
        Code::Unavailable,
        "unable to answer; the store is not available",
    )
}
