//! One claimed item from the side of whoever works on it: what is wanted, how far it is, what was made, how it ended.
//!
//! Every report goes through the same door as a worker's from outside. A report that is refused says that nobody wants the work any more:
//! the item was deleted, or somebody else has finished it.

use std::sync::Arc;

use relais_core::capability::item::FILES_MAX;
use relais_core::command::{Actor, Command, Invocation, ItemAction, ItemRequest, Origin};
use relais_core::dispatch::Dispatcher;
use relais_core::error::{Code, Error};
use relais_core::event::{Facts, FileInfo};
use relais_core::ids::{ItemId, ItemKey, Shelf, TenantKey};
use relais_core::vocabulary::{Item, Work};
use serde_json::Value;

use crate::clock::Clock;
use crate::files::Files;
use crate::glue::apps::Served;

/// Characters of an error that are kept in an item.
const ERROR_CHARS_MAX: usize = 500;
/// Largest whole number that is the same in every JSON.
const SEED_MASK: u64 = (1 << 53) - 1;

/// What became of an attempt to claim.
pub enum Claimed {
    /// There is work.
    Task(Box<Task>),
    /// There is none now.
    Nothing,
}

/// Why a task ends without its result.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Nobody wants it any more, or somebody else has it.
    #[error("not wanted any more; {0}")]
    Gone(Error),
    /// It cannot be stored or reported now; whoever claims it next goes on.
    #[error("unable to report; {0}")]
    Unavailable(Error),
    /// It cannot be made: the text is for whoever asked for it.
    #[error("{0}")]
    Failed(String),
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// In words.
    pub prompt: String,
    /// What is not wanted.
    pub negative_prompt: String,
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How many.
    pub count: u32,
    /// Of the first; the others follow from it.
    pub seed: u64,
}

/// A claimed item.
pub struct Task {
    dispatcher: Arc<Dispatcher>,
    tenant: TenantKey,
    key: ItemKey,
    work: Work,
    clock: Clock,
    brief: Brief,
    files: u32,
    seeded: bool,
}

impl Task {
    /// Claims the oldest item of a kind that is free.
    pub async fn claim(served: &Served, tenant: &TenantKey, kind: &Item, clock: Clock) -> Claimed {
        let Some(work) = &kind.work else {
            return Claimed::Nothing;
        };
        let shelf = Shelf {
            kind: kind.kind.clone(),
            room: None,
        };
        let mut request = ItemRequest::new(ItemAction::Claim, shelf.clone());
        request.status = work.claimed.clone();
        let dispatcher = served.dispatcher.clone();
        match dispatch(&dispatcher, tenant, clock, request).await {
            Ok(facts) => {
                let item = facts
                    .get("item")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                let id: Option<ItemId> = item
                    .get("id")
                    .and_then(|id| serde_json::from_value(id.clone()).ok());
                let Some(id) = id else {
                    tracing::error!("a claimed item has no id");
                    return Claimed::Nothing;
                };
                let (brief, seeded) = Brief::of(work, &item, &id);
                let files = item
                    .get("files")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                Claimed::Task(Box::new(Self {
                    dispatcher,
                    tenant: tenant.clone(),
                    key: ItemKey { shelf, id },
                    work: work.clone(),
                    clock,
                    brief,
                    files: u32::try_from(files).unwrap_or(u32::MAX),
                    seeded,
                }))
            }
            Err(error) => {
                if error.code != Code::NotFound {
                    tracing::warn!(%error, "unable to claim work");
                }
                Claimed::Nothing
            }
        }
    }

    /// What is wanted.
    pub fn brief(&self) -> &Brief {
        &self.brief
    }

    /// How many files there are already.
    pub fn files(&self) -> u32 {
        self.files
    }

