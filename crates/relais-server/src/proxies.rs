//! Behind proxies: which address a request really came from.
//!
//! Comes in: the address of the socket and the headers. Goes out: the address that limits count by. `X-Forwarded-For` is believed only as far
//! as trusted proxies have written it, which is from its end: whoever sends one to us directly is known by the socket alone.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// What proxies write, the nearest one last.
pub static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies whose word counts. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Out of addresses and networks (`10.0.0.0/8`). `Err`: the one that is neither.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let network = |text: &String| {
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| text.parse()).map_err(|_| text.clone())
        };
        let networks = texts.iter().map(network).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(networks.into()))
    }

    /// Nobody is trusted: the header is of no interest.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who asks: the last address on the way that is no trusted proxy's. The port is the socket's.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut client = peer.ip();
        if !self.trusts(client) {
            return peer;
        }
        let lines: Vec<_> = headers.get_all(&FORWARDED_FOR).iter().collect();
        let hops = lines.iter().rev().flat_map(|line| {
            let text = line.to_str().unwrap_or_default();
            text.rsplit(',').map(str::trim)
        });
        for hop in hops {
            // What no proxy of ours would write ends what can be believed.
            let Ok(address) = hop.trim_matches(['[', ']']).parse() else {
                break;
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        SocketAddr::new(client, peer.port())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&'static str]) -> String {
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        let proxies = Proxies::parse(&trusted).expect("proxies");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&FORWARDED_FOR, ::http::HeaderValue::from_static(line));
        }
        let peer = SocketAddr::new(peer.parse().expect("an address"), 4_000);
        proxies.client(peer, &headers).to_string()
    }

    #[test]
    fn the_header_counts_only_from_a_trusted_proxy() {
        let forged = ["9.9.9.9"];
        assert_eq!(client(&[], "203.0.113.7", &forged), "203.0.113.7:4000");
        assert_eq!(
            client(&["10.0.0.0/8"], "203.0.113.7", &forged),
            "203.0.113.7:4000"
        );
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &forged), "9.9.9.9:4000");
        assert_eq!(
            client(&["::1"], "::1", &["2001:db8::5"]),
            "[2001:db8::5]:4000"
        );
        assert_eq!(
            client(&["127.0.0.1"], "::ffff:127.0.0.1", &forged),
            "9.9.9.9:4000"
        );
    }

    #[test]
    fn what_stands_before_the_last_stranger_is_only_that_strangers_word() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(
            client(&trusted, "10.0.0.1", &["1.1.1.1, 9.9.9.9, 10.0.0.2"]),
            "9.9.9.9:4000"
        );
        assert_eq!(
            client(&trusted, "10.0.0.1", &["1.1.1.1, 9.9.9.9", "10.0.0.2"]),
            "9.9.9.9:4000"
        );
        // All the way through proxies of ours: the farthest.
        assert_eq!(
            client(&trusted, "10.0.0.1", &["10.0.0.3, 10.0.0.2"]),
            "10.0.0.3:4000"
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_believed() {
        let trusted = ["10.0.0.0/8"];
        for nonsense in ["", "unknown", "9.9.9.9, nonsense", "9.9.9.9:80"] {
            assert_eq!(
                client(&trusted, "10.0.0.1", &[nonsense]),
                "10.0.0.1:4000",
                "{nonsense}"
            );
        }
        assert_eq!(client(&trusted, "10.0.0.1", &[]), "10.0.0.1:4000");
        assert_eq!(
            Proxies::parse(&["10.0.0.0/40".to_owned()]),
            Err("10.0.0.0/40".to_owned())
        );
    }
}
