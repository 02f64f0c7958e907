//! One at a time: the first session of a tenant takes it into use, and those that come meanwhile wait for that.
//!
//! To take a tenant into use is to read all of its presence. After a restart thousands of its sessions come in the same moment;
//! if each of them read that, none would ever be let in.

use std::future::Future;

use relais_core::error::Error;
use tokio::sync::{Mutex, Notify};

/// The door of one tenant.
#[derive(Default)]
pub struct Opening {
    at_work: Mutex<()>,
    done: Notify,
}

/// Tells those who wait, also when the one at work is dropped halfway.
struct Tell<'a>(&'a Notify);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl Opening {
    /// Runs `open` unless `is_open` says that it is not needed; never twice at the same time. A failure is the answer to the one
    /// who was at work alone: the next one tries again.
    pub async fn once<F: Future<Output = Result<(), Error>>>(
        &self,
        is_open: impl Fn() -> bool,
        open: impl Fn() -> F,
    ) -> Result<(), Error> {
        loop {
            // Before the look, so that no notice is missed between the look and the wait.
            let told = self.done.notified();
            if is_open() {
                return Ok(());
            }
            if let Ok(_at_work) = self.at_work.try_lock() {
                let _tell = Tell(&self.done);
                return open().await;
            }
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use relais_core::error::Code;

    use super::*;

    #[derive(Default)]
    struct Tenant {
        opening: Opening,
        opened: AtomicUsize,
        begun: AtomicUsize,
        gate: Notify,
    }

    impl Tenant {
        async fn come(&self) -> Result<(), Error> {
            let open = || async {
                self.begun.fetch_add(1, Ordering::SeqCst);
                self.gate.notified().await;
                self.opened.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            let is_open = || self.opened.load(Ordering::SeqCst) > 0;
            self.opening.once(is_open, open).await
        }
    }

    #[tokio::test]
    async fn a_crowd_takes_a_tenant_into_use_once() {
        let tenant = Arc::new(Tenant::default());
        let crowd: Vec<_> = (0..1_000)
            .map(|_| {
                let tenant = tenant.clone();
                tokio::spawn(async move { tenant.come().await })
            })
            .collect();
        tokio::task::yield_now().await;
        tenant.gate.notify_one();
        for one in crowd {
            one.await.expect("no panic").expect("opened");
        }
        assert_eq!(tenant.begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn when_the_one_at_work_goes_away_the_next_takes_over() {
        let tenant = Arc::new(Tenant::default());
        let first = tokio::spawn({
            let tenant = tenant.clone();
            async move { tenant.come().await }
        });
        while tenant.begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn({
            let tenant = tenant.clone();
            async move { tenant.come().await }
        });
        first.abort();
        tenant.gate.notify_one();
        second.await.expect("no panic").expect("opened");
        assert_eq!(tenant.begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_the_answer_of_the_one_who_was_at_work() {
        let opening = Opening::default();
        let fail = || async { Err(Error::new(Code::Unavailable, "no")) };
        assert!(opening.once(|| false, fail).await.is_err());
        assert!(opening.once(|| false, || async { Ok(()) }).await.is_ok());
    }
}
