//! Which apps have a backend and push to browsers, and who follows their logs: from the settings and the app files to what runs.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use relais_core::error::{Code, Error};
use relais_core::event::Person;
use relais_core::ids::{RoomKey, TenantKey};
use relais_core::ports::{Doorman, Outside, Store};
use relais_core::vocabulary::App;
use tokio::runtime::Handle;

use super::{Backend, Bell, Bells, Browsers, Door, Follower, Pushes, Teller, Webhooks};
use crate::boot::BootError;
use crate::clock::Clock;
use crate::development;
use crate::glue::apps::Apps;
use crate::outgoing::Outgoing;
use crate::settings::{Settings, VapidSettings};

/// Name of the key in the data folder that development mode pushes with.
const VAPID_KEY: &str = "vapid.key";

/// The backend of an app: its own, else that of all apps, else none.
pub fn backend(
    settings: &Settings,
    app: &App,
    outgoing: &Outgoing,
    clock: Clock,
) -> Result<Option<Arc<Backend>>, BootError> {
    let own = settings.app_webhooks.get(&*app.name);
    let set = own.unwrap_or(&settings.webhook);
    let Some(address) = set.address(&app.name)? else {
        if !app.webhook.tell.is_empty() || app.webhook.tells_pushes {
            tracing::warn!(app = %app.name, "there is no `webhook_url`, so nobody is told of this app's events");
        }
        return Ok(None);
    };
    outgoing
        .check(&address.url)
        .map_err(|reason| BootError::Backend {
            app: app.name.to_string(),
            reason,
        })?;
    let backend = Backend::new(address, outgoing.clone(), Handle::current(), clock);
    Ok(Some(Arc::new(backend)))
}

/// What pushes to browsers, where an app wants that and the server has a key. Its way out is its own: no user's choice of an address may
/// lead to what the operator has opened for webhooks.
pub fn browsers(
    settings: &Settings,
    apps: &[Arc<App>],
    clock: Clock,
) -> Result<Option<Arc<Browsers>>, BootError> {
    if apps.iter().all(|app| !app.push.is_on()) {
        return Ok(None);
    }
    let vapid = match settings.vapid.read()? {
        Some(vapid) => vapid,
        None if settings.is_development() => {
            let kept = development::kept_secret(&settings.data, VAPID_KEY);
            let key = kept.map_err(|reason| BootError::KeptKey {
                path: settings.data.display().to_string(),
                reason,
            })?;
            let own = VapidSettings::of_development(key);
            own.read()?.ok_or_else(|| own.missing())?
        }
        None => {
            let silent = |app: &&Arc<App>| app.push.is_on() && !app.webhook.tells_pushes;
            for app in apps.iter().filter(silent) {
                tracing::warn!(app = %app.name, "there is no `vapid_private_key`, so nobody who is away gets this app's pushes");
            }
            return Ok(None);
        }
    };
    let outgoing = Outgoing::new(&settings.push_private_hosts)?;
    Ok(Some(Arc::new(Browsers::new(vapid, outgoing, clock))))
}

/// Who says who may join an app's rooms.
pub fn doorman(backend: Option<&Arc<Backend>>) -> Arc<dyn Doorman> {
    match backend {
        Some(backend) => Arc::new(Door(backend.clone())),
        None => Arc::new(Nobody),
    }
}

/// An app without a backend lets nobody in by one.
struct Nobody;

#[async_trait]
impl Doorman for Nobody {
    async fn may_join(&self, _: &TenantKey, _: &RoomKey, _: &Person) -> Result<bool, Error> {
        let text = "unable to check membership; this server knows no backend to ask";
        Err(Error::new(Code::Unavailable, text))
    }
}

/// The followers of all apps that need one; their bells are hung up.
pub fn followers<S>(apps: &Apps, store: &Arc<S>, bells: &Bells, clock: Clock) -> Vec<Follower>
where
    S: Store + Outside + 'static,
{
    let mut followers = Vec::new();
    let mut hung: HashMap<Arc<str>, Vec<Arc<Bell>>> = HashMap::new();
    for served in apps.iter() {
        let mut tellers: Vec<Arc<dyn Teller>> = Vec::new();
        if let (Some(backend), false) = (&served.backend, served.app.webhook.tell.is_empty()) {
            tellers.push(Arc::new(Webhooks {
                app: served.app.clone(),
                backend: backend.clone(),
            }));
        }
        let backend = served.backend.clone();
        let backend = backend.filter(|_| served.app.webhook.tells_pushes);
        if served.browsers.is_some() || backend.is_some() {
            tellers.push(Arc::new(Pushes {
                served: served.clone(),
                store: store.clone(),
                outside: store.clone(),
                browsers: served.browsers.clone(),
                backend,
                clock,
            }));
        }
        for teller in tellers {
            let bell = Arc::new(Bell::new(|kind| teller.wants(kind)));
            hung.entry(served.name.clone())
                .or_default()
                .push(bell.clone());
            followers.push(Follower {
                app: served.name.clone(),
                store: store.clone(),
                outside: store.clone(),
                teller,
                bell,
                clock,
            });
        }
    }
    bells.hang(hung);
    followers
}
