//! Which pages may reach us: the exact check of `Origin`, and the CORS answers that follow from it.
//!
//! A request without `Origin` (an app, a server, curl) is no page and passes. A page of the server's own host passes as long as no list is set; a list is all there is.

use ::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CONTENT_TYPE, HOST, ORIGIN, VARY,
};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use relais_core::error::{Code, Error};
use relais_protocol::engineio::HandshakeError;

use crate::http::Problem;
use crate::settings::Origins;

/// Whether a page of `origin` may reach a server that was addressed as `host`.
pub fn allows(origins: &Origins, origin: &str, host: Option<&str>) -> bool {
    let own = || {
        host.is_some_and(|host| {
            authority(origin).is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        })
    };
    match origins {
        Origins::Any => true,
        Origins::List(list) => list.iter().any(|allowed| allowed == origin),
        Origins::Loopback => is_loopback(origin) || own(),
    }
}

fn authority(origin: &str) -> Option<&str> {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
}

fn is_loopback(origin: &str) -> bool {
    authority(origin).is_some_and(is_loopback_authority)
}

/// Whether `host` or `host:port` is this machine.
pub fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether a request with these headers comes from no page, or from one that may reach us.
pub fn passes(origins: &Origins, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    headers.get(ORIGIN).is_none_or(|origin| {
        origin
            .to_str()
            .is_ok_and(|origin| allows(origins, origin, host))
    })
}

/// Middleware around everything: refuses foreign pages with 403, answers preflights, marks what pages may read.
pub async fn guard(
    State(origins): State<std::sync::Arc<Origins>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return next.run(request).await;
    };
    if !passes(&origins, request.headers()) {
        return refusal(request.uri().path());
    }
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    mark(response.headers_mut(), origin, preflight);
    response
}

/// A problem, as everywhere; under the address of Socket.IO the body that its clients know.
fn refusal(path: &str) -> Response {
    if path.trim_end_matches('/').ends_with("/socket.io") {
        let kind = HeaderValue::from_static("application/json");
        let body = HandshakeError::Forbidden.body();
        return (StatusCode::FORBIDDEN, [(CONTENT_TYPE, kind)], body).into_response();
    }
    let text = "unable to answer; this origin is not allowed";
    Problem(Error::new(Code::Forbidden, text)).into_response()
}

fn mark(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(VARY, HeaderValue::from_static("origin"));
    if preflight {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE"),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_exactly_and_never_by_part() {
        let list = Origins::List(vec!["https://app.example.org".to_owned()]);
        assert!(allows(&list, "https://app.example.org", None));
        for foreign in [
            "https://app.example.org.evil.example",
            "http://app.example.org",
            "https://example.org",
            "null",
            "",
        ] {
            assert!(!allows(&list, foreign, None), "{foreign}");
        }
    }

    #[test]
    fn without_a_list_pages_of_this_machine_and_of_the_server_itself_may_connect() {
        for own in [
            "http://localhost:5173",
            "http://127.0.0.1",
            "https://[::1]:8443",
        ] {
            assert!(allows(&Origins::Loopback, own, None), "{own}");
        }
        for foreign in [
            "http://localhost.evil.example",
            "http://localhost:80.evil.example",
            "http://127.0.0.1.evil.example",
            "file://localhost",
        ] {
            assert!(!allows(&Origins::Loopback, foreign, None), "{foreign}");
        }
        assert!(allows(
            &Origins::Loopback,
            "https://chat.example.org",
            Some("chat.example.org")
        ));
        assert!(!allows(
            &Origins::Loopback,
            "https://chat.example.org",
            Some("example.org")
        ));
    }
}
