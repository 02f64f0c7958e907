//! The responses of the HTTP side.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use relais_protocol::engineio::HandshakeError;

/// The body of every response of the engine.
pub type ResponseBody = Full<Bytes>;

/// Packets, or `ok`: never stored by anything on the way.
pub(super) fn text(body: impl Into<Bytes>) -> Response<ResponseBody> {
    with(
        StatusCode::OK,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
        body.into(),
    )
}

/// The reference server's error body.
pub(super) fn refusal(error: HandshakeError) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    with(
        status,
        HeaderValue::from_static("application/json"),
        error.body().into(),
    )
}

pub(super) fn too_big() -> Response<ResponseBody> {
    with(
        StatusCode::PAYLOAD_TOO_LARGE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
        Bytes::from_static(b"payload too large"),
    )
}

/// A path that is nobody's.
pub(crate) fn not_found() -> Response<ResponseBody> {
    with(
        StatusCode::NOT_FOUND,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
        Bytes::from_static(b"not found"),
    )
}

/// Draining, or full: cheap, and with a hint when to come back.
pub(super) fn unavailable() -> Response<ResponseBody> {
    let mut response = with(
        StatusCode::SERVICE_UNAVAILABLE,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
        Bytes::from_static(b"unavailable"),
    );
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

/// Something else than a WebSocket of version 13 was asked for where only that will do.
pub(super) fn upgrade_required() -> Response<ResponseBody> {
    let mut response = with(
        StatusCode::UPGRADE_REQUIRED,
        HeaderValue::from_static("text/plain; charset=UTF-8"),
        Bytes::from_static(b"upgrade required"),
    );
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_VERSION,
        HeaderValue::from_static("13"),
    );
    response
}

fn with(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
