//! What tokens are proved with: the settings that hold for all apps, and those of `[apps.NAME]` in `relais.toml` for one.
//!
//! Comes in: the gathered values and the tables of the file. Goes out: [`TokenKeys`]. An app that has any key of its own is proved with its
//! own alone.

use std::collections::BTreeMap;

use super::{RawSettings, SettingsError};

/// What tokens are proved with.
#[derive(Clone, Default)]
pub struct TokenKeys {
    /// A shared secret.
    pub secret: Option<String>,
    /// A public key in PEM.
    pub public_key: Option<String>,
    /// Where the issuer serves its key set.
    pub jwks_url: Option<String>,
    /// The `iss` that a token has to have.
    pub issuer: Option<String>,
    /// The `aud` that a token has to have.
    pub audience: Option<String>,
}

/// Keys of an app's table. Those that hold a key are also read from the file that `KEY_file` names.
const KEYS: [&str; 5] = [
    "jwt_secret",
    "jwt_public_key",
    "jwks_url",
    "jwt_issuer",
    "jwt_audience",
];

impl TokenKeys {
    /// Those that hold for every app without its own.
    pub(super) fn read(raw: &RawSettings) -> Self {
        Self::from_values(&|key| raw.optional(key).map(str::to_owned))
    }

    /// An app's table of the file. The error says what is wrong with it, and quotes no value.
    pub(super) fn read_app(name: &str, table: &toml::Table) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let wrong = |reason: &str| format!("`{key}` of [apps.{name}] is wrong; {reason}");
            let text = value.as_str().ok_or_else(|| wrong("expected a text"))?;
            let of_file = key
                .strip_suffix("_file")
                .filter(|key| KEYS[..2].contains(key));
            let (key, text) = match of_file {
                Some(key) => {
                    let text = std::fs::read_to_string(text);
                    (key, text.map_err(|error| wrong(&error.to_string()))?)
                }
                None => (key.as_str(), text.to_owned()),
            };
            if !KEYS.contains(&key) {
                let known = KEYS.join(", ");
                return Err(wrong(&format!(
                    "an app has {known}, jwt_secret_file, jwt_public_key_file, webhook_url, webhook_secret, webhook_secret_file"
                )));
            }
            if text.trim().is_empty() {
                return Err(wrong("it is empty"));
            }
            values.insert(key.to_owned(), text.trim().to_owned());
        }
        Ok(Self::from_values(&|key| values.get(key).cloned()))
    }

    fn from_values(value: &dyn Fn(&'static str) -> Option<String>) -> Self {
        let [secret, public_key, jwks_url, issuer, audience] = KEYS.map(value);
        Self {
            secret,
            public_key,
            jwks_url,
            issuer,
            audience,
        }
    }

    /// Whether there is anything to prove a token with.
    pub fn is_any(&self) -> bool {
        self.secret.is_some() || self.public_key.is_some() || self.jwks_url.is_some()
    }

    /// Secrets that nobody can guess, and key sets that nobody can change on their way: what is needed beyond loopback.
    pub(super) fn check(&self, of: &str) -> Result<(), SettingsError> {
        let unsafe_start = |text: String| Err(SettingsError::Unsafe(text));
        if let Some(secret) = &self.secret
            && (super::PLACEHOLDERS.contains(&secret.to_lowercase().as_str()) || secret.len() < 32)
        {
            return unsafe_start(format!(
                "unable to start; {of} is a placeholder or shorter than 32 bytes"
            ));
        }
        match &self.jwks_url {
            Some(address) if !address.starts_with("https://") => unsafe_start(format!(
                "unable to start; the key set of {of} has to be served by https"
            )),
            _ => Ok(()),
        }
    }
}
