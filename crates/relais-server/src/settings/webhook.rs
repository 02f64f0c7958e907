//! Where the team's own backend is: the settings that hold for all apps, and those of `[apps.NAME]` in `relais.toml` for one.
//!
//! Comes in: the gathered values and the tables of the file. Goes out: [`WebhookSettings`]. An app that has its own has both of its own.

use std::collections::BTreeMap;

use super::{RawSettings, SettingsError};
use crate::outside::Address;

/// Address and secret, as they were set.
#[derive(Clone, Default)]
pub struct WebhookSettings {
    /// Where.
    pub url: Option<String>,
    /// What requests are signed with.
    pub secret: Option<String>,
}

/// Keys of an app's table that are about its backend.
const KEYS: [&str; 3] = ["webhook_url", "webhook_secret", "webhook_secret_file"];

impl WebhookSettings {
    /// What holds for every app without its own.
    pub(super) fn read(raw: &RawSettings) -> Self {
        Self {
            url: raw.optional("webhook_url").map(str::to_owned),
            secret: raw.optional("webhook_secret").map(str::to_owned),
        }
    }

    /// Takes what is about the backend out of an app's table; `None` where nothing is. The error quotes no value.
    pub(super) fn take(name: &str, table: &mut toml::Table) -> Result<Option<Self>, String> {
        let mut values = BTreeMap::new();
        for key in KEYS {
            let Some(value) = table.remove(key) else {
                continue;
            };
            let wrong = |reason: &str| format!("`{key}` of [apps.{name}] is wrong; {reason}");
            let text = value.as_str().ok_or_else(|| wrong("expected a text"))?;
            let text = match key.strip_suffix("_file") {
                None => text.to_owned(),
                Some(_) => {
                    std::fs::read_to_string(text).map_err(|error| wrong(&error.to_string()))?
                }
            };
            values.insert(key.trim_end_matches("_file"), text.trim().to_owned());
        }
        let settings = Self {
            url: values.remove("webhook_url"),
            secret: values.remove("webhook_secret"),
        };
        let is_any = settings.url.is_some() || settings.secret.is_some();
        Ok(is_any.then_some(settings))
    }

    /// The backend, if there is one.
    pub fn address(&self, of: &str) -> Result<Option<Address>, SettingsError> {
        let read = Address::read(self.url.as_deref(), self.secret.as_deref());
        read.map_err(|error| SettingsError::Unsafe(format!("unable to start; {error} ({of})")))
    }
}
