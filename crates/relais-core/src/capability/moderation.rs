//! Revoking tokens and muting users: the team's backend holds somebody back, and lets go again.
//!
//! In comes a command, out goes the change. What is held back is [`restriction`](crate::restriction)'s; closing sessions is the
//! dispatcher's.

use serde_json::json;

use super::{Outcome, facts};
use crate::command::{Actor, Invocation};
use crate::error::{Code, Error};
use crate::ids::Timestamp;
use crate::ports::Change;
use crate::restriction::{Against, Hold, Restriction};

/// Imposes a restriction.
pub fn impose(
    invocation: &Invocation,
    against: &Against,
    hold: Hold,
    until: Option<Timestamp>,
) -> Result<(Restriction, Outcome), Error> {
    may(invocation)?;
    let at = invocation.now.wall;
    if until.is_some_and(|until| until <= at) {
        let text = "unable to hold somebody back; its end is over already";
        return Err(Error::new(Code::InvalidPayload, text));
    }
    let restriction = Restriction {
        against: against.clone(),
        hold,
        at,
        until,
    };
    let outcome = Outcome {
        changes: vec![Change::Impose(restriction.clone())],
        reply: facts::object(json!({ "until": until.map(|until| until.to_string()) })),
        ..Outcome::default()
    };
    Ok((restriction, outcome))
}

/// Lifts a restriction, if there is one.
pub fn lift(invocation: &Invocation, against: &Against, hold: Hold) -> Result<Outcome, Error> {
    may(invocation)?;
    Ok(Outcome {
        changes: vec![Change::Lift {
            against: against.clone(),
            hold,
        }],
        ..Outcome::default()
    })
}

fn may(invocation: &Invocation) -> Result<(), Error> {
    match invocation.actor {
        Actor::Backend => Ok(()),
        Actor::User(_) => Err(Error::new(
            Code::Forbidden,
            "unable to hold somebody back; it takes an API key",
        )),
    }
}
