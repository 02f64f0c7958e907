//! What the request that opened a connection showed, in one piece of memory of just its size.
//!
//! Every CONNECT of the connection is told of it. The buffer that the request was read into is not kept alive.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::command::Opening;

/// Peer, query and headers.
pub(crate) struct Packed {
    /// The query, then `name\0value\0…`
    bytes: Box<[u8]>,
    query_bytes: u32,
    port: u16,
    ip: IpAddr,
}

impl Packed {
    /// Only the address, for connections whose one CONNECT is the request itself.
    pub(super) fn bare(opening: &Opening) -> Self {
        Self {
            bytes: Box::default(),
            query_bytes: 0,
            port: opening.peer.port(),
            ip: opening.peer.ip(),
        }
    }

    pub(super) fn of(opening: &Opening, is_wanted: impl Fn(&HeaderName) -> bool) -> Self {
        let headers = || opening.headers.iter().filter(|(name, _)| is_wanted(name));
        let sizes = headers().map(|(n, v)| n.as_str().len() + v.len() + 2);
        let mut bytes = Vec::with_capacity(opening.query.len() + sizes.sum::<usize>());
        bytes.extend_from_slice(opening.query.as_bytes());
        for (name, value) in headers() {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                bytes.extend_from_slice(part);
                bytes.push(0);
            }
        }
        Self {
            bytes: bytes.into(),
            query_bytes: u32::try_from(opening.query.len()).unwrap_or(0),
            port: opening.peer.port(),
            ip: opening.peer.ip(),
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        let headers = &self.bytes[self.query_bytes as usize..];
        let mut parts = headers.split(|byte| *byte == 0);
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }

    pub(crate) fn query(&self) -> &str {
        // It came as a `str`, whole.
        std::str::from_utf8(&self.bytes[..self.query_bytes as usize]).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    #[test]
    fn what_was_packed_comes_out_again() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", HeaderValue::from_static("a=1"));
        headers.append("cookie", HeaderValue::from_static("b=2"));
        headers.append("x-empty", HeaderValue::from_static(""));
        let opening = Opening {
            endpoint: Endpoint::from(0),
            peer: SocketAddr::from(([192, 0, 2, 1], 4000)),
            headers,
            query: "EIO=4&t=é".to_owned(),
            path: String::new(),
            identity: 0,
        };
        let packed = Packed::of(&opening, |_| true);
        assert_eq!(packed.headers(), opening.headers);
        let few = Packed::of(&opening, |name| name == "x-empty");
        assert_eq!((few.headers().len(), few.bytes.len()), (1, 10 + 9));
        assert_eq!((packed.query(), packed.peer()), ("EIO=4&t=é", opening.peer));
    }
}
