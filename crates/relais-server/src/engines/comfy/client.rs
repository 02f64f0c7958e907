//! ComfyUI over HTTP and its WebSocket: each method is one exchange, nothing here waits for a prompt or retries.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use serde_json::{Value, json};

use super::message::{Picture, ended, refusal};
use crate::outgoing::{Answer, Ask, Outgoing, OutgoingError, WebSocket};

/// Until an answer is there.
const ANSWER: Duration = Duration::from_secs(20);
/// Until a whole file is there.
const FILE: Duration = Duration::from_secs(120);
/// Bytes of an answer in JSON: a history holds its workflow, which may hold much.
const JSON_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a message of the WebSocket: previews come there too.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ComfyError {
    /// It cannot be asked now, or answered with what it should not.
    #[error("unable to reach ComfyUI; {0}")]
    Unreachable(String),
    /// It said no, and would say so again.
    #[error("ComfyUI: {0}")]
    Failed(String),
}

/// Where a prompt is.
pub enum Standing {
    /// Waits, or is executed.
    Queued,
    /// Is over.
    Ended(Result<Vec<Picture>, String>),
    /// Nowhere: ComfyUI has been started anew, or somebody emptied its queue.
    Unknown,
}

/// A ComfyUI.
#[derive(Clone)]
pub struct Client {
    base: Url,
    outgoing: Outgoing,
}

impl Client {
    /// That at `base`, which may lie in a private network: the operator has named it.
    pub fn new(base: &str) -> Result<Self, OutgoingError> {
        let mut base = Url::parse(base).map_err(|_| OutgoingError::Address)?;
        let host = base
            .host_str()
            .ok_or(OutgoingError::Address)?
            .to_lowercase();
        let port = base.port_or_known_default().unwrap_or_default();
        let outgoing = Outgoing::new(&[format!("{host}:{port}")])?;
        outgoing.check(base.as_str())?;
        let folder = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&folder);
        Ok(Self { base, outgoing })
    }

    /// Opens its WebSocket, on which the prompts of `client` are told.
    pub async fn listen(&self, client: &str) -> Result<WebSocket, ComfyError> {
        let url = self.address(&["ws"], &[("clientId", client)]);
        let opened = self.outgoing.websocket(&url, MESSAGE_BYTES_MAX).await;
        opened.map_err(unreachable)
    }

    /// Queues a graph; its prompt id.
    pub async fn queue(&self, graph: &Value, client: &str) -> Result<String, ComfyError> {
        let body = json!({"prompt": graph, "client_id": client});
        let answer = self.post(&["prompt"], &body).await?;
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match (answer.status, told["prompt_id"].as_str()) {
            (StatusCode::OK, Some(prompt)) => Ok(prompt.to_owned()),
            (StatusCode::BAD_REQUEST, _) => Err(ComfyError::Failed(refusal(&told))),
            (status, _) => Err(ComfyError::Unreachable(format!("it answered {status}"))),
        }
    }

    /// Where a prompt is.
    pub async fn standing(&self, prompt: &str) -> Result<Standing, ComfyError> {
        if let Some(entry) = self.history(prompt).await? {
            return Ok(Standing::Ended(ended(&entry)));
        }
        let queue = self.get(&["queue"]).await?;
        if holds(&queue["queue_running"], prompt) || holds(&queue["queue_pending"], prompt) {
            return Ok(Standing::Queued);
        }
        // Between the two answers it may have gone from the queue to the history.
        Ok(match self.history(prompt).await? {
            Some(entry) => Standing::Ended(ended(&entry)),
            None => Standing::Unknown,
        })
    }

    /// Takes a prompt from the queue, and interrupts it where it is executed.
    pub async fn forget(&self, prompt: &str) -> Result<(), ComfyError> {
        self.post(&["queue"], &json!({"delete": [prompt]})).await?;
        // Older versions interrupt whatever runs, so it is looked at first.
        let queue = self.get(&["queue"]).await?;
        if holds(&queue["queue_running"], prompt) {
            self.post(&["interrupt"], &json!({"prompt_id": prompt}))
                .await?;
        }
        Ok(())
    }

    /// The bytes of a file, at most `bytes_max`.
    pub async fn view(&self, picture: &Picture, bytes_max: usize) -> Result<Bytes, ComfyError> {
        let query = [
            ("filename", picture.filename.as_str()),
            ("subfolder", picture.subfolder.as_str()),
            ("type", picture.kind.as_str()),
        ];
        let url = self.address(&["view"], &query);
        let answer = self.ask(Method::GET, &url, None, FILE, bytes_max).await;
        match answer {
            Ok(answer) if answer.status == StatusCode::OK => Ok(answer.body),
            Ok(answer) if answer.status.is_client_error() => Err(ComfyError::Failed(format!(
                "a picture is not there; {}",
                answer.status
            ))),
            Ok(answer) => Err(ComfyError::Unreachable(format!(
                "it answered {}",
                answer.status
            ))),
            Err(OutgoingError::TooLarge { bytes_max }) => Err(ComfyError::Failed(format!(
                "a picture is over {bytes_max} bytes"
            ))),
            Err(error) => Err(unreachable(error)),
        }
    }

    async fn history(&self, prompt: &str) -> Result<Option<Value>, ComfyError> {
        let mut history = self.get(&["history", prompt]).await?;
        let entry = history.get_mut(prompt).map(Value::take);
        Ok(entry.filter(Value::is_object))
    }

    async fn get(&self, path: &[&str]) -> Result<Value, ComfyError> {
        let url = self.address(path, &[]);
        let answer = self
            .ask(Method::GET, &url, None, ANSWER, JSON_BYTES_MAX)
            .await
            .map_err(unreachable)?;
        if answer.status != StatusCode::OK {
            return Err(ComfyError::Unreachable(format!(
                "it answered {}",
                answer.status
            )));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| ComfyError::Unreachable("it answered with no JSON".to_owned()))
    }

    async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, ComfyError> {
        let url = self.address(path, &[]);
        self.ask(Method::POST, &url, Some(body), ANSWER, JSON_BYTES_MAX)
            .await
            .map_err(unreachable)
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
        timeout: Duration,
        bytes_max: usize,
    ) -> Result<Answer, OutgoingError> {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        let body = body.map(|body| body.to_string().into()).unwrap_or_default();
        self.outgoing
            .ask(Ask {
                method,
                url,
                headers,
                body,
                timeout,
                bytes_max,
            })
            .await
    }

    fn address(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url.into()
    }
}

/// Whether a list of the queue, of `[number, prompt id, …]`, has a prompt.
fn holds(queue: &Value, prompt: &str) -> bool {
    let mut entries = queue.as_array().into_iter().flatten();
    entries.any(|entry| entry[1].as_str() == Some(prompt))
}

fn unreachable(error: OutgoingError) -> ComfyError {
    ComfyError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_below_the_one_that_was_set_and_what_they_carry_is_encoded() {
        for base in ["http://127.0.0.1:8188", "http://127.0.0.1:8188/"] {
            let client = Client::new(base).expect("a client");
            assert_eq!(
                client.address(&["history", "a/b"], &[]),
                "http://127.0.0.1:8188/history/a%2Fb"
            );
        }
        let client = Client::new("https://gpu.example.org/comfy").expect("a client");
        assert_eq!(
            client.address(&["view"], &[("filename", "a b&c.png")]),
            "https://gpu.example.org/comfy/view?filename=a+b%26c.png"
        );
        assert!(matches!(
            Client::new("ftp://x/"),
            Err(OutgoingError::Address)
        ));
    }
}
