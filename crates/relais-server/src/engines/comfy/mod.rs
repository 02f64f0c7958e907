//! ComfyUI as an engine: what a task asks for becomes a prompt there, and the pictures that it makes become the task's files.
//!
//! Goes in: a claimed task, and the operator's address and workflow. Comes out: reports and files of the task, as the embedded engine's. Each
//! attempt has a client id of its own, so what ComfyUI tells it is about its prompts. A task that nobody wants any more is taken from ComfyUI's
//! queue; one whose process died is begun again by whoever claims it next, behind the files that it has.

mod client;
mod message;
mod prompt;
mod workflow;

use std::time::Duration;

use bytes::Bytes;
use relais_painter::derived_seed;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

pub use workflow::Workflow;

use super::task::{Task, TaskError};
use crate::files::Files;
use crate::outgoing::OutgoingError;
use client::{Client, ComfyError};
use message::Picture;
use prompt::{Progress, Prompt};
use workflow::Order;

/// Between two reports of one task.
const REPORT: Duration = Duration::from_millis(350);
/// Between two reports of a task with no news: they renew its lease, and notice that it was deleted.
const RENEWAL: Duration = Duration::from_secs(2);
/// Before a picture is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Times that a picture is asked for.
const VIEWS_MAX: u32 = 3;

/// Which ComfyUI, and what it is to execute.
#[derive(Clone, PartialEq, Eq)]
pub struct ComfySettings {
    /// Its address, which may hold a password.
    pub url: String,
    /// The graph.
    pub workflow: Workflow,
    /// What the graph's checkpoint is.
    pub checkpoint: String,
    /// Until a prompt has ended.
    pub timeout: Duration,
}

impl std::fmt::Debug for ComfySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComfySettings").finish_non_exhaustive()
    }
}

/// A ComfyUI to work with.
pub struct Comfy {
    client: Client,
    settings: ComfySettings,
}

impl Comfy {
    /// Opens nothing yet: a ComfyUI may be started later.
    pub fn open(settings: &ComfySettings) -> Result<Self, OutgoingError> {
        Ok(Self {
            client: Client::new(&settings.url)?,
            settings: settings.clone(),
        })
    }
}

/// Makes all files of a task that are not there yet.
pub async fn work(task: &mut Task, files: &Files, comfy: &Comfy) -> Result<(), TaskError> {
    let count = task.brief().count;
    let mut reporter = Reporter::new(comfy.settings.workflow.makes_batches());
    while task.files() < count {
        // The same seed makes the same pictures, so those of a batch that are there already are left out.
        let there = match reporter.batches {
            true => task.files() as usize,
            false => 0,
        };
        let pictures = made(task, comfy, &mut reporter).await?;
        let wanted = (count - task.files()) as usize;
        let found = pictures.len();
        let new: Vec<Picture> = pictures.into_iter().skip(there).take(wanted).collect();
        if new.is_empty() {
            let why = format!("the workflow made {found} pictures; {wanted} more were wanted");
            return Err(TaskError::Failed(why));
        }
        for picture in new {
            // A slow line must not cost the lease.
            let so_far = reporter.so_far();
            let bytes = tokio::select! {
                bytes = fetched(comfy, &picture, files.bytes_max()) => bytes?,
                error = reporter.run(task, &so_far) => return Err(error),
            };
            task.attach_received(files, &picture.filename, &bytes)
                .await?;
        }
    }
    task.done().await
}

/// What became of a prompt.
enum Outcome {
    Ended(Result<Vec<Picture>, ComfyError>),
    /// The task could not be reported on.
    Refused(TaskError),
    Late,
}

