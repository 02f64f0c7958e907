//! What the first start prints: addresses, a token, and a line to paste.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::clock::Clock;
use crate::glue::apps::{Apps, Served};
use crate::identity::{NewToken, sign};

/// How long the printed token is good for.
const TTL_SECONDS: i64 = 12 * 3_600;

/// Prints to standard output; a closed one is not our problem.
pub fn print(apps: &Apps, address: SocketAddr, development_secret: Option<&str>, clock: Clock) {
    let host = match address.ip() {
        ip if ip.is_loopback() && ip.is_ipv4() => format!("localhost:{}", address.port()),
        _ => address.to_string(),
    };
    let names: Vec<&str> = apps.iter().map(|served| &*served.name).collect();
    let root = apps.root().map_or("none", |served| &*served.name);
    let shown = apps.shown();
    let mut text = format!(
        "\nRelais {} on http://{host}/\n  apps     {} (at the root: {root})\n  metrics  http://{host}{}/metrics\n  ready    http://{host}/readyz\n",
        env!("CARGO_PKG_VERSION"),
        names.join(", "),
        shown.map_or_else(String::new, |served| prefix(apps, served)),
    );
    if let Some(secret) = development_secret {
        text.push_str(&development(apps, &host, secret, clock));
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// What stands before an app's own paths: nothing for the app at the root.
fn prefix(apps: &Apps, served: &Served) -> String {
    match apps.root() {
        Some(root) if root.name == served.name => String::new(),
        _ => format!("/{}", served.name),
    }
}

fn development(apps: &Apps, host: &str, secret: &str, clock: Clock) -> String {
    let mut text = format!(
        "\n  DEVELOPMENT MODE: no JWT_SECRET, so anybody on this machine gets a token from\n  \
         http://{host}/dev/token?{}user=NAME (a key of our own is kept in the data folder)\n",
        match apps.root() {
            Some(_) => String::new(),
            None => format!(
                "app={}&",
                apps.shown().map_or("APP", |served| &*served.name)
            ),
        }
    );
    let Some((served, user)) = apps
        .shown()
        .and_then(|served| Some((served, served.app.demo.users.first()?)))
    else {
        return text;
    };
    let mut claims = user.claims.clone();
    claims.insert("app".to_owned(), (*served.name).into());
    let new = NewToken {
        claims,
        ttl_seconds: Some(TTL_SECONDS),
    };
    if let Ok(token) = sign(new, secret, clock.now().wall.0 / 1_000) {
        text.push_str(&format!(
            "\n  {}'s token, good for 12 hours:\n  {token}\n\n  A client, after `npm install socket.io-client`:\n  \
             node -e \"require('socket.io-client').io('http://{host}',{{{}auth:{{token:'TOKEN'}}}}).onAny(console.log)\"\n",
            user.name,
            match apps.root() {
                Some(_) => String::new(),
                None => format!("path:'/{}/socket.io/',", served.name),
            }
        ));
    }
    text
}
