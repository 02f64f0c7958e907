//! `GET /files/…`: files by their signed addresses, whole, in part, or smaller.
//!
//! Comes in: an address that [`crate::files::Links`] made. Goes out: the bytes, under the type that they were found to have. The signature is the
//! whole permission; no token is asked for, so that an `<img>` can show it.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Request, StatusCode, header, request::Parts};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use object_store::GetRange;
use relais_core::error::{Code, Error};
use relais_protocol::engineio::QueryPairs;

use super::{Problem, Web, not_found};
use crate::files::{Found, Grant, KINDS, PREFIX, THUMBNAILS, encode, type_of_smaller};

/// Answers.
pub async fn show(State(web): State<Arc<Web>>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    match answer(&web, &parts).await {
        Ok(Some(response)) => response,
        Ok(None) => not_found(),
        Err(error) => Problem(error).into_response(),
    }
}

async fn answer(web: &Web, request: &Parts) -> Result<Option<Response>, Error> {
    let Some(path) = request.uri.path().strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let query = request.uri.query().unwrap_or_default();
    let grant = web.files.links().check(path, query, web.clock.now().wall)?;
    let side = QueryPairs::new(query)
        .find(|(name, _)| name == "thumb")
        .map(|(_, side)| side.parse::<u32>());
    let side = match side {
        None => None,
        Some(Ok(side)) if THUMBNAILS.contains(&side) => Some(side),
        Some(_) => {
            let sides = THUMBNAILS.map(|side| side.to_string()).join(", ");
            let text = format!("unable to show the file; \"thumb\" is one of {sides}");
            return Err(Error::new(Code::InvalidPayload, text));
        }
    };
    let tag = tag(path, side);
    let mut headers = headers(&grant, &tag);
    if is_known(&request.headers, &tag) {
        return Ok(Some((StatusCode::NOT_MODIFIED, headers).into_response()));
    }
    if let Some(side) = side {
        let Some(bytes) = web.files.thumbnail(path, side).await? else {
            return Ok(None);
        };
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(type_of_smaller(&bytes)),
        );
        return Ok(Some((headers, bytes).into_response()));
    }
    whole(web, request, path, headers).await
}

async fn whole(
    web: &Web,
    request: &Parts,
    path: &str,
    mut headers: HeaderMap,
) -> Result<Option<Response>, Error> {
    let asked = request.headers.get(header::RANGE).and_then(range);
    let found = match web.files.read(path, asked).await? {
        Found::Reading(found) => found,
        Found::NoSuchPart { bytes } => return Ok(Some(no_such_part(bytes))),
        Found::Nothing => return Ok(None),
    };
    let kind = KINDS
        .iter()
        .find(|kind| path.rsplit('.').next() == Some(kind.extension));
    let content_type = kind.map_or("application/octet-stream", |kind| kind.content_type);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let length = found.range.end - found.range.start;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let mut status = StatusCode::OK;
    if length < found.bytes {
        status = StatusCode::PARTIAL_CONTENT;
        let part = format!(
            "bytes {}-{}/{}",
            found.range.start,
            found.range.end - 1,
            found.bytes
        );
        if let Ok(part) = HeaderValue::from_str(&part) {
            headers.insert(header::CONTENT_RANGE, part);
        }
    }
    Ok(Some(
        (status, headers, Body::from_stream(found.stream)).into_response(),
    ))
}

/// How long the file is, for whoever asked for what lies behind its end.
fn no_such_part(bytes: u64) -> Response {
    tracing::debug!(bytes, "asked for a part that a file does not have");
    let whole = format!("bytes */{bytes}");
    (
        StatusCode::RANGE_NOT_SATISFIABLE,
        [(header::CONTENT_RANGE, whole)],
    )
        .into_response()
}

/// What a file is called never changes its bytes, so the path is the tag.
fn tag(path: &str, side: Option<u32>) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    match side {
        None => format!("\"{name}\""),
        Some(side) => format!("\"{name}.{side}\""),
    }
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag)
    })
}

/// For whom it is and for how long; and that it is a picture and no page, whatever is in it.
fn headers(grant: &Grant, tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    put(
        header::CACHE_CONTROL,
        &format!("private, max-age={}, immutable", grant.seconds),
    );
    put(
        header::CONTENT_DISPOSITION,
        &format!("inline; filename*=UTF-8''{}", encode(&grant.name)),
    );
    put(header::ETAG, tag);
    put(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox",
    );
    put(
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    );
    headers
}

/// One range of bytes; anything else is answered with the whole, as RFC 9110 allows.
fn range(value: &HeaderValue) -> Option<GetRange> {
    let (from, to) = value
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => Some(GetRange::Bounded(from..to.checked_add(1)?)),
        (Ok(from), Err(_)) if to.is_empty() => Some(GetRange::Offset(from)),
        (Err(_), Ok(last)) if from.is_empty() && last > 0 => Some(GetRange::Suffix(last)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_is_the_whole() {
        let of = |text: &'static str| range(&HeaderValue::from_static(text));
        assert_eq!(of("bytes=0-99"), Some(GetRange::Bounded(0..100)));
        assert_eq!(of("bytes=5-"), Some(GetRange::Offset(5)));
        assert_eq!(of("bytes=-5"), Some(GetRange::Suffix(5)));
        for other in [
            "bytes=9-1",
            "bytes=-",
            "bytes=-0",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=0-18446744073709551615",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
