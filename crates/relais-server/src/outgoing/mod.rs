//! Requests that the server itself makes: webhooks, pushes, key sets, engines of the operator's.
//!
//! Comes in: an address that a setting, an app file or a browser named. Goes out: the answer, or why there is none. Because such an address
//! may be anybody's choice, nothing inside the operator's own network is reached by it unless the operator has named that host: names
//! are resolved here, and what they resolve to is looked at, so that no name can be pointed inwards between the look and the connection.
//! Redirects are not followed, answers and waits are limited. Nothing here retries.

mod network;
mod websocket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

pub use network::is_public;
pub use websocket::WebSocket;

/// Until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections kept for each host.
const IDLE_PER_HOST_MAX: usize = 8;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// Not an address that can be asked.
    #[error("the address is no http or https URL")]
    Address,
    /// It leads into the operator's own network.
    #[error(
        "the address leads into a private network; name the host in the setting `outgoing_private_hosts`"
    )]
    Private,
    /// Nobody answered, or too late.
    #[error("no answer; {0}")]
    Unreachable(String),
    /// The answer is larger than asked for.
    #[error("the answer is over {bytes_max} bytes")]
    TooLarge {
        /// What was asked for.
        bytes_max: usize,
    },
}

/// What is asked.
pub struct Ask<'a> {
    /// `GET`, `POST`, …
    pub method: Method,
    /// Where.
    pub url: &'a str,
    /// With which headers.
    pub headers: HeaderMap,
    /// With which body.
    pub body: Bytes,
    /// Until the whole answer is there.
    pub timeout: Duration,
    /// Longest answer.
    pub bytes_max: usize,
}

/// The answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Asks other servers.
#[derive(Clone)]
pub struct Outgoing {
    client: reqwest::Client,
    allowed: Arc<[String]>,
}

impl Outgoing {
    /// Asks the world, and of private networks only the hosts in `allowed` (each `host` or `host:port`).
    pub fn new(allowed: &[String]) -> Result<Self, OutgoingError> {
        // Whoever comes second finds the same one there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allowed: Arc<[String]> = allowed.iter().map(|host| host.to_lowercase()).collect();
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(Guard {
                allowed: allowed.clone(),
            }))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .user_agent(concat!("relais/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| OutgoingError::Unreachable(reason(&error)))?;
        Ok(Self { client, allowed })
    }

    /// Whether an address could be asked at all: its scheme, and its host where that is a number. What a name resolves to is looked at
    /// when it is asked.
    pub fn check(&self, url: &str) -> Result<Url, OutgoingError> {
        let url = Url::parse(url).map_err(|_| OutgoingError::Address)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutgoingError::Address);
        }
        let host = url.host_str().ok_or(OutgoingError::Address)?.to_lowercase();
        let port = url.port_or_known_default().unwrap_or_default();
        let numeric = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let named = is_allowed(&self.allowed, &host, Some(port));
        let private = match numeric {
            Ok(address) => !is_public(address),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        // A host that is open on some ports only: the resolver, which knows none, must not open the others.
        let other_port = !named && is_allowed(&self.allowed, &host, None);
        match (private || other_port) && !named {
            true => Err(OutgoingError::Private),
            false => Ok(url),
        }
    }

    /// The same for an address that a client chose: it is https too, but for hosts that the operator has named.
    pub fn check_foreign(&self, url: &str) -> Result<Url, OutgoingError> {
        let url = self.check(url)?;
        let host = url.host_str().unwrap_or_default().to_lowercase();
        let is_named = is_allowed(&self.allowed, &host, url.port_or_known_default());
        match url.scheme() == "https" || is_named {
            true => Ok(url),
            false => Err(OutgoingError::Address),
        }
    }

    /// Asks.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, OutgoingError> {
        let url = self.check(ask.url)?;
        let request = self
            .client
            .request(ask.method, url)
            .headers(ask.headers)
            .body(ask.body)
            .timeout(ask.timeout);
        let unreachable = |error: reqwest::Error| match reason(&error) {
            reason if reason.contains(PRIVATE) => OutgoingError::Private,
            reason => OutgoingError::Unreachable(reason),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ask.bytes_max {
                let bytes_max = ask.bytes_max;
                return Err(OutgoingError::TooLarge { bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

/// An error with its causes, and without the address: that may hold a key.
fn reason(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "it took too long".to_owned(),
        (_, true) => "unable to connect".to_owned(),
        _ => "the exchange failed".to_owned(),
    };
    while let Some(cause) = source {
        text.push_str("; ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What the resolver says of a name that leads inwards.
const PRIVATE: &str = "resolves to a private address";

/// Resolves names, and keeps what leads inwards to itself.
struct Guard {
    allowed: Arc<[String]>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        // The port is not known here: `check` has refused those that the operator did not name.
        let open = is_allowed(&self.allowed, &name.as_str().to_lowercase(), None);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (right, wrong): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.partition(|address| open || is_public(address.ip()));
            if right.is_empty() && !wrong.is_empty() {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(right.into_iter()) as Addrs)
        })
    }
}

/// Whether the operator has named this host; `port` is `None` where it is not known.
fn is_allowed(allowed: &[String], host: &str, port: Option<u16>) -> bool {
    allowed.iter().any(|entry| {
        let bracketed = entry.ends_with(']');
        match entry.rsplit_once(':').filter(|_| !bracketed) {
            Some((name, wanted)) => {
                name == host && port.is_none_or(|port| wanted == port.to_string())
            }
            None => entry == host,
        }
    })
}

#[cfg(test)]
mod tests;
