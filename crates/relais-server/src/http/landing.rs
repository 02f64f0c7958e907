//! The page at `/`: what this server is, which apps it serves, and the lines to paste for a first chat. No script, no inline style.

use ::http::HeaderValue;
use ::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};

use super::first_message;
use crate::glue::apps::Apps;

/// What the page shows of an app.
pub struct Shown {
    /// Name in addresses.
    pub name: String,
    /// Title of its file.
    pub title: String,
    /// Ids of its demo users, in development mode.
    pub demo_users: Vec<String>,
}

/// What the page shows.
pub struct Landing {
    /// All apps.
    pub apps: Vec<Shown>,
    /// The app at the root.
    pub root: Option<String>,
    /// The app of the example.
    pub example: Option<Example>,
    /// Whether tokens are given away.
    pub development: bool,
}

/// An app to talk to.
pub struct Example {
    /// Its name.
    pub name: String,
    /// Lines that say something.
    pub lines: Option<String>,
}

const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Landing {
    /// The page of these apps.
    pub fn new(apps: &Apps, development: bool) -> Self {
        let id = |id: &serde_json::Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let shown = apps.iter().map(|served| Shown {
            name: served.name.to_string(),
            title: served.app.title.to_string(),
            demo_users: if development {
                served
                    .app
                    .demo
                    .users
                    .iter()
                    .map(|user| id(&user.id))
                    .collect()
            } else {
                Vec::new()
            },
        });
        Self {
            apps: shown.collect(),
            root: apps.root().map(|served| served.name.to_string()),
            example: apps.shown().map(|served| Example {
                name: served.name.to_string(),
                lines: first_message::lines(&served.app),
            }),
            development,
        }
    }

    /// The page.
    pub fn page(&self, host: &str) -> Response {
        let host = escape(host);
        let apps: String = self.apps.iter().map(|app| self.app(app)).collect();
        let start = if self.development {
            self.first_chat(&host)
        } else {
            String::new()
        };
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>Relais</title><link rel=\"stylesheet\" href=\"/relais.css\"><body><h1>Relais</h1>\
             <p>The real-time backend of a team: Socket.IO clients connect to this address, unchanged.</p>{start}\
             <h2>Apps</h2><ul>{apps}</ul><p><a href=\"/healthz\">healthz</a> · <a href=\"/readyz\">readyz</a> · \
             <a href=\"/metrics\">metrics</a></p></body></html>"
        );
        answer(html, "text/html; charset=utf-8")
    }

    /// Its style.
    pub fn style() -> Response {
        answer(
            include_str!("landing.css").to_owned(),
            "text/css; charset=utf-8",
        )
    }

    fn app(&self, app: &Shown) -> String {
        let name = escape(&app.name);
        let at_root = if self.root.as_deref() == Some(app.name.as_str()) {
            ", also at the root"
        } else {
            ""
        };
        let tokens: Vec<String> = app
            .demo_users
            .iter()
            .map(|user| {
                format!(
                    "<a href=\"/dev/token?app={name}&amp;user={0}\">token of {0}</a>",
                    escape(user)
                )
            })
            .collect();
        let title = escape(&app.title);
        let documents = format!("<a href=\"/{name}/docs\">HTTP</a>");
        format!(
            "<li><strong>{title}</strong> (<code>/{name}/socket.io/</code>{at_root}) {documents} {}</li>",
            tokens.join(" · ")
        )
    }

    fn first_chat(&self, host: &str) -> String {
        let Some(example) = &self.example else {
            return String::new();
        };
        let name = escape(&example.name);
        let (asked, path) = match self.root {
            Some(_) => (String::new(), String::new()),
            None => (
                format!("app={name}&amp;"),
                format!("path: \"/{name}/socket.io/\", "),
            ),
        };
        let lines = escape(example.lines.as_deref().unwrap_or_default());
        format!(
            "<p class=\"note\">Development mode: anybody on this machine gets a token. Set JWT_SECRET to end it.</p>\
             <h2>A first message</h2><p>In a folder of your own, twice, with two demo users of {name} in the list below instead of USER:</p>\
             <pre><code>npm install socket.io-client\nnode --input-type=module -e '\nimport {{ io }} from \"socket.io-client\";\n\
             const token = await (await fetch(\"http://{host}/dev/token?{asked}user=USER&amp;format=text\")).text();\n\
             const socket = io(\"http://{host}\", {{ {path}auth: {{ token }} }});\n\
             socket.onAny((event, data) =&gt; console.log(event, data));\n{lines}'</code></pre>"
        )
    }
}

pub(super) fn answer(body: String, content_type: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Text as HTML text or attribute value.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_shown_as_text_and_never_as_markup() {
        let served = Shown {
            name: "x".into(),
            title: "<script>alert(1)</script>".into(),
            demo_users: vec!["\"a'".into()],
        };
        let page = Landing {
            apps: vec![served],
            root: None,
            example: Some(Example {
                name: "x".into(),
                lines: Some("\"<b>".into()),
            }),
            development: true,
        }
        .page("localhost\"><b>");
        assert_eq!(page.headers()["content-security-policy"], POLICY);
        let body = axum::body::to_bytes(page.into_body(), 65_536)
            .await
            .expect("read");
        let body = String::from_utf8(body.to_vec()).expect("utf-8");
        assert!(
            !body.contains("<script>") && !body.contains("<b>") && !body.contains("\"a'"),
            "{body}"
        );
    }
}