    /// It is being made, under these ids of the engine's.
    pub async fn running(&mut self, job: &str, client: &str) -> Result<(), TaskError> {
        let mut fields = Facts::new();
        put(&mut fields, &self.work.job, job.into());
        put(&mut fields, &self.work.client, client.into());
        put(&mut fields, &self.work.progress, self.share(0.0).into());
        if !self.seeded {
            put(&mut fields, &self.work.seed, self.brief.seed.into());
        }
        let status = self.work.running.clone();
        self.report(fields, status).await
    }

    /// How far the file that is being made is, 0 to 1. Renews the lease, whether it says anything new or not.
    pub async fn progress(&self, done: f32) -> Result<(), TaskError> {
        let mut fields = Facts::new();
        put(&mut fields, &self.work.progress, self.share(done).into());
        self.report(fields, None).await
    }

    /// The work goes on under another id of the engine's.
    pub async fn renamed(&self, job: &str) -> Result<(), TaskError> {
        let mut fields = Facts::new();
        put(&mut fields, &self.work.job, job.into());
        self.report(fields, None).await
    }

    /// How far all files that are not there yet are together, 0 to 1. Renews the lease as [`Self::progress`] does.
    pub async fn progress_of_rest(&self, done: f32) -> Result<(), TaskError> {
        let rest = self.brief.count.saturating_sub(self.files) as f32;
        let mut fields = Facts::new();
        let share = self.share_with(done.clamp(0.0, 1.0) * rest);
        put(&mut fields, &self.work.progress, share.into());
        self.report(fields, None).await
    }

    /// One picture from elsewhere is there: it is looked at as an upload is.
    pub async fn attach_received(
        &mut self,
        files: &Files,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), TaskError> {
        let incoming = files.examined(name, bytes).await.map_err(refused)?;
        let kept = files
            .keep(&self.tenant, &self.key, self.clock.new_id(), incoming)
            .await;
        self.show(files, kept.map_err(TaskError::Unavailable)?)
            .await
    }

    /// One file is there.
    pub async fn attach(&mut self, files: &Files, png: Vec<u8>) -> Result<(), TaskError> {
        let name = format!("image-{}.png", self.files + 1);
        let kept = files
            .keep_png(&self.tenant, &self.key, self.clock.new_id(), &name, png)
            .await;
        self.show(files, kept.map_err(TaskError::Unavailable)?)
            .await
    }

    async fn show(&mut self, files: &Files, file: FileInfo) -> Result<(), TaskError> {
        let path = file.path.clone();
        let mut request = self.request(ItemAction::Attach);
        request.file = Some(file);
        let shown = self.dispatch(request).await;
        if let Err(TaskError::Gone(_)) = &shown {
            files.discard(&path).await;
        }
        self.files += 1;
        shown.map(drop)
    }

    /// All files are there.
    pub async fn done(&self) -> Result<(), TaskError> {
        let mut fields = Facts::new();
        put(&mut fields, &self.work.progress, 100.into());
        self.report(fields, self.work.done.clone()).await
    }

    /// It ends without its result.
    pub async fn fail(&self, error: TaskError) {
        match error {
            TaskError::Gone(error) => {
                tracing::debug!(%error, "nobody waits for the result of a task")
            }
            TaskError::Unavailable(error) => {
                tracing::warn!(%error, "a task waits for its lease to end")
            }
            TaskError::Failed(why) => {
                let why: String = why.chars().take(ERROR_CHARS_MAX).collect();
                let mut fields = Facts::new();
                put(&mut fields, &self.work.error, why.into());
                if let Err(error) = self.report(fields, self.work.failed.clone()).await {
                    tracing::warn!(%error, "unable to say that a task failed");
                }
            }
        }
    }

    /// Of all files together, in whole hundredths; what is not attached yet is not all.
    fn share(&self, done: f32) -> u32 {
        self.share_with(done.clamp(0.0, 1.0))
    }

    fn share_with(&self, files_more: f32) -> u32 {
        let count = self.brief.count.max(1) as f32;
        let share = (self.files as f32 + files_more) / count * 100.0;
        (share as u32).min(99)
    }

