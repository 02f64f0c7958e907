//! A plain JSON client's side of the wire, told to its agent in the words of Socket.IO: one agent, one truth, for both kinds of clients.
//!
//! Frames of the server become packets, packets of the agent become frames. It is strict about what a server may send, and stands
//! apart from the engine's own code for it, save the reading of positions.

use relais_protocol::plain::Mark;

use super::wire::Packet;
use crate::room::Offset;

/// Between one plain JSON connection and its agent.
#[derive(Default)]
pub(crate) struct Interpreter {
    /// In which life of the log the session is, as its greeting said.
    epoch: u32,
}

/// A frame of the server in its parts.
struct Parts<'a> {
    name: &'a str,
    /// The data as arguments: what stands in a list, or the one value.
    args: &'a str,
    position: Option<&'a str>,
    id: Option<&'a str>,
}

impl Interpreter {
    /// What a frame says, as packets of Engine.IO.
    pub(crate) fn hear(&mut self, frame: &str) -> Result<Vec<String>, String> {
        let parts = parts(frame).ok_or_else(|| format!("the frame {frame:?}"))?;
        if parts.name == "ack" {
            return match (parts.id, parts.position) {
                (Some(id), None) => Ok(vec![format!("43{id}[{}]", parts.args)]),
                _ => Err(format!("the ack {frame:?}")),
            };
        }
        if parts.id.is_some() {
            return Err(format!("an event with an id, {frame:?}"));
        }
        let mut packets = Vec::new();
        if parts.name == "connected" {
            packets.push(self.greeted(parts.args)?);
        }
        let offset = match parts.position {
            Some(position) => Some(self.offset(position)?),
            None => None,
        };
        let mut words = vec![format!("\"{}\"", parts.name)];
        words.extend(Some(parts.args.to_owned()).filter(|args| !args.is_empty()));
        words.extend(offset.map(|offset| format!("\"{offset}\"")));
        packets.push(format!("42[{}]", words.join(",")));
        Ok(packets)
    }

    /// What a packet of the agent is on this wire; `None`: there is nothing like it.
    pub(crate) fn say(packet: &str) -> Option<String> {
        let parsed = packet.strip_prefix('4').and_then(Packet::parse);
        match parsed {
            Some(packet) if matches!(packet.kind, b'0' | b'1') => None,
            Some(event) if event.kind == b'2' && event.namespace == "/" => {
                Some(match event.event() {
                    Some((name, args)) => {
                        let id = event.id.map(|id| format!(",\"id\":{id}"));
                        let id = id.unwrap_or_default();
                        format!("{{\"type\":\"{name}\",\"data\":[{args}]{id}}}")
                    }
                    None => packet.to_owned(),
                })
            }
            _ => Some(packet.to_owned()),
        }
    }

    /// The answer to CONNECT that stands in a greeting: `position,index,epoch,"sid"`.
    fn greeted(&mut self, args: &str) -> Result<String, String> {
        let words: Vec<_> = args.split(',').collect();
        let [_, _, epoch, sid] = words[..] else {
            return Err(format!("the greeting {args:?}"));
        };
        self.epoch = epoch.parse().unwrap_or(0);
        let sid = sid.trim_matches('"');
        Ok(format!("40{{\"sid\":\"{sid}\",\"pid\":\"p-{sid}\"}}"))
    }

    fn offset(&self, position: &str) -> Result<Offset, String> {
        let mark = Mark::parse(position).ok_or_else(|| format!("the position {position:?}"))?;
        Ok(Offset {
            epoch: self.epoch,
            position: mark.position,
            index: mark.index,
        })
    }
}

/// Takes a frame apart; its fields come in one order.
fn parts(frame: &str) -> Option<Parts<'_>> {
    let rest = frame.strip_prefix("{\"type\":\"")?.strip_suffix('}')?;
    let (name, rest) = rest.split_once("\",\"data\":")?;
    let (data, rest) = rest.rsplit_once(",\"timestamp\":\"")?;
    let (timestamp, rest) = rest.split_once('"')?;
    if timestamp.len() != "1970-01-01T00:00:00.000Z".len() {
        return None;
    }
    let (rest, id) = match rest.split_once(",\"id\":") {
        Some((rest, id)) => (rest, Some(id)),
        None => (rest, None),
    };
    let position = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(",\"position\":")?),
    };
    let list = data
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'));
    let args = match data {
        "null" => "",
        one => list.unwrap_or(one),
    };
    Some(Parts {
        name,
        args,
        position,
        id,
    })
}
