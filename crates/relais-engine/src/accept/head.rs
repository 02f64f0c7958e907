//! The first bytes of a connection: an opening handshake of a WebSocket that is there in one piece, or something else.
//!
//! Only asks whether the short way in is open. Whatever is unusual (not whole yet, a body, too large, malformed) is `None`, and gets its
//! answer from the HTTP library.

use http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use super::AcceptLimits;

/// Most headers on the short way.
const HEADERS_MAX: usize = 64;

/// A request, and how many bytes its head had.
pub(super) fn parse(bytes: &[u8], limits: &AcceptLimits) -> Option<(Request<()>, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = parsed.parse(bytes).ok()? else {
        return None;
    };
    let is_plain = parsed.method == Some("GET") && parsed.version == Some(1);
    let fits = length <= limits.header_bytes_max && parsed.headers.len() <= limits.headers_max;
    if !is_plain || !fits {
        return None;
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::try_from(parsed.path?).ok()?;
    request.headers_mut().reserve(parsed.headers.len());
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        if name == header::CONTENT_LENGTH || name == header::TRANSFER_ENCODING {
            return None;
        }
        let value = HeaderValue::from_bytes(header.value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some((request, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";

    #[test]
    fn a_whole_handshake_is_a_request_and_the_rest_is_left_alone() {
        let bytes = format!("{HANDSHAKE}\u{1}");
        let (request, length) = parse(bytes.as_bytes(), &AcceptLimits::default()).unwrap();
        assert_eq!(length, HANDSHAKE.len());
        assert_eq!(request.uri().path(), "/socket.io/");
        assert_eq!(request.uri().query(), Some("EIO=4&transport=websocket"));
        assert_eq!(request.headers()[header::UPGRADE], "websocket");
    }

    #[test]
    fn what_is_unusual_takes_the_long_way() {
        for bytes in [
            &HANDSHAKE[..40],
            "",
            "POST / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nbad header: 1\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert!(
                parse(bytes.as_bytes(), &AcceptLimits::default()).is_none(),
                "{bytes:?}"
            );
        }
        let few = AcceptLimits {
            headers_max: 1,
            ..AcceptLimits::default()
        };
        assert!(parse(HANDSHAKE.as_bytes(), &few).is_none());
        let small = AcceptLimits {
            header_bytes_max: 20,
            ..AcceptLimits::default()
        };
        assert!(parse(HANDSHAKE.as_bytes(), &small).is_none());
    }
}
