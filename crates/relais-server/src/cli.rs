//! The command line: `serve`, `token create`, `app check|asyncapi|types`, `config show`, `doctor`. Every setting of the table but the secrets is a flag.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::settings::{RawSettings, Row, SettingsError, TABLE};

/// What was asked for.
pub enum Task {
    /// Run the server.
    Serve,
    /// Print a token.
    TokenCreate(TokenRequest),
    /// Check an app file.
    AppCheck(PathBuf),
    /// Print what an app speaks, as AsyncAPI.
    AppAsyncApi(String),
    /// Print what an app speaks, as TypeScript.
    AppTypes(String),
    /// Print every setting with its source.
    ConfigShow,
    /// Check that this machine can run the server.
    Doctor,
}

/// What `token create` was told.
pub struct TokenRequest {
    /// Value of the app's tenant claim.
    pub tenant: Option<String>,
    /// Claim `sub`.
    pub user: String,
    /// Claim `name`.
    pub name: Option<String>,
    /// Claim `role`.
    pub role: Option<String>,
    /// Further claims, `key=json`.
    pub claims: Vec<String>,
    /// Such as `90s`, `15m`, `1h`, `7d`.
    pub ttl: String,
}

/// Reads the command line; ends the process on `--help`, `--version` and mistakes.
pub fn parse() -> Result<(Task, RawSettings), SettingsError> {
    let matches = command().get_matches();
    let flags: BTreeMap<&'static str, String> = flags_of_settings()
        .filter_map(|row| Some((row.key, matches.get_one::<String>(row.key)?.clone())))
        .collect();
    let file = matches.get_one::<PathBuf>("config").cloned();
    let raw = RawSettings::gather(&flags, &|name| std::env::var(name).ok(), file.as_deref())?;
    Ok((task(&matches), raw))
}

/// Settings that are flags too: not the secrets, which everybody on the machine would see in the list of processes.
fn flags_of_settings() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| !row.secret)
}

fn task(matches: &ArgMatches) -> Task {
    match matches.subcommand() {
        Some(("token", token)) => match token.subcommand() {
            Some((_, create)) => Task::TokenCreate(token_request(create)),
            None => Task::Serve,
        },
        Some(("app", app)) => app.subcommand().map_or(Task::Serve, app_task),
        Some(("config", _)) => Task::ConfigShow,
        Some(("doctor", _)) => Task::Doctor,
        _ => Task::Serve,
    }
}

fn app_task((what, asked): (&str, &ArgMatches)) -> Task {
    let name = || asked.get_one::<String>("name").cloned().unwrap_or_default();
    match what {
        "asyncapi" => Task::AppAsyncApi(name()),
        "types" => Task::AppTypes(name()),
        _ => Task::AppCheck(
            asked
                .get_one::<PathBuf>("file")
                .cloned()
                .unwrap_or_default(),
        ),
    }
}

fn app_command() -> Command {
    let name = || {
        Arg::new("name")
            .required(true)
            .value_name("NAME|FILE")
            .help("An app by its name, or an app file")
    };
    let file = Arg::new("file")
        .required(true)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf));
    Command::new("app")
        .about("App files")
        .subcommand_required(true)
        .subcommand(Command::new("check").about("Check an app file").arg(file))
        .subcommand(
            Command::new("asyncapi")
                .about("Print what an app speaks, as AsyncAPI 3.0")
                .arg(name()),
        )
        .subcommand(
            Command::new("types")
                .about("Print what an app speaks, as TypeScript declarations")
                .arg(name()),
        )
}

fn token_request(create: &ArgMatches) -> TokenRequest {
    let text = |name: &str| create.get_one::<String>(name).cloned();
    TokenRequest {
        tenant: text("tenant"),
        user: text("user").unwrap_or_default(),
        name: text("name"),
        role: text("role"),
        claims: create
            .get_many::<String>("claim")
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
        ttl: text("ttl").unwrap_or_default(),
    }
}

fn command() -> Command {
    let mut command = Command::new("relais")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The real-time backend of a web or mobile team, in one binary")
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .global(true)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Settings file [default: relais.toml where there is one]"),
        )
        .subcommand(Command::new("serve").about("Run the server (this is what no command means)"))
        .subcommand(
            Command::new("config")
                .about("Settings")
                .subcommand_required(true)
                .subcommand(
                    Command::new("show").about("Print every setting and where its value came from"),
                ),
        )
        .subcommand(app_command())
        .subcommand(
            Command::new("token")
                .about("Tokens")
                .subcommand_required(true)
                .subcommand(token_create_command()),
        )
        .subcommand(Command::new("doctor").about("Check that this machine can run the server"));
    for row in flags_of_settings() {
        let flag = row.key.replace('_', "-");
        let shown = if row.default.is_empty() {
            String::new()
        } else {
            format!(" [default: {}]", row.default)
        };
        let help = format!("{}{shown} [env: {}]", row.help, row.env.join(", "));
        command = command.arg(
            Arg::new(row.key)
                .long(flag)
                .global(true)
                .value_name("VALUE")
                .help(help),
        );
    }
    command
}

fn token_create_command() -> Command {
    let option = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("VALUE").help(help)
    };
    Command::new("create")
        .about("Sign a token for --app with JWT_SECRET (in development mode: with the key in the data folder)")
        .arg(option("user", "Claim `sub`").required(true))
        .arg(option("name", "Claim `name`"))
        .arg(option("role", "Claim `role`"))
        .arg(option("tenant", "The app's tenant claim"))
        .arg(option("claim", "A further claim, KEY=JSON; may be given several times").action(clap::ArgAction::Append))
        .arg(option("ttl", "How long it is good for: 90s, 15m, 1h, 7d").default_value("1h"))
}
