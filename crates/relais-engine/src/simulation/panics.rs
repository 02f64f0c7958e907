//! Panics on the thread of a simulation: tokio and the engine's own guards catch them, so they are noticed before.

use std::cell::RefCell;
use std::sync::Once;

use super::service::TOLD_TO;

thread_local! {
    /// The first one; `None` while nobody watches.
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Notices panics on this thread from now on, but for those that are part of the schedule. Other threads are not concerned.
pub(crate) fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let otherwise = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.to_string();
            let is_watched = SEEN.with_borrow_mut(|seen| match seen {
                Some(seen) if !text.contains(TOLD_TO) => {
                    seen.push(text);
                    true
                }
                Some(_) => true,
                None => false,
            });
            if !is_watched {
                otherwise(panic);
            }
        }));
    });
    SEEN.set(Some(Vec::new()));
}

/// The first panic since the last look.
pub(crate) fn seen() -> Option<String> {
    SEEN.with_borrow_mut(|seen| seen.as_mut().and_then(|seen| seen.pop()))
}

/// Panics are shown again as everywhere.
pub(crate) fn unwatch() {
    SEEN.set(None);
}
