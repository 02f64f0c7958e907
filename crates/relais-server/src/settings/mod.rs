//! Settings: flag > environment > `relais.toml` > default, with the place that each value came from.
//!
//! Comes in: the command line's overrides, the environment, the file. Goes out: [`Settings`], checked. A key that is not in
//! the [`table`] is an error, and so is a value outside its range: a server that starts has been understood.

mod files;
mod limits;
mod table;
mod token_keys;
mod vapid;
mod warnings;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::proxies::Proxies;

pub use files::ImageEngine;
pub use limits::Limits;
pub use table::{Row, TABLE};
pub use token_keys::TokenKeys;
pub use vapid::VapidSettings;
pub use warnings::unknown_names;
pub use webhook::WebhookSettings;

/// Why the settings are refused. The text names the key, the place it came from and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read or parsed.
    #[error("unable to read {path}; {reason}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The file has a key that no setting has.
    #[error("unknown setting `{key}` in {path}; the settings are: {known}")]
    UnknownKey {
        /// Which key.
        key: String,
        /// In which file.
        path: String,
        /// All keys.
        known: String,
    },
    /// A value that cannot be.
    #[error("setting `{key}` ({source_text}) is wrong; {reason}")]
    Value {
        /// Which key.
        key: &'static str,
        /// Where it came from.
        source_text: String,
        /// What would be right.
        reason: String,
    },
    /// Not safe to start like this.
    #[error("{0}")]
    Unsafe(String),
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A command line flag.
    Flag,
    /// An environment variable.
    Environment(String),
    /// `relais.toml`, or the file of `--config`.
    File(String),
    /// The table.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("flag"),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::File(path) => write!(f, "file {path}"),
            Source::Default => f.write_str("default"),
        }
    }
}

/// A value before it is understood. Not `Debug`: it may be a secret.
#[derive(Clone)]
pub struct Raw {
    /// As text, lists separated by commas.
    pub text: String,
    /// Where it came from.
    pub source: Source,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which pages may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any origin: said explicitly with `*`.
    Any,
    /// `http(s)://localhost`, `127.0.0.1` and `[::1]` on any port.
    Loopback,
    /// Exactly these.
    List(Vec<String>),
}

/// Everything that can be set, understood. Not `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// What tokens are proved with; nothing: development mode.
    pub token_keys: TokenKeys,
    /// The same for single apps.
    pub app_token_keys: BTreeMap<String, TokenKeys>,
    /// Proxies whose word counts.
    pub trusted_proxies: Proxies,
    /// The team's own backend.
    pub webhook: WebhookSettings,
    /// The same for single apps.
    pub app_webhooks: BTreeMap<String, WebhookSettings>,
    /// Who we are to push services.
    pub vapid: VapidSettings,
    /// Hosts inside one's own network that are push services.
    pub push_private_hosts: Vec<String>,
    /// Hosts inside one's own network that the server may ask.
    pub outgoing_private_hosts: Vec<String>,
    /// Keys of the team's backend.
    pub api_keys: Vec<String>,
    /// Which pages may connect.
    pub allowed_origins: Origins,
    /// App served at the root.
    pub app: Option<String>,
    /// Folder with app files instead of the built-in ones.
    pub apps_dir: Option<PathBuf>,
    /// Data folder.
    pub data: PathBuf,
    /// File of the embedded store.
    pub database: PathBuf,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Filter of the log.
    pub log_level: String,
    /// Threads that own connections; 0: one a core.
    pub shards: usize,
    /// Milliseconds between heartbeats.
    pub ping_interval_ms: u64,
    /// Milliseconds that an answer may take.
    pub ping_timeout_ms: u64,
    /// Largest message from a client.
    pub payload_bytes_max: usize,
    /// Bytes queued for one connection.
    pub outbox_bytes_max: usize,
    /// Frames queued for one connection.
    pub outbox_frames_max: usize,
    /// New connections a minute from one address; `None`: no limit.
    pub connections_per_ip_per_minute_max: Option<u32>,
    /// Events a second from one session; `None`: no limit.
    pub events_per_second_max: Option<u32>,
    /// Age to which the log is kept.
    pub recovery_hours: u32,
    /// Records a room to which the log is kept.
    pub recovery_records_max: u32,
    /// Seconds over which connections are closed at a stop.
    pub drain_seconds: u64,
    /// What files may be, and where they go.
    pub files: crate::files::FileSettings,
    /// What makes pictures that an app asks for.
    pub image_engine: ImageEngine,
    /// What a single peer may make us read, hold or wait for.
    pub limits: Limits,
}

