//! What ComfyUI is to execute: a graph in its API format, with places for what a task asks for.
//!
//! A place is `{{name}}` in a text of the graph. A text that is nothing but a number's place becomes the number. What was filled in is not
//! looked at again, so no prompt can fill in others.

use serde_json::{Map, Value, json};

/// The graph of a server that names none.
const DEFAULT: &str = include_str!("workflow.json");

/// Why a file is no workflow.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// Not JSON.
    #[error("it is no JSON; {0}")]
    Json(#[from] serde_json::Error),
    /// Not what ComfyUI executes.
    #[error("it is not in the API format: nodes by their ids, each with `class_type` and `inputs`")]
    Format,
    /// Nothing of a task would be in it.
    #[error("it has no `{{{{prompt}}}}`")]
    NoPrompt,
}

/// A graph with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    graph: Value,
    makes_batches: bool,
}

/// What goes into the places.
pub struct Order<'a> {
    /// `{{prompt}}`.
    pub prompt: &'a str,
    /// `{{negative_prompt}}`.
    pub negative_prompt: &'a str,
    /// `{{width}}`.
    pub width: u32,
    /// `{{height}}`.
    pub height: u32,
    /// `{{seed}}`.
    pub seed: u64,
    /// `{{batch}}`: pictures at once.
    pub batch: u32,
    /// `{{checkpoint}}`.
    pub checkpoint: &'a str,
    /// `{{job}}`: another one each time.
    pub job: &'a str,
}

impl Workflow {
    /// Reads and checks a file's text.
    pub fn read(text: &str) -> Result<Self, WorkflowError> {
        let graph: Value = serde_json::from_str(text)?;
        let is_node = |node: &Value| node["class_type"].is_string() && node["inputs"].is_object();
        let nodes = graph.as_object().ok_or(WorkflowError::Format)?;
        if nodes.is_empty() || !nodes.values().all(is_node) {
            return Err(WorkflowError::Format);
        }
        if !mentions(&graph, "{{prompt}}") {
            return Err(WorkflowError::NoPrompt);
        }
        let makes_batches = mentions(&graph, "{{batch}}");
        Ok(Self {
            graph,
            makes_batches,
        })
    }

    /// Whether it makes as many pictures at once as it is told.
    pub fn makes_batches(&self) -> bool {
        self.makes_batches
    }

    /// The graph for one order.
    pub fn filled(&self, order: &Order<'_>) -> Value {
        filled(&self.graph, order)
    }
}

impl Default for Workflow {
    fn default() -> Self {
        Self::read(DEFAULT).expect("the built-in workflow is one, by its test")
    }
}

impl Order<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        Some(match name {
            "prompt" => self.prompt.into(),
            "negative_prompt" => self.negative_prompt.into(),
            "width" => self.width.into(),
            "height" => self.height.into(),
            "seed" => self.seed.into(),
            "batch" => self.batch.into(),
            "checkpoint" => self.checkpoint.into(),
            "job" => self.job.into(),
            _ => return None,
        })
    }
}

fn mentions(value: &Value, place: &str) -> bool {
    match value {
        Value::String(text) => text.contains(place),
        Value::Array(values) => values.iter().any(|value| mentions(value, place)),
        Value::Object(values) => values.values().any(|value| mentions(value, place)),
        _ => false,
    }
}

fn filled(value: &Value, order: &Order<'_>) -> Value {
    match value {
        Value::String(text) => filled_text(text, order),
        Value::Array(values) => values.iter().map(|value| filled(value, order)).collect(),
        Value::Object(values) => {
            let of = |(key, value): (&String, &Value)| (key.clone(), filled(value, order));
            Value::Object(values.iter().map(of).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn filled_text(text: &str, order: &Order<'_>) -> Value {
    let alone = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    if let Some(value) = alone.and_then(|name| order.value(name)) {
        return value;
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let place = after
            .split_once("}}")
            .and_then(|(name, after)| Some((order.value(name)?, after)));
        match place {
            Some((Value::String(value), after)) => {
                out.push_str(&value);
                rest = after;
            }
            Some((value, after)) => {
                out.push_str(&value.to_string());
                rest = after;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    json!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Order<'static> = Order {
        prompt: "a lake, {{seed}}",
        negative_prompt: "people",
        width: 640,
        height: 480,
        seed: 7,
        batch: 2,
        checkpoint: "model.safetensors",
        job: "j-1",
    };

    #[test]
    fn the_built_in_workflow_has_a_place_for_everything() {
        let workflow = Workflow::default();
        assert!(workflow.makes_batches());
        let graph = workflow.filled(&ORDER).to_string();
        for part in [
            r#""text":"a lake, {{seed}}""#,
            r#""text":"people""#,
            r#""width":640"#,
            r#""height":480"#,
            r#""seed":7"#,
            r#""batch_size":2"#,
            r#""ckpt_name":"model.safetensors""#,
            r#""filename_prefix":"relais/j-1""#,
        ] {
            assert!(graph.contains(part), "{part} in {graph}");
        }
    }

    #[test]
    fn a_place_inside_a_text_is_filled_and_what_is_none_stays() {
        let text = r#"{"1":{"class_type":"A","inputs":{"text":"oil, {{prompt}} ({{width}}) {{other}} {{","x":["2",0],"y":1.5}}}"#;
        let workflow = Workflow::read(text).expect("a workflow");
        assert!(!workflow.makes_batches());
        assert_eq!(
            workflow.filled(&ORDER),
            json!({"1": {"class_type": "A", "inputs":
                {"text": "oil, a lake, {{seed}} (640) {{other}} {{", "x": ["2", 0], "y": 1.5}}})
        );
    }

    #[test]
    fn a_file_that_is_no_workflow_is_refused() {
        for (text, why) in [
            ("{", "it is no JSON"),
            ("{}", "it is not in the API format"),
            (r#"{"nodes":[],"links":[]}"#, "it is not in the API format"),
            (
                r#"{"1":{"class_type":"A","inputs":{}}}"#,
                "it has no `{{prompt}}`",
            ),
        ] {
            let error = Workflow::read(text).expect_err(text).to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
