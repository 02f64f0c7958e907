//! What is asked and what is not, against a server of one answer.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn get(url: &str) -> Ask<'_> {
    Ask {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        bytes_max: 64,
    }
}

/// A server on loopback that answers every connection with the same bytes; its port.
async fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn allowing(hosts: &[&str]) -> Outgoing {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    Outgoing::new(&hosts).expect("a client")
}

#[tokio::test]
async fn a_private_host_is_asked_only_where_the_operator_has_named_it() {
    let port =
        answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
    let url = format!("http://127.0.0.1:{port}/");
    let refused = allowing(&[]).ask(get(&url)).await;
    assert!(
        matches!(refused, Err(OutgoingError::Private)),
        "{refused:?}"
    );
    let other_port = allowing(&["127.0.0.1:1"]).ask(get(&url)).await;
    assert!(
        matches!(other_port, Err(OutgoingError::Private)),
        "{other_port:?}"
    );
    for named in ["127.0.0.1".to_owned(), format!("127.0.0.1:{port}")] {
        let answer = allowing(&[&named]).ask(get(&url)).await.expect("an answer");
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b"ok"[..])
        );
    }
}

#[tokio::test]
async fn a_name_that_resolves_inwards_is_refused() {
    let port = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    // The resolver of the machine knows its own name; `localhost` in other clothes.
    for name in ["localhost", "LOCALHOST", "a.localhost"] {
        let refused = allowing(&[])
            .ask(get(&format!("http://{name}:{port}/")))
            .await;
        assert!(
            matches!(refused, Err(OutgoingError::Private)),
            "{name}: {refused:?}"
        );
    }
    let other_port = allowing(&["idp.example.org:8443"]).check("http://idp.example.org:9200/");
    assert!(
        matches!(other_port, Err(OutgoingError::Private)),
        "{other_port:?}"
    );
    let open = allowing(&["idp.example.org:8443"]).check("https://idp.example.org:8443/keys");
    assert!(open.is_ok(), "{open:?}");
    let resolved = Guard {
        allowed: Arc::from([]),
    }
    .resolve("localhost".parse().expect("a name"));
    let refused = resolved.await.err().expect("refused").to_string();
    assert_eq!(refused, PRIVATE);
}

#[tokio::test]
async fn other_schemes_large_answers_and_redirects_are_not_followed() {
    for url in [
        "file:///etc/passwd",
        "ftp://example.org/",
        "nonsense",
        "http://",
    ] {
        let refused = allowing(&[]).ask(get(url)).await;
        assert!(
            matches!(refused, Err(OutgoingError::Address)),
            "{url}: {refused:?}"
        );
    }
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 65\r\nconnection: close\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123456789";
    let port = answering(body).await;
    let url = format!("http://127.0.0.1:{port}/");
    let refused = allowing(&["127.0.0.1"]).ask(get(&url)).await;
    assert!(
        matches!(refused, Err(OutgoingError::TooLarge { bytes_max: 64 })),
        "{refused:?}"
    );
    let port = answering("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let answer = allowing(&["127.0.0.1"])
        .ask(get(&format!("http://127.0.0.1:{port}/")))
        .await;
    assert_eq!(
        answer.expect("the redirect itself").status,
        StatusCode::FOUND
    );
}

#[tokio::test]
async fn a_websocket_is_opened_only_where_a_request_may_go_and_only_with_who_proves_to_speak_it() {
    let port = answering(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: AAAA\r\n\r\n",
    )
    .await;
    let url = format!("http://127.0.0.1:{port}/ws");
    let refused = allowing(&[]).websocket(&url, 64).await.err();
    assert!(
        matches!(refused, Some(OutgoingError::Private)),
        "{refused:?}"
    );
    let unproved = allowing(&["127.0.0.1"]).websocket(&url, 64).await.err();
    assert!(
        matches!(unproved, Some(OutgoingError::Unreachable(_))),
        "{unproved:?}"
    );
}

#[test]
fn an_address_that_a_client_chose_is_https_unless_the_operator_named_its_host() {
    let outgoing = allowing(&["push.internal", "127.0.0.1:8080"]);
    let check = |url| outgoing.check_foreign(url).map(|_| ());
    for right in [
        "https://push.example.org/x",
        "http://push.internal/x",
        "http://127.0.0.1:8080/x",
    ] {
        assert!(check(right).is_ok(), "{right}");
    }
    for wrong in ["http://push.example.org/x", "ftp://push.example.org/x", ""] {
        let checked = check(wrong);
        assert!(matches!(checked, Err(OutgoingError::Address)), "{wrong}");
    }
    for inward in ["https://127.0.0.1/x", "https://[::1]/x", "https://0x7f.1/x"] {
        let checked = check(inward);
        assert!(matches!(checked, Err(OutgoingError::Private)), "{inward}");
    }
}
