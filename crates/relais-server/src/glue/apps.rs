//! The apps that this process serves, each with its file, its keys and its dispatcher, and how a path finds one.

use std::sync::Arc;

use relais_core::command::Identity;
use relais_core::dispatch::Dispatcher;
use relais_core::error::Error;
use relais_core::ids::{Moment, TenantKey, Timestamp};
use relais_core::limit::{ConnectionLimiter, UserLimiter};
use relais_core::vocabulary::App;

use crate::identity::Keys;
use crate::outside::{Backend, Browsers};

/// An app in service.
pub struct Served {
    /// Its name, the first segment of its paths.
    pub name: Arc<str>,
    /// Its number at the engine.
    pub endpoint: u16,
    /// Its file.
    pub app: Arc<App>,
    /// Proves its tokens.
    pub keys: Arc<Keys>,
    /// The team's own backend, where the app has one.
    pub backend: Option<Arc<Backend>>,
    /// What it pushes to browsers with, where it does.
    pub browsers: Option<Arc<Browsers>>,
    /// The door to it.
    pub dispatcher: Arc<Dispatcher>,
    /// Limits that its file sets for single events of a user.
    pub limits: UserLimiter,
    /// New connections by address; `None`: no limit.
    pub connections: Option<ConnectionLimiter>,
}

impl Served {
    /// Who a token is of, proved.
    pub async fn prove(&self, token: &str, now: Timestamp) -> Result<(TenantKey, Identity), Error> {
        let claims = self.keys.prove(token, &self.name, now).await?;
        let (tenant, identity) = self.app.identity(&claims)?;
        Ok((TenantKey::new(self.name.clone(), tenant), identity))
    }

    /// Numbers over all of its tenants, under the keys that its file gives them.
    pub fn metrics(&self, now: Moment) -> String {
        self.app
            .metrics(&self.dispatcher.stats(now.monotonic).facts())
    }
}

/// All apps in service.
pub struct Apps {
    served: Vec<Arc<Served>>,
    root: Option<usize>,
}

impl Apps {
    /// Serves `served` under their names, and the one called `root` at the root too.
    pub fn new(served: Vec<Arc<Served>>, root: Option<&str>) -> Self {
        let root = root.and_then(|root| served.iter().position(|served| &*served.name == root));
        Self { served, root }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.served.iter()
    }

    /// The one at the root.
    pub fn root(&self) -> Option<&Arc<Served>> {
        self.root.map(|root| &self.served[root])
    }

    /// The one that examples are about: at the root, else the first that has somebody to be, else the first.
    pub fn shown(&self) -> Option<&Arc<Served>> {
        let has_users = |served: &&Arc<Served>| !served.app.demo.users.is_empty();
        let first = || self.served.iter().find(has_users).or(self.served.first());
        self.root().or_else(first)
    }

    /// The one that the engine calls by a number.
    pub fn at(&self, endpoint: u16) -> Option<&Arc<Served>> {
        self.served.get(usize::from(endpoint))
    }

    /// The one with that name.
    pub fn named(&self, name: &str) -> Option<&Arc<Served>> {
        self.served.iter().find(|served| &*served.name == name)
    }

    /// The app of a path and the rest of the path: `/{app}/…` before the root app's own paths.
    pub fn of_path<'p>(&self, path: &'p str) -> Option<(&Arc<Served>, &'p str)> {
        let (first, rest) = match path.get(1..).unwrap_or_default().find('/') {
            Some(slash) => path[1..].split_at(slash),
            None => (path.get(1..).unwrap_or_default(), "/"),
        };
        match self.named(first) {
            Some(served) => Some((served, rest)),
            None => self.root().map(|served| (served, path)),
        }
    }
}