/// Lets one prompt make what is missing: all at once where the workflow makes batches, else the next one.
async fn made(
    task: &mut Task,
    comfy: &Comfy,
    reporter: &mut Reporter,
) -> Result<Vec<Picture>, TaskError> {
    let graph = graph(task, comfy, reporter.batches);
    let (heard, progress) = watch::channel(Progress::default());
    let client_id = reporter.client_id.clone();
    let prompt = Prompt {
        client: &comfy.client,
        client_id: &client_id,
        graph: &graph,
        heard: &heard,
    };
    reporter.share = 0.0;
    let outcome = tokio::select! {
        ended = prompt.run() => Outcome::Ended(ended),
        error = reporter.run(task, &progress) => Outcome::Refused(error),
        () = tokio::time::sleep(comfy.settings.timeout) => Outcome::Late,
    };
    let last = progress.borrow().clone();
    let error = match outcome {
        Outcome::Ended(ended) => {
            // What ended between two reports has still to be told under its id.
            reporter.report(task, &last).await?;
            return ended.map_err(failed);
        }
        Outcome::Refused(error) => error,
        Outcome::Late => {
            let seconds = comfy.settings.timeout.as_secs();
            TaskError::Failed(format!("ComfyUI did not end in {seconds} seconds"))
        }
    };
    if let Some(prompt) = last.prompt
        && let Err(error) = comfy.client.forget(&prompt).await
    {
        tracing::debug!(%error, "a prompt stays in the queue of ComfyUI");
    }
    Err(error)
}

fn graph(task: &Task, comfy: &Comfy, batches: bool) -> Value {
    let brief = task.brief();
    let (seed, batch) = match batches {
        true => (brief.seed, brief.count),
        // Of one that was asked for alone, the seed is the one that was asked for.
        false if brief.count == 1 => (brief.seed, 1),
        false => (derived_seed(brief.seed, task.files()), 1),
    };
    comfy.settings.workflow.filled(&Order {
        prompt: &brief.prompt,
        negative_prompt: &brief.negative_prompt,
        width: brief.width,
        height: brief.height,
        seed,
        batch,
        checkpoint: &comfy.settings.checkpoint,
        job: &Uuid::now_v7().to_string(),
    })
}

async fn fetched(comfy: &Comfy, picture: &Picture, bytes_max: usize) -> Result<Bytes, TaskError> {
    let mut views = 1;
    loop {
        match comfy.client.view(picture, bytes_max).await {
            Err(ComfyError::Unreachable(why)) if views < VIEWS_MAX => {
                tracing::debug!(why, "a picture is asked for again");
                views += 1;
                tokio::time::sleep(AGAIN).await;
            }
            done => return done.map_err(failed),
        }
    }
}

/// For whoever asked for the picture; where ComfyUI is, is the operator's business.
fn failed(error: ComfyError) -> TaskError {
    match error {
        ComfyError::Failed(why) => TaskError::Failed(why),
        ComfyError::Unreachable(why) => {
            tracing::warn!(why, "unable to reach ComfyUI");
            TaskError::Failed("ComfyUI does not answer".to_owned())
        }
    }
}

/// What was told of a task.
struct Reporter {
    client_id: String,
    batches: bool,
    prompt: Option<String>,
    share: f32,
    last: Instant,
}

impl Reporter {
    fn new(batches: bool) -> Self {
        Self {
            client_id: Uuid::now_v7().to_string(),
            batches,
            prompt: None,
            share: 0.0,
            last: Instant::now(),
        }
    }

    /// What was told, for as long as there are no news.
    fn so_far(&self) -> watch::Receiver<Progress> {
        let (_, so_far) = watch::channel(Progress {
            prompt: self.prompt.clone(),
            share: self.share,
        });
        so_far
    }

    /// Reports until it is refused.
    async fn run(&mut self, task: &mut Task, progress: &watch::Receiver<Progress>) -> TaskError {
        let mut turns = tokio::time::interval_at(Instant::now() + REPORT, REPORT);
        loop {
            turns.tick().await;
            let now = progress.borrow().clone();
            if let Err(error) = self.report(task, &now).await {
                return error;
            }
        }
    }

    async fn report(&mut self, task: &mut Task, now: &Progress) -> Result<(), TaskError> {
        if let Some(prompt) = &now.prompt
            && now.prompt != self.prompt
        {
            match self.prompt {
                None => task.running(prompt, &self.client_id).await?,
                Some(_) => task.renamed(prompt).await?,
            }
            (self.prompt, self.last) = (now.prompt.clone(), Instant::now());
        }
        if now.share > self.share || self.last.elapsed() >= RENEWAL {
            match self.batches {
                true => task.progress_of_rest(now.share).await?,
                false => task.progress(now.share).await?,
            }
            (self.share, self.last) = (now.share, Instant::now());
        }
        Ok(())
    }
}
