//! Errors over HTTP: `application/problem+json` (RFC 9457) with our code, retry advice and, where it applies, `Retry-After`.
//!
//! Shape: `{type: "about:blank", title, status, detail, code, retryable, retryAfterMs?}`.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use ::http::{HeaderValue, StatusCode};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use relais_core::error::{Code, Error};

/// An error on its way to an HTTP client.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let row = error.code.row();
        let status =
            StatusCode::from_u16(row.http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = error.to_json();
        body["type"] = "about:blank".into();
        body["title"] = status.canonical_reason().unwrap_or("Error").into();
        body["status"] = row.http_status.into();
        body["detail"] = body["message"].take();
        if let Some(object) = body.as_object_mut() {
            object.remove("message");
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(ms) = error.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        if matches!(
            error.code,
            Code::TokenMissing | Code::TokenInvalid | Code::TokenExpired
        ) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rate_limit_says_when_to_come_back_in_body_and_header() {
        let response =
            Problem(Error::rate_limited("unable to send; too many", 1_500)).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 4_096)
            .await
            .expect("read");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(
            body,
            serde_json::json!({"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "unable to send; too many",
                "code": "RATE_LIMITED", "retryable": true, "retryAfterMs": 1_500})
        );
    }
}
