//! The table of all settings: name, environment names, default, help. Flags, `relais.toml`, the environment, `config show`
//! and the documents all come from these rows; a setting that is not here does not exist.

/// One setting.
pub struct Row {
    /// Key in `relais.toml`; the flag is the same with dashes.
    pub key: &'static str,
    /// Environment names, the first one set wins.
    pub env: &'static [&'static str],
    /// Default, in the notation of the file.
    pub default: &'static str,
    /// A secret: never printed, and also read from the file that `NAME_FILE` names.
    pub secret: bool,
    /// What it is, with unit and limits.
    pub help: &'static str,
}

const fn row(
    key: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Row {
    Row {
        key,
        env,
        default,
        secret: false,
        help,
    }
}

const fn secret(key: &'static str, env: &'static [&'static str], help: &'static str) -> Row {
    Row {
        key,
        env,
        default: "",
        secret: true,
        help,
    }
}

/// All settings.
pub const TABLE: &[Row] = &[
    row("host", &["WS_HOST"], "127.0.0.1", "Address to listen on"),
    row(
        "port",
        &["WS_PORT"],
        "3001",
        "Port to listen on; 0 takes a free one",
    ),
    secret(
        "jwt_secret",
        &["JWT_SECRET"],
        "Key of the tokens (HS256, HS384, HS512), at least 32 bytes; without it: development mode, on loopback only",
    ),
    secret(
        "api_key",
        &["API_KEY"],
        "Keys of the team's own backend, separated by commas, each at least 16 bytes",
    ),
    row(
        "allowed_origins",
        &["ALLOWED_ORIGINS"],
        "",
        "Origins whose pages may connect, separated by commas, compared exactly; empty: loopback origins only; `*`: any",
    ),
    row(
        "app",
        &["RELAIS_APP"],
        "",
        "The app that is also served at the root; empty: the first one that says `root = true`",
    ),
    row(
        "apps_dir",
        &["RELAIS_APPS_DIR"],
        "",
        "Folder with app files; empty: the ones built into the binary",
    ),
    row(
        "data",
        &["RELAIS_DATA"],
        "./data",
        "Folder of the embedded store and of development keys",
    ),
    row(
        "database_url",
        &["DATABASE_URL"],
        "",
        "`sqlite:PATH`; empty: relais.db in the data folder",
    ),
    row("log_format", &["LOG_FORMAT"], "text", "`text` or `json`"),
    row(
        "log_level",
        &["RELAIS_LOG", "RUST_LOG"],
        "info",
        "Filter such as `info` or `relais_engine=debug,info`",
    ),
    row(
        "shards",
        &["RELAIS_SHARDS"],
        "0",
        "Threads that own connections; 0: one a core",
    ),
    row(
        "ping_interval_ms",
        &["PING_INTERVAL"],
        "25000",
        "Milliseconds between heartbeats, 100 to 300000",
    ),
    row(
        "ping_timeout_ms",
        &["PING_TIMEOUT"],
        "20000",
        "Milliseconds that an answer to a heartbeat may take, 100 to 300000",
    ),
    row(
        "payload_bytes_max",
        &["RELAIS_PAYLOAD_BYTES_MAX"],
        "1048576",
        "Largest message from a client in bytes, 1024 to 104857600",
    ),
    row(
        "outbox_bytes_max",
        &["RELAIS_OUTBOX_BYTES_MAX"],
        "1048576",
        "Most bytes queued for one connection before it is closed with 4008",
    ),
    row(
        "outbox_frames_max",
        &["RELAIS_OUTBOX_FRAMES_MAX"],
        "1024",
        "Most frames queued for one connection before it is closed with 4008",
    ),
    row(
        "connections_per_ip_per_minute_max",
        &["RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX"],
        "100",
        "New connections a minute from one address; 0: no limit",
    ),
    row(
        "events_per_second_max",
        &["RELAIS_EVENTS_PER_SECOND_MAX"],
        "100",
        "Events a second from one session, bursts of twice as many; 0: no limit",
    ),
    row(
        "recovery_hours",
        &["RELAIS_RECOVERY_HOURS"],
        "24",
        "Hours that the log is kept for recovery, 1 to 720",
    ),
    row(
        "recovery_records_max",
        &["RELAIS_RECOVERY_RECORDS_MAX"],
        "10000",
        "Records a room that the log is kept for recovery, 100 to 1000000",
    ),
    row(
        "drain_seconds",
        &["RELAIS_DRAIN_SECONDS"],
        "10",
        "Seconds over which connections are closed at a stop, 0 to 30",
    ),
];
