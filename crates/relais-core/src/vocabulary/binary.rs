//! Binary attachments of what a map has made: which of them are still in it, and under which number.
//!
//! In go rendered JSON and the attachments of the event that it was made of, out come JSON whose placeholders are numbered
//! from 0 in the order in which they stand, and those attachments. A map may show a part of the data only; a client
//! that was told of more attachments than it gets, or of none at all, would be stuck. Placeholders that came in were checked
//! by the protocol: each attachment has one.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The data as it goes out, and what goes out with it.
pub(super) fn carried(data: String, attachments: &[Bytes]) -> (String, Vec<Bytes>) {
    if attachments.is_empty() {
        return (data, Vec::new());
    }
    let Ok(mut value) = serde_json::from_str(&data) else {
        return (data, Vec::new());
    };
    let mut kept = Vec::new();
    number(&mut value, attachments, &mut kept);
    (value.to_string(), kept)
}

/// The depth is that of a payload, which its parser has bounded, and of the app file's map around it.
fn number(value: &mut Value, attachments: &[Bytes], kept: &mut Vec<Bytes>) {
    match value {
        Value::Array(list) => list
            .iter_mut()
            .for_each(|one| number(one, attachments, kept)),
        Value::Object(object) => match attachment(object, attachments) {
            Some(attachment) => {
                object.insert("num".to_owned(), kept.len().into());
                kept.push(attachment.clone());
            }
            None => object
                .values_mut()
                .for_each(|one| number(one, attachments, kept)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn attachment<'a>(object: &Map<String, Value>, attachments: &'a [Bytes]) -> Option<&'a Bytes> {
    if object.get("_placeholder") != Some(&Value::Bool(true)) {
        return None;
    }
    let at = usize::try_from(object.get("num")?.as_u64()?).ok()?;
    attachments.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_shows_a_part_of_the_data_sends_the_attachments_of_that_part_alone() {
        let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let shown = r#"{"by":"x","image":{"_placeholder":true,"num":1}}"#.to_owned();
        let (data, kept) = carried(shown, &attachments);
        assert_eq!(data, r#"{"by":"x","image":{"_placeholder":true,"num":0}}"#);
        assert_eq!(kept, [Bytes::from_static(b"b")]);
        let (data, kept) = carried(r#"{"by":"x"}"#.to_owned(), &attachments);
        assert_eq!((data.as_str(), kept.len()), (r#"{"by":"x"}"#, 0));
    }
}