/// Raw values by key, each with its source.
pub struct RawSettings {
    values: BTreeMap<&'static str, Raw>,
    apps: OfApps,
    warnings: Vec<String>,
}

/// Tables of single apps.
#[derive(Default)]
struct OfApps {
    keys: BTreeMap<String, TokenKeys>,
    webhooks: BTreeMap<String, WebhookSettings>,
}

impl OfApps {
    fn read(&mut self, name: &str, table: &toml::Table) -> Result<(), String> {
        let mut table = table.clone();
        if let Some(webhook) = WebhookSettings::take(name, &mut table)? {
            self.webhooks.insert(name.to_owned(), webhook);
        }
        let keys = TokenKeys::read_app(name, &table)?;
        self.keys.insert(name.to_owned(), keys);
        Ok(())
    }
}

impl RawSettings {
    /// Gathers every setting from its highest source. `flags` has keys of the table; `environment` looks a name up.
    pub fn gather(
        flags: &BTreeMap<&'static str, String>,
        environment: &dyn Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, SettingsError> {
        let (from_file, apps) = read_file(file)?;
        let mut values = BTreeMap::new();
        for row in TABLE {
            let raw = if let Some(text) = flags.get(row.key) {
                Raw {
                    text: text.clone(),
                    source: Source::Flag,
                }
            } else if let Some(raw) = from_environment(row, environment)? {
                raw
            } else if let Some(raw) = from_file.get(row.key) {
                raw.clone()
            } else {
                Raw {
                    text: row.default.to_owned(),
                    source: Source::Default,
                }
            };
            values.insert(row.key, raw);
        }
        Ok(Self {
            values,
            apps,
            warnings: warnings::given_twice(environment),
        })
    }

    /// Each row with its value, for `config show`. Secrets are shown as `(set)` or `(not set)`, and who an address says one is not at all.
    pub fn show(&self) -> impl Iterator<Item = (&'static Row, String, &Source)> {
        TABLE.iter().map(|row| {
            let raw = &self.values[row.key];
            let text = match (row.secret, raw.text.is_empty()) {
                (true, true) => "(not set)".to_owned(),
                (true, false) => "(set)".to_owned(),
                (false, _) => without_credentials(&raw.text),
            };
            (row, text, &raw.source)
        })
    }

    /// What was gathered and is likely not meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The folder of app files, where one is set.
    pub fn apps_dir(&self) -> Option<PathBuf> {
        self.optional("apps_dir").map(PathBuf::from)
    }

    fn text(&self, key: &'static str) -> &str {
        &self.values[key].text
    }

    fn wrong(&self, key: &'static str, reason: impl Into<String>) -> SettingsError {
        SettingsError::Value {
            key,
            source_text: self.values[key].source.to_string(),
            reason: reason.into(),
        }
    }

    fn number(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, SettingsError> {
        let wanted = || {
            format!(
                "expected a whole number from {} to {}",
                range.start(),
                range.end()
            )
        };
        let number = self
            .text(key)
            .trim()
            .parse::<u64>()
            .map_err(|_| self.wrong(key, wanted()))?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(self.wrong(key, wanted()))
        }
    }

    fn optional(&self, key: &'static str) -> Option<&str> {
        Some(self.text(key).trim()).filter(|text| !text.is_empty())
    }

    fn list(&self, key: &'static str) -> Vec<String> {
        self.text(key)
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Understands and checks everything.
    pub fn check(&self) -> Result<Settings, SettingsError> {
        let host = self.text("host").trim();
        let host = if host == "localhost" {
            "127.0.0.1"
        } else {
            host
        };
        let host: IpAddr = host.trim_matches(['[', ']']).parse().map_err(|_| {
            self.wrong(
                "host",
                "expected an address such as 127.0.0.1, 0.0.0.0 or ::",
            )
        })?;
        let data = PathBuf::from(self.text("data"));
        let some = |number: u64| u32::try_from(number).ok().filter(|number| *number > 0);
        let settings = Settings {
            listen: SocketAddr::new(host, self.number("port", 0..=65_535)? as u16),
            token_keys: TokenKeys::read(self),
            trusted_proxies: self.trusted_proxies()?,
            app_token_keys: self.apps.keys.clone(),
            webhook: WebhookSettings::read(self),
            app_webhooks: self.apps.webhooks.clone(),
            vapid: VapidSettings::of(self)?,
            push_private_hosts: self.list("push_private_hosts"),
            outgoing_private_hosts: self.list("outgoing_private_hosts"),
            api_keys: self.list("api_key"),
            allowed_origins: self.origins()?,
            app: self.optional("app").map(str::to_owned),
            apps_dir: self.apps_dir(),
            database: self.database(&data)?,
            files: files::files(self, &data)?,
            image_engine: files::image_engine(self)?,
            data,
            log_format: match self.text("log_format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(self.wrong("log_format", "expected `text` or `json`")),
            },
            log_level: self.text("log_level").to_owned(),
            shards: self.number("shards", 0..=256)? as usize,
            ping_interval_ms: self.number("ping_interval_ms", 100..=300_000)?,
            ping_timeout_ms: self.number("ping_timeout_ms", 100..=300_000)?,
            payload_bytes_max: self.number("payload_bytes_max", 1_024..=104_857_600)? as usize,
            outbox_bytes_max: self.number("outbox_bytes_max", 65_536..=1_073_741_824)? as usize,
            outbox_frames_max: self.number("outbox_frames_max", 16..=1_000_000)? as usize,
            connections_per_ip_per_minute_max: some(
                self.number("connections_per_ip_per_minute_max", 0..=10_000_000)?,
            ),
            events_per_second_max: some(self.number("events_per_second_max", 0..=10_000_000)?),
            recovery_hours: self.number("recovery_hours", 1..=720)? as u32,
            recovery_records_max: self.number("recovery_records_max", 100..=1_000_000)? as u32,
            drain_seconds: self.number("drain_seconds", 0..=30)?,
            limits: Limits::read(self)?,
        };
        settings.check_secrets()?;
        Ok(settings)
    }

    fn trusted_proxies(&self) -> Result<Proxies, SettingsError> {
        Proxies::parse(&self.list("trusted_proxies")).map_err(|text| {
            let reason = format!("`{text}` is neither an address nor a network such as 10.0.0.0/8");
            self.wrong("trusted_proxies", reason)
        })
    }

    fn origins(&self) -> Result<Origins, SettingsError> {
        let list = self.list("allowed_origins");
        if list.is_empty() {
            return Ok(Origins::Loopback);
        }
        if list.iter().any(|origin| origin == "*") {
            return Ok(Origins::Any);
        }
        for origin in &list {
            let right = origin
                .parse::<http::Uri>()
                .is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some());
            if !right || origin.ends_with('/') {
                let reason = format!(
                    "`{origin}` is no origin; expected such as https://app.example.org, without a path"
                );
                return Err(self.wrong("allowed_origins", reason));
            }
        }
        Ok(Origins::List(list))
    }

    fn database(&self, data: &Path) -> Result<PathBuf, SettingsError> {
        match self.optional("database_url") {
            None => Ok(data.join("relais.db")),
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) => Ok(PathBuf::from(path.trim_start_matches("//"))),
                None => Err(self.wrong(
                    "database_url",
                    "expected `sqlite:PATH`; this version has no other store",
                )),
            },
        }
    }
}

