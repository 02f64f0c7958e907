//! What ComfyUI says: messages of its WebSocket, and its history of a prompt.
//!
//! Only what concerns one prompt is understood, everything else is left out: its versions differ in what they add.

use serde::Deserialize;
use serde_json::Value;

/// What a message means for a prompt.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// The node that works is so far, 0 to 1.
    Progress(f32),
    /// It is over; the history says how.
    Ended,
    /// It failed.
    Failed(String),
    /// Nothing for us.
    Other,
}

/// A file that it made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Picture {
    /// Its name.
    pub filename: String,
    /// The folder in the folder of `kind`.
    #[serde(default)]
    pub subfolder: String,
    /// `output`, or `temp` for previews.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Understands a message for the prompt `ours`.
pub fn said(text: &str, ours: &str) -> Said {
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return Said::Other;
    };
    let data = &message["data"];
    let prompt = data["prompt_id"].as_str();
    match message["type"].as_str() {
        // Older versions do not say whose progress it is; it is told only to who asked for the prompt.
        Some("progress") if prompt.is_none_or(|prompt| prompt == ours) => {
            match (data["value"].as_f64(), data["max"].as_f64()) {
                (Some(value), Some(max)) if max > 0.0 => {
                    Said::Progress((value / max).clamp(0.0, 1.0) as f32)
                }
                _ => Said::Other,
            }
        }
        _ if prompt != Some(ours) => Said::Other,
        Some("executing") if data["node"].is_null() => Said::Ended,
        Some("execution_error") => Said::Failed(failure(data)),
        Some("execution_interrupted") => Said::Failed(INTERRUPTED.to_owned()),
        _ => Said::Other,
    }
}

const INTERRUPTED: &str = "it was interrupted";

/// `MESSAGE (NODE)`.
fn failure(data: &Value) -> String {
    let text = data["exception_message"]
        .as_str()
        .unwrap_or_default()
        .trim();
    let text = match text {
        "" => "the workflow failed",
        text => text,
    };
    match data["node_type"].as_str() {
        Some(node) => format!("{text} ({node})"),
        None => text.to_owned(),
    }
}

/// How a prompt of the history ended: the files that it made, or why it failed.
pub fn ended(entry: &Value) -> Result<Vec<Picture>, String> {
    let status = &entry["status"];
    if status["status_str"] == "error" {
        let messages = status["messages"].as_array().into_iter().flatten();
        let why = messages
            .rev()
            .find_map(|message| match message[0].as_str() {
                Some("execution_error") => Some(failure(&message[1])),
                Some("execution_interrupted") => Some(INTERRUPTED.to_owned()),
                _ => None,
            });
        return Err(why.unwrap_or_else(|| "the workflow failed".to_owned()));
    }
    let outputs = entry["outputs"].as_object().into_iter().flatten();
    let files = outputs.flat_map(|(_, output)| output["images"].as_array().into_iter().flatten());
    let files: Vec<Picture> = files
        .filter_map(|file| Picture::deserialize(file).ok())
        .collect();
    let (kept, previews): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.kind == "output");
    match kept.is_empty() {
        true => Ok(previews),
        false => Ok(kept),
    }
}

/// Why a prompt was refused.
pub fn refusal(answer: &Value) -> String {
    let error = &answer["error"];
    let text = error["message"].as_str().or(error.as_str());
    let nodes = answer["node_errors"].as_object().into_iter().flatten();
    let of_nodes = nodes.flat_map(|(_, node)| node["errors"].as_array().into_iter().flatten());
    let first = of_nodes.into_iter().find_map(|error| {
        let details = error["details"].as_str().unwrap_or_default();
        Some(format!("{}: {details}", error["message"].as_str()?))
    });
    [Some(text.unwrap_or("it was refused").to_owned()), first]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_concerns_the_prompt_is_heard() {
        let failed = |text: &str| Said::Failed(text.to_owned());
        for (text, means) in [
            (
                r#"{"type":"status","data":{"status":{"exec_info":{"queue_remaining":1}},"sid":"c"}}"#,
                Said::Other,
            ),
            (
                r#"{"type":"progress","data":{"value":5,"max":20,"prompt_id":"p","node":"3"}}"#,
                Said::Progress(0.25),
            ),
            (
                r#"{"type":"progress","data":{"value":5,"max":20}}"#,
                Said::Progress(0.25),
            ),
            (
                r#"{"type":"progress","data":{"value":5,"max":20,"prompt_id":"q"}}"#,
                Said::Other,
            ),
            (
                r#"{"type":"progress","data":{"value":5,"max":0,"prompt_id":"p"}}"#,
                Said::Other,
            ),
            (
                r#"{"type":"executing","data":{"node":"3","prompt_id":"p"}}"#,
                Said::Other,
            ),
            (
                r#"{"type":"executing","data":{"node":null,"prompt_id":"p"}}"#,
                Said::Ended,
            ),
            (
                r#"{"type":"executing","data":{"node":null,"prompt_id":"q"}}"#,
                Said::Other,
            ),
            (
                r#"{"type":"execution_error","data":{"prompt_id":"p","node_type":"KSampler","exception_message":"out of memory\n"}}"#,
                failed("out of memory (KSampler)"),
            ),
            (
                r#"{"type":"execution_error","data":{"prompt_id":"q"}}"#,
                Said::Other,
            ),
            (
                r#"{"type":"execution_interrupted","data":{"prompt_id":"p"}}"#,
                failed("it was interrupted"),
            ),
            ("no JSON", Said::Other),
        ] {
            assert_eq!(said(text, "p"), means, "{text}");
        }
    }

    #[test]
    fn an_entry_of_the_history_has_its_files_without_previews_or_why_it_failed() {
        let entry = json!({"outputs": {"8": {"images": [{"filename": "p.png", "subfolder": "", "type": "temp"}]},
            "9": {"images": [{"filename": "a.png", "subfolder": "s", "type": "output"}, {"filename": "b.png", "type": "output"}], "text": ["x"]}}});
        let names: Vec<_> = ended(&entry)
            .expect("files")
            .into_iter()
            .map(|file| file.filename)
            .collect();
        assert_eq!(names, ["a.png", "b.png"]);
        let entry = json!({"outputs": {}, "status": {"status_str": "error", "completed": false,
            "messages": [["execution_start", {}], ["execution_error", {"exception_message": "no model"}]]}});
        assert_eq!(ended(&entry), Err("no model".to_owned()));
    }

    #[test]
    fn a_refusal_says_which_input_is_wrong() {
        let answer = json!({"error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"},
            "node_errors": {"4": {"errors": [{"message": "Value not in list", "details": "ckpt_name: 'x' not in []"}]}}});
        assert_eq!(
            refusal(&answer),
            "Prompt outputs failed validation; Value not in list: ckpt_name: 'x' not in []"
        );
        assert_eq!(
            refusal(&json!({"error": "no prompt", "node_errors": []})),
            "no prompt"
        );
    }
}
