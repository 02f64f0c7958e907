//! Who we are to push services, as it was set.
//!
//! Comes in: the gathered values. Goes out: [`VapidSettings`], from which the key pair is read.

use super::{RawSettings, SettingsError};
use crate::outside::{Vapid, VapidError};

/// Whom push services could write to, were it not development mode.
const DEVELOPMENT_SUBJECT: &str = "https://localhost";

/// Key and subject, as they were set.
#[derive(Clone, Default)]
pub struct VapidSettings {
    key: Option<String>,
    subject: Option<String>,
}

impl VapidSettings {
    pub(super) fn of(raw: &RawSettings) -> Result<Self, SettingsError> {
        let settings = Self {
            key: raw.optional("vapid_private_key").map(str::to_owned),
            subject: raw.optional("vapid_subject").map(str::to_owned),
        };
        settings.read()?;
        Ok(settings)
    }

    /// Those of development mode, with a key of our own.
    pub fn of_development(key: String) -> Self {
        Self {
            key: Some(key),
            subject: Some(DEVELOPMENT_SUBJECT.to_owned()),
        }
    }

    /// The key pair, if there is one.
    pub fn read(&self) -> Result<Option<Vapid>, SettingsError> {
        let read = Vapid::read(self.key.as_deref(), self.subject.as_deref());
        read.map_err(|error| unsafe_start(&error))
    }

    /// What is wrong where there should be one.
    pub fn missing(&self) -> SettingsError {
        unsafe_start(&VapidError::Half)
    }
}

fn unsafe_start(error: &VapidError) -> SettingsError {
    SettingsError::Unsafe(format!("unable to start; {error}"))
}
