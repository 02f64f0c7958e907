//! Claiming: whoever works takes the oldest item that is free.
//!
//! A claim is a lease. It is renewed by every change of whoever has the item; when it ends, the item is free again, in the status
//! that it had reached, and counted as lost once. An item that was lost too often goes where the app file says.

use super::change::put;
use super::{ItemKind, LeaseRule, refuse, user};
use crate::capability::Outcome;
use crate::command::{Invocation, ItemRequest};
use crate::error::{Code, Error};
use crate::event::{EventKind, Facts, Item, Lease};
use crate::ids::Timestamp;

/// Why an item that nobody finished has failed.
const LOST: &str = "whoever worked on it was lost too often";

/// What became of an attempt to claim an item.
#[derive(Debug, PartialEq)]
pub enum Claim {
    /// It is taken: the answer.
    Taken(Outcome),
    /// It was lost too often and has failed; the next one may be claimed.
    Failed(Outcome),
}

/// Claims an item that is free. Its status moves where the request says so and the item can go there; never back.
pub fn claim(
    invocation: &Invocation,
    kind: &ItemKind,
    rule: &LeaseRule,
    request: &ItemRequest,
    item: &Item,
) -> Claim {
    let now = invocation.now.wall;
    let before = item.lease.unwrap_or(Lease {
        free_at: now,
        is_taken: false,
        lost: 0,
    });
    let lost = before.lost + u32::from(before.is_taken);
    let failed = rule.failed.as_ref();
    let can_fail = |status: &&std::sync::Arc<str>| kind.may_move(item.status.as_deref(), status);
    if lost >= rule.lost_max
        && let Some(status) = failed.filter(can_fail)
    {
        let next = Item {
            status: Some(status.clone()),
            reason: Some(LOST.to_owned()),
            lease: None,
            ..item.clone()
        };
        let kinds = vec![EventKind::ItemMoved];
        let outcome = put(invocation, item, next, kinds, Facts::new());
        return Claim::Failed(outcome);
    }
    let mut next = Item {
        assignee: user(&invocation.actor).cloned(),
        lease: Some(Lease {
            free_at: Timestamp(now.0 + rule.ms),
            is_taken: true,
            lost,
        }),
        ..item.clone()
    };
    let mut kinds = Vec::new();
    if next.assignee.is_none() && item.assignee.is_some() {
        kinds.push(EventKind::ItemUpdated);
    }
    if let Some(status) = &request.status
        && kind.may_move(item.status.as_deref(), status)
    {
        next.status = Some(status.clone());
        next.reason = None;
        kinds.push(EventKind::ItemMoved);
    }
    if next.assignee.is_some() && next.assignee != item.assignee {
        kinds.push(EventKind::ItemAssigned);
    }
    let outcome = put(invocation, item, next, kinds, Facts::new());
    Claim::Taken(outcome)
}

/// The lease of a kind for those who may claim: those with a role that the event names, else whoever sees all items of the kind.
pub fn lease_for<'k>(
    invocation: &Invocation,
    kind: &'k ItemKind,
    request: &ItemRequest,
) -> Result<&'k LeaseRule, Error> {
    let (actor, roles) = (&invocation.actor, &request.may.roles);
    let may = match roles.is_empty() {
        true => kind.is_seen_whole_by(actor),
        false => super::has_role(actor, roles),
    };
    if !may {
        let problem = "the role does not allow it";
        return Err(refuse(request, Code::Forbidden, problem));
    }
    let problem = "the app file gives it no lease";
    let rule = kind.lease.as_ref();
    rule.ok_or_else(|| refuse(request, Code::InvalidState, problem))
}

/// Nothing is free.
pub fn nothing_free(request: &ItemRequest) -> Error {
    refuse(request, Code::NotFound, "none is free now")
}
