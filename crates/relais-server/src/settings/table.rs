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
        "jwt_public_key",
        &["JWT_PUBLIC_KEY"],
        "Public key of the tokens in PEM: RSA (RS and PS), P-256 or P-384 (ES), Ed25519 (EdDSA)",
    ),
    row(
        "jwks_url",
        &["JWT_JWKS_URL"],
        "",
        "Address of the key set of the tokens' issuer, such as https://id.example.org/.well-known/jwks.json",
    ),
    row(
        "jwt_issuer",
        &["JWT_ISSUER"],
        "",
        "What a token's `iss` has to be; empty: anything",
    ),
    row(
        "jwt_audience",
        &["JWT_AUDIENCE"],
        "",
        "What has to be in a token's `aud`; empty: anything",
    ),
    row(
        "trusted_proxies",
        &["RELAIS_TRUSTED_PROXIES"],
        "",
        "Proxies whose `X-Forwarded-For` is believed, separated by commas, each an address or a network such as 10.0.0.0/8",
    ),
    row(
        "outgoing_private_hosts",
        &["RELAIS_OUTGOING_PRIVATE_HOSTS"],
        "",
        "Hosts inside one's own network that webhooks and key sets may be on, separated by commas, each `host` or `host:port`",
    ),
    row(
        "webhook_url",
        &["WEBHOOK_URL"],
        "",
        "Address of the team's own backend, which is asked and told what the app files say",
    ),
    secret(
        "webhook_secret",
        &["WEBHOOK_SECRET"],
        "What requests to it are signed with: `whsec_` and 24 to 64 bytes in base64",
    ),
    secret(
        "vapid_private_key",
        &["VAPID_PRIVATE_KEY"],
        "Private key with which pushes to browsers are signed: 32 bytes in base64url; without it there are none, but in development mode",
    ),
    row(
        "vapid_subject",
        &["VAPID_SUBJECT"],
        "",
        "Where push services reach the operator: `mailto:…` or `https://…`; needed beside that key",
    ),
    row(
        "push_private_hosts",
        &["RELAIS_PUSH_PRIVATE_HOSTS"],
        "",
        "Hosts inside one's own network that are push services, separated by commas, each `host` or `host:port`: any user may have the server ask them",
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
        "New connections a minute from one address, those of sessions that come back not counted; 0: no limit",
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
    row(
        "header_timeout_ms",
        &["RELAIS_HEADER_TIMEOUT_MS"],
        "10000",
        "Milliseconds until the headers of a request are there, 100 to 300000",
    ),
    row(
        "headers_max",
        &["RELAIS_HEADERS_MAX"],
        "64",
        "Most headers of a request, 16 to 1000",
    ),
    row(
        "header_bytes_max",
        &["RELAIS_HEADER_BYTES_MAX"],
        "16384",
        "Most bytes of a request's head, 8192 to 65536",
    ),
    row(
        "body_timeout_ms",
        &["RELAIS_BODY_TIMEOUT_MS"],
        "30000",
        "Milliseconds until the body of a request is there, 100 to 300000",
    ),
    row(
        "body_bytes_max",
        &["RELAIS_BODY_BYTES_MAX"],
        "262144",
        "Most bytes of a body sent to a route of an app, 1024 to 104857600",
    ),
    row(
        "http_connections_max",
        &["RELAIS_HTTP_CONNECTIONS_MAX"],
        "65536",
        "Most connections that speak HTTP at once, upgraded ones not counted",
    ),
    row(
        "connections_max",
        &["RELAIS_CONNECTIONS_MAX"],
        "100000",
        "Most connections of clients at once, and never more than the limit of open files less 256",
    ),
    row(
        "connect_timeout_ms",
        &["RELAIS_CONNECT_TIMEOUT_MS"],
        "45000",
        "Milliseconds until a client has connected to a namespace, 100 to 300000",
    ),
    row(
        "upgrade_timeout_ms",
        &["RELAIS_UPGRADE_TIMEOUT_MS"],
        "10000",
        "Milliseconds until an upgrade is finished, 100 to 300000",
    ),
    row(
        "fragments_max",
        &["RELAIS_FRAGMENTS_MAX"],
        "1024",
        "Most fragments of one message, 1 to 1000000",
    ),
    row(
        "attachments_max",
        &["RELAIS_ATTACHMENTS_MAX"],
        "10",
        "Most binary attachments of one packet, 0 to 128",
    ),
    row(
        "json_depth_max",
        &["RELAIS_JSON_DEPTH_MAX"],
        "64",
        "Deepest nesting of JSON, 8 to 120",
    ),
    row(
        "control_packets_per_second_max",
        &["RELAIS_CONTROL_PACKETS_PER_SECOND_MAX"],
        "20",
        "Pings and packets without content a second from one connection, bursts of twice as many",
    ),
    row(
        "namespaces_max",
        &["RELAIS_NAMESPACES_MAX"],
        "8",
        "Most namespaces of one connection, 1 to 128",
    ),
    row(
        "session_rooms_max",
        &["RELAIS_SESSION_ROOMS_MAX"],
        "128",
        "Most rooms that one session may join, 1 to 10000",
    ),
    row(
        "inbox_max",
        &["RELAIS_INBOX_MAX"],
        "1000",
        "Most notifications of one inbox, 1 to 100000; the oldest go",
    ),
    row(
        "name_bytes_max",
        &["RELAIS_NAME_BYTES_MAX"],
        "255",
        "Longest name of an event or namespace from a client in bytes, 32 to 255",
    ),
    row(
        "store_cache_bytes_max",
        &["RELAIS_STORE_CACHE_BYTES_MAX"],
        "167772160",
        "Bytes that the store keeps in memory: newest records, and pages of the database, at least 5242880",
    ),
    row(
        "store_wait_ms_max",
        &["RELAIS_STORE_WAIT_MS_MAX"],
        "500",
        "Milliseconds that what is to be stored may have to wait for the disk before more is refused, 1 to 60000",
    ),
    row(
        "key_guesses_max",
        &["RELAIS_KEY_GUESSES_MAX"],
        "5",
        "Wrong API keys from one address before it has to wait",
    ),
    row(
        "key_delay_ms_max",
        &["RELAIS_KEY_DELAY_MS_MAX"],
        "60000",
        "Longest wait of an address that guesses at API keys in milliseconds, 1000 to 3600000",
    ),
    row(
        "public_url",
        &["RELAIS_PUBLIC_URL"],
        "",
        "Where the world reaches this server, such as https://relais.example.org, for addresses of files; empty: where a request came to",
    ),
    row(
        "files_url",
        &["RELAIS_FILES_URL"],
        "",
        "Where files are stored: `file:PATH` or `s3://BUCKET/PREFIX`; empty: the folder `files` in the data folder",
    ),
    row(
        "s3_endpoint",
        &[
            "RELAIS_S3_ENDPOINT",
            "AWS_ENDPOINT_URL_S3",
            "AWS_ENDPOINT_URL",
        ],
        "",
        "Address of a store that speaks S3; empty: Amazon's",
    ),
    row(
        "s3_region",
        &["RELAIS_S3_REGION", "AWS_REGION"],
        "us-east-1",
        "Region of the bucket",
    ),
    secret(
        "s3_access_key_id",
        &["RELAIS_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"],
        "Who we are to the store of the bucket",
    ),
    secret(
        "s3_secret_access_key",
        &["RELAIS_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"],
        "How we prove it",
    ),
    row(
        "file_bytes_max",
        &["RELAIS_FILE_BYTES_MAX"],
        "20971520",
        "Most bytes of an uploaded file, 1024 to 1073741824",
    ),
    row(
        "image_pixels_max",
        &["RELAIS_IMAGE_PIXELS_MAX"],
        "64000000",
        "Most pixels of an uploaded picture, 1 to 67108864",
    ),
    row(
        "file_link_seconds",
        &["RELAIS_FILE_LINK_SECONDS"],
        "86400",
        "Seconds that a signed address of a file lasts, and up to a quarter longer, 60 to 604800",
    ),
    row(
        "file_sweep_seconds",
        &["RELAIS_FILE_SWEEP_SECONDS"],
        "3600",
        "Seconds between two looks for files that belong to nothing, and their age from which on they are removed, 1 to 604800",
    ),
    row(
        "image_engine",
        &["RELAIS_IMAGE_ENGINE", "STUDIO_ENGINE"],
        "embedded",
        "What makes pictures that an app asks for: `embedded`, `comfyui` (also where nothing is set and `comfyui_url` is), or `none` for workers from outside",
    ),
    row(
        "comfyui_url",
        &["RELAIS_COMFYUI_URL", "COMFYUI_URL"],
        "",
        "Address of a ComfyUI, such as http://127.0.0.1:8188; it may lie in a private network",
    ),
    row(
        "comfyui_workflow",
        &["RELAIS_COMFYUI_WORKFLOW", "COMFYUI_WORKFLOW"],
        "",
        "File with a workflow in the API format of ComfyUI, with places such as {{prompt}}; empty: one from text to image",
    ),
    row(
        "comfyui_checkpoint",
        &["RELAIS_COMFYUI_CHECKPOINT", "COMFYUI_CHECKPOINT"],
        "v1-5-pruned-emaonly-fp16.safetensors",
        "What {{checkpoint}} in the workflow is: a file in ComfyUI's folder of checkpoints",
    ),
    row(
        "comfyui_timeout_seconds",
        &["RELAIS_COMFYUI_TIMEOUT_SECONDS"],
        "900",
        "Seconds that a prompt may take in ComfyUI, its wait in the queue and while ComfyUI is away included, 1 to 86400",
    ),
];