/// Addresses without what stands before their `@`: names and passwords, or a token.
fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((scheme, address)) = rest.split_once("://") {
        let end = address.find(['/', '?', '#', ',', ' ']);
        let (authority, behind) = address.split_at(end.unwrap_or(address.len()));
        shown.push_str(scheme);
        shown.push_str("://");
        match authority.rsplit_once('@') {
            Some((_, host)) => shown.extend(["(hidden)@", host]),
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown + rest
}

/// Secrets that are in every tutorial.
const PLACEHOLDERS: &[&str] = &[
    "secret",
    "changeme",
    "change-me",
    "your-secret-key",
    "your_secret_key",
    "jwt_secret",
    "password",
];

impl Settings {
    /// No key was given: development mode.
    pub fn is_development(&self) -> bool {
        !self.token_keys.is_any()
    }

    /// Only this machine can reach us.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }

    fn check_secrets(&self) -> Result<(), SettingsError> {
        if self.is_loopback() {
            return Ok(());
        }
        let unsafe_start = |text: &str| Err(SettingsError::Unsafe(text.to_owned()));
        if !self.token_keys.is_any() {
            return unsafe_start(
                "unable to start; beyond loopback a JWT_SECRET of at least 32 bytes, a JWT_PUBLIC_KEY or a JWT_JWKS_URL is needed",
            );
        }
        self.token_keys.check("JWT_SECRET")?;
        for (app, keys) in &self.app_token_keys {
            keys.check(&format!("[apps.{app}]"))?;
        }
        if self.api_keys.iter().any(|key| key.len() < 16) {
            return unsafe_start("unable to start; an API_KEY is shorter than 16 bytes");
        }
        Ok(())
    }
}

fn from_environment(
    row: &Row,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Raw>, SettingsError> {
    for name in row.env {
        if let Some(text) = environment(name).filter(|text| !text.is_empty()) {
            return Ok(Some(Raw {
                text,
                source: Source::Environment((*name).to_owned()),
            }));
        }
        let file_name = format!("{name}_FILE");
        if let Some(path) = row.secret.then(|| environment(&file_name)).flatten() {
            let text = std::fs::read_to_string(&path).map_err(|error| SettingsError::File {
                path: path.clone(),
                reason: error.to_string(),
            })?;
            if text.trim().is_empty() {
                // To go on would be development mode, where a secret was meant.
                let reason = format!("{file_name} names it, and it is empty");
                return Err(SettingsError::File { path, reason });
            }
            return Ok(Some(Raw {
                text: text.trim_end().to_owned(),
                source: Source::Environment(file_name),
            }));
        }
    }
    Ok(None)
}

/// Settings of the file, and its tables of single apps.
type OfFile = (BTreeMap<&'static str, Raw>, OfApps);

fn read_file(path: Option<&Path>) -> Result<OfFile, SettingsError> {
    let (mut values, mut apps) = OfFile::default();
    let path = match path {
        Some(path) => path,
        None if Path::new("relais.toml").exists() => Path::new("relais.toml"),
        None => return Ok((values, apps)),
    };
    let shown = path.display().to_string();
    let refused = |reason: String| SettingsError::File {
        path: shown.clone(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    // The error's own text quotes the line, and the line may hold a secret.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        refused(format!("line {line}: {}", error.message()))
    })?;
    for (key, value) in table {
        if let ("apps", toml::Value::Table(tables)) = (key.as_str(), &value) {
            for (name, table) in tables {
                let table = table.as_table();
                let table =
                    table.ok_or_else(|| refused(format!("`apps.{name}` is not a table")))?;
                apps.read(name, table).map_err(refused)?;
            }
            continue;
        }
        let Some(row) = TABLE.iter().find(|row| row.key == key) else {
            let known = TABLE
                .iter()
                .map(|row| row.key)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(SettingsError::UnknownKey {
                key,
                path: shown,
                known,
            });
        };
        let plain = |value: &toml::Value| match value {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        };
        let text = match &value {
            toml::Value::Array(parts) => parts
                .iter()
                .map(plain)
                .collect::<Option<Vec<_>>>()
                .map(|parts| parts.join(",")),
            value => plain(value),
        };
        let text = text.ok_or_else(|| {
            refused(format!(
                "`{key}` is neither text, number nor a list of them"
            ))
        })?;
        values.insert(
            row.key,
            Raw {
                text,
                source: Source::File(shown.clone()),
            },
        );
    }
    Ok((values, apps))
}

#[cfg(test)]
mod tests;
