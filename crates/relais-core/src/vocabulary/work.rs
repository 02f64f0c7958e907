//! `[items.KIND.work]`: which of the server's engines works on items of a kind, and which of their fields and statuses mean what to it.
//!
//! Comes in: the table. Goes out: [`Work`], checked against the kind's own fields and statuses. What an engine does is the server's.

use std::sync::Arc;

use super::mistake::suggestion;
use super::reader::Table;

/// What an engine can be asked for.
const ENGINES: [&str; 1] = ["image"];

/// How an engine works on items of a kind. Fields and statuses are named as the app file names them; `None`: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What is made: `image`.
    pub engine: Arc<str>,
    /// Field with the words that say what is to be made.
    pub prompt: Option<Arc<str>>,
    /// Field with what is not to be in it.
    pub negative_prompt: Option<Arc<str>>,
    /// Field with the pixels of a row.
    pub width: Option<Arc<str>>,
    /// Field with the rows.
    pub height: Option<Arc<str>>,
    /// Field with how many are to be made.
    pub count: Option<Arc<str>>,
    /// Field with the seed; an engine that has to choose one writes it here.
    pub seed: Option<Arc<str>>,
    /// Field for how far the work is, 0 to 100.
    pub progress: Option<Arc<str>>,
    /// Field for why there is no result.
    pub error: Option<Arc<str>>,
    /// Field for the engine's own id of the work.
    pub job: Option<Arc<str>>,
    /// Field for the engine's own id of itself.
    pub client: Option<Arc<str>>,
    /// Status of what an engine has taken.
    pub claimed: Option<Arc<str>>,
    /// Status of what is being made.
    pub running: Option<Arc<str>>,
    /// Status of what is there with all its files.
    pub done: Option<Arc<str>>,
    /// Status of what could not be made.
    pub failed: Option<Arc<str>>,
}

impl Work {
    /// Reads it. `fields`: those of the kind, `None` for any.
    pub(super) fn read(
        table: &Table<'_>,
        fields: Option<&[Arc<str>]>,
        statuses: &[Arc<str>],
    ) -> Self {
        let one_of = |key: &'static str, known: Option<&[Arc<str>]>, what: &str| {
            let (name, at) = table.text(key)?;
            if let Some(known) = known
                && !known.iter().any(|known| **known == *name)
            {
                let help = suggestion(name, known.iter().map(|known| &**known));
                table.note(at, format!("unknown {what} \"{name}\"{help}"));
            }
            Some(Arc::from(name))
        };
        let field = |key| one_of(key, fields, "field");
        let status = |key| one_of(key, Some(statuses), "status");
        let engine = match table.text("engine") {
            Some((name, at)) => {
                if !ENGINES.contains(&name) {
                    let help = suggestion(name, ENGINES);
                    table.note(at, format!("unknown engine \"{name}\"{help}"));
                }
                name
            }
            None => {
                table.note(
                    table.at.start,
                    "\"engine\" is missing; for example engine = \"image\"",
                );
                ""
            }
        };
        let work = Self {
            engine: engine.into(),
            prompt: field("prompt"),
            negative_prompt: field("negative_prompt"),
            width: field("width"),
            height: field("height"),
            count: field("count"),
            seed: field("seed"),
            progress: field("progress"),
            error: field("error"),
            job: field("job"),
            client: field("client"),
            claimed: status("claimed"),
            running: status("running"),
            done: status("done"),
            failed: status("failed"),
        };
        for (key, is_there) in [
            ("prompt", work.prompt.is_some()),
            ("done", work.done.is_some()),
            ("failed", work.failed.is_some()),
        ] {
            if !is_there {
                table.note(
                    table.at.start,
                    format!("\"{key}\" is missing: work needs it"),
                );
            }
        }
        table.finish();
        work
    }
}