    async fn report(&self, fields: Facts, status: Option<Arc<str>>) -> Result<(), TaskError> {
        let mut request = self.request(ItemAction::Update);
        (request.fields, request.status) = (fields, status);
        self.dispatch(request).await.map(drop)
    }

    fn request(&self, action: ItemAction) -> ItemRequest {
        ItemRequest {
            id: Some(self.key.id.clone()),
            ..ItemRequest::new(action, self.key.shelf.clone())
        }
    }

    async fn dispatch(&self, request: ItemRequest) -> Result<Facts, TaskError> {
        let done = dispatch(&self.dispatcher, &self.tenant, self.clock, request).await;
        done.map_err(|error| match error.code {
            Code::Unavailable | Code::Overloaded | Code::StorageFull | Code::Internal => {
                TaskError::Unavailable(error)
            }
            _ => TaskError::Gone(error),
        })
    }
}

/// What is no picture that we take fails; where there is no room for it now, it is tried again.
fn refused(error: Error) -> TaskError {
    match error.code {
        Code::InvalidPayload | Code::TooLarge => TaskError::Failed(error.message),
        _ => TaskError::Unavailable(error),
    }
}

async fn dispatch(
    dispatcher: &Arc<Dispatcher>,
    tenant: &TenantKey,
    clock: Clock,
    request: ItemRequest,
) -> Result<Facts, Error> {
    let invocation = Invocation {
        tenant: tenant.clone(),
        actor: Actor::Backend,
        origin: Origin::Http,
        now: clock.now(),
        new_id: clock.new_id(),
        command: Command::Item(Box::new(request)),
    };
    // In a task of its own: an engine that stops must not stop a command between its commit and what follows it.
    let dispatcher = dispatcher.clone();
    let done = tokio::spawn(async move { dispatcher.dispatch(invocation).await }).await;
    done.unwrap_or_else(|_| Err(Error::new(Code::Internal, "the command failed")))
}

fn put(fields: &mut Facts, name: &Option<Arc<str>>, value: Value) {
    if let Some(name) = name {
        fields.insert(name.to_string(), value);
    }
}

impl Brief {
    /// What an item asks for, and whether it named a seed. One that names none has the one that follows from its id.
    fn of(work: &Work, item: &Facts, id: &ItemId) -> (Self, bool) {
        let fields = item.get("fields").and_then(Value::as_object);
        let field = |name: &Option<Arc<str>>| fields?.get(&**name.as_ref()?);
        let text = |name| {
            field(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let number = |name, or: u32| {
            let found = field(name).and_then(Value::as_u64);
            found
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(or)
        };
        let seed = field(&work.seed).and_then(Value::as_u64);
        let brief = Self {
            prompt: text(&work.prompt),
            negative_prompt: text(&work.negative_prompt),
            width: number(&work.width, 512),
            height: number(&work.height, 512),
            count: number(&work.count, 1).min(FILES_MAX as u32),
            seed: seed.unwrap_or_else(|| seed_of(id.as_str())),
        };
        (brief, seed.is_some())
    }
}

/// FNV-1a over an id.
fn seed_of(id: &str) -> u64 {
    let hash = id.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (hash ^ (hash >> 11)) & SEED_MASK
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_brief_is_read_by_the_names_of_the_app_file() {
        let work = Work {
            prompt: Some("wish".into()),
            seed: Some("grain".into()),
            count: Some("pieces".into()),
            ..Work::default()
        };
        let item = json!({"fields": {"wish": "a lake", "pieces": 3, "prompt": "no"}});
        let item = item.as_object().expect("an object");
        let (brief, seeded) = Brief::of(&work, item, &ItemId::text("1"));
        assert_eq!(
            (brief.prompt.as_str(), brief.count, brief.width, seeded),
            ("a lake", 3, 512, false)
        );
        assert!(
            brief.seed <= SEED_MASK
                && brief.seed != Brief::of(&work, item, &ItemId::text("2")).0.seed
        );
    }
}
