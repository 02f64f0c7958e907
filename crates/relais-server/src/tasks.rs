//! The command line's tasks: `serve`, `token create`, `app check|asyncapi|types`, `config show`, `doctor`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use relais_core::vocabulary::App;
use serde_json::{Map, Value};

use crate::cli::{Task, TokenRequest};
use crate::clock::Clock;
use crate::documents::{asyncapi, typescript};
use crate::identity::{NewToken, sign};
use crate::settings::{RawSettings, Settings, Source, unknown_names};
use crate::{app_files, boot, development, doctor, log, open_files};

/// Does what was asked; an error is a text for people.
pub fn run(task: Task, raw: &RawSettings) -> Result<(), String> {
    match task {
        Task::Serve => serve(raw, raw.check().map_err(|error| error.to_string())?),
        Task::TokenCreate(request) => {
            token(&raw.check().map_err(|error| error.to_string())?, request)
        }
        Task::AppCheck(file) => check(&file),
        Task::AppAsyncApi(name) => {
            let document = asyncapi::document(&app(raw, &name)?);
            print(&format!("{document:#}\n"))
        }
        Task::AppTypes(name) => print(&typescript::declarations(&app(raw, &name)?)),
        Task::ConfigShow => {
            print(&show(raw))?;
            // All of them first, then which of them the server would not start with.
            raw.check().map(drop).map_err(|error| error.to_string())
        }
        Task::Doctor => examine(&raw.check().map_err(|error| error.to_string())?),
    }
}

fn print(text: &str) -> Result<(), String> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())
}

fn serve(raw: &RawSettings, settings: Settings) -> Result<(), String> {
    log::init(&settings)?;
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let given = raw.warnings().iter().cloned();
    for warning in given.chain(unknown_names(names)).chain(settings.warnings()) {
        tracing::warn!("{warning}");
    }
    open_files::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("http")
        .on_thread_park(relais_memory::give_back)
        .build()
        .map_err(|error| format!("unable to start a runtime; {error}"))?;
    runtime
        .block_on(boot::serve(settings))
        .map_err(|error| error.to_string())
}

fn show(raw: &RawSettings) -> String {
    let mut text = String::new();
    for (row, value, source) in raw.show() {
        let value = if value.is_empty() { "(empty)" } else { &value };
        let comes = if *source == Source::Default {
            String::new()
        } else {
            format!("  <- {source}")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} = {value}{comes}", row.key);
    }
    text
}

/// The app of that name, or of that file.
fn app(raw: &RawSettings, name: &str) -> Result<App, String> {
    let file = Path::new(name);
    if file.is_file() {
        let text = app_files::read(file).map_err(|error| error.to_string())?;
        return App::parse(name, &text).map_err(|mistakes| mistakes.to_string());
    }
    let folder = raw.apps_dir();
    let apps = app_files::load(folder.as_deref()).map_err(|error| error.to_string())?;
    let unknown = no_such_app(name, &apps);
    let mut apps = apps.into_iter();
    apps.find(|app| *app.name == *name).ok_or(unknown)
}

fn no_such_app(name: &str, apps: &[App]) -> String {
    app_files::no_such_app(name, apps.iter().map(|app| &*app.name)).to_string()
}

fn check(file: &Path) -> Result<(), String> {
    let text = app_files::read(file).map_err(|error| error.to_string())?;
    match App::parse(&file.display().to_string(), &text) {
        Ok(app) => {
            let (events, routes) = (app.client.iter().count(), app.http.iter().count());
            let mut text = String::new();
            for warning in &app.warnings {
                let place = (&warning.file, warning.line, warning.column);
                // Writing to a String cannot fail.
                let _ = writeln!(
                    text,
                    "{}:{}:{}: warning: {}",
                    place.0, place.1, place.2, warning.message
                );
            }
            let _ = writeln!(
                text,
                "{}: {events} client events, {} server events, {routes} routes: right",
                app.name,
                app.server.tables()
            );
            print(&text)
        }
        Err(mistakes) => Err(format!("{} has mistakes\n{mistakes}", file.display())),
    }
}

fn examine(settings: &Settings) -> Result<(), String> {
    let mut findings = doctor::examine(settings);
    let apps = app_files::load(settings.apps_dir.as_deref());
    let apps = apps.map(|apps| {
        apps.iter()
            .map(|app| app.name.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    });
    findings.push(doctor::Finding {
        name: "apps",
        result: apps.map_err(|error| error.to_string()),
    });
    let mut text = String::new();
    for finding in &findings {
        let (mark, words) = match &finding.result {
            Ok(words) => ("ok  ", words),
            Err(words) => ("FAIL", words),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {:<12} {words}", finding.name);
    }
    print(&text)?;
    match findings
        .iter()
        .filter(|finding| finding.result.is_err())
        .count()
    {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} checks failed", findings.len())),
    }
}

fn token(settings: &Settings, request: TokenRequest) -> Result<(), String> {
    let secret = match &settings.token_keys.secret {
        Some(secret) => secret.clone(),
        None if !settings.is_development() => {
            return Err(
                "unable to make a token; whoever holds the private key makes them".to_owned(),
            );
        }
        None => development::kept_secret(&settings.data, boot::DEVELOPMENT_KEY)
            .map_err(|error| error.to_string())?,
    };
    let apps = app_files::load(settings.apps_dir.as_deref()).map_err(|error| error.to_string())?;
    let app = match &settings.app {
        Some(name) => Some(
            apps.iter()
                .find(|app| *app.name == **name)
                .ok_or_else(|| no_such_app(name, &apps))?,
        ),
        None => None,
    };
    let ttl_seconds = seconds(&request.ttl).ok_or_else(|| {
        format!(
            "`{}` is no time; expected such as 90s, 15m, 1h, 7d",
            request.ttl
        )
    })?;
    let claims = claims(request, app)?;
    let token = sign(
        NewToken {
            claims,
            ttl_seconds: Some(ttl_seconds),
        },
        &secret,
        Clock::start().now().wall.0 / 1_000,
    )
    .map_err(|error| error.to_string())?;
    print(&format!("{token}\n"))
}

fn claims(request: TokenRequest, app: Option<&App>) -> Result<Map<String, Value>, String> {
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), request.user.into());
    let optional = [("name", request.name), ("role", request.role)];
    for (name, value) in optional {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value.into());
        }
    }
    if let Some(app) = app {
        claims.insert("app".to_owned(), (*app.name).into());
    }
    if let Some(tenant) = request.tenant {
        let claim = app.and_then(|app| app.identity.tenant.first());
        let claim = claim.ok_or("--tenant needs an --app that has tenants")?;
        claims.insert(claim.to_string(), tenant.into());
    }
    for claim in &request.claims {
        let (name, json) = claim
            .split_once('=')
            .ok_or_else(|| format!("`{claim}` is no claim; expected KEY=JSON"))?;
        let json = serde_json::from_str(json)
            .map_err(|error| format!("claim `{name}` is not JSON; {error}"))?;
        claims.insert(name.to_owned(), json);
    }
    Ok(claims)
}

/// `90s`, `15m`, `1h` or `7d` in seconds.
fn seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    text[..text.len() - 1]
        .parse::<i64>()
        .ok()
        .filter(|count| *count > 0)?
        .checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("7d"), Some(604_800));
        for wrong in ["", "s", "1", "-1h", "0m", "1w", "é"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
