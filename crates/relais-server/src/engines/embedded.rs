//! The embedded engine: paints what a task asks for, on threads of their own, and reports as it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relais_painter::{PaintError, Painting, SIDE_MAX, Stop, derived_seed, paint};
use tokio::sync::watch;
use uuid::Uuid;

use super::task::{Brief, Task, TaskError};
use crate::files::Files;

/// Between two reports of one task.
const REPORT: Duration = Duration::from_millis(350);

/// Makes all files of a task that are not there yet.
pub async fn work(task: &mut Task, files: &Files) -> Result<(), TaskError> {
    let job = Uuid::now_v7().to_string();
    task.running(&job, &client()).await?;
    let brief = task.brief().clone();
    for index in task.files()..brief.count {
        let png = painted(task, &brief, index).await?;
        task.attach(files, png).await?;
    }
    task.done().await
}

/// One for the life of this process.
fn client() -> String {
    static CLIENT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| Uuid::now_v7().to_string());
    CLIENT.clone()
}

/// Tells the painter to stop when whoever waits for it is gone.
struct Leash(Arc<AtomicBool>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn painted(task: &Task, brief: &Brief, index: u32) -> Result<Vec<u8>, TaskError> {
    let painting = Painting {
        prompt: brief.prompt.clone(),
        negative_prompt: brief.negative_prompt.clone(),
        width: brief.width.clamp(1, SIDE_MAX),
        height: brief.height.clamp(1, SIDE_MAX),
        seed: derived_seed(brief.seed, index),
    };
    let (heard, done) = watch::channel(0.0_f32);
    let leash = Leash(Arc::default());
    let stopped = leash.0.clone();
    let mut at_work = tokio::task::spawn_blocking(move || {
        paint(&painting, &mut |share| {
            heard.send_replace(share);
            match stopped.load(Ordering::Relaxed) {
                true => Err(Stop),
                false => Ok(()),
            }
        })
    });
    let mut reports = tokio::time::interval_at(tokio::time::Instant::now() + REPORT, REPORT);
    loop {
        tokio::select! {
            painted = &mut at_work => {
                return match painted {
                    Ok(Ok(png)) => Ok(png),
                    Ok(Err(PaintError::Stopped)) => Err(TaskError::Failed("stopped".to_owned())),
                    Ok(Err(error)) => Err(TaskError::Failed(error.to_string())),
                    Err(error) => {
                        tracing::error!(%error, "the painter failed");
                        Err(TaskError::Failed("the painter failed".to_owned()))
                    }
                };
            }
            _ = reports.tick() => {
                let share = *done.borrow();
                task.progress(share).await?;
            }
        }
    }
}
