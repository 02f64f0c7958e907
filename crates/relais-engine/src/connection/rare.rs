//! What a connection needs for a while only: in a box that is there while something is in it.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::Connection;
use crate::service::Service;

/// Names of namespaces.
type Names = SmallVec<[Arc<str>; 1]>;

#[derive(Default)]
pub(super) struct Rare {
    /// Read but not handled yet, because a session cannot take more.
    stash: Vec<u8>,
    /// Namespaces that the service is deciding about.
    connecting: Names,
    /// Namespaces that we ended while the connection went on: what crossed our DISCONNECT is no fault of the client.
    left: Names,
    /// When its last session went, if it has had one and has none.
    alone_since: Option<Instant>,
}

impl<S: Service> Connection<S> {
    /// Keeps what was read for later.
    pub(crate) fn stash(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.change_rare(|rare| rare.stash.extend_from_slice(bytes));
        }
    }

    /// What was kept, if anything was.
    pub(crate) fn take_stash(&self) -> Vec<u8> {
        if self.rare.borrow().is_none() {
            return Vec::new();
        }
        self.change_rare(|rare| std::mem::take(&mut rare.stash))
    }

    /// The service is asked about a namespace.
    pub(crate) fn begin_connecting(&self, namespace: Arc<str>) {
        self.change_rare(|rare| rare.connecting.push(namespace));
    }

    /// The service has decided about it.
    pub(crate) fn end_connecting(&self, namespace: &Arc<str>) {
        let names = |rare: &mut Rare| rare.connecting.retain(|name| !Arc::ptr_eq(name, namespace));
        self.change_rare(names);
    }

    pub(crate) fn is_connecting(&self, namespace: &str) -> bool {
        self.is_named(namespace, |rare| &rare.connecting)
    }

    /// How many namespaces the service is deciding about.
    pub(crate) fn connecting(&self) -> usize {
        self.rare
            .borrow()
            .as_ref()
            .map_or(0, |rare| rare.connecting.len())
    }

    /// We have ended a namespace.
    pub(crate) fn mark_left(&self, namespace: &Arc<str>) {
        self.change_rare(|rare| rare.left.push(Arc::clone(namespace)));
    }

    /// It has come back.
    pub(crate) fn unmark_left(&self, namespace: &str) {
        if self.has_left(namespace) {
            self.change_rare(|rare| rare.left.retain(|name| **name != *namespace));
        }
    }

    pub(crate) fn has_left(&self, namespace: &str) -> bool {
        self.is_named(namespace, |rare| &rare.left)
    }

    /// Its last session has gone.
    pub(super) fn mark_alone(&self) {
        self.change_rare(|rare| rare.alone_since = Some(Instant::now()));
    }

    /// It has a session.
    pub(crate) fn unmark_alone(&self) {
        if self.alone_since().is_some() {
            self.change_rare(|rare| rare.alone_since = None);
        }
    }

    pub(super) fn alone_since(&self) -> Option<Instant> {
        self.rare
            .borrow()
            .as_ref()
            .and_then(|rare| rare.alone_since)
    }

    fn is_named(&self, namespace: &str, names: impl Fn(&Rare) -> &Names) -> bool {
        let rare = self.rare.borrow();
        let mut names = rare.iter().flat_map(|rare| names(rare).iter());
        names.any(|name| **name == *namespace)
    }

    fn change_rare<T>(&self, change: impl FnOnce(&mut Rare) -> T) -> T {
        let mut place = self.rare.borrow_mut();
        let rare = place.get_or_insert_default();
        let changed = change(rare);
        let is_needed = rare.alone_since.is_some() || !rare.left.is_empty();
        if !is_needed && rare.stash.is_empty() && rare.connecting.is_empty() {
            *place = None;
        }
        changed
    }
}
