//! One prompt from its queueing to its end, whatever happens to the connection or to ComfyUI in between.
//!
//! Its WebSocket is open before the prompt is queued, so that nothing is missed. When it is lost, and every ten seconds, history and queue are asked: a prompt
//! that ended is ended, one that waits is waited for, one that nobody knows any more is queued again.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::client::{Client, ComfyError, Standing};
use super::message::{Picture, Said, said};
use crate::outgoing::WebSocket;

/// Before it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Between two looks at the history, whatever is said meanwhile.
const LOOK: Duration = Duration::from_secs(10);
/// Between a message that says that a prompt ended and its history, where that is late.
const HISTORY: Duration = Duration::from_millis(250);
/// Times that one prompt is queued.
const QUEUED_MAX: u32 = 3;

/// How far it is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The prompt's id, once it is queued.
    pub prompt: Option<String>,
    /// 0 to 1; never less than before.
    pub share: f32,
}

/// A prompt at work.
pub struct Prompt<'a> {
    /// Where.
    pub client: &'a Client,
    /// Our id there.
    pub client_id: &'a str,
    /// What is to be executed.
    pub graph: &'a Value,
    /// Hears how far it is.
    pub heard: &'a watch::Sender<Progress>,
}

impl Prompt<'_> {
    /// The files that it made. Tries for as long as it is waited for.
    pub async fn run(&self) -> Result<Vec<Picture>, ComfyError> {
        let mut queued = 0;
        loop {
            match self.attempt(&mut queued).await {
                Err(ComfyError::Unreachable(why)) => {
                    tracing::debug!(why, "ComfyUI is tried again");
                    tokio::time::sleep(RETRY).await;
                }
                ended => return ended,
            }
        }
    }

    /// Until it ends, or the connection does.
    async fn attempt(&self, queued: &mut u32) -> Result<Vec<Picture>, ComfyError> {
        let mut socket = self.client.listen(self.client_id).await?;
        let known = self.heard.borrow().prompt.clone();
        let mut prompt = match known {
            Some(prompt) => match self.client.standing(&prompt).await? {
                Standing::Ended(how) => return how.map_err(ComfyError::Failed),
                Standing::Queued => prompt,
                Standing::Unknown => self.queue(queued).await?,
            },
            None => self.queue(queued).await?,
        };
        let mut look_at = Instant::now() + LOOK;
        loop {
            let mut pause = LOOK;
            match tokio::time::timeout_at(look_at, next(&mut socket)).await {
                Ok(None) => {
                    let why = "its WebSocket was closed".to_owned();
                    return Err(ComfyError::Unreachable(why));
                }
                Ok(Some(text)) => match said(&text, &prompt) {
                    Said::Failed(why) => return Err(ComfyError::Failed(why)),
                    Said::Ended => pause = HISTORY,
                    Said::Progress(share) => {
                        self.heard.send_modify(|progress| {
                            progress.share = progress.share.max(share);
                        });
                        continue;
                    }
                    Said::Other => continue,
                },
                Err(_) => {}
            }
            match self.client.standing(&prompt).await? {
                Standing::Ended(how) => return how.map_err(ComfyError::Failed),
                Standing::Queued => {}
                Standing::Unknown => prompt = self.queue(queued).await?,
            }
            look_at = Instant::now() + pause;
        }
    }

    async fn queue(&self, queued: &mut u32) -> Result<String, ComfyError> {
        if *queued == QUEUED_MAX {
            let text = format!("it forgot the prompt {QUEUED_MAX} times");
            return Err(ComfyError::Failed(text));
        }
        let prompt = self.client.queue(self.graph, self.client_id).await?;
        *queued += 1;
        self.heard
            .send_modify(|progress| progress.prompt = Some(prompt.clone()));
        Ok(prompt)
    }
}

/// The next text. `None`: the connection is lost.
async fn next(socket: &mut WebSocket) -> Option<Utf8Bytes> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(text),
            // Previews, and what tungstenite answers by itself.
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the WebSocket of ComfyUI broke");
                return None;
            }
        }
    }
}
